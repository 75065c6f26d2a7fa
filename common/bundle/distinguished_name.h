/* Distinguished names in DER (RFC 5280, 4.1.2.4), compared as chapter 7.1 has it. No I/O. */
#ifndef HF_COMMON_BUNDLE_DISTINGUISHED_NAME_H
#define HF_COMMON_BUNDLE_DISTINGUISHED_NAME_H

#include "common/bundle/der.h"

/**
 * Are the two names (Name, whole) the same? PrintableString and UTF8String are compared with each
 * other, whatever the case of ASCII letters is; all other kinds of text must be the same bytes. Mbed TLS
 * has the same rule, and a handshake needs its consent: so spaces are not folded, as the RFC asks.
 */
HF_MUST_USE bool hf_name_equal(struct hf_bytes a, struct hf_bytes b);

/** Is `name` in the subtree `base`: does it begin with all of its parts (4.2.1.10)? */
HF_MUST_USE bool hf_name_is_within(struct hf_bytes name, struct hf_bytes base);

/** Is it nothing but parts of attributes? hf_certificate_parse has seen to that for subject and issuer. */
HF_MUST_USE bool hf_name_is_whole(struct hf_bytes name);

bool hf_name_is_empty(struct hf_bytes name);

/** Equal for equal names; other names may share a hash by accident. */
uint64_t hf_name_hash(struct hf_bytes name);

/* The attributes of a name, in turn. */
struct hf_name_walk {
    struct hf_bytes parts;
    struct hf_bytes pairs; /* what is left of the part that is being read */
};

struct hf_name_walk hf_name_walk(struct hf_bytes name);

/** The next one: its object identifier and its value. False: there is none. */
HF_MUST_USE bool hf_name_next(struct hf_name_walk *walk, struct hf_der *oid, struct hf_der *value);

#endif
