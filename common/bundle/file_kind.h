/* Files of certificates that are no PEM, as people have them. No I/O. */
#ifndef HF_COMMON_FILE_KIND_H
#define HF_COMMON_FILE_KIND_H

#include <holdfast/bytes.h>

/** What the content of a file is, and the command that makes PEM of it: "DER; convert it: `openssl
 *  …`". Static; NULL: it is PEM, or something unknown. */
const char *hf_file_kind(struct hf_bytes content);

/** Can it be one certificate as DER? */
bool hf_file_is_der(struct hf_bytes content);

#endif
