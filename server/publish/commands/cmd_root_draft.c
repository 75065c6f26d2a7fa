/* holdfastctl root draft: the next root metadata, as a file to change and to sign. */
#include "server/publish/commands/cli.h"
#include "server/publish/ceremony/draft_json.h"
#include "server/publish/ceremony/draft_roots.h"
#include "server/publish/ceremony/draft_show.h"
#include "server/publish/ceremony/draft_tally.h"
#include "server/repository/pin.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdlib.h>

struct request {
    char *from;
    char *keys; /* NULL: trust begins at the repository's first root */
    char *draft;
    long long days;
    int is_json;
};

/* The newest root as the repository has it; appended to `file`. */
static enum hf_err read_newest(const struct hf_repo *repo, struct hf_trusted_set *set,
                               struct hf_buf *file, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_verify_roots(repo, HF_REPO_ANY_TIME, set, why));
    HF_TRY(hf_repo_role_path(HF_ROLE_ROOT, set->root->env.version, true, &path, why));
    return hf_repo_read(repo, path.text, HF_ROOT_BYTES_MAX, file, why);
}

static enum hf_err next_signing(const struct hf_root *before, long long days,
                                struct hf_signing *out, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], last[HF_TIME_TEXT_MAX];
    int64_t now_s = hf_cli_now_s();
    if (before->env.signed_at_s != HF_TIME_NONE && before->env.signed_at_s > now_s) {
        hf_time_format(now_s, now);
        hf_time_format(before->env.signed_at_s, last);
        return hf_fail(why, HF_E_STATE,
                       "this machine's clock says %s, but root %" PRId64 " was signed at %s; set "
                       "the clock",
                       now, before->env.version, last);
    }
    *out = (struct hf_signing){before->env.version + 1, now_s + days * HF_DAY_S, now_s};
    return HF_OK;
}

static enum hf_err compose(const struct request *r, const struct hf_repo *repo,
                           struct hf_draft *out, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_buf file = {0};
    json_t *signed_part = NULL, *roots = NULL;
    struct hf_signing signing;
    enum hf_err err = read_newest(repo, &set, &file, why);
    if (err == HF_OK)
        err = next_signing(set.root, r->days, &signing, why);
    if (err == HF_OK)
        err = hf_compose_next_root(set.root->env.signed_part, &signing, &signed_part, why);
    if (err == HF_OK)
        err = hf_draft_roots_read(repo, set.root->env.version, &roots, why);
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = hf_buf_bytes(&file),
                                         .roots = roots,
                                         .signed_part = signed_part};
    if (err == HF_OK)
        err = hf_draft_make(&parts, out, why);
    json_decref(roots);
    json_decref(signed_part);
    hf_buf_free(&file);
    hf_trusted_set_free(&set);
    return err;
}

/* From the root pinned beside the keys, where there are keys. */
static enum hf_err compose_from(const struct request *r, struct hf_draft *out, struct hf_why *why)
{
    struct hf_key_set keys;
    struct hf_buf pin = {0};
    struct hf_repo repo = {.dir = r->from};
    if (r->keys == NULL)
        return compose(r, &repo, out, why);
    HF_TRY(hf_key_set_init_holder(&keys, r->keys, NULL, why));
    enum hf_err err = hf_pin_read(&keys.folders[HF_KEYS_OFFLINE], &pin, why);
    repo.pinned_root = hf_buf_bytes(&pin);
    if (err == HF_OK)
        err = compose(r, &repo, out, why);
    hf_buf_free(&pin);
    hf_key_set_free(&keys);
    return err;
}

static void report(const struct request *r, const struct hf_draft *draft)
{
    struct hf_tally tally = {0};
    hf_draft_show(draft, stdout);
    if (hf_tally_make(draft, &tally, NULL) == HF_OK)
        hf_tally_print(&tally, stdout);
    hf_tally_free(&tally);
    printf("\nNext: change it with holdfastctl root add-key, remove-key, set-threshold; then let "
           "each\nkey holder run: holdfastctl root sign --draft %s --keys DIR\n",
           r->draft);
}

static enum hf_err draft_root(const struct request *r, struct hf_why *why)
{
    struct hf_draft draft = {0};
    if (r->days < 1 || r->days > HF_EXPIRY_DAYS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "root metadata may last 1 to %d days, not %lld",
                       HF_EXPIRY_DAYS_MAX, r->days);
    HF_TRY(compose_from(r, &draft, why));
    enum hf_err err = hf_draft_create(r->draft, &draft, why);
    if (err == HF_OK && r->is_json)
        err = hf_draft_print_json(&draft, stdout, why);
    else if (err == HF_OK)
        report(r, &draft);
    hf_draft_free(&draft);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {.days = hf_expiry_default().days[HF_ROLE_ROOT]};
    const struct poptOption options[] =
        {{"from", 0, POPT_ARG_STRING, &r.from, 0, "the repository whose root it follows", "REPO"},
         {"keys", 0, POPT_ARG_STRING, &r.keys, 0,
          "keys that know this repository: trust begins at the root beside them", "DIR"},
         {"draft", 0, POPT_ARG_STRING, &r.draft, 0, "the file to make", "FILE"},
         {"expires", 0, POPT_ARG_LONGLONG | POPT_ARGFLAG_SHOW_DEFAULT, &r.days, 0,
          "how long the new root lasts", "DAYS"},
         HF_CLI_JSON(&r.is_json, "draft-report"),
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--from", r.from) && hf_cli_need(self, "--draft", r.draft) &&
        hf_cli_no_arguments(&cli))
        exit_code = hf_cli_finish(draft_root(&r, &why), &why);
    hf_cli_end(&cli);
    free(r.from);
    free(r.keys);
    free(r.draft);
    return exit_code;
}

const struct hf_command hf_cmd_root_draft = {
    .name = "root draft",
    .summary = "Prepare the next root metadata as one file.",
    .arguments = "--from REPO --draft FILE [OPTION…]",
    .text =
        "The draft is the newest root of the repository with the next number and a new expiry;\n"
        "as it is, it renews the expiry. It holds all that a key holder needs, so it can be\n"
        "signed on a machine that has nothing but this file and a key. Nothing in the\n"
        "repository changes before `root finish`, and the repository need not be in order but\n"
        "for its root metadata.",
    .examples = "  holdfastctl root draft --from /srv/roots --draft root.draft\n"
                "  holdfastctl root draft --from /srv/roots --draft root.draft --expires 365\n",
    .run = run,
};
