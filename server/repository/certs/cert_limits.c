#include "server/repository/certs/cert_limits.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

/* id-ce-nameConstraints, which Mbed TLS does not name. */
#define OID_NAME_CONSTRAINTS MBEDTLS_OID_ID_CE "\x1E"

/* Extensions ::= SEQUENCE OF SEQUENCE { extnID OBJECT IDENTIFIER, … }. Mbed TLS has parsed them, and
 * skips what it does not know. */
static bool has_extension(const mbedtls_x509_buf *extensions, const char *oid, size_t oid_len)
{
    unsigned char *p = extensions->p;
    size_t len = 0;
    if (p == NULL)
        return false;
    const unsigned char *end = p + extensions->len;
    if (mbedtls_asn1_get_tag(&p, end, &len, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return false;
    while (p < end && mbedtls_asn1_get_tag(&p, end, &len,
                                           MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) == 0) {
        unsigned char *next = p + len;
        size_t id_len = 0;
        if (mbedtls_asn1_get_tag(&p, next, &id_len, MBEDTLS_ASN1_OID) == 0 &&
            hf_bytes_equal((struct hf_bytes){p, id_len},
                           (struct hf_bytes){(const uint8_t *)oid, oid_len}))
            return true;
        p = next;
    }
    return false;
}

/* Critical name constraints are no reason to refuse here. */
static int take_unknown(void *ctx, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
                        int critical, const unsigned char *p, const unsigned char *end)
{
    (void)ctx;
    (void)crt;
    (void)oid;
    (void)critical;
    (void)p;
    (void)end;
    return 0;
}

enum hf_err hf_cert_limits_parse(struct hf_bytes der, struct hf_cert_limits *out,
                                 struct hf_why *why)
{
    mbedtls_x509_crt crt;
    enum hf_err err = HF_OK;
    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der_with_ext_cb(&crt, der.data, der.len, 0, take_unknown, NULL) != 0)
        err = hf_fail(why, HF_E_FORMAT, "the extensions of a certificate cannot be read");
    else
        *out = (struct hf_cert_limits){
            .has_name_constraints = has_extension(&crt.v3_ext, OID_NAME_CONSTRAINTS,
                                                  MBEDTLS_OID_SIZE(OID_NAME_CONSTRAINTS)),
            .is_for_servers = mbedtls_x509_crt_check_extended_key_usage(
                                  &crt, MBEDTLS_OID_SERVER_AUTH,
                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) == 0,
        };
    mbedtls_x509_crt_free(&crt);
    return err;
}
