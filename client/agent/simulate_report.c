#include "client/agent/simulate_report.h"
#include "client/agent/status.h"

#include "common/base/timetext.h"

#include <jansson.h>
#include <string.h>

/* ---- for people ------------------------------------------------------------------------------------- */

static const char *word_of(enum hf_simulated simulated)
{
    switch (simulated) {
    case HF_SIMULATED_HOLDS:
        return "holds";
    case HF_SIMULATED_AT_RISK:
        return "at risk";
    case HF_SIMULATED_BREAKS:
        return "breaks";
    }
    return "breaks";
}

/* "2038-01-17: its last root, "CN=…", expires"; "2038-01-17: it expires" of a root itself. */
static void print_trouble(const struct hf_forecast *f, FILE *out)
{
    char from[HF_TIME_TEXT_MAX], latest[HF_TIME_TEXT_MAX];

    hf_time_format_day(f->trouble_s, from);
    hf_time_format_day(f->broken_s, latest);
    if (!f->is_endpoint)
        fprintf(out, "%s: it %s", from,
                strcmp(f->cause, "removal") == 0 ? "is removed" : "expires");
    else if (strcmp(f->cause, "missing") == 0)
        fprintf(out, "%s: the bundle holds none of its roots", from);
    else if (strcmp(f->cause, "distrust") == 0)
        fprintf(out,
                "from %s on, at the latest %s: certificates issued since then are not accepted "
                "through its last root, \"%s\"",
                from, latest, f->root);
    else
        fprintf(out, "%s: its last root, \"%s\", %s", from, f->root,
                strcmp(f->cause, "removal") == 0 ? "is removed" : "expires");
}

static void print_forecast(const struct hf_forecast *f, FILE *out)
{
    fprintf(out, "%-8s %s", word_of(f->at), f->who);
    if (f->through[0] != '\0' && f->is_endpoint)
        fprintf(out, " through \"%s\"", f->through);
    fputs("; ", out);
    print_trouble(f, out);
    fputc('\n', out);
}

static void print_note(const struct hf_date_note *note, FILE *out)
{
    char day[HF_TIME_TEXT_MAX];

    hf_time_format_last(note->at_s, day);
    fprintf(out, "note     certificates issued after %s are not accepted through \"%s\"\n", day,
            note->subject);
}

static void print_summary(const struct hf_simulation *s, FILE *out)
{
    char day[HF_TIME_TEXT_MAX];

    if (s->n_forecasts == 0) {
        fputs("breaks   none of the roots may be used today\n", out);
        return;
    }
    hf_time_format_day(s->forecasts[0].trouble_s, day);
    fprintf(out, "first day of trouble: %s, %s\n", day, s->forecasts[0].who);
}

void hf_simulate_report_text(const struct hf_simulation *s, FILE *out)
{
    char at[HF_TIME_TEXT_MAX], now[HF_TIME_TEXT_MAX];

    hf_time_format(s->at_s, at);
    hf_time_format(s->now_s, now);
    fprintf(out, "at %s, seen from %s:\n", at, now);
    for (size_t i = 0; i < s->n_forecasts; i++)
        print_forecast(&s->forecasts[i], out);
    print_summary(s, out);
    for (size_t i = 0; i < s->n_notes; i++)
        print_note(&s->notes[i], out);
    for (size_t i = 0; i < s->n_skipped; i++)
        fprintf(out, "skipped  \"%s\": %s is not supported by this device\n", s->skipped[i].subject,
                s->skipped[i].unsupported);
    if (!s->knows_endpoints)
        fputs("note     no endpoint was seen, so every root counts as needed\n", out);
    else if (s->n_unseen > 0)
        fprintf(out, "note     nothing is said of %zu endpoints that were never seen\n",
                s->n_unseen);
    fputs("assumed  servers renew their certificates and intermediates under the same roots\n",
          out);
}

/* ---- for programs ------------------------------------------------------------------------------------ */

static json_t *time_of(int64_t time_s)
{
    char text[HF_TIME_TEXT_MAX];

    hf_time_format(time_s, text);
    return json_string(text);
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static json_t *forecasts_of(const struct hf_simulation *s)
{
    json_t *array = json_array();

    for (size_t i = 0; i < s->n_forecasts; i++) {
        const struct hf_forecast *f = &s->forecasts[i];
        json_t *one = json_pack("{s:s, s:b, s:s, s:s?, s:s, s:s?, s:o, s:o}", "who", f->who,
                                "is_endpoint", f->is_endpoint, "then", word_of(f->at), "through",
                                or_null(f->through), "cause", f->cause, "root", or_null(f->root),
                                "trouble_from", time_of(f->trouble_s), "broken_from",
                                time_of(f->broken_s));
        if (json_array_append_new(array, one) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *notes_of(const struct hf_simulation *s)
{
    json_t *array = json_array();

    for (size_t i = 0; i < s->n_notes; i++) {
        const struct hf_date_note *note = &s->notes[i];
        json_t *one = json_pack("{s:s, s:s, s:o}", "kind", note->kind, "root", note->subject,
                                "time", time_of(note->at_s));
        if (json_array_append_new(array, one) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

enum hf_err hf_simulate_report_json(const struct hf_simulation *s, FILE *out, struct hf_why *why)
{
    json_t *first = s->n_forecasts > 0 ? time_of(s->forecasts[0].trouble_s) : json_null();
    json_t *json = json_pack("{s:i, s:o, s:o, s:b, s:o, s:b, s:I, s:o, s:o, s:o}", "format", 1,
                             "now", time_of(s->now_s), "at", time_of(s->at_s), "breaks", s->breaks,
                             "first_trouble", first, "knows_endpoints", s->knows_endpoints,
                             "n_unseen", (json_int_t)s->n_unseen, "forecasts", forecasts_of(s),
                             "notes", notes_of(s), "skipped",
                             hf_skipped_json(s->skipped, s->n_skipped));
    int code = json == NULL ? -1 : json_dumpf(json, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

    json_decref(json);
    if (code != 0)
        return hf_fail(why, HF_E_MEMORY, "no memory for the report");
    fputc('\n', out);
    return HF_OK;
}
