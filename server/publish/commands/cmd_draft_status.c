/* holdfastctl root status, root merge, and the same of targets: what a draft changes and who is still to
 * sign, of one copy or of several, which merge puts into one file. */
#include "server/publish/commands/cli.h"
#include "server/publish/ceremony/draft_json.h"
#include "server/publish/ceremony/draft_show.h"
#include "server/publish/ceremony/draft_sign.h"

#include <inttypes.h>
#include <stdlib.h>

static enum hf_err check_role(const struct hf_draft *draft, enum hf_top_role role, const char *verb,
                              struct hf_why *why)
{
    if (draft->role == role)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "this is a draft of %s; use holdfastctl %s %s",
                   hf_top_role_name(draft->role), hf_top_role_name(draft->role), verb);
}

/* ---- status ----------------------------------------------------------------------------------- */

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

static enum hf_err status(const char *const *files, enum hf_top_role role, bool is_json,
                          struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(files, &draft, why));
    enum hf_err err = check_role(&draft, role, "status", why);
    if (err == HF_OK)
        err = is_json ? hf_draft_print_json(&draft, stdout, why) : show(&draft, why);
    hf_draft_free(&draft);
    return err;
}

static int run_status(const struct hf_command *self, int argc, const char **argv,
                      enum hf_top_role role)
{
    int is_json = 0;
    const struct poptOption options[] = {HF_CLI_JSON(&is_json, "draft-report"), HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "the draft", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(status(files, role, is_json != 0, &why), &why);
    }
    hf_cli_end(&cli);
    return exit_code;
}

/* ---- merge ------------------------------------------------------------------------------------ */

struct merge {
    enum hf_top_role role;
    char *draft; /* made, or given what the copies have */
    int is_json;
};

static enum hf_err merge_into(struct hf_draft *draft, const char *path, struct hf_why *why)
{
    struct hf_draft there = {0};
    if (!hf_file_exists(path))
        return hf_draft_create(path, draft, why);
    HF_TRY(hf_draft_read(path, &there, why));
    enum hf_err err = hf_draft_merge(draft, &there, why);
    hf_draft_free(&there);
    if (err != HF_OK)
        return hf_fail_context(why, "%s lies there and stays as it is", path);
    return hf_draft_write(path, draft, why);
}

static enum hf_err say(const struct merge *m, const struct hf_draft *draft, struct hf_why *why)
{
    struct hf_tally tally = {0};
    char digest[HF_SHA256_HEX_LEN];
    if (m->is_json)
        return hf_draft_print_json(draft, stdout, why);
    HF_TRY(hf_tally_make(draft, &tally, why));
    const struct hf_envelope *env = hf_draft_envelope(draft);
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    printf("%s: draft of %s %" PRId64 ", SHA-256 %s\n", m->draft, hf_top_role_name(draft->role),
           env->version, digest);
    hf_tally_print(&tally, stdout);
    printf("%s\n", hf_tally_is_complete(&tally) ? "complete: it can be finished"
                                                : "not complete: carry it to the next key holder");
    hf_tally_free(&tally);
    return HF_OK;
}

static enum hf_err merge(const struct merge *m, const char *const *copies, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(copies, &draft, why));
    enum hf_err err = check_role(&draft, m->role, "merge", why);
    if (err == HF_OK)
        err = merge_into(&draft, m->draft, why);
    if (err == HF_OK)
        err = say(m, &draft, why);
    hf_draft_free(&draft);
    return err;
}

static int run_merge(const struct hf_command *self, int argc, const char **argv,
                     enum hf_top_role role)
{
    struct merge m = {.role = role};
    const struct poptOption options[] = {{"draft", 0, POPT_ARG_STRING, &m.draft, 0,
                                          "the file to make, or to add signatures to", "FILE"},
                                         HF_CLI_JSON(&m.is_json, "draft-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *copies = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "--draft", m.draft) &&
            hf_cli_need(self, "a signed copy", copies == NULL ? NULL : copies[0]))
            exit_code = hf_cli_finish(merge(&m, copies, &why), &why);
    }
    hf_cli_end(&cli);
    free(m.draft);
    return exit_code;
}

/* ---- the commands ----------------------------------------------------------------------------- */

static int run_root_status(const struct hf_command *self, int argc, const char **argv)
{
    return run_status(self, argc, argv, HF_ROLE_ROOT);
}

static int run_targets_status(const struct hf_command *self, int argc, const char **argv)
{
    return run_status(self, argc, argv, HF_ROLE_TARGETS);
}

static int run_root_merge(const struct hf_command *self, int argc, const char **argv)
{
    return run_merge(self, argc, argv, HF_ROLE_ROOT);
}

static int run_targets_merge(const struct hf_command *self, int argc, const char **argv)
{
    return run_merge(self, argc, argv, HF_ROLE_TARGETS);
}

#define WHAT_STATUS_SHOWS                                                                          \
    "Shows the difference that is signed, counts the signatures, and names the keys that are "     \
    "still\n"                                                                                      \
    "to sign. Of several signed copies of one draft it shows them together. Needs no key and no\n" \
    "repository, and changes nothing."

const struct hf_command hf_cmd_root_status = {
    .name = "root status",
    .summary = "Show what a draft of root changes and who is still to sign.",
    .arguments = "FILE… [--json]",
    .text = WHAT_STATUS_SHOWS,
    .examples = "  holdfastctl root status root.draft\n"
                "  holdfastctl root status alice.draft bob.draft\n"
                "  holdfastctl root status root.draft --json | jq .signatures.complete\n",
    .run = run_root_status,
};

const struct hf_command hf_cmd_targets_status = {
    .name = "targets status",
    .summary = "Show what a draft of targets changes and who is still to sign.",
    .arguments = "FILE… [--json]",
    .text = WHAT_STATUS_SHOWS,
    .examples = "  holdfastctl targets status targets.draft\n",
    .run = run_targets_status,
};

#define WHAT_MERGE_DOES                                                                            \
    "Puts the signatures of copies that came back into one file, for the next key holder or for\n" \
    "finish, and says who has signed and who is still to sign. FILE is made; if it is there, it\n" \
    "must be a copy of the same draft and gets what the others have. A copy of another draft, "    \
    "or\n"                                                                                         \
    "with a signature that does not fit, is refused by its name. Needs no key and no "             \
    "repository.\n"                                                                                \
    "\n"                                                                                           \
    "`finish` takes copies as well: this is for handing on what there is so far."

const struct hf_command hf_cmd_root_merge = {
    .name = "root merge",
    .summary = "Put signed copies of a draft of root together.",
    .arguments = "--draft FILE COPY… [--json]",
    .text = WHAT_MERGE_DOES,
    .examples = "  holdfastctl root merge --draft root.draft alice.draft bob.draft\n",
    .run = run_root_merge,
};

const struct hf_command hf_cmd_targets_merge = {
    .name = "targets merge",
    .summary = "Put signed copies of a draft of targets together.",
    .arguments = "--draft FILE COPY… [--json]",
    .text = WHAT_MERGE_DOES,
    .examples = "  holdfastctl targets merge --draft targets.draft alice.draft bob.draft\n",
    .run = run_targets_merge,
};
