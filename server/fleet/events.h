/*
 * Events: what has just happened in the fleet, for those who watch it. Acts of the writer note them
 * (tx.h); after the commit they get their numbers and stand in a ring in memory, as the text of a
 * server-sent event (WHATWG HTML, 9.2):
 *
 *     id: 6f1c0b52a9e84d37-41
 *     event: report
 *     data: {"account":"pumps","time":"2026-12-01T09:00:07Z","device":"pump-17", …}
 *
 * The kinds, what has happened, and the members besides account and time:
 *
 *     report: a device reported something new, with a certificate or key
 *         device, kind, set, profile, from, to, outcome, text
 *     enrolled: a device got its certificate from the signer
 *         device, credential, status
 *     certificate: another one was registered, or its status changed
 *         device, credential, from, status, reason
 *     finding-opened, finding-closed: an audit found something, or that it is gone
 *         finding, check, kind, subject, device, sentence
 *     published: other metadata is served
 *         root, timestamp, snapshot, targets, expires
 *     bundle: a bundle is published for the first time
 *         set, profile, version, sha256
 *     restored: a backup was restored: all lists may have changed
 *         none
 *     gap: events are missing here; the lists of the API have what they told
 *         lost (null: unknown), and nothing else
 *
 * An event is a hint. A reader that misses some sees a gap: the numbers of one process follow each
 * other, and the first half of an id is a random number of the process, so after a restart the
 * place where a client was is unknown.
 *
 * One thread writes the events of the store; any thread may add others and read. A reader copies
 * what it takes, so none holds the ring.
 */
#ifndef HF_FLEET_EVENTS_H
#define HF_FLEET_EVENTS_H

#include "server/fleet/tx.h"
#include "server/identity/directory.h"

#include <jansson.h>
#include <uv.h>

struct hf_events;

/** HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_events_new(struct hf_events **out, struct hf_why *why);
/** NULL is fine. */
void hf_events_free(struct hf_events *events);

/* ---- what happens ---------------------------------------------------------------------------- */

/** In an act of the writer: this happens if it is committed. `account_id` 0: it concerns all of
 *  them. `data` is taken; NULL, for want of memory, becomes a gap. */
void hf_event_note_take(struct hf_tx *tx, const char *kind, int64_t account_id, json_t *data);
/** After the commit: the events of `effects`. `directory` has the names of their accounts. */
void hf_events_publish(struct hf_events *events, const struct hf_effects *effects,
                       const struct hf_directory *directory);
/** An event that is not of the store and concerns all accounts. */
void hf_events_add_take(struct hf_events *events, const char *kind, int64_t time_s, json_t *data);

/* ---- who watches ----------------------------------------------------------------------------- */

#define HF_EVENT_ID_MAX 40 /* with the NUL */

struct hf_events_reader {
    int64_t account_id; /* -1: events of all */
    int64_t at;         /* the number of the last one that it knows; -1: that is unknown */
};

/** Where a reader goes on who has seen the event `last_id` (NULL: none, so it begins with the next
 *  one). */
int64_t hf_events_resume(struct hf_events *events, const char *last_id);
/** Copy what comes next to `out` of `size` >= 2 * HF_EVENT_BYTES_MAX, whole events, and move the
 *  reader behind it. The length; 0: there is nothing new for it. */
size_t hf_events_read(struct hf_events *events, struct hf_events_reader *reader, char *out,
                      size_t size);
/** Are events lost to this reader? */
bool hf_events_is_behind(struct hf_events *events, const struct hf_events_reader *reader);
/** The id of event number `at`. */
void hf_events_id(const struct hf_events *events, int64_t at, char out[HF_EVENT_ID_MAX]);

/** Wake `wake` when there is something new, until hf_events_unlisten. HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_events_listen(struct hf_events *events, uv_async_t *wake,
                                         struct hf_why *why);
void hf_events_unlisten(struct hf_events *events, const uv_async_t *wake);

#endif
