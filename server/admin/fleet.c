/* holdfast-admin fleet and device explain: answers that are more than one table. */
#include "server/admin/api.h"
#include "server/admin/commands.h"

#include "common/base/percent.h"
#include "common/base/plaintext.h"
#include "common/cli/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GET /v1/accounts/ACCOUNT`middle``word``end`; with --json the answer is printed, and `*out` is
 * NULL. */
static enum hf_err get(struct hf_cli_call *cli, const char *middle, const char *word,
                       const char *end, json_t **out, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    struct hf_admin_api *api = NULL;
    struct hf_admin_call call = {.method = "GET"};
    struct hf_buf path = {0};

    enum hf_err err = hf_buf_append_text(&path, "/v1/accounts/");
    if (err == HF_OK)
        err = hf_percent_encode(o->account, "", &path);
    if (err == HF_OK)
        err = hf_buf_append_text(&path, middle);
    if (err == HF_OK)
        err = hf_percent_encode(word, "", &path);
    if (err == HF_OK)
        err = hf_buf_append_text(&path, end);
    if (err != HF_OK)
        err = hf_fail(why, err, "no memory for a request");
    call.path = (const char *)path.data;
    if (err == HF_OK)
        err = hf_admin_open_for(o, &api, why);
    if (err == HF_OK)
        err = hf_admin_call(api, &call, why);
    *out = NULL;
    if (err == HF_OK && o->is_json)
        err = hf_json_print_take(call.answer, stdout, why);
    else if (err == HF_OK)
        *out = call.answer;
    hf_admin_close(api);
    hf_buf_free(&path);
    return err;
}

/* A member of an answer, some of which a device wrote: without what steers a terminal. */
static void print_text(const char *before, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    char *copy = text != NULL ? strdup(text) : NULL;

    if (copy == NULL)
        return;
    hf_text_sanitize(copy);
    printf("%s%s\n", before, copy);
    free(copy);
}

/* ---- device explain -------------------------------------------------------------------------- */

static enum hf_err explain(struct hf_cli_call *cli, struct hf_why *why)
{
    json_t *answer = NULL;
    size_t i;
    const json_t *statement;

    HF_TRY(get(cli, "/devices/", cli->words[0], "/explanation", &answer, why));
    if (answer == NULL)
        return HF_OK;
    printf("%s ", cli->words[0]);
    const json_t *cause = json_object_get(answer, "cause");
    const char *verdict = json_string_value(json_object_get(cause, "verdict"));
    const bool is_problem = verdict != NULL && strcmp(verdict, "problem") == 0;
    if (!json_is_true(json_object_get(answer, "is_up_to_date")))
        print_text("is not up to date: ", cause, "text");
    else
        print_text(is_problem ? "is up to date, but: " : "is up to date: ", cause, "text");
    json_array_foreach(json_object_get(answer, "statements"), i, statement)
    {
        char before[32];
        (void)snprintf(before, sizeof before, "  %-9s",
                       json_string_value(json_object_get(statement, "verdict")));
        print_text(before, statement, "text");
        print_text("           What to do: ", statement, "advice");
    }
    json_decref(answer);
    return HF_OK;
}

#define ACCOUNT                                                                                    \
    {                                                                                              \
        "account", 'a', HF_CLI_TEXT, HF_ADMIN_AT(account), "the account", "NAME"                   \
    }
static const struct hf_cli_option options[] = {ACCOUNT, HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_device_explain = {
    .name = "device explain",
    .summary = "Say why a device is not updated, and what to do.",
    .arguments = "--account NAME ID [OPTION…]",
    .about =
        "Checks every cause that the service can see: certificate, contact, copies of the\n"
        "device, clock, last result, version, and the end of its root certificates. The first\n"
        "problem is the likely cause. What the device says of itself is believed.",
    .examples = "  holdfast-admin device explain --account pumps pump-7\n",
    .options = options,
    .needs = {"--account NAME"},
    .needs_word = "a device",
    .max_words = 1,
    .run = explain,
};

/* ---- fleet show ------------------------------------------------------------------------------ */

static enum hf_err print_table(const char *head, const char *const *columns, const json_t *list,
                               struct hf_why *why)
{
    if (json_array_size(list) == 0)
        return HF_OK;
    printf("\n%s\n", head);
    return hf_report_json_table(columns, list, stdout, why);
}

static enum hf_err show(struct hf_cli_call *cli, struct hf_why *why)
{
    static const char *const counts[] = {"devices", "never_reported", "silent", NULL};
    static const char *const versions[] = {"set", "version", "devices", NULL};
    static const char *const results[] = {"result", "devices", NULL};
    static const char *const statuses[] = {"ACTIVE",           "INACTIVE",           "REVOKED",
                                           "PENDING_TRANSFER", "PENDING_ACTIVATION", NULL};
    json_t *answer = NULL;

    HF_TRY(get(cli, "/fleet", "", "", &answer, why));
    if (answer == NULL)
        return HF_OK;
    enum hf_err err = hf_report_json_members(counts, answer, stdout, why);
    if (err == HF_OK)
        err = print_table("Versions in use", versions, json_object_get(answer, "versions"), why);
    if (err == HF_OK)
        err = print_table("Last results", results, json_object_get(answer, "results"), why);
    if (err == HF_OK) {
        printf("\nCertificates of devices\n");
        err = hf_report_json_members(statuses, json_object_get(answer, "certificates"), stdout,
                                     why);
    }
    json_decref(answer);
    return err;
}

const struct hf_cli_command hf_admin_fleet_show = {
    .name = "fleet show",
    .summary = "Show the fleet in numbers.",
    .arguments = "--account NAME [OPTION…]",
    .about =
        "How many devices there are, have never reported or are silent (no report for three\n"
        "days), use each version, and had each last result; and their certificates by status.\n"
        "`device list` finds the devices behind a number.",
    .examples = "  holdfast-admin fleet show --account pumps\n",
    .options = options,
    .needs = {"--account NAME"},
    .run = show,
};

/* ---- fleet readiness ------------------------------------------------------------------------- */

/* What no row says: when it was counted, and which devices are in no row. */
static void print_counted(const json_t *answer)
{
    const json_t *counted = json_object_get(answer, "counted");

    if (!json_is_string(counted)) {
        puts("The devices have not been counted yet: the audit ANCHOR_ENDS_BEFORE_FLEET_IS_READY "
             "counts them.\n`holdfast-admin audit run` runs it now.");
        return;
    }
    printf("\nCounted %s. In no row: %lld devices whose version is unknown, most of which have "
           "never\nreported, and %lld that do not count: none of their certificates is ACTIVE.\n",
           json_string_value(counted),
           (long long)json_integer_value(json_object_get(answer, "unknown")),
           (long long)json_integer_value(json_object_get(answer, "shut_out")));
    if (!json_is_true(json_object_get(answer, "is_served")))
        puts("The service serves no repository, so it does not know when roots end.");
}

static void print_advice(const json_t *anchors)
{
    size_t i;
    const json_t *anchor;

    json_array_foreach(anchors, i, anchor)
    {
        if (!json_is_string(json_object_get(anchor, "advice")))
            continue;
        print_text("\n", anchor, "subject");
        print_text("  ", anchor, "text");
        print_text("  What to do: ", anchor, "advice");
    }
}

static enum hf_err readiness(struct hf_cli_call *cli, struct hf_why *why)
{
    static const char *const columns[] = {"ends",  "set",     "profile", "holding", "lacking",
                                          "ready", "verdict", "subject", NULL};
    json_t *answer = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(get(cli, "/readiness", "", "", &answer, why));
    if (answer == NULL)
        return HF_OK;
    const json_t *anchors = json_object_get(answer, "anchors");
    if (json_array_size(anchors) > 0)
        err = hf_report_json_table(columns, anchors, stdout, why);
    if (err == HF_OK) {
        print_counted(answer);
        print_advice(anchors);
    }
    json_decref(answer);
    return err;
}

const struct hf_cli_command hf_admin_fleet_readiness = {
    .name = "fleet readiness",
    .summary = "Show by which day the fleet holds a successor of each root.",
    .arguments = "--account NAME [OPTION…]",
    .about =
        "A row for each root of a version that devices hold, the first to end first. holding:\n"
        "devices with a version that has a successor, a root with another key that ends later.\n"
        "ready: the day on which all have one, at the pace of the last 14 days. verdict: ready,\n"
        "in-time, late, no-pace (none has taken one up lately, so there is no forecast) or\n"
        "no-successor (publish one). The audit ANCHOR_ENDS_BEFORE_FLEET_IS_READY counts the\n"
        "devices, and has a finding for each root that is not in time.",
    .examples = "  holdfast-admin fleet readiness --account pumps\n",
    .options = options,
    .needs = {"--account NAME"},
    .run = readiness,
};
