#include "client/agent/cli.h"
#include "client/agent/endpoint_options.h"

#include <string.h>

static const struct hf_cli_text text = {
    .name = "endpoints",
    .arguments = "[--endpoint URL [--alpn NAME]]... [--none] [--json] [--state DIR]",
    .about =
        "Shows the servers that this device must always reach, or puts others in their place: all\n"
        "that --endpoint names, and no more. Before a new trust store is used, each of them is\n"
        "asked for its chain, with a TLS handshake and nothing more; a store with which one of "
        "them\n"
        "would be lost is not taken. A running agent uses the change from its next check on.",
    .examples = "  holdfast endpoints\n"
                "  holdfast endpoints --endpoint "
                "mqtts://abc123-ats.iot.eu-central-1.amazonaws.com:8883 \\\n"
                "      --endpoint https://api.example.com\n"
                "  holdfast endpoints --endpoint @describe-endpoint.json\n",
};

json_t *hf_cli_endpoints_json(const struct hf_posix_config *config)
{
    json_t *list = json_array();

    for (size_t i = 0; i < config->n_endpoints; i++) {
        const struct hf_posix_endpoint *endpoint = &config->endpoints[i];
        json_t *item = json_pack("{s:s, s:s?}", "url", endpoint->url, "alpn", endpoint->alpn);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

void hf_cli_endpoints_print(const struct hf_posix_config *config, const char *before)
{
    for (size_t i = 0; i < config->n_endpoints; i++) {
        const struct hf_posix_endpoint *endpoint = &config->endpoints[i];
        printf("%s%s%s%s\n", before, endpoint->url, endpoint->alpn != NULL ? " alpn " : "",
               endpoint->alpn != NULL ? endpoint->alpn : "");
    }
    if (config->n_endpoints == 0)
        printf("%snone\n", before);
}

static enum hf_err print(const struct hf_posix_config *config, bool as_json, struct hf_why *why)
{
    if (as_json)
        return hf_cli_print_json(json_pack("{s:i, s:o, s:s?, s:s?}", "format", 1, "endpoints",
                                           hf_cli_endpoints_json(config), "client_cert",
                                           config->client_cert_file, "client_key",
                                           config->client_key_file),
                                 why);
    hf_cli_endpoints_print(config, "");
    return HF_OK;
}

static enum hf_err replace(struct hf_posix *posix, const struct hf_cli_endpoints *given,
                           bool is_none, struct hf_why *why)
{
    struct hf_posix_config config = *hf_posix_config(posix);

    if (is_none) {
        config.n_endpoints = 0;
        config.client_cert_file = config.client_key_file = NULL;
    }
    hf_cli_endpoints_apply(given, &config);
    return hf_posix_configure(posix, &config, why);
}

static enum hf_err endpoints(const char *state_dir, const struct hf_cli_common *common,
                             const struct hf_cli_endpoints *given, bool is_none, struct hf_why *why)
{
    struct hf_posix *posix = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    if (is_none || given->n > 0 || given->client_cert != NULL ||
        given->ciphers != HF_CLI_CIPHERS_UNCHANGED)
        err = replace(posix, given, is_none, why);
    if (err == HF_OK)
        err = print(hf_posix_config(posix), common->as_json != 0, why);
    hf_posix_close(posix);
    return err;
}

static int run(struct hf_cli_endpoints *given, const struct hf_cli_common *common,
               const char *state_dir, bool is_none)
{
    struct hf_why why = {0};
    enum hf_err err = hf_cli_endpoints_finish(given, &why);

    if (err != HF_OK && given->is_misused)
        return hf_cli_usage(&text, "%s", why.text);
    if (is_none && given->n > 0)
        return hf_cli_usage(&text, "--none and --endpoint exclude each other");
    if (err == HF_OK)
        err = endpoints(hf_cli_state(common, state_dir), common, given, is_none, &why);
    return hf_cli_finish(err, &why);
}

int hf_cmd_endpoints(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_cli_endpoints given;
    int is_none = 0;
    int exit_code = HF_EXIT_USAGE;

    hf_cli_endpoints_init(&given);
    const struct poptOption options[] = {
        HF_CLI_ENDPOINTS(&given),
        {"none", '\0', POPT_ARG_NONE, &is_none, 0,
         "remove all, and the client certificate; updates are then installed without endpoint "
         "checks",
         NULL},
        HF_CLI_JSON(&common, "endpoints"),
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = run(&given, &common, state_dir, is_none != 0);
    hf_cli_endpoints_free(&given);
    hf_cli_common_free(&common);
    return exit_code;
}
