#include "server/publish/bundle/rollout_plan.h"

#include "common/base/timetext.h"
#include "common/json/json.h"
#include "common/os/file_util.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX (64u * 1024u) /* sixteen stages with all their groups are a quarter of it */
#define PERCENT_PPM 10000            /* a percent in millionths */

struct preset {
    const char *name, *text;
};

/*
 * What tests/sim/README.md measures is why. A trial takes an hour, seen 15 minutes later, so
 * silence cannot begin before two hours; devices that are up once a day report a day and a quarter
 * later, so in plans of days it begins after 30 hours, and each stage bakes for longer. min_count
 * is so high that the failures of an ordinary fleet pause no rollout.
 */
static const struct preset presets[] = {
    {"careful",
     "{\"stages\": [{\"share\": \"0.1%\", \"bake\": \"2d\"}, {\"share\": \"1%\", \"bake\": \"2d\"},"
     " {\"share\": \"10%\", \"bake\": \"3d\"}, {\"share\": \"50%\", \"bake\": \"3d\"},"
     " {\"share\": \"100%\"}], \"mandatory_after\": \"60d\","
     " \"pause\": {\"failed\": \"1%\", \"silent\": \"2%\", \"min_count\": 400},"
     " \"promote\": {\"confirmed\": \"80%\"}}"},
    {"normal",
     "{\"stages\": [{\"share\": \"0.1%\", \"bake\": \"2d\"}, {\"share\": \"5%\", \"bake\": \"2d\"},"
     " {\"share\": \"30%\", \"bake\": \"2d\"}, {\"share\": \"100%\"}],"
     " \"mandatory_after\": \"30d\"}"},
    {"urgent",
     "{\"stages\": [{\"share\": \"1%\", \"bake\": \"1h\"}, {\"share\": \"10%\", \"bake\": \"2h\"},"
     " {\"share\": \"100%\"}], \"mandatory_after\": \"3d\","
     " \"pause\": {\"failed\": \"5%\", \"silent\": \"10%\", \"min_count\": 50,"
     " \"silent_after\": \"2h\"},"
     " \"promote\": {\"confirmed\": \"30%\"}}"},
};
#define N_PRESETS (sizeof presets / sizeof presets[0])

/* Of "normal", and of what leaves them out. */
static const char default_thresholds[] =
    "{\"pause\": {\"failed_ppm\": 20000, \"silent_ppm\": 30000, \"min_count\": 200,"
    " \"silent_after_s\": 108000}, \"promote\": {\"confirmed_ppm\": 500000, \"min_count\": 50}}";

/* ---- values as people write them ------------------------------------------------------------- */

/* Digits up to `max`; where they end, or NULL. */
static const char *read_digits(const char *text, int64_t max, int64_t *out)
{
    int64_t n = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (*at - '0');
        if (n > max)
            return NULL;
    }
    *out = n;
    return at == text ? NULL : at;
}

/* "0.1%" in millionths; a percent has four decimals at most. */
static bool read_share(const char *text, int64_t *out)
{
    int64_t whole = 0, part = 0;
    const char *at = read_digits(text, 100, &whole);
    int64_t unit = PERCENT_PPM;
    if (at != NULL && *at == '.') {
        at++;
        if (*at < '0' || *at > '9')
            return false;
        for (; *at >= '0' && *at <= '9' && unit > 1; at++) {
            unit /= 10;
            part += (*at - '0') * unit;
        }
    }
    *out = whole * PERCENT_PPM + part;
    return at != NULL && strcmp(at, "%") == 0 && *out <= HF_ROLLOUT_PPM;
}

static bool read_span(const char *text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    int64_t n = 0;
    const char *at = read_digits(text, HF_ROLLOUT_SPAN_MAX_S, &n);
    for (size_t i = 0; at != NULL && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(at, units[i].name) != 0)
            continue;
        *out = n * units[i].seconds;
        return *out <= HF_ROLLOUT_SPAN_MAX_S;
    }
    return false;
}

/* ---- from one JSON to the other -------------------------------------------------------------- */

enum kind { SHARE, SPAN, DATE, SAME };

/* A member, what is signed for it, and how it is written. */
struct member {
    const char *name, *wire;
    enum kind kind;
};

static const struct member stage_members[] = {{"share", "ppm", SHARE},
                                              {"bake", "bake_s", SPAN},
                                              {"groups", "groups", SAME},
                                              {"min_count", "min_count", SAME},
                                              {0}};
static const struct member pause_members[] = {{"failed", "failed_ppm", SHARE},
                                              {"silent", "silent_ppm", SHARE},
                                              {"min_count", "min_count", SAME},
                                              {"silent_after", "silent_after_s", SPAN},
                                              {0}};
static const struct member promote_members[] = {{"confirmed", "confirmed_ppm", SHARE},
                                                {"min_count", "min_count", SAME},
                                                {0}};
static const struct member plan_members[] = {{"not_before", "not_before", DATE},
                                             {"mandatory_from", "mandatory_from", DATE},
                                             {"mandatory_after", "mandatory_after", SPAN},
                                             {"min_version", "min_version", SAME},
                                             {"approval", "approval", SAME},
                                             {"approvals", "approvals", SAME},
                                             {"approvers", "approvers", SAME},
                                             {"stages", "stages", SAME},
                                             {"pause", "pause", SAME},
                                             {"promote", "promote", SAME},
                                             {0}};

static enum hf_err convert_value(const struct member *m, const char *what, const json_t *value,
                                 json_t **out, struct hf_why *why)
{
    static const char *const wanted[] = {[SHARE] = "a share such as \"0.1%\"",
                                         [SPAN] = "a span such as \"90m\", \"24h\" or \"3d\"",
                                         [DATE] = "YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"};
    const char *text = json_string_value(value);
    int64_t number = 0;
    bool is_right = text != NULL;
    if (m->kind == SAME) {
        *out = json_incref(hf_json_iterable(value));
        return HF_OK;
    }
    if (is_right && m->kind == SHARE)
        is_right = read_share(text, &number);
    else if (is_right && m->kind == SPAN)
        is_right = read_span(text, &number);
    else if (is_right)
        is_right = hf_time_parse_lenient(text, &number);
    if (!is_right)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s should be %s%s%.80s%s", m->name, what,
                       wanted[m->kind], text == NULL ? "" : ", not \"", text == NULL ? "" : text,
                       text == NULL ? "" : "\"");
    *out = m->kind == DATE ? hf_json_time(number) : json_integer(number);
    return HF_OK;
}

/* Most likely a typo. */
static enum hf_err refuse_member(const struct member *members, const char *what, const char *key,
                                 struct hf_why *why)
{
    char names[160] = "";
    for (const struct member *m = members; m->name != NULL; m++) {
        const size_t len = strlen(names);
        (void)snprintf(names + len, sizeof names - len, "%s%s", len == 0 ? "" : ", ", m->name);
    }
    return hf_fail(why, HF_E_FORMAT, "%s has no member \"%.40s\" (expected one of %s)", what, key,
                   names);
}

/* Put the members of `from` into `to`. */
static enum hf_err convert(const json_t *from, const struct member *members, const char *what,
                           json_t *to, struct hf_why *why)
{
    const char *key;
    json_t *value;
    if (!json_is_object(from))
        return hf_fail(why, HF_E_FORMAT, "%s should be an object", what);
    json_object_foreach(hf_json_iterable(from), key, value)
    {
        const struct member *m = members;
        json_t *converted = NULL;
        while (m->name != NULL && strcmp(m->name, key) != 0)
            m++;
        if (m->name == NULL)
            return refuse_member(members, what, key, why);
        HF_TRY(convert_value(m, what, value, &converted, why));
        if (json_object_set_new(to, m->wire, converted) != 0)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a rollout plan");
    }
    return HF_OK;
}

static enum hf_err convert_stages(const json_t *list, json_t *to, struct hf_why *why)
{
    json_t *stages = json_array();
    int64_t share = 0;
    if (!json_is_array(list)) {
        json_decref(stages);
        return hf_fail(why, HF_E_FORMAT, "\"stages\" should be a list of stages");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *stage = json_pack("{s:I}", "ppm", (json_int_t)share); /* groups alone: no more */
        char what[32];
        (void)snprintf(what, sizeof what, "stage %zu", i + 1);
        enum hf_err err = convert(json_array_get(list, i), stage_members, what, stage, why);
        share = json_integer_value(json_object_get(stage, "ppm"));
        stages = hf_json_append_take(stages, stage);
        if (err != HF_OK) {
            json_decref(stages);
            return err;
        }
    }
    return json_object_set_new(to, "stages", stages) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "out of memory for a rollout plan");
}

/* It begins now, and `mandatory_after` counts from its beginning. */
static enum hf_err settle_dates(json_t *wire, int64_t now_s, struct hf_why *why)
{
    const json_t *after = json_object_get(wire, "mandatory_after");
    int64_t begins_s = now_s;
    if (json_object_get(wire, "not_before") == NULL)
        json_object_set_new(wire, "not_before", hf_json_time(now_s));
    HF_TRY(hf_json_get_time(wire, "not_before", "the plan", &begins_s, why));
    if ((after == NULL) == (json_object_get(wire, "mandatory_from") == NULL))
        return hf_fail(why, HF_E_FORMAT,
                       "give \"mandatory_from\" (a date) or \"mandatory_after\" (a span)%s",
                       after == NULL ? "" : ", not both");
    if (after != NULL)
        json_object_set_new(wire, "mandatory_from",
                            hf_json_time(begins_s + json_integer_value(after)));
    json_object_del(wire, "mandatory_after");
    return HF_OK;
}

static enum hf_err to_wire(const json_t *plan, int64_t now_s, json_t *wire, struct hf_why *why)
{
    const json_t *pause = json_object_get(plan, "pause"),
                 *promote = json_object_get(plan, "promote");
    json_t *to_pause = json_incref(json_object_get(wire, "pause")),
           *to_promote = json_incref(json_object_get(wire, "promote"));
    enum hf_err err = convert(plan, plan_members, "the plan", wire, why);
    if (err == HF_OK && pause != NULL)
        err = convert(pause, pause_members, "\"pause\"", to_pause, why);
    if (err == HF_OK && promote != NULL)
        err = convert(promote, promote_members, "\"promote\"", to_promote, why);
    if (err == HF_OK && (json_object_set(wire, "pause", to_pause) != 0 ||
                         json_object_set(wire, "promote", to_promote) != 0))
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a rollout plan");
    if (err == HF_OK)
        err = convert_stages(json_object_get(plan, "stages"), wire, why);
    if (err == HF_OK)
        err = settle_dates(wire, now_s, why);
    json_decref(to_pause);
    json_decref(to_promote);
    return err;
}

enum hf_err hf_rollout_plan_read_text(struct hf_bytes text, int64_t now_s,
                                      struct hf_rollout_plan *out, struct hf_why *why)
{
    const struct hf_bytes thresholds = {(const uint8_t *)default_thresholds,
                                        sizeof default_thresholds - 1};
    json_t *plan = NULL, *wire = NULL;
    struct hf_rollout_plan made = {0};
    char mandatory[HF_TIME_TEXT_MAX];
    enum hf_err err = hf_json_parse_object(text, "the plan", &plan, why);
    if (err == HF_OK)
        err = hf_json_parse_object(thresholds, "the plan", &wire, why);
    if (err == HF_OK)
        err = to_wire(plan, now_s, wire, why);
    if (err == HF_OK)
        err = hf_rollout_plan_parse(wire, &made, why);
    json_decref(plan);
    json_decref(wire);
    HF_TRY(err);
    hf_time_format(made.mandatory_from_s, mandatory);
    if (made.mandatory_from_s <= now_s)
        return hf_fail(why, HF_E_POLICY,
                       "\"mandatory_from\" has passed (%s), so every device would install the "
                       "bundle at once; choose a later date, or no plan",
                       mandatory);
    *out = made;
    return HF_OK;
}

enum hf_err hf_rollout_plan_read(const char *name, int64_t now_s, struct hf_rollout_plan *out,
                                 struct hf_why *why)
{
    struct hf_buf text = {0};
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (strcmp(name, presets[i].name) == 0)
            return hf_rollout_plan_read_text(hf_bytes_of_text(presets[i].text), now_s, out, why);
    }
    enum hf_err err = hf_file_read_any(name, FILE_BYTES_MAX, &text, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "--plan is careful, normal, urgent, or a file; there is no file %s", name);
    else if (err == HF_OK &&
             hf_rollout_plan_read_text(hf_buf_bytes(&text), now_s, out, why) != HF_OK)
        err = hf_fail_context(why, "--plan %s", name);
    hf_buf_free(&text);
    return err;
}
