/* The status for programs. schema/status.schema.json says what each field is. */
#include "client/agent/status.h"
#include "common/base/timetext.h"

#include <jansson.h>

/* A date as text, or null. */
static json_t *time_of(int64_t time_s)
{
    char text[HF_TIME_TEXT_MAX];

    if (time_s == HF_TIME_NONE)
        return json_null();
    hf_time_format(time_s, text);
    return json_string(text);
}

static json_t *anchor_of(const struct hf_status_view *view, const struct hf_anchor_status *root)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:s}", "subject", root->subject,
                     "sha256", root->sha256, "spki_sha256", root->spki_sha256, "not_before",
                     time_of(root->not_before_s), "not_after", time_of(root->not_after_s),
                     "days_left", (json_int_t)hf_status_days_left(view, root->not_after_s),
                     "distrust_after", time_of(root->distrust_after_s), "remove_after",
                     time_of(root->remove_after_s), "state", root->state);
}

json_t *hf_skipped_json(const struct hf_skipped_status *skipped, size_t n_skipped)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n_skipped; i++) {
        const struct hf_skipped_status *cert = &skipped[i];
        if (json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "subject", cert->subject,
                                                  "sha256", cert->sha256, "spki_sha256",
                                                  cert->spki_sha256, "unsupported",
                                                  cert->unsupported)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* NULL when memory is short; json_pack passes that on for what it takes ("o"). */
static json_t *bundle_of(const struct hf_status_view *view, const struct hf_bundle_status *bundle)
{
    if (!bundle->is_present)
        return json_null();
    json_t *anchors = json_array();
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (json_array_append_new(anchors, anchor_of(view, &bundle->anchors[i])) != 0) {
            json_decref(anchors);
            return NULL;
        }
    }
    return json_pack("{s:I, s:s, s:o, s:o}", "version", (json_int_t)bundle->version, "sha256",
                     bundle->sha256, "roots", anchors, "skipped",
                     hf_skipped_json(bundle->skipped, bundle->n_skipped));
}

static json_t *role_of(int64_t version, int64_t expires_s)
{
    if (version == 0)
        return json_null();
    return json_pack("{s:I, s:o}", "version", (json_int_t)version, "expires", time_of(expires_s));
}

static json_t *metadata_of(const struct hf_status *s)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "root", role_of(s->root.version, s->root.expires_s),
                     "timestamp", role_of(s->timestamp.version, s->timestamp.expires_s), "snapshot",
                     role_of(s->snapshot.version, s->snapshot.expires_s), "targets",
                     role_of(s->targets.version, s->targets.expires_s));
}

static json_t *last_check_of(const struct hf_status *s)
{
    if (s->last_check_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:s, s:s}", "time", time_of(s->last_check_s), "outcome",
                     s->last_outcome, "text", s->last_text);
}

/* ---- looking ahead --------------------------------------------------------------------------------- */

static json_t *next_check_of(const struct hf_next_check *next)
{
    return json_pack("{s:o, s:I, s:s}", "time", time_of(next->at_s), "wait_s",
                     (json_int_t)next->wait_s, "reason", next->reason);
}

static json_t *trial_of(const struct hf_trial_status *trial)
{
    if (!trial->is_on)
        return json_null();
    return json_pack("{s:I, s:I, s:s}", "version", (json_int_t)trial->version, "uptime_s",
                     (json_int_t)trial->up_s, "waits_for", trial->waits_for);
}

static json_t *last_recovery_of(const struct hf_status *s)
{
    if (s->last_recovery_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:b}", "time", time_of(s->last_recovery_s), "succeeded",
                     s->has_recovered);
}

/* An array of what `make` makes of each element; NULL when memory is short. */
static json_t *array_of(const void *elements, size_t n, size_t size,
                        json_t *(*make)(const void *element))
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(array, make((const char *)elements + i * size)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *spki_of(const void *element)
{
    return json_string(element);
}

static json_t *lost_of(const struct hf_chain_status *chain)
{
    if (chain->lost_since_s == HF_TIME_NONE)
        return json_null();
    return json_pack("{s:o, s:s}", "since", time_of(chain->lost_since_s), "root", chain->lost_root);
}

static json_t *chain_of(const void *element)
{
    const struct hf_chain_status *chain = element;

    if (chain->seen_s == HF_TIME_NONE)
        return json_pack("{s:s, s:n, s:n, s:n, s:[], s:n}", "key_type", chain->key_type, "seen",
                         "not_before", "not_after", "anchors", "lost");
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "key_type", chain->key_type, "seen",
                     time_of(chain->seen_s), "not_before", time_of(chain->leaf_not_before_s),
                     "not_after", time_of(chain->leaf_not_after_s), "anchors",
                     array_of(chain->anchors, chain->n_anchors, sizeof chain->anchors[0], spki_of),
                     "lost", lost_of(chain));
}

static json_t *endpoint_of(const void *element)
{
    const struct hf_endpoint_status *endpoint = element;
    const size_t n = sizeof endpoint->chains / sizeof endpoint->chains[0];

    return json_pack("{s:s, s:o}", "name", endpoint->name, "chains",
                     array_of(endpoint->chains, n, sizeof endpoint->chains[0], chain_of));
}

/* null for an empty text. */
static const char *or_null(const char *words)
{
    return words[0] != '\0' ? words : NULL;
}

static json_t *warning_of(const void *element)
{
    const struct hf_warning *w = element;

    return json_pack("{s:s, s:s, s:i, s:o, s:I, s:s?, s:s?, s:s?, s:s}", "level",
                     w->is_note ? "note" : "warning", "kind", w->kind, "threshold_days",
                     w->threshold_days, "time", time_of(w->at_s), "days_left",
                     (json_int_t)w->days_left, "root", or_null(w->subject), "sha256",
                     or_null(w->sha256), "endpoint", or_null(w->endpoint), "text", w->text);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static json_t *mirrors_of(const struct hf_client_config *config)
{
    json_t *mirrors = json_array();

    for (size_t i = 0; i < config->n_urls; i++) {
        if (json_array_append_new(mirrors, json_string(config->urls[i])) != 0) {
            json_decref(mirrors);
            return NULL;
        }
    }
    return mirrors;
}

static json_t *status_of(const struct hf_status_view *v)
{
    const struct hf_client_config *client = &v->config->client;
    const struct hf_status *s = &v->status;
    bool is_writable = v->not_writable.code == HF_OK;

    return json_pack("{s:i, s:s, s:s, s:s, s:s?, s:o, s:s?, s:s?, s:b, s:s?, s:o, s:o, s:o, s:o, "
                     "s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}",
                     "format", 1, "state", v->state_dir, "set", client->set, "profile",
                     client->profile, "device_id", v->device_id, "mirrors", mirrors_of(client),
                     "export", v->config->export_file, "on_swap", v->config->on_swap, "writable",
                     is_writable, "read_only_reason", is_writable ? NULL : v->not_writable.text,
                     "time", time_of(v->status.now_s), "clock_floor",
                     time_of(v->status.clock_floor_s), "last_check", last_check_of(&v->status),
                     "metadata", metadata_of(&v->status), "active", bundle_of(v, &v->status.active),
                     "previous", bundle_of(v, &v->status.previous), "next_check",
                     next_check_of(&s->next_check), "trial", trial_of(&s->trial), "last_recovery",
                     last_recovery_of(s), "failed_validations", (json_int_t)s->failed_validations,
                     "endpoints",
                     array_of(s->endpoints, s->n_endpoints, sizeof s->endpoints[0], endpoint_of),
                     "warnings",
                     array_of(s->warnings, s->n_warnings, sizeof s->warnings[0], warning_of));
}

enum hf_err hf_status_print_json(FILE *out, const struct hf_status_view *view, struct hf_why *why)
{
    json_t *status = status_of(view);
    int failed = status == NULL ? -1
                                : json_dumpf(status, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

    json_decref(status);
    fputc('\n', out);
    return failed == 0 ? HF_OK : hf_fail(why, HF_E_MEMORY, "the status cannot be written as JSON");
}
