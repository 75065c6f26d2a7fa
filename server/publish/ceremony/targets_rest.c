#include "server/publish/ceremony/targets_rest.h"

#include "common/base/timetext.h"
#include "server/publish/ceremony/draft_rest.h"
#include "server/repository/base/label.h"
#include "server/publish/lint/lint_accepted.h"

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

json_t *hf_targets_rest_of_one(const struct hf_draft *draft, const struct hf_target *target,
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
json_t *hf_targets_rest(const struct hf_draft *draft)
{
    json_t *before = draft->is_before_verified ? copy_of_rest(&draft->before) : json_object();
    json_t *after = copy_of_rest(&draft->targets);
    json_t *rest = before == NULL || after == NULL ? NULL : hf_draft_rest(before, after);
    json_decref(before);
    json_decref(after);
    return rest;
}
