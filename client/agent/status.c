/* The status for programs. schema/status.schema.json says what each field is. */
#include "client/agent/status.h"
#include "common/base/timetext.h"

/* ---- roots and bundles ------------------------------------------------------------------------ */

/* `ctx` is the whole status. */
static json_t *days_left(const void *at, const void *ctx)
{
    const struct hf_status *s = ctx;

    return json_integer(hf_days_between(s->now_s, *(const int64_t *)at));
}

#define OF(member) offsetof(struct hf_anchor_status, member)

static const struct hf_field anchor_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(subject)},
    {"sha256", HF_FIELD_CHARS, OF(sha256)},
    {"spki_sha256", HF_FIELD_CHARS, OF(spki_sha256)},
    {"not_before", HF_FIELD_TIME, OF(not_before_s)},
    {"not_after", HF_FIELD_TIME, OF(not_after_s)},
    {"days_left", HF_FIELD_MADE, OF(not_after_s), .make = days_left},
    {"distrust_after", HF_FIELD_TIME, OF(distrust_after_s)},
    {"remove_after", HF_FIELD_TIME, OF(remove_after_s)},
    {"state", HF_FIELD_TEXT, OF(state)},
    {0},
};

const struct hf_field hf_skipped_fields[] = {
    {"subject", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, subject)},
    {"sha256", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, sha256)},
    {"spki_sha256", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, spki_sha256)},
    {"unsupported", HF_FIELD_CHARS, offsetof(struct hf_skipped_status, unsupported)},
    {0},
};

static json_t *bundle_of(const void *at, const void *ctx)
{
    static const struct hf_field fields[] = {
        {"version", HF_FIELD_NUMBER, offsetof(struct hf_bundle_status, version)},
        {"sha256", HF_FIELD_CHARS, offsetof(struct hf_bundle_status, sha256)},
        {"roots", HF_FIELD_LIST, offsetof(struct hf_bundle_status, anchors),
         .fields = anchor_fields, .n_at = offsetof(struct hf_bundle_status, n_anchors),
         .size = sizeof(struct hf_anchor_status)},
        {"skipped", HF_FIELD_LIST, offsetof(struct hf_bundle_status, skipped),
         .fields = hf_skipped_fields, .n_at = offsetof(struct hf_bundle_status, n_skipped),
         .size = sizeof(struct hf_skipped_status)},
        {0},
    };
    const struct hf_bundle_status *bundle = at;

    return bundle->is_present ? hf_report_object(fields, bundle, ctx) : json_null();
}

/* ---- metadata and checks ---------------------------------------------------------------------- */

static json_t *role_of(int64_t version, int64_t expires_s)
{
    if (version == 0)
        return json_null();
    return json_pack("{s:I, s:o}", "version", (json_int_t)version, "expires",
                     hf_json_time(expires_s));
}

static json_t *metadata_of(const void *at, const void *ctx)
{
    const struct hf_status *s = at;

    (void)ctx;
    return json_pack("{s:o, s:o, s:o, s:o}", "root", role_of(s->root.version, s->root.expires_s),
                     "timestamp", role_of(s->timestamp.version, s->timestamp.expires_s), "snapshot",
                     role_of(s->snapshot.version, s->snapshot.expires_s), "targets",
                     role_of(s->targets.version, s->targets.expires_s));
}

static json_t *last_check_of(const void *at, const void *ctx)
{
    const struct hf_status *s = at;

    (void)ctx;
    if (s->last_check_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:s, s:s}", "time", hf_json_time(s->last_check_s), "outcome",
                     s->last_outcome, "text", s->last_text);
}

static json_t *trial_of(const void *at, const void *ctx)
{
    const struct hf_trial_status *trial = at;

    (void)ctx;
    if (!trial->is_on)
        return json_null();
    return json_pack("{s:I, s:I, s:s}", "version", (json_int_t)trial->version, "uptime_s",
                     (json_int_t)trial->up_s, "waits_for", trial->waits_for);
}

static json_t *last_recovery_of(const void *at, const void *ctx)
{
    const struct hf_status *s = at;

    (void)ctx;
    if (s->last_recovery_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:b}", "time", hf_json_time(s->last_recovery_s), "succeeded",
                     s->has_recovered);
}

static const struct hf_field next_check_fields[] = {
    {"time", HF_FIELD_TIME, offsetof(struct hf_next_check, at_s)},
    {"wait_s", HF_FIELD_NUMBER, offsetof(struct hf_next_check, wait_s)},
    {"reason", HF_FIELD_CHARS, offsetof(struct hf_next_check, reason)},
    {0},
};

/* ---- endpoints and warnings ------------------------------------------------------------------- */

static json_t *chain_of(const struct hf_chain_status *chain)
{
    json_t *anchors = json_array(), *lost = json_null();

    if (chain->seen_s == HF_TIME_NONE)
        return json_pack("{s:s, s:n, s:n, s:n, s:o, s:n}", "key_type", chain->key_type, "seen",
                         "not_before", "not_after", "anchors", anchors, "lost");
    for (size_t i = 0; i < chain->n_anchors; i++)
        anchors = hf_json_append_take(anchors, json_string(chain->anchors[i]));
    if (chain->lost_since_s != HF_TIME_NONE)
        lost = json_pack("{s:o, s:s}", "since", hf_json_time(chain->lost_since_s), "root",
                         chain->lost_root);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "key_type", chain->key_type, "seen",
                     hf_json_time(chain->seen_s), "not_before",
                     hf_json_time(chain->leaf_not_before_s), "not_after",
                     hf_json_time(chain->leaf_not_after_s), "anchors", anchors, "lost", lost);
}

static json_t *chains_of(const void *at, const void *ctx)
{
    const struct hf_endpoint_status *endpoint = at;
    json_t *chains = json_array();

    (void)ctx;
    for (size_t i = 0; i < sizeof endpoint->chains / sizeof endpoint->chains[0]; i++)
        chains = hf_json_append_take(chains, chain_of(&endpoint->chains[i]));
    return chains;
}

static const struct hf_field endpoint_fields[] = {
    {"name", HF_FIELD_CHARS, offsetof(struct hf_endpoint_status, name)},
    {"chains", HF_FIELD_MADE, 0, .make = chains_of},
    {0},
};

static json_t *level_of(const void *at, const void *ctx)
{
    (void)ctx;
    return json_string(*(const bool *)at ? "note" : "warning");
}

#undef OF
#define OF(member) offsetof(struct hf_warning, member)

static const struct hf_field warning_fields[] = {
    {"level", HF_FIELD_MADE, OF(is_note), .make = level_of},
    {"kind", HF_FIELD_TEXT, OF(kind)},
    {"threshold_days", HF_FIELD_INT, OF(threshold_days)},
    {"time", HF_FIELD_TIME, OF(at_s)},
    {"days_left", HF_FIELD_NUMBER, OF(days_left)},
    {"root", HF_FIELD_WORDS, OF(subject)},
    {"sha256", HF_FIELD_WORDS, OF(sha256)},
    {"endpoint", HF_FIELD_WORDS, OF(endpoint)},
    {"text", HF_FIELD_CHARS, OF(text)},
    {0},
};

/* ---- the whole -------------------------------------------------------------------------------- */

#undef OF
#define OF(member) offsetof(struct hf_status, member)

static const struct hf_field status_fields[] = {
    {"time", HF_FIELD_TIME, OF(now_s)},
    {"clock_floor", HF_FIELD_TIME, OF(clock_floor_s)},
    {"last_check", HF_FIELD_MADE, 0, .make = last_check_of},
    {"metadata", HF_FIELD_MADE, 0, .make = metadata_of},
    {"active", HF_FIELD_MADE, OF(active), .make = bundle_of},
    {"previous", HF_FIELD_MADE, OF(previous), .make = bundle_of},
    {"next_check", HF_FIELD_RECORD, OF(next_check), .fields = next_check_fields},
    {"trial", HF_FIELD_MADE, OF(trial), .make = trial_of},
    {"last_recovery", HF_FIELD_MADE, 0, .make = last_recovery_of},
    {"failed_validations", HF_FIELD_NUMBER, OF(failed_validations)},
    {"endpoints", HF_FIELD_LIST, OF(endpoints), .fields = endpoint_fields, .n_at = OF(n_endpoints),
     .size = sizeof(struct hf_endpoint_status)},
    {"warnings", HF_FIELD_LIST, OF(warnings), .fields = warning_fields, .n_at = OF(n_warnings),
     .size = sizeof(struct hf_warning)},
    {0},
};

enum hf_err hf_status_print_json(FILE *out, const struct hf_status_view *v, struct hf_why *why)
{
    const struct hf_client_config *client = &v->config->client;
    bool is_writable = v->not_writable.code == HF_OK;
    json_t *status = json_pack("{s:i, s:s, s:s, s:s, s:s?, s:o, s:s?, s:s?, s:b, s:s?}", "format",
                               1, "state", v->state_dir, "set", client->set, "profile",
                               client->profile, "device_id", v->device_id, "mirrors",
                               hf_json_texts(client->urls, client->n_urls), "export",
                               v->config->export_file, "on_swap", v->config->on_swap, "writable",
                               is_writable, "read_only_reason",
                               is_writable ? NULL : v->not_writable.text);
    json_t *more = hf_report_object(status_fields, &v->status, &v->status);

    if (json_object_update(status, more) != 0) {
        json_decref(status);
        status = NULL;
    }
    json_decref(more);
    return hf_json_print_take(status, out, why);
}
