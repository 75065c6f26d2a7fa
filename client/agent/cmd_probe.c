/* holdfast probe: which chain does a server show, and would the store validate it? */
#include "client/agent/cli.h"
#include "client/agent/probe_report.h"
#include "client/port/mbedtls/pem_store.h"
#include "common/os/file_util.h"
#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/tls/endpoint_url.h"

#include <stdlib.h>
#include <string.h>

static const struct hf_cli_text text = {
    .name = "probe",
    .arguments =
        "HOST[:PORT]|URL [--state DIR | --ca FILE] [--servername NAME] [--at TIME] [--json]",
    .about =
        "Connects to HOST (port 443 unless named; a URL such as https://HOST/PATH or\n"
        "mqtts://HOST does as well), does a real TLS handshake and shows the chain\n"
        "that the server presents: who issued what, until when, and in words whether the store\n"
        "validates it and through which root, or why not. The store is that of the device, or, "
        "with\n"
        "--ca, the certificates in FILE. Proxies are not used: this is about the server itself.\n"
        "Exit code 0 only for a chain that is valid, of a server that holds the key to it.",
    .examples =
        "Does this device reach AWS IoT, would it still in 2030, and what if it had only this "
        "root?\n"
        "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com:8883\n"
        "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com:8883 --at 2030-01-01\n"
        "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com --ca AmazonRootCA1.pem\n",
};

/* The command line: texts as given, and what they mean. */
struct arguments {
    struct hf_cli_common common;
    const char *state_dir; /* borrowed */
    struct hf_cli_words words;
    const char *endpoint; /* borrowed from them */
    char *ca, *server_name, *at;
    int is_json, is_tls12, has_legacy_ciphers;
    struct hf_endpoint peer;
    struct hf_endpoint server; /* whom to ask for */
    int64_t at_s;              /* INT64_MIN: now */
};

/* The store to judge by, and what it is part of. */
struct judge {
    struct hf_trust_store *store; /* borrowed from posix, or own_store */
    struct hf_posix *posix;
    struct hf_trust_store *own_store;
};

/* ---- the command line --------------------------------------------------------------------------- */

static void free_arguments(struct arguments *a)
{
    hf_cli_common_free(&a->common);
    hf_cli_words_free(&a->words);
    free(a->ca);
    free(a->server_name);
    free(a->at);
}

static enum hf_err check_server_name(struct arguments *a, struct hf_why *why)
{
    enum hf_err err;

    a->server = a->peer;
    if (a->server_name == NULL)
        return HF_OK;
    err = hf_endpoint_parse(hf_bytes_of_text(a->server_name), a->peer.port, &a->server, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "--servername");
    return err;
}

/* HOST[:PORT], or a URL as an endpoint has one; its path is not asked for. */
static enum hf_err parse_peer(struct arguments *a, struct hf_why *why)
{
    const char *scheme_end = strstr(a->endpoint, "://");
    struct hf_endpoint_url url;
    char address[HF_ENDPOINT_URL_TEXT];

    if (scheme_end == NULL) {
        HF_TRY(hf_endpoint_parse(hf_bytes_of_text(a->endpoint), 443, &a->peer, why));
        hf_endpoint_drop_final_dot(&a->peer);
        return HF_OK;
    }
    size_t len = (size_t)(scheme_end - a->endpoint) + strlen("://");
    len += strcspn(a->endpoint + len, "/?#");
    if (len >= sizeof address)
        return hf_fail(why, HF_E_ARGUMENT, "the host of the URL is too long");
    memcpy(address, a->endpoint, len);
    address[len] = '\0';
    HF_TRY(hf_endpoint_url_parse(address, &url, why));
    a->peer = url.peer;
    return HF_OK;
}

static enum hf_err check_arguments(struct arguments *a, struct hf_why *why)
{
    if (a->endpoint == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "HOST[:PORT] is missing");
    if (a->common.state != NULL && a->ca != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--state and --ca exclude each other");
    a->at_s = INT64_MIN;
    if (a->at != NULL && !hf_time_parse_lenient(a->at, &a->at_s))
        return hf_fail(why, HF_E_ARGUMENT,
                       "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not '%s'", a->at);
    HF_TRY(parse_peer(a, why));
    return check_server_name(a, why);
}

/* ---- the store ---------------------------------------------------------------------------------- */

static enum hf_err open_ca_file(const char *path, struct judge *judge, struct hf_why *why)
{
    struct hf_buf pem = {0};
    char skipped[HF_WHY_MAX] = "";
    enum hf_err err;

    HF_TRY(hf_file_read(path, HF_BUNDLE_BYTES_MAX, &pem, why));
    err = hf_trust_store_new_from_pem(hf_buf_bytes(&pem), &judge->own_store, skipped, why);
    hf_buf_free(&pem);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", path);
    else if (skipped[0] != '\0')
        fprintf(stderr, "holdfast: warning: %s: %s\n", path, skipped);
    judge->store = judge->own_store;
    return err;
}

static enum hf_err open_judge(const struct arguments *a, struct judge *judge, struct hf_why *why)
{
    if (a->ca != NULL) {
        HF_TRY(open_ca_file(a->ca, judge, why));
    } else {
        HF_TRY(hf_posix_open(a->state_dir, hf_cli_log(&a->common), &judge->posix, why));
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

/** The last line of the text: what it comes to. HF_E_UNTRUSTED for a chain that is not valid. */
static enum hf_err conclude(const struct hf_probe_report *report, bool is_json, struct hf_why *why)
{
    const struct hf_chain_verdict *verdict = report->verdict;
    char sha256[HF_SHA256_HEX_LEN], faults[HF_WHY_MAX];

    if (!verdict->is_valid) {
        hf_chain_verdict_faults(verdict, faults);
        return hf_fail(why, HF_E_UNTRUSTED, "the server is not trusted: %.600s", faults);
    }
    hf_hex_encode(verdict->anchor.sha256, sizeof verdict->anchor.sha256, sha256);
    if (!is_json)
        printf("\nvalid %s through \"%s\" %s\n", report->endpoint, verdict->anchor.subject, sha256);
    return HF_OK;
}

static enum hf_err judge_and_report(const struct arguments *a, const struct judge *judge,
                                    const struct hf_tls_look_result *probe, struct hf_why *why)
{
    struct hf_chain_verdict verdict = {0};
    const struct hf_probe_report report = {.endpoint = a->endpoint,
                                           .server_name = a->server.host,
                                           .probe = probe,
                                           .verdict = &verdict};
    enum hf_err err = hf_chain_verify(judge->store, &probe->chain, a->server.host, &verdict, why);

    if (err != HF_OK)
        return err;
    if (a->is_json)
        err = hf_probe_report_json(&report, stdout, why);
    else
        hf_probe_report_text(&report, stdout);
    if (err == HF_OK)
        err = conclude(&report, a->is_json, why);
    hf_chain_verdict_free(&verdict);
    return err;
}

static enum hf_err probe(const struct arguments *a, const struct judge *judge, struct hf_why *why)
{
    struct hf_tls_look_result result = {0};
    const struct hf_probe_request request =
        {.peer = a->peer,
         .server = &a->server,
         .offer = {.version = a->is_tls12 ? HF_TLS_12 : HF_TLS_12_OR_13,
                   .has_legacy_ciphers = a->has_legacy_ciphers != 0},
         .timeouts = hf_timeouts_default()};
    enum hf_err err = hf_probe(&request, &result, why);

    if (err == HF_OK)
        err = judge_and_report(a, judge, &result, why);
    hf_chain_free(&result.chain);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", a->endpoint);
    return err;
}

static enum hf_err run(const struct arguments *a, struct hf_why *why)
{
    struct judge judge = {0};
    enum hf_err err = open_judge(a, &judge, why);

    if (err == HF_OK)
        err = probe(a, &judge, why);
    close_judge(&judge);
    return err;
}

int hf_cmd_probe(const char *state_dir, int argc, const char **argv)
{
    struct arguments a = {0};
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"ca", 0, POPT_ARG_STRING, &a.ca, 0, "judge by the certificates in this PEM file", "FILE"},
        {"servername", 0, POPT_ARG_STRING, &a.server_name, 0,
         "the name to ask for (SNI) and to expect, if it is not HOST", "NAME"},
        {"at", 0, POPT_ARG_STRING, &a.at, 0, "judge as of that time instead of now",
         "YYYY-MM-DD[THH:MM:SSZ]"},
        {"tls12", 0, POPT_ARG_NONE, &a.is_tls12, 0, "offer TLS 1.2 only", NULL},
        {"legacy-ciphers", 0, POPT_ARG_NONE, &a.has_legacy_ciphers, 0,
         "offer cipher suites with static RSA and CBC, too", NULL},
        {"json", 0, POPT_ARG_NONE, &a.is_json, 0, "print one JSON object instead of text", NULL},
        HF_CLI_STATE(&a.common),
        HF_CLI_VERBOSE(&a.common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse_words(&text, argc, argv, options, 1, &a.words, &exit_code)) {
        a.endpoint = a.words.list[0];
        a.state_dir = hf_cli_state(&a.common, state_dir);
        if (check_arguments(&a, &why) != HF_OK)
            exit_code = hf_cli_usage(&text, "%s", why.text);
        else
            exit_code = hf_cli_finish(run(&a, &why), &why);
    }
    free_arguments(&a);
    return exit_code;
}
