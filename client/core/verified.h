/* The stored value with receipts (common/tuf/receipts.h), for whoever reads a store without a client. */
#ifndef HF_CLIENT_CORE_VERIFIED_H
#define HF_CLIENT_CORE_VERIFIED_H

#include "common/tuf/receipts.h"

#define HF_VERIFIED_NAME "metadata.verified"

/** What `text`, the value, says; nothing where another version of this program wrote it. */
void hf_verified_parse(const char *text, struct hf_receipts *out);

#endif
