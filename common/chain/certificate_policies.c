#include "common/chain/certificate_policies.h"

#include "common/bundle/der.h"

/* The policies of one level of the RFC's tree: what its nodes expect of the next certificate. The
 * levels above are not needed to know whether the tree is empty. */
struct level {
    struct hf_bytes policies[HF_POLICIES_MAX];
    size_t n;
    bool has_any;
    bool is_too_large;
};

static bool is_any(struct hf_bytes policy)
{
    static const uint8_t any[] = {0x55, 0x1D, 0x20, 0x00};

    return hf_bytes_equal(policy, (struct hf_bytes){any, sizeof any});
}

static bool contains(const struct level *level, struct hf_bytes policy)
{
    for (size_t i = 0; i < level->n; i++)
        if (hf_bytes_equal(level->policies[i], policy))
            return true;
    return false;
}

static void add(struct level *level, struct hf_bytes policy)
{
    if (contains(level, policy))
        return;
    if (level->n == HF_POLICIES_MAX)
        level->is_too_large = true;
    else
        level->policies[level->n++] = policy;
}

static void drop(struct level *level, struct hf_bytes policy)
{
    for (size_t i = 0; i < level->n; i++)
        if (hf_bytes_equal(level->policies[i], policy))
            level->policies[i--] = level->policies[--level->n];
}

/* PolicyInformation: its first value is the policy. A policy may be there once (4.2.1.4). */
static bool take_policy(struct hf_bytes *rest, struct hf_bytes *out)
{
    struct hf_der information, oid;

    if (!hf_der_take_tag(rest, HF_DER_SEQUENCE, &information))
        return false;
    struct hf_bytes contents = information.contents;
    if (!hf_der_take_tag(&contents, HF_DER_OID, &oid) || !hf_der_is_canonical(oid.whole))
        return false;
    *out = oid.contents;
    return true;
}

/* 6.1.3 d and e */
static void enter(struct level *level, const struct hf_certificate *cert, bool is_any_allowed)
{
    struct hf_bytes rest = cert->policies, policy;
    struct level next = {.is_too_large = level->is_too_large};
    bool has_any = false;

    while (take_policy(&rest, &policy)) {
        if (is_any(policy))
            has_any = is_any_allowed;
        else if (level->has_any || contains(level, policy))
            add(&next, policy);
    }
    for (size_t i = 0; has_any && i < level->n; i++)
        add(&next, level->policies[i]);
    next.has_any = has_any && level->has_any;
    *level = next;
}

/* 6.1.4 a and b. False: a mapping from or to anyPolicy. */
static bool map(struct level *level, const struct hf_certificate *cert, bool is_allowed)
{
    struct hf_bytes rest = cert->mappings, from, to;
    struct level before = *level;

    while (hf_certificate_take_mapping(&rest, &from, &to)) {
        if (is_any(from) || is_any(to))
            return false;
        drop(level, from);
    }
    rest = cert->mappings;
    while (is_allowed && hf_certificate_take_mapping(&rest, &from, &to))
        if (before.has_any || contains(&before, from))
            add(level, to);
    return true;
}

/* A number of certificates that counts down to 0. */
static void lower_to(size_t *count, int limit)
{
    if (limit != HF_NO_LIMIT && (size_t)limit < *count)
        *count = (size_t)limit;
}

static void count_down(size_t *count)
{
    if (*count > 0)
        --*count;
}

bool hf_policies_allow(const struct hf_certificate *const *path, size_t n)
{
    const size_t never = n + 1; /* certificates from here */
    size_t until_required = never, until_no_mapping = never, until_no_any = never;
    struct level level = {.has_any = true};

    for (size_t i = 0; i < n; i++) {
        const struct hf_certificate *cert = path[i];
        bool is_last = i + 1 == n;
        if (i > 0 || cert->policies.data != NULL) /* an anchor that names no policy is for any */
            enter(&level, cert, until_no_any > 0 || (!is_last && cert->is_self_issued));
        if (until_required == 0 && level.n == 0 && !level.has_any) /* 6.1.3 f */
            return false;
        if (is_last) { /* 6.1.5 a and b */
            count_down(&until_required);
            if (cert->require_policy == 0)
                until_required = 0;
            break;
        }
        if (cert->mappings.data != NULL && !map(&level, cert, until_no_mapping > 0))
            return false;
        if (!cert->is_self_issued) { /* 6.1.4 h */
            count_down(&until_required);
            count_down(&until_no_mapping);
            count_down(&until_no_any);
        }
        lower_to(&until_required, cert->require_policy); /* 6.1.4 i and j */
        lower_to(&until_no_mapping, cert->inhibit_mapping);
        lower_to(&until_no_any, cert->inhibit_any);
    }
    return until_required > 0 || (!level.is_too_large && (level.n > 0 || level.has_any));
}
