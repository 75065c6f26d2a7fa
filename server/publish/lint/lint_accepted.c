#include "server/publish/lint/lint_accepted.h"

#include "common/base/timetext.h"
#include "common/cli/report.h"

#include <string.h>

struct hf_accepted hf_accepted_of(const struct hf_target *target)
{
    const json_t *said = json_object_get(target->custom, "holdfast");
    const char *day = json_string_value(json_object_get(said, "accepted_at"));
    struct hf_accepted accepted = {.codes = json_object_get(said, "accepted")};
    if (day == NULL || !hf_time_parse(day, &accepted.at_s))
        accepted.at_s = HF_TIME_NONE;
    return accepted;
}

/* ---- signing ---------------------------------------------------------------------------------- */

static bool has_accepted(const struct hf_findings *f, enum hf_lint_code code)
{
    for (size_t i = 0; i < f->n_items; i++) {
        if (f->items[i].is_accepted && f->items[i].code == code)
            return true;
    }
    return false;
}

/* In the order of the codes' list. */
static json_t *codes_of(const struct hf_findings *f)
{
    json_t *list = json_array();
    for (int code = 0; code < HF_LINT_CODES; code++) {
        if (has_accepted(f, (enum hf_lint_code)code))
            list = hf_json_append_take(list,
                                       json_string(hf_lint_code_name((enum hf_lint_code)code)));
    }
    return list;
}

bool hf_accepted_sign(json_t *custom, const struct hf_findings *f, int64_t now_s)
{
    json_t *list = codes_of(f), *said = json_object_get(custom, "holdfast");
    bool is_whole = list != NULL;
    if (json_array_size(list) > 0)
        is_whole = json_object_set(said, "accepted", list) == 0 &&
                   json_object_set_new(said, "accepted_at", hf_json_time(now_s)) == 0;
    json_decref(list);
    return is_whole;
}

/* ---- later ------------------------------------------------------------------------------------ */

static bool names(const struct hf_accepted *accepted, enum hf_lint_code code)
{
    size_t index;
    json_t *element;
    json_array_foreach(accepted->codes, index, element)
    {
        const char *name = json_string_value(element);
        if (name != NULL && strcmp(name, hf_lint_code_name(code)) == 0)
            return true;
    }
    return false;
}

/* The sentence names the certificate and what is the matter with it; that of no-successor, which is
 * about all of them, names a day that moves with the calendar. */
static bool was_found(const struct hf_findings *then, const struct hf_finding *now)
{
    for (size_t i = 0; i < then->n_items; i++) {
        if (then->items[i].code == now->code &&
            (now->code == HF_LINT_NO_SUCCESSOR ||
             strcmp(then->items[i].sentence, now->sentence) == 0))
            return true;
    }
    return false;
}

enum hf_err hf_accepted_hold(const struct hf_accepted *accepted, const struct hf_lint *lint,
                             const struct hf_lint_line *line, struct hf_findings *f,
                             size_t n_before, struct hf_why *why)
{
    struct hf_findings then = {0};
    const struct hf_lint of_then = {.at_s = accepted->at_s,
                                    .lead_s = lint->lead_s,
                                    .known = lint->known};
    if (accepted->codes == NULL || accepted->at_s == HF_TIME_NONE)
        return HF_OK;
    enum hf_err err = hf_lint_line(&of_then, line, &then, why);
    for (size_t i = n_before; err == HF_OK && i < f->n_items; i++) {
        if (names(accepted, f->items[i].code) && was_found(&then, &f->items[i]))
            f->items[i].is_accepted = true;
    }
    hf_findings_free(&then);
    return err;
}
