#include "client/agent/agent.h"
#include "common/cli/report.h"

/* `config` NULL: the state could not be opened. */
static enum hf_err print_json(const struct hf_posix_config *config, enum hf_err err,
                              const struct hf_update_result *result, const char *sentence,
                              const char *const *warnings, struct hf_why *why)
{
    json_t *texts = json_array();
    bool has_versions = err == HF_OK || err == HF_E_POSTPONED;
    bool has_from = has_versions && result->is_changed && result->from_version >= 0;
    bool has_to = has_versions && result->to_version >= 0;
    bool is_held = has_versions && result->held_version > 0;
    const char *outcome = "failed";

    for (size_t i = 0; warnings[i] != NULL; i++)
        texts = hf_json_append_take(texts, json_string(warnings[i]));
    if (err == HF_E_POSTPONED)
        outcome = "postponed";
    else if (has_versions && !result->is_changed)
        outcome = "current";
    else if (has_versions)
        outcome = result->is_rolled_back ? "rolled back" : "updated";
    return hf_json_print_take(
        json_pack("{s:i, s:s, s:s?, s:s?, s:o, s:o, s:o, s:b, s:s?, s:s, s:o}", "format", 1,
                  "outcome", outcome, "set", config != NULL ? config->client.set : NULL, "profile",
                  config != NULL ? config->client.profile : NULL, "from_version",
                  has_from ? json_integer(result->from_version) : json_null(), "to_version",
                  has_to ? json_integer(result->to_version) : json_null(), "held_version",
                  is_held ? json_integer(result->held_version) : json_null(), "recovered",
                  has_versions && result->is_recovered, "error",
                  err == HF_OK ? NULL : hf_err_name(err), "text", sentence, "warnings", texts),
        stdout, why);
}

static enum hf_err update(struct hf_cli_call *call, struct hf_why *why)
{
    bool as_json = ((const struct hf_agent_options *)call->values)->as_json;
    struct hf_posix *posix = NULL;
    struct hf_update_result result = {0};
    struct hf_why unprinted = {0};
    char line[HF_AGENT_RESULT_MAX];
    const char *warnings[HF_AGENT_WARNINGS_MAX + 1];

    enum hf_err err = hf_agent_open(call, &posix, why);
    if (err == HF_OK)
        err = hf_posix_update(posix, &result, why);
    hf_agent_warnings(&result, warnings);
    const struct hf_posix_config *config = posix != NULL ? hf_posix_config(posix) : NULL;
    if (err == HF_OK)
        hf_agent_format_result(config, &result, line);
    const char *sentence = err == HF_OK ? line : why->text;
    if (as_json && print_json(config, err, &result, sentence, warnings, &unprinted) != HF_OK)
        err = hf_fail(why, unprinted.code, "%s", unprinted.text);
    else if (!as_json && err == HF_OK)
        puts(sentence);
    else if (!as_json && err == HF_E_POSTPONED)
        printf("postponed: %s\n", sentence);
    for (size_t i = 0; warnings[i] != NULL; i++)
        fprintf(stderr, "holdfast: warning: %s\n", warnings[i]);
    hf_posix_close(posix);
    if (err != HF_E_POSTPONED)
        return err;
    call->exit_code = HF_EXIT_POSTPONED;
    return HF_OK;
}

static const struct hf_cli_option options[] = {HF_AGENT_JSON("update"), HF_AGENT_COMMON,
                                               HF_CLI_END};

const struct hf_cli_command hf_cmd_update = {
    .name = "update",
    .summary = "bring the trust store up to date, once",
    .arguments = "[--json] [--state DIR]",
    .about =
        "Fetches the newest bundle of this device's set and profile, verifies it and makes it the\n"
        "trust store. It is refused if an endpoint of the device would be lost by mistake:\n"
        "through a root that the publisher neither revokes nor distrusts. A refusal changes\n"
        "nothing. Then the export is renewed and the on-swap command runs, if they are\n"
        "configured.\n\n"
        "The last line of standard output is the result:\n"
        "  updated SET/PROFILE 1 -> 2      a new bundle is active (none -> 1 the first time)\n"
        "  current SET/PROFILE 2           the newest bundle was active already\n"
        "  current SET/PROFILE 2 (version 3 waits for its turn)   its rollout has not come to "
        "this\n"
        "                                  device; `holdfast status` says when it may\n"
        "  rolled back SET/PROFILE 2 -> 1  the bundle on trial was rejected: an endpoint was lost\n"
        "  postponed: SENTENCE             a newer one waits, because an endpoint did not answer "
        "or\n"
        "                                  would be lost with a root that the publisher revokes;\n"
        "                                  after eight checks or a day it is installed anyway\n"
        "Standard error names endpoints that this device does not validate any more since this\n"
        "update, with the root; endpoints whose chain it refuses and did not refuse before, with\n"
        "the reason; and an export that cannot be written (the on-swap command runs all the\n"
        "same). On failure it has one sentence more, and there is no last line. --json prints one\n"
        "object in all cases, with these warnings. --verbose logs each request with its address, "
        "answer and TLS\n"
        "version, each file as it is verified, and each handshake with an endpoint.",
    .examples = "  holdfast update\n"
                "  holdfast --state ./device update --verbose\n",
    .more_exit_codes = ", 3 postponed",
    .options = options,
    .run = update,
};
