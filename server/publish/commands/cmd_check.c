/* holdfastctl check: could a device update from this repository? Needs no key and no lock. */
#include "server/publish/commands/check_report.h"
#include "server/publish/commands/cli.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"

#include <stdio.h>
#include <stdlib.h>

struct request {
    struct hf_cli_place place;
    char *at;
    char *root;
    int is_json;
};

static bool has_usable_anchor(const struct hf_bundle *bundle, int64_t at_s)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_policy_anchor_state(&bundle->anchors[i], at_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

/* Metadata that verifies is not enough: there must be something to update to. */
static enum hf_err judge_bundles(const struct hf_check *check, struct hf_why *why)
{
    if (check->bundles.n_items == 0)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "the repository lists no bundle yet; holdfastctl bundle add publishes one");
    for (size_t i = 0; i < check->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &check->bundles.items[i];
        if (b->is_newest && !has_usable_anchor(&b->bundle, check->at_s))
            return hf_fail(why, HF_E_POLICY,
                           "no root of bundle %s is in its validity at that time; devices keep "
                           "what they have",
                           b->target->path);
    }
    return HF_OK;
}

/* Everything but the dates, so that there is a table to look at when only they are wrong. */
static enum hf_err load(const struct hf_repo *repo, struct hf_check *check, struct hf_why *why)
{
    HF_TRY(hf_repo_verify_metadata(repo, HF_REPO_ANY_TIME, &check->set, why));
    HF_TRY(hf_repo_verify_bundles(repo, hf_trusted_set_top_targets(&check->set),
                                  check->set.root->consistent_snapshot, &check->bundles, why));
    check->is_loaded = true;
    return HF_OK;
}

static enum hf_err judge(const struct hf_repo *repo, struct hf_check *check, struct hf_why *why)
{
    HF_TRY(load(repo, check, why));
    HF_TRY(hf_repo_verify(repo, check->at_s, why));
    return judge_bundles(check, why);
}

static int check(const struct request *r, int64_t at_s)
{
    struct hf_self_signed self_signed = {0};
    struct hf_repo repo = {.dir = r->place.repo, .self_signed = &self_signed};
    struct hf_buf root = {0};
    struct hf_check c = {.repo_dir = r->place.repo, .at_s = at_s};
    struct hf_why why = {0};
    bool is_read = hf_cli_read_root(r->root, &root, &c.reason) == HF_OK;
    repo.pinned_root = hf_buf_bytes(&root);
    c.is_updatable = is_read && judge(&repo, &c, &c.reason) == HF_OK;
    enum hf_err err = r->is_json ? hf_check_print_json(&c, stdout, &why)
                                 : hf_check_print(&c, stdout, &why);
    int exit_code = hf_cli_finish(err, &why);
    if (exit_code == HF_EXIT_OK && !c.is_updatable) {
        fprintf(stderr, "holdfastctl: no device could update: %s\n", c.reason.text);
        exit_code = HF_EXIT_FAILED;
    }
    hf_repo_bundles_free(&c.bundles);
    hf_trusted_set_free(&c.set);
    hf_self_signed_free(&self_signed);
    hf_buf_free(&root);
    return exit_code;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    const struct poptOption options[] = {HF_CLI_REPO(&r.place),
                                         HF_CLI_ROOT(&r.root),
                                         {"at", 0, POPT_ARG_STRING, &r.at, 0,
                                          "judge at that time instead of now",
                                          "YYYY-MM-DD[THH:MM:SSZ]"},
                                         HF_CLI_JSON(&r.is_json, "check-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    int64_t at_s = hf_cli_now_s();
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--repo", r.place.repo) && hf_cli_no_arguments(&cli)) {
        if (r.at != NULL && !hf_time_parse_lenient(r.at, &at_s))
            exit_code = hf_cli_usage(self,
                                     "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not \"%s\"",
                                     r.at);
        else
            exit_code = check(&r, at_s);
    }
    hf_cli_end(&cli);
    hf_cli_place_free(&r.place);
    free(r.at);
    free(r.root);
    return exit_code;
}

const struct hf_command hf_cmd_check = {
    .name = "check",
    .summary = "Verify a repository as a device would, and show what it holds.",
    .arguments = "--repo DIR [--root FILE] [--at TIME] [--json]",
    .text =
        "Goes the way of a device, from the first root through every signature, version, hash\n"
        "and date to each bundle, and prints roles, thresholds, expiries and roots. Needs no\n"
        "key. Exit code 0 only if a device could update from the repository at that time.\n"
        "A repository's own first root proves that it is whole, not that it is yours: for that\n"
        "give --root, such as KEYS/online/root.json or what your devices ship with.",
    .examples = "  holdfastctl check --repo /srv/roots\n"
                "  holdfastctl check --repo /srv/roots --at 2030-01-31\n"
                "  holdfastctl check --repo /srv/roots --json | jq .roles.timestamp.days_left\n",
    .run = run,
};
