/* holdfast probe: which chain does a server show, and would the store validate it? */
#include "client/agent/agent.h"
#include "client/agent/probe_report.h"
#include "client/port/mbedtls/pem_store.h"
#include "client/port/posix/file_util.h"
#include "common/base/hex.h"
#include "common/base/timetext.h"

#include <holdfast/posix.h>

#include <popt.h>
#include <stdlib.h>
#include <string.h>

static const char help_text[] =
    "Usage: holdfast probe HOST[:PORT] (--state DIR | --ca FILE) [options]\n"
    "\n"
    "Connects to HOST (port 443 unless named), does a real TLS handshake, and shows the chain "
    "that\n"
    "the server presents: who issued what, until when, and in words whether the store validates "
    "it\n"
    "and through which root, or why not.\n"
    "\n"
    "  --state DIR        judge by the live store of the device whose state is in DIR\n"
    "  --ca FILE          judge by the certificates in this PEM file\n"
    "  --servername NAME  the name to ask for (SNI) and to expect, if it is not HOST\n"
    "  --at TIME          judge as of YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ instead of now\n"
    "  --tls12            offer TLS 1.2 only\n"
    "  --json             print one JSON object instead of text\n"
    "\n"
    "Exit code: 0 the chain is valid, 1 it is not or the server cannot be reached, 2 wrong usage.\n"
    "Proxies are not used: this is about the server itself.\n"
    "\n"
    "Example: would this device still reach AWS IoT in 2030, and what if it had only this root?\n"
    "\n"
    "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com:8883 --state /var/lib/holdfast \\\n"
    "      --at 2030-01-01\n"
    "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com --ca AmazonRootCA1.pem\n";

struct arguments {
    char *state, *ca, *server_name, *at;
    int is_json, is_tls12, is_help;
    struct hf_endpoint peer;
    struct hf_endpoint server;
    int64_t at_s; /* INT64_MIN: now */
};

/* The store to judge by, and what it is part of. */
struct judge {
    struct hf_trust_store *store; /* borrowed from posix, or own_store */
    struct hf_posix *posix;
    struct hf_trust_store *own_store;
};

/* ---- the command line --------------------------------------------------------------------------- */

static enum hf_err parse_popt(poptContext popt, struct arguments *a, struct hf_why *why)
{
    int code = poptGetNextOpt(popt);
    const char *endpoint = poptGetArg(popt);

    if (code != -1)
        return hf_fail(why, HF_E_ARGUMENT, "%s: %s", poptBadOption(popt, 0), poptStrerror(code));
    if (a->is_help)
        return HF_OK;
    if (endpoint == NULL || poptPeekArg(popt) != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "exactly one HOST[:PORT] is wanted");
    return hf_endpoint_parse(hf_bytes_of_text(endpoint), 443, &a->peer, why);
}

static enum hf_err check_options(struct arguments *a, struct hf_why *why)
{
    enum hf_err err;

    a->at_s = INT64_MIN;
    if ((a->state == NULL) == (a->ca == NULL))
        return hf_fail(why, HF_E_ARGUMENT, "either --state DIR or --ca FILE is wanted");
    if (a->at != NULL && !hf_time_parse_lenient(a->at, &a->at_s))
        return hf_fail(why, HF_E_ARGUMENT,
                       "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not '%s'", a->at);
    a->server = a->peer;
    if (a->server_name == NULL)
        return HF_OK;
    err = hf_endpoint_parse(hf_bytes_of_text(a->server_name), a->peer.port, &a->server, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "--servername");
    return err;
}

static enum hf_err parse_arguments(int argc, const char **argv, const char *state_dir,
                                   struct arguments *a, struct hf_why *why)
{
    const struct poptOption table[] = {
        {"state", 0, POPT_ARG_STRING, &a->state, 0, NULL, NULL},
        {"ca", 0, POPT_ARG_STRING, &a->ca, 0, NULL, NULL},
        {"servername", 0, POPT_ARG_STRING, &a->server_name, 0, NULL, NULL},
        {"at", 0, POPT_ARG_STRING, &a->at, 0, NULL, NULL},
        {"tls12", 0, POPT_ARG_NONE, &a->is_tls12, 0, NULL, NULL},
        {"json", 0, POPT_ARG_NONE, &a->is_json, 0, NULL, NULL},
        {"help", 'h', POPT_ARG_NONE, &a->is_help, 0, NULL, NULL},
        POPT_TABLEEND,
    };
    poptContext popt = poptGetContext(NULL, argc, argv, table, 0);
    enum hf_err err = popt == NULL ? hf_fail(why, HF_E_MEMORY, "no memory for the arguments")
                                   : parse_popt(popt, a, why);

    if (err == HF_OK && a->state == NULL && a->ca == NULL && state_dir != NULL) {
        a->state = strdup(state_dir);
        if (a->state == NULL)
            err = hf_fail(why, HF_E_MEMORY, "no memory for the arguments");
    }
    if (err == HF_OK && !a->is_help)
        err = check_options(a, why);
    poptFreeContext(popt);
    return err;
}

static void free_arguments(struct arguments *a)
{
    free(a->state);
    free(a->ca);
    free(a->server_name);
    free(a->at);
}

/* ---- the store ---------------------------------------------------------------------------------- */

static enum hf_err open_ca_file(const char *path, struct judge *judge, struct hf_why *why)
{
    struct hf_buf pem = {0};
    enum hf_err err;

    HF_TRY(hf_file_read(path, HF_BUNDLE_BYTES_MAX, &pem, why));
    err = hf_trust_store_new_from_pem(hf_buf_bytes(&pem), &judge->own_store, why);
    hf_buf_free(&pem);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", path);
    judge->store = judge->own_store;
    return err;
}

static enum hf_err open_judge(const struct arguments *a, struct judge *judge, struct hf_why *why)
{
    if (a->ca != NULL) {
        HF_TRY(open_ca_file(a->ca, judge, why));
    } else {
        HF_TRY(hf_posix_open(a->state, (struct hf_log_port){0}, &judge->posix, why));
        judge->store = hf_posix_trust_store(judge->posix);
    }
    if (a->at_s != INT64_MIN)
        hf_trust_store_set_clock(a->at_s);
    return HF_OK;
}

static void close_judge(struct judge *judge)
{
    hf_trust_store_free(judge->own_store);
    hf_posix_close(judge->posix);
}

/* ---- the verdict -------------------------------------------------------------------------------- */

/** The last line of the text: what it comes to. HF_E_TLS for a chain that is not valid. */
static enum hf_err conclude(const struct hf_probe_report *report, bool is_json, struct hf_why *why)
{
    const struct hf_chain_verdict *verdict = report->verdict;
    char sha256[HF_SHA256_HEX_LEN], faults[HF_WHY_MAX];

    if (!verdict->is_valid) {
        hf_chain_verdict_faults(verdict, faults);
        return hf_fail(why, HF_E_TLS, "%s is not trusted: %.600s", report->endpoint, faults);
    }
    hf_hex_encode(verdict->anchor.sha256, sizeof verdict->anchor.sha256, sha256);
    if (!is_json)
        printf("\nvalid %s through \"%s\" %s\n", report->endpoint, verdict->anchor.subject, sha256);
    return HF_OK;
}

static enum hf_err judge_and_report(const struct arguments *a, const struct judge *judge,
                                    const struct hf_probe_result *probe, struct hf_why *why)
{
    struct hf_chain_verdict verdict = {0};
    char endpoint[HF_ENDPOINT_TEXT];
    struct hf_probe_report report = {.endpoint = endpoint,
                                     .server_name = a->server.host,
                                     .probe = probe,
                                     .verdict = &verdict};
    enum hf_err err = hf_chain_verify(judge->store, &probe->chain, a->server.host, &verdict, why);

    if (err != HF_OK)
        return err;
    hf_endpoint_format(&a->peer, endpoint);
    if (a->is_json)
        err = hf_probe_report_json(&report, stdout, why);
    else
        hf_probe_report_text(&report, stdout);
    if (err == HF_OK)
        err = conclude(&report, a->is_json, why);
    hf_chain_verdict_free(&verdict);
    return err;
}

static enum hf_err probe(const struct arguments *a, struct hf_why *why)
{
    struct judge judge = {0};
    struct hf_probe_result result = {0};
    const struct hf_probe_request request = {.peer = a->peer,
                                             .server = &a->server,
                                             .is_tls12_only = a->is_tls12 != 0,
                                             .timeouts = hf_timeouts_default()};
    enum hf_err err = open_judge(a, &judge, why);

    if (err == HF_OK)
        err = hf_probe(&request, &result, why);
    if (err == HF_OK)
        err = judge_and_report(a, &judge, &result, why);
    hf_chain_free(&result.chain);
    close_judge(&judge);
    return err;
}

int hf_cmd_probe(const char *state_dir, int argc, const char **argv)
{
    struct arguments a = {0};
    struct hf_why why = {0};
    int code = HF_EXIT_OK;

    if (parse_arguments(argc, argv, state_dir, &a, &why) != HF_OK) {
        fprintf(stderr, "holdfast probe: %s; see holdfast probe --help\n", why.text);
        code = HF_EXIT_USAGE;
    } else if (a.is_help) {
        fputs(help_text, stdout);
    } else if (probe(&a, &why) != HF_OK) {
        (void)fflush(stdout);
        fprintf(stderr, "holdfast probe: %s\n", why.text);
        code = HF_EXIT_FAILED;
    }
    free_arguments(&a);
    return code;
}
