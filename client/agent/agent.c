#include "client/agent/agent.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/os/file_util.h"

#include <inttypes.h>
#include <stdlib.h>

const char *hf_agent_named_state(const struct hf_cli_call *call)
{
    const struct hf_agent_options *after = call->values, *before = call->program->values;

    return after->state != NULL ? after->state : before->state;
}

const char *hf_agent_state(const struct hf_cli_call *call)
{
    const char *named = hf_agent_named_state(call);

    if (named != NULL)
        return named;
    const char *from_environment = getenv("HOLDFAST_STATE");
    return from_environment != NULL && from_environment[0] != '\0' ? from_environment
                                                                   : HF_AGENT_STATE_DEFAULT;
}

const char *const hf_agent_level_names[] = {[HF_LEVEL_DEBUG] = "debug",
                                            [HF_LEVEL_INFO] = "info",
                                            [HF_LEVEL_WARNING] = "warning",
                                            [HF_LEVEL_ERROR] = "error"};

static void write_log(void *ctx, enum hf_level level, const char *text)
{
    (void)ctx;
    fprintf(stderr, "holdfast: %s: %s\n", hf_agent_level_names[level], text);
}

struct hf_log_port hf_agent_log(const struct hf_cli_call *call)
{
    return (struct hf_log_port){.write = call->is_verbose ? write_log : NULL};
}

enum hf_err hf_agent_open(const struct hf_cli_call *call, struct hf_posix **out, struct hf_why *why)
{
    return hf_posix_open(hf_agent_state(call), hf_agent_log(call), out, why);
}

enum hf_err hf_agent_read_file(const char *option, const char *file, size_t max_bytes,
                               struct hf_buf *out, struct hf_why *why)
{
    if (file == NULL)
        return HF_OK;
    if (hf_file_read(file, max_bytes, out, why) != HF_OK)
        return hf_fail_context(why, "%s", option);
    return out->len > 0 ? HF_OK : hf_fail(why, HF_E_FORMAT, "%s: %s is empty", option, file);
}

enum hf_err hf_agent_read_pem(const char *option, const char *file, struct hf_buf *out,
                              struct hf_why *why)
{
    HF_TRY(hf_agent_read_file(option, file, HF_BUNDLE_BYTES_MAX, out, why));
    if (out->len == 0 || memchr(out->data, '\0', out->len) == NULL)
        return HF_OK;
    return hf_fail(
        why, HF_E_FORMAT,
        "%s: %s is binary (expected PEM). Convert it. DER: `openssl x509 -inform DER -in "
        "FILE -out FILE.pem`; text in UTF-16: `iconv -f UTF-16 -t UTF-8 FILE > FILE.pem`",
        option, file);
}

enum hf_err hf_agent_make_absolute(const char *option, char **path, struct hf_why *why)
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

struct hf_agent_text hf_agent_time(int64_t time_s)
{
    struct hf_agent_text out = {0};

    hf_time_format(time_s, out.text);
    return out;
}

struct hf_agent_text hf_agent_day(int64_t time_s)
{
    struct hf_agent_text out = {0};

    hf_time_format_day(time_s, out.text);
    return out;
}

struct hf_agent_text hf_agent_last_day(int64_t time_s)
{
    struct hf_agent_text out = {0};

    hf_time_format_last(time_s, out.text);
    return out;
}

struct hf_agent_text hf_agent_duration(int64_t s)
{
    static const struct {
        int64_t from_s, unit_s, rest_s;
        const char *unit, *rest;
    } forms[] = {{2 * 86400, 86400, 3600, "d", "h"},
                 {3600, 3600, 60, "h", "min"},
                 {60, 60, 1, "min", "s"}};
    struct hf_agent_text out;

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s >= forms[i].from_s) {
            (void)snprintf(out.text, sizeof out.text, "%" PRId64 " %s %" PRId64 " %s",
                           s / forms[i].unit_s, forms[i].unit,
                           s % forms[i].unit_s / forms[i].rest_s, forms[i].rest);
            return out;
        }
    }
    (void)snprintf(out.text, sizeof out.text, "%" PRId64 " s", s);
    return out;
}

void hf_agent_print_plain(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = hf_plain_char_len(text);
        (void)fwrite(len > 0 ? text : "?", 1, len > 0 ? len : 1, out);
        text += len > 0 ? len : 1;
    }
}

void hf_agent_format_result(const struct hf_posix_config *config,
                            const struct hf_update_result *result, char out[HF_AGENT_RESULT_MAX])
{
    const struct hf_client_config *client = &config->client;
    const char *verb = result->is_rolled_back ? "rolled back" : "updated";
    char from[32] = "none", held[64] = "";

    if (result->from_version >= 0)
        (void)snprintf(from, sizeof from, "%" PRId64, result->from_version);
    if (result->held_version > 0)
        (void)snprintf(held, sizeof held, " (version %" PRId64 " waits for its turn)",
                       result->held_version);
    (void)snprintf(out, HF_AGENT_RESULT_MAX, "%s %s/%s %s%s%" PRId64 "%s%s",
                   result->is_changed ? verb : "current", client->set, client->profile,
                   result->is_changed ? from : "", result->is_changed ? " -> " : "",
                   result->to_version, held,
                   result->is_recovered ? " (recovery: the servers' chains were not validated)"
                                        : "");
}

void hf_agent_warnings(const struct hf_update_result *result,
                       const char *out[HF_AGENT_WARNINGS_MAX + 1])
{
    const char *const texts[] = {result->lost, result->refused, result->export_fault};
    size_t n = 0;

    for (size_t i = 0; i < HF_AGENT_WARNINGS_MAX; i++) {
        if (texts[i][0] != '\0')
            out[n++] = texts[i];
    }
    out[n] = NULL;
}
