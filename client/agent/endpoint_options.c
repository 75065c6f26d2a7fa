#include "client/agent/endpoint_options.h"

#include "common/tls/endpoint_url.h"
#include "common/os/file_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one endpoint ---------------------------------------------------------------------------------- */

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

static enum hf_err add_endpoint(struct hf_cli_endpoints *e, const char *value, struct hf_why *why)
{
    char name[HF_ENDPOINT_URL_TEXT];
    struct hf_endpoint_url url;

    if (e->n == HF_ENDPOINTS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "at most %d of them are expected", HF_ENDPOINTS_MAX);
    HF_TRY(read_endpoint(value, &url, why));
    warn_of_legacy_aws(&url);
    hf_endpoint_url_format(&url, name);
    e->list[e->n].url = strdup(name);
    if (e->list[e->n].url == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory");
    e->n++;
    return HF_OK;
}

static enum hf_err set_alpn(struct hf_cli_endpoints *e, const char *name, struct hf_why *why)
{
    struct hf_posix_endpoint *last = e->n > 0 ? &e->list[e->n - 1] : NULL;

    if (last == NULL || last->alpn != NULL) {
        e->is_misused = true;
        return hf_fail(why, HF_E_ARGUMENT, "it belongs to the --endpoint before it, one for each");
    }
    HF_TRY(hf_alpn_check(name, why));
    last->alpn = strdup(name);
    return last->alpn != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory");
}

/* ---- the command line -------------------------------------------------------------------------------- */

/* Called by popt for each option of the table, in the order given. */
static void take_option(poptContext popt, enum poptCallbackReason reason,
                        const struct poptOption *option, const char *value, void *ctx)
{
    struct hf_cli_endpoints *e = ctx;
    enum hf_err err = HF_OK;

    (void)popt;
    if (reason != POPT_CALLBACK_REASON_OPTION || e->failure.code != HF_OK || value == NULL)
        return;
    if (option->val == 'e')
        err = add_endpoint(e, value, &e->failure);
    else if (option->val == 'a')
        err = set_alpn(e, value, &e->failure);
    if (err == HF_OK)
        return;
    e->is_misused = e->is_misused || (err != HF_E_MEMORY && value[0] != '@');
    (void)hf_fail_context(&e->failure, "--%s", option->longName);
}

void hf_cli_endpoints_init(struct hf_cli_endpoints *e)
{
    const struct poptOption table[] = {
        /* popt's own way: the context of a callback stands where others have their description. */
        {NULL, '\0', POPT_ARG_CALLBACK, (void *)take_option, 0, (const char *)e, NULL},
        {"endpoint", 'e', POPT_ARG_STRING, NULL, 'e',
         "mqtts://HOST[:8883], https://HOST[:443] or tls://HOST:PORT; again for each, at most 8. "
         "What `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints does as well, as it "
         "is or as @FILE",
         "URL"},
        {"alpn", '\0', POPT_ARG_STRING, NULL, 'a',
         "protocol name to ask the endpoint before it with (default: none; x-amzn-mqtt-ca for "
         "mqtts:// at port 443 of AWS IoT)",
         "NAME"},
        {"client-cert", '\0', POPT_ARG_STRING, &e->client_cert, 0,
         "this device's certificate, shown to an endpoint once its chain has been found valid; "
         "endpoints are judged as well without it",
         "FILE"},
        {"client-key", '\0', POPT_ARG_STRING, &e->client_key, 0,
         "its key, without a passphrase, in a file that no other user may read or change", "FILE"},
        {"legacy-ciphers", '\0', POPT_ARG_VAL, &e->ciphers, HF_CLI_CIPHERS_LEGACY,
         "offer servers and mirrors cipher suites with static RSA and CBC, too", NULL},
        {"modern-ciphers", '\0', POPT_ARG_VAL, &e->ciphers, HF_CLI_CIPHERS_MODERN,
         "do not offer them (default)", NULL},
        {NULL, '\0', 0, NULL, 0, NULL, NULL},
    };

    *e = (struct hf_cli_endpoints){0};
    memcpy(e->table, table, sizeof e->table);
}

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

enum hf_err hf_cli_endpoints_finish(struct hf_cli_endpoints *e, struct hf_why *why)
{
    if (e->failure.code != HF_OK)
        return hf_fail(why, e->failure.code, "%s", e->failure.text);
    if ((e->client_cert == NULL) != (e->client_key == NULL)) {
        e->is_misused = true;
        return hf_fail(why, HF_E_ARGUMENT, "--client-cert and --client-key belong together");
    }
    HF_TRY(make_absolute("--client-cert", &e->client_cert, why));
    return make_absolute("--client-key", &e->client_key, why);
}

void hf_cli_endpoints_apply(const struct hf_cli_endpoints *e, struct hf_posix_config *config)
{
    if (e->n > 0) {
        config->endpoints = e->list;
        config->n_endpoints = e->n;
    }
    if (e->client_cert != NULL) {
        config->client_cert_file = e->client_cert;
        config->client_key_file = e->client_key;
    }
    if (e->ciphers != HF_CLI_CIPHERS_UNCHANGED)
        config->has_legacy_ciphers = e->ciphers == HF_CLI_CIPHERS_LEGACY;
}

void hf_cli_endpoints_free(struct hf_cli_endpoints *e)
{
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++) {
        free((void *)(uintptr_t)e->list[i].url);
        free((void *)(uintptr_t)e->list[i].alpn);
    }
    free(e->client_cert);
    free(e->client_key);
}
