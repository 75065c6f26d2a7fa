/*
 * Distinguished names in DER (RFC 5280, 4.1.2.4), compared by the rules of 7.1 that are listed
 * here. No I/O, no heap; the time goes by the length of the names.
 *
 * Text is PrintableString, UTF8String, IA5String, TeletexString, BMPString and UniversalString,
 * each read as Unicode. Spaces at the ends do not count, and several count as one. Case does not
 * count in ASCII, nor in the Latin, Greek and Cyrillic letters of U+00C0 to U+017E, U+0386 to
 * U+03CE and U+0400 to U+045F that have one counterpart. The attributes of one part
 * (RelativeDistinguishedName) are a set: 16 at most, no type twice (X.501, 9.3).
 *
 * Of RFC 4518 this is not done: the case of other letters ("ss" for a sharp s), composed and
 * compatible forms (NFKC), characters that are dropped or count as spaces. Domain names in other
 * scripts are not converted (7.3).
 *
 * What cannot be read so is the same only where its bytes are: values of other types, damaged text,
 * TeletexString beyond ASCII (programs read it in several ways), parts that are no such set.
 */
#ifndef HF_COMMON_BUNDLE_DISTINGUISHED_NAME_H
#define HF_COMMON_BUNDLE_DISTINGUISHED_NAME_H

#include "common/bundle/der.h"

#define HF_NAME_ATTRIBUTES_MAX 16 /* of one part; real ones have five at most */

/** Are the two names (Name, whole) the same? */
HF_MUST_USE bool hf_name_equal(struct hf_bytes a, struct hf_bytes b);

enum hf_subtree {
    HF_SUBTREE_OUTSIDE,
    HF_SUBTREE_UNKNOWN, /* not the same by the rules above, perhaps by those not followed */
    HF_SUBTREE_WITHIN,
};

/** Is `name` in the subtree `base`: does it begin with all of its parts (4.2.1.10)? */
HF_MUST_USE enum hf_subtree hf_name_in_subtree(struct hf_bytes name, struct hf_bytes base);

/** Is it nothing but parts of attributes? hf_certificate_parse has seen to that for subject and
 *  issuer. */
HF_MUST_USE bool hf_name_is_whole(struct hf_bytes name);

bool hf_name_is_empty(struct hf_bytes name);

/** Equal for equal names. Others may share a hash, by accident or because an attacker made them
 *  so. */
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
