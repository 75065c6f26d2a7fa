#include "server/admin/commands.h"

#include "common/base/percent.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "server/admin/api.h"
#include "server/config/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (64u * 1024u)

/* ---- where the service is -------------------------------------------------------------------- */

/* The address that the options give; without one, the socket of the configuration of this
 * machine. */
enum hf_err hf_admin_open_for(const struct hf_admin_options *o, struct hf_admin_api **out,
                              struct hf_why *why)
{
    struct hf_admin_target target = {o->socket, o->url, o->token_file, o->ca_file};
    struct hf_config config = {0};
    enum hf_err err = HF_OK;
    if (o->url != NULL && o->token_file == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--url needs --token-file");
    if (o->url == NULL && o->socket == NULL) {
        HF_TRY(hf_config_read(o->config != NULL ? o->config : HF_CONFIG_PATH, &config, why));
        target.socket = config.admin.socket;
        if (target.socket == NULL)
            err = hf_fail(why, HF_E_ARGUMENT,
                          "the configuration has no [admin] socket; name it with --socket, or an "
                          "address with --url");
    }
    if (err == HF_OK)
        err = hf_admin_open(&target, out, why);
    hf_config_free(&config);
    return err;
}

/* ---- path and body --------------------------------------------------------------------------- */

/* What stands in braces at `at`; `*len` is set behind the brace. */
static const char *value_in(const char *at, const struct hf_cli_call *call, size_t *len)
{
    const struct hf_admin_options *o = call->values;
    *len = strcspn(at, "}") + 1;
    if (strncmp(at, "{account}", 9) == 0)
        return o->account;
    size_t word = (size_t)(at[1] - '0');
    return word < call->n_words ? call->words[word] : NULL;
}

enum hf_err hf_admin_rollout_path(const char *name, struct hf_buf *out, struct hf_why *why)
{
    const char *at = name;
    size_t n = 0;

    for (; n < 3 && *at != '\0' && *at != '/'; n++) {
        const size_t len = strcspn(at, "/");
        if (strspn(at, ".") == len)
            break;
        at += len + (n < 2 && at[len] == '/' ? 1 : 0);
    }
    if (n != 3 || *at != '\0')
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"%s\" names no rollout (expected SET/PROFILE/VERSION, such as "
                       "amazon-iot/full/3). `holdfast-admin rollout list` lists them",
                       name);
    return hf_percent_encode(name, "/", out) == HF_OK
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for a request");
}

/* Replace what stands in braces. In a path each value is one segment, whatever characters it
 * has. */
static enum hf_err expand(const char *text, const struct hf_cli_call *call, bool is_path,
                          struct hf_buf *out, struct hf_why *why)
{
    enum hf_err err = HF_OK;
    for (const char *at = text; *at != '\0' && err == HF_OK;) {
        size_t len = strcspn(at, "{");
        err = hf_buf_append(out, at, len);
        at += len;
        if (*at == '\0' || err != HF_OK)
            break;
        if (strncmp(at, "{rollout}", 9) == 0) {
            HF_TRY(hf_admin_rollout_path(call->words[0], out, why));
            at += 9;
            continue;
        }
        const char *value = value_in(at, call, &len);
        at += len;
        if (value == NULL || value[0] == '\0' || (is_path && strspn(value, ".") == strlen(value)))
            return hf_fail(why, HF_E_ARGUMENT, "a name is missing or empty");
        err = is_path ? hf_percent_encode(value, "", out) : hf_buf_append_text(out, value);
    }
    return err == HF_OK ? HF_OK : hf_fail(why, err, "no memory for a request");
}

/* The service has a current folder of its own, so it is told the whole path. */
static enum hf_err absolute(const char *path, json_t **out, struct hf_why *why)
{
    char *whole = NULL;
    HF_TRY(hf_file_absolute(path, &whole, why));
    *out = hf_json_plain(whole);
    free(whole);
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for a path");
}

/* The member's value; NULL where it is not given, which is no error. */
static enum hf_err field_value(const struct hf_admin_field *field, const struct hf_cli_call *call,
                               json_t **out, struct hf_why *why)
{
    const char *base = (const char *)call->values + field->at, *text = NULL;
    char **list = NULL;
    struct hf_buf file = {0};
    *out = NULL;
    switch (field->kind) {
    case HF_ADMIN_FIELD_NONE:
        return HF_OK;
    case HF_ADMIN_FIELD_INT:
        if (*(const int *)(const void *)base != 0)
            *out = json_integer(*(const int *)(const void *)base);
        return HF_OK;
    case HF_ADMIN_FIELD_LIST:
        memcpy(&list, base, sizeof list);
        for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
            bool is_none = list[i][0] == '\0'; /* --sni "": an empty list */
            *out = *out == NULL ? json_array() : *out;
            *out = is_none ? *out : hf_json_append_take(*out, hf_json_plain(list[i]));
        }
        return HF_OK;
    case HF_ADMIN_FIELD_FIXED:
        *out = json_string(field->fixed);
        return HF_OK;
    case HF_ADMIN_FIELD_TEXT:
    case HF_ADMIN_FIELD_PATH:
    case HF_ADMIN_FIELD_FILE:
        memcpy(&text, base, sizeof text);
        break;
    case HF_ADMIN_FIELD_WORD:
    case HF_ADMIN_FIELD_WORD_PATH:
    case HF_ADMIN_FIELD_WORD_FILE:
        text = call->n_words > 0 ? call->words[0] : NULL;
        break;
    case HF_ADMIN_FIELD_WORD_2:
        text = call->n_words > 1 ? call->words[1] : NULL;
        break;
    }
    if (text == NULL)
        return HF_OK;
    if (field->kind != HF_ADMIN_FIELD_FILE && field->kind != HF_ADMIN_FIELD_WORD_FILE) {
        *out = hf_json_plain(text);
        return HF_OK;
    }
    if (field->kind == HF_ADMIN_FIELD_PATH || field->kind == HF_ADMIN_FIELD_WORD_PATH)
        return absolute(text, out, why);
    HF_TRY(hf_file_read_any(text, FILE_BYTES_MAX, &file, why));
    *out = json_stringn(file.data != NULL ? (const char *)file.data : "", file.len);
    hf_buf_free(&file);
    return *out != NULL ? HF_OK : hf_fail(why, HF_E_FORMAT, "%s is no text in PEM", text);
}

static enum hf_err make_body(const struct hf_admin_request *request, const struct hf_cli_call *call,
                             json_t **out, struct hf_why *why)
{
    json_t *body = NULL;
    for (size_t i = 0; i < HF_ADMIN_FIELDS_MAX; i++) {
        json_t *value = NULL;
        enum hf_err err = field_value(&request->fields[i], call, &value, why);
        if (err != HF_OK) {
            json_decref(body);
            return err;
        }
        if (value != NULL)
            body = hf_json_set_take(body == NULL ? json_object() : body, request->fields[i].key,
                                    value);
    }
    if (body == NULL && (strcmp(request->method, "PATCH") == 0))
        return hf_fail(why, HF_E_ARGUMENT, "nothing to change was given");
    *out = body;
    return HF_OK;
}

static enum hf_err make_path(const struct hf_admin_request *request, const struct hf_cli_call *call,
                             struct hf_buf *out, struct hf_why *why)
{
    char mark = '?';
    HF_TRY(expand(request->path, call, true, out, why));
    for (size_t i = 0; i < sizeof request->query / sizeof request->query[0]; i++) {
        json_t *value = NULL;
        HF_TRY(field_value(&request->query[i], call, &value, why));
        if (value == NULL)
            continue;
        char number[32];
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        enum hf_err err = hf_buf_printf(out, "%c%s=", mark, request->query[i].key);
        if (err == HF_OK)
            err = hf_percent_encode(json_is_string(value) ? json_string_value(value) : number, "",
                                    out);
        json_decref(value);
        mark = '&';
        if (err != HF_OK)
            return hf_fail(why, err, "no memory for a request");
    }
    return HF_OK;
}

/* ---- showing what came back ------------------------------------------------------------------ */

/* All pages of a list as one, or as many entries as --limit says. */
static enum hf_err read_list(struct hf_admin_api *api, const struct hf_admin_request *request,
                             struct hf_admin_call *call, int limit, json_t **out,
                             struct hf_why *why)
{
    json_t *all = json_array();
    char next[sizeof call->next];
    enum hf_err err = HF_OK;
    for (;;) {
        (void)json_array_extend(all, json_object_get(call->answer, request->list));
        if (call->next[0] == '\0' || (limit > 0 && json_array_size(all) >= (size_t)limit))
            break;
        memcpy(next, call->next, sizeof next);
        json_decref(call->answer);
        call->path = next;
        err = hf_admin_call(api, call, why);
        if (err != HF_OK)
            break;
    }
    while (limit > 0 && json_array_size(all) > (size_t)limit)
        (void)json_array_remove(all, json_array_size(all) - 1);
    if (err == HF_OK)
        *out = all;
    else
        json_decref(all);
    return err;
}

static enum hf_err show(struct hf_admin_api *api, const struct hf_admin_request *request,
                        struct hf_cli_call *cli, struct hf_admin_call *call, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    json_t *list = NULL;
    if (request->list != NULL) {
        HF_TRY(read_list(api, request, call, o->limit, &list, why));
        if (o->is_json)
            return hf_json_print_take(json_pack("{s:i, s:o}", "format", 1, request->list, list),
                                      stdout, why);
        enum hf_err err = hf_report_json_table(request->columns, list, stdout, why);
        json_decref(list);
        return err;
    }
    if (o->is_json && call->answer != NULL)
        return hf_json_print_take(json_incref(call->answer), stdout, why);
    if (request->done == NULL)
        return hf_report_json_members(request->columns, call->answer, stdout, why);
    struct hf_buf text = {0};
    HF_TRY(expand(request->done, cli, false, &text, why));
    printf("%s\n", (const char *)text.data);
    hf_buf_free(&text);
    return HF_OK;
}

enum hf_err hf_admin_ask(const char *question, bool is_yes, struct hf_why *why)
{
    if (question == NULL || is_yes)
        return HF_OK;
    if (isatty(STDIN_FILENO) == 0)
        return hf_fail(why, HF_E_ARGUMENT, "there is no terminal to ask on; pass --yes to confirm");
    return hf_cli_agrees("%s", question)
               ? HF_OK
               : hf_fail(why, HF_E_POLICY, "not confirmed: nothing was done");
}

/* ---- the one function of all rows ------------------------------------------------------------ */

enum hf_err hf_admin_run(struct hf_cli_call *cli, struct hf_why *why)
{
    /* The command is the first member of its row. */
    const struct hf_admin_request
        *request = &((const struct hf_admin_row *)(const void *)cli->command)->request;
    struct hf_admin_api *api = NULL;
    struct hf_buf path = {0};
    json_t *body = NULL;
    char etag[80] = "";
    HF_TRY(hf_admin_ask(request->question, ((const struct hf_admin_options *)cli->values)->is_yes,
                        why));
    HF_TRY(make_path(request, cli, &path, why));
    struct hf_admin_call call = {.path = (const char *)path.data, .is_long = request->is_long};
    enum hf_err err = make_body(request, cli, &body, why);
    if (err == HF_OK)
        err = hf_admin_open_for(cli->values, &api, why);
    if (err == HF_OK && request->must_match) {
        call.method = "GET";
        err = hf_admin_call(api, &call, why);
        memcpy(etag, call.etag, sizeof etag);
        json_decref(call.answer);
        call.answer = NULL;
    }
    call.method = request->method;
    call.body = body;
    call.if_match = request->shuts_out ? "*" : etag[0] != '\0' ? etag : NULL;
    if (err == HF_OK)
        err = hf_admin_call(api, &call, why);
    if (err == HF_OK)
        err = show(api, request, cli, &call, why);
    json_decref(call.answer);
    json_decref(body);
    hf_admin_close(api);
    hf_buf_free(&path);
    return err;
}
