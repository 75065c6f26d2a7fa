/* Certificates from files, PEM with any number of them or DER with one. */
#ifndef HF_PUBLISH_CERT_FILES_H
#define HF_PUBLISH_CERT_FILES_H

#include <holdfast/bytes.h>

/**
 * Append all certificates of `files` (NULL-terminated), in order, to `pem`. Each must parse; the
 * same one twice is HF_E_FORMAT with the names of both files. HF_E_NOT_FOUND, HF_E_LIMIT.
 */
HF_MUST_USE enum hf_err hf_cert_files_read(const char *const *files, struct hf_buf *pem,
                                           struct hf_why *why);

#endif
