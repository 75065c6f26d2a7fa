/* holdfastctl root finish: signed copies of a draft come together and are published. */
#include "server/publish/cli.h"
#include "server/publish/draft_sign.h"
#include "server/publish/draft_tally.h"
#include "server/publish/publish_json.h"
#include "server/publish/root_publish.h"
#include "server/publish/targets_publish.h"

#include <inttypes.h>

static void report(const struct hf_draft *draft, const struct hf_root_published *published)
{
    static const enum hf_top_role others[] = {HF_ROLE_TARGETS, HF_ROLE_SNAPSHOT, HF_ROLE_TIMESTAMP};
    struct hf_tally tally = {0};
    struct hf_buf words = {0};
    if (hf_tally_make(draft, &tally, NULL) == HF_OK &&
        hf_tally_words(&tally, &words, NULL) == HF_OK)
        printf("signed by %s\n", (const char *)words.data);
    printf("published: root %" PRId64, draft->next.env.version);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (published->versions[others[i]] > 0)
            printf(", %s %" PRId64, hf_top_role_name(others[i]), published->versions[others[i]]);
    }
    putchar('\n');
    if (!published->is_bridged)
        puts("Nothing was good under both roots (the keys before did not sign along): a device "
             "that\n"
             "looked in the instant of the change tries again at its next check.");
    hf_buf_free(&words);
    hf_tally_free(&tally);
}

static enum hf_err report_json(const struct hf_draft *draft,
                               const struct hf_root_published *published, struct hf_why *why)
{
    struct hf_publish_report report = {.outcome = "published",
                                       .is_unbridged = !published->is_bridged};
    for (int role = 0; role < HF_TOP_ROLES; role++)
        report.versions[role] = published->versions[role];
    report.versions[HF_ROLE_ROOT] = draft->next.env.version;
    return hf_publish_report_print_take(&report, stdout, why);
}

static enum hf_err finish(const struct hf_cli_place *place, const char *const *files, bool is_json,
                          struct hf_why *why)
{
    struct hf_draft draft = {0};
    struct hf_root_published published = {0};
    HF_TRY(hf_draft_read_all(files, &draft, why));
    const struct hf_publication_place at = hf_cli_publication(place,
                                                              hf_targets_half_at_hand(place->keys));
    enum hf_err err = draft.role == HF_ROLE_ROOT
                          ? hf_root_publish(&at, &draft, &published, why)
                          : hf_fail(why, HF_E_STATE,
                                    "this is a draft of targets; use holdfastctl targets finish");
    if (err == HF_OK && is_json)
        err = report_json(&draft, &published, why);
    else if (err == HF_OK)
        report(&draft, &published);
    hf_draft_free(&draft);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct hf_cli_place place = {0};
    int is_json = 0;
    const struct poptOption options[] = {HF_CLI_REPO(&place),
                                         HF_CLI_KEYS(&place),
                                         HF_CLI_PASSPHRASE(&place),
                                         HF_CLI_ONLINE_PASSPHRASE(&place),
                                         HF_CLI_CLOCK(&place),
                                         HF_CLI_JSON(&is_json),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "--repo", place.repo) && hf_cli_need(self, "--keys", place.keys) &&
            hf_cli_need(self, "the signed draft", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(finish(&place, files, is_json != 0, &why), &why);
    }
    hf_cli_end(&cli);
    hf_cli_place_free(&place);
    return exit_code;
}

const struct hf_command hf_cmd_root_finish = {
    .name = "root finish",
    .summary = "Publish a signed draft as the newest root.",
    .arguments = "--repo DIR --keys DIR FILE… [OPTION…]",
    .text =
        "FILE is the signed draft, or several copies of it signed by different holders. It is\n"
        "published when as many keys of the root before and of its own have signed as each asks\n"
        "for, and the repository as a whole is good under it.\n\n"
        "Where it changes the keys of targets, snapshot or timestamp, these are signed anew with\n"
        "the new keys, which must lie in KEYS; those before sign along if they still lie there, "
        "and\n"
        "no device sees anything it would refuse. Remove them afterwards. Do not keep a stolen "
        "key\n"
        "for that. A finish that was cut off is begun again with the same files.",
    .examples = "  holdfastctl root finish --repo /srv/roots --keys ~/holdfast-keys root.draft\n"
                "  holdfastctl root finish --repo /srv/roots --keys /etc/holdfast/keys \\\n"
                "      alice.draft bob.draft\n",
    .run = run,
};
