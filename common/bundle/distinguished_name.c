#include "common/bundle/distinguished_name.h"

#include "common/base/plaintext.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

enum same {
    DIFFERENT,
    UNKNOWN, /* by the rules that are followed here they are not the same */
    SAME,
};

/* ---- characters ------------------------------------------------------------------------------ */

#define END (-1)
#define NO_TEXT (-2)

/* One character as it is encoded. */
static int32_t take_char(uint8_t tag, struct hf_bytes *rest)
{
    size_t len = 1;
    uint32_t c = 0, last = 0x10FFFF;

    switch (tag) {
    case HF_DER_UTF8_STRING:
        len = hf_utf8_char(*rest, &c);
        break;
    case HF_DER_PRINTABLE_STRING:
    case HF_DER_IA5_STRING:
    case HF_DER_TELETEX_STRING:
        last = 0x7F;
        break;
    case HF_DER_BMP_STRING:
        len = 2;
        break;
    case HF_DER_UNIVERSAL_STRING:
        len = 4;
        break;
    default:
        return NO_TEXT;
    }
    if (rest->len == 0)
        return END;
    if (len == 0 || len > rest->len)
        return NO_TEXT;
    for (size_t i = 0; i < len && tag != HF_DER_UTF8_STRING; i++)
        c = c << 8 | rest->data[i];
    if (c > last || (c >= 0xD800 && c <= 0xDFFF))
        return NO_TEXT;
    *rest = (struct hf_bytes){rest->data + len, rest->len - len};
    return (int32_t)c;
}

/* Is it a letter with one counterpart in the other case? `*lower` becomes the lower one. Neither of
 * the two has another form by RFC 4518: what else there is among these letters is left out. */
static bool has_case(int32_t c, int32_t *lower)
{
    static const struct {
        int32_t first, last; /* the upper ones */
        int32_t step, to_lower;
    } rows[] = {
        {0x00C0, 0x00D6, 1, 32}, {0x00D8, 0x00DE, 1, 32},   {0x0100, 0x012E, 2, 1},
        {0x0134, 0x0136, 2, 1},  {0x0139, 0x013D, 2, 1},    {0x0141, 0x0147, 2, 1},
        {0x014A, 0x0176, 2, 1},  {0x0178, 0x0178, 1, -121}, {0x0179, 0x017D, 2, 1},
        {0x0386, 0x0386, 1, 38}, {0x0388, 0x038A, 1, 37},   {0x038C, 0x038C, 1, 64},
        {0x038E, 0x038F, 1, 63}, {0x0391, 0x03A1, 1, 32},   {0x03A3, 0x03AB, 1, 32},
        {0x03C2, 0x03C2, 1, 1},  {0x0400, 0x040F, 1, 80},   {0x0410, 0x042F, 1, 32},
    };

    if (c < 0x80) { /* nearly always */
        bool is_upper = c >= 'A' && c <= 'Z';
        if (!is_upper && (c < 'a' || c > 'z'))
            return false;
        *lower = is_upper ? c + ('a' - 'A') : c;
        return true;
    }
    if (c < 0x00C0 || c > 0x045F)
        return false;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int32_t uppers[] = {c, c - rows[i].to_lower};
        for (size_t k = 0; k < 2; k++)
            if (uppers[k] >= rows[i].first && uppers[k] <= rows[i].last &&
                (uppers[k] - rows[i].first) % rows[i].step == 0) {
                *lower = uppers[k] + rows[i].to_lower;
                return true;
            }
    }
    return false;
}

/* A value as it is compared, character by character. */
struct text {
    uint8_t tag;
    struct hf_bytes rest;
    bool is_begun;
    int32_t held; /* what comes behind a space; END: nothing is held */
};

static struct text text_of(const struct hf_der *value)
{
    return (struct text){.tag = value->tag, .rest = value->contents, .held = END};
}

static int32_t next_char(struct text *text)
{
    int32_t c = text->held;
    bool has_space = false;

    text->held = END;
    if (c != END)
        return c;
    while ((c = take_char(text->tag, &text->rest)) == ' ')
        has_space = true;
    if (c < 0)
        return c;
    (void)has_case(c, &c);
    if (has_space && text->is_begun) {
        text->held = c;
        c = ' ';
    }
    text->is_begun = true;
    return c;
}

/* Only characters for which these rules are all of the RFC's? Two such texts are the same or are
 * not. */
static bool is_plain(const struct hf_der *value)
{
    struct hf_bytes rest = value->contents;
    int32_t c, lower;

    while ((c = take_char(value->tag, &rest)) >= 0)
        if ((c < ' ' || c > '~') && !has_case(c, &lower))
            return false;
    return c == END;
}

static enum same compare_values(const struct hf_der *a, const struct hf_der *b)
{
    struct text left = text_of(a), right = text_of(b);
    int32_t c, other;

    if (a->tag == b->tag && hf_bytes_equal(a->contents, b->contents))
        return SAME;
    do {
        c = next_char(&left);
        other = next_char(&right);
    } while (c == other && c >= 0);
    if (c == END && other == END)
        return SAME;
    return is_plain(a) && is_plain(b) ? DIFFERENT : UNKNOWN;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static struct hf_bytes parts_of(struct hf_bytes name)
{
    struct hf_der whole;

    return hf_der_take_tag(&name, HF_DER_SEQUENCE, &whole) ? whole.contents : (struct hf_bytes){0};
}

bool hf_name_is_empty(struct hf_bytes name)
{
    return parts_of(name).len == 0;
}

/* The next {OBJECT IDENTIFIER, value} of a part. False, and nothing is taken: there is none, or it
 * is damaged. */
static bool take_pair(struct hf_bytes *pairs, struct hf_der *oid, struct hf_der *value)
{
    struct hf_bytes left = *pairs;
    struct hf_der pair;

    if (!hf_der_take_tag(&left, HF_DER_SEQUENCE, &pair))
        return false;
    struct hf_bytes rest = pair.contents;
    if (!hf_der_take_tag(&rest, HF_DER_OID, oid) || !hf_der_take(&rest, value) || rest.len > 0)
        return false;
    *pairs = left;
    return true;
}

static bool find_value(struct hf_bytes pairs, struct hf_bytes wanted, struct hf_der *value)
{
    struct hf_der oid;

    while (take_pair(&pairs, &oid, value))
        if (hf_bytes_equal(oid.contents, wanted))
            return true;
    return false;
}

/* How many attributes it has; 0: it is no set of them. */
static size_t count_set(struct hf_bytes pairs)
{
    struct hf_der oid, value;
    size_t n = 0;

    while (take_pair(&pairs, &oid, &value))
        if (++n > HF_NAME_ATTRIBUTES_MAX || find_value(pairs, oid.contents, &value))
            return 0;
    return n;
}

static enum same compare_parts(struct hf_bytes a, struct hf_bytes b)
{
    struct hf_der oid, left, right;
    enum same all = SAME;

    if (hf_bytes_equal(a, b))
        return SAME;
    size_t n = count_set(a), n_right = count_set(b);
    if (n == 0 || n_right == 0)
        return UNKNOWN;
    if (n != n_right)
        return DIFFERENT;
    while (all != DIFFERENT && take_pair(&a, &oid, &left)) {
        enum same one = find_value(b, oid.contents, &right) ? compare_values(&left, &right)
                                                            : DIFFERENT;
        all = one < all ? one : all;
    }
    return all;
}

enum hf_subtree hf_name_in_subtree(struct hf_bytes name, struct hf_bytes base)
{
    struct hf_bytes parts = parts_of(name), wanted = parts_of(base);
    struct hf_der part, other;
    enum same all = SAME;

    while (hf_der_take_tag(&wanted, HF_DER_SET, &other)) {
        enum same one = hf_der_take_tag(&parts, HF_DER_SET, &part)
                            ? compare_parts(part.contents, other.contents)
                            : DIFFERENT;
        if (one == DIFFERENT)
            return HF_SUBTREE_OUTSIDE;
        all = one < all ? one : all;
    }
    return all == SAME ? HF_SUBTREE_WITHIN : HF_SUBTREE_UNKNOWN;
}

bool hf_name_equal(struct hf_bytes a, struct hf_bytes b)
{
    struct hf_bytes left = parts_of(a), right = parts_of(b);
    struct hf_der part, other;

    while (hf_der_take_tag(&left, HF_DER_SET, &part))
        if (!hf_der_take_tag(&right, HF_DER_SET, &other) ||
            compare_parts(part.contents, other.contents) != SAME)
            return false;
    return right.len == 0;
}

/* ---- all attributes -------------------------------------------------------------------------- */

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

/* ---- hash: FNV-1a ---------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * FNV_PRIME;
}

static uint64_t mix_bytes(uint64_t hash, struct hf_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = mix(hash, bytes.data[i]);
    return mix(hash, UINT64_MAX); /* the end */
}

static uint64_t hash_value(uint64_t hash, const struct hf_der *value)
{
    struct text text = text_of(value);
    uint64_t of_text = hash;
    int32_t c;

    while ((c = next_char(&text)) >= 0)
        of_text = mix(of_text, (uint64_t)c);
    return c == END ? mix(of_text, UINT64_MAX) : mix_bytes(mix(hash, value->tag), value->contents);
}

uint64_t hf_name_hash(struct hf_bytes name)
{
    struct hf_bytes parts = parts_of(name);
    struct hf_der part, oid, value;
    uint64_t hash = FNV_BASIS;

    while (hf_der_take_tag(&parts, HF_DER_SET, &part)) {
        struct hf_bytes pairs = part.contents;
        uint64_t sum = 0; /* in any order the same */
        if (count_set(pairs) == 0)
            sum = mix_bytes(FNV_BASIS, pairs);
        else
            while (take_pair(&pairs, &oid, &value))
                sum += hash_value(mix_bytes(FNV_BASIS, oid.contents), &value);
        hash = mix(hash, sum);
    }
    return hash;
}
