/* What is judged of a device's certificate. */
#include "common/base/timetext.h"
#include "server/findings/check.h"
#include "server/identity/client_cert.h"

#include <stdio.h>
#include <string.h>

enum {
    FINGERPRINT = 1,
    SUBJECT,
    DEVICE,
    STATUS,
    NOT_BEFORE,
    NOT_AFTER,
    CREATED,
    IS_CONFIRMED,
    RETIRE_AT,
    MORE, /* what the statement has besides */
    DER,
};

/* "the certificate of device "pump-7"", or of whom else. False for one that does not count: it is
 * not ACTIVE, or waits to retire since the device has a newer one. */
static bool begin(const struct hf_rows *rows, struct hf_found *out,
                  char who[HF_FINDING_SUBJECT_MAX])
{
    struct hf_bytes sha256 = hf_col_bytes(rows, FINGERPRINT);
    const char *device = hf_col_text(rows, DEVICE);
    hf_hex_encode(sha256.data, sha256.len, out->subject);
    (void)snprintf(out->device, sizeof out->device, "%s", device != NULL ? device : "");
    if (device != NULL)
        (void)snprintf(who, HF_FINDING_SUBJECT_MAX, "the certificate of device \"%.*s\"",
                       (int)HF_DEVICE_ID_MAX, device);
    else
        (void)snprintf(who, HF_FINDING_SUBJECT_MAX, "the certificate \"%.*s\" of no device",
                       (int)HF_DEVICE_ID_MAX, hf_col_text(rows, SUBJECT));
    return strcmp(hf_col_text(rows, STATUS), "ACTIVE") == 0 &&
           hf_col_int_or(rows, RETIRE_AT, 0) == 0;
}

enum hf_err hf_judge_certificate_expiring(const struct hf_check_ctx *ctx,
                                          const struct hf_rows *rows, struct hf_found *out,
                                          bool *is_found, struct hf_why *why)
{
    int64_t ends_s = hf_col_int(rows, NOT_AFTER);
    char when[HF_TIME_TEXT_MAX], who[HF_FINDING_SUBJECT_MAX];
    (void)why;
    if (!begin(rows, out, who) || ends_s - ctx->now_s > ctx->settings->certificate_expiring_s)
        return HF_OK;
    hf_time_format(ends_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence, "%s %s at %s", who,
                   ends_s < ctx->now_s ? "has expired" : "expires", when);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_certificate_age(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                     struct hf_found *out, bool *is_found, struct hf_why *why)
{
    int64_t begins_s = hf_col_int(rows, NOT_BEFORE);
    char when[HF_TIME_TEXT_MAX], who[HF_FINDING_SUBJECT_MAX];
    (void)why;
    if (!begin(rows, out, who) || ctx->now_s - begins_s < ctx->settings->certificate_age_s)
        return HF_OK;
    hf_time_format(begins_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence, "%s is valid since %s", who, when);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_rotation_stuck(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                    struct hf_found *out, bool *is_found, struct hf_why *why)
{
    int64_t created_s = hf_col_int(rows, CREATED);
    char when[HF_TIME_TEXT_MAX], who[HF_FINDING_SUBJECT_MAX];
    (void)why;
    if (!begin(rows, out, who) || hf_col_int(rows, IS_CONFIRMED) == 1 ||
        ctx->now_s - created_s < ctx->settings->rotation_stuck_s)
        return HF_OK;
    hf_time_format(created_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "%s was issued at %s by rotation, and the device has not used it", who, when);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_certificate_key(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                     struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const char *fault = hf_col_text(rows, MORE);
    char who[HF_FINDING_SUBJECT_MAX];
    (void)ctx;
    (void)why;
    if (!begin(rows, out, who) || fault == NULL || fault[0] == '\0')
        return HF_OK;
    (void)snprintf(out->sentence, sizeof out->sentence, "%s: %.300s", who, fault);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_certificate_shared(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                        struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const char *other = hf_col_text(rows, MORE);
    char who[HF_FINDING_SUBJECT_MAX];
    (void)ctx;
    (void)why;
    if (!begin(rows, out, who) || other == NULL)
        return HF_OK;
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "%s has the same key as that of device \"%s\"", who, other);
    *is_found = true;
    return HF_OK;
}

static enum hf_err is_on_list(const struct hf_check_ctx *ctx, struct hf_bytes der, bool *is_listed,
                              struct hf_why *why)
{
    X509 *cert = NULL;
    if (ctx->crls.n == 0 || der.data == NULL)
        return HF_OK;
    HF_TRY(hf_client_cert_read_der(der, &cert, why));
    *is_listed = hf_crls_has(&ctx->crls, cert);
    X509_free(cert);
    return HF_OK;
}

enum hf_err hf_judge_certificate_revoked(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                         struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const char *same_key = hf_col_text(rows, MORE);
    char who[HF_FINDING_SUBJECT_MAX];
    bool is_listed = false;
    if (!begin(rows, out, who))
        return HF_OK;
    HF_TRY(is_on_list(ctx, hf_col_bytes(rows, DER), &is_listed, why));
    if (is_listed)
        (void)snprintf(out->sentence, sizeof out->sentence,
                       "%s is ACTIVE here, and its issuer has revoked it", who);
    else if (same_key != NULL)
        (void)snprintf(out->sentence, sizeof out->sentence,
                       "%s is ACTIVE, and has the key of the revoked certificate \"%s\"", who,
                       same_key);
    *is_found = is_listed || same_key != NULL;
    return HF_OK;
}
