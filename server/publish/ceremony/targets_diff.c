/* What a draft of targets changes: bundles that are listed and no longer listed, certificate by
 * certificate. */
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "common/cli/report.h"
#include "common/json/json.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/publish/ceremony/rollout_words.h"
#include "server/publish/ceremony/unexplained_diff.h"
#include "server/publish/lint/lint.h"
#include "server/repository/base/public_key.h"

#include <inttypes.h>
#include <string.h>

static void forget_members(json_t *object, const char *const *members)
{
    for (; *members != NULL; members++)
        json_object_del(object, *members);
}

/* A plan is shown in words; one with members that this program does not know is shown as it is,
 * too. */
static void forget_plan(json_t *description)
{
    struct hf_rollout_plan plan;
    const json_t *listed = json_object_get(description, "rollout");
    if (listed == NULL || hf_rollout_plan_parse(listed, &plan, NULL) != HF_OK)
        return;
    json_t *known = hf_rollout_plan_to_json(&plan);
    if (json_equal(known, listed))
        json_object_del(description, "rollout");
    json_decref(known);
}

/* What bundle_json and print_bundle say of the description. */
static void forget_description(json_t *description, const struct hf_target *target)
{
    static const char *const shown[] = {"set", "profile", "version", "drops", NULL};
    static const char *const of_note[] = {"sha256", "use", "distrust_after", "remove_after", NULL};
    const struct hf_accepted accepted = hf_accepted_of(target);
    json_t *notes = json_object_get(description, "anchors"), *element;
    size_t index, n_left = 0, n_odd = 0;
    forget_members(description, shown);
    forget_plan(description);
    json_array_foreach(notes, index, element)
    {
        forget_members(element, of_note);
        n_left += !json_is_object(element) || json_object_size(element) > 0;
    }
    if (json_is_array(notes) && n_left == 0)
        json_object_del(description, "anchors");
    json_array_foreach(accepted.codes, index, element)
    {
        const char *code = json_string_value(element);
        n_odd += code == NULL || !hf_label_is_plain(code);
    }
    if (n_odd > 0)
        return;
    /* The day is shown with each code; where there is none it would be shown nowhere. */
    if (json_array_size(accepted.codes) > 0 && accepted.at_s != HF_TIME_NONE)
        json_object_del(description, "accepted_at");
    if (json_is_array(accepted.codes))
        json_object_del(description, "accepted");
}

/* Of what is listed about one file. A sha512 was checked against the content, if that is here. */
static json_t *target_unexplained(const struct hf_draft *draft, const struct hf_target *target,
                                  bool is_bundle, bool has_content)
{
    const json_t *listed = json_object_get(draft->targets.env.signed_part, "targets");
    json_t *after = json_deep_copy(json_object_get(listed, target->path));
    json_t *hashes = json_object_get(after, "hashes");
    json_object_del(after, "length");
    json_object_del(hashes, "sha256");
    if (has_content)
        json_object_del(hashes, "sha512");
    if (json_object_size(hashes) == 0)
        json_object_del(after, "hashes");
    if (!is_bundle)
        return hf_unexplained_diff_take(json_object(), after);
    forget_description(json_object_get(json_object_get(after, "custom"), "holdfast"), target);
    return hf_unexplained_diff_take(json_pack("{s:{s:{}}}", "custom", "holdfast"), after);
}

/* What a device would read; both are to be freed, also after false. Set, profile and version are
 * those of the path: a device passes over any other. */
static bool read_bundle(const struct hf_target *target, struct hf_bytes content,
                        struct hf_description *d, struct hf_bundle *bundle)
{
    struct hf_buf path = {0};
    bool is_described = target->custom != NULL &&
                        hf_description_parse(target->custom, d, NULL) == HF_OK &&
                        hf_description_target_path(d, &path, NULL) == HF_OK &&
                        hf_bytes_equal(hf_buf_bytes(&path), hf_bytes_of_text(target->path));
    hf_buf_free(&path);
    return is_described && hf_bundle_parse(content, d, bundle, NULL) == HF_OK;
}

/* Devices with newer software may trust them, so they are signed like the others. */
static json_t *unsupported_json(const struct hf_bundle *bundle, const struct hf_description *d)
{
    static const struct hf_anchor_note plain = {.distrust_after_s = HF_TIME_NONE,
                                                .remove_after_s = HF_TIME_NONE};
    json_t *list = hf_json_skipped(bundle), *cert;
    size_t i;
    int failures = 0;
    json_array_foreach(list, i, cert)
    {
        const struct hf_anchor_note *note = hf_description_note(d, bundle->skipped[i].sha256);
        note = note == NULL ? &plain : note;
        failures += json_object_set_new(cert, "distrust_after",
                                        hf_json_time(note->distrust_after_s));
        failures += json_object_set_new(cert, "remove_after", hf_json_time(note->remove_after_s));
        failures += json_object_set_new(cert, "use", json_string(hf_use_name(note->use)));
    }
    if (failures == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *bundle_json(const struct hf_bundle *bundle, const struct hf_description *d,
                           const struct hf_target *target)
{
    const struct hf_accepted accepted = hf_accepted_of(target);
    json_t *drops = json_array();
    for (size_t i = 0; i < d->n_drops; i++)
        drops = hf_json_append_take(drops, hf_json_sha256(d->drops[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "rollout",
                     d->plan == NULL ? json_null() : hf_rollout_plan_to_json(d->plan), "anchors",
                     hf_json_anchors(bundle), "unsupported", unsupported_json(bundle, d), "drops",
                     drops, "accepted",
                     json_is_array(accepted.codes) ? json_deep_copy(accepted.codes) : json_array(),
                     "accepted_at", hf_json_time(accepted.at_s));
}

/* The bundle is null for what a device cannot read as one. */
static json_t *target_json(const struct hf_draft *draft, const struct hf_target *target,
                           const char *change)
{
    struct hf_description d = {0};
    struct hf_bundle bundle = {0};
    struct hf_bytes content = hf_draft_content(draft, target->path);
    const struct hf_file_info *info = &target->info;
    bool has_content = content.data != NULL;
    bool is_bundle = read_bundle(target, content, &d, &bundle);
    char sha256[HF_SHA256_HEX_LEN];
    if (has_content)
        hf_sha256_hex(content, sha256);
    else
        hf_hex_encode(info->sha256, HF_SHA256_LEN, sha256);
    json_t *object = json_pack("{s:s, s:s, s:b, s:I, s:s?, s:o, s:o}", "path", target->path,
                               "change", change, "has_content", has_content, "length",
                               (json_int_t)info->length, "sha256",
                               has_content || info->has_sha256 ? sha256 : NULL, "bundle",
                               is_bundle ? bundle_json(&bundle, &d, target) : json_null(),
                               "other_members",
                               target_unexplained(draft, target, is_bundle, has_content));
    hf_bundle_free(&bundle);
    hf_description_free(&d);
    return object;
}

static json_t *unexplained_copy(const struct hf_targets *targets)
{
    json_t *copy = hf_unexplained_copy(&targets->env);
    json_object_del(copy, "targets");
    return copy;
}

/* Former targets without valid signatures may say anything to hide a difference: against them
 * nothing is unchanged. */
json_t *hf_draft_targets_changes(const struct hf_draft *draft)
{
    const struct hf_targets *before = &draft->before, *after = &draft->targets;
    const json_t *old_list = json_object_get(before->env.signed_part, "targets");
    const json_t *new_list = json_object_get(after->env.signed_part, "targets");
    json_t *added = json_array(), *removed = json_array();
    for (size_t i = 0; i < after->n_targets; i++) {
        const struct hf_target *target = &after->targets[i];
        const json_t *old = json_object_get(old_list, target->path);
        bool is_new = old == NULL || !draft->is_before_verified;
        if (is_new || !json_equal(old, json_object_get(new_list, target->path)))
            added = hf_json_append_take(added,
                                        target_json(draft, target, is_new ? "added" : "changed"));
    }
    for (size_t i = 0; i < before->n_targets; i++) {
        if (hf_targets_find(after, before->targets[i].path) == NULL)
            removed = hf_json_append_take(removed, json_string(before->targets[i].path));
    }
    json_t *old_rest = draft->is_before_verified ? unexplained_copy(before) : json_object();
    return json_pack("{s:b, s:{s:I, s:I}, s:o, s:o, s:o}", "before_verified",
                     draft->is_before_verified, "listed", "before", (json_int_t)before->n_targets,
                     "after", (json_int_t)after->n_targets, "added", added, "removed", removed,
                     "other_members", hf_unexplained_diff_take(old_rest, unexplained_copy(after)));
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* As hf_time_format_last: the day alone where its last second is meant. */
static void print_last_day(const char *words, const char *time, FILE *out)
{
    if (time != NULL)
        fprintf(out, "%s%.*s", words, strcmp(time + 10, "T23:59:59Z") == 0 ? 10 : 20, time);
}

/* Subjects are printable as the parser leaves them (fuzz harness `cert`). */
static void print_cert(const json_t *cert, FILE *out)
{
    const char *subject = text_of(cert, "subject"), *use = text_of(cert, "use");
    const char *unsupported = text_of(cert, "unsupported");
    if (unsupported != NULL)
        fprintf(out, "      NOT SUPPORTED HERE (%s): %s", unsupported, subject);
    else
        fprintf(out, "      %s%s, until %.10s", subject,
                strlen(subject) == HF_DN_TEXT_MAX - 1 ? "... (the name is longer)" : "",
                text_of(cert, "expires"));
    print_last_day(", distrust after ", text_of(cert, "distrust_after"), out);
    print_last_day(", remove after ", text_of(cert, "remove_after"), out);
    if (strcmp(use, "intermediate") == 0)
        fputs(", an INTERMEDIATE, trusted as a root", out);
    else if (strcmp(use, "anchor") != 0)
        fprintf(out, ", %s", use);
    fprintf(out, "\n        %s\n", text_of(cert, "sha256"));
}

static void print_bundle(const json_t *bundle, FILE *out)
{
    const char *accepted_at = text_of(bundle, "accepted_at");
    size_t index;
    json_t *element;
    json_array_foreach(json_object_get(bundle, "anchors"), index, element)
    {
        print_cert(element, out);
    }
    json_array_foreach(json_object_get(bundle, "unsupported"), index, element)
    {
        print_cert(element, out);
    }
    json_array_foreach(json_object_get(bundle, "drops"), index, element)
    {
        fprintf(out, "      drops the key %s\n", json_string_value(element));
    }
    struct hf_rollout_plan plan;
    if (hf_rollout_plan_parse(json_object_get(bundle, "rollout"), &plan, NULL) == HF_OK)
        hf_rollout_words_print(&plan, 6, out);
    /* How far an acceptance goes depends on its day: a future one would cover later findings. */
    json_array_foreach(json_object_get(bundle, "accepted"), index, element)
    {
        const char *code = json_string_value(element);
        if (code != NULL && hf_label_is_plain(code))
            fprintf(out, "      accepts lint's error %s as of %s\n", code,
                    accepted_at == NULL ? "-" : accepted_at);
    }
}

/* Without content nothing was checked, but the holder signs for bytes of this length and hash. */
static void print_added(const json_t *added, FILE *out)
{
    const json_t *bundle = json_object_get(added, "bundle");
    const char *sha256 = text_of(added, "sha256");
    json_int_t length = json_integer_value(json_object_get(added, "length"));
    fprintf(out, "    %s %s\n", strcmp(text_of(added, "change"), "added") == 0 ? "+" : "! changed:",
            text_of(added, "path"));
    if (json_is_object(bundle))
        print_bundle(bundle, out);
    else if (json_is_true(json_object_get(added, "has_content")))
        fprintf(out,
                "      %" JSON_INTEGER_FORMAT " bytes that are no bundle which a device can read\n"
                "        %s\n",
                length, sha256);
    else
        fprintf(out,
                "      its content is not in the draft\n"
                "        %" JSON_INTEGER_FORMAT " bytes, %s\n",
                length, sha256 == NULL ? "no SHA-256 is listed" : sha256);
    hf_unexplained_print(json_object_get(added, "other_members"), 6, out);
}

void hf_draft_targets_print(const struct hf_draft *draft, const json_t *changes, FILE *out)
{
    size_t index;
    json_t *element;
    if (!draft->is_before_verified)
        fprintf(out,
                "  the targets before are not signed as root %" PRId64 " asks: they prove nothing, "
                "so all that is listed is shown\n",
                hf_draft_root_in_force(draft)->env.version);
    fprintf(out, "  listed     %zu files (before: %zu)\n", draft->targets.n_targets,
            draft->before.n_targets);
    json_array_foreach(json_object_get(changes, "added"), index, element)
    {
        print_added(element, out);
    }
    json_array_foreach(json_object_get(changes, "removed"), index, element)
    {
        const char *path = json_string_value(element);
        fprintf(out, "    - %s\n",
                hf_label_is_plain(path) ? path : "(a name that is not plain ASCII)");
    }
    hf_unexplained_print(json_object_get(changes, "other_members"), 2, out);
}
