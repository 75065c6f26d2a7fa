#include "server/publish/ceremony/unexplained_diff.h"

#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LEN 96        /* characters; a value that is longer is laid out in lines */
#define PARTS_MAX 100      /* differences that no sentence explains; a person does not read more */
#define TEXT_LEN_MAX 50000 /* characters of all of them, as JSON: some 20 pages */

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

#define ENCODING (JSON_ENSURE_ASCII | JSON_SORT_KEYS | JSON_ENCODE_ANY)

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

/* How much of a line fits into LINE_LEN characters, broken at a blank where there is one. */
static size_t fitting_len(const char *line, size_t len)
{
    if (len <= LINE_LEN)
        return len;
    for (size_t n = LINE_LEN; n > LINE_LEN / 2; n--) {
        if (line[n - 1] == ' ')
            return n;
    }
    return LINE_LEN;
}

/*
 * All of a long value. Every line begins with a mark: a string of many blanks could otherwise be made
 * so long that what a terminal continues on its next row looks like one of our own lines.
 */
static void print_lines(const char *text, int indent, FILE *out)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        size_t n = fitting_len(text, len);
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

static void print_one(const json_t *difference, int indent, FILE *out)
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

void hf_draft_rest_print_take(json_t *rest, int indent, FILE *out)
{
    if (rest == NULL)
        fprintf(out, "%*sout of memory: what else differs is NOT shown\n", indent, "");
    for (size_t i = 0; i < json_array_size(rest); i++)
        print_one(json_array_get(rest, i), indent, out);
    json_decref(rest);
}

/* ---- before a signature ----------------------------------------------------------------------- */

enum hf_err hf_draft_rest_check_take(json_t *rest, struct hf_why *why)
{
    size_t n_parts = json_array_size(rest);
    size_t len = rest == NULL ? 0 : json_dumpb(rest, NULL, 0, ENCODING);
    enum hf_err err = HF_OK;
    if (len == 0)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for what the draft changes");
    else if (n_parts > PARTS_MAX || len > TEXT_LEN_MAX)
        err =
            hf_fail(why, HF_E_LIMIT,
                    "the draft holds %zu changes of %zu characters that holdfastctl cannot explain "
                    "(at most %d of %d). A person cannot check that many, so it is not signed; "
                    "start a new draft",
                    n_parts, len, PARTS_MAX, TEXT_LEN_MAX);
    json_decref(rest);
    return err;
}

void hf_draft_rest_print_names_take(json_t *rest, FILE *out)
{
    size_t index;
    json_t *difference;
    if (json_array_size(rest) > 0)
        fprintf(out, "%zu change(s) above are NOT explained:\n", json_array_size(rest));
    json_array_foreach(rest, index, difference)
    {
        fputs("  ", out);
        print_value("!", json_object_get(difference, "member"), 2, out);
        fputc('\n', out);
    }
    json_decref(rest);
}

/* ---- what every difference begins with -------------------------------------------------------- */

static void show_time(const char *label, int64_t time_s, int64_t before_s, FILE *out)
{
    char text[HF_TIME_TEXT_MAX] = "never", before[HF_TIME_TEXT_MAX] = "never";
    if (time_s != HF_TIME_NONE)
        hf_time_format(time_s, text);
    if (before_s != HF_TIME_NONE)
        hf_time_format(before_s, before);
    fprintf(out, "  %-10s %s (before: %s)\n", label, text, before);
}

void hf_draft_show_head(const struct hf_draft *draft, const struct hf_envelope *before, FILE *out)
{
    char digest[HF_SHA256_HEX_LEN], root[HF_SHA256_HEX_LEN];
    const struct hf_envelope *env = hf_draft_envelope(draft);
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    hf_sha256_hex(hf_draft_root_file(draft), root);
    fprintf(out, "draft of %s %" PRId64 ", after %s %" PRId64 "\n", hf_top_role_name(draft->role),
            env->version, hf_top_role_name(draft->role), before->version);
    fprintf(out, "  SHA-256    %s\n", digest);
    fprintf(out, "  root %-5" PRId64 " %s\n", draft->root.env.version, root);
    if (hf_draft_is_under_coming_root(draft))
        fprintf(out,
                "             not published yet: it comes after root %" PRId64
                ", together with this draft\n",
                draft->root_before.env.version);
    show_time("drafted", env->signed_at_s, before->signed_at_s, out);
    show_time("expires", env->expires_s, before->expires_s, out);
}
