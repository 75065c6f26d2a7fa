/*
 * The public part of a key as a token shows it (CKA_EC_PARAMS, CKA_EC_POINT), checked and turned
 * into the key object of TUF metadata. The bytes may be anything: a token is not trusted. No I/O.
 */
#ifndef HF_REPOSITORY_TOKEN_POINT_H
#define HF_REPOSITORY_TOKEN_POINT_H

#include "server/repository/tokens/token.h"

/** The curve of CKA_EC_PARAMS (PKCS#11 v3.0, 2.3.3: an OID, or its name as a PrintableString).
 *  False for all others. */
HF_MUST_USE bool hf_token_curve_parse(struct hf_bytes ec_params, enum hf_token_key_type *out);

/**
 * CKA_EC_POINT as a key object (TUF 4.2.1); `*out` is a new reference. Read as the DER OCTET STRING
 * that PKCS#11 asks for and as the bare point that some tokens give. HF_E_KEY for everything else,
 * and for a point that is not on the curve, which would be no key.
 */
HF_MUST_USE enum hf_err hf_token_point_to_json(enum hf_token_key_type type,
                                               struct hf_bytes ec_point, json_t **out,
                                               struct hf_why *why);

#endif
