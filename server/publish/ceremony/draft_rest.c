#include "server/publish/ceremony/draft_rest.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_SHOWN_MAX 1000 /* characters */

/* ---- as data ---------------------------------------------------------------------------------- */

static int add_difference(json_t *list, const char *where, const json_t *before,
                          const json_t *after)
{
    const char *change = before == NULL ? "new" : after == NULL ? "goes" : "changes";
    json_t *object = json_pack("{s:s, s:s}", "member", where, "change", change);
    int failures = 0;
    if (before != NULL)
        failures += json_object_set_new(object, "before", json_deep_copy(before));
    if (after != NULL)
        failures += json_object_set_new(object, "after", json_deep_copy(after));
    return failures + json_array_append_new(list, object);
}

static int compare(json_t *list, const char *where, const json_t *before, const json_t *after);

/* As deep as the parser lets JSON be (HF_JSON_DEPTH_MAX). */
static int compare_member(json_t *list, const char *where, const char *member, const json_t *before,
                          const json_t *after)
{
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", where, where[0] == '\0' ? "" : ".", member) < 0)
        return -1;
    int failures = compare(list, path, json_object_get(before, member),
                           json_object_get(after, member));
    free(path);
    return failures;
}

static int compare(json_t *list, const char *where, const json_t *before, const json_t *after)
{
    const char *member;
    json_t *value;
    int failures = 0;
    if (before == after || (before != NULL && after != NULL && json_equal(before, after)))
        return 0;
    if (!json_is_object(before) || !json_is_object(after))
        return add_difference(list, where, before, after);
    json_object_foreach(hf_json_iterable(before), member, value)
    {
        failures += compare_member(list, where, member, before, after);
    }
    json_object_foreach(hf_json_iterable(after), member, value)
    {
        if (json_object_get(before, member) == NULL)
            failures += compare_member(list, where, member, before, after);
    }
    return failures;
}

json_t *hf_draft_rest(const json_t *before, const json_t *after)
{
    json_t *list = json_array();
    if (compare(list, "", before, after) == 0)
        return list;
    json_decref(list);
    return NULL;
}

json_t *hf_draft_rest_begin(const struct hf_envelope *env)
{
    json_t *copy = json_deep_copy(env->signed_part);
    json_object_del(copy, "version");
    json_object_del(copy, "expires");
    if (env->signed_at_s != HF_TIME_NONE) /* something else than a time may stand there */
        json_object_del(copy, "signed_at");
    return copy;
}

/* ---- for people ------------------------------------------------------------------------------- */

/* jansson escapes what is not ASCII, and controls but for DEL. NULL without memory. */
static char *plain_text(const json_t *value)
{
    char *text = json_dumps(value,
                            JSON_ENSURE_ASCII | JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    for (char *p = text; p != NULL && *p != '\0'; p++) {
        if (*p == 0x7F)
            *p = '?';
    }
    return text;
}

static void print_value(const char *words, const json_t *value, FILE *out)
{
    char sha256[HF_SHA256_HEX_LEN];
    char *text = plain_text(value);
    if (text == NULL) {
        fprintf(out, "%s what cannot be shown, for want of memory", words);
        return;
    }
    hf_sha256_hex(hf_bytes_of_text(text), sha256);
    if (strlen(text) <= VALUE_SHOWN_MAX)
        fprintf(out, "%s %s", words, text);
    else
        fprintf(out, "%s %.*s... (%zu characters, SHA-256 %s)", words, VALUE_SHOWN_MAX, text,
                strlen(text), sha256);
    free(text);
}

static void print_one(const json_t *difference, int indent, FILE *out)
{
    const json_t *before = json_object_get(difference, "before");
    const json_t *after = json_object_get(difference, "after");
    fprintf(out, "%*s", indent, "");
    print_value("! not explained:", json_object_get(difference, "member"), out);
    if (after != NULL)
        print_value(before == NULL ? " is new:" : " becomes", after, out);
    if (before != NULL)
        print_value(after == NULL ? " goes, it was" : ", it was", before, out);
    fputc('\n', out);
}

void hf_draft_rest_print_take(json_t *rest, int indent, FILE *out)
{
    if (rest == NULL)
        fprintf(out, "%*sout of memory: what else differs is NOT shown\n", indent, "");
    for (size_t i = 0; i < json_array_size(rest); i++)
        print_one(json_array_get(rest, i), indent, out);
    json_decref(rest);
}
