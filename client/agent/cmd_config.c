/* holdfast config: what init has written down, shown and changed. */
#include "client/agent/agent.h"
#include "client/agent/endpoints.h"
#include "common/base/limits.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    KIND_URLS,
    KIND_HOSTS,
    KIND_ENDPOINTS,
    KIND_CLIENT_CERT,
    KIND_YES_NO,
    KIND_TEXT,
    KIND_PATH,
    KIND_PEM
};

/* A part of the configuration. A new text is one row. */
static const struct field {
    const char *key;
    const char *json;
    enum kind kind;
    bool is_needed; /* cannot be unset */
    size_t at;      /* in hf_posix_config, for the last four kinds */
} fields[] = {
    {"url", "mirrors", KIND_URLS, true, 0},
    {"set", "set", KIND_TEXT, true, offsetof(struct hf_posix_config, client.set)},
    {"profile", "profile", KIND_TEXT, true, offsetof(struct hf_posix_config, client.profile)},
    {"redirect-hosts", "redirect_hosts", KIND_HOSTS, false, 0},
    {"server-ca", "server_ca", KIND_PEM, false, offsetof(struct hf_posix_config, server_ca)},
    {"endpoints", "endpoints", KIND_ENDPOINTS, false, 0},
    {"client-cert", "client_cert", KIND_CLIENT_CERT, false, 0},
    {"export", "export", KIND_PATH, false, offsetof(struct hf_posix_config, export_file)},
    {"on-swap", "on_swap", KIND_TEXT, false, offsetof(struct hf_posix_config, on_swap)},
    {"device-id", "device_id", KIND_TEXT, false, offsetof(struct hf_posix_config, device_id)},
    {"device-id-file", "device_id_file", KIND_PATH, false,
     offsetof(struct hf_posix_config, device_id_file)},
    {"await-confirm", "await_confirm", KIND_YES_NO, false,
     offsetof(struct hf_posix_config, client.awaits_confirm)},
    {"legacy-ciphers", "legacy_ciphers", KIND_YES_NO, false,
     offsetof(struct hf_posix_config, has_legacy_ciphers)},
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static const struct field *find_field(const char *key)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    }
    return NULL;
}

static const char *text_of(const struct hf_posix_config *config, const struct field *field)
{
    const char *value;

    memcpy(&value, (const char *)config + field->at, sizeof value);
    return value;
}

static void set_text(struct hf_posix_config *config, const struct field *field, const char *value)
{
    memcpy((char *)config + field->at, &value, sizeof value);
}

static bool *flag_of(struct hf_posix_config *config, const struct field *field)
{
    return (bool *)((char *)config + field->at);
}

static bool is_yes(const struct hf_posix_config *config, const struct field *field)
{
    return *(const bool *)((const char *)config + field->at);
}

/* Of KIND_URLS and KIND_HOSTS. */
static const char *const *list_of(const struct hf_posix_config *config, const struct field *field,
                                  size_t *n)
{
    bool is_urls = field->kind == KIND_URLS;

    *n = is_urls ? config->client.n_urls : config->n_redirect_hosts;
    return is_urls ? config->client.urls : config->redirect_hosts;
}

/* ---- showing ----------------------------------------------------------------------------------- */

static void print_field(const struct hf_posix_config *config, const struct field *field)
{
    char before[32];
    const char *const *list;
    const char *value = NULL;
    size_t n;

    (void)snprintf(before, sizeof before, "%-15s ", field->key);
    switch (field->kind) {
    case KIND_URLS:
    case KIND_HOSTS:
        list = list_of(config, field, &n);
        for (size_t i = 0; i < n; i++)
            printf("%s%s\n", before, list[i]);
        if (n > 0)
            return;
        break;
    case KIND_ENDPOINTS:
        hf_endpoints_print(config, before);
        return;
    case KIND_CLIENT_CERT:
        if (config->client_cert_file != NULL) {
            printf("%s%s %s\n", before, config->client_cert_file, config->client_key_file);
            return;
        }
        break;
    case KIND_YES_NO:
        value = is_yes(config, field) ? "yes" : "no";
        break;
    case KIND_TEXT:
    case KIND_PATH:
        value = text_of(config, field);
        break;
    case KIND_PEM:
        value = text_of(config, field) != NULL ? "stored (--json shows it)" : NULL;
        break;
    }
    printf("%s%s\n", before, value != NULL ? value : "-");
}

static json_t *field_json(const struct hf_posix_config *config, const struct field *field)
{
    const char *const *list;
    size_t n;

    switch (field->kind) {
    case KIND_URLS:
    case KIND_HOSTS:
        list = list_of(config, field, &n);
        return hf_json_texts(list, n);
    case KIND_ENDPOINTS:
        return hf_endpoints_json(config);
    case KIND_CLIENT_CERT:
        if (config->client_cert_file == NULL)
            return json_null();
        return json_pack("{s:s, s:s}", "certificate", config->client_cert_file, "key",
                         config->client_key_file);
    case KIND_YES_NO:
        return json_boolean(is_yes(config, field));
    case KIND_TEXT:
    case KIND_PATH:
    case KIND_PEM:
        break;
    }
    const char *value = text_of(config, field);
    return value != NULL ? json_string(value) : json_null();
}

static enum hf_err print_json(const struct hf_posix_config *config, struct hf_why *why)
{
    json_t *all = json_pack("{s:i}", "format", 1);

    for (size_t i = 0; i < N_FIELDS && all != NULL; i++) {
        if (json_object_set_new(all, fields[i].json, field_json(config, &fields[i])) != 0) {
            json_decref(all);
            all = NULL;
        }
    }
    return hf_json_print_take(all, stdout, why);
}

/* ---- changing ---------------------------------------------------------------------------------- */

/* A changed configuration, and what it points to. */
struct change {
    struct hf_posix_config config;
    struct hf_posix_endpoint endpoints[HF_ENDPOINTS_MAX];
    struct hf_buf pem;
    char *paths[2];
};

static void change_free(struct change *change)
{
    hf_buf_free(&change->pem);
    free(change->paths[0]);
    free(change->paths[1]);
}

static enum hf_err read_pem(const char *file, struct change *change, struct hf_why *why)
{
    HF_TRY(hf_file_read(file, HF_BUNDLE_BYTES_MAX, &change->pem, why));
    if (change->pem.len == 0)
        return hf_fail(why, HF_E_FORMAT, "%s is empty", file);
    if (memchr(change->pem.data, '\0', change->pem.len) != NULL)
        return hf_fail(why, HF_E_FORMAT, "%s is binary, expected PEM", file);
    return HF_OK;
}

static enum hf_err set_yes_no(bool *flag, const char *value, struct hf_why *why)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return hf_fail(why, HF_E_ARGUMENT, "expected yes or no, found \"%s\"", value);
    *flag = strcmp(value, "yes") == 0;
    return HF_OK;
}

/* Who the device is stands in one place only. */
static void drop_other_id(struct hf_posix_config *config, const struct field *field)
{
    if (strcmp(field->key, "device-id") == 0)
        config->device_id_file = NULL;
    if (strcmp(field->key, "device-id-file") == 0)
        config->device_id = NULL;
}

static enum hf_err set_field(struct change *change, const struct field *field,
                             const char *const *values, size_t n, struct hf_why *why)
{
    struct hf_posix_config *config = &change->config;

    switch (field->kind) {
    case KIND_URLS:
        config->client.urls = values;
        config->client.n_urls = n;
        return HF_OK;
    case KIND_HOSTS:
        config->redirect_hosts = values;
        config->n_redirect_hosts = n;
        return HF_OK;
    case KIND_ENDPOINTS:
        if (n > HF_ENDPOINTS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "expected at most %d endpoints, found %zu",
                           HF_ENDPOINTS_MAX, n);
        for (size_t i = 0; i < n; i++)
            change->endpoints[i].url = values[i];
        config->endpoints = change->endpoints;
        config->n_endpoints = n;
        return HF_OK;
    case KIND_CLIENT_CERT:
        HF_TRY(hf_file_absolute(values[0], &change->paths[0], why));
        HF_TRY(hf_file_absolute(values[1], &change->paths[1], why));
        config->client_cert_file = change->paths[0];
        config->client_key_file = change->paths[1];
        return HF_OK;
    case KIND_YES_NO:
        return set_yes_no(flag_of(config, field), values[0], why);
    case KIND_PATH:
        HF_TRY(hf_file_absolute(values[0], &change->paths[0], why));
        set_text(config, field, change->paths[0]);
        break;
    case KIND_PEM:
        HF_TRY(read_pem(values[0], change, why));
        set_text(config, field, (const char *)change->pem.data);
        break;
    case KIND_TEXT:
        set_text(config, field, values[0]);
        break;
    }
    drop_other_id(config, field);
    return HF_OK;
}

static void unset_field(struct hf_posix_config *config, const struct field *field)
{
    switch (field->kind) {
    case KIND_URLS: /* is needed */
        break;
    case KIND_HOSTS:
        config->n_redirect_hosts = 0;
        break;
    case KIND_ENDPOINTS:
        config->n_endpoints = 0;
        break;
    case KIND_CLIENT_CERT:
        config->client_cert_file = config->client_key_file = NULL;
        break;
    case KIND_YES_NO:
        *flag_of(config, field) = false;
        break;
    case KIND_TEXT:
    case KIND_PATH:
    case KIND_PEM:
        set_text(config, field, NULL);
        break;
    }
}

/* `field` NULL: show all. */
static enum hf_err show_or_change(struct hf_posix *posix, const struct hf_cli_call *call,
                                  const struct field *field, struct hf_why *why)
{
    struct change change = {.config = *hf_posix_config(posix)};
    enum hf_err err = HF_OK;

    if (field != NULL && call->n_words > 2)
        err = set_field(&change, field, call->words + 2, call->n_words - 2, why);
    else if (field != NULL)
        unset_field(&change.config, field);
    if (field != NULL && err == HF_OK)
        err = hf_posix_configure(posix, &change.config, why);
    change_free(&change);
    if (err != HF_OK)
        return field != NULL ? hf_fail_context(why, "%s", field->key) : err;
    if (((const struct hf_agent_options *)call->values)->as_json)
        return print_json(hf_posix_config(posix), why);
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (field == NULL || field == &fields[i])
            print_field(hf_posix_config(posix), &fields[i]);
    }
    return HF_OK;
}

/* ---- the command line -------------------------------------------------------------------------- */

/* NULL, or what is wrong. `*field` NULL: nothing is to be changed. */
static const char *usage_fault(const struct hf_cli_call *call, const struct field **field)
{
    bool is_set = call->n_words > 0 && strcmp(call->words[0], "set") == 0;
    bool is_unset = call->n_words > 0 && strcmp(call->words[0], "unset") == 0;

    *field = NULL;
    if (call->n_words == 0)
        return NULL;
    if (!is_set && !is_unset)
        return "expected set or unset first";
    if (call->n_words < 2 || (*field = find_field(call->words[1])) == NULL)
        return "expected a KEY that is listed in the help";
    if (is_unset && (*field)->is_needed)
        return "this KEY can be set, but not unset";
    if (is_unset)
        return call->n_words == 2 ? NULL : "unset takes a KEY and nothing else";
    size_t n = call->n_words - 2;
    if ((*field)->kind == KIND_CLIENT_CERT)
        return n == 2 ? NULL : "client-cert takes a certificate file and a key file";
    if ((*field)->kind == KIND_URLS || (*field)->kind == KIND_HOSTS ||
        (*field)->kind == KIND_ENDPOINTS)
        return n > 0 ? NULL : "expected at least one VALUE";
    if (n != 1 || call->words[2][0] == '\0')
        return "expected one VALUE, which is not empty";
    return NULL;
}

static enum hf_err config(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_posix *posix = NULL;
    const struct field *field = NULL;
    const char *fault = usage_fault(call, &field);

    if (fault != NULL)
        return hf_cli_usage(call, "%s", fault);
    HF_TRY(hf_agent_open(call, &posix, why));
    enum hf_err err = show_or_change(posix, call, field, why);
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
        "  client-cert      certificate file and key file, shown to endpoints\n"
        "  export           file that holds the active store as PEM\n"
        "  on-swap          command that /bin/sh runs after each change of the store\n"
        "  device-id        the id of this device\n"
        "  device-id-file   file whose first line is the id\n"
        "  await-confirm    yes: a new bundle stays on trial until holdfast confirm\n"
        "  legacy-ciphers   yes: also offer TLS 1.2 cipher suites with static RSA or CBC\n"
        "All but url, set and profile can be unset.",
    .examples = "  holdfast config\n"
                "  holdfast config set url https://roots1.example.com https://roots2.example.com\n"
                "  holdfast config set server-ca new-ca.pem\n"
                "  holdfast config unset on-swap\n",
    .options = options,
    .values_size = sizeof(struct hf_agent_options),
    .max_words = 20,
    .run = config,
};
