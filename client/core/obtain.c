/* The content of the selected target: fetched, hashed, parsed and checked (TUF 5.7.3). */
#include "client/core/refresh.h"
#include "client/core/update.h"

#include "common/base/digest.h"
#include "common/base/percent.h"
#include "common/bundle/policy.h"
#include "common/json/json.h"

#include <stdio.h>

struct wanted {
    const struct hf_target *target;
    struct hf_buf content;
};

/* Only what the signed targets metadata names. */
static enum hf_err accept_content(struct hf_client *c, void *arg, struct hf_response *answer,
                                  struct hf_why *why)
{
    struct wanted *wanted = arg;
    (void)c;

    HF_TRY(hf_file_info_verify(&wanted->target->info, hf_buf_bytes(&answer->body),
                               wanted->target->path, why));
    wanted->content = answer->body;
    answer->body = (struct hf_buf){0};
    return HF_OK;
}

enum hf_err hf_fetch_target(struct hf_client *c, const struct hf_target *target, size_t max_bytes,
                            struct hf_buf *out, struct hf_why *why)
{
    struct wanted wanted = {.target = target};
    struct hf_buf name = {0}, path = {0};

    if (!hf_target_path_is_safe(target->path))
        return hf_fail(why, HF_E_POLICY,
                       "expected the path of a file below the targets folder, found \"%.200s\"",
                       target->path);
    if ((uint64_t)target->info.length > max_bytes)
        return hf_fail(why, HF_E_LIMIT, "expected %.200s to have at most %zu bytes, found %lld",
                       target->path, max_bytes, (long long)target->info.length);
    enum hf_err err = hf_target_file_name(target, c->trusted.root->consistent_snapshot, &name, why);
    if (err == HF_OK && (hf_buf_append_text(&path, "targets/") != HF_OK ||
                         hf_percent_encode((const char *)name.data, "/", &path) != HF_OK))
        err = hf_fail(why, HF_E_MEMORY, "out of memory for an address");
    if (err == HF_OK) {
        const struct hf_fetch fetch = {.path = (const char *)path.data,
                                       .max_bytes = (size_t)target->info.length,
                                       .accept = accept_content,
                                       .arg = &wanted};
        err = hf_mirrors_fetch(c, &fetch, why);
    }
    hf_buf_free(&name);
    hf_buf_free(&path);
    if (err == HF_OK)
        *out = wanted.content;
    else
        hf_buf_free(&wanted.content);
    return err;
}

/* HF_OK with `*is_same` false: there is something to obtain. A version names one content and one
 * description of it: others under the version that is active, by the same keys, are refused. By new
 * keys they replace it: what an attacker wrote about the same certificates must not outlive the
 * stolen key. */
static enum hf_err compare_with_active(const struct hf_candidate *cand, bool *is_same,
                                       struct hf_why *why)
{
    int64_t version = cand->description.version;
    struct hf_why difference = {0};

    *is_same = false;
    if (!cand->is_active_of_us || cand->active.version != version)
        return HF_OK;
    enum hf_err err = hf_file_info_verify(&cand->target->info, hf_buf_bytes(&cand->active.pem),
                                          "active bundle", &difference);
    if (err == HF_OK &&
        !hf_bytes_equal(hf_buf_bytes(&cand->active.custom), hf_buf_bytes(&cand->record.custom)))
        err = hf_fail(&difference, HF_E_HASH, "its description differs");
    *is_same = err == HF_OK;
    if (err == HF_OK || cand->has_new_keys)
        return HF_OK;
    return hf_fail(why, HF_E_ROLLBACK,
                   "%s has other content than the version %lld that is active (%s); expected "
                   "changed content under a higher version: publish it again",
                   cand->target->path, (long long)version, difference.text);
}

bool hf_candidate_can_lose(struct hf_client *c, const struct hf_candidate *cand)
{
    struct hf_bundle active = {0};
    struct hf_why why = {0};

    if (!cand->has_active)
        return false;
    enum hf_err err = hf_bundle_in_use(c, &cand->active, &active, &why);
    bool is_spent = err == HF_OK && hf_bundle_count_usable(&active, hf_client_now_s(c)) == 0;
    hf_bundle_free(&active);
    return !is_spent;
}

static enum hf_err check(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    const int64_t now_s = hf_client_now_s(c);
    char today[HF_TIME_TEXT_MAX], skipped[HF_WHY_MAX];

    HF_TRY(
        hf_bundle_parse(hf_buf_bytes(&cand->record.pem), &cand->description, &cand->bundle, why));
    HF_TRY(hf_policy_check_bundle(&cand->bundle, why));
    for (size_t i = 0; i < cand->bundle.n_anchors; i++) {
        const struct hf_anchor *anchor = &cand->bundle.anchors[i];
        if (hf_description_drops(&cand->description, anchor->cert.spki_sha256))
            return hf_fail(why, HF_E_POLICY,
                           "it holds \"%s\" and says that this anchor is dropped; publish a "
                           "version that does one of both",
                           anchor->cert.subject);
    }
    hf_bundle_skipped_text(&cand->bundle, skipped);
    if (skipped[0] != '\0')
        hf_log(c, HF_LEVEL_WARNING, "%s: %s", cand->target->path, skipped);
    if (hf_bundle_count_usable(&cand->bundle, now_s) > 0 || !hf_candidate_can_lose(c, cand))
        return HF_OK;
    hf_time_format_day(now_s, today);
    return hf_fail(why, HF_E_POLICY,
                   "expected at least one anchor that is valid on %s, found none among %zu: taking "
                   "it would cut this device off",
                   today, cand->bundle.n_anchors);
}

enum hf_err hf_obtain(struct hf_client *c, struct hf_candidate *cand, struct hf_why *why)
{
    struct hf_bundle_record *record = &cand->record;

    if (cand->is_active)
        return HF_OK;
    (void)snprintf(record->set, sizeof record->set, "%s", c->set);
    (void)snprintf(record->profile, sizeof record->profile, "%s", c->profile);
    record->version = cand->description.version;
    HF_TRY(hf_json_canonical(cand->target->custom, &record->custom, why));
    HF_TRY(compare_with_active(cand, &cand->is_active, why));
    if (cand->is_active)
        return HF_OK;
    HF_TRY(hf_fetch_target(c, cand->target, HF_BUNDLE_BYTES_MAX, &record->pem, why));
    if (cand->target->info.has_sha256) /* and it matched */
        hf_hex_encode(cand->target->info.sha256, HF_SHA256_LEN, record->sha256);
    else
        hf_sha256_hex(hf_buf_bytes(&record->pem), record->sha256);
    enum hf_err err = check(c, cand, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", cand->target->path);
    return err;
}
