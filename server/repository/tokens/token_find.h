/* Which key does a URI mean? Both halves of a pair are looked at: modules label them as they like. */
#ifndef HF_REPOSITORY_TOKEN_FIND_H
#define HF_REPOSITORY_TOKEN_FIND_H

#include "server/repository/tokens/token_object.h"

/** HF_E_NOT_FOUND: no token fits `uri`. */
HF_MUST_USE enum hf_err hf_token_fail_absent(const struct hf_token_list *tokens,
                                             const struct hf_token_uri *uri, struct hf_why *why);

/** HF_E_KEY: `uri` fits more than one key; names some of them. */
HF_MUST_USE enum hf_err hf_token_fail_ambiguous(const struct hf_token_objects *found,
                                                const struct hf_token_uri *uri, struct hf_why *why);

#endif
