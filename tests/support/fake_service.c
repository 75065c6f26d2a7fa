#include "tests/support/fake_service.h"

#include "common/base/digest.h"
#include "common/bundle/pem.h"
#include "common/json/json.h"
#include "tests/support/check.h"

#include <mbedtls/oid.h>
#include <mbedtls/x509_csr.h>

#include <sodium.h>
#include <stdio.h>

#define DER_MAX 4096

void fake_service_init(struct fake_service *service)
{
    memset(service, 0, sizeof *service);
    service->retry_after_s = -1;
    pki_key_make(&service->ca, PKI_P256);
}

void fake_service_free(struct fake_service *service)
{
    pki_key_free(&service->ca);
}

bool fake_service_accepts(const struct fake_service *service, const char *sha256)
{
    for (size_t i = 0; i < service->n_known; i++) {
        if (strcmp(service->known[i].sha256, sha256) == 0)
            return service->known[i].is_active &&
                   (service->refuses_from == 0 || i < service->refuses_from);
    }
    return false;
}

/* ---- what it is asked for -------------------------------------------------------------------- */

static void answer_problem(struct hf_api_response *out, int status, const char *detail)
{
    out->status = status;
    out->is_problem = true;
    CHECK_OK(hf_buf_printf(&out->body, "{\"title\": \"no\", \"detail\": \"%s\"}", detail));
}

static void key_name(const mbedtls_pk_context *pk, char out[65])
{
    unsigned char der[DER_MAX];
    int len = mbedtls_pk_write_pubkey_der(pk, der, sizeof der);

    assert_true(len > 0);
    hf_sha256_hex((struct hf_bytes){der + sizeof der - len, (size_t)len}, out);
}

/* The request of a body, whose own signature verifies. */
static void read_csr(const json_t *body, mbedtls_x509_csr *csr)
{
    const char *pem = json_string_value(json_object_get(body, "csr"));
    uint8_t hash[HF_SHA256_LEN];

    assert_non_null(pem);
    mbedtls_x509_csr_init(csr);
    assert_int_equal(mbedtls_x509_csr_parse(csr, (const unsigned char *)pem, strlen(pem) + 1), 0);
    hf_sha256((struct hf_bytes){csr->cri.p, csr->cri.len}, hash);
    assert_int_equal(mbedtls_pk_verify(&csr->pk, MBEDTLS_MD_SHA256, hash, sizeof hash,
                                       csr->MBEDTLS_PRIVATE(sig).p, csr->MBEDTLS_PRIVATE(sig).len),
                     0);
}

static void issue(struct fake_service *service, mbedtls_x509_csr *csr, struct hf_api_response *out)
{
    static const char client_auth[] = MBEDTLS_OID_CLIENT_AUTH;
    struct pki_key subject = {csr->pk};
    struct hf_buf der = {0}, pem = {0};
    const struct pki_cert cert = {
        .subject = "CN=device",
        .key = &subject,
        .issuer = "CN=Device CA",
        .issuer_key = &service->ca,
        .extended_usage = {(const uint8_t *)client_auth, sizeof client_auth - 1},
    };

    pki_issue(&cert, &der);
    CHECK_OK(hf_pem_append(&pem, hf_buf_bytes(&der)));
    assert_true(service->n_known < FAKE_CREDENTIALS_MAX);
    struct fake_credential *known = &service->known[service->n_known++];
    hf_sha256_hex(hf_buf_bytes(&der), known->sha256);
    known->is_active = true;
    json_t *answer = json_pack("{s:s, s:s}", "certificate", (const char *)pem.data, "credential",
                               known->sha256);
    CHECK_OK(hf_json_write(answer, &out->body, NULL));
    json_decref(answer);
    out->status = 201;
    hf_buf_free(&der);
    hf_buf_free(&pem);
}

static void enroll(struct fake_service *service, const json_t *body, struct hf_api_response *out)
{
    const char *token = json_string_value(json_object_get(body, "token"));
    mbedtls_x509_csr csr;
    char key[65];

    read_csr(body, &csr);
    key_name(&csr.pk, key);
    bool is_used = service->token_key[0] != '\0' && strcmp(service->token_key, key) != 0;
    if (token == NULL || strcmp(token, FAKE_TOKEN) != 0 || is_used) {
        answer_problem(out, 403, "the token is unknown or used up");
    } else {
        memcpy(service->token_key, key, sizeof key);
        issue(service, &csr, out);
    }
    mbedtls_x509_csr_free(&csr);
}

static void rotate(struct fake_service *service, const json_t *body, struct hf_client_auth *old,
                   struct hf_api_response *out)
{
    const char *text = json_string_value(json_object_get(body, "signature"));
    unsigned char signature[1024];
    struct hf_buf message = {0};
    uint8_t hash[HF_SHA256_LEN];
    size_t len = 0;
    mbedtls_x509_csr csr;

    read_csr(body, &csr);
    assert_int_equal(sodium_base642bin(signature, sizeof signature, text, strlen(text), NULL, &len,
                                       NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    CHECK_OK(hf_buf_append(&message, "holdfast renew", sizeof "holdfast renew"));
    CHECK_OK(hf_buf_append(&message, csr.raw.p, csr.raw.len));
    hf_sha256(hf_buf_bytes(&message), hash);
    assert_int_equal(mbedtls_pk_verify(&old->chain.pk, MBEDTLS_MD_SHA256, hash, sizeof hash,
                                       signature, len),
                     0);
    issue(service, &csr, out);
    hf_buf_free(&message);
    mbedtls_x509_csr_free(&csr);
}

static void answer(struct fake_service *service, const struct hf_api_request *request,
                   const char *path, struct hf_api_response *out)
{
    char sha256[65] = "";
    json_t *body = NULL;

    if (request->auth != NULL)
        hf_sha256_hex((struct hf_bytes){request->auth->chain.raw.p, request->auth->chain.raw.len},
                      sha256);
    if (request->json.len > 0)
        CHECK_OK(hf_json_parse_object(request->json, "the request", &body, NULL));
    if (strcmp(path, "/v1/enroll") == 0) {
        enroll(service, body, out);
    } else if (!fake_service_accepts(service, sha256)) {
        answer_problem(out, 403, "the certificate is not active");
    } else if (strcmp(path, "/v1/rotate") == 0) {
        rotate(service, body, request->auth, out);
    } else {
        out->status = 200;
        CHECK_OK(hf_buf_printf(&out->body, "{\"credential\": \"%s\"}", sha256));
    }
    json_decref(body);
}

static enum hf_err call(void *ctx, const struct hf_api_request *request,
                        struct hf_api_response *out, struct hf_why *why)
{
    struct fake_service *service = ctx;
    const char *path = strstr(request->url, "/v1/");
    struct hf_api_response made = {.retry_after_s = -1};

    service->n_calls++;
    assert_non_null(path);
    if (service->host != NULL && strstr(request->url, service->host) == NULL) {
        *out = (struct hf_api_response){.status = 404, .retry_after_s = -1};
        return HF_OK;
    }
    if (service->refuses_by_alert && request->auth != NULL) {
        char sha256[65];
        hf_sha256_hex((struct hf_bytes){request->auth->chain.raw.p, request->auth->chain.raw.len},
                      sha256);
        if (!fake_service_accepts(service, sha256))
            return hf_fail(why, HF_E_TLS, "the server refused with a TLS alert");
    }
    bool fails = service->fails_path != NULL && strcmp(service->fails_path, path) == 0;
    if (fails && service->fails_times > 0 && --service->fails_times == 0)
        service->fails_path = NULL;
    if (!fails || service->loses_answer)
        answer(service, request, path, &made);
    if (fails && service->fails_with > 0) {
        made.retry_after_s = service->retry_after_s;
        answer_problem(&made, service->fails_with, "told to");
        made.is_problem = !service->is_a_stranger;
    } else if (fails) {
        hf_buf_free(&made.body);
        return service->fails_with < 0
                   ? hf_fail(why, HF_E_TLS, "the server refused with a TLS alert")
                   : hf_fail(why, HF_E_NETWORK, "the server closed the connection");
    }
    *out = made;
    return HF_OK;
}

struct hf_api_port fake_service_port(struct fake_service *service)
{
    return (struct hf_api_port){service, call};
}

/* ---- a secure element ------------------------------------------------------------------------ */

void fake_element_init(struct fake_element *element, enum pki_kind kind)
{
    memset(element, 0, sizeof *element);
    pki_key_make(&element->key, kind);
}

void fake_element_free(struct fake_element *element)
{
    pki_key_free(&element->key);
}

static enum hf_err public_key(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    const struct fake_element *element = ctx;
    unsigned char der[DER_MAX];
    int len = mbedtls_pk_write_pubkey_der(&element->key.pk, der, sizeof der);

    if (element->is_away)
        return hf_fail(why, HF_E_KEY, "the element is away");
    assert_true(len > 0);
    return hf_buf_append(out, der + sizeof der - len, (size_t)len);
}

static enum hf_err sign(void *ctx, struct hf_bytes digest, struct hf_buf *signature,
                        struct hf_why *why)
{
    struct fake_element *element = ctx;
    unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    mbedtls_md_type_t md = digest.len == 32   ? MBEDTLS_MD_SHA256
                           : digest.len == 48 ? MBEDTLS_MD_SHA384
                                              : MBEDTLS_MD_SHA512;
    size_t len = 0;

    if (element->is_broken)
        return hf_fail(why, HF_E_KEY, "the element does not answer");
    element->n_signatures++;
    assert_int_equal(mbedtls_pk_sign(&element->key.pk, md, digest.data, digest.len, sig, sizeof sig,
                                     &len, pki_random, NULL),
                     0);
    return hf_buf_append(signature, sig, len);
}

struct hf_device_key fake_element_key(struct fake_element *element)
{
    return (struct hf_device_key){element, public_key, sign};
}
