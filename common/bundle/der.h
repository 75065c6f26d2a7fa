/*
 * A reader of strict DER (X.690, chapter 10): bytes in, values that point into them out. It holds
 * nothing and allocates nothing. No I/O.
 */
#ifndef HF_COMMON_BUNDLE_DER_H
#define HF_COMMON_BUNDLE_DER_H

#include <holdfast/bytes.h>

enum {
    HF_DER_BOOLEAN = 0x01,
    HF_DER_INTEGER = 0x02,
    HF_DER_BIT_STRING = 0x03,
    HF_DER_OCTET_STRING = 0x04,
    HF_DER_NULL = 0x05,
    HF_DER_OID = 0x06,
    HF_DER_UTF8_STRING = 0x0C,
    HF_DER_PRINTABLE_STRING = 0x13,
    HF_DER_TELETEX_STRING = 0x14,
    HF_DER_IA5_STRING = 0x16,
    HF_DER_UTC_TIME = 0x17,
    HF_DER_GENERALIZED_TIME = 0x18,
    HF_DER_UNIVERSAL_STRING = 0x1C,
    HF_DER_BMP_STRING = 0x1E,
    HF_DER_SEQUENCE = 0x30,
    HF_DER_SET = 0x31,
    HF_DER_CONTEXT = 0x80,     /* [n] of bytes; add n */
    HF_DER_CONSTRUCTED = 0x20, /* [n] of values: HF_DER_CONTEXT | HF_DER_CONSTRUCTED | n */
};

struct hf_der {
    uint8_t tag;
    struct hf_bytes whole; /* tag and length included */
    struct hf_bytes contents;
};

/**
 * Take the value at the start of `in`, which becomes what follows it. False, and nothing is taken,
 * for what is not DER: definite, minimal lengths only (X.690, 10.1), and no tag numbers above 30,
 * because nothing in a certificate has them.
 */
HF_MUST_USE bool hf_der_take(struct hf_bytes *in, struct hf_der *out);

/** The same, for a value with this tag only. An optional value may be absent, so the answer need
 *  not be looked at. */
bool hf_der_take_tag(struct hf_bytes *in, uint8_t tag, struct hf_der *out);

/** Is all of `in` a row of whole values, and each constructed one too, 16 deep at most? */
HF_MUST_USE bool hf_der_is_well_formed(struct hf_bytes in);

/** The same, and has each INTEGER, BIT STRING, NULL and OBJECT IDENTIFIER the only encoding of its
 *  value (X.690, 8.3.2, 8.19.2, 11.2), and is nothing constructed that must not be (10.2)? TRUE may
 *  be any byte but 0, as old roots have it. What an OCTET STRING holds is not looked at. */
HF_MUST_USE bool hf_der_is_canonical(struct hf_bytes in);

/** The contents of an INTEGER that counts something: not negative; more than INT_MAX is INT_MAX. */
HF_MUST_USE bool hf_der_read_count(struct hf_bytes contents, int *out);

#endif
