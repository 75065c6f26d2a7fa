#include "common/bundle/x509_form.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 16 /* of constructed values; names and extensions of certificates need 6 */

enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OID = 0x06,
    TAG_UTC_TIME = 0x17,
    TAG_GENERALIZED_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xA0,
    TAG_ISSUER_ID = 0x81,
    TAG_SUBJECT_ID = 0x82,
    TAG_EXTENSIONS = 0xA3,
    CONSTRUCTED = 0x20,
    HIGH_TAG = 0x1F,
};

struct value {
    uint8_t tag;
    struct hf_bytes whole; /* tag and length included */
    struct hf_bytes contents;
};

/* The value at the start of `in`, which becomes what follows it. Definite, minimal lengths only
 * (X.690, 10.1), and no tag numbers above 30: nothing in a certificate has them. */
static bool take(struct hf_bytes *in, struct value *out)
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

static bool take_tag(struct hf_bytes *in, uint8_t tag, struct value *out)
{
    struct hf_bytes rest = *in;
    struct value value;
    if (!take(&rest, &value) || value.tag != tag)
        return false;
    *in = rest;
    *out = value;
    return true;
}

/* Is `contents` a row of whole values, each of them too? */
static bool is_well_formed(struct hf_bytes contents, unsigned depth)
{
    struct value value;
    if (depth > DEPTH_MAX)
        return false;
    while (contents.len > 0) {
        if (!take(&contents, &value))
            return false;
        if ((value.tag & CONSTRUCTED) != 0 && !is_well_formed(value.contents, depth + 1))
            return false;
    }
    return true;
}

/* AlgorithmIdentifier: an OBJECT IDENTIFIER, and at most one value of parameters. */
static bool take_algorithm(struct hf_bytes *in, struct value *whole, struct hf_bytes *oid)
{
    struct value id, parameters;
    if (!take_tag(in, TAG_SEQUENCE, whole))
        return false;
    struct hf_bytes rest = whole->contents;
    if (!take_tag(&rest, TAG_OID, &id) || id.contents.len == 0)
        return false;
    if (rest.len > 0 && (!take(&rest, &parameters) || rest.len > 0))
        return false;
    *oid = id.contents;
    return true;
}

static bool is_time(const struct value *value)
{
    size_t n_digits = value->tag == TAG_UTC_TIME ? 12 : value->tag == TAG_GENERALIZED_TIME ? 14 : 0;
    if (n_digits == 0 || value->contents.len != n_digits + 1 ||
        value->contents.data[n_digits] != 'Z')
        return false;
    for (size_t i = 0; i < n_digits; i++) {
        if (value->contents.data[i] < '0' || value->contents.data[i] > '9')
            return false;
    }
    return true;
}

static bool take_validity(struct hf_bytes *in)
{
    struct value validity, from, to;
    if (!take_tag(in, TAG_SEQUENCE, &validity))
        return false;
    struct hf_bytes rest = validity.contents;
    return take(&rest, &from) && is_time(&from) && take(&rest, &to) && is_time(&to) &&
           rest.len == 0;
}

/* Name: a SEQUENCE of SETs of at least one {OBJECT IDENTIFIER, value}. */
static bool take_name(struct hf_bytes *in, struct hf_bytes *out)
{
    struct value name, set, pair, oid, text;
    if (!take_tag(in, TAG_SEQUENCE, &name))
        return false;
    struct hf_bytes sets = name.contents;
    while (sets.len > 0) {
        if (!take_tag(&sets, TAG_SET, &set) || set.contents.len == 0)
            return false;
        struct hf_bytes pairs = set.contents;
        while (pairs.len > 0) {
            if (!take_tag(&pairs, TAG_SEQUENCE, &pair))
                return false;
            struct hf_bytes rest = pair.contents;
            if (!take_tag(&rest, TAG_OID, &oid) || !take(&rest, &text) || rest.len > 0)
                return false;
        }
    }
    *out = name.whole;
    return true;
}

static bool is_bit_string(const struct value *value)
{
    return value->contents.len > 1 && value->contents.data[0] < 8;
}

static bool take_key(struct hf_bytes *in, struct hf_x509_form *form)
{
    struct value spki, algorithm, key;
    if (!take_tag(in, TAG_SEQUENCE, &spki))
        return false;
    struct hf_bytes rest = spki.contents;
    form->spki = spki.whole;
    return take_algorithm(&rest, &algorithm, &form->key_oid) &&
           take_tag(&rest, TAG_BIT_STRING, &key) && is_bit_string(&key) && rest.len == 0;
}

/* The next extension: {OBJECT IDENTIFIER, BOOLEAN TRUE if it is critical, OCTET STRING}. */
static bool take_extension(struct hf_bytes *in, struct hf_bytes *oid, bool *is_critical)
{
    struct value extension, id, critical, content;
    if (!take_tag(in, TAG_SEQUENCE, &extension))
        return false;
    struct hf_bytes rest = extension.contents;
    *is_critical = false;
    if (!take_tag(&rest, TAG_OID, &id))
        return false;
    if (take_tag(&rest, TAG_BOOLEAN, &critical)) {
        if (critical.contents.len != 1)
            return false;
        *is_critical = critical.contents.data[0] != 0;
    }
    *oid = id.contents;
    return take_tag(&rest, TAG_OCTET_STRING, &content) && rest.len == 0;
}

static bool take_extensions(struct hf_bytes *in, struct hf_bytes *out)
{
    struct value wrapper, list;
    struct hf_bytes oid;
    bool is_critical;
    if (!take_tag(in, TAG_EXTENSIONS, &wrapper))
        return false;
    struct hf_bytes rest = wrapper.contents;
    if (!take_tag(&rest, TAG_SEQUENCE, &list) || rest.len > 0)
        return false;
    rest = list.contents;
    while (rest.len > 0) {
        if (!take_extension(&rest, &oid, &is_critical))
            return false;
    }
    *out = list.contents;
    return true;
}

static bool take_version(struct hf_bytes *in, int64_t *out)
{
    struct value wrapper, number;
    *out = 1;
    if (!take_tag(in, TAG_VERSION, &wrapper))
        return true;
    struct hf_bytes rest = wrapper.contents;
    if (!take_tag(&rest, TAG_INTEGER, &number) || rest.len > 0 || number.contents.len != 1 ||
        number.contents.data[0] >= 0x80)
        return false;
    *out = number.contents.data[0] + 1;
    return true;
}

static bool parse_tbs(struct hf_bytes in, struct hf_x509_form *form, struct value *algorithm)
{
    struct value serial, id;
    if (!take_version(&in, &form->version) || !take_tag(&in, TAG_INTEGER, &serial) ||
        serial.contents.len == 0 || !take_algorithm(&in, algorithm, &form->signature_oid) ||
        !take_name(&in, &form->issuer) || !take_validity(&in) || !take_name(&in, &form->subject) ||
        !take_key(&in, form))
        return false;
    (void)take_tag(&in, TAG_ISSUER_ID, &id); /* each of the three may be absent */
    (void)take_tag(&in, TAG_SUBJECT_ID, &id);
    return in.len == 0 || (take_extensions(&in, &form->extensions) && in.len == 0);
}

bool hf_x509_form_parse(struct hf_bytes der, struct hf_x509_form *out)
{
    struct hf_x509_form form = {0};
    struct value certificate, tbs, inner, outer, signature;
    struct hf_bytes oid;

    if (!is_well_formed(der, 0) || !take_tag(&der, TAG_SEQUENCE, &certificate) || der.len > 0)
        return false;
    struct hf_bytes rest = certificate.contents;
    if (!take_tag(&rest, TAG_SEQUENCE, &tbs) || !take_algorithm(&rest, &outer, &oid) ||
        !take_tag(&rest, TAG_BIT_STRING, &signature) || !is_bit_string(&signature) || rest.len > 0)
        return false;
    /* Both places name the algorithm (4.1.1.2): a damaged byte in one of them is found so. */
    if (!parse_tbs(tbs.contents, &form, &inner) || !hf_bytes_equal(inner.whole, outer.whole))
        return false;
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
    struct value whole, set, pair, oid, text;

    out[0] = '\0';
    if (!take_tag(&name, TAG_SEQUENCE, &whole))
        return;
    struct hf_bytes sets = whole.contents;
    while (take_tag(&sets, TAG_SET, &set)) {
        struct hf_bytes pairs = set.contents;
        while (take_tag(&pairs, TAG_SEQUENCE, &pair)) {
            struct hf_bytes rest = pair.contents;
            if (take_tag(&rest, TAG_OID, &oid) && take(&rest, &text))
                append_attribute(oid.contents, text.contents, out);
        }
    }
    if (out[0] == '\0')
        (void)snprintf(out, HF_DN_TEXT_MAX, "(an empty name)");
}

/* "key type Ed25519", or the number of an algorithm or extension without a name here. */
static void name_oid(const char *what, struct hf_bytes oid, char out[HF_UNSUPPORTED_MAX])
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
        {"1.2.840.10040.4.1", "DSA"},
        {"2.5.29.30", "nameConstraints"},
        {"2.5.29.36", "policyConstraints"},
        {"2.5.29.33", "policyMappings"},
        {"2.5.29.54", "inhibitAnyPolicy"},
        {"2.5.29.18", "issuerAltName"},
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
    const mbedtls_asn1_buf key = asn1_oid(form->key_oid);
    mbedtls_md_type_t digest;
    mbedtls_pk_type_t type;
    struct hf_bytes rest = form->extensions, oid;
    bool is_critical;

    if (form->version > 3) {
        (void)snprintf(out, HF_UNSUPPORTED_MAX, "X.509 version %lld", (long long)form->version);
        return true;
    }
    if (mbedtls_oid_get_sig_alg(&signature, &digest, &type) != 0) {
        name_oid("signature algorithm", form->signature_oid, out);
        return true;
    }
    if (mbedtls_oid_get_pk_alg(&key, &type) != 0) {
        name_oid("key type", form->key_oid, out);
        return true;
    }
    while (take_extension(&rest, &oid, &is_critical)) {
        const mbedtls_asn1_buf id = asn1_oid(oid);
        int extension = 0;
        /* Of certificatePolicies Mbed TLS takes anyPolicy only, if the extension is critical. */
        bool is_known = mbedtls_oid_get_x509_ext_type(&id, &extension) == 0 &&
                        extension != MBEDTLS_OID_X509_EXT_CERTIFICATE_POLICIES;
        if (is_critical && !is_known) {
            name_oid("critical extension", oid, out);
            return true;
        }
    }
    return false;
}
