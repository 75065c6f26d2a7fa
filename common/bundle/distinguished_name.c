#include "common/bundle/distinguished_name.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static bool is_folded(const struct hf_der *value)
{
    return value->tag == HF_DER_UTF8_STRING || value->tag == HF_DER_PRINTABLE_STRING;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool text_equal(const struct hf_der *a, const struct hf_der *b)
{
    if (!is_folded(a) || !is_folded(b))
        return a->tag == b->tag && hf_bytes_equal(a->contents, b->contents);
    if (a->contents.len != b->contents.len)
        return false;
    for (size_t i = 0; i < a->contents.len; i++)
        if (lower(a->contents.data[i]) != lower(b->contents.data[i]))
            return false;
    return true;
}

static struct hf_bytes parts_of(struct hf_bytes name)
{
    struct hf_der whole;

    return hf_der_take_tag(&name, HF_DER_SEQUENCE, &whole) ? whole.contents : (struct hf_bytes){0};
}

bool hf_name_is_empty(struct hf_bytes name)
{
    return parts_of(name).len == 0;
}

/* The next {OBJECT IDENTIFIER, value} of a part. */
static bool take_pair(struct hf_bytes *pairs, struct hf_der *oid, struct hf_der *value)
{
    struct hf_der pair;

    if (!hf_der_take_tag(pairs, HF_DER_SEQUENCE, &pair))
        return false;
    struct hf_bytes rest = pair.contents;
    return hf_der_take_tag(&rest, HF_DER_OID, oid) && hf_der_take(&rest, value);
}

/* DER sorts the pairs of a part, so equal parts have them in the same order. */
static bool part_equal(struct hf_bytes a, struct hf_bytes b)
{
    struct hf_der left_oid, left, right_oid, right;

    while (a.len > 0 && b.len > 0)
        if (!take_pair(&a, &left_oid, &left) || !take_pair(&b, &right_oid, &right) ||
            !hf_bytes_equal(left_oid.contents, right_oid.contents) || !text_equal(&left, &right))
            return false;
    return a.len == b.len;
}

bool hf_name_is_within(struct hf_bytes name, struct hf_bytes base)
{
    struct hf_bytes parts = parts_of(name), wanted = parts_of(base);
    struct hf_der part, other;

    while (hf_der_take_tag(&wanted, HF_DER_SET, &other))
        if (!hf_der_take_tag(&parts, HF_DER_SET, &part) ||
            !part_equal(part.contents, other.contents))
            return false;
    return true;
}

bool hf_name_equal(struct hf_bytes a, struct hf_bytes b)
{
    return hf_bytes_equal(a, b) || (hf_name_is_within(a, b) && hf_name_is_within(b, a));
}

/* FNV-1a. A crafted collision gains nothing: the names themselves are compared. */
static uint64_t mix(uint64_t hash, struct hf_bytes bytes, bool fold)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (fold ? lower(bytes.data[i]) : bytes.data[i])) * FNV_PRIME;
    return hash * FNV_PRIME; /* the end: a byte 0 */
}

struct hf_name_walk hf_name_walk(struct hf_bytes name)
{
    return (struct hf_name_walk){.parts = parts_of(name)};
}

bool hf_name_next(struct hf_name_walk *walk, struct hf_der *oid, struct hf_der *value)
{
    struct hf_der part;

    if (walk->pairs.len == 0) {
        if (!hf_der_take_tag(&walk->parts, HF_DER_SET, &part))
            return false;
        walk->pairs = part.contents;
    }
    return take_pair(&walk->pairs, oid, value);
}

bool hf_name_is_whole(struct hf_bytes name)
{
    struct hf_name_walk walk = hf_name_walk(name);
    struct hf_der oid, value;

    while (hf_name_next(&walk, &oid, &value))
        ;
    return walk.parts.len == 0 && walk.pairs.len == 0;
}

uint64_t hf_name_hash(struct hf_bytes name)
{
    struct hf_name_walk walk = hf_name_walk(name);
    struct hf_der oid, value;
    uint64_t hash = FNV_BASIS;

    while (hf_name_next(&walk, &oid, &value))
        hash = mix(mix(hash, oid.contents, false), value.contents, is_folded(&value));
    return hash;
}
