/* holdfast config: what init has written down, shown and changed. */
#include "client/agent/agent.h"
#include "client/port/identity/token_uri.h"
#include "common/base/limits.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static json_t *client_cert_json(const void *at, const void *ctx)
{
    const struct hf_posix_config *config = at;

    (void)ctx;
    if (config->client_cert_file == NULL)
        return json_null();
    return json_pack("{s:o, s:o}", "certificate", hf_json_plain(config->client_cert_file), "key",
                     hf_json_plain(config->client_key_file));
}

#define AT(member) offsetof(struct hf_posix_config, member)

static const struct hf_field fields[] = {
    {"mirrors", HF_FIELD_TEXTS, AT(client.urls), .n_at = AT(client.n_urls)},
    {"set", HF_FIELD_TEXT, AT(client.set)},
    {"profile", HF_FIELD_TEXT, AT(client.profile)},
    {"redirect_hosts", HF_FIELD_TEXTS, AT(redirect_hosts), .n_at = AT(n_redirect_hosts)},
    {"server_ca", HF_FIELD_TEXT, AT(server_ca)},
    {"endpoints", HF_FIELD_LIST, AT(endpoints), .fields = hf_endpoint_fields,
     .n_at = AT(n_endpoints), .size = sizeof(struct hf_posix_endpoint)},
    {"client_cert", HF_FIELD_MADE, 0, .make = client_cert_json},
    {"export", HF_FIELD_PLAIN, AT(export_file)},
    {"on_swap", HF_FIELD_PLAIN, AT(on_swap)},
    {"device_id", HF_FIELD_TEXT, AT(client.device_id)},
    {"device_id_file", HF_FIELD_PLAIN, AT(device_id_file)},
    {"await_confirm", HF_FIELD_FLAG, AT(client.awaits_confirm)},
    {"legacy_ciphers", HF_FIELD_FLAG, AT(has_legacy_ciphers)},
    {"common_names", HF_FIELD_FLAG, AT(accepts_common_names)},
    {"report", HF_FIELD_TEXT, AT(report)},
    {"report_signature", HF_FIELD_FLAG, AT(signs_reports)},
    {"groups", HF_FIELD_TEXTS, AT(client.groups), .n_at = AT(client.n_groups)},
    {0},
};

enum kind {
    KIND_LIST,
    KIND_ENDPOINTS,
    KIND_CLIENT_CERT,
    KIND_YES_NO,
    KIND_TEXT,
    KIND_PATH,
    KIND_PEM
};

/* A part of the configuration, in the order of `fields`. A new text is one row in both. */
static const struct part {
    const char *key;
    enum kind kind;
    bool is_needed; /* cannot be unset */
} parts[] = {
    {"url", KIND_LIST, true},
    {"set", KIND_TEXT, true},
    {"profile", KIND_TEXT, true},
    {"redirect-hosts", KIND_LIST, false},
    {"server-ca", KIND_PEM, false},
    {"endpoints", KIND_ENDPOINTS, false},
    {"client-cert", KIND_CLIENT_CERT, false},
    {"export", KIND_PATH, false},
    {"on-swap", KIND_TEXT, false},
    {"device-id", KIND_TEXT, false},
    {"device-id-file", KIND_PATH, false},
    {"await-confirm", KIND_YES_NO, false},
    {"legacy-ciphers", KIND_YES_NO, false},
    {"common-names", KIND_YES_NO, false},
    {"report", KIND_TEXT, false},
    {"report-signature", KIND_YES_NO, false},
    {"groups", KIND_LIST, false},
};
#define N_PARTS (sizeof parts / sizeof parts[0])
_Static_assert(sizeof fields / sizeof fields[0] == N_PARTS + 1, "a field for each part");

/* Where a part is in the configuration. Only the set and unset functions change it. */
struct member {
    const char **text;
    const char *const **list;
    size_t *n;
    bool *flag;
};

static struct member member_of(const struct hf_posix_config *config, const struct part *part)
{
    const struct hf_field *field = &fields[part - parts];
    void *at = (char *)(uintptr_t)config + field->at;
    void *n_at = (char *)(uintptr_t)config + field->n_at;

    return (struct member){.text = at, .list = at, .n = n_at, .flag = at};
}

static void print_value(const char *before, const char *value)
{
    fputs(before, stdout);
    hf_agent_print_plain(stdout, value);
    putchar('\n');
}

static void print_part(const struct hf_posix_config *config, const struct part *part)
{
    const struct member m = member_of(config, part);
    char before[32];
    const char *value = "-";

    (void)snprintf(before, sizeof before, "%-16s ", part->key);
    switch (part->kind) {
    case KIND_LIST:
        for (size_t i = 0; i < *m.n; i++)
            print_value(before, (*m.list)[i]);
        if (*m.n > 0)
            return;
        break;
    case KIND_ENDPOINTS:
        hf_endpoints_print(config, before);
        return;
    case KIND_CLIENT_CERT:
        if (config->client_cert_file != NULL) {
            fputs(before, stdout);
            hf_agent_print_plain(stdout, config->client_cert_file);
            print_value(" ", config->client_key_file);
            return;
        }
        break;
    case KIND_YES_NO:
        value = *m.flag ? "yes" : "no";
        break;
    case KIND_PEM:
        value = *m.text != NULL ? "stored (--json shows it)" : value;
        break;
    case KIND_TEXT:
    case KIND_PATH:
        value = *m.text != NULL ? *m.text : value;
        break;
    }
    print_value(before, value);
}

/* A changed configuration, and what it points to. */
struct change {
    struct hf_posix_config config;
    struct hf_posix_endpoint endpoints[HF_ENDPOINTS_MAX];
    struct hf_buf pem;
    char *paths[2];
};

static enum hf_err set_part(struct change *change, const struct part *part,
                            const char *const *values, size_t n, struct hf_why *why)
{
    struct hf_posix_config *config = &change->config;
    const struct member m = member_of(config, part);

    switch (part->kind) {
    case KIND_LIST:
        *m.list = values;
        *m.n = n;
        break;
    case KIND_ENDPOINTS:
        if (n > HF_ENDPOINTS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "expected at most %d endpoints, found %zu",
                           HF_ENDPOINTS_MAX, n);
        for (size_t i = 0; i < n; i++)
            change->endpoints[i].url = values[i];
        config->endpoints = change->endpoints;
        config->n_endpoints = n;
        break;
    case KIND_YES_NO:
        *m.flag = strcmp(values[0], "yes") == 0;
        if (!*m.flag && strcmp(values[0], "no") != 0)
            return hf_fail(why, HF_E_ARGUMENT, "expected yes or no, found \"%s\"", values[0]);
        break;
    case KIND_CLIENT_CERT:
        HF_TRY(hf_file_absolute(values[0], &change->paths[0], why));
        config->client_cert_file = change->paths[0];
        config->client_key_file = values[1];
        if (hf_pkcs11_uri_is(values[1]))
            break;
        HF_TRY(hf_file_absolute(values[1], &change->paths[1], why));
        config->client_key_file = change->paths[1];
        break;
    case KIND_PATH:
        HF_TRY(hf_file_absolute(values[0], &change->paths[0], why));
        *m.text = change->paths[0];
        break;
    case KIND_PEM:
        HF_TRY(hf_agent_read_pem("PEM", values[0], &change->pem, why));
        *m.text = (const char *)change->pem.data;
        break;
    case KIND_TEXT:
        *m.text = values[0];
        break;
    }
    if (strcmp(part->key, "report") == 0 && strcmp(values[0], "off") == 0)
        config->report = NULL;
    /* The device's id is configured in one place only. */
    if (strcmp(part->key, "device-id") == 0)
        config->device_id_file = NULL;
    if (strcmp(part->key, "device-id-file") == 0)
        config->client.device_id = NULL;
    return HF_OK;
}

static void unset_part(struct hf_posix_config *config, const struct part *part)
{
    const struct member m = member_of(config, part);

    if (part->kind == KIND_LIST || part->kind == KIND_ENDPOINTS)
        *m.n = 0;
    else if (part->kind == KIND_YES_NO)
        *m.flag = false;
    else if (part->kind == KIND_CLIENT_CERT)
        config->client_cert_file = config->client_key_file = NULL;
    else
        *m.text = NULL;
}

/* NULL, or what is wrong, which may be in `text`. `*part` NULL: nothing is to be changed. */
static const char *usage_fault(const struct hf_cli_call *call, const struct part **part,
                               char text[HF_CLI_FAULT_MAX])
{
    const char *near = NULL;
    bool is_set = call->n_words > 0 && strcmp(call->words[0], "set") == 0;
    bool is_unset = call->n_words > 0 && strcmp(call->words[0], "unset") == 0;

    if (call->n_words == 0)
        return NULL;
    if (!is_set && !is_unset)
        return "expected set or unset first";
    if (call->n_words == 1)
        return "KEY is missing";
    for (size_t i = 0; i < N_PARTS; i++) {
        if (strcmp(parts[i].key, call->words[1]) == 0)
            *part = &parts[i];
        if (hf_cli_is_typo(call->words[1], parts[i].key))
            near = parts[i].key;
    }
    if (*part == NULL) {
        (void)snprintf(text, HF_CLI_FAULT_MAX, "there is no KEY \"%.32s\"%s%s%s", call->words[1],
                       near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                       near != NULL ? "\"?)" : "");
        return text;
    }
    if (is_unset && (*part)->is_needed)
        return "this KEY can be set, but not unset";
    if (is_unset)
        return call->n_words == 2 ? NULL : "unset takes a KEY and nothing else";
    size_t n = call->n_words - 2;
    if ((*part)->kind == KIND_CLIENT_CERT)
        return n == 2 ? NULL : "client-cert takes a certificate file and a key file";
    if ((*part)->kind == KIND_LIST || (*part)->kind == KIND_ENDPOINTS)
        return n > 0 ? NULL : "expected at least one VALUE";
    if (n != 1 || call->words[2][0] == '\0')
        return "expected one VALUE, which is not empty";
    return NULL;
}

static enum hf_err config(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_agent_options *o = call->values;
    struct hf_posix *posix = NULL;
    const struct part *part = NULL;
    char text[HF_CLI_FAULT_MAX];
    const char *fault = usage_fault(call, &part, text);
    enum hf_err err = HF_OK;

    if (fault != NULL)
        return hf_cli_usage(call, "%s", fault);
    HF_TRY(hf_agent_open(call, &posix, why));
    struct change change = {.config = *hf_posix_config(posix)};
    if (part != NULL && call->n_words > 2)
        err = set_part(&change, part, call->words + 2, call->n_words - 2, why);
    else if (part != NULL)
        unset_part(&change.config, part);
    if (part != NULL && err == HF_OK)
        err = hf_posix_configure(posix, &change.config, why);
    hf_buf_free(&change.pem);
    free(change.paths[0]);
    free(change.paths[1]);
    for (size_t i = 0; i < N_PARTS && err == HF_OK; i++) {
        if (!o->as_json && (part == NULL || part == &parts[i]))
            print_part(hf_posix_config(posix), &parts[i]);
    }
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", part->key);
    else if (o->as_json)
        err = hf_report_print(fields, hf_posix_config(posix), NULL, stdout, why);
    hf_posix_close(posix);
    return err;
}

static const struct hf_cli_option options[] = {HF_AGENT_JSON("config"), HF_AGENT_COMMON,
                                               HF_CLI_END};

const struct hf_cli_command hf_cmd_config = {
    .name = "config",
    .summary = "show or change what init configured",
    .arguments = "[set KEY VALUE... | unset KEY] [--json] [--state DIR]",
    .about =
        "Shows the configuration of this device, or changes one part of it. The device keeps its\n"
        "metadata, version floors, bundles and a trial. A running agent uses the change\n"
        "from its next check on. KEY is one of:\n"
        "  url              http:// or https:// addresses of the repository, one for each mirror\n"
        "  set, profile     which bundles the device installs; the active one stays in use until\n"
        "                   one of the new set has passed preflight\n"
        "  redirect-hosts   hosts, besides those of url, that a mirror may redirect to\n"
        "  server-ca        PEM file with the update server's own CA; it is copied\n"
        "  endpoints        the servers that the device must always reach (see also holdfast\n"
        "                   endpoints, which has --alpn)\n"
        "  client-cert      certificate file, and key file or PKCS#11 URI, shown to endpoints\n"
        "  export           file that holds the active store as PEM\n"
        "  on-swap          command that /bin/sh runs after each change of the store\n"
        "  device-id        the id of this device\n"
        "  device-id-file   file whose first line is the id\n"
        "  await-confirm    yes: a new bundle stays on trial until holdfast confirm\n"
        "  legacy-ciphers   yes: also offer TLS 1.2 cipher suites with static RSA or CBC\n"
        "  common-names     yes: take the common name of a server's certificate for its host name\n"
        "                   where it has no subjectAltName, as old private servers need it\n"
        "  report           where this device reports what it installs and refuses: the address "
        "of\n"
        "                   the fleet service, service (the one it is enrolled at), or off\n"
        "  report-signature yes: sign reports with a key of this device (holdfast report --key);\n"
        "                   over http:// they are signed in any case\n"
        "  groups           groups that this device says it is in, such as lab; at most 8\n"
        "All but url, set and profile can be unset.",
    .examples = "  holdfast config\n"
                "  holdfast config set url https://roots1.example.com https://roots2.example.com\n"
                "  holdfast config set server-ca new-ca.pem\n"
                "  holdfast config unset on-swap\n",
    .options = options,
    .max_words = 20,
    .run = config,
};
