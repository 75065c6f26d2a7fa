/* The file of a draft: parsed, made, changed, read and written. */
#include "server/repository/drafts/draft.h"

#include "common/json/json.h"
#include "common/os/file_util.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT "holdfast-draft"
#define FORMAT_VERSION 1
#define WHAT "the draft"

static enum hf_err out_of_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
}

static enum hf_err parse_role(const json_t *json, enum hf_top_role *out, struct hf_why *why)
{
    const char *format = NULL, *role = NULL;
    int64_t version = 0;
    HF_TRY(hf_json_get_text(json, "format", WHAT, &format, why));
    HF_TRY(hf_json_get_integer(json, "version", WHAT, 1, &version, why));
    if (strcmp(format, FORMAT) != 0 || version != FORMAT_VERSION)
        return hf_fail(why, HF_E_FORMAT,
                       "a %s of version %d is expected, this is a \"%.40s\" of version %lld",
                       FORMAT, FORMAT_VERSION, format, (long long)version);
    HF_TRY(hf_json_get_text(json, "role", WHAT, &role, why));
    if (strcmp(role, "root") != 0 && strcmp(role, "targets") != 0)
        return hf_fail(why, HF_E_FORMAT, "a draft is of root or of targets, not of \"%.40s\"",
                       role);
    *out = strcmp(role, "root") == 0 ? HF_ROLE_ROOT : HF_ROLE_TARGETS;
    return HF_OK;
}

/* May be absent; what the roots prove is seen when a holder's keys know one of them. The last of
 * them is in force where the one after it is still to come. */
static enum hf_err parse_roots(struct hf_draft *draft, struct hf_why *why)
{
    const json_t *to_come = json_object_get(draft->json, "root_to_come");
    size_t index;
    json_t *text, *list = NULL;
    if (json_object_get(draft->json, "roots") != NULL)
        HF_TRY(hf_json_get_array(draft->json, "roots", WHAT, &list, why));
    json_array_foreach(list, index, text)
    {
        if (!json_is_string(text))
            return hf_fail(why, HF_E_FORMAT, "the roots before, in the draft, should be strings");
    }
    size_t n = json_array_size(list);
    if (to_come == NULL)
        return HF_OK;
    if (!json_is_true(to_come) || draft->role != HF_ROLE_TARGETS || n == 0)
        return hf_fail(why, HF_E_FORMAT,
                       "\"root_to_come\" is expected to be true, in a draft of targets that brings "
                       "the root before");
    text = json_array_get(list, n - 1);
    if (hf_root_parse(hf_bytes_of_text(json_string_value(text)), &draft->root_before, why) != HF_OK)
        return hf_fail_context(why, "the root metadata before, in the draft");
    return HF_OK;
}

static enum hf_err parse(struct hf_draft *draft, struct hf_why *why)
{
    const char *text = NULL;
    json_t *unused = NULL;
    struct hf_buf file = {0};
    HF_TRY(parse_role(draft->json, &draft->role, why));
    HF_TRY(hf_json_get_text(draft->json, "root", WHAT, &text, why));
    HF_TRY(hf_json_get_object(draft->json, "signed", WHAT, &unused, why));
    HF_TRY(hf_json_get_array(draft->json, "signatures", WHAT, &unused, why));
    HF_TRY(hf_json_get_object(draft->json, "names", WHAT, &unused, why));
    if (hf_root_parse(hf_bytes_of_text(text), &draft->root, why) != HF_OK)
        return hf_fail_context(why, "the root metadata in the draft");
    HF_TRY(parse_roots(draft, why));
    if (draft->role == HF_ROLE_TARGETS) {
        HF_TRY(hf_json_get_text(draft->json, "before", WHAT, &text, why));
        HF_TRY(hf_json_get_object(draft->json, "files", WHAT, &unused, why));
        if (hf_targets_parse(hf_bytes_of_text(text), &draft->before, why) != HF_OK)
            return hf_fail_context(why, "the targets metadata before, in the draft");
    }
    HF_TRY(hf_draft_metadata(draft, &file, why));
    enum hf_err err = draft->role == HF_ROLE_ROOT
                          ? hf_root_parse(hf_buf_bytes(&file), &draft->next, why)
                          : hf_targets_parse(hf_buf_bytes(&file), &draft->targets, why);
    hf_buf_free(&file);
    return err == HF_OK ? hf_draft_check(draft, why) : err;
}

static enum hf_err parse_json_take(json_t *json, struct hf_draft *out, struct hf_why *why)
{
    struct hf_draft draft = {.json = json};
    enum hf_err err = parse(&draft, why);
    if (err == HF_OK)
        *out = draft;
    else
        hf_draft_free(&draft);
    return err;
}

enum hf_err hf_draft_parse(struct hf_bytes text, struct hf_draft *out, struct hf_why *why)
{
    json_t *json = NULL;
    if (text.len > HF_DRAFT_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "a draft of %zu bytes; at most %u are read", text.len,
                       HF_DRAFT_BYTES_MAX);
    HF_TRY(hf_json_parse_object(text, WHAT, &json, why));
    return parse_json_take(json, out, why);
}

enum hf_err hf_draft_make(const struct hf_draft_parts *parts, struct hf_draft *out,
                          struct hf_why *why)
{
    struct hf_bytes root = parts->root, before = parts->before;
    json_t *json = json_pack("{s:s, s:i, s:s, s:s%, s:[], s:o, s:o}", "format", FORMAT, "version",
                             FORMAT_VERSION, "role", hf_top_role_name(parts->role), "root",
                             root.data, root.len, "signatures", "names",
                             parts->names == NULL ? json_object() : json_deep_copy(parts->names),
                             "signed", json_deep_copy(parts->signed_part));
    int failures = 0;
    if (parts->roots != NULL)
        failures += json_object_set_new(json, "roots", json_deep_copy(parts->roots));
    if (parts->role == HF_ROLE_TARGETS) {
        json_t *files = parts->files == NULL ? json_object() : json_deep_copy(parts->files);
        failures += json_object_set_new(json, "before",
                                        json_stringn((const char *)before.data, before.len));
        failures += json_object_set_new(json, "files", files);
        if (parts->is_root_to_come)
            failures += json_object_set_new(json, "root_to_come", json_true());
    }
    if (json != NULL && failures == 0)
        return parse_json_take(json, out, why);
    json_decref(json);
    return out_of_memory(why);
}

enum hf_err hf_draft_set_take(struct hf_draft *draft, const char *member, json_t *value,
                              struct hf_why *why)
{
    struct hf_draft changed = {0};
    json_t *json = json_copy(draft->json);
    if (json_object_set_new(json, member, value) != 0) {
        json_decref(json);
        return out_of_memory(why);
    }
    HF_TRY(parse_json_take(json, &changed, why));
    hf_draft_free(draft);
    *draft = changed;
    return HF_OK;
}

enum hf_err hf_draft_format(const struct hf_draft *draft, struct hf_buf *out, struct hf_why *why)
{
    return hf_json_dump(draft->json, JSON_INDENT(2) | JSON_SORT_KEYS, out, why);
}

enum hf_err hf_draft_read(const char *path, struct hf_draft *out, struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = hf_file_read_any(path, HF_DRAFT_BYTES_MAX, &text, why);
    if (err == HF_OK && hf_draft_parse(hf_buf_bytes(&text), out, why) != HF_OK)
        err = hf_fail_context(why, "%s", path);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_draft_write(const char *path, const struct hf_draft *draft, bool is_new,
                           struct hf_why *why)
{
    struct hf_buf text = {0};
    enum hf_err err = hf_draft_format(draft, &text, why);
    if (err == HF_OK)
        err = is_new ? hf_file_create(path, 0644, hf_buf_bytes(&text), why)
                     : hf_file_replace_alone(path, hf_buf_bytes(&text), why);
    hf_buf_free(&text);
    return err;
}
