/* server/identity/client_cert and registration: certificates of any bytes. What is read is written
 * as the same bytes, its names can be shown, and only what the tables allow is registered. */
#include "tests/fuzz/fuzz.h"

#include "server/identity/registration.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#define NOW_S INT64_C(1900000000)

static void check_shown(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size) != NULL);
    for (; *text != '\0'; text++)
        FUZZ_CHECK((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check_texts(const X509 *x509)
{
    struct hf_client_cert_text text = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_client_cert_describe_text(x509, &text, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        return;
    }
    check_shown(text.subject, sizeof text.subject);
    check_shown(text.issuer, sizeof text.issuer);
    check_shown(text.common_name, sizeof text.common_name);
    check_shown(text.serial, sizeof text.serial);
}

static void check_registration(X509 *x509)
{
    struct hf_client_cert cert = {0}, ca = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_client_cert_check(x509, NULL, NOW_S, &cert, &why);
    if (err == HF_OK) {
        FUZZ_CHECK(cert.not_before_s <= NOW_S && NOW_S <= cert.not_after_s);
        FUZZ_CHECK(cert.key.fault == HF_CLIENT_KEY_FINE && cert.key.kind != HF_CLIENT_KEY_OTHER);
        FUZZ_CHECK(cert.signature != HF_CLIENT_SIGNATURE_OTHER);
    } else {
        fuzz_check_refusal(err, &why);
    }
    err = hf_ca_check(x509, NOW_S, &ca, &why);
    if (err != HF_OK)
        fuzz_check_refusal(err, &why);
    err = hf_ca_check_signed(x509, x509, &why);
    if (err != HF_OK)
        fuzz_check_refusal(err, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_bytes input = {data, size};
    struct hf_buf der = {0};
    struct hf_why why = {0};
    X509 *x509 = NULL;
    enum hf_err err = hf_client_cert_read_der(input, &x509, &why);
    if (err == HF_OK) {
        FUZZ_OK(hf_client_cert_der(x509, &der, &why), &why);
        FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&der), input));
        hf_buf_free(&der);
    } else {
        fuzz_check_refusal(err, &why);
        err = hf_client_cert_read(input, &x509, &why);
        if (err != HF_OK)
            fuzz_check_refusal(err, &why);
    }
    FUZZ_CHECK((err == HF_OK) == (x509 != NULL));
    if (x509 != NULL) {
        check_texts(x509);
        check_registration(x509);
    }
    FUZZ_CHECK(ERR_peek_error() == 0);
    X509_free(x509);
    return 0;
}
