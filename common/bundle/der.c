#include "common/bundle/der.h"

#include <limits.h>

#define DEPTH_MAX 16 /* of constructed values; names and extensions of certificates need 6 */
#define HIGH_TAG 0x1F
#define UNIVERSAL_END 0x40 /* tags from here on are of other classes */

bool hf_der_take(struct hf_bytes *in, struct hf_der *out)
{
    if (in->len < 2 || (in->data[0] & HIGH_TAG) == HIGH_TAG)
        return false;
    size_t len = in->data[1], header = 2;
    if (len >= 0x80) {
        size_t n_octets = len - 0x80;
        if (n_octets == 0 || n_octets > 3 || in->len - 2 < n_octets)
            return false;
        len = 0;
        for (size_t i = 0; i < n_octets; i++)
            len = len << 8 | in->data[2 + i];
        header += n_octets;
        if (len < 0x80 || len >> (8 * (n_octets - 1)) == 0)
            return false;
    }
    if (len > in->len - header)
        return false;
    out->tag = in->data[0];
    out->whole = (struct hf_bytes){in->data, header + len};
    out->contents = (struct hf_bytes){in->data + header, len};
    *in = (struct hf_bytes){in->data + header + len, in->len - header - len};
    return true;
}

bool hf_der_take_tag(struct hf_bytes *in, uint8_t tag, struct hf_der *out)
{
    struct hf_bytes rest = *in;
    struct hf_der value;

    if (!hf_der_take(&rest, &value) || value.tag != tag)
        return false;
    *in = rest;
    *out = value;
    return true;
}

/* Numbers of 7 bits a byte, all of them whole and none with a leading zero (X.690, 8.19.2). */
static bool is_object_identifier(struct hf_bytes oid)
{
    bool is_begun = false;

    for (size_t i = 0; i < oid.len; i++) {
        if (!is_begun && oid.data[i] == 0x80)
            return false;
        is_begun = oid.data[i] >= 0x80;
    }
    return oid.len > 0 && !is_begun;
}

/* Has the value the one encoding that its type leaves it (X.690, 8.3.2, 10.2, 11.1 and 11.2)? */
static bool is_canonical(uint8_t tag, struct hf_bytes value)
{
    const uint8_t *p = value.data;

    switch (tag) {
    case HF_DER_BOOLEAN: /* TRUE is FF, but Mbed TLS wrote 01 until 2016; such roots are in use */
        return value.len == 1;
    case HF_DER_INTEGER: /* no leading byte that says nothing */
        return value.len == 1 ||
               (value.len > 1 && !(p[0] == 0 && p[1] < 0x80) && !(p[0] == 0xFF && p[1] >= 0x80));
    case HF_DER_BIT_STRING: /* first the number of unused bits, which are 0 */
        return value.len > 0 && p[0] < 8 &&
               (value.len == 1 ? p[0] == 0 : (p[value.len - 1] & ((1u << p[0]) - 1)) == 0);
    case HF_DER_NULL:
        return value.len == 0;
    case HF_DER_OID:
        return is_object_identifier(value);
    case HF_DER_SEQUENCE:
    case HF_DER_SET:
        return true;
    default: /* of the universal types no other is constructed */
        return tag >= UNIVERSAL_END ||
               ((tag & HF_DER_CONSTRUCTED) == 0 && (tag | HF_DER_CONSTRUCTED) != HF_DER_SEQUENCE &&
                (tag | HF_DER_CONSTRUCTED) != HF_DER_SET);
    }
}

static bool is_row(struct hf_bytes in, unsigned depth, bool is_strict)
{
    struct hf_der value;

    if (depth > DEPTH_MAX)
        return false;
    while (in.len > 0) {
        if (!hf_der_take(&in, &value) || (is_strict && !is_canonical(value.tag, value.contents)))
            return false;
        if ((value.tag & HF_DER_CONSTRUCTED) != 0 && !is_row(value.contents, depth + 1, is_strict))
            return false;
    }
    return true;
}

bool hf_der_is_well_formed(struct hf_bytes in)
{
    return is_row(in, 0, false);
}

bool hf_der_is_canonical(struct hf_bytes in)
{
    return is_row(in, 0, true);
}

bool hf_der_read_count(struct hf_bytes in, int *out)
{
    if (in.len == 0 || in.data[0] >= 0x80 || (in.len > 1 && in.data[0] == 0 && in.data[1] < 0x80))
        return false;
    unsigned value = 0;
    for (size_t i = 0; i < in.len; i++)
        value = value > (unsigned)INT_MAX >> 8 ? (unsigned)INT_MAX : value << 8 | in.data[i];
    *out = (int)value;
    return true;
}
