/* holdfast simulate: what breaks on date X? */
#include "client/agent/cli.h"
#include "client/agent/simulate_report.h"
#include "common/tls/endpoint_url.h"
#include "common/os/file_util.h"
#include "client/port/posix/lookout.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DESCRIPTION_BYTES_MAX (256u * 1024u)

static const struct hf_cli_text text = {
    .name = "simulate",
    .arguments = "--at DATE [--endpoint URL] [--bundle FILE.pem [--description FILE.json]] "
                 "[--json] [--state DIR]",
    .about =
        "Says which of this device's endpoints would fail on that day, because of which root, by\n"
        "expiry, distrust or removal, and on which day the first trouble begins. What it knows of\n"
        "the endpoints is what the checks of this device have seen; where none was seen, every\n"
        "root counts as needed. An --endpoint that was never seen is looked at\n"
        "now: that is TLS handshakes and nothing more. DATE is YYYY-MM-DD, the end of that day, "
        "or\n"
        "YYYY-MM-DDTHH:MM:SSZ.\n\n"
        "With --bundle it judges by the roots in a file, as a publisher does before signing it, "
        "in\n"
        "place of the active ones; --description is what is said about them: the bundle's "
        "`custom`\n"
        "object or a device's bundles/HASH.VERSION.json.\n\n"
        "Nothing is changed. Servers are assumed to renew their certificates and\n"
        "intermediates under the same roots; after the day on which a root is distrusted, a "
        "server\n"
        "fails when its certificate is renewed, at the latest when the last one from before "
        "ends.",
    .examples =
        "  holdfast simulate --at 2038-01-20\n"
        "  holdfast simulate --at 2030-06-01 --endpoint mqtts://abc-ats.example.com:8883\n"
        "  holdfast simulate --at 2038-01-20 --bundle roots.pem --json | jq .first_trouble\n",
    .more_exit_codes = ", 4 something breaks, or may break, on that day",
};

struct arguments {
    struct hf_cli_common common;
    const char *state_dir; /* borrowed */
    char *at, *endpoint, *bundle, *description;
    int is_json, has_legacy_ciphers;
    int64_t at_s;
    struct hf_buf pem, custom; /* what the files hold */
};

static void free_arguments(struct arguments *a)
{
    hf_cli_common_free(&a->common);
    free(a->at);
    free(a->endpoint);
    free(a->bundle);
    free(a->description);
    hf_buf_free(&a->pem);
    hf_buf_free(&a->custom);
}

/* A day by itself is asked about as a whole: what has ended by its last second, ends on it. */
static bool parse_at(struct arguments *a)
{
    if (!hf_time_parse_lenient(a->at, &a->at_s))
        return false;
    if (strchr(a->at, 'T') == NULL)
        a->at_s += HF_DAY_S - 1;
    return true;
}

static enum hf_err read_file(const char *option, const char *file, size_t max_bytes,
                             struct hf_buf *out, struct hf_why *why)
{
    if (file == NULL)
        return HF_OK;
    if (hf_file_read(file, max_bytes, out, why) != HF_OK)
        return hf_fail_context(why, "%s", option);
    return out->len > 0 ? HF_OK : hf_fail(why, HF_E_FORMAT, "%s: %s is empty", option, file);
}

/* A bundle can be judged without any device, unless one was named. */
static enum hf_err open_device(const struct arguments *a, bool is_named, struct hf_posix **out,
                               struct hf_why *why)
{
    enum hf_err err = hf_posix_open(a->state_dir, hf_cli_log(&a->common), out, why);
    return err == HF_E_NOT_FOUND && a->bundle != NULL && !is_named ? HF_OK : err;
}

static enum hf_err report(const struct arguments *a, const struct hf_simulation *simulation,
                          struct hf_why *why)
{
    if (a->is_json)
        return hf_simulate_report_json(simulation, stdout, why);
    hf_simulate_report_text(simulation, stdout);
    return HF_OK;
}

static enum hf_err simulate(const struct arguments *a, struct hf_posix *posix,
                            const struct hf_endpoint_port *looks, bool *breaks, struct hf_why *why)
{
    struct hf_simulation simulation = {0};
    const struct hf_simulation_query query = {
        .now_s = posix != NULL ? HF_TIME_NONE : (int64_t)time(NULL),
        .at_s = a->at_s,
        .endpoint = looks != NULL ? looks->name(looks->ctx, 0) : NULL, /* in its one form */
        .looks = looks,
        .pem = hf_buf_bytes(&a->pem),
        .custom = hf_buf_bytes(&a->custom),
    };

    HF_TRY(hf_client_simulate(posix != NULL ? hf_posix_client(posix) : NULL, &query, &simulation,
                              why));
    *breaks = simulation.breaks;
    enum hf_err err = report(a, &simulation, why);
    hf_simulation_free(&simulation);
    return err;
}

/* The client certificate is for servers that the device knows. */
static enum hf_err simulate_endpoint(const struct arguments *a, struct hf_posix *posix,
                                     bool *breaks, struct hf_why *why)
{
    const struct hf_posix_endpoint endpoint = {.url = a->endpoint};
    const struct hf_posix_config config = {
        .endpoints = &endpoint,
        .n_endpoints = 1,
        .has_legacy_ciphers = a->has_legacy_ciphers != 0 ||
                              (posix != NULL && hf_posix_config(posix)->has_legacy_ciphers),
    };
    struct hf_endpoint_url url;
    struct hf_lookout *lookout = NULL;

    if (hf_endpoint_url_parse(a->endpoint, &url, why) != HF_OK)
        return hf_fail_context(why, "--endpoint");
    HF_TRY(hf_lookout_new(&config, hf_cli_log(&a->common), &lookout, why));
    struct hf_endpoint_port looks = hf_lookout_port(lookout);
    enum hf_err err = simulate(a, posix, &looks, breaks, why);
    hf_lookout_free(lookout);
    return err;
}

static int run(struct arguments *a, bool is_named)
{
    struct hf_posix *posix = NULL;
    struct hf_why why = {0};
    bool breaks = false;

    enum hf_err err = read_file("--bundle", a->bundle, HF_BUNDLE_BYTES_MAX, &a->pem, &why);
    if (err == HF_OK)
        err = read_file("--description", a->description, DESCRIPTION_BYTES_MAX, &a->custom, &why);
    if (err == HF_OK)
        err = open_device(a, is_named, &posix, &why);
    if (err == HF_OK)
        err = a->endpoint != NULL ? simulate_endpoint(a, posix, &breaks, &why)
                                  : simulate(a, posix, NULL, &breaks, &why);
    hf_posix_close(posix);
    if (err != HF_OK)
        return hf_cli_finish(err, &why);
    return breaks ? HF_EXIT_BREAKS : HF_EXIT_OK;
}

static int check_and_run(struct arguments *a, const char *before_command)
{
    bool is_named = a->common.state != NULL || before_command != NULL;

    a->state_dir = hf_cli_state(&a->common, before_command);
    if (a->at == NULL)
        return hf_cli_usage(&text, "--at DATE is missing");
    if (!parse_at(a))
        return hf_cli_usage(&text, "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not '%s'",
                            a->at);
    if (a->description != NULL && a->bundle == NULL)
        return hf_cli_usage(&text, "--description is about a --bundle");
    return run(a, is_named);
}

int hf_cmd_simulate(const char *state_dir, int argc, const char **argv)
{
    struct arguments a = {0};
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"at", '\0', POPT_ARG_STRING, &a.at, 0, "the day to ask about", "DATE"},
        {"endpoint", '\0', POPT_ARG_STRING, &a.endpoint, 0,
         "only this one: mqtts://HOST[:8883], https://HOST[:443] or tls://HOST:PORT", "URL"},
        {"legacy-ciphers", '\0', POPT_ARG_NONE, &a.has_legacy_ciphers, 0,
         "offer that server cipher suites with static RSA and CBC, too", NULL},
        {"bundle", 'b', POPT_ARG_STRING, &a.bundle, 0, "judge by the roots in this PEM file",
         "FILE.pem"},
        {"description", '\0', POPT_ARG_STRING, &a.description, 0,
         "what is said about them: dates, uses", "FILE.json"},
        {"json", 'j', POPT_ARG_NONE, &a.is_json, 0, "for programs (schema/simulate.schema.json)",
         NULL},
        HF_CLI_STATE(&a.common),
        HF_CLI_VERBOSE(&a.common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = check_and_run(&a, state_dir);
    free_arguments(&a);
    return exit_code;
}
