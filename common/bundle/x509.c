#include "common/bundle/x509.h"

#include "common/base/timetext.h"

#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>

static int accept_extension(void *ctx, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
                            int is_critical, const unsigned char *p, const unsigned char *end)
{
    (void)ctx, (void)crt, (void)oid, (void)is_critical, (void)p, (void)end;
    return 0;
}

int hf_x509_parse_sent(mbedtls_x509_crt *crt, struct hf_bytes der, bool has_copy)
{
    return mbedtls_x509_crt_parse_der_with_ext_cb(crt, der.data, der.len, has_copy,
                                                  accept_extension, NULL);
}

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
