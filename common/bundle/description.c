#include "common/bundle/description.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WHAT "the bundle's description (custom.holdfast)"
#define WHAT_NOTE "an entry of \"anchors\" in the bundle's description"

static const char *const use_names[] = {[HF_USE_ANCHOR] = "anchor",
                                        [HF_USE_CROSS_SIGNED] = "cross-signed",
                                        [HF_USE_INTERMEDIATE] = "intermediate"};

const char *hf_use_name(enum hf_use use)
{
    return use_names[use];
}

static enum hf_err parse_name(const json_t *object, const char *key, char out[HF_SET_NAME_MAX + 1],
                              struct hf_why *why)
{
    const char *name = NULL;
    HF_TRY(hf_json_get_text(object, key, WHAT, &name, why));
    if (!hf_set_name_is_valid(name))
        return hf_fail(
            why, HF_E_FORMAT,
            "%s: \"%s\" should be 1 to %d of a-z, 0-9, \".\", \"_\", \"-\", beginning with a "
            "letter or digit; found \"%.80s\"",
            WHAT, key, HF_SET_NAME_MAX, name);
    memcpy(out, name, strlen(name) + 1);
    return HF_OK;
}

static enum hf_err parse_sha256(const char *text, const char *what, uint8_t out[HF_SHA256_LEN],
                                struct hf_why *why)
{
    if (text == NULL || !hf_hex_decode(text, out, HF_SHA256_LEN))
        return hf_fail(why, HF_E_FORMAT,
                       "%s should hold a SHA-256 as %d hexadecimal digits, found "
                       "\"%.80s\"",
                       what, 2 * HF_SHA256_LEN, text == NULL ? "something else" : text);
    return HF_OK;
}

static enum hf_err parse_date(const json_t *object, const char *key, int64_t *out_s,
                              struct hf_why *why)
{
    if (json_object_get(object, key) == NULL)
        return HF_OK;
    return hf_json_get_time(object, key, WHAT_NOTE, out_s, why);
}

static enum hf_err parse_note(const json_t *object, struct hf_anchor_note *out, struct hf_why *why)
{
    struct hf_anchor_note note = {.distrust_after_s = HF_TIME_NONE, .remove_after_s = HF_TIME_NONE};
    const char *sha256 = NULL, *use = NULL;
    HF_TRY(hf_json_get_text(object, "sha256", WHAT_NOTE, &sha256, why));
    HF_TRY(parse_sha256(sha256, WHAT_NOTE, note.sha256, why));
    if (json_object_get(object, "use") != NULL) { /* absent: a plain anchor */
        HF_TRY(hf_json_get_text(object, "use", WHAT_NOTE, &use, why));
        if (strcmp(use, use_names[HF_USE_CROSS_SIGNED]) == 0)
            note.use = HF_USE_CROSS_SIGNED;
        else if (strcmp(use, use_names[HF_USE_INTERMEDIATE]) == 0)
            note.use = HF_USE_INTERMEDIATE;
        else
            return hf_fail(why, HF_E_FORMAT,
                           "%s: \"use\" should be \"cross-signed\" or \"intermediate\", found "
                           "\"%.80s\"; a newer Holdfast may know it",
                           WHAT_NOTE, use);
    }
    HF_TRY(parse_date(object, "distrust_after", &note.distrust_after_s, why));
    HF_TRY(parse_date(object, "remove_after", &note.remove_after_s, why));
    *out = note;
    return HF_OK;
}

/* The list `key`, NULL where it is absent; `elements` get zeroed memory of `size` each. */
static enum hf_err begin_list(const json_t *object, const char *key, size_t n_max, size_t size,
                              json_t **list, void **elements, struct hf_why *why)
{
    if (json_object_get(object, key) == NULL) {
        *list = NULL;
        return HF_OK;
    }
    HF_TRY(hf_json_get_array(object, key, WHAT, list, why));
    size_t n = json_array_size(*list);
    if (n > n_max)
        return hf_fail(why, HF_E_LIMIT, "%s: \"%s\" has %zu entries, at most %zu are accepted",
                       WHAT, key, n, n_max);
    if (n > 0 && (*elements = calloc(n, size)) == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", WHAT);
    return HF_OK;
}

static enum hf_err parse_notes(const json_t *object, struct hf_description *d, struct hf_why *why)
{
    json_t *list = NULL;
    void *elements = NULL;
    HF_TRY(begin_list(object, "anchors", HF_BUNDLE_ANCHORS_MAX, sizeof *d->notes, &list, &elements,
                      why));
    d->notes = elements;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct hf_anchor_note note;
        HF_TRY(parse_note(json_array_get(list, i), &note, why));
        if (hf_description_note(d, note.sha256) != NULL)
            return hf_fail(why, HF_E_FORMAT, "%s: \"anchors\" names the certificate %s twice", WHAT,
                           json_string_value(json_object_get(json_array_get(list, i), "sha256")));
        d->notes[d->n_notes++] = note;
    }
    return HF_OK;
}

bool hf_description_drops(const struct hf_description *d, const uint8_t spki_sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < d->n_drops; i++) {
        if (memcmp(d->drops[i], spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static enum hf_err parse_drops(const json_t *object, struct hf_description *d, struct hf_why *why)
{
    json_t *list = NULL;
    void *elements = NULL;
    HF_TRY(begin_list(object, "drops", HF_REVOKED_MAX, sizeof *d->drops, &list, &elements, why));
    d->drops = elements;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        uint8_t spki_sha256[HF_SHA256_LEN];
        HF_TRY(parse_sha256(text, WHAT ": \"drops\"", spki_sha256, why));
        if (hf_description_drops(d, spki_sha256))
            return hf_fail(why, HF_E_FORMAT, "%s: \"drops\" names the key %s twice", WHAT, text);
        memcpy(d->drops[d->n_drops++], spki_sha256, HF_SHA256_LEN);
    }
    return HF_OK;
}

static enum hf_err parse_plan(const json_t *object, struct hf_description *d, struct hf_why *why)
{
    const json_t *rollout = json_object_get(object, "rollout");

    if (rollout == NULL)
        return HF_OK;
    d->plan = malloc(sizeof *d->plan);
    if (d->plan == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", WHAT);
    *d->plan = (struct hf_rollout_plan){0};
    HF_TRY(hf_rollout_plan_parse(rollout, d->plan, why));
    if (d->plan->min_version > d->version)
        return hf_fail(why, HF_E_POLICY,
                       "the rollout plan of version %" PRId64 ": \"min_version\" should not be a "
                       "later one, found %" PRId64,
                       d->version, d->plan->min_version);
    return HF_OK;
}

enum hf_err hf_description_parse(const json_t *custom, struct hf_description *out,
                                 struct hf_why *why)
{
    struct hf_description d = {0};
    json_t *object = NULL;
    if (!json_is_object(custom) || json_object_get(custom, "holdfast") == NULL)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "the target has no \"holdfast\" in its \"custom\": it is no bundle");
    HF_TRY(hf_json_get_object(custom, "holdfast", "the target's \"custom\"", &object, why));
    HF_TRY(parse_name(object, "set", d.set, why));
    HF_TRY(parse_name(object, "profile", d.profile, why));
    HF_TRY(hf_json_get_integer(object, "version", WHAT, 1, &d.version, why));
    enum hf_err err = parse_notes(object, &d, why);
    if (err == HF_OK)
        err = parse_drops(object, &d, why);
    if (err == HF_OK)
        err = parse_plan(object, &d, why);
    if (err == HF_OK)
        *out = d;
    else
        hf_description_free(&d);
    return err;
}

void hf_description_free(struct hf_description *d)
{
    if (d == NULL)
        return;
    free(d->notes);
    free(d->drops);
    free(d->plan);
    *d = (struct hf_description){0};
}

static json_t *note_to_json(const struct hf_anchor_note *note)
{
    json_t *object = hf_json_set_take(json_object(), "sha256", hf_json_sha256(note->sha256));
    if (note->use != HF_USE_ANCHOR)
        object = hf_json_set_take(object, "use", json_string(hf_use_name(note->use)));
    if (note->distrust_after_s != HF_TIME_NONE)
        object = hf_json_set_take(object, "distrust_after", hf_json_time(note->distrust_after_s));
    if (note->remove_after_s != HF_TIME_NONE)
        object = hf_json_set_take(object, "remove_after", hf_json_time(note->remove_after_s));
    return object;
}

enum hf_err hf_description_to_json(const struct hf_description *d, json_t **out, struct hf_why *why)
{
    if (!hf_set_name_is_valid(d->set) || !hf_set_name_is_valid(d->profile) || d->version < 1)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a bundle to be published wants valid names and a version of 1 or more, "
                       "found set \"%s\", profile \"%s\", version %" PRId64,
                       d->set, d->profile, d->version);
    json_t *object = json_pack("{s:s, s:s, s:I}", "set", d->set, "profile", d->profile, "version",
                               (json_int_t)d->version);
    json_t *notes = d->n_notes == 0 ? NULL : json_array();
    for (size_t i = 0; i < d->n_notes; i++)
        notes = hf_json_append_take(notes, note_to_json(&d->notes[i]));
    /* Members without content are left out. */
    if (d->n_notes > 0)
        object = hf_json_set_take(object, "anchors", notes);
    if (d->n_drops > 0)
        object = hf_json_set_take(object, "drops",
                                  hf_json_hashes((const void *)d->drops, d->n_drops));
    if (d->plan != NULL)
        object = hf_json_set_take(object, "rollout", hf_rollout_plan_to_json(d->plan));
    json_t *custom = hf_json_set_take(json_object(), "holdfast", object);
    if (custom == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while writing %s", WHAT);
    *out = custom;
    return HF_OK;
}

const struct hf_anchor_note *hf_description_note(const struct hf_description *d,
                                                 const uint8_t sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < d->n_notes; i++) {
        if (memcmp(d->notes[i].sha256, sha256, HF_SHA256_LEN) == 0)
            return &d->notes[i];
    }
    return NULL;
}

enum hf_err hf_description_target_path(const struct hf_description *d, struct hf_buf *out,
                                       struct hf_why *why)
{
    if (hf_buf_printf(out, "%s/%s/%" PRId64 ".pem", d->set, d->profile, d->version) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a target path");
    return HF_OK;
}
