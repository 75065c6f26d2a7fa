#include "common/bundle/x509.h"

#include "common/base/timetext.h"

#include <mbedtls/asn1.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>

bool hf_x509_time(const mbedtls_x509_time *time, int64_t *out_s)
{
    return hf_time_from_civil(time->year, time->mon, time->day, time->hour, time->min, time->sec,
                              out_s);
}

bool hf_x509_is_ca(const mbedtls_x509_crt *crt)
{
    return mbedtls_x509_crt_get_ca_istrue(crt) == 1 &&
           mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
}

bool hf_x509_allows_server_auth(const mbedtls_x509_crt *crt)
{
    return mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
                                                     MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) ==
           0;
}

bool hf_x509_is_signed_with(const mbedtls_x509_crt *child, mbedtls_pk_context *key)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(child->MBEDTLS_PRIVATE(sig_md));
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    if (md == NULL || mbedtls_md(md, child->tbs.p, child->tbs.len, hash) != 0)
        return false;
    /* Not mbedtls_x509_crt_verify: it takes a self-issued certificate that is its own anchor
     * without looking at the signature. */
    return mbedtls_pk_verify_ext(child->MBEDTLS_PRIVATE(sig_pk), child->MBEDTLS_PRIVATE(sig_opts),
                                 key, child->MBEDTLS_PRIVATE(sig_md), hash, mbedtls_md_get_size(md),
                                 child->MBEDTLS_PRIVATE(sig).p,
                                 child->MBEDTLS_PRIVATE(sig).len) == 0;
}

/* FNV-1a, 64 bits. A crafted collision gains nothing: Mbed TLS compares the names themselves. */
static uint64_t mix(uint64_t hash, const mbedtls_x509_buf *bytes, bool fold_case)
{
    for (size_t i = 0; i < bytes->len; i++) {
        uint8_t c = bytes->p[i];
        if (fold_case && c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + ('a' - 'A'));
        hash = (hash ^ c) * UINT64_C(0x100000001b3);
    }
    return hash * UINT64_C(0x100000001b3); /* the end: a byte 0 */
}

uint64_t hf_x509_name_hash(const mbedtls_x509_name *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; name != NULL; name = name->next) {
        /* To Mbed TLS these two are the same, in any case of letters: some CAs write a name as one
         * in their own certificate and as the other in those they issue. */
        bool is_text = name->val.tag == MBEDTLS_ASN1_UTF8_STRING ||
                       name->val.tag == MBEDTLS_ASN1_PRINTABLE_STRING;
        hash = mix(hash, &name->oid, false);
        hash = mix(hash, &name->val, is_text);
    }
    return hash;
}
