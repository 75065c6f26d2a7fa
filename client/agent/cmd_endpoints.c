/* holdfast endpoints, and the options about endpoints that init takes too. */
#include "client/agent/endpoints.h"

#include "common/cli/report.h"
#include "common/os/file_util.h"

#include <stdlib.h>
#include <string.h>

/* ---- the options ------------------------------------------------------------------------------ */

static void warn_of_legacy_aws(const struct hf_endpoint_url *url)
{
    if (!hf_endpoint_url_is_legacy_aws(url))
        return;
    fprintf(stderr,
            "holdfast: warning: %s is an AWS IoT endpoint of the legacy type iot:Data: its chain "
            "leads to a VeriSign root that AWS supports no longer and the Amazon roots do not "
            "cover; ask for the current one with `aws iot describe-endpoint --endpoint-type "
            "iot:Data-ATS`\n",
            url->peer.host);
}

/** An address, the JSON that AWS prints, or @FILE with either. */
static enum hf_err read_endpoint(const char *value, struct hf_endpoint_url *out, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err;

    if (value[0] == '{')
        return hf_endpoint_url_parse_json(hf_bytes_of_text(value), out, why);
    if (value[0] != '@')
        return hf_endpoint_url_parse(value, out, why);
    HF_TRY(hf_file_read(value + 1, HF_ENDPOINT_JSON_BYTES_MAX, &file, why));
    err = hf_endpoint_url_parse_json(hf_buf_bytes(&file), out, why);
    hf_buf_free(&file);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", value + 1);
    return err;
}

/* The first failure counts, and is told with the name of its option. */
static void fail(struct hf_endpoint_options *o, const struct hf_cli_option *option, enum hf_err err,
                 const char *value)
{
    if (err == HF_OK)
        return;
    o->is_misused = o->is_misused || value[0] != '@';
    (void)hf_fail_context(&o->failure, "--%s", option->name);
}

static enum hf_err try_endpoint(struct hf_endpoint_options *o, const char *value,
                                struct hf_why *why)
{
    struct hf_endpoint_url url;

    if (o->n == HF_ENDPOINTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "at most %d of them are expected", HF_ENDPOINTS_MAX);
    HF_TRY(read_endpoint(value, &url, why));
    warn_of_legacy_aws(&url);
    hf_endpoint_url_format(&url, o->urls[o->n]);
    o->list[o->n].url = o->urls[o->n];
    o->n++;
    return HF_OK;
}

static void add_endpoint(void *at, const struct hf_cli_option *option, const char *value)
{
    struct hf_endpoint_options *o = at;

    if (o->failure.code == HF_OK)
        fail(o, option, try_endpoint(o, value, &o->failure), value);
}

static enum hf_err try_alpn(struct hf_endpoint_options *o, const char *name, struct hf_why *why)
{
    struct hf_posix_endpoint *last = o->n > 0 ? &o->list[o->n - 1] : NULL;

    if (last == NULL || last->alpn != NULL) {
        o->is_misused = true;
        return hf_fail(why, HF_E_ARGUMENT, "it belongs to the --endpoint before it, one for each");
    }
    HF_TRY(hf_alpn_check(name, why));
    (void)snprintf(o->alpns[o->n - 1], HF_ALPN_MAX + 1, "%s", name);
    last->alpn = o->alpns[o->n - 1];
    return HF_OK;
}

static void set_alpn(void *at, const struct hf_cli_option *option, const char *value)
{
    struct hf_endpoint_options *o = at;

    if (o->failure.code == HF_OK)
        fail(o, option, try_alpn(o, value, &o->failure), value);
}

#define AT(member) offsetof(struct hf_endpoint_options, member)

const struct hf_cli_option hf_endpoint_rows[] = {
    {"endpoint", 'e', HF_CLI_CALL, 0,
     "mqtts://HOST[:8883], https://HOST[:443] or tls://HOST:PORT; again for each, at most 8. "
     "What `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints does as well, as it "
     "is or as @FILE",
     "URL", .take = add_endpoint},
    {"alpn", '\0', HF_CLI_CALL, 0,
     "ALPN protocol name for the endpoint before it (default: none; x-amzn-mqtt-ca for "
     "mqtts:// at port 443 of AWS IoT)",
     "NAME", .take = set_alpn},
    {"client-cert", '\0', HF_CLI_TEXT, AT(client_cert),
     "this device's certificate, shown to endpoints whose chain validates; endpoints can be judged "
     "without it",
     "FILE"},
    {"client-key", '\0', HF_CLI_TEXT, AT(client_key),
     "its key, without a passphrase, in a file that no other user may read or change", "FILE"},
    {"legacy-ciphers", '\0', HF_CLI_CHOICE, AT(ciphers),
     "also offer servers and mirrors cipher suites with static RSA and CBC", NULL,
     .preset = HF_CIPHERS_LEGACY},
    {"modern-ciphers", '\0', HF_CLI_CHOICE, AT(ciphers), "do not offer them (default)", NULL,
     .preset = HF_CIPHERS_MODERN},
    HF_CLI_END,
};

static enum hf_err make_absolute(const char *option, char **path, struct hf_why *why)
{
    char *absolute = NULL;

    if (*path == NULL)
        return HF_OK;
    if (hf_file_absolute(*path, &absolute, why) != HF_OK)
        return hf_fail_context(why, "%s", option);
    free(*path);
    *path = absolute;
    return HF_OK;
}

enum hf_err hf_endpoints_finish(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_endpoint_options *o = call->values;

    if (o->failure.code != HF_OK && o->is_misused)
        return hf_cli_usage(call, "%s", o->failure.text);
    if (o->failure.code != HF_OK)
        return hf_fail(why, o->failure.code, "%s", o->failure.text);
    if ((o->client_cert == NULL) != (o->client_key == NULL))
        return hf_cli_usage(call, "--client-cert and --client-key belong together");
    HF_TRY(make_absolute("--client-cert", &o->client_cert, why));
    return make_absolute("--client-key", &o->client_key, why);
}

void hf_endpoints_apply(const struct hf_endpoint_options *e, struct hf_posix_config *config)
{
    if (e->n > 0) {
        config->endpoints = e->list;
        config->n_endpoints = e->n;
    }
    if (e->client_cert != NULL) {
        config->client_cert_file = e->client_cert;
        config->client_key_file = e->client_key;
    }
    if (e->ciphers != HF_CIPHERS_UNCHANGED)
        config->has_legacy_ciphers = e->ciphers == HF_CIPHERS_LEGACY;
}

/* ---- the command ------------------------------------------------------------------------------ */

struct command_options {
    struct hf_endpoint_options endpoints;
    bool is_none;
};

json_t *hf_endpoints_json(const struct hf_posix_config *config)
{
    static const struct hf_field fields[] = {
        {"url", HF_FIELD_TEXT, offsetof(struct hf_posix_endpoint, url)},
        {"alpn", HF_FIELD_TEXT, offsetof(struct hf_posix_endpoint, alpn)},
        {0},
    };

    return hf_report_list(fields, config->endpoints, config->n_endpoints, sizeof *config->endpoints,
                          NULL);
}

void hf_endpoints_print(const struct hf_posix_config *config, const char *before)
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
        return hf_json_print_take(json_pack("{s:i, s:o, s:s?, s:s?}", "format", 1, "endpoints",
                                            hf_endpoints_json(config), "client_cert",
                                            config->client_cert_file, "client_key",
                                            config->client_key_file),
                                  stdout, why);
    hf_endpoints_print(config, "");
    return HF_OK;
}

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
        struct hf_posix_config config = *hf_posix_config(posix);
        if (o->is_none) {
            config.n_endpoints = 0;
            config.client_cert_file = config.client_key_file = NULL;
        }
        hf_endpoints_apply(given, &config);
        err = hf_posix_configure(posix, &config, why);
    }
    if (err == HF_OK)
        err = print(hf_posix_config(posix), given->common.as_json, why);
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
