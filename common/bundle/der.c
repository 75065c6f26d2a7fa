#include "common/bundle/der.h"

#define DEPTH_MAX 16 /* of constructed values; names and extensions of certificates need 6 */
#define HIGH_TAG 0x1F

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

static bool is_well_formed(struct hf_bytes in, unsigned depth)
{
    struct hf_der value;

    if (depth > DEPTH_MAX)
        return false;
    while (in.len > 0) {
        if (!hf_der_take(&in, &value))
            return false;
        if ((value.tag & HF_DER_CONSTRUCTED) != 0 && !is_well_formed(value.contents, depth + 1))
            return false;
    }
    return true;
}

bool hf_der_is_well_formed(struct hf_bytes in)
{
    return is_well_formed(in, 0);
}
