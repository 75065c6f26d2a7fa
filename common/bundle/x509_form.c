#include "common/bundle/x509_form.h"

#include "common/bundle/der.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>

#include <stdio.h>
#include <string.h>

enum {
    TAG_VERSION = HF_DER_CONTEXT | HF_DER_CONSTRUCTED | 0,
    TAG_ISSUER_ID = HF_DER_CONTEXT | 1,
    TAG_SUBJECT_ID = HF_DER_CONTEXT | 2,
    TAG_EXTENSIONS = HF_DER_CONTEXT | HF_DER_CONSTRUCTED | 3,
};

/* AlgorithmIdentifier: an OBJECT IDENTIFIER, and at most one value of parameters. */
static bool take_algorithm(struct hf_bytes *in, struct hf_der *whole, struct hf_bytes *oid)
{
    struct hf_der id, parameters;
    if (!hf_der_take_tag(in, HF_DER_SEQUENCE, whole))
        return false;
    struct hf_bytes rest = whole->contents;
    if (!hf_der_take_tag(&rest, HF_DER_OID, &id) || id.contents.len == 0)
        return false;
    if (rest.len > 0 && (!hf_der_take(&rest, &parameters) || rest.len > 0))
        return false;
    *oid = id.contents;
    return true;
}

static bool is_time(const struct hf_der *value)
{
    size_t n_digits = value->tag == HF_DER_UTC_TIME           ? 12
                      : value->tag == HF_DER_GENERALIZED_TIME ? 14
                                                              : 0;
    if (n_digits == 0 || value->contents.len != n_digits + 1 ||
        value->contents.data[n_digits] != 'Z')
        return false;
    for (size_t i = 0; i < n_digits; i++) {
        if (value->contents.data[i] < '0' || value->contents.data[i] > '9')
            return false;
    }
    return true;
}

static bool take_validity(struct hf_bytes *in, struct hf_x509_form *form)
{
    struct hf_der validity, from, to;
    if (!hf_der_take_tag(in, HF_DER_SEQUENCE, &validity))
        return false;
    struct hf_bytes rest = validity.contents;
    if (!hf_der_take(&rest, &from) || !is_time(&from) || !hf_der_take(&rest, &to) ||
        !is_time(&to) || rest.len > 0)
        return false;
    form->not_before = from.contents;
    form->not_after = to.contents;
    return true;
}

/* Name: a SEQUENCE of SETs of at least one {OBJECT IDENTIFIER, value}. */
static bool take_name(struct hf_bytes *in, struct hf_bytes *out)
{
    struct hf_der name, set, pair, oid, text;
    if (!hf_der_take_tag(in, HF_DER_SEQUENCE, &name))
        return false;
    struct hf_bytes sets = name.contents;
    while (sets.len > 0) {
        if (!hf_der_take_tag(&sets, HF_DER_SET, &set) || set.contents.len == 0)
            return false;
        struct hf_bytes pairs = set.contents;
        while (pairs.len > 0) {
            if (!hf_der_take_tag(&pairs, HF_DER_SEQUENCE, &pair))
                return false;
            struct hf_bytes rest = pair.contents;
            if (!hf_der_take_tag(&rest, HF_DER_OID, &oid) || !hf_der_take(&rest, &text) ||
                rest.len > 0)
                return false;
        }
    }
    *out = name.whole;
    return true;
}

static bool is_bit_string(const struct hf_der *value)
{
    return value->contents.len > 1 && value->contents.data[0] < 8;
}

static bool take_key(struct hf_bytes *in, struct hf_x509_form *form)
{
    struct hf_der spki, algorithm, key;
    struct hf_bytes oid;
    if (!hf_der_take_tag(in, HF_DER_SEQUENCE, &spki))
        return false;
    struct hf_bytes rest = spki.contents;
    form->spki = spki.whole;
    return take_algorithm(&rest, &algorithm, &oid) &&
           hf_der_take_tag(&rest, HF_DER_BIT_STRING, &key) && is_bit_string(&key) && rest.len == 0;
}

/* {OBJECT IDENTIFIER, BOOLEAN TRUE if it is critical, OCTET STRING}. */
bool hf_x509_extension_take(struct hf_bytes *extensions, struct hf_x509_extension *out)
{
    struct hf_der extension, id, critical, content;
    bool is_critical = false;

    if (!hf_der_take_tag(extensions, HF_DER_SEQUENCE, &extension))
        return false;
    struct hf_bytes rest = extension.contents;
    if (!hf_der_take_tag(&rest, HF_DER_OID, &id))
        return false;
    if (hf_der_take_tag(&rest, HF_DER_BOOLEAN, &critical)) {
        if (critical.contents.len != 1)
            return false;
        is_critical = critical.contents.data[0] != 0;
    }
    if (!hf_der_take_tag(&rest, HF_DER_OCTET_STRING, &content) || rest.len > 0)
        return false;
    *out = (struct hf_x509_extension){id.contents, content.contents, is_critical};
    return true;
}

static bool take_extensions(struct hf_bytes *in, struct hf_bytes *out)
{
    struct hf_x509_extension extension;
    struct hf_der wrapper, list;
    if (!hf_der_take_tag(in, TAG_EXTENSIONS, &wrapper))
        return false;
    struct hf_bytes rest = wrapper.contents;
    if (!hf_der_take_tag(&rest, HF_DER_SEQUENCE, &list) || rest.len > 0)
        return false;
    rest = list.contents;
    while (rest.len > 0) {
        if (!hf_x509_extension_take(&rest, &extension))
            return false;
    }
    *out = list.contents;
    return true;
}

static bool take_version(struct hf_bytes *in, int64_t *out)
{
    struct hf_der wrapper, number;
    *out = 1;
    if (!hf_der_take_tag(in, TAG_VERSION, &wrapper))
        return true;
    struct hf_bytes rest = wrapper.contents;
    if (!hf_der_take_tag(&rest, HF_DER_INTEGER, &number) || rest.len > 0 ||
        number.contents.len != 1 || number.contents.data[0] >= 0x80)
        return false;
    *out = number.contents.data[0] + 1;
    return true;
}

static bool parse_tbs(struct hf_bytes in, struct hf_x509_form *form, struct hf_der *algorithm)
{
    struct hf_der serial, id;
    if (!take_version(&in, &form->version) || !hf_der_take_tag(&in, HF_DER_INTEGER, &serial) ||
        serial.contents.len == 0 || !take_algorithm(&in, algorithm, &form->signature_oid) ||
        !take_name(&in, &form->issuer) || !take_validity(&in, form) ||
        !take_name(&in, &form->subject) || !take_key(&in, form))
        return false;
    form->serial = serial.contents;
    (void)hf_der_take_tag(&in, TAG_ISSUER_ID, &id); /* each of the three may be absent */
    (void)hf_der_take_tag(&in, TAG_SUBJECT_ID, &id);
    return in.len == 0 || (take_extensions(&in, &form->extensions) && in.len == 0);
}

bool hf_x509_form_parse(struct hf_bytes der, struct hf_x509_form *out)
{
    struct hf_x509_form form = {0};
    struct hf_der certificate, tbs, inner, outer, signature;
    struct hf_bytes oid;

    if (!hf_der_is_well_formed(der) || !hf_der_take_tag(&der, HF_DER_SEQUENCE, &certificate) ||
        der.len > 0)
        return false;
    struct hf_bytes rest = certificate.contents;
    if (!hf_der_take_tag(&rest, HF_DER_SEQUENCE, &tbs) || !take_algorithm(&rest, &outer, &oid) ||
        !hf_der_take_tag(&rest, HF_DER_BIT_STRING, &signature) || !is_bit_string(&signature) ||
        rest.len > 0)
        return false;
    /* Both places name the algorithm (4.1.1.2): a damaged byte in one of them is found so. */
    if (!parse_tbs(tbs.contents, &form, &inner) || !hf_bytes_equal(inner.whole, outer.whole))
        return false;
    form.tbs = tbs.whole;
    form.algorithm = outer.whole;
    form.signature = signature.contents;
    *out = form;
    return true;
}

static mbedtls_asn1_buf asn1_oid(struct hf_bytes oid)
{
    return (mbedtls_asn1_buf){MBEDTLS_ASN1_OID, oid.len, (unsigned char *)(uintptr_t)oid.data};
}

/* "1.3.101.112", or "an unreadable number". */
static void oid_text(struct hf_bytes oid, char out[64])
{
    const mbedtls_asn1_buf buf = asn1_oid(oid);
    if (mbedtls_oid_get_numeric_string(out, 64, &buf) < 0)
        (void)snprintf(out, 64, "an unreadable number");
}

/* ", NAME=" and the printable characters of `text`; what does not fit is cut. */
static void append_attribute(struct hf_bytes oid, struct hf_bytes text, char out[HF_DN_TEXT_MAX])
{
    const mbedtls_asn1_buf buf = asn1_oid(oid);
    const char *name = NULL;
    char number[64];
    size_t len = strlen(out);
    if (mbedtls_oid_get_attr_short_name(&buf, &name) != 0) {
        oid_text(oid, number);
        name = number;
    }
    (void)snprintf(out + len, HF_DN_TEXT_MAX - len, "%s%s=", len == 0 ? "" : ", ", name);
    len = strlen(out);
    for (size_t i = 0; i < text.len && len < HF_DN_TEXT_MAX - 1; i++)
        out[len++] = text.data[i] >= ' ' && text.data[i] < 0x7F ? (char)text.data[i] : '?';
    out[len] = '\0';
}

void hf_x509_form_name(struct hf_bytes name, char out[HF_DN_TEXT_MAX])
{
    struct hf_der whole, set, pair, oid, text;

    out[0] = '\0';
    if (!hf_der_take_tag(&name, HF_DER_SEQUENCE, &whole))
        return;
    struct hf_bytes sets = whole.contents;
    while (hf_der_take_tag(&sets, HF_DER_SET, &set)) {
        struct hf_bytes pairs = set.contents;
        while (hf_der_take_tag(&pairs, HF_DER_SEQUENCE, &pair)) {
            struct hf_bytes rest = pair.contents;
            if (hf_der_take_tag(&rest, HF_DER_OID, &oid) && hf_der_take(&rest, &text))
                append_attribute(oid.contents, text.contents, out);
        }
    }
    if (out[0] == '\0')
        (void)snprintf(out, HF_DN_TEXT_MAX, "(an empty name)");
}

void hf_x509_oid_text(const char *what, struct hf_bytes oid, char out[HF_UNSUPPORTED_MAX])
{
    static const char *const names[][2] = {
        {"1.3.101.112", "Ed25519"},
        {"1.3.101.113", "Ed448"},
        {"2.16.840.1.101.3.4.3.17", "ML-DSA-44"},
        {"2.16.840.1.101.3.4.3.18", "ML-DSA-65"},
        {"2.16.840.1.101.3.4.3.19", "ML-DSA-87"},
        {"2.16.840.1.101.3.4.3.10", "ECDSA with SHA3-256"},
        {"2.16.840.1.101.3.4.3.11", "ECDSA with SHA3-384"},
        {"2.16.840.1.101.3.4.3.12", "ECDSA with SHA3-512"},
        {"2.16.840.1.101.3.4.3.14", "RSA with SHA3-256"},
        {"2.16.840.1.101.3.4.3.15", "RSA with SHA3-384"},
        {"2.16.840.1.101.3.4.3.16", "RSA with SHA3-512"},
        {"1.2.840.113549.1.1.10", "RSASSA-PSS"},
        {"1.2.840.113549.1.1.14", "RSA with SHA-224"},
        {"1.2.840.10045.4.3.1", "ECDSA with SHA-224"},
        {"1.2.840.10040.4.1", "DSA"},
        {"1.3.132.0.10", "secp256k1"},
        {"1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"},
        {"1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"},
        {"1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"},
        {"2.5.29.32", "certificatePolicies"},
    };
    char number[64];
    oid_text(oid, number);
    const char *name = number;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i][0], number) == 0)
            name = names[i][1];
    }
    (void)snprintf(out, HF_UNSUPPORTED_MAX, "%s %s", what, name);
}

bool hf_x509_form_unsupported(const struct hf_x509_form *form, char out[HF_UNSUPPORTED_MAX])
{
    const mbedtls_asn1_buf signature = asn1_oid(form->signature_oid);
    mbedtls_md_type_t digest;
    mbedtls_pk_type_t type;

    if (form->version > 3) {
        (void)snprintf(out, HF_UNSUPPORTED_MAX, "X.509 version %lld", (long long)form->version);
        return true;
    }
    if (mbedtls_oid_get_sig_alg(&signature, &digest, &type) != 0) {
        hf_x509_oid_text("signature algorithm", form->signature_oid, out);
        return true;
    }
    return false;
}
