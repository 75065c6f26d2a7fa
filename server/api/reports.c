/*
 * POST /v1/reports: what devices say about themselves. The sender proves who it is by its client
 * certificate or by a signature (RFC 9421), or by nothing where the account allows it. The loop
 * does all but the writing: it judges the sender, verifies the signature and parses. A sender that
 * reports too often is refused before its reports are read.
 */
#include "server/api/parts.h"

#include "common/report/report.h"
#include "server/fleet/report.h"

#include <stdlib.h>
#include <string.h>

struct work {
    struct hf_report_sender sender;
    struct hf_report *reports;
    size_t n;
};

static void free_work(void *arg)
{
    free(((struct work *)arg)->reports);
}

/* ---- on the loop ----------------------------------------------------------------------------- */

/* The signature of the request, by a key of this account. */
static unsigned check_signature(struct hf_api_call *call, struct work *work, struct hf_why *why)
{
    struct hf_report_headers headers;
    struct hf_report_signature signature;
    struct hf_registered key;
    char type[64] = "", host[HF_HTTP_HOST_BYTES_MAX + 1];
    const struct hf_request *request = call->request;

    bool has_digest = hf_api_header(call, HF_HEADER_CONTENT_DIGEST, headers.content_digest,
                                    sizeof headers.content_digest);
    bool has_input = hf_api_header(call, HF_HEADER_SIGNATURE_INPUT, headers.signature_input,
                                   sizeof headers.signature_input);
    bool has_signature = hf_api_header(call, HF_HEADER_SIGNATURE, headers.signature,
                                       sizeof headers.signature);
    (void)hf_api_header(call, HF_HEADER_CONTENT_TYPE, type, sizeof type);
    memcpy(host, request->host.text, request->host.len);
    host[request->host.len] = '\0';
    if (hf_report_signature_parse(has_digest ? headers.content_digest : NULL,
                                  has_input ? headers.signature_input : NULL,
                                  has_signature ? headers.signature : NULL, &signature,
                                  why) != HF_OK)
        return 400;
    if (!hf_gate_find_report_key(call->gate, call->asker.identity.account, signature.public_key,
                                 &key)) {
        (void)hf_fail(why, HF_E_SIGNATURE,
                      "the key of the signature is not registered in this account, or was revoked. "
                      "The operator registers it (`holdfast-admin device report-key`)");
        return 403;
    }
    const struct hf_report_message message = {.method = "POST",
                                              .authority = host,
                                              .path = call->path,
                                              .content_type = type,
                                              .body = hf_buf_bytes(&request->body)};
    enum hf_err err = hf_report_signature_verify(&signature, &message, why);
    work->sender.report_key_id = (int64_t)key.credential;
    if (err == HF_OK)
        return 0;
    if (err == HF_E_MEMORY)
        return 503;
    return err == HF_E_HASH ? 400 : 403;
}

static uint64_t wait_of(struct hf_api_call *call, const void *sender, size_t len, uint64_t every_ms,
                        uint64_t burst)
{
    return hf_meter_take(&call->gate->reports, (struct hf_bytes){sender, len},
                         &(struct hf_meter_rate){every_ms, burst},
                         uv_now(hf_request_loop(call->request)));
}

/* Who reports too often waits. What has proved nothing is counted by its address, and all of an
 * account together. */
static unsigned check_rate(struct hf_api_call *call, const struct work *work, struct hf_why *why)
{
    const struct hf_report_sender *sender = &work->sender;
    uint64_t wait_ms = 0;

    if (sender->credential_id != 0 || sender->report_key_id != 0) {
        wait_ms = wait_of(call, sender, sizeof *sender, HF_API_DEVICE_REPORTS_MS,
                          HF_API_DEVICE_REPORTS_BURST);
    } else {
        struct hf_bytes host = hf_address_host(hf_request_peer(call->request).address);
        wait_ms = wait_of(call, host.data, host.len, HF_API_ADDRESS_REPORTS_MS,
                          HF_API_ADDRESS_REPORTS_BURST);
        if (wait_ms == 0)
            wait_ms = wait_of(call, sender, sizeof *sender, HF_API_UNVERIFIED_REPORTS_MS,
                              HF_API_UNVERIFIED_REPORTS_BURST);
    }
    if (wait_ms == 0)
        return 0;
    call->retry_after_s = (unsigned)(wait_ms / 1000) + 1;
    (void)hf_fail(why, HF_E_LIMIT,
                  "this client reports too often. Send several reports in one request, and wait as "
                  "Retry-After says");
    return 429;
}

static unsigned read_reports(struct hf_api_call *call, struct work *work, struct hf_why *why)
{
    enum hf_err err = hf_report_list_read(hf_buf_bytes(&call->request->body), &work->reports,
                                          &work->n, why);

    if (err == HF_OK)
        return 0;
    if (err == HF_E_MEMORY)
        return 503;
    return err == HF_E_LIMIT ? 413 : 400;
}

/* hf_api_route.read */
static unsigned read_request(struct hf_api_call *call, struct hf_why *why)
{
    const struct hf_tls_peer *peer = hf_request_peer(call->request).tls;
    char value[2];
    bool is_signed = (peer == NULL || peer->leaf == NULL) &&
                     (hf_api_header(call, HF_HEADER_SIGNATURE_INPUT, value, sizeof value) ||
                      hf_api_header(call, HF_HEADER_SIGNATURE, value, sizeof value));

    unsigned status = hf_api_read_device(call, is_signed ? HF_GATE_SIGNED : HF_GATE_REPORT, why);
    if (status == 0)
        status = hf_api_check_body(call, HF_REPORT_BODY_MAX, why);
    if (status != 0)
        return status;
    struct work *work = hf_api_work(call, sizeof *work, free_work);
    if (work == NULL) {
        (void)hf_fail(why, HF_E_MEMORY, "no memory for reports");
        return 503;
    }
    const struct hf_identity *identity = &call->asker.identity;
    work->sender.account_id = identity->account;
    if (identity->has_certificate)
        work->sender.credential_id = (int64_t)identity->registered.credential;
    call->job.is_bulk = true;
    call->job.checks_first = true; /* as hf_report_take does */
    if (is_signed)
        status = check_signature(call, work, why);
    if (status == 0)
        status = check_rate(call, work, why);
    return status == 0 ? read_reports(call, work, why) : status;
}

/* ---- in the writer's transaction ------------------------------------------------------------- */

static enum hf_err take(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct work *work = call->work;
    const struct hf_report_sender *sender = &work->sender;
    struct hf_report_answer answer = {0};
    bool is_conflict = false;

    if (sender->credential_id != 0 || sender->report_key_id != 0)
        HF_TRY(hf_report_take(tx, sender, work->reports, work->n, &answer, &is_conflict, why));
    else
        HF_TRY(hf_report_take_unverified(tx, sender->account_id,
                                         atomic_load(&call->api->unverified_max), work->reports,
                                         work->n, &answer, why));
    if (is_conflict) {
        call->status = 409;
        return HF_OK;
    }
    return hf_api_answer_take(call, 200,
                              json_pack("{s:I, s:I, s:s}", "accepted", (json_int_t)answer.accepted,
                                        "duplicates", (json_int_t)answer.duplicates, "nonce",
                                        answer.nonce),
                              why);
}

const struct hf_api_route hf_report_routes[] = {
    {HTTP_POST, "/v1/reports", HF_ADMIN_NONE, .read = read_request,
     .steps = {{HF_API_WRITE, take}}},
    {0},
};
