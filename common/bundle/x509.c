#include "common/bundle/x509.h"

#include "common/base/timetext.h"

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
