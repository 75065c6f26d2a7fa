/* holdfast-admin publish: hand over what the offline keys signed. */
#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "server/admin/api.h"
#include "server/admin/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t version_of(const json_t *answer, const char *role)
{
    const json_t *versions = json_object_get(answer, "versions");
    return json_integer_value(json_object_get(json_object_get(versions, role), "version"));
}

static enum hf_err publish(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    struct hf_admin_api *api = NULL;
    char *folder = NULL;
    if (o->url != NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "publish works on the machine of the service only: it hands over a folder");
    HF_TRY(hf_file_absolute(cli->words[0], &folder, why));
    struct hf_admin_call call = {.method = "POST",
                                 .path = "/v1/publications",
                                 .body = json_pack("{s:o}", "directory", hf_json_plain(folder))};
    enum hf_err err = hf_admin_open_for(o, &api, why);
    if (err == HF_OK)
        err = hf_admin_call(api, &call, why);
    if (err == HF_OK && o->is_json)
        err = hf_json_print_take(json_incref(call.answer), stdout, why);
    else if (err == HF_OK)
        printf("published: targets %" PRId64 ", snapshot %" PRId64 ", timestamp %" PRId64 "\n",
               version_of(call.answer, "targets"), version_of(call.answer, "snapshot"),
               version_of(call.answer, "timestamp"));
    json_decref(call.answer);
    json_decref((json_t *)(uintptr_t)call.body);
    hf_admin_close(api);
    free(folder);
    return err;
}

static const struct hf_cli_option options[] = {HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_publish = {
    .name = "publish",
    .summary = "Hand what was signed at the desk to the signer, which publishes it.",
    .arguments = "DIR [OPTION…]",
    .about =
        "DIR is a copy of the repository in which the offline keys signed (holdfastctl bundle\n"
        "add where the online keys are not). The signer verifies it, takes what is new, signs\n"
        "snapshot and timestamp, and devices find it within a second. Under systemd the service "
        "does\n"
        "not see /home, /root and /tmp: copy the folder to /srv, for instance.",
    .examples = "  holdfast-admin publish /media/stick/repo\n",
    .options = options,
    .needs_word = "the folder that was signed in",
    .max_words = 1,
    .run = publish,
};
