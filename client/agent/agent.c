#include "client/agent/agent.h"

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

static void write_log(void *ctx, enum hf_level level, const char *text)
{
    static const char *const words[] = {[HF_LEVEL_DEBUG] = "debug",
                                        [HF_LEVEL_INFO] = "info",
                                        [HF_LEVEL_WARNING] = "warning",
                                        [HF_LEVEL_ERROR] = "error"};

    (void)ctx;
    fprintf(stderr, "holdfast: %s: %s\n", words[level], text);
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

void hf_agent_format_duration(int64_t s, char out[HF_AGENT_DURATION_MAX])
{
    if (s >= 2 * 86400)
        (void)snprintf(out, HF_AGENT_DURATION_MAX, "%" PRId64 " d %" PRId64 " h", s / 86400,
                       s % 86400 / 3600);
    else if (s >= 3600)
        (void)snprintf(out, HF_AGENT_DURATION_MAX, "%" PRId64 " h %" PRId64 " min", s / 3600,
                       s % 3600 / 60);
    else if (s >= 60)
        (void)snprintf(out, HF_AGENT_DURATION_MAX, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        (void)snprintf(out, HF_AGENT_DURATION_MAX, "%" PRId64 " s", s);
}

void hf_agent_print_result(FILE *out, const struct hf_posix_config *config,
                           const struct hf_update_result *result)
{
    const struct hf_client_config *client = &config->client;

    if (!result->is_changed)
        fprintf(out, "current %s/%s %" PRId64, client->set, client->profile, result->to_version);
    else if (result->from_version < 0)
        fprintf(out, "updated %s/%s none -> %" PRId64, client->set, client->profile,
                result->to_version);
    else
        fprintf(out, "%s %s/%s %" PRId64 " -> %" PRId64,
                result->is_rolled_back ? "rolled back" : "updated", client->set, client->profile,
                result->from_version, result->to_version);
    if (result->is_recovered)
        fputs(" (recovery: no server's chain was asked to be valid)", out);
}
