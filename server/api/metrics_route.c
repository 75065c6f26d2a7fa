/* GET /metrics: what the store and the rest of the process have done, for Prometheus. */
#include "server/api/metrics.h"
#include "server/api/rollout_parts.h"
#include "server/findings/finding.h"
#include "server/fleet/audit_log.h"

static void one(struct hf_metrics *m, const char *name, const char *kind, double value,
                const char *help)
{
    hf_metrics_family(m, name, kind, help);
    hf_metrics_sample(m, value, NULL);
}

static void write_store(struct hf_metrics *m, struct hf_fleet *fleet)
{
    struct hf_fleet_numbers n;
    hf_fleet_numbers(fleet, &n);
    one(m, "holdfast_registry_certificates", "gauge", (double)n.certificates,
        "Certificates that a handshake may find.");
    hf_metrics_family(m, "holdfast_store_jobs_waiting", "gauge",
                      "Requests that wait for the database. A full queue answers 503.");
    hf_metrics_sample(m, (double)n.waiting_writes, "queue=\"write\"");
    hf_metrics_sample(m, (double)n.waiting_reads, "queue=\"read\"");
    one(m, "holdfast_store_jobs_max", "gauge", HF_FLEET_QUEUE_MAX, "How many of each may wait.");
    one(m, "holdfast_store_writes_total", "counter", (double)n.writes,
        "Requests that the database has written, or refused to.");
    one(m, "holdfast_store_commits_total", "counter", (double)n.commits,
        "Transactions: each holds all requests that had gathered meanwhile.");
    one(m, "holdfast_store_commit_seconds_total", "counter", (double)n.commit_ns / 1e9,
        "Time spent on them, from their first request to the disk.");
    one(m, "holdfast_store_failures_total", "counter", (double)n.failures,
        "Transactions that failed. The log says why.");
}

static enum hf_err write_log(struct hf_metrics *m, struct hf_db *db, struct hf_why *why)
{
    struct hf_audit_head head;
    struct hf_seal seal;
    HF_TRY(hf_audit_log_head(db, &head, why));
    HF_TRY(hf_seal_last(db, &seal, why));
    one(m, "holdfast_log_entries", "gauge", (double)head.sequence, "Entries of the audit log.");
    one(m, "holdfast_log_sealed_entries", "gauge", (double)seal.sequence,
        "Entries that the signer has sealed.");
    one(m, "holdfast_log_sealed_timestamp_seconds", "gauge", (double)seal.sealed_s,
        "When it sealed them, as Unix time; 0: never.");
    return HF_OK;
}

static enum hf_err add_count(void *ctx, const void *row, struct hf_why *why)
{
    const struct hf_finding_count *count = row;
    (void)why;
    hf_metrics_sample(ctx, (double)count->n, "check=\"%s\",state=\"%s\"", count->check,
                      hf_finding_state_name(count->is_muted ? HF_FINDING_MUTED : HF_FINDING_OPEN));
    return HF_OK;
}

static enum hf_err write_audits(struct hf_metrics *m, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_check_run run;
    hf_metrics_family(m, "holdfast_findings", "gauge",
                      "What the audits have found and is not gone; at most 1000 of a check and "
                      "account.");
    HF_TRY(hf_finding_count(tx->db, tx->now_s, add_count, m, why));
    hf_metrics_family(m, "holdfast_audit_ended_timestamp_seconds", "gauge",
                      "When the newest audit of a check ended, as Unix time; 0: never.");
    for (size_t i = 0; i < hf_n_checks; i++) {
        HF_TRY(hf_check_run_get(tx->db, hf_checks[i].name, &run, why));
        hf_metrics_sample(m, (double)run.ended_s, "check=\"%s\"", hf_checks[i].name);
    }
    return HF_OK;
}

static enum hf_err answer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_api_config *config = &call->api->config;
    struct hf_metrics m = {0};
    hf_metrics_family(&m, "holdfast_build_info", "gauge", "The version of the program.");
    hf_metrics_sample(&m, 1, "version=\"%s\"", config->version);
    one(&m, "holdfast_start_time_seconds", "gauge", (double)call->api->started_s,
        "When the process began to serve, as Unix time.");
    if (config->metrics != NULL)
        config->metrics(config->ctx, &m);
    write_store(&m, config->fleet);
    enum hf_err err = write_log(&m, tx->db, why);
    if (err == HF_OK && config->auditor != NULL)
        err = write_audits(&m, tx, why);
    if (err == HF_OK && config->rollouts != NULL)
        err = hf_api_rollout_metrics(call->api, tx, &m, why);
    if (err == HF_OK)
        err = hf_api_answer_take(call, 200,
                                 m.is_short ? NULL
                                            : json_stringn((const char *)m.text.data, m.text.len),
                                 why);
    hf_buf_free(&m.text);
    return err;
}

const struct hf_api_route hf_metrics_routes[] = {
    {HTTP_GET, "/metrics", HF_ADMIN_VIEWER, .text_type = HF_METRICS_TYPE,
     .steps = {{HF_API_READ, answer}}},
    {0},
};
