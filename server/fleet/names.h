/* The rules for names and texts, the same for every way in; those of server names are
 * hf_sni_normalize (server/identity/directory.h). No I/O. HF_E_ARGUMENT with the sentence. */
#ifndef HF_FLEET_NAMES_H
#define HF_FLEET_NAMES_H

#include "server/fleet/limits.h"

#include <holdfast/error.h>

#include <stddef.h>

/** hf_account_name_is_valid, with a sentence. */
HF_MUST_USE enum hf_err hf_name_check_account(const char *name, struct hf_why *why);
/** The same, of a CA of the signer. */
HF_MUST_USE enum hf_err hf_name_check_ca(const char *name, struct hf_why *why);
/** hf_device_id_is_valid, with a sentence. */
HF_MUST_USE enum hf_err hf_name_check_device(const char *name, struct hf_why *why);
/** [a-z0-9] then [a-z0-9._-], or "" for no group. */
HF_MUST_USE enum hf_err hf_name_check_group(const char *name, struct hf_why *why);
/** [A-Za-z0-9] then [A-Za-z0-9._-]. */
HF_MUST_USE enum hf_err hf_name_check_token(const char *name, struct hf_why *why);
/** 1 to HF_FLEET_IDEMPOTENCY_KEY_MAX printable ASCII characters. */
HF_MUST_USE enum hf_err hf_name_check_idempotency_key(const char *key, struct hf_why *why);
/** At most `max` bytes of UTF-8 without control characters; `what` names it ("reason"). May be
 *  empty. */
HF_MUST_USE enum hf_err hf_name_check_text(const char *what, const char *text, size_t max,
                                           struct hf_why *why);

#endif
