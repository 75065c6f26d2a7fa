#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/publish/ceremony/unexplained_diff.h"
#include "server/publish/lint/lint_accepted.h"
#include "common/cli/report.h"
#include "server/repository/base/text.h"

#include <inttypes.h>
#include <string.h>

/* ---- what no sentence explains --------------------------------------------------------------- */

static void forget_members(json_t *object, const char *const *members)
{
    for (; *members != NULL; members++)
        json_object_del(object, *members);
}

/* A list in which nothing is left but empty objects. */
static bool is_hollow(const json_t *list)
{
    size_t index;
    json_t *element;
    json_array_foreach(list, index, element)
    {
        if (!json_is_object(element) || json_object_size(element) != 0)
            return false;
    }
    return json_is_array(list);
}

static void forget_notes(json_t *description)
{
    static const char *const of_note[] = {"sha256", "use", "distrust_after", "remove_after", NULL};
    size_t index;
    json_t *note;
    json_t *notes = json_object_get(description, "anchors");
    json_array_foreach(notes, index, note)
    {
        forget_members(note, of_note);
    }
    if (is_hollow(notes))
        json_object_del(description, "anchors");
}

static void forget_accepted(json_t *description, const struct hf_target *target)
{
    const struct hf_accepted accepted = hf_accepted_of(target);
    size_t index, n_odd = 0;
    json_t *code;
    json_array_foreach(accepted.codes, index, code)
    {
        const char *name = json_string_value(code);
        n_odd += name == NULL || !hf_label_is_plain(name);
    }
    if (n_odd > 0)
        return;
    /* The day is shown with each code; where there is none it would be shown nowhere. */
    if (json_array_size(accepted.codes) > 0 && accepted.at_s != HF_TIME_NONE)
        json_object_del(description, "accepted_at");
    if (json_is_array(accepted.codes))
        json_object_del(description, "accepted");
}

/* The length and the sha256 are shown. A sha512 was checked against the content, where that is there. */
static void forget_shown(json_t *listed, bool has_content)
{
    static const char *const checked[] = {"sha256", "sha512", NULL};
    static const char *const shown[] = {"sha256", NULL};
    json_t *hashes = json_object_get(listed, "hashes");
    json_object_del(listed, "length");
    forget_members(hashes, has_content ? checked : shown);
    if (json_object_size(hashes) == 0)
        json_object_del(listed, "hashes");
}

/* Of what is listed about one file; of a bundle, its description is explained already. */
static json_t *rest_of_one(const struct hf_draft *draft, const struct hf_target *target,
                           bool is_bundle)
{
    static const char *const of_description[] = {"set", "profile", "version", "drops", NULL};
    const json_t *listed = json_object_get(draft->targets.env.signed_part, "targets");
    json_t *none = is_bundle ? json_pack("{s:{s:{}}}", "custom", "holdfast") : json_object();
    json_t *rest = json_deep_copy(json_object_get(listed, target->path));
    json_t *description = json_object_get(json_object_get(rest, "custom"), "holdfast");
    forget_shown(rest, hf_draft_content(draft, target->path).data != NULL);
    if (is_bundle) {
        forget_members(description, of_description);
        forget_notes(description);
        forget_accepted(description, target);
    }
    json_t *list = none == NULL || rest == NULL ? NULL : hf_draft_rest(none, rest);
    json_decref(none);
    json_decref(rest);
    return list;
}

static json_t *copy_of_rest(const struct hf_targets *targets)
{
    json_t *copy = hf_draft_rest_begin(&targets->env);
    json_object_del(copy, "targets");
    return copy;
}

/* Former targets without valid signatures may say anything to hide a difference. */
static json_t *rest_of_all(const struct hf_draft *draft)
{
    json_t *before = draft->is_before_verified ? copy_of_rest(&draft->before) : json_object();
    json_t *after = copy_of_rest(&draft->targets);
    json_t *rest = before == NULL || after == NULL ? NULL : hf_draft_rest(before, after);
    json_decref(before);
    json_decref(after);
    return rest;
}

/* ---- in words and data ----------------------------------------------------------------------- */

/* What a draft of targets changes: bundles that come and go, certificate by certificate. */
/* Subjects are printable as the parser leaves them (fuzz harness `cert`). */
static void show_anchor(const struct hf_anchor *anchor, FILE *out)
{
    char sha256[HF_SHA256_HEX_LEN], day[HF_TIME_TEXT_MAX];
    hf_hex_encode(anchor->cert.sha256, HF_SHA256_LEN, sha256);
    hf_time_format_day(anchor->cert.not_after_s, day);
    fprintf(out, "      %s%s, until %s", anchor->cert.subject,
            strlen(anchor->cert.subject) == HF_DN_TEXT_MAX - 1 ? "... (the name is longer)" : "",
            day);
    hf_time_format_last(anchor->distrust_after_s, day);
    if (anchor->distrust_after_s != HF_TIME_NONE)
        fprintf(out, ", distrust after %s", day);
    hf_time_format_last(anchor->remove_after_s, day);
    if (anchor->remove_after_s != HF_TIME_NONE)
        fprintf(out, ", remove after %s", day);
    if (anchor->use != HF_USE_ANCHOR)
        fprintf(out, ", %s",
                anchor->use == HF_USE_INTERMEDIATE ? "an INTERMEDIATE, trusted as a root"
                                                   : "cross-signed");
    fprintf(out, "\n        %s\n", sha256);
}

/* How far an acceptance goes depends on its day: one that is yet to come would cover what is to come. */
static void show_accepted(const struct hf_target *target, FILE *out)
{
    const struct hf_accepted accepted = hf_accepted_of(target);
    size_t index;
    json_t *code;
    char at[HF_TIME_TEXT_MAX];
    if (accepted.at_s == HF_TIME_NONE)
        hf_time_format_last(HF_TIME_NONE, at);
    else
        hf_time_format(accepted.at_s, at);
    json_array_foreach(accepted.codes, index, code)
    {
        const char *name = json_string_value(code);
        if (name != NULL && hf_label_is_plain(name))
            fprintf(out, "      accepts lint's error %s as of %s\n", name, at);
    }
}

/* Devices with newer software may trust it, so it is signed like the others. */
static void show_skipped(const struct hf_unsupported_cert *cert, const struct hf_description *d,
                         FILE *out)
{
    const struct hf_anchor_note *note = hf_description_note(d, cert->sha256);
    char sha256[HF_SHA256_HEX_LEN], day[HF_TIME_TEXT_MAX];
    hf_hex_encode(cert->sha256, HF_SHA256_LEN, sha256);
    fprintf(out, "      NOT SUPPORTED HERE (%s): %s", cert->what, cert->subject);
    if (note != NULL && note->distrust_after_s != HF_TIME_NONE) {
        hf_time_format_last(note->distrust_after_s, day);
        fprintf(out, ", distrust after %s", day);
    }
    if (note != NULL && note->remove_after_s != HF_TIME_NONE) {
        hf_time_format_last(note->remove_after_s, day);
        fprintf(out, ", remove after %s", day);
    }
    if (note != NULL && note->use != HF_USE_ANCHOR)
        fprintf(out, ", %s",
                note->use == HF_USE_INTERMEDIATE ? "an INTERMEDIATE, trusted as a root"
                                                 : "cross-signed");
    fprintf(out, "\n        %s\n", sha256);
}

static void show_bundle(const struct hf_bundle *bundle, const struct hf_description *d, FILE *out)
{
    char spki[HF_SHA256_HEX_LEN];
    for (size_t i = 0; i < bundle->n_anchors; i++)
        show_anchor(&bundle->anchors[i], out);
    for (size_t i = 0; i < bundle->n_skipped; i++)
        show_skipped(&bundle->skipped[i], d, out);
    for (size_t i = 0; i < d->n_drops; i++) {
        hf_hex_encode(d->drops[i], HF_SHA256_LEN, spki);
        fprintf(out, "      drops the key %s\n", spki);
    }
}

/* Its set, profile and version are those of the path; a device passes over any other. */
static bool is_of_path(const struct hf_description *d, const char *path)
{
    struct hf_buf wanted = {0};
    bool is_same = hf_description_target_path(d, &wanted, NULL) == HF_OK &&
                   hf_bytes_equal(hf_buf_bytes(&wanted), hf_bytes_of_text(path));
    hf_buf_free(&wanted);
    return is_same;
}

/* What a device would read; both are to be freed, also on failure. */
static enum hf_err read_bundle(const struct hf_draft *draft, const struct hf_target *target,
                               struct hf_description *d, struct hf_bundle *bundle)
{
    struct hf_why why = {0};
    if (target->custom == NULL)
        return HF_E_NOT_FOUND;
    HF_TRY(hf_description_parse(target->custom, d, &why));
    if (!is_of_path(d, target->path))
        return HF_E_FORMAT;
    return hf_bundle_parse(hf_draft_content(draft, target->path), d, bundle, &why);
}

/* ---- for people --------------------------------------------------------------------------------- */

static void show_bytes(struct hf_bytes content, FILE *out)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(content, sha256);
    fprintf(out, "      %zu bytes that are no bundle which a device can read\n        %s\n",
            content.len, sha256);
}

/* Nothing was checked, but the holder signs for bytes of this length and hash. */
static void show_listed(const struct hf_file_info *info, FILE *out)
{
    char sha256[HF_SHA256_HEX_LEN] = "no SHA-256 is listed";
    if (info->has_sha256)
        hf_hex_encode(info->sha256, HF_SHA256_LEN, sha256);
    fprintf(out, "      its content is not in the draft\n        %" PRId64 " bytes, %s\n",
            info->length, sha256);
}

static void show_content(const struct hf_draft *draft, const struct hf_target *target, FILE *out)
{
    struct hf_description d = {0};
    struct hf_bundle bundle = {0};
    struct hf_bytes content = hf_draft_content(draft, target->path);
    bool is_bundle = read_bundle(draft, target, &d, &bundle) == HF_OK;
    if (is_bundle)
        show_bundle(&bundle, &d, out);
    else if (content.data != NULL)
        show_bytes(content, out);
    else
        show_listed(&target->info, out);
    if (is_bundle)
        show_accepted(target, out);
    hf_draft_rest_print_take(rest_of_one(draft, target, is_bundle), 6, out);
    hf_bundle_free(&bundle);
    hf_description_free(&d);
}

enum change { UNCHANGED, ADDED, CHANGED };

/* Against something that was not signed nothing is unchanged. */
static enum change change_of(const struct hf_draft *draft, const struct hf_target *target)
{
    const json_t *before = json_object_get(draft->before.env.signed_part, "targets");
    const json_t *after = json_object_get(draft->targets.env.signed_part, "targets");
    const json_t *old = json_object_get(before, target->path);
    if (old == NULL || !draft->is_before_verified)
        return ADDED;
    return json_equal(old, json_object_get(after, target->path)) ? UNCHANGED : CHANGED;
}

static void show_added(const struct hf_draft *draft, FILE *out)
{
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        enum change change = change_of(draft, target);
        if (change == UNCHANGED)
            continue;
        fprintf(out, "    %s %s\n", change == ADDED ? "+" : "! changed:", target->path);
        show_content(draft, target, out);
    }
}

static void show_removed(const struct hf_draft *draft, FILE *out)
{
    for (size_t i = 0; i < draft->before.n_targets; i++) {
        const char *path = draft->before.targets[i].path;
        if (hf_targets_find(&draft->targets, path) == NULL)
            fprintf(out, "    - %s\n",
                    hf_label_is_plain(path) ? path : "(a name that is not plain ASCII)");
    }
}

json_t *hf_draft_targets_unexplained(const struct hf_draft *draft)
{
    json_t *all = rest_of_all(draft);
    for (size_t i = 0; i < draft->targets.n_targets && all != NULL; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        struct hf_description d = {0};
        struct hf_bundle bundle = {0};
        if (change_of(draft, target) == UNCHANGED)
            continue;
        bool is_bundle = read_bundle(draft, target, &d, &bundle) == HF_OK;
        json_t *of_one = rest_of_one(draft, target, is_bundle);
        if (of_one == NULL || json_array_extend(all, of_one) != 0) {
            json_decref(all);
            all = NULL;
        }
        json_decref(of_one);
        hf_bundle_free(&bundle);
        hf_description_free(&d);
    }
    return all;
}

void hf_draft_show_targets(const struct hf_draft *draft, FILE *out)
{
    hf_draft_show_head(draft, &draft->before.env, out);
    if (!draft->is_before_verified)
        fprintf(out,
                "  the targets before are not signed as root %" PRId64 " asks: they prove nothing, "
                "so all that is listed is shown\n",
                hf_draft_root_in_force(draft)->env.version);
    fprintf(out, "  listed     %zu files (before: %zu)\n", draft->targets.n_targets,
            draft->before.n_targets);
    show_added(draft, out);
    show_removed(draft, out);
    hf_draft_rest_print_take(rest_of_all(draft), 2, out);
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *anchor_json(const struct hf_anchor *anchor)
{
    static const char *const uses[] = {[HF_USE_ANCHOR] = "anchor",
                                       [HF_USE_CROSS_SIGNED] = "cross-signed",
                                       [HF_USE_INTERMEDIATE] = "intermediate"};
    json_t *object = hf_json_anchor(anchor);
    if (json_object_set_new(object, "use", json_string(uses[anchor->use])) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *bundle_json(const struct hf_bundle *bundle, const struct hf_description *d,
                           const struct hf_target *target)
{
    const struct hf_accepted accepted = hf_accepted_of(target);
    json_t *anchors = json_array(), *drops = json_array();
    for (size_t i = 0; i < bundle->n_anchors; i++)
        anchors = hf_json_append_take(anchors, anchor_json(&bundle->anchors[i]));
    for (size_t i = 0; i < d->n_drops; i++)
        drops = hf_json_append_take(drops, hf_json_sha256(d->drops[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "anchors", anchors, "unsupported",
                     hf_json_skipped(bundle), "drops", drops, "accepted",
                     json_is_array(accepted.codes) ? json_deep_copy(accepted.codes) : json_array(),
                     "accepted_at", hf_json_time(accepted.at_s));
}

/* The bundle is null for what a device cannot read as one. */
static json_t *target_json(const struct hf_draft *draft, const struct hf_target *target,
                           enum change change)
{
    struct hf_description d = {0};
    struct hf_bundle bundle = {0};
    bool is_bundle = read_bundle(draft, target, &d, &bundle) == HF_OK;
    struct hf_bytes content = hf_draft_content(draft, target->path);
    const struct hf_file_info *info = &target->info;
    bool has_content = content.data != NULL;
    char sha256[HF_SHA256_HEX_LEN];
    if (!has_content && info->has_sha256)
        hf_hex_encode(info->sha256, HF_SHA256_LEN, sha256);
    else
        hf_sha256_hex(content, sha256);
    json_t *object = json_pack("{s:s, s:s, s:b, s:I, s:s?, s:o, s:o}", "path", target->path,
                               "change", change == ADDED ? "added" : "changed", "has_content",
                               has_content, "length", (json_int_t)info->length, "sha256",
                               has_content || info->has_sha256 ? sha256 : NULL, "bundle",
                               is_bundle ? bundle_json(&bundle, &d, target) : json_null(),
                               "other_members", rest_of_one(draft, target, is_bundle));
    hf_bundle_free(&bundle);
    hf_description_free(&d);
    return object;
}

static json_t *added_json(const struct hf_draft *draft)
{
    json_t *list = json_array();
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        enum change change = change_of(draft, target);
        if (change != UNCHANGED)
            list = hf_json_append_take(list, target_json(draft, target, change));
    }
    return list;
}

static json_t *removed_json(const struct hf_draft *draft)
{
    json_t *list = json_array();
    for (size_t i = 0; i < draft->before.n_targets; i++) {
        const char *path = draft->before.targets[i].path;
        if (hf_targets_find(&draft->targets, path) == NULL)
            list = hf_json_append_take(list, json_string(path));
    }
    return list;
}

json_t *hf_draft_targets_to_json(const struct hf_draft *draft)
{
    return json_pack("{s:b, s:{s:I, s:I}, s:o, s:o, s:o}", "before_verified",
                     draft->is_before_verified, "listed", "before",
                     (json_int_t)draft->before.n_targets, "after",
                     (json_int_t)draft->targets.n_targets, "added", added_json(draft), "removed",
                     removed_json(draft), "other_members", rest_of_all(draft));
}
