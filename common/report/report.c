#include "common/report/report.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

#define WHAT "the report"

/* ---- members --------------------------------------------------------------------------------- */

enum form {
    FORM_DEVICE, /* a char[]; hf_device_id_is_valid */
    FORM_NAME,   /* hf_set_name_is_valid */
    FORM_WORD,   /* a-z 0-9 and '-' */
    FORM_HEX,    /* as many hexadecimal digits as there is room for */
    FORM_TEXT,   /* any; what a terminal must not get becomes '?' */
    FORM_NUMBER, /* int64_t, -1: absent */
    FORM_TIME,   /* int64_t, HF_TIME_NONE: absent */
};

struct member {
    const char *name;
    enum form form;
    size_t at;
    size_t size; /* of a char[] */
    bool is_required;
};

#define TEXT(member, form, is_required)                                                            \
    {                                                                                              \
#member, form, offsetof(struct hf_report, member), sizeof((struct hf_report *)0)->member,  \
            is_required                                                                            \
    }

static const struct member members[] = {
    TEXT(device, FORM_DEVICE, true),
    TEXT(installation, FORM_HEX, true),
    {"seq", FORM_NUMBER, offsetof(struct hf_report, seq), 0, true},
    {"kind", FORM_WORD, offsetof(struct hf_report, kind_name), HF_REPORT_WORD_MAX + 1, true},
    TEXT(set, FORM_NAME, true),
    TEXT(profile, FORM_NAME, true),
    {"from", FORM_NUMBER, offsetof(struct hf_report, from), 0, false},
    {"to", FORM_NUMBER, offsetof(struct hf_report, to), 0, false},
    TEXT(sha256, FORM_HEX, false),
    TEXT(text, FORM_TEXT, false),
    TEXT(outcome, FORM_WORD, false),
    TEXT(endpoint, FORM_TEXT, false),
    TEXT(root, FORM_HEX, false),
    TEXT(root_name, FORM_TEXT, false),
    {"next_expiry", FORM_TIME, offsetof(struct hf_report, next_expiry_s), 0, false},
    {"clock", FORM_TIME, offsetof(struct hf_report, clock_s), 0, false},
    TEXT(agent, FORM_TEXT, false),
    TEXT(nonce, FORM_HEX, false),
    {"sent", FORM_TIME, offsetof(struct hf_report, sent_s), 0, false},
};
#define N_MEMBERS (sizeof members / sizeof members[0])

static const char *const kind_names[HF_REPORT_KIND_COUNT] = {
    [HF_REPORT_OTHER] = "other",
    [HF_REPORT_ANNOUNCE] = "announce",
    [HF_REPORT_SWAPPED] = "swapped",
    [HF_REPORT_CONFIRMED] = "confirmed",
    [HF_REPORT_ROLLED_BACK] = "rolled-back",
    [HF_REPORT_REFUSED] = "refused",
    [HF_REPORT_FAILED] = "failed",
    [HF_REPORT_HELD] = "held",
    [HF_REPORT_CURRENT] = "current",
    [HF_REPORT_RECOVERED] = "recovered",
};

const char *hf_report_kind_name(enum hf_report_kind kind)
{
    size_t i = (size_t)kind;
    return kind_names[i < HF_REPORT_KIND_COUNT ? i : HF_REPORT_OTHER];
}

static enum hf_report_kind kind_of(const char *name)
{
    for (int kind = HF_REPORT_OTHER + 1; kind < HF_REPORT_KIND_COUNT; kind++) {
        if (strcmp(name, kind_names[kind]) == 0)
            return (enum hf_report_kind)kind;
    }
    return HF_REPORT_OTHER;
}

/* ---- write ----------------------------------------------------------------------------------- */

static json_t *value_of(const struct hf_report *report, const struct member *member)
{
    const char *at = (const char *)report + member->at;
    int64_t number = 0;

    if (member->form != FORM_NUMBER && member->form != FORM_TIME)
        return json_string(at);
    memcpy(&number, at, sizeof number);
    return member->form == FORM_TIME ? hf_json_time(number) : json_integer(number);
}

static bool is_absent(const struct hf_report *report, const struct member *member)
{
    const char *at = (const char *)report + member->at;
    int64_t number = 0;

    if (member->form != FORM_NUMBER && member->form != FORM_TIME)
        return at[0] == '\0';
    memcpy(&number, at, sizeof number);
    return number == (member->form == FORM_TIME ? HF_TIME_NONE : -1);
}

static json_t *groups_of(const struct hf_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->n_groups; i++)
        list = hf_json_append_take(list, json_string(report->groups[i]));
    return list;
}

enum hf_err hf_report_write(const struct hf_report *report, struct hf_buf *out, struct hf_why *why)
{
    struct hf_report named = *report;
    json_t *object = hf_json_set_take(json_object(), "v", json_integer(HF_REPORT_VERSION));

    if (report->kind != HF_REPORT_OTHER)
        (void)strncpy(named.kind_name, hf_report_kind_name(report->kind), HF_REPORT_WORD_MAX);
    for (size_t i = 0; i < N_MEMBERS; i++) {
        if (!is_absent(&named, &members[i]))
            object = hf_json_set_take(object, members[i].name, value_of(&named, &members[i]));
    }
    if (report->n_groups > 0)
        object = hf_json_set_take(object, "groups", groups_of(report));
    if (object == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a report");
    enum hf_err err = hf_json_write(object, out, why);
    json_decref(object);
    return err;
}

/* ---- read ------------------------------------------------------------------------------------ */

static bool is_hex(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") == n && text[n] == '\0';
}

/* Into `out`, `size` bytes. */
static enum hf_err take_text(const char *text, const char *name, enum form form, size_t size,
                             char *out, struct hf_why *why)
{
    static const char *const forms[] = {
        [FORM_DEVICE] = "should be 1 to 128 of A-Z a-z 0-9 . _ : -",
        [FORM_NAME] = "should begin with a-z 0-9 and go on with a-z 0-9 . _ -",
        [FORM_WORD] = "should be of a-z 0-9 and -",
        [FORM_HEX] = "should be hexadecimal digits in lower case",
    };
    bool is_valid = true;

    if (form == FORM_HEX && strlen(text) != size - 1)
        return hf_fail(why, HF_E_FORMAT,
                       "\"%s\" of " WHAT
                       " should have %zu hexadecimal digits, found %zu characters",
                       name, size - 1, strlen(text));
    if (strlen(text) >= size)
        return hf_fail(why, HF_E_LIMIT,
                       "\"%s\" of " WHAT " is too long (expected at most %zu bytes, found %zu)",
                       name, size - 1, strlen(text));
    if (form == FORM_DEVICE)
        is_valid = hf_device_id_is_valid(text);
    else if (form == FORM_NAME)
        is_valid = hf_set_name_is_valid(text);
    else if (form == FORM_WORD)
        is_valid = text[0] != '\0' &&
                   text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
    else if (form == FORM_HEX)
        is_valid = is_hex(text, size - 1);
    if (!is_valid)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of " WHAT " %s", name, forms[form]);
    memcpy(out, text, strlen(text) + 1);
    hf_text_sanitize(out);
    return HF_OK;
}

static enum hf_err read_member(const json_t *object, const struct member *member,
                               struct hf_report *out, struct hf_why *why)
{
    const char *text = NULL;
    char *at = (char *)out + member->at;
    int64_t number = 0;

    if (!member->is_required && json_object_get(object, member->name) == NULL)
        return HF_OK;
    if (member->form == FORM_NUMBER)
        HF_TRY(hf_json_get_integer(object, member->name, WHAT, 0, &number, why));
    else if (member->form == FORM_TIME)
        HF_TRY(hf_json_get_time(object, member->name, WHAT, &number, why));
    else
        HF_TRY(hf_json_get_text(object, member->name, WHAT, &text, why));
    if (text != NULL)
        return take_text(text, member->name, member->form, member->size, at, why);
    memcpy(at, &number, sizeof number);
    return HF_OK;
}

static enum hf_err read_groups(const json_t *object, struct hf_report *out, struct hf_why *why)
{
    json_t *list = NULL;

    if (json_object_get(object, "groups") == NULL)
        return HF_OK;
    HF_TRY(hf_json_get_array(object, "groups", WHAT, &list, why));
    if (json_array_size(list) > HF_DEVICE_GROUPS_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "\"groups\" of " WHAT " has too many (expected at most %d, found %zu)",
                       HF_DEVICE_GROUPS_MAX, json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL)
            return hf_fail(why, HF_E_FORMAT, "\"groups\" of " WHAT " should be a list of strings");
        HF_TRY(take_text(text, "groups", FORM_NAME, sizeof out->groups[0], out->groups[i], why));
    }
    out->n_groups = json_array_size(list);
    return HF_OK;
}

static enum hf_err read_report(const json_t *object, struct hf_report *out, struct hf_why *why)
{
    struct hf_report made = HF_REPORT_NOTHING;
    int64_t version = 0;

    if (!json_is_object(object))
        return hf_fail(why, HF_E_FORMAT, WHAT " should be a JSON object");
    HF_TRY(hf_json_get_integer(object, "v", WHAT, HF_REPORT_VERSION, &version, why));
    for (size_t i = 0; i < N_MEMBERS; i++)
        HF_TRY(read_member(object, &members[i], &made, why));
    HF_TRY(read_groups(object, &made, why));
    if (made.seq < 1)
        return hf_fail(why, HF_E_FORMAT, "\"seq\" of " WHAT " should be at least 1");
    made.kind = kind_of(made.kind_name);
    *out = made;
    return HF_OK;
}

static enum hf_err read_list(const json_t *list, size_t n, struct hf_report *out,
                             struct hf_why *why)
{
    for (size_t i = 0; i < n; i++) {
        if (read_report(json_array_get(list, i), &out[i], why) != HF_OK)
            return hf_fail_context(why, "report %zu of %zu", i + 1, n);
    }
    return HF_OK;
}

enum hf_err hf_report_list_read(struct hf_bytes body, struct hf_report **out, size_t *n_out,
                                struct hf_why *why)
{
    struct hf_why own = {0};
    struct hf_report *made = NULL;
    json_t *value = NULL;

    if (body.len > HF_REPORT_BODY_MAX)
        return hf_fail(why, HF_E_LIMIT, "the reports should be %u bytes at most, found %zu",
                       HF_REPORT_BODY_MAX, body.len);
    HF_TRY(hf_json_parse_any(body, "the body of the request",
                             HF_REPORT_HEAP_BASE + body.len * HF_REPORT_HEAP_PER_BYTE, &value,
                             why));
    enum hf_err err = HF_OK;
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (n == 0 || n > HF_REPORT_LIST_MAX)
        err = hf_fail(&own, n == 0 ? HF_E_FORMAT : HF_E_LIMIT,
                      "a list should have 1 to %u reports, found %zu", HF_REPORT_LIST_MAX, n);
    else if (body.len > n * HF_REPORT_BYTES_MAX)
        err = hf_fail(&own, HF_E_LIMIT, "a report should be %u bytes at most, found %zu",
                      HF_REPORT_BYTES_MAX, body.len / n);
    else if ((made = malloc(n * sizeof *made)) == NULL)
        err = hf_fail(&own, HF_E_MEMORY, "out of memory for %zu reports", n);
    else
        err = json_is_array(value) ? read_list(value, n, made, &own)
                                   : read_report(value, made, &own);
    json_decref(value);
    if (err != HF_OK) {
        free(made);
        return hf_fail(why, err, "%s", own.text);
    }
    *out = made;
    *n_out = n;
    return HF_OK;
}

/* ---- the answer ------------------------------------------------------------------------------ */

enum hf_err hf_report_answer_read(struct hf_bytes body, struct hf_report_answer *out,
                                  struct hf_why *why)
{
    static const char what[] = "the service's answer";
    struct hf_report_answer made = {0};
    const char *nonce = NULL;
    json_t *object = NULL;

    if (body.len > HF_REPORT_ANSWER_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s should be %u bytes at most, found %zu", what,
                       HF_REPORT_ANSWER_MAX, body.len);
    HF_TRY(hf_json_parse_object(body, what, &object, why));
    enum hf_err err = hf_json_get_integer(object, "accepted", what, 0, &made.accepted, why);
    if (err == HF_OK)
        err = hf_json_get_integer(object, "duplicates", what, 0, &made.duplicates, why);
    if (err == HF_OK)
        err = hf_json_get_text(object, "nonce", what, &nonce, why);
    if (err == HF_OK && !is_hex(nonce, HF_REPORT_NONCE_SIZE - 1))
        err = hf_fail(why, HF_E_FORMAT, "\"nonce\" of %s should be 16 hexadecimal digits", what);
    if (err == HF_OK) {
        memcpy(made.nonce, nonce, sizeof made.nonce);
        *out = made;
    }
    json_decref(object);
    return err;
}
