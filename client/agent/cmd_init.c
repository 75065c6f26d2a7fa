#include "client/agent/cli.h"
#include "client/agent/endpoint_options.h"
#include "common/os/file_util.h"
#include "common/base/limits.h"

#include <stdlib.h>
#include <string.h>

static const struct hf_cli_text text = {
    .name = "init",
    .arguments = "--root ROOT.json --url URL --set NAME --profile NAME [OPTION...]",
    .about =
        "Makes the state folder of this device (its parent must exist) and writes down what every\n"
        "later command reads. Nothing is fetched. On failure nothing is left behind.\n\n"
        "ROOT.json is the first root metadata of the repository (metadata/1.root.json there): the\n"
        "keys in it are what this device trusts from now on, so take it from its publisher and "
        "not\n"
        "from the network.",
    .examples =
        "  holdfast init --root 1.root.json --url https://roots.example.com \\\n"
        "      --set amazon-iot --profile full\n"
        "  holdfast --state ./device init --root 1.root.json --url http://127.0.0.1:8080 \\\n"
        "      --set amazon-iot --profile ecc --bundle factory.pem \\\n"
        "      --export /etc/mosquitto/certs/roots.pem --on-swap 'systemctl reload mosquitto'\n"
        "  holdfast init --root 1.root.json --url https://roots.example.com \\\n"
        "      --set amazon-iot --profile full \\\n"
        "      --endpoint mqtts://abc123-ats.iot.eu-central-1.amazonaws.com \\\n"
        "      --endpoint tls://gateway.example.com:4433 --alpn x-example\n",
};

struct init_options {
    struct hf_cli_common common;
    char *root;
    const char **urls;
    const char **redirect_hosts;
    char *set;
    char *profile;
    char *device_id;
    char *device_id_file;
    char *server_ca;
    char *bundle;
    char *export_file;
    char *on_swap;
    int awaits_confirm;
    struct hf_cli_endpoints endpoints;
};

/* What the options name, read and made absolute. */
struct init_input {
    struct hf_posix_config config;
    struct hf_buf root;
    struct hf_buf bundle;
    struct hf_buf server_ca;
    char *device_id_file;
    char *export_file;
};

static void list_free(const char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free((void *)(uintptr_t)list[i]);
    free(list);
}

static size_t list_len(const char *const *list)
{
    size_t n = 0;

    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

static void options_free(struct init_options *o)
{
    list_free(o->urls);
    list_free(o->redirect_hosts);
    free(o->root);
    free(o->set);
    free(o->profile);
    free(o->device_id);
    free(o->device_id_file);
    free(o->server_ca);
    free(o->bundle);
    free(o->export_file);
    free(o->on_swap);
    hf_cli_endpoints_free(&o->endpoints);
    hf_cli_common_free(&o->common);
}

static void input_free(struct init_input *in)
{
    hf_buf_free(&in->root);
    hf_buf_free(&in->bundle);
    hf_buf_free(&in->server_ca);
    free(in->device_id_file);
    free(in->export_file);
}

/* ---- reading what the options name --------------------------------------------------------------- */

/* An empty file is said to be one, rather than what its parser would make of it. */
static enum hf_err read_file(const char *option, const char *file, size_t max_bytes,
                             struct hf_buf *out, struct hf_why *why)
{
    if (file == NULL)
        return HF_OK;
    if (hf_file_read(file, max_bytes, out, why) != HF_OK)
        return hf_fail_context(why, "%s", option);
    if (out->len == 0)
        return hf_fail(why, HF_E_FORMAT, "%s: %s is empty", option, file);
    return HF_OK;
}

static enum hf_err make_absolute(const char *option, const char *path, char **out,
                                 struct hf_why *why)
{
    if (path == NULL || hf_file_absolute(path, out, why) == HF_OK)
        return HF_OK;
    return hf_fail_context(why, "%s", option);
}

static enum hf_err read_input(const struct init_options *o, struct init_input *in,
                              struct hf_why *why)
{
    HF_TRY(read_file("--root", o->root, HF_ROOT_BYTES_MAX, &in->root, why));
    HF_TRY(read_file("--bundle", o->bundle, HF_BUNDLE_BYTES_MAX, &in->bundle, why));
    HF_TRY(read_file("--server-ca", o->server_ca, HF_BUNDLE_BYTES_MAX, &in->server_ca, why));
    if (in->server_ca.len > 0 && memchr(in->server_ca.data, '\0', in->server_ca.len) != NULL)
        return hf_fail(why, HF_E_FORMAT, "--server-ca: %s is not PEM but binary", o->server_ca);
    HF_TRY(make_absolute("--device-id-file", o->device_id_file, &in->device_id_file, why));
    HF_TRY(make_absolute("--export", o->export_file, &in->export_file, why));
    in->config = (struct hf_posix_config){
        .client = {.urls = o->urls,
                   .n_urls = list_len(o->urls),
                   .set = o->set,
                   .profile = o->profile,
                   .awaits_confirm = o->awaits_confirm != 0},
        .redirect_hosts = o->redirect_hosts,
        .n_redirect_hosts = list_len(o->redirect_hosts),
        .device_id = o->device_id,
        .device_id_file = in->device_id_file,
        .server_ca = (const char *)in->server_ca.data,
        .export_file = in->export_file,
        .on_swap = o->on_swap,
    };
    hf_cli_endpoints_apply(&o->endpoints, &in->config);
    return HF_OK;
}

static enum hf_err init(const struct init_options *o, const char *state_dir, struct hf_why *why)
{
    struct init_input in = {0};

    enum hf_err err = read_input(o, &in, why);
    if (err == HF_OK)
        err = hf_posix_init(state_dir, &in.config, hf_buf_bytes(&in.root), hf_buf_bytes(&in.bundle),
                            hf_cli_log(&o->common), why);
    input_free(&in);
    if (err != HF_OK)
        return err;
    if (o->common.as_json != 0)
        return hf_cli_print_json(json_pack("{s:i, s:s, s:s, s:s}", "format", 1, "state", state_dir,
                                           "set", o->set, "profile", o->profile),
                                 why);
    printf("initialised %s for %s/%s\n", state_dir, o->set, o->profile);
    return HF_OK;
}

/* ---- the command line ----------------------------------------------------------------------------- */

/* NULL, or the option that must be given and is not. */
static const char *missing_option(const struct init_options *o)
{
    if (o->root == NULL)
        return "--root ROOT.json";
    if (o->urls == NULL)
        return "--url URL";
    if (o->set == NULL)
        return "--set NAME";
    return o->profile == NULL ? "--profile NAME" : NULL;
}

static int check_and_init(struct init_options *o, const char *before_command)
{
    struct hf_why why = {0};
    enum hf_err err = hf_cli_endpoints_finish(&o->endpoints, &why);

    if (missing_option(o) != NULL)
        return hf_cli_usage(&text, "%s is missing", missing_option(o));
    if (o->device_id != NULL && o->device_id_file != NULL)
        return hf_cli_usage(&text, "--device-id and --device-id-file exclude each other");
    if (err != HF_OK && o->endpoints.is_misused)
        return hf_cli_usage(&text, "%s", why.text);
    if (err == HF_OK)
        err = init(o, hf_cli_state(&o->common, before_command), &why);
    return hf_cli_finish(err, &why);
}

int hf_cmd_init(const char *state_dir, int argc, const char **argv)
{
    struct init_options o = {0};
    int exit_code = HF_EXIT_USAGE;

    hf_cli_endpoints_init(&o.endpoints);
    const struct poptOption options[] = {
        {"root", 'r', POPT_ARG_STRING, &o.root, 0, "root metadata to trust first", "ROOT.json"},
        {"url", 'u', POPT_ARG_ARGV, &o.urls, 0,
         "http:// or https:// address of the repository; again for each mirror", "URL"},
        {"redirect-host", '\0', POPT_ARG_ARGV, &o.redirect_hosts, 0,
         "a host besides those of --url that a mirror may redirect to; again for each, at most 8",
         "HOST[:PORT]"},
        {"set", '\0', POPT_ARG_STRING, &o.set, 0, "which set of bundles (amazon-iot)", "NAME"},
        {"profile", '\0', POPT_ARG_STRING, &o.profile, 0,
         "which form of it (full, rsa, ecc, legacy)", "NAME"},
        {"device-id", '\0', POPT_ARG_STRING, &o.device_id, 0,
         "who this device is (default: derived from /etc/machine-id)", "ID"},
        {"device-id-file", '\0', POPT_ARG_STRING, &o.device_id_file, 0,
         "a file whose first line says who this device is", "FILE"},
        {"server-ca", '\0', POPT_ARG_STRING, &o.server_ca, 0,
         "PEM of the update server's own CA, trusted for it besides the store", "FILE"},
        {"bundle", 'b', POPT_ARG_STRING, &o.bundle, 0,
         "PEM of the roots it leaves the factory with (version 0)", "FACTORY.pem"},
        {"export", '\0', POPT_ARG_STRING, &o.export_file, 0,
         "keep the active store as PEM here, from the first update on", "FILE"},
        {"on-swap", '\0', POPT_ARG_STRING, &o.on_swap, 0,
         "run by /bin/sh after each swap, with HOLDFAST_STATE, _SET, _PROFILE, _OLD_VERSION, "
         "_NEW_VERSION and _EXPORT in its environment",
         "COMMAND"},
        {"await-confirm", '\0', POPT_ARG_NONE, &o.awaits_confirm, 0,
         "a new bundle stays on trial until holdfast confirm or holdfast reject", NULL},
        HF_CLI_ENDPOINTS(&o.endpoints),
        HF_CLI_JSON(&o.common, "init"),
        HF_CLI_STATE(&o.common),
        HF_CLI_VERBOSE(&o.common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (hf_cli_parse(&text, argc, argv, options, &exit_code))
        exit_code = check_and_init(&o, state_dir);
    options_free(&o);
    return exit_code;
}
