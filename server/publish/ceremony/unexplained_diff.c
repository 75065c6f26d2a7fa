#include "server/publish/ceremony/unexplained_diff.h"

#include "common/base/timetext.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

#define LINE_LEN 96        /* characters; a value that is longer is laid out in lines */
#define PARTS_MAX 100      /* differences that no sentence explains; a person does not read more */
#define TEXT_LEN_MAX 50000 /* characters of all of them, as JSON: some 20 pages */

#define ENCODING (JSON_ENSURE_ASCII | JSON_SORT_KEYS | JSON_ENCODE_ANY)

json_t *hf_unexplained_copy(const struct hf_envelope *env)
{
    json_t *copy = json_deep_copy(env->signed_part);
    json_object_del(copy, "version");
    json_object_del(copy, "expires");
    if (env->signed_at_s != HF_TIME_NONE) /* something else than a time may stand there */
        json_object_del(copy, "signed_at");
    return copy;
}

/* As deep as the parser lets JSON be (HF_JSON_DEPTH_MAX). */
static int compare(json_t *list, const char *where, const json_t *before, const json_t *after)
{
    const json_t *const both[] = {before, after};
    const char *member;
    json_t *value;
    int failures = 0;
    if (before == after || (before != NULL && after != NULL && json_equal(before, after)))
        return 0;
    if (!json_is_object(before) || !json_is_object(after)) {
        const char *change = before == NULL ? "new" : after == NULL ? "goes" : "changes";
        return json_array_append_new(list,
                                     json_pack("{s:s, s:s, s:O*, s:O*}", "member", where, "change",
                                               change, "before", before, "after", after));
    }
    for (size_t i = 0; i < 2; i++) {
        json_object_foreach(hf_json_iterable(both[i]), member, value)
        {
            char *path = NULL;
            if (i == 1 && json_object_get(before, member) != NULL)
                continue;
            if (asprintf(&path, "%s%s%s", where, where[0] == '\0' ? "" : ".", member) < 0)
                return -1;
            failures += compare(list, path, json_object_get(before, member),
                                json_object_get(after, member));
            free(path);
        }
    }
    return failures;
}

json_t *hf_unexplained_diff_take(json_t *before, json_t *after)
{
    json_t *list = before == NULL || after == NULL ? NULL : json_array();
    if (list != NULL && compare(list, "", before, after) != 0) {
        json_decref(list);
        list = NULL;
    }
    json_decref(before);
    json_decref(after);
    return list;
}

/* jansson escapes what is not ASCII, and control characters except DEL. */
static void print_plain(const char *text, size_t len, FILE *out)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == 0x7F)
            fputs("\\u007f", out);
        else
            fputc(text[i], out);
    }
}

/*
 * All of a long value, its lines broken at a blank where there is one. Every line begins with a
 * mark: a string of many blanks could otherwise be made so long that what a terminal continues on
 * its next row looks like one of our own lines.
 */
static void print_lines(const char *text, int indent, FILE *out)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n"), n = len;
        if (len > LINE_LEN) {
            n = LINE_LEN;
            while (n > LINE_LEN / 2 && text[n - 1] != ' ')
                n--;
            if (n == LINE_LEN / 2)
                n = LINE_LEN;
        }
        fprintf(out, "\n%*s| ", indent + 2, "");
        print_plain(text, n, out);
        text += n;
        if (n == len && *text == '\n')
            text++;
    }
}

static void print_value(const char *words, const json_t *value, int indent, FILE *out)
{
    char *text = json_dumps(value, ENCODING | JSON_COMPACT);
    char *laid_out = json_dumps(value, ENCODING | JSON_INDENT(2));
    fputs(words, out);
    if (text == NULL || laid_out == NULL) {
        fputs(" what cannot be shown: out of memory", out);
    } else if (strlen(text) <= LINE_LEN) {
        fputc(' ', out);
        print_plain(text, strlen(text), out);
    } else {
        print_lines(laid_out, indent, out);
    }
    free(text);
    free(laid_out);
}

void hf_unexplained_print(const json_t *diff, int indent, FILE *out)
{
    size_t index;
    json_t *difference;
    json_array_foreach(diff, index, difference)
    {
        const json_t *before = json_object_get(difference, "before");
        const json_t *after = json_object_get(difference, "after");
        fprintf(out, "%*s", indent, "");
        print_value("! not explained:", json_object_get(difference, "member"), indent, out);
        if (after != NULL)
            print_value(before == NULL ? " is new:" : " becomes", after, indent, out);
        if (before != NULL)
            print_value(after == NULL ? " is removed, it was" : ", it was", before, indent, out);
        fputc('\n', out);
    }
}

void hf_unexplained_print_names(const json_t *diff, FILE *out)
{
    size_t index;
    json_t *difference;
    if (json_array_size(diff) > 0)
        fprintf(out, "%zu change(s) above are NOT explained:\n", json_array_size(diff));
    json_array_foreach(diff, index, difference)
    {
        fputs("  ", out);
        print_value("!", json_object_get(difference, "member"), 2, out);
        fputc('\n', out);
    }
}

enum hf_err hf_unexplained_check(const json_t *diff, struct hf_why *why)
{
    size_t n_parts = json_array_size(diff);
    size_t len = diff == NULL ? 0 : json_dumpb(diff, NULL, 0, ENCODING);
    if (len == 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for what the draft changes");
    if (n_parts <= PARTS_MAX && len <= TEXT_LEN_MAX)
        return HF_OK;
    return hf_fail(why, HF_E_LIMIT,
                   "the draft holds %zu changes of %zu characters that holdfastctl cannot explain "
                   "(at most %d of %d). A person cannot check that many, so it is not signed; "
                   "start a new draft",
                   n_parts, len, PARTS_MAX, TEXT_LEN_MAX);
}
