/* holdfast config: what init has written down, shown and changed. */
#include "client/agent/agent.h"
#include "common/base/limits.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    KIND_LIST, /* `at2`: how many */
    KIND_ENDPOINTS,
    KIND_PAIR, /* of paths; `at2`: the second */
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
    size_t at;      /* in hf_posix_config */
    size_t at2;
} fields[] = {
#define AT(member) offsetof(struct hf_posix_config, member)
    {"url", "mirrors", KIND_LIST, true, AT(client.urls), AT(client.n_urls)},
    {"set", "set", KIND_TEXT, true, AT(client.set), 0},
    {"profile", "profile", KIND_TEXT, true, AT(client.profile), 0},
    {"redirect-hosts", "redirect_hosts", KIND_LIST, false, AT(redirect_hosts),
     AT(n_redirect_hosts)},
    {"server-ca", "server_ca", KIND_PEM, false, AT(server_ca), 0},
    {"endpoints", "endpoints", KIND_ENDPOINTS, false, AT(endpoints), AT(n_endpoints)},
    {"client-cert", "client_cert", KIND_PAIR, false, AT(client_cert_file), AT(client_key_file)},
    {"export", "export", KIND_PATH, false, AT(export_file), 0},
    {"on-swap", "on_swap", KIND_TEXT, false, AT(on_swap), 0},
    {"device-id", "device_id", KIND_TEXT, false, AT(device_id), 0},
    {"device-id-file", "device_id_file", KIND_PATH, false, AT(device_id_file), 0},
    {"await-confirm", "await_confirm", KIND_YES_NO, false, AT(client.awaits_confirm), 0},
    {"legacy-ciphers", "legacy_ciphers", KIND_YES_NO, false, AT(has_legacy_ciphers), 0},
#undef AT
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

/* A member of the configuration, which only set and unset change. */
struct member {
    const char **text, **text2;
    const char *const **list;
    size_t *n;
    bool *flag;
};

static struct member member_of(const struct hf_posix_config *config, const struct field *field)
{
    void *at = (char *)(uintptr_t)config + field->at;
    void *at2 = (char *)(uintptr_t)config + field->at2;

    return (struct member){.text = at, .text2 = at2, .list = at, .n = at2, .flag = at};
}

static void print_field(const struct hf_posix_config *config, const struct field *field)
{
    const struct member m = member_of(config, field);
    char before[32];
    const char *value = "-";

    (void)snprintf(before, sizeof before, "%-15s ", field->key);
    switch (field->kind) {
    case KIND_LIST:
        for (size_t i = 0; i < *m.n; i++)
            printf("%s%s\n", before, (*m.list)[i]);
        if (*m.n > 0)
            return;
        break;
    case KIND_ENDPOINTS:
        hf_endpoints_print(config, before);
        return;
    case KIND_PAIR:
        if (*m.text != NULL) {
            printf("%s%s %s\n", before, *m.text, *m.text2);
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
    printf("%s%s\n", before, value);
}

static json_t *field_json(const struct hf_posix_config *config, const struct field *field)
{
    const struct member m = member_of(config, field);

    switch (field->kind) {
    case KIND_LIST:
        return hf_json_texts(*m.list, *m.n);
    case KIND_ENDPOINTS:
        return hf_endpoints_json(config);
    case KIND_YES_NO:
        return json_boolean(*m.flag);
    case KIND_PAIR:
        if (*m.text != NULL)
            return json_pack("{s:s, s:s}", "certificate", *m.text, "key", *m.text2);
        break;
    case KIND_TEXT:
    case KIND_PATH:
    case KIND_PEM:
        if (*m.text != NULL)
            return json_string(*m.text);
        break;
    }
    return json_null();
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

/* A changed configuration, and what it points to. */
struct change {
    struct hf_posix_config config;
    struct hf_posix_endpoint endpoints[HF_ENDPOINTS_MAX];
    struct hf_buf pem;
    char *paths[2];
};

static enum hf_err set_field(struct change *change, const struct field *field,
                             const char *const *values, size_t n, struct hf_why *why)
{
    struct hf_posix_config *config = &change->config;
    const struct member m = member_of(config, field);

    switch (field->kind) {
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
    case KIND_PAIR:
    case KIND_PATH:
        for (size_t i = 0; i < n; i++)
            HF_TRY(hf_file_absolute(values[i], &change->paths[i], why));
        *m.text = change->paths[0];
        if (field->kind == KIND_PAIR)
            *m.text2 = change->paths[1];
        break;
    case KIND_PEM:
        HF_TRY(hf_file_read(values[0], HF_BUNDLE_BYTES_MAX, &change->pem, why));
        if (change->pem.len == 0)
            return hf_fail(why, HF_E_FORMAT, "%s is empty", values[0]);
        if (memchr(change->pem.data, '\0', change->pem.len) != NULL)
            return hf_fail(why, HF_E_FORMAT, "%s is binary, expected PEM", values[0]);
        *m.text = (const char *)change->pem.data;
        break;
    case KIND_TEXT:
        *m.text = values[0];
        break;
    }
    /* The device's id is configured in one place only. */
    if (strcmp(field->key, "device-id") == 0)
        config->device_id_file = NULL;
    if (strcmp(field->key, "device-id-file") == 0)
        config->device_id = NULL;
    return HF_OK;
}

static void unset_field(struct hf_posix_config *config, const struct field *field)
{
    const struct member m = member_of(config, field);

    if (field->kind == KIND_LIST || field->kind == KIND_ENDPOINTS)
        *m.n = 0;
    else if (field->kind == KIND_YES_NO)
        *m.flag = false;
    else
        *m.text = NULL;
    if (field->kind == KIND_PAIR)
        *m.text2 = NULL;
}

/* NULL, or what is wrong. `*field` NULL: nothing is to be changed. */
static const char *usage_fault(const struct hf_cli_call *call, const struct field **field)
{
    bool is_set = call->n_words > 0 && strcmp(call->words[0], "set") == 0;
    bool is_unset = call->n_words > 0 && strcmp(call->words[0], "unset") == 0;

    if (call->n_words == 0)
        return NULL;
    if (!is_set && !is_unset)
        return "expected set or unset first";
    for (size_t i = 0; i < N_FIELDS && call->n_words > 1; i++) {
        if (strcmp(fields[i].key, call->words[1]) == 0)
            *field = &fields[i];
    }
    if (*field == NULL)
        return "expected a KEY that is listed in the help";
    if (is_unset && (*field)->is_needed)
        return "this KEY can be set, but not unset";
    if (is_unset)
        return call->n_words == 2 ? NULL : "unset takes a KEY and nothing else";
    size_t n = call->n_words - 2;
    if ((*field)->kind == KIND_PAIR)
        return n == 2 ? NULL : "client-cert takes a certificate file and a key file";
    if ((*field)->kind == KIND_LIST || (*field)->kind == KIND_ENDPOINTS)
        return n > 0 ? NULL : "expected at least one VALUE";
    if (n != 1 || call->words[2][0] == '\0')
        return "expected one VALUE, which is not empty";
    return NULL;
}

static enum hf_err config(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_agent_options *o = call->values;
    struct hf_posix *posix = NULL;
    const struct field *field = NULL;
    const char *fault = usage_fault(call, &field);
    enum hf_err err = HF_OK;

    if (fault != NULL)
        return hf_cli_usage(call, "%s", fault);
    HF_TRY(hf_agent_open(call, &posix, why));
    struct change change = {.config = *hf_posix_config(posix)};
    if (field != NULL && call->n_words > 2)
        err = set_field(&change, field, call->words + 2, call->n_words - 2, why);
    else if (field != NULL)
        unset_field(&change.config, field);
    if (field != NULL && err == HF_OK)
        err = hf_posix_configure(posix, &change.config, why);
    hf_buf_free(&change.pem);
    free(change.paths[0]);
    free(change.paths[1]);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", field->key);
    else if (o->as_json)
        err = print_json(hf_posix_config(posix), why);
    for (size_t i = 0; i < N_FIELDS && err == HF_OK && !o->as_json; i++) {
        if (field == NULL || field == &fields[i])
            print_field(hf_posix_config(posix), &fields[i]);
    }
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
