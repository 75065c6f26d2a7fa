/* holdfast-admin rollout exclude, include: which devices count in a rollout. */
#include "server/admin/rollout.h"

#include "common/cli/report.h"
#include "server/admin/commands.h"

#include <inttypes.h>
#include <string.h>

static enum hf_err exclude(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    const char *name = cli->words[0];
    struct hf_admin_api *api = NULL;
    json_t *answer = NULL;

    HF_TRY(hf_admin_open_for(o, &api, why));
    enum hf_err err = hf_admin_rollout_post_take(api, name, "/excluded",
                                                 json_pack("{s:o, s:o, s:o}", "account",
                                                           hf_json_plain(o->account), "device",
                                                           hf_json_plain(o->device), "reason",
                                                           hf_admin_reason(o->reason)),
                                                 &answer, why);
    if (err == HF_OK && o->is_json)
        err = hf_json_print_take(json_incref(answer), stdout, why);
    else if (err == HF_OK)
        printf("%s: device \"%s\" is not counted any more\n", name, o->device);
    json_decref(answer);
    hf_admin_close(api);
    return err;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
    const char *found = json_string_value(json_object_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

/* The number of its entry; 0: there is none. */
static int64_t entry_of(const json_t *rollout, const struct hf_admin_options *o)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(rollout, "excluded"), i, entry)
    {
        if (is_text(entry, "account", o->account) && is_text(entry, "device", o->device))
            return json_integer_value(json_object_get(entry, "id"));
    }
    return 0;
}

static enum hf_err include(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    const char *name = cli->words[0];
    struct hf_admin_api *api = NULL;
    struct hf_admin_call seen = {0};
    char end[64];

    HF_TRY(hf_admin_open_for(o, &api, why));
    enum hf_err err = hf_admin_rollout_read(api, name, &seen, why);
    const int64_t id = entry_of(seen.answer, o);
    if (err == HF_OK && id == 0)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "%s: the device \"%s\" of account \"%s\" is not excluded", name, o->device,
                      o->account);
    struct hf_admin_call call = {.method = "DELETE", .if_match = seen.etag};
    (void)snprintf(end, sizeof end, "/excluded/%" PRId64, id);
    if (err == HF_OK)
        err = hf_admin_rollout_call(api, name, end, &call, why);
    if (err == HF_OK && !o->is_json)
        printf("%s: device \"%s\" is counted again\n", name, o->device);
    json_decref(seen.answer);
    json_decref(call.answer);
    hf_admin_close(api);
    return err;
}

/* ---- the rows -------------------------------------------------------------------------------- */

#define AT(member) HF_ADMIN_AT(member)
static const struct hf_cli_option device_options[] =
    {{"account", 'a', HF_CLI_TEXT, AT(account), "the account of the device", "NAME"},
     {"device", '\0', HF_CLI_TEXT, AT(device), "the device", "ID"},
     {"reason", '\0', HF_CLI_TEXT, AT(reason), "why it does not count", "TEXT"},
     HF_ADMIN_WHERE};
static const struct hf_cli_option include_options[] = {{"account", 'a', HF_CLI_TEXT, AT(account),
                                                        "the account of the device", "NAME"},
                                                       {"device", '\0', HF_CLI_TEXT, AT(device),
                                                        "the device", "ID"},
                                                       HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_rollout_exclude = {
    .name = "rollout exclude",
    .summary = "Do not count a device in a rollout.",
    .arguments = HF_ADMIN_ROLLOUT " --account NAME --device ID --reason TEXT [OPTION…]",
    .about =
        "For a device that is broken for another reason. It still gets the bundle; its results\n"
        "do not count. A rollout that it has paused stays paused until `rollout resume`.",
    .examples =
        "  holdfast-admin rollout exclude amazon-iot/full/3 --account pumps --device pump-7 \\\n"
        "      --reason \"its flash is full\"\n",
    .options = device_options,
    .needs = {"--account NAME", "--device ID", "--reason TEXT"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = exclude,
};

const struct hf_cli_command hf_admin_rollout_include = {
    .name = "rollout include",
    .summary = "Count an excluded device again.",
    .arguments = HF_ADMIN_ROLLOUT " --account NAME --device ID [OPTION…]",
    .about = "Its last result counts at once.",
    .examples =
        "  holdfast-admin rollout include amazon-iot/full/3 --account pumps --device pump-7\n",
    .options = include_options,
    .needs = {"--account NAME", "--device ID"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = include,
};
