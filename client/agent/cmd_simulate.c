/* holdfast simulate: what breaks on date X? */
#include "client/agent/status.h"
#include "client/port/posix/endpoint_probe.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "common/tls/endpoint_url.h"

#include <holdfast/simulate.h>
#include <holdfast/trust_store.h>

#include <string.h>
#include <time.h>

#define DESCRIPTION_BYTES_MAX (256u * 1024u)

struct simulate_options {
    struct hf_agent_options common;
    char *at, *endpoint, *bundle, *description;
    bool has_legacy_ciphers;
    bool accepts_common_names;
};

static const char *const words[] = {[HF_SIMULATED_BREAKS] = "breaks",
                                    [HF_SIMULATED_AT_RISK] = "at risk",
                                    [HF_SIMULATED_HOLDS] = "holds"};

/* "… 2038-01-17: its last root, "CN=…", expires"; "… 2038-01-17: it expires" of a root itself. */
static void print_forecast(const struct hf_forecast *f, FILE *out)
{
    const char *ends = strcmp(f->cause, "removal") == 0 ? "is removed" : "expires";
    const struct hf_agent_text from = hf_agent_day(f->trouble_s);

    fprintf(out, "%-8s %s", words[f->at], f->who);
    if (f->through[0] != '\0' && f->is_endpoint)
        fprintf(out, " through \"%s\"", f->through);
    if (f->why[0] != '\0')
        fprintf(out, "; %s: %s\n", from.text, f->why);
    else if (!f->is_endpoint)
        fprintf(out, "; %s: it %s\n", from.text, ends);
    else if (strcmp(f->cause, "missing") == 0)
        fprintf(out, "; %s: the bundle holds none of its roots\n", from.text);
    else if (strcmp(f->cause, "distrust") == 0)
        fprintf(out,
                "; from %s on, at the latest %s: certificates issued since then are not accepted "
                "through its last root, \"%s\"\n",
                from.text, hf_agent_day(f->broken_s).text, f->root);
    else
        fprintf(out, "; %s: its last root, \"%s\", %s\n", from.text, f->root, ends);
}

static void print_text(const struct hf_simulation *s, FILE *out)
{
    fprintf(out, "at %s, seen from %s:\n", hf_agent_time(s->at_s).text,
            hf_agent_time(s->now_s).text);
    for (size_t i = 0; i < s->n_forecasts; i++)
        print_forecast(&s->forecasts[i], out);
    if (s->n_forecasts == 0)
        fputs("breaks   none of the roots may be used today\n", out);
    else
        fprintf(out, "first day of trouble: %s, %s\n", hf_agent_day(s->forecasts[0].trouble_s).text,
                s->forecasts[0].who);
    for (size_t i = 0; i < s->n_notes; i++) {
        const struct hf_date_note *note = &s->notes[i];
        if (strcmp(note->kind, "rejected") == 0)
            fprintf(out, "note     devices reject this bundle: %s\n", note->why);
        else if (note->why[0] != '\0')
            fprintf(out, "note     no server is validated through \"%s\": %s\n", note->subject,
                    note->why);
        else
            fprintf(out, "note     certificates issued after %s are not accepted through \"%s\"\n",
                    hf_agent_last_day(note->at_s).text, note->subject);
    }
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

#define OF(member) offsetof(struct hf_forecast, member)

static const struct hf_field forecast_fields[] = {
    {"who", HF_FIELD_CHARS, OF(who)},
    {"is_endpoint", HF_FIELD_FLAG, OF(is_endpoint)},
    {"then", HF_FIELD_ENUM, OF(at), .names = words},
    {"through", HF_FIELD_WORDS, OF(through)},
    {"cause", HF_FIELD_TEXT, OF(cause)},
    {"why", HF_FIELD_WORDS, OF(why)},
    {"root", HF_FIELD_WORDS, OF(root)},
    {"trouble_from", HF_FIELD_TIME, OF(trouble_s)},
    {"broken_from", HF_FIELD_TIME, OF(broken_s)},
    {0},
};

static const struct hf_field note_fields[] = {
    {"kind", HF_FIELD_TEXT, offsetof(struct hf_date_note, kind)},
    {"root", HF_FIELD_CHARS, offsetof(struct hf_date_note, subject)},
    {"time", HF_FIELD_TIME, offsetof(struct hf_date_note, at_s)},
    {"why", HF_FIELD_WORDS, offsetof(struct hf_date_note, why)},
    {0},
};

static json_t *first_trouble(const void *at, const void *ctx)
{
    const struct hf_simulation *s = at;

    (void)ctx;
    return s->n_forecasts > 0 ? hf_json_time(s->forecasts[0].trouble_s) : json_null();
}

#undef OF
#define OF(member) offsetof(struct hf_simulation, member)

static const struct hf_field simulation_fields[] = {
    {"now", HF_FIELD_TIME, OF(now_s)},
    {"at", HF_FIELD_TIME, OF(at_s)},
    {"breaks", HF_FIELD_FLAG, OF(breaks)},
    {"first_trouble", HF_FIELD_MADE, 0, .make = first_trouble},
    {"knows_endpoints", HF_FIELD_FLAG, OF(knows_endpoints)},
    {"n_unseen", HF_FIELD_COUNT, OF(n_unseen)},
    {"forecasts", HF_FIELD_LIST, OF(forecasts), .fields = forecast_fields, .n_at = OF(n_forecasts),
     .size = sizeof(struct hf_forecast)},
    {"notes", HF_FIELD_LIST, OF(notes), .fields = note_fields, .n_at = OF(n_notes),
     .size = sizeof(struct hf_date_note)},
    {"skipped", HF_FIELD_LIST, OF(skipped), .fields = hf_skipped_fields, .n_at = OF(n_skipped),
     .size = sizeof(struct hf_skipped_status)},
    {0},
};

/* Probes the server that --endpoint names, if the device has not seen it. The client certificate is
 * for servers that the device knows. */
static enum hf_err probe_endpoint(const struct hf_cli_call *call, const struct hf_posix *posix,
                                  struct hf_endpoint_probe **out, struct hf_why *why)
{
    const struct simulate_options *o = call->values;
    const struct hf_posix_endpoint endpoint = {.url = o->endpoint};
    const struct hf_posix_config config = {
        .endpoints = &endpoint,
        .n_endpoints = 1,
        .has_legacy_ciphers = o->has_legacy_ciphers ||
                              (posix != NULL && hf_posix_config(posix)->has_legacy_ciphers),
    };
    struct hf_endpoint_url url;

    if (hf_endpoint_url_parse(o->endpoint, &url, why) != HF_OK)
        return hf_fail_context(why, "--endpoint");
    return hf_endpoint_probe_new(&config, NULL, hf_agent_log(call), out, why);
}

static enum hf_err simulate(struct hf_cli_call *call, struct hf_why *why)
{
    const struct simulate_options *o = call->values;
    struct hf_posix *posix = NULL;
    struct hf_buf pem = {0}, custom = {0};
    struct hf_endpoint_probe *probe = NULL;
    struct hf_endpoint_port prober;
    struct hf_simulation_query query = {0};
    struct hf_simulation simulation = {0};

    if (!hf_time_parse_lenient(o->at, &query.at_s))
        return hf_cli_usage(call, "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not \"%s\"",
                            o->at);
    /* A day by itself means all of it: what has ended by its last second, ends on it. */
    if (strchr(o->at, 'T') == NULL)
        query.at_s += HF_DAY_S - 1;
    if (o->description != NULL && o->bundle == NULL)
        return hf_cli_usage(call, "--description is about a --bundle");
    enum hf_err err = hf_agent_read_file("--bundle", o->bundle, HF_BUNDLE_BYTES_MAX, &pem, why);
    if (err == HF_OK)
        err = hf_agent_read_file("--description", o->description, DESCRIPTION_BYTES_MAX, &custom,
                                 why);
    if (err == HF_OK)
        err = hf_agent_open(call, &posix, why);
    /* A bundle can be judged without any device, unless one was named. */
    if (err == HF_E_NOT_FOUND && o->bundle != NULL && hf_agent_named_state(call) == NULL)
        err = HF_OK;
    if (o->accepts_common_names)
        hf_trust_store_accept_common_names(true);
    if (err == HF_OK && o->endpoint != NULL)
        err = probe_endpoint(call, posix, &probe, why);
    if (err != HF_OK)
        goto out;

    query.pem = hf_buf_bytes(&pem);
    query.custom = hf_buf_bytes(&custom);
    query.now_s = posix != NULL ? HF_TIME_NONE : (int64_t)time(NULL);
    if (probe != NULL) {
        prober = hf_endpoint_probe_port(probe);
        query.prober = &prober;
        query.endpoint = prober.name(prober.ctx, 0); /* in its one form */
    }
    err = hf_client_simulate(posix != NULL ? hf_posix_client(posix) : NULL, &query, &simulation,
                             why);
    if (err != HF_OK)
        goto out;
    call->exit_code = simulation.breaks ? HF_EXIT_BREAKS : HF_EXIT_OK;
    if (o->common.as_json)
        err = hf_report_print(simulation_fields, &simulation, NULL, stdout, why);
    else
        print_text(&simulation, stdout);
out:
    hf_simulation_free(&simulation);
    hf_endpoint_probe_free(probe);
    hf_posix_close(posix);
    hf_buf_free(&pem);
    hf_buf_free(&custom);
    return err;
}

#define AT(member) offsetof(struct simulate_options, member)

static const struct hf_cli_option options[] = {
    {"at", '\0', HF_CLI_TEXT, AT(at), "the day to ask about", "DATE"},
    {"endpoint", '\0', HF_CLI_TEXT, AT(endpoint),
     "only this one: mqtts://HOST[:8883], https://HOST[:443] or tls://HOST:PORT", "URL"},
    {"legacy-ciphers", '\0', HF_CLI_FLAG, AT(has_legacy_ciphers),
     "also offer that server cipher suites with static RSA and CBC", NULL},
    {"common-names", '\0', HF_CLI_FLAG, AT(accepts_common_names),
     "its common name counts where it has no subjectAltName", NULL},
    {"bundle", 'b', HF_CLI_TEXT, AT(bundle), "use the roots in this PEM file", "FILE.pem"},
    {"description", '\0', HF_CLI_TEXT, AT(description), "what is signed about them: dates, uses",
     "FILE.json"},
    HF_AGENT_JSON("simulate"),
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_simulate = {
    .name = "simulate",
    .summary = "what fails on a given date, and since when",
    .arguments = "--at DATE [--endpoint URL] [--bundle FILE.pem [--description FILE.json]] "
                 "[--json] [--state DIR]",
    .about =
        "Shows which endpoints of this device would fail on that day, because of which root, by\n"
        "expiry, distrust or removal, and when the first problem begins. It uses what the checks\n"
        "of this device have seen of the endpoints; if none was seen, every root counts as\n"
        "needed. An --endpoint that was never seen is probed now, with TLS handshakes only. DATE\n"
        "is YYYY-MM-DD, the end of that day, or YYYY-MM-DDTHH:MM:SSZ.\n\n"
        "With --bundle it uses the roots in a file instead of the active ones, for example before\n"
        "a publisher signs it. --description is what is signed about them: the bundle's `custom`\n"
        "object or a device's bundles/HASH.VERSION.json.\n\n"
        "Nothing is changed. Servers are assumed to renew their certificates and intermediates\n"
        "under the same roots. After the distrust date of a root, a server fails when its\n"
        "certificate is renewed, at the latest when its last certificate from before expires. A\n"
        "root of a known key whose name constraints, path length, policies or subject are not\n"
        "those of the active bundle is \"at risk\": only a probe tells whether it validates.",
    .examples =
        "  holdfast simulate --at 2038-01-20\n"
        "  holdfast simulate --at 2030-06-01 --endpoint mqtts://abc-ats.example.com:8883\n"
        "  holdfast simulate --at 2038-01-20 --bundle roots.pem --json | jq .first_trouble\n",
    .more_exit_codes = ", 4 something fails, or may fail, on that day",
    .options = options,
    .values_size = sizeof(struct simulate_options),
    .needs = {"--at DATE"},
    .run = simulate,
};
