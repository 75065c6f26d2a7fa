/* What is judged of a CA. */
#include "common/base/timetext.h"
#include "server/findings/check.h"
#include "server/findings/key_quality.h"
#include "server/identity/client_cert.h"

#include <stdio.h>
#include <string.h>

enum { FINGERPRINT = 1, SUBJECT, STATUS, NOT_AFTER, DER };

/* Its subject for the finding; false for a CA that is INACTIVE, of which nothing is found. */
static bool begin(const struct hf_rows *rows, struct hf_found *out)
{
    struct hf_bytes sha256 = hf_col_bytes(rows, FINGERPRINT);
    hf_hex_encode(sha256.data, sha256.len, out->subject);
    return strcmp(hf_col_text(rows, STATUS), "ACTIVE") == 0;
}

enum hf_err hf_judge_ca_expiring(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                 struct hf_found *out, bool *is_found, struct hf_why *why)
{
    int64_t ends_s = hf_col_int(rows, NOT_AFTER);
    char when[HF_TIME_TEXT_MAX];
    (void)why;
    if (!begin(rows, out) || ends_s - ctx->now_s > ctx->settings->ca_expiring_s)
        return HF_OK;
    hf_time_format(ends_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence, "the CA \"%s\" %s at %s",
                   hf_col_text(rows, SUBJECT), ends_s < ctx->now_s ? "has expired" : "expires",
                   when);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_ca_key(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                            struct hf_found *out, bool *is_found, struct hf_why *why)
{
    char fault[HF_KEY_FAULT_MAX];
    X509 *cert = NULL;
    if (!begin(rows, out))
        return HF_OK;
    HF_TRY(hf_client_cert_read_der(hf_col_bytes(rows, DER), &cert, why));
    hf_key_fault(cert, true, &ctx->weak_keys, fault);
    X509_free(cert);
    *is_found = fault[0] != '\0';
    if (*is_found)
        (void)snprintf(out->sentence, sizeof out->sentence, "the CA \"%s\": %.240s",
                       hf_col_text(rows, SUBJECT), fault);
    return HF_OK;
}

enum hf_err hf_judge_ca_revoked(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                struct hf_found *out, bool *is_found, struct hf_why *why)
{
    X509 *cert = NULL;
    if (!begin(rows, out))
        return HF_OK;
    HF_TRY(hf_client_cert_read_der(hf_col_bytes(rows, DER), &cert, why));
    *is_found = hf_crls_has(&ctx->crls, cert);
    X509_free(cert);
    if (*is_found)
        (void)snprintf(out->sentence, sizeof out->sentence,
                       "the CA \"%s\" is ACTIVE here, and its issuer has revoked it",
                       hf_col_text(rows, SUBJECT));
    return HF_OK;
}
