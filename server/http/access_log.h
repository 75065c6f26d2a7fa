/*
 * The access log: one JSON object a line for each answer.
 *
 *   {"time":"2026-11-22T05:08:00Z","peer":"192.0.2.7:40112","method":"GET","status":200,
 *    "bytes":369,"target":"/metadata/timestamp.json","agent":"holdfast/0.1.0"}
 *
 * and one for each TLS handshake that ended with an alert of one side ("server" or "client"):
 *
 *   {"time":"2026-11-22T05:08:00Z","peer":"192.0.2.7:40112","alert":"certificate_revoked",
 *    "from":"server","tls":"1.3","sni":"acme.iot.example"}
 *
 * Loops append to one buffer; a thread of its own writes it out, so a disk or a reader that stalls
 * holds up neither an answer nor the end of the process. Lines that did not fit meanwhile are
 * counted: {"time":…,"dropped":12}. A named pipe needs no reader: what it holds waits for one.
 */
#ifndef HF_HTTP_ACCESS_LOG_H
#define HF_HTTP_ACCESS_LOG_H

#include "server/http/address.h"
#include "server/http/request.h"
#include "server/http/tls.h"

struct hf_access_log;

/** `path` is a file to append to (made with mode 0640), a named pipe or a device, "-" for standard
 *  output, or "off". */
HF_MUST_USE enum hf_err hf_access_log_open(const char *path, struct hf_access_log **out,
                                           struct hf_why *why);
/** An answer with `status` and `body_len` bytes to `request`, whose target and agent may be cut.
 *  From any thread; never waits for the disk. */
void hf_access_log_add(struct hf_access_log *log, const union hf_peer *peer,
                       const struct hf_request *request, unsigned status, size_t body_len);
/** A handshake with `peer` failed; `tls` is as far as it came. The alerts are -1 where there was
 *  none. */
void hf_access_log_add_handshake(struct hf_access_log *log, const union hf_peer *peer,
                                 const struct hf_tls_peer *tls, int alert_sent, int alert_received);
/** Open the file again by its name before the next write (after a rotation). */
void hf_access_log_reopen(struct hf_access_log *log);
/** Could `path` be opened? A file that is missing is made. HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_access_log_check(const char *path, struct hf_why *why);
/** The same as reopen, under another name; lines that wait are written to the old one first. `path`
 *  is taken, and was allocated by malloc. If it cannot be opened after all, the old one stays and
 *  the service's log says so. */
void hf_access_log_move_take(struct hf_access_log *log, char *path);
/** Write out what is there, end the thread, free. A disk or reader that accepts nothing is given up
 *  after HF_HTTP_LOG_CLOSE_MS; what it blocks is then left to the end of the process. NULL is
 *  fine. */
void hf_access_log_close(struct hf_access_log *log);

#endif
