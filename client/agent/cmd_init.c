#include "client/agent/agent.h"
#include "common/base/limits.h"
#include "common/cli/report.h"

#include <string.h>

struct init_options {
    struct hf_endpoint_options endpoints;
    char *root;
    char **urls;
    char **redirect_hosts;
    char *set;
    char *profile;
    char *device_id;
    char *device_id_file;
    char *server_ca;
    char *bundle;
    char *export_file;
    char *on_swap;
    char *report;
    char **groups;
    bool awaits_confirm;
    bool accepts_common_names;
};

static size_t list_len(char *const *list)
{
    size_t n = 0;

    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

static enum hf_err init(struct hf_cli_call *call, struct hf_why *why)
{
    struct init_options *o = call->values;
    const char *state_dir = hf_agent_state(call);
    struct hf_buf root = {0}, bundle = {0}, server_ca = {0};
    const struct {
        const void *value;
        const char *option;
    } needed[] = {{o->root, "--root ROOT.json"},
                  {o->urls, "--url URL"},
                  {o->set, "--set NAME"},
                  {o->profile, "--profile NAME"}};

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (needed[i].value == NULL)
            return hf_cli_usage(call, "%s is missing", needed[i].option);
    }
    if (o->device_id != NULL && o->device_id_file != NULL)
        return hf_cli_usage(call, "--device-id and --device-id-file exclude each other");
    HF_TRY(hf_endpoints_finish(call, why));
    HF_TRY(hf_agent_make_absolute("--device-id-file", &o->device_id_file, why));
    HF_TRY(hf_agent_make_absolute("--export", &o->export_file, why));
    enum hf_err err = hf_agent_read_file("--root", o->root, HF_ROOT_BYTES_MAX, &root, why);
    /* Root metadata may hold keys in PEM. */
    if (err == HF_OK && root.len > 0 && memchr(root.data, '{', root.len) == NULL &&
        memmem(root.data, root.len, "-----BEGIN ", 11) != NULL)
        err = hf_fail(why, HF_E_FORMAT,
                      "--root: expected root metadata (TUF, JSON), such as metadata/1.root.json of "
                      "the repository, found PEM in %s; root certificates are for --bundle",
                      o->root);
    if (err == HF_OK)
        err = hf_agent_read_file("--bundle", o->bundle, HF_BUNDLE_BYTES_MAX, &bundle, why);
    if (err == HF_OK)
        err = hf_agent_read_pem("--server-ca", o->server_ca, &server_ca, why);
    if (err == HF_OK) {
        struct hf_posix_config config = {
            .client = {.urls = hf_cli_list(o->urls),
                       .n_urls = list_len(o->urls),
                       .set = o->set,
                       .profile = o->profile,
                       .awaits_confirm = o->awaits_confirm,
                       .device_id = o->device_id,
                       .groups = hf_cli_list(o->groups),
                       .n_groups = list_len(o->groups)},
            .redirect_hosts = hf_cli_list(o->redirect_hosts),
            .n_redirect_hosts = list_len(o->redirect_hosts),
            .device_id_file = o->device_id_file,
            .server_ca = (const char *)server_ca.data,
            .export_file = o->export_file,
            .on_swap = o->on_swap,
            .report = o->report,
            .accepts_common_names = o->accepts_common_names,
        };
        hf_endpoints_apply(&o->endpoints, &config);
        err = hf_posix_init(state_dir, &config, hf_buf_bytes(&root), hf_buf_bytes(&bundle),
                            hf_agent_log(call), why);
    }
    hf_buf_free(&root);
    hf_buf_free(&bundle);
    hf_buf_free(&server_ca);
    HF_TRY(err);
    if (o->endpoints.common.as_json)
        return hf_json_print_take(json_pack("{s:i, s:o, s:s, s:s}", "format", 1, "state",
                                            hf_json_plain(state_dir), "set", o->set, "profile",
                                            o->profile),
                                  stdout, why);
    printf("initialised %s for %s/%s\n", state_dir, o->set, o->profile);
    return HF_OK;
}

#define AT(member) offsetof(struct init_options, member)

static const struct hf_cli_option options[] = {
    {"root", 'r', HF_CLI_TEXT, AT(root), "root metadata to trust first", "ROOT.json"},
    {"url", 'u', HF_CLI_LIST, AT(urls),
     "http:// or https:// address of the repository; repeat for each mirror", "URL"},
    {"redirect-host", '\0', HF_CLI_LIST, AT(redirect_hosts),
     "a host besides those of --url that a mirror may redirect to; again for each, at most 8",
     "HOST[:PORT]"},
    {"set", '\0', HF_CLI_TEXT, AT(set), "which set of bundles (amazon-iot)", "NAME"},
    {"profile", '\0', HF_CLI_TEXT, AT(profile), "which form of it (full, rsa, ecc, legacy)",
     "NAME"},
    {"device-id", '\0', HF_CLI_TEXT, AT(device_id),
     "who this device is (default: derived from /etc/machine-id)", "ID"},
    {"device-id-file", '\0', HF_CLI_TEXT, AT(device_id_file),
     "a file whose first line is the device id", "FILE"},
    {"server-ca", '\0', HF_CLI_TEXT, AT(server_ca),
     "PEM of the update server's own CA, trusted for it besides the store", "FILE"},
    {"bundle", 'b', HF_CLI_TEXT, AT(bundle),
     "PEM of the roots it leaves the factory with (version 0)", "FACTORY.pem"},
    {"export", '\0', HF_CLI_TEXT, AT(export_file),
     "keep the active store as PEM here, from the first update on", "FILE"},
    {"on-swap", '\0', HF_CLI_TEXT, AT(on_swap),
     "run by /bin/sh after each swap, with HOLDFAST_STATE, _SET, _PROFILE, _OLD_VERSION, "
     "_NEW_VERSION and _EXPORT in its environment",
     "COMMAND"},
    {"await-confirm", '\0', HF_CLI_FLAG, AT(awaits_confirm),
     "a new bundle stays on trial until holdfast confirm or holdfast reject", NULL},
    {"report", '\0', HF_CLI_TEXT, AT(report),
     "report what this device installs and refuses: to the fleet service with this address, or to "
     "the one that it will be enrolled at (service)",
     "URL"},
    {"group", '\0', HF_CLI_LIST, AT(groups),
     "a group that this device says it is in; again for each, at most 8", "NAME"},
    {"common-names", '\0', HF_CLI_FLAG, AT(accepts_common_names),
     "servers without a subjectAltName may be named by their common name", NULL},
    HF_ENDPOINT_ROWS,
    HF_AGENT_JSON("init"),
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_init = {
    .name = "init",
    .summary = "set up this device: trusted root, repository, set and profile",
    .arguments = "--root ROOT.json --url URL --set NAME --profile NAME [OPTION...]",
    .about =
        "Makes the state folder of this device (its parent must exist) and stores what every\n"
        "later command reads. Nothing is fetched. On failure nothing is left behind.\n\n"
        "ROOT.json is the first root metadata of the repository (metadata/1.root.json there).\n"
        "This device trusts the keys in it from now on, so get the file from the publisher and\n"
        "not from the network.",
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
    .options = options,
    .values_size = sizeof(struct init_options),
    .run = init,
};
