#include "client/port/identity/service.h"

#include "client/port/posix/url.h"

#include "common/json/json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define REASON_MAX 400 /* bytes of what the service gives as its reason */
/* bytes of a request: the CSR as PEM, a signature, and the longest token, each escaped */
#define BODY_MAX (4u * HF_CSR_DER_MAX)

enum hf_err hf_service_set_url(struct hf_service *service, const char *url, struct hf_why *why)
{
    struct hf_url parsed;
    char host[HF_ENDPOINT_TEXT];
    struct hf_why reason = {0};

    if (hf_url_parse(url, &parsed, &reason) != HF_OK)
        return hf_fail(why, HF_E_ARGUMENT, "the address of the fleet service is not usable: %s",
                       reason.text);
    if (!parsed.is_https)
        return hf_fail(why, HF_E_ARGUMENT,
                       "the fleet service is asked over TLS only: expected https://HOST[:PORT], "
                       "found http://");
    hf_url_host_header(&parsed, host);
    (void)snprintf(service->origin, sizeof service->origin, "https://%s", host);
    return HF_OK;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool is_for_later(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static enum hf_err fail_with_status(struct hf_service *service,
                                    const struct hf_api_response *response, struct hf_why *why)
{
    char reason[REASON_MAX];
    int status = response->status;

    hf_json_problem(hf_buf_bytes(&response->body), reason, sizeof reason);
    const char *colon = reason[0] != '\0' ? ": " : "";
    if (is_for_later(status))
        return hf_fail(why, HF_E_NETWORK, "the service cannot do it now (HTTP %d)%s%s", status,
                       colon, reason);
    /* What is no problem comes from another server at this address, and other errors mean the
     * request. */
    service->has_refused = response->is_problem && (status == 401 || status == 403);
    if (status == 404 && reason[0] == '\0')
        return hf_fail(why, HF_E_POLICY,
                       "there is no fleet service at this address (HTTP 404); correct the address");
    if (status >= 400)
        return hf_fail(why, HF_E_POLICY, "the service refuses (HTTP %d)%s%s", status, colon,
                       reason);
    return hf_fail(why, HF_E_NETWORK,
                   "expected an answer of the fleet service, found HTTP %d; requests to it are not "
                   "redirected, so give its own address",
                   status);
}

/* One request, to a success with this status; `*out` is its JSON object. */
static enum hf_err call(struct hf_service *service, const char *method, const char *path,
                        struct hf_bytes json, struct hf_client_auth *auth, int wanted, json_t **out,
                        struct hf_why *why)
{
    char url[HF_ORIGIN_TEXT_MAX + 32];
    struct hf_api_response response = {.retry_after_s = -1};

    (void)snprintf(url, sizeof url, "%s%s", service->origin, path);
    const struct hf_api_request request = {method, url, json, auth};
    service->status = 0;
    service->has_refused = false;
    service->retry_after_s = -1;
    enum hf_err err = service->api.call(service->api.ctx, &request, &response, why);
    if (err == HF_E_TLS && auth != NULL)
        (void)hf_fail_context(why, "the service may have revoked the certificate, or not know it");
    if (err == HF_OK) {
        service->status = response.status;
        service->retry_after_s = response.retry_after_s;
        err = response.status == wanted ? hf_json_parse_object(hf_buf_bytes(&response.body),
                                                               "the service's answer", out, why)
                                        : fail_with_status(service, &response, why);
        if (err != HF_OK)
            (void)hf_fail_context(why, "%s %s", method, url);
    }
    hf_buf_free(&response.body);
    return err;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Takes `object`, which may be NULL, and asks with it for a certificate. */
static enum hf_err ask_for_certificate(struct hf_service *service, const char *path, json_t *object,
                                       struct hf_client_auth *auth, struct hf_buf *certificate,
                                       struct hf_why *why)
{
    struct hf_buf body = {0};
    json_t *answer = NULL;
    const char *pem = NULL, *token = json_string_value(json_object_get(object, "token"));

    /* At once, so that no copy of the token is left where the body was before it grew. */
    if (object == NULL || hf_buf_reserve(&body, BODY_MAX) != HF_OK) {
        json_decref(object);
        return hf_fail(why, HF_E_MEMORY, "out of memory for a request");
    }
    enum hf_err err = hf_json_write(object, &body, why);
    if (token != NULL)
        sodium_memzero((void *)(uintptr_t)token, strlen(token));
    json_decref(object);
    if (err == HF_OK)
        err = call(service, "POST", path, hf_buf_bytes(&body), auth, 201, &answer, why);
    if (body.data != NULL)
        sodium_memzero(body.data, body.len); /* the token */
    hf_buf_free(&body);
    if (err == HF_OK)
        err = hf_json_get_text(answer, "certificate", "the service's answer", &pem, why);
    if (err == HF_OK && hf_buf_append_text(certificate, pem) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a certificate");
    json_decref(answer);
    return err;
}

enum hf_err hf_service_enroll(struct hf_service *service, const char *csr, const char *device,
                              const char *token, struct hf_client_auth *claim,
                              struct hf_buf *certificate, struct hf_why *why)
{
    json_t *object = json_pack("{s:s, s:s, s:s*}", "csr", csr, "device", device, "token", token);

    return ask_for_certificate(service, "/v1/enroll", object, claim, certificate, why);
}

enum hf_err hf_service_rotate(struct hf_service *service, const char *csr,
                              struct hf_bytes signature, struct hf_client_auth *old,
                              struct hf_buf *certificate, struct hf_why *why)
{
    char text[sodium_base64_ENCODED_LEN(MBEDTLS_PK_SIGNATURE_MAX_SIZE,
                                        sodium_base64_VARIANT_ORIGINAL)];

    (void)sodium_bin2base64(text, sizeof text, signature.data, signature.len,
                            sodium_base64_VARIANT_ORIGINAL);
    json_t *object = json_pack("{s:s, s:s}", "csr", csr, "signature", text);
    return ask_for_certificate(service, "/v1/rotate", object, old, certificate, why);
}

enum hf_err hf_service_whoami(struct hf_service *service, struct hf_client_auth *auth,
                              const char *sha256, struct hf_why *why)
{
    json_t *answer = NULL;
    const char *credential = NULL;

    HF_TRY(call(service, "GET", "/v1/whoami", (struct hf_bytes){0}, auth, 200, &answer, why));
    enum hf_err err = hf_json_get_text(answer, "credential", "the service's answer", &credential,
                                       why);
    if (err == HF_OK && strcmp(credential, sha256) != 0)
        err = hf_fail(why, HF_E_FORMAT,
                      "the service took the device for another one: expected credential %.16s…, "
                      "and it names another",
                      sha256);
    json_decref(answer);
    return err;
}
