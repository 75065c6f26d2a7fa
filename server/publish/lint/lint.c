#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/json/json.h"

#include <string.h>

enum hf_err hf_lint_line(const struct hf_lint *lint, const struct hf_lint_line *line,
                         struct hf_findings *out, struct hf_why *why)
{
    HF_TRY(hf_lint_content(lint, line, out, why));
    HF_TRY(hf_lint_dates(lint, line, out, why));
    HF_TRY(hf_lint_change(lint, line, out, why));
    HF_TRY(hf_lint_rollout(lint, line, out, why));
    HF_TRY(hf_lint_reach(lint, line, out, why));
    return hf_lint_algorithms(lint, line, out, why);
}

enum hf_err hf_lint_change(const struct hf_lint *lint, const struct hf_lint_line *line,
                           struct hf_findings *out, struct hf_why *why)
{
    bool had_usable = false, has_overlap = false;

    for (size_t i = 0; line->before != NULL && i < line->before->n_anchors; i++) {
        const struct hf_anchor *before = &line->before->anchors[i];
        const struct hf_anchor *now = hf_bundle_find_key(line->bundle, before->cert.spki_sha256);
        had_usable = had_usable || hf_policy_anchor_state(before, lint->at_s) == HF_ANCHOR_USABLE;
        has_overlap = has_overlap ||
                      (now != NULL && hf_policy_anchor_state(now, lint->at_s) == HF_ANCHOR_USABLE);
        /* A device keeps what it relies on unless its going was signed; it would refuse such a
         * version. */
        if (now == NULL && !hf_description_drops(line->description, before->cert.spki_sha256))
            HF_TRY(hf_findings_add(out, HF_LINT_SHRINKS, line->where, why,
                                   "\"%s\" was in the version before and is neither here nor among "
                                   "the signed drops; add it, or drop it on purpose",
                                   before->cert.subject));
    }
    /* Old and new must be good together for a while: a fleet does not swap in one night. */
    if (has_overlap || !had_usable)
        return HF_OK;
    return hf_findings_add(out, HF_LINT_NO_OVERLAP, line->where, why,
                           "it shares no usable root with the version before; publish old and new "
                           "together first, and drop the old ones when the lead time is over");
}

enum hf_err hf_lint_tables(const struct hf_known_roots *known, int64_t now_s,
                           struct hf_findings *out, struct hf_why *why)
{
    char day[HF_TIME_TEXT_MAX];
    if (!hf_known_roots_is_old(known, now_s))
        return HF_OK;
    hf_time_format_day(known->as_of_s, day);
    return hf_findings_add(
        out, HF_LINT_TABLES_OLD, known->oldest, why,
        "this table of known roots is of %s, older than half a year: newer roots "
        "and dates of distrust are not in it. Install a newer holdfastctl, or "
        "renew the tables (deploy/roots/make-tables.py)",
        day);
}

struct hf_accepted hf_accepted_of(const struct hf_target *target)
{
    const json_t *holdfast = json_object_get(target->custom, "holdfast");
    const char *day = json_string_value(json_object_get(holdfast, "accepted_at"));
    struct hf_accepted accepted = {.codes = json_object_get(holdfast, "accepted")};
    if (day == NULL || !hf_time_parse(day, &accepted.at_s))
        accepted.at_s = HF_TIME_NONE;
    return accepted;
}

bool hf_accepted_sign(json_t *custom, const struct hf_findings *f, int64_t now_s)
{
    json_t *codes = json_array(), *holdfast = json_object_get(custom, "holdfast");
    for (int code = 0; code < HF_LINT_CODES; code++) { /* in the order of the codes' list */
        bool is_accepted = false;
        for (size_t i = 0; i < f->n_items; i++)
            is_accepted = is_accepted ||
                          (f->items[i].is_accepted && f->items[i].code == (enum hf_lint_code)code);
        if (is_accepted)
            codes = hf_json_append_take(codes,
                                        json_string(hf_lint_code_name((enum hf_lint_code)code)));
    }
    bool is_whole = codes != NULL;
    if (json_array_size(codes) > 0)
        is_whole = json_object_set(holdfast, "accepted", codes) == 0 &&
                   json_object_set_new(holdfast, "accepted_at", hf_json_time(now_s)) == 0;
    json_decref(codes);
    return is_whole;
}

static bool lists_code(const struct hf_accepted *accepted, enum hf_lint_code code)
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
        struct hf_finding *now = &f->items[i];
        bool was_found = false;
        /* The sentence names the certificate and what is the matter with it; that of no-successor,
         * which is about all of them, names a day that moves with the calendar. */
        for (size_t k = 0; k < then.n_items; k++)
            was_found = was_found || (then.items[k].code == now->code &&
                                      (now->code == HF_LINT_NO_SUCCESSOR ||
                                       strcmp(then.items[k].sentence, now->sentence) == 0));
        if (was_found && lists_code(accepted, now->code))
            now->is_accepted = true;
    }
    hf_findings_free(&then);
    return err;
}
