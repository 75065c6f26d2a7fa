#include "common/chain/constraints.h"

#include "common/bundle/der.h"
#include "common/bundle/distinguished_name.h"

#include <string.h>

/* How a name lies to a constraint. A wildcard stands for many names, some of which may be within;
 * of some distinguished names it is not known. Both are refused, whether the subtree is permitted
 * or excluded. */
enum place {
    OUTSIDE,
    PARTLY,
    WITHIN,
    DAMAGED,
    UNKNOWN,
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool ends_with(struct hf_bytes text, struct hf_bytes end)
{
    if (end.len > text.len)
        return false;
    for (size_t i = 0; i < end.len; i++)
        if (lower(text.data[text.len - end.len + i]) != lower(end.data[i]))
            return false;
    return true;
}

static struct hf_bytes skip(struct hf_bytes text, size_t n)
{
    return (struct hf_bytes){text.data + n, text.len - n};
}

/* Labels of letters, digits, "-" and "_", which there is in practice; none of them empty. */
static bool is_dns_name(struct hf_bytes name)
{
    size_t label_len = 0;

    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = lower(name.data[i]);
        bool is_of_label = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '.' ? label_len == 0 : !is_of_label)
            return false;
        label_len = c == '.' ? 0 : label_len + 1;
    }
    return label_len > 0;
}

/* What a constraint may say of hosts: all of them, one, or with a dot in front those below it. */
static bool is_host_base(struct hf_bytes base)
{
    return base.len == 0 || is_dns_name(base.data[0] == '.' ? skip(base, 1) : base);
}

static bool has_nul(struct hf_bytes text)
{
    return text.len > 0 && memchr(text.data, '\0', text.len) != NULL;
}

/* `host` is `base`, or has labels in front of it. A `base` that begins with a dot is not itself
 * within: the RFC has that for URIs, and CAs write it for DNS names too. */
static bool is_host_within(struct hf_bytes host, struct hf_bytes base)
{
    if (base.len == 0)
        return true;
    if (!ends_with(host, base))
        return false;
    return base.data[0] == '.' ? host.len > base.len
                               : host.len == base.len || host.data[host.len - base.len - 1] == '.';
}

static enum place place_dns(struct hf_bytes name, struct hf_bytes base)
{
    bool is_wildcard = name.len > 2 && memcmp(name.data, "*.", 2) == 0;

    if (!is_host_base(base))
        return DAMAGED;
    if (!is_wildcard)
        return !is_dns_name(name) ? DAMAGED : is_host_within(name, base) ? WITHIN : OUTSIDE;
    struct hf_bytes parent = skip(name, 2);
    if (!is_dns_name(parent))
        return DAMAGED;
    /* All of its names have a label in front, so a `base` that begins with a dot has them too. */
    if (is_host_within(skip(name, 1), base.len > 0 && base.data[0] == '.' ? skip(base, 1) : base))
        return WITHIN;
    /* "*.a.example" and the constraint "b.a.example": one of its names. */
    return base.len > name.len - 1 && ends_with(base, skip(name, 1)) ? PARTLY : OUTSIDE;
}

/* The host of a mailbox, or NULL data where there is none. */
static struct hf_bytes host_of_mailbox(struct hf_bytes mailbox)
{
    size_t at = mailbox.len;

    while (at > 0 && mailbox.data[at - 1] != '@')
        at--;
    if (at < 2)
        return (struct hf_bytes){0};
    return skip(mailbox, at);
}

/* A mailbox, a host, or ".domain" for all hosts below one. The case of a mailbox's own part
 * counts. */
static enum place place_email(struct hf_bytes name, struct hf_bytes base)
{
    struct hf_bytes host = host_of_mailbox(name), base_host = host_of_mailbox(base);

    if (host.data == NULL || !is_dns_name(host) || has_nul(name) || has_nul(base) ||
        !(base_host.data != NULL ? is_dns_name(base_host) : is_host_base(base)))
        return DAMAGED;
    if (base_host.data != NULL) {
        size_t local = name.len - host.len;
        bool is_same = name.len == base.len && host.len == base_host.len &&
                       memcmp(name.data, base.data, local) == 0 && ends_with(host, base_host);
        return is_same ? WITHIN : OUTSIDE;
    }
    if (base.len > 0 && base.data[0] == '.')
        return is_host_within(host, base) ? WITHIN : OUTSIDE;
    return base.len == 0 || (host.len == base.len && ends_with(host, base)) ? WITHIN : OUTSIDE;
}

/* The host of "scheme://user@host:port/path". A constraint is for hosts with a name only. */
static struct hf_bytes host_of_uri(struct hf_bytes uri)
{
    size_t at = 0, end;

    while (at + 2 < uri.len && memcmp(uri.data + at, "://", 3) != 0)
        at++;
    if (at + 3 >= uri.len)
        return (struct hf_bytes){0};
    struct hf_bytes host = skip(uri, at + 3);
    for (end = 0; end < host.len && memchr("/?#", host.data[end], 3) == NULL; end++)
        ;
    host.len = end;
    for (at = host.len; at > 0 && host.data[at - 1] != '@'; at--)
        ;
    host = skip(host, at);
    for (end = 0; end < host.len && host.data[end] != ':'; end++)
        ;
    host.len = end;
    return host;
}

static enum place place_uri(struct hf_bytes name, struct hf_bytes base)
{
    struct hf_bytes host = host_of_uri(name);
    bool has_letter = false;

    for (size_t i = 0; i < host.len; i++)
        has_letter = has_letter || (lower(host.data[i]) >= 'a' && lower(host.data[i]) <= 'z');
    if (!is_dns_name(host) || !has_letter || host.data[0] == '[' || has_nul(name) ||
        !is_host_base(base))
        return DAMAGED; /* "MUST reject" (4.2.1.10): no host, or an address */
    if (base.len > 0 && base.data[0] == '.')
        return is_host_within(host, base) ? WITHIN : OUTSIDE;
    return base.len == 0 || (host.len == base.len && ends_with(host, base)) ? WITHIN : OUTSIDE;
}

/* An address and a mask (RFC 4632, 5.1). The two families have nothing in common. */
static enum place place_address(struct hf_bytes name, struct hf_bytes base)
{
    size_t len = base.len / 2;
    bool has_ended = false, is_within = name.len == len;

    if ((name.len != 4 && name.len != 16) || (base.len != 8 && base.len != 32))
        return DAMAGED;
    for (size_t i = 0; i < len; i++) {
        uint8_t mask = base.data[len + i], host = (uint8_t)~mask;
        if ((host & (host + 1)) != 0 || (has_ended && mask != 0))
            return DAMAGED; /* ones, then zeros */
        has_ended = has_ended || mask != 0xFF;
        is_within = is_within && ((name.data[i] ^ base.data[i]) & mask) == 0;
    }
    return is_within ? WITHIN : OUTSIDE;
}

static enum place place_name(const struct hf_general_name *name, struct hf_bytes base)
{
    switch (name->kind) {
    case HF_NAME_DNS:
        return place_dns(name->value, base);
    case HF_NAME_ADDRESS:
        return place_address(name->value, base);
    case HF_NAME_DIRECTORY:
        if (!hf_name_is_whole(name->value))
            return DAMAGED;
        switch (hf_name_in_subtree(name->value, base)) {
        case HF_SUBTREE_OUTSIDE:
            return OUTSIDE;
        case HF_SUBTREE_UNKNOWN:
            return PARTLY;
        case HF_SUBTREE_WITHIN:
            return WITHIN;
        }
        break;
    case HF_NAME_EMAIL:
        return place_email(name->value, base);
    case HF_NAME_URI:
        return place_uri(name->value, base);
    case HF_NAME_OTHER:
    case HF_NAME_X400:
    case HF_NAME_EDI_PARTY:
    case HF_NAME_REGISTERED_ID:
    case HF_NAME_UNKNOWN:
        break;
    }
    return UNKNOWN;
}

/* ---- one certificate ------------------------------------------------------------------------- */

struct check {
    struct hf_bytes permitted, excluded; /* GeneralSubtree, one behind the other */
    unsigned *budget;
    struct hf_constraint_breach *breach; /* NULL: not wanted */
    bool is_servers;                     /* the certificate is the server's own */
};

/* A GeneralSubtree: a name. The minimum is 0 and there is no maximum, so DER has neither. */
static bool take_subtree(struct hf_bytes *rest, struct hf_general_name *out)
{
    struct hf_der subtree;

    if (!hf_der_take_tag(rest, HF_DER_SEQUENCE, &subtree))
        return false;
    struct hf_bytes name = subtree.contents;
    return hf_general_name_take(&name, out) && name.len == 0;
}

/* Pay for a look at a subtree, and for the bytes of names that are read for it: they may be
 * long. */
static bool pay(unsigned *budget, enum hf_name_kind kind, size_t n_read)
{
    size_t price = 1 + n_read / (kind == HF_NAME_DIRECTORY ? HF_CONSTRAINT_DIRECTORY_BYTES
                                                           : HF_CONSTRAINT_BYTES);
    bool is_enough = price <= *budget;

    *budget -= is_enough ? (unsigned)price : *budget;
    return is_enough;
}

/* All are read before any decides, so that none is damaged behind the one that does. */
static enum hf_constraint_verdict check_form(struct hf_bytes subtrees, unsigned *budget)
{
    struct hf_general_name base;

    while (subtrees.len > 0) {
        if (!take_subtree(&subtrees, &base))
            return HF_CONSTRAINT_DAMAGED;
        const bool is_read = base.kind == HF_NAME_DIRECTORY;
        if (!pay(budget, base.kind, is_read ? base.value.len : 0))
            return HF_CONSTRAINT_TOO_MANY;
        if (is_read && !hf_name_is_whole(base.value))
            return HF_CONSTRAINT_DAMAGED;
    }
    return HF_CONSTRAINT_ALLOWS;
}

/* A name must be within one of the permitted subtrees of its kind, where there are any, and touch
 * none of the excluded ones. */
static enum hf_constraint_verdict find(const struct check *check, struct hf_bytes subtrees,
                                       const struct hf_general_name *name, bool is_permitted)
{
    struct hf_general_name base;
    bool is_constrained = false;

    while (take_subtree(&subtrees, &base)) {
        const bool is_read = base.kind == name->kind;
        if (!pay(check->budget, base.kind, is_read ? name->value.len + base.value.len : 0))
            return HF_CONSTRAINT_TOO_MANY;
        if (!is_read)
            continue;
        is_constrained = true;
        enum place place = place_name(name, base.value);
        if (place == DAMAGED || place == UNKNOWN)
            return place == DAMAGED ? HF_CONSTRAINT_DAMAGED : HF_CONSTRAINT_UNKNOWN;
        if (is_permitted && place == WITHIN)
            return HF_CONSTRAINT_ALLOWS;
        if (!is_permitted && place != OUTSIDE) {
            if (check->breach != NULL)
                check->breach->excluded = base;
            return HF_CONSTRAINT_BREAKS;
        }
    }
    return is_permitted && is_constrained ? HF_CONSTRAINT_BREAKS : HF_CONSTRAINT_ALLOWS;
}

static enum hf_constraint_verdict check_name(const struct check *check, enum hf_name_kind kind,
                                             struct hf_bytes value)
{
    const struct hf_general_name name = {kind, value};
    enum hf_constraint_verdict verdict = find(check, check->excluded, &name, false);

    if (verdict == HF_CONSTRAINT_ALLOWS)
        verdict = find(check, check->permitted, &name, true);
    if (check->breach != NULL &&
        (verdict == HF_CONSTRAINT_BREAKS || verdict == HF_CONSTRAINT_UNKNOWN))
        check->breach->name = name;
    return verdict;
}

static bool is_email_address(struct hf_bytes oid)
{
    static const uint8_t email[] = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01};

    return hf_bytes_equal(oid, (struct hf_bytes){email, sizeof email});
}

/* Could a client that takes common names be asked for this one? Then it is a DNS name, damaged or
 * not. */
static bool could_be_host(struct hf_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = lower(text.data[i]);
        bool is_of_host = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80 ||
                          (c != '\0' && strchr("-_.*", c) != NULL);
        if (!is_of_host)
            return false;
    }
    return text.len > 0;
}

/* The subject, and in it mailboxes (4.2.1.10), and common names where they are all that names a
 * host. */
static enum hf_constraint_verdict check_subject(const struct check *check,
                                                const struct hf_certificate *cert)
{
    struct hf_bytes subject = cert->form.subject, common_name;
    struct hf_name_walk walk = hf_name_walk(subject);
    enum hf_constraint_verdict verdict = HF_CONSTRAINT_ALLOWS;
    struct hf_der oid, value;

    if (!hf_name_is_empty(subject))
        verdict = check_name(check, HF_NAME_DIRECTORY, subject);
    while (verdict == HF_CONSTRAINT_ALLOWS && hf_name_next(&walk, &oid, &value))
        if (is_email_address(oid.contents))
            verdict = check_name(check, HF_NAME_EMAIL, value.contents);
    if (!check->is_servers || hf_certificate_has_host_name(cert))
        return verdict;
    walk = hf_name_walk(subject);
    while (verdict == HF_CONSTRAINT_ALLOWS && hf_common_name_take(&walk, &common_name))
        if (could_be_host(common_name))
            verdict = check_name(check, HF_NAME_DNS, common_name);
    return verdict;
}

/* NameConstraints: [0] permitted, [1] excluded, at least one of them, and each not empty. */
static bool read_constraints(struct hf_bytes in, struct check *check)
{
    struct hf_der list;

    if (hf_der_take_tag(&in, HF_DER_CONTEXT | HF_DER_CONSTRUCTED | 0, &list))
        check->permitted = list.contents;
    if (hf_der_take_tag(&in, HF_DER_CONTEXT | HF_DER_CONSTRUCTED | 1, &list))
        check->excluded = list.contents;
    return in.len == 0 && (check->permitted.len > 0 || check->excluded.len > 0);
}

enum hf_constraint_verdict hf_constraints_check(const struct hf_certificate *ca,
                                                const struct hf_certificate *cert, bool is_servers,
                                                unsigned *budget,
                                                struct hf_constraint_breach *breach)
{
    struct check check = {.budget = budget, .breach = breach, .is_servers = is_servers};
    struct hf_bytes rest = cert->alt_names;
    struct hf_general_name own;

    if (ca->constraints.data == NULL)
        return HF_CONSTRAINT_ALLOWS;
    if (!read_constraints(ca->constraints, &check))
        return HF_CONSTRAINT_DAMAGED;
    enum hf_constraint_verdict verdict = check_form(check.permitted, budget);
    if (verdict == HF_CONSTRAINT_ALLOWS)
        verdict = check_form(check.excluded, budget);
    if (verdict == HF_CONSTRAINT_ALLOWS)
        verdict = check_subject(&check, cert);
    while (verdict == HF_CONSTRAINT_ALLOWS && rest.len > 0)
        verdict = hf_general_name_take(&rest, &own) ? check_name(&check, own.kind, own.value)
                                                    : HF_CONSTRAINT_DAMAGED;
    return verdict;
}
