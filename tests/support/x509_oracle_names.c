/* The oracle's names: RFC 5280, 4.2.1.10 and 7.1, and RFC 9525. */
#include "tests/support/x509_oracle_parts.h"

#include <openssl/err.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wctype.h>

/* A text that need not end with NUL. */
struct text {
    const char *at;
    size_t len;
};

static struct text text_of(const ASN1_STRING *string)
{
    return (struct text){(const char *)ASN1_STRING_get0_data(string),
                         (size_t)ASN1_STRING_length(string)};
}

static bool is_equal(struct text a, struct text b)
{
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

static bool has_nul(struct text text)
{
    return memchr(text.at, '\0', text.len) != NULL;
}

/* How one name lies to another one: of a wildcard some names may be inside; of a distinguished name
 * it may be unknown. */
enum match { OUTSIDE, INSIDE, PARTLY, NO_NAME };

/* ---- distinguished names: RFC 5280, 7.1 ------------------------------------------------------ */

/* A value, prepared for the comparison as common/bundle/distinguished_name.h promises it. */
struct prepared {
    uint32_t *at; /* NULL: it is no text */
    size_t len;
    bool is_plain; /* RFC 4518 would make the same of it */
};

/* Letters of the blocks below that have two counterparts, or several characters, or are another
 * form of one. */
static bool is_special(uint32_t c)
{
    static const uint32_t special[] = {0xb5,  0xdf,  0x130, 0x131, 0x132, 0x133,
                                       0x13f, 0x140, 0x149, 0x390, 0x3b0};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (c == special[i])
            return true;
    return false;
}

/** Lower case, by the C library. `*is_letter`: it has two cases, one character each. */
static uint32_t to_lower(uint32_t c, bool *is_letter)
{
    static locale_t unicode;
    if (unicode == NULL && (unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL)) == NULL)
        abort();
    *is_letter = (c <= 0x17e || (c >= 0x386 && c <= 0x3ce) || (c >= 0x400 && c <= 0x45f)) &&
                 !is_special(c) && (towlower_l(c, unicode) != c || towupper_l(c, unicode) != c);
    if (!*is_letter)
        return c;
    return c == 0x3c2 ? 0x3c3 : towlower_l(c, unicode); /* the sigma at the end of a word is one */
}

static bool is_text(const ASN1_STRING *value)
{
    struct text text = text_of(value);
    switch (ASN1_STRING_type(value)) {
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_IA5STRING:
    case V_ASN1_T61STRING:
        for (size_t i = 0; i < text.len; i++)
            if ((unsigned char)text.at[i] > 0x7f)
                return false;
        return true;
    case V_ASN1_UTF8STRING:
    case V_ASN1_BMPSTRING:
    case V_ASN1_UNIVERSALSTRING:
        return true;
    default:
        return false;
    }
}

static struct prepared prepare(const ASN1_STRING *value)
{
    struct prepared out = {.is_plain = true};
    unsigned char *utf8 = NULL;
    int len = is_text(value) ? ASN1_STRING_to_UTF8(&utf8, value) : -1;
    ERR_clear_error();
    if (len < 0)
        return out;
    out.at = calloc((size_t)len + 1, sizeof *out.at);
    if (out.at == NULL)
        abort();
    for (int at = 0; at < len;) {
        unsigned long c = 0;
        bool is_letter = false;
        int n = UTF8_getc(utf8 + at, len - at, &c);
        if (n <= 0)
            abort(); /* OpenSSL wrote it */
        at += n;
        uint32_t lower = to_lower((uint32_t)c, &is_letter);
        out.is_plain = out.is_plain && (is_letter || (c >= 0x20 && c <= 0x7e));
        if (c != ' ' || (out.len > 0 && out.at[out.len - 1] != ' '))
            out.at[out.len++] = lower;
    }
    if (out.len > 0 && out.at[out.len - 1] == ' ')
        out.len--;
    OPENSSL_free(utf8);
    return out;
}

static bool is_identical(const ASN1_STRING *a, const ASN1_STRING *b)
{
    return ASN1_STRING_cmp(a, b) == 0 && ((a->flags ^ b->flags) & 7) == 0; /* unused bits */
}

/** INSIDE: the same. PARTLY: not by these rules. */
static enum match compare_values(const ASN1_STRING *a, const ASN1_STRING *b)
{
    struct prepared left = prepare(a), right = prepare(b);
    bool is_text = left.at != NULL && right.at != NULL;
    enum match match = is_text && left.is_plain && right.is_plain ? OUTSIDE : PARTLY;
    if (is_identical(a, b) || (is_text && left.len == right.len &&
                               memcmp(left.at, right.at, left.len * sizeof *left.at) == 0))
        match = INSIDE;
    free(left.at);
    free(right.at);
    return match;
}

/** How many attributes the RDN has that begins at entry `at`. */
static int rdn_size(const X509_NAME *name, int at)
{
    int n = 1;
    while (at + n < X509_NAME_entry_count(name) &&
           X509_NAME_ENTRY_set(X509_NAME_get_entry(name, at + n)) ==
               X509_NAME_ENTRY_set(X509_NAME_get_entry(name, at)))
        n++;
    return n;
}

static const ASN1_OBJECT *type_at(const X509_NAME *name, int at)
{
    return X509_NAME_ENTRY_get_object(X509_NAME_get_entry(name, at));
}

static const ASN1_STRING *value_at(const X509_NAME *name, int at)
{
    return X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
}

/** Sixteen attributes at most, and no type twice. */
static bool is_set(const X509_NAME *name, int at)
{
    int n = rdn_size(name, at);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (OBJ_cmp(type_at(name, at + i), type_at(name, at + k)) == 0)
                return false;
    return n <= 16;
}

static bool is_identical_rdn(const X509_NAME *a, int at_a, const X509_NAME *b, int at_b)
{
    int n = rdn_size(a, at_a);
    bool is = n == rdn_size(b, at_b);
    for (int i = 0; is && i < n; i++)
        is = OBJ_cmp(type_at(a, at_a + i), type_at(b, at_b + i)) == 0 &&
             is_identical(value_at(a, at_a + i), value_at(b, at_b + i));
    return is;
}

/** The attributes of an RDN are a set: for each of `a` there is one in `b`, and there are as
 *  many. */
static enum match compare_rdns(const X509_NAME *a, int at_a, const X509_NAME *b, int at_b)
{
    enum match match = INSIDE;
    if (!is_set(a, at_a) || !is_set(b, at_b))
        return is_identical_rdn(a, at_a, b, at_b) ? INSIDE : PARTLY;
    int n = rdn_size(a, at_a);
    if (n != rdn_size(b, at_b))
        return OUTSIDE;
    for (int i = 0; i < n; i++) {
        enum match one = OUTSIDE;
        for (int k = 0; k < n; k++)
            if (OBJ_cmp(type_at(a, at_a + i), type_at(b, at_b + k)) == 0)
                one = compare_values(value_at(a, at_a + i), value_at(b, at_b + k));
        if (one == OUTSIDE)
            return OUTSIDE;
        match = one == PARTLY ? PARTLY : match;
    }
    return match;
}

/** Is `name` in the subtree of `base`: the same RDNs, and maybe more behind them? */
static enum match match_directory(const X509_NAME *name, const X509_NAME *base)
{
    enum match match = INSIDE;
    for (int at = 0, at_base = 0; at_base < X509_NAME_entry_count(base);) {
        enum match one = at < X509_NAME_entry_count(name) ? compare_rdns(name, at, base, at_base)
                                                          : OUTSIDE;
        if (one == OUTSIDE)
            return OUTSIDE;
        match = one == PARTLY ? PARTLY : match;
        at += rdn_size(name, at);
        at_base += rdn_size(base, at_base);
    }
    return match;
}

bool oracle_is_same_name(const X509_NAME *a, const X509_NAME *b)
{
    return match_directory(a, b) == INSIDE && match_directory(b, a) == INSIDE;
}

bool oracle_is_self_issued(const struct oracle_cert *cert)
{
    return oracle_is_same_name(X509_get_subject_name(cert->x509), X509_get_issuer_name(cert->x509));
}

/* ---- one name and one subtree: RFC 5280, 4.2.1.10 -------------------------------------------- */

/** RFC 1034, 3.5, as RFC 5280, 4.2.1.6, asks for it, and with the underscore that there is in
 *  practice. */
static bool is_dns_name(struct text name)
{
    size_t label = 0;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (c == '.' ? label == 0 : !isalnum(c) && c != '-' && c != '_')
            return false;
        label = c == '.' ? 0 : label + 1;
    }
    return label > 0;
}

/** "host.example" is in "example" and in "", and "badexample" is not. */
static bool is_below(struct text name, struct text base)
{
    if (base.len == 0)
        return true;
    if (name.len < base.len ||
        !is_equal((struct text){name.at + name.len - base.len, base.len}, base))
        return false;
    return name.len == base.len || name.at[name.len - base.len - 1] == '.';
}

/** A wildcard stands for all names of one label more, some of which may be in a subtree that it is
 *  not in. A leading period, of which the RFC says nothing here, is taken as it is for hosts of
 *  e-mail and URIs. */
static enum match match_dns(struct text name, struct text base)
{
    bool is_wildcard = name.len >= 2 && memcmp(name.at, "*.", 2) == 0;
    bool is_domain = base.len > 0 && base.at[0] == '.';
    struct text rest = {name.at + (is_wildcard ? 2 : 0), name.len - (is_wildcard ? 2 : 0)};
    struct text bare = {base.at + is_domain, base.len - is_domain};

    if (!is_dns_name(rest) || (base.len > 0 && !is_dns_name(bare)))
        return NO_NAME;
    if (!is_wildcard)
        return is_below(name, bare) && (!is_domain || name.len > base.len) ? INSIDE : OUTSIDE;
    if (is_below(rest, bare))
        return INSIDE;
    const char *dot = memchr(bare.at, '.', bare.len);
    size_t label = dot == NULL ? bare.len : (size_t)(dot - bare.at) + 1;
    struct text parent = {bare.at + label, bare.len - label};
    return !is_domain && dot != NULL && is_equal(parent, rest) ? PARTLY : OUTSIDE;
}

/** An address, and an address and its mask. */
static enum match match_ip(struct text name, struct text base)
{
    if ((name.len != 4 && name.len != 16) || (base.len != 8 && base.len != 32))
        return NO_NAME;
    bool has_zero = false;
    for (size_t bit = 0; bit < base.len * 4; bit++) {
        bool is_set = (base.at[base.len / 2 + bit / 8] >> (7 - bit % 8) & 1) != 0;
        if (is_set && has_zero)
            return NO_NAME;
        has_zero = has_zero || !is_set;
    }
    if (base.len != 2 * name.len)
        return OUTSIDE;
    for (size_t i = 0; i < name.len; i++)
        if (((name.at[i] ^ base.at[i]) & base.at[name.len + i]) != 0)
            return OUTSIDE;
    return INSIDE;
}

/* A host is that host; with a leading period, what is below it and not itself. */
static enum match match_host(struct text host, struct text base)
{
    bool is_domain = base.len > 0 && base.at[0] == '.';
    struct text bare = {base.at + is_domain, base.len - is_domain};
    if (!is_dns_name(host) || (base.len > 0 && !is_dns_name(bare)))
        return NO_NAME;
    if (base.len == 0)
        return INSIDE;
    if (!is_domain)
        return is_equal(host, base) ? INSIDE : OUTSIDE;
    return host.len > base.len && is_below(host, bare) ? INSIDE : OUTSIDE;
}

/** A mailbox, and a mailbox, a host, or a domain with a leading period. */
static enum match match_email(struct text name, struct text base)
{
    const char *at = memrchr(name.at, '@', name.len), *base_at = memrchr(base.at, '@', base.len);
    if (at == NULL || at == name.at || has_nul(name) || has_nul(base))
        return NO_NAME;
    size_t local = (size_t)(at - name.at),
           base_local = base_at == NULL ? 0 : (size_t)(base_at - base.at);
    struct text host = {at + 1, name.len - local - 1};
    if (base_at == NULL)
        return match_host(host, base);
    struct text base_host = {base_at + 1, base.len - base_local - 1};
    if (base_local == 0 || !is_dns_name(host) || !is_dns_name(base_host))
        return NO_NAME;
    return local == base_local && memcmp(name.at, base.at, local) == 0 && is_equal(host, base_host)
               ? INSIDE
               : OUTSIDE;
}

/** The host in a URI, which has to have one that is no address. */
static enum match match_uri(struct text name, struct text base)
{
    unsigned char address[16];
    char host[256] = "";
    const char *end = name.at + name.len, *at = memmem(name.at, name.len, "://", 3);
    if (at == NULL || has_nul(name))
        return NO_NAME;
    const char *from = at + 3, *to = from;
    for (; to < end && strchr("/?#", *to) == NULL; to++)
        if (*to == '@')
            from = to + 1;
    const char *port = memchr(from, ':', (size_t)(to - from));
    size_t len = (size_t)((port != NULL ? port : to) - from);
    if (len >= sizeof host)
        return NO_NAME;
    memcpy(host, from, len);
    if (inet_pton(AF_INET, host, address) == 1)
        return NO_NAME;
    return match_host((struct text){host, len}, base);
}

static enum match match_of(const GENERAL_NAME *name, const GENERAL_NAME *base)
{
    if (name->type != base->type)
        return OUTSIDE;
    switch (name->type) {
    case GEN_DNS:
        return match_dns(text_of(name->d.dNSName), text_of(base->d.dNSName));
    case GEN_IPADD:
        return match_ip(text_of(name->d.iPAddress), text_of(base->d.iPAddress));
    case GEN_EMAIL:
        return match_email(text_of(name->d.rfc822Name), text_of(base->d.rfc822Name));
    case GEN_URI:
        return match_uri(text_of(name->d.uniformResourceIdentifier),
                         text_of(base->d.uniformResourceIdentifier));
    case GEN_DIRNAME:
        if (name->d.directoryName == NULL)
            return NO_NAME;
        return match_directory(name->d.directoryName, base->d.directoryName);
    default:
        /* "either process the constraint or reject the certificate" */
        return NO_NAME;
    }
}

/* ---- all constraints on all names: 6.1.3 (b) and (c) ----------------------------------------- */

static const char *subtree_fault(const GENERAL_NAME *name, const GENERAL_SUBTREE *subtree,
                                 enum match *match)
{
    if (subtree->base->type != name->type) {
        *match = OUTSIDE;
        return NULL;
    }
    if ((subtree->minimum != NULL && oracle_number(subtree->minimum) != 0) ||
        subtree->maximum != NULL)
        return "a name constraint has a minimum or a maximum";
    *match = match_of(name, subtree->base);
    return *match == NO_NAME ? "a name or a name constraint cannot be compared" : NULL;
}

static const char *name_fault(const GENERAL_NAME *name, const NAME_CONSTRAINTS *constraints)
{
    bool is_constrained = false, is_permitted = false;
    enum match match;
    const char *fault;

    for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++) {
        const GENERAL_SUBTREE *subtree = sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees,
                                                                  i);
        if ((fault = subtree_fault(name, subtree, &match)) != NULL)
            return fault;
        is_constrained = is_constrained || subtree->base->type == name->type;
        is_permitted = is_permitted || match == INSIDE;
    }
    if (is_constrained && !is_permitted)
        return "a name is in no permitted subtree";
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees); i++) {
        const GENERAL_SUBTREE *subtree = sk_GENERAL_SUBTREE_value(constraints->excludedSubtrees, i);
        if ((fault = subtree_fault(name, subtree, &match)) != NULL)
            return fault;
        if (match != OUTSIDE)
            return "a name is in an excluded subtree";
    }
    return NULL;
}

/* The subject is a directoryName, where it is not empty. Where there is no rfc822Name, an address
 * of e-mail in it is one. */
static const char *subject_fault(const struct oracle_cert *cert,
                                 const NAME_CONSTRAINTS *constraints)
{
    X509_NAME *subject = X509_get_subject_name(cert->x509);
    GENERAL_NAME name = {.type = GEN_DIRNAME, .d = {.directoryName = subject}};
    const char *fault = NULL;

    if (X509_NAME_entry_count(subject) > 0)
        fault = name_fault(&name, constraints);
    for (int i = 0; i < sk_GENERAL_NAME_num(cert->names); i++)
        if (sk_GENERAL_NAME_value(cert->names, i)->type == GEN_EMAIL)
            return fault;
    for (int at = -1; fault == NULL;) {
        at = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, at);
        if (at < 0)
            break;
        name.type = GEN_EMAIL;
        name.d.rfc822Name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        fault = name_fault(&name, constraints);
    }
    return fault;
}

const char *oracle_name_fault(const struct oracle_cert *cert,
                              const struct oracle_cert *const *above, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (above[i]->constraints == NULL)
            continue;
        const char *fault = subject_fault(cert, above[i]->constraints);
        for (int k = 0; fault == NULL && k < sk_GENERAL_NAME_num(cert->names); k++)
            fault = name_fault(sk_GENERAL_NAME_value(cert->names, k), above[i]->constraints);
        if (fault != NULL)
            return fault;
    }
    return NULL;
}

/* ---- RFC 9525 -------------------------------------------------------------------------------- */

/* 6.3: a wildcard is the whole left-most label and stands for one label. */
static bool matches_host(struct text presented, const char *host)
{
    struct text wanted = {host, strlen(host)};
    if (has_nul(presented))
        return false;
    if (presented.len < 2 || memcmp(presented.at, "*.", 2) != 0)
        return is_equal(presented, wanted);
    const char *dot = strchr(host, '.');
    struct text rest = {presented.at + 2, presented.len - 2};
    if (dot == NULL || dot == host || memchr(rest.at, '.', rest.len) == NULL)
        return false;
    return is_equal(rest, (struct text){dot + 1, strlen(dot + 1)});
}

bool oracle_is_for_host(const struct oracle_cert *leaf, const char *host)
{
    unsigned char address[16];
    size_t len = inet_pton(AF_INET, host, address) == 1    ? 4
                 : inet_pton(AF_INET6, host, address) == 1 ? 16
                                                           : 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(leaf->names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(leaf->names, i);
        if (len == 0 && name->type == GEN_DNS && matches_host(text_of(name->d.dNSName), host))
            return true;
        if (len > 0 && name->type == GEN_IPADD && text_of(name->d.iPAddress).len == len &&
            memcmp(text_of(name->d.iPAddress).at, address, len) == 0)
            return true;
    }
    return false;
}
