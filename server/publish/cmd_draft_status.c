/* holdfastctl root status, targets status: what a draft changes, and who is still to sign. */
#include "server/publish/cli.h"
#include "server/publish/draft_json.h"
#include "server/publish/draft_show.h"
#include "server/publish/draft_sign.h"

#include <stdlib.h>

static enum hf_err check_role(const struct hf_draft *draft, enum hf_top_role role,
                              struct hf_why *why)
{
    if (draft->role == role)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "this is a draft of %s; use holdfastctl %s status",
                   hf_top_role_name(draft->role), hf_top_role_name(draft->role));
}

struct request {
    enum hf_top_role role;
    char *merged; /* NULL: written nowhere */
    int is_json;
};

static enum hf_err show(const struct hf_draft *draft, struct hf_why *why)
{
    struct hf_tally tally = {0};
    HF_TRY(hf_tally_make(draft, &tally, why));
    hf_draft_show(draft, stdout);
    hf_tally_print(&tally, stdout);
    printf("%s\n", hf_tally_is_complete(&tally) ? "complete: it can be finished"
                                                : "not complete: signatures are missing");
    hf_tally_free(&tally);
    return HF_OK;
}

/* Copies come together in a new file, so that the next holder gets one. */
static enum hf_err status(const char *const *files, const struct request *r, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(files, &draft, why));
    enum hf_err err = check_role(&draft, r->role, why);
    if (err == HF_OK && r->merged != NULL)
        err = hf_draft_create(r->merged, &draft, why);
    if (err == HF_OK)
        err = r->is_json ? hf_draft_print_json(&draft, stdout, why) : show(&draft, why);
    hf_draft_free(&draft);
    return err;
}

static int run_role(const struct hf_command *self, int argc, const char **argv,
                    enum hf_top_role role)
{
    struct request r = {.role = role};
    const struct poptOption options[] =
        {{"merge", 0, POPT_ARG_STRING, &r.merged, 0,
          "also write the draft with the signatures of all copies to a new file", "FILE"},
         HF_CLI_JSON(&r.is_json),
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "the draft", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(status(files, &r, &why), &why);
    }
    hf_cli_end(&cli);
    free(r.merged);
    return exit_code;
}

static int run_root(const struct hf_command *self, int argc, const char **argv)
{
    return run_role(self, argc, argv, HF_ROLE_ROOT);
}

#define WHAT_IT_SHOWS                                                                              \
    "Shows the difference that is signed, counts the signatures, and names the keys that are "     \
    "still\n"                                                                                      \
    "to sign. Of several signed copies of one draft it shows them together, and --merge writes\n"  \
    "them to one file. Needs no key and no repository."

const struct hf_command hf_cmd_root_status = {
    .name = "root status",
    .summary = "Show what a draft of root changes and who is still to sign.",
    .arguments = "FILE… [--merge FILE] [--json]",
    .text = WHAT_IT_SHOWS,
    .examples = "  holdfastctl root status root.draft\n"
                "  holdfastctl root status alice.draft bob.draft --merge root.draft\n"
                "  holdfastctl root status root.draft --json | jq .signatures.complete\n",
    .run = run_root,
};

static int run_targets(const struct hf_command *self, int argc, const char **argv)
{
    return run_role(self, argc, argv, HF_ROLE_TARGETS);
}

const struct hf_command hf_cmd_targets_status = {
    .name = "targets status",
    .summary = "Show what a draft of targets changes and who is still to sign.",
    .arguments = "FILE… [--merge FILE] [--json]",
    .text = WHAT_IT_SHOWS,
    .examples = "  holdfastctl targets status targets.draft\n",
    .run = run_targets,
};
