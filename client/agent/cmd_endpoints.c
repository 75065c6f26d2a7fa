/* holdfast endpoints, and the options about endpoints that init takes too. */
#include "client/agent/agent.h"
#include "client/port/identity/token_uri.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"

#include <string.h>

/* An address, the JSON that AWS prints, or @FILE with the latter. */
static enum hf_err add_endpoint(struct hf_endpoint_options *o, const char *value,
                                struct hf_why *why)
{
    struct hf_endpoint_url url;
    struct hf_buf file = {0};

    if (o->n == HF_ENDPOINTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "at most %d of them are expected", HF_ENDPOINTS_MAX);
    if (value[0] == '@') {
        HF_TRY(hf_file_read(value + 1, HF_ENDPOINT_JSON_BYTES_MAX, &file, why));
        enum hf_err err = hf_endpoint_url_parse_json(hf_buf_bytes(&file), &url, why);
        hf_buf_free(&file);
        if (err != HF_OK)
            return hf_fail_context(why, "%s", value + 1);
    } else if (value[0] == '{') {
        HF_TRY(hf_endpoint_url_parse_json(hf_bytes_of_text(value), &url, why));
    } else {
        HF_TRY(hf_endpoint_url_parse(value, &url, why));
    }
    if (hf_endpoint_url_is_legacy_aws(&url))
        fprintf(stderr,
                "holdfast: warning: %s is an AWS IoT endpoint of the legacy type iot:Data: its "
                "chain leads to a VeriSign root that AWS supports no longer and the Amazon roots "
                "do not cover; ask for the current one with `aws iot describe-endpoint "
                "--endpoint-type iot:Data-ATS`\n",
                url.peer.host);
    hf_endpoint_url_format(&url, o->urls[o->n]);
    o->list[o->n].url = o->urls[o->n];
    o->n++;
    return HF_OK;
}

static enum hf_err set_alpn(struct hf_endpoint_options *o, const char *name, struct hf_why *why)
{
    if (o->n == 0 || o->list[o->n - 1].alpn != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "it belongs to the --endpoint before it, one for each");
    HF_TRY(hf_alpn_check(name, why));
    (void)snprintf(o->alpns[o->n - 1], HF_ALPN_MAX + 1, "%s", name);
    o->list[o->n - 1].alpn = o->alpns[o->n - 1];
    return HF_OK;
}

/* The first failure counts. What is in a file is no usage error. */
static void take_value(void *at, const struct hf_cli_option *option, const char *value)
{
    struct hf_endpoint_options *o = at;
    bool is_alpn = strcmp(option->name, "alpn") == 0;

    if (o->failure.code != HF_OK)
        return;
    if ((is_alpn ? set_alpn(o, value, &o->failure) : add_endpoint(o, value, &o->failure)) == HF_OK)
        return;
    o->is_misused = is_alpn || value[0] != '@';
    (void)hf_fail_context(&o->failure, "--%s", option->name);
}

#define AT(member) offsetof(struct hf_endpoint_options, member)

const struct hf_cli_option hf_endpoint_rows[] = {
    {"endpoint", 'e', HF_CLI_CALL, 0,
     "mqtts://HOST[:8883], https://HOST[:443] or tls://HOST:PORT; again for each, at most 8. "
     "What `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints does as well, as it "
     "is or as @FILE",
     "URL", .take = take_value},
    {"alpn", '\0', HF_CLI_CALL, 0,
     "ALPN protocol name for the endpoint before it (default: none; x-amzn-mqtt-ca for "
     "mqtts:// at port 443 of AWS IoT)",
     "NAME", .take = take_value},
    {"client-cert", '\0', HF_CLI_TEXT, AT(client_cert),
     "this device's certificate, shown to endpoints whose chain validates; endpoints can be judged "
     "without it",
     "FILE"},
    {"client-key", '\0', HF_CLI_TEXT, AT(client_key),
     "its key, without a passphrase, in a file that no other user may read or change; or a PKCS#11 "
     "URI, pkcs11:token=NAME;object=NAME?pin-source=FILE (an RSA key there works with TLS 1.2 "
     "only)",
     "FILE"},
    {"legacy-ciphers", '\0', HF_CLI_CHOICE, AT(ciphers),
     "also offer servers and mirrors cipher suites with static RSA and CBC", NULL,
     .preset = HF_CIPHERS_LEGACY},
    {"modern-ciphers", '\0', HF_CLI_CHOICE, AT(ciphers), "do not offer them (default)", NULL,
     .preset = HF_CIPHERS_MODERN},
    HF_CLI_END,
};

enum hf_err hf_endpoints_finish(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_endpoint_options *o = call->values;

    if (o->failure.code != HF_OK && o->is_misused)
        return hf_cli_usage(call, "%s", o->failure.text);
    if (o->failure.code != HF_OK)
        return hf_fail(why, o->failure.code, "%s", o->failure.text);
    if ((o->client_cert == NULL) != (o->client_key == NULL))
        return hf_cli_usage(call, "--client-cert and --client-key belong together");
    HF_TRY(hf_agent_make_absolute("--client-cert", &o->client_cert, why));
    if (hf_pkcs11_uri_is(o->client_key))
        return HF_OK;
    return hf_agent_make_absolute("--client-key", &o->client_key, why);
}

void hf_endpoints_apply(const struct hf_endpoint_options *o, struct hf_posix_config *config)
{
    if (o->n > 0) {
        config->endpoints = o->list;
        config->n_endpoints = o->n;
    }
    if (o->client_cert != NULL) {
        config->client_cert_file = o->client_cert;
        config->client_key_file = o->client_key;
    }
    if (o->ciphers != HF_CIPHERS_UNCHANGED)
        config->has_legacy_ciphers = o->ciphers == HF_CIPHERS_LEGACY;
}

const struct hf_field hf_endpoint_fields[] = {
    {"url", HF_FIELD_TEXT, offsetof(struct hf_posix_endpoint, url)},
    {"alpn", HF_FIELD_TEXT, offsetof(struct hf_posix_endpoint, alpn)},
    {0},
};

void hf_endpoints_print(const struct hf_posix_config *config, const char *before)
{
    for (size_t i = 0; i < config->n_endpoints; i++) {
        const struct hf_posix_endpoint *endpoint = &config->endpoints[i];
        fputs(before, stdout);
        hf_agent_print_plain(stdout, endpoint->url);
        fputs(endpoint->alpn != NULL ? " alpn " : "", stdout);
        hf_agent_print_plain(stdout, endpoint->alpn != NULL ? endpoint->alpn : "");
        putchar('\n');
    }
    if (config->n_endpoints == 0)
        printf("%snone\n", before);
}

struct command_options {
    struct hf_endpoint_options endpoints;
    bool is_none;
};

#undef AT
#define AT(member) offsetof(struct hf_posix_config, member)

static const struct hf_field report_fields[] = {
    {"endpoints", HF_FIELD_LIST, AT(endpoints), .fields = hf_endpoint_fields,
     .n_at = AT(n_endpoints), .size = sizeof(struct hf_posix_endpoint)},
    {"client_cert", HF_FIELD_PLAIN, AT(client_cert_file)},
    {"client_key", HF_FIELD_PLAIN, AT(client_key_file)},
    {0},
};

static enum hf_err endpoints(struct hf_cli_call *call, struct hf_why *why)
{
    const struct command_options *o = call->values;
    const struct hf_endpoint_options *given = &o->endpoints;
    struct hf_posix *posix = NULL;
    enum hf_err err = hf_endpoints_finish(call, why);

    if (!call->is_reported && o->is_none && given->n > 0)
        return hf_cli_usage(call, "--none and --endpoint exclude each other");
    HF_TRY(err);
    HF_TRY(hf_agent_open(call, &posix, why));
    if (o->is_none || given->n > 0 || given->client_cert != NULL ||
        given->ciphers != HF_CIPHERS_UNCHANGED) {
        struct hf_posix_config changed = *hf_posix_config(posix);
        if (o->is_none) {
            changed.n_endpoints = 0;
            changed.client_cert_file = changed.client_key_file = NULL;
        }
        hf_endpoints_apply(given, &changed);
        err = hf_posix_configure(posix, &changed, why);
    }
    const struct hf_posix_config *config = hf_posix_config(posix);
    if (err == HF_OK && given->common.as_json)
        err = hf_report_print(report_fields, config, NULL, stdout, why);
    else if (err == HF_OK)
        hf_endpoints_print(config, "");
    hf_posix_close(posix);
    return err;
}

static const struct hf_cli_option options[] = {
    HF_ENDPOINT_ROWS,
    {"none", '\0', HF_CLI_FLAG, offsetof(struct command_options, is_none),
     "remove all, and the client certificate; updates are then installed without endpoint "
     "checks",
     NULL},
    HF_AGENT_JSON("endpoints"),
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_endpoints = {
    .name = "endpoints",
    .summary = "the servers that the device must always reach",
    .arguments = "[--endpoint URL [--alpn NAME]]... [--none] [--json] [--state DIR]",
    .about =
        "Shows the servers that this device must always reach, or replaces the list with those\n"
        "that --endpoint names. Before the device uses a new trust store, it makes a TLS\n"
        "handshake with each of them. A store with which one of them would be lost is not\n"
        "installed. A running agent uses the change from its next check on.",
    .examples = "  holdfast endpoints\n"
                "  holdfast endpoints --endpoint "
                "mqtts://abc123-ats.iot.eu-central-1.amazonaws.com:8883 \\\n"
                "      --endpoint https://api.example.com\n"
                "  holdfast endpoints --endpoint @describe-endpoint.json\n",
    .options = options,
    .values_size = sizeof(struct command_options),
    .run = endpoints,
};
