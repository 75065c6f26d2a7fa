#include "common/bundle/certificate.h"

#include "common/base/timetext.h"
#include "common/bundle/der.h"
#include "common/bundle/distinguished_name.h"

#include <mbedtls/platform.h>

#include <string.h>

/* ---- values of extensions -------------------------------------------------------------------- */

/* Exactly one value of `tag`, and nothing behind it. */
static bool take_only(struct hf_bytes in, uint8_t tag, struct hf_bytes *out)
{
    struct hf_der value;

    if (!hf_der_take_tag(&in, tag, &value) || in.len > 0)
        return false;
    *out = value.contents;
    return true;
}

static bool read_basic_constraints(struct hf_bytes in, struct hf_certificate *cert)
{
    struct hf_bytes list;
    struct hf_der value;

    if (!hf_der_is_canonical(in) || !take_only(in, HF_DER_SEQUENCE, &list))
        return false;
    if (hf_der_take_tag(&list, HF_DER_BOOLEAN, &value))
        cert->is_ca = value.contents.data[0] != 0;
    if (hf_der_take_tag(&list, HF_DER_INTEGER, &value) &&
        !hf_der_read_count(value.contents, &cert->path_len))
        return false;
    return list.len == 0;
}

static bool read_key_usage(struct hf_bytes in, struct hf_certificate *cert)
{
    struct hf_bytes bits;

    if (!hf_der_is_canonical(in) || !take_only(in, HF_DER_BIT_STRING, &bits))
        return false;
    cert->has_key_usage = true;
    /* As Mbed TLS has them: the second byte holds decipherOnly. */
    for (size_t i = 1; i < bits.len && i < 3; i++)
        cert->key_usage |= (unsigned)bits.data[i] << (8 * (i - 1));
    return true;
}

static bool read_authority_key_id(struct hf_bytes in, struct hf_certificate *cert)
{
    struct hf_bytes list;
    struct hf_der value;

    if (!take_only(in, HF_DER_SEQUENCE, &list))
        return false;
    if (hf_der_take_tag(&list, HF_DER_CONTEXT | 0, &value))
        cert->authority_key_id = value.contents;
    while (list.len > 0) { /* the issuer and its serial number, which say no more */
        if (!hf_der_take(&list, &value))
            return false;
    }
    return true;
}

/* requireExplicitPolicy and inhibitPolicyMapping, at least one of them (4.2.1.11). */
static bool read_policy_constraints(struct hf_bytes in, struct hf_certificate *cert)
{
    struct hf_bytes list;
    struct hf_der value;

    if (!take_only(in, HF_DER_SEQUENCE, &list) || list.len == 0)
        return false;
    if (hf_der_take_tag(&list, HF_DER_CONTEXT | 0, &value) &&
        !hf_der_read_count(value.contents, &cert->require_policy))
        return false;
    if (hf_der_take_tag(&list, HF_DER_CONTEXT | 1, &value) &&
        !hf_der_read_count(value.contents, &cert->inhibit_mapping))
        return false;
    return list.len == 0;
}

/* A SEQUENCE of at least one value, each of them with this tag; 0: with any. */
static bool read_list(struct hf_bytes in, uint8_t tag, struct hf_bytes *out)
{
    struct hf_bytes list;
    struct hf_der value;

    if (!take_only(in, HF_DER_SEQUENCE, &list) || list.len == 0)
        return false;
    *out = list;
    while (list.len > 0) {
        if (!hf_der_take(&list, &value) || (tag != 0 && value.tag != tag) ||
            value.contents.len == 0)
            return false;
    }
    return true;
}

bool hf_certificate_take_mapping(struct hf_bytes *mappings, struct hf_bytes *from,
                                 struct hf_bytes *to)
{
    struct hf_der pair, first, second;

    if (!hf_der_take_tag(mappings, HF_DER_SEQUENCE, &pair) ||
        !hf_der_take_tag(&pair.contents, HF_DER_OID, &first) ||
        !hf_der_take_tag(&pair.contents, HF_DER_OID, &second) || pair.contents.len > 0)
        return false;
    *from = first.contents;
    *to = second.contents;
    return true;
}

static bool read_mappings(struct hf_bytes in, struct hf_bytes *out)
{
    struct hf_bytes from, to;

    if (!hf_der_is_canonical(in) || !read_list(in, HF_DER_SEQUENCE, out))
        return false;
    for (struct hf_bytes rest = *out; rest.len > 0;)
        if (!hf_certificate_take_mapping(&rest, &from, &to))
            return false;
    return true;
}

/* Where the policies are critical, a qualifier that is not understood is a reason to refuse
 * (4.2.1.4). Those of the RFC, a pointer and a notice, are for people. */
static bool has_unknown_qualifier(struct hf_bytes in)
{
    static const uint8_t id_qt[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x02}; /* .1 and .2 */
    struct hf_der policies, policy, id, qualifiers, qualifier, kind;

    if (!hf_der_take_tag(&in, HF_DER_SEQUENCE, &policies))
        return true;
    while (hf_der_take_tag(&policies.contents, HF_DER_SEQUENCE, &policy)) {
        (void)hf_der_take_tag(&policy.contents, HF_DER_OID, &id);
        if (!hf_der_take_tag(&policy.contents, HF_DER_SEQUENCE, &qualifiers))
            continue;
        while (hf_der_take_tag(&qualifiers.contents, HF_DER_SEQUENCE, &qualifier)) {
            struct hf_bytes rest = qualifier.contents;
            if (!hf_der_take_tag(&rest, HF_DER_OID, &kind) ||
                kind.contents.len != sizeof id_qt + 1 ||
                memcmp(kind.contents.data, id_qt, sizeof id_qt) != 0 ||
                kind.contents.data[sizeof id_qt] < 1 || kind.contents.data[sizeof id_qt] > 2)
                return true;
        }
    }
    return false;
}

static bool read_inhibit_any(struct hf_bytes in, struct hf_certificate *cert)
{
    struct hf_bytes number;

    return hf_der_is_canonical(in) && take_only(in, HF_DER_INTEGER, &number) &&
           hf_der_read_count(number, &cert->inhibit_any);
}

/* ---- extensions ------------------------------------------------------------------------------ */

/* The last byte of 2.5.29.n, which all of these begin with. */
enum {
    SUBJECT_KEY_ID = 14,
    KEY_USAGE = 15,
    SUBJECT_ALT_NAME = 17,
    ISSUER_ALT_NAME = 18,
    BASIC_CONSTRAINTS = 19,
    NAME_CONSTRAINTS = 30,
    POLICIES = 32,
    POLICY_MAPPINGS = 33,
    AUTHORITY_KEY_ID = 35,
    POLICY_CONSTRAINTS = 36,
    EXT_KEY_USAGE = 37,
    INHIBIT_ANY_POLICY = 54,
};

static bool read_extension(const struct hf_x509_extension *e, struct hf_certificate *cert)
{
    static const uint8_t id_ce[] = {0x55, 0x1D};
    bool is_id_ce = e->oid.len == sizeof id_ce + 1 && memcmp(e->oid.data, id_ce, 2) == 0;
    const uint8_t which = is_id_ce ? e->oid.data[sizeof id_ce] : 0;

    cert->has_critical_constraints |= e->is_critical &&
                                      (which == NAME_CONSTRAINTS || which == POLICIES ||
                                       which == POLICY_MAPPINGS || which == POLICY_CONSTRAINTS ||
                                       which == INHIBIT_ANY_POLICY);
    switch (which) {
    case SUBJECT_KEY_ID:
        return take_only(e->content, HF_DER_OCTET_STRING, &cert->subject_key_id);
    case KEY_USAGE:
        return read_key_usage(e->content, cert);
    case SUBJECT_ALT_NAME:
        return hf_der_is_canonical(e->content) && read_list(e->content, 0, &cert->alt_names);
    case BASIC_CONSTRAINTS:
        return read_basic_constraints(e->content, cert);
    case NAME_CONSTRAINTS:
        return hf_der_is_canonical(e->content) &&
               take_only(e->content, HF_DER_SEQUENCE, &cert->constraints) &&
               cert->constraints.len > 0;
    case POLICIES:
        if (e->is_critical && cert->unknown_critical.data == NULL &&
            has_unknown_qualifier(e->content))
            cert->unknown_critical = e->oid;
        return read_list(e->content, HF_DER_SEQUENCE, &cert->policies);
    case POLICY_MAPPINGS:
        return read_mappings(e->content, &cert->mappings);
    case AUTHORITY_KEY_ID:
        return read_authority_key_id(e->content, cert);
    case POLICY_CONSTRAINTS:
        return read_policy_constraints(e->content, cert);
    case EXT_KEY_USAGE:
        return hf_der_is_canonical(e->content) &&
               read_list(e->content, HF_DER_OID, &cert->ext_key_usage);
    case INHIBIT_ANY_POLICY:
        return read_inhibit_any(e->content, cert);
    case ISSUER_ALT_NAME: /* says nothing that a verifier asks */
        return true;
    default:
        if (e->is_critical && cert->unknown_critical.data == NULL)
            cert->unknown_critical = e->oid;
        return true;
    }
}

/* Not two of one kind (4.2). */
static bool read_extensions(struct hf_certificate *cert)
{
    struct hf_bytes rest = cert->form.extensions, seen[HF_CERT_EXTENSIONS_MAX];
    struct hf_x509_extension extension;
    size_t n = 0;

    while (hf_x509_extension_take(&rest, &extension)) {
        if (n == HF_CERT_EXTENSIONS_MAX || !read_extension(&extension, cert))
            return false;
        for (size_t i = 0; i < n; i++)
            if (hf_bytes_equal(seen[i], extension.oid))
                return false;
        seen[n++] = extension.oid;
    }
    return true;
}

/* ---- the certificate ------------------------------------------------------------------------- */

static int two_digits(const uint8_t *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* UTCTime has two digits for the years 1950 to 2049 (4.1.2.5.1). */
static bool read_time(struct hf_bytes text, int64_t *out_s)
{
    const uint8_t *p = text.data;
    int year = two_digits(p);

    if (text.len == sizeof "YYMMDDhhmmssZ" - 1) {
        year += year < 50 ? 2000 : 1900;
        p += 2;
    } else {
        year = year * 100 + two_digits(p + 2);
        p += 4;
    }
    return hf_time_from_civil(year, two_digits(p), two_digits(p + 2), two_digits(p + 4),
                              two_digits(p + 6), two_digits(p + 8), out_s);
}

bool hf_certificate_parse(struct hf_bytes der, struct hf_certificate *out)
{
    struct hf_certificate cert = {
        .der = der,
        .path_len = HF_NO_LIMIT,
        .require_policy = HF_NO_LIMIT,
        .inhibit_mapping = HF_NO_LIMIT,
        .inhibit_any = HF_NO_LIMIT,
    };
    const struct hf_x509_form *form = &cert.form;

    if (der.len > HF_CERT_DER_MAX || !hf_x509_form_parse(der, &cert.form) ||
        !hf_der_is_canonical(der) || form->version > 3 || form->serial.len > HF_CERT_SERIAL_MAX ||
        !read_time(form->not_before, &cert.not_before_s) ||
        !read_time(form->not_after, &cert.not_after_s))
        return false;
    /* Only version 3 has extensions (4.1.2.9). */
    if (form->extensions.len > 0 && (form->version != 3 || !read_extensions(&cert)))
        return false;
    cert.subject_hash = hf_name_hash(form->subject);
    cert.issuer_hash = hf_name_hash(form->issuer);
    cert.is_self_issued = cert.subject_hash == cert.issuer_hash &&
                          hf_name_equal(form->subject, form->issuer);
    *out = cert;
    return true;
}

bool hf_certificate_is_issuer(const struct hf_certificate *cert, bool is_anchor)
{
    if (hf_name_is_empty(cert->form.subject)) /* 4.1.2.4 */
        return false;
    if (cert->form.version < 3)
        return is_anchor;
    return cert->is_ca &&
           (!cert->has_key_usage || (cert->key_usage & MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0);
}

bool hf_certificate_allows_server_auth(const struct hf_certificate *cert)
{
    static const uint8_t server_auth[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    static const uint8_t any[] = {0x55, 0x1D, 0x25, 0x00};
    struct hf_bytes rest = cert->ext_key_usage;
    struct hf_der purpose;

    if (rest.data == NULL)
        return true;
    while (hf_der_take(&rest, &purpose))
        if (hf_bytes_equal(purpose.contents, (struct hf_bytes){server_auth, sizeof server_auth}) ||
            hf_bytes_equal(purpose.contents, (struct hf_bytes){any, sizeof any}))
            return true;
    return false;
}

bool hf_certificate_has_other_key_id(const struct hf_certificate *issuer,
                                     const struct hf_certificate *child)
{
    return issuer->subject_key_id.len > 0 && child->authority_key_id.len > 0 &&
           !hf_bytes_equal(issuer->subject_key_id, child->authority_key_id);
}

static int accept_extension(void *ctx, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
                            int is_critical, const unsigned char *p, const unsigned char *end)
{
    (void)ctx, (void)crt, (void)oid, (void)is_critical, (void)p, (void)end;
    return 0;
}

int hf_x509_parse(mbedtls_x509_crt *crt, struct hf_bytes der, bool has_copy)
{
    return mbedtls_x509_crt_parse_der_with_ext_cb(crt, der.data, der.len, has_copy,
                                                  accept_extension, NULL);
}

mbedtls_x509_crt *hf_x509_new(void)
{
    mbedtls_x509_crt *crt = mbedtls_calloc(1, sizeof *crt);

    if (crt != NULL)
        mbedtls_x509_crt_init(crt);
    return crt;
}
