/* holdfastctl bundle add: certificates become the next version of a set, signed. */
#include "server/publish/commands/bundle_options.h"

#include <stdlib.h>

struct request {
    struct hf_bundle_options o;
    char *from;
    char **distrust_after;
    char **remove_after;
    char **selects;
    char **pins;
    int allows_intermediate;
    int signs_planned;
    int is_new;
};

static const char *const debian[] = {HF_DEBIAN_ROOTS, NULL};

static enum hf_err add(const struct request *r, const char *const *files, struct hf_why *why)
{
    struct hf_release_order order = hf_bundle_options_order(&r->o);
    order.from_profile = r->from;
    order.is_new = r->is_new != 0;
    order.bundle.files = files == NULL && r->selects != NULL ? debian : files;
    order.bundle.files_are_named = files != NULL;
    order.bundle.selects = hf_cli_list(r->selects);
    order.bundle.pins = hf_cli_list(r->pins);
    order.bundle.notes = (struct hf_note_options){
        .allows_intermediate = r->allows_intermediate != 0,
        .distrust_after = hf_cli_list(r->distrust_after),
        .remove_after = hf_cli_list(r->remove_after),
        .signs_planned = r->signs_planned != 0,
    };
    return hf_release(&order, why);
}

static bool is_complete(const struct hf_command *self, const struct request *r,
                        const char *const *files)
{
    bool has_certs = r->from != NULL || r->selects != NULL || (files != NULL && files[0] != NULL);
    return hf_bundle_options_check(self, &r->o) &&
           hf_cli_need(self, "at least one certificate file, or --from,", has_certs ? "yes" : NULL);
}

static void free_request(struct request *r)
{
    hf_bundle_options_free(&r->o);
    free(r->from);
    hf_cli_list_free(r->distrust_after);
    hf_cli_list_free(r->remove_after);
    hf_cli_list_free(r->selects);
    hf_cli_list_free(r->pins);
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {.o = HF_BUNDLE_OPTIONS_DEFAULT};
    const struct poptOption options[] = {
        HF_CLI_REPO(&r.o.place),
        HF_CLI_KEYS(&r.o.place),
        HF_CLI_KEY(&r.o.place),
        HF_CLI_SET(&r.o),
        HF_CLI_PROFILE(&r.o),
        {"new", 0, POPT_ARG_NONE, &r.is_new, 0,
         "begin a set, or a profile beside full, rsa, ecc and legacy", NULL},
        {"select", 0, POPT_ARG_ARGV, &r.selects, 0,
         "of the files only these: a fingerprint, part of a subject, or a table of known roots",
         "WHAT"},
        {"pin", 0, POPT_ARG_ARGV, &r.pins, 0,
         "take a root in that is in no table; the fingerprint that its owner publishes", "SHA256"},
        {"from", 0, POPT_ARG_STRING, &r.from, 0,
         "begin with the certificates of the newest bundle of this profile of the set", "PROFILE"},
        HF_CLI_DERIVE(&r.o),
        {"distrust-after", 0, POPT_ARG_ARGV, &r.distrust_after, 0,
         "server certificates issued after DATE are not accepted through this root", "SHA256=DATE"},
        {"remove-after", 0, POPT_ARG_ARGV, &r.remove_after, 0,
         "devices stop using this root after DATE", "SHA256=DATE"},
        {"planned-dates", 0, POPT_ARG_NONE, &r.signs_planned, 0,
         "sign the date of distrust that a table of known roots has for a root", NULL},
        HF_CLI_DROP(&r.o),
        HF_CLI_UNDROP(&r.o),
        {"allow-intermediate", 0, POPT_ARG_NONE, &r.allows_intermediate, 0,
         "accept CAs that are no roots", NULL},
        HF_CLI_ENDPOINTS(&r.o),
        HF_CLI_DEVICE(&r.o),
        HF_CLI_LEAD(&r.o),
        HF_CLI_ROOTS(&r.o),
        HF_CLI_ACCEPT(&r.o),
        HF_CLI_KEEP(&r.o),
        HF_CLI_DRAFT(&r.o),
        HF_CLI_AGAIN(&r.o),
        HF_CLI_PASSPHRASE(&r.o.place),
        HF_CLI_ONLINE_PASSPHRASE(&r.o.place),
        HF_CLI_CLOCK(&r.o.place),
        HF_CLI_JSON(&r.o.is_json, "publish-report"),
        HF_CLI_HELP,
        HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (is_complete(self, &r, files))
            exit_code = hf_cli_finish(add(&r, files, &why), &why);
    }
    hf_cli_end(&cli);
    free_request(&r);
    return exit_code;
}

const struct hf_command hf_cmd_bundle_add = {
    .name = "bundle add",
    .summary = "Publish certificates as the next version of a set.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] CERT…",
    .text =
        "CERT is a PEM file with any number of certificates, a DER file with one, or a folder of\n"
        "such; with --select and no CERT, Debian's ca-certificates. Together they are the whole\n"
        "new version, not an addition to the last one (that is bundle import). Each must parse\n"
        "and be a CA in date, with a key of RSA 2048 bits or more, P-256, P-384 or P-521; of a\n"
        "table that is chosen as a whole, roots that have expired are left out. Certificates\n"
        "in your files that --select leaves out are named. A root that is in\n"
        "no table of known roots (--roots) and in no bundle signed before needs --pin.\n\n"
        "A CA certificate that another CA issued is accepted as cross-signed when the self-signed\n"
        "root of the same key is given too; any other is an intermediate, which its CA may "
        "replace\n"
        "any day: --allow-intermediate if you must.\n\n"
        "The first set of a repository and the usual profiles begin by themselves; any other name\n"
        "is treated as a typo, because no device would ask for it; pass --new to create it.\n\n"
        "Roots that the version before had and this one lacks are dropped only if you agree: on\n"
        "the terminal, or with --drop. --drop can also revoke a root that an attacker installed:\n"
        "give the file, or all 64 digits of the SHA-256 of its key. Later versions drop it too,\n"
        "for devices that were offline, until one holds it again or --undrop names its key. At\n"
        "most 512 keys are dropped, since a device keeps no more.\n\n"
        "A DATE is YYYY-MM-DD, which means the end of that day (23:59:59 UTC), or a moment as\n"
        "YYYY-MM-DDTHH:MM:SSZ. Dates set with --distrust-after and --remove-after stay in force\n"
        "in later versions until you give another date, or `none`. A certificate is named by its "
        "SHA-256, with or without\n"
        "colons, or the first 16 digits or more.\n\n"
        "--planned-dates signs the dates of distrust that the tables of known roots have, which\n"
        "lint and plan show; an earlier date that is signed already stays. Without it, only dates\n"
        "that have passed are signed, of roots that a whole table chose: --select mozilla takes\n"
        "over Mozilla's limits with its roots. --distrust-after overrides both.\n\n"
        "--from takes the content of another profile, with the dates signed for it. A fleet that\n"
        "still reads an old profile is moved that way: its next version is the new content.\n"
        "--derive makes rsa and ecc of the new version, for devices that validate one kind "
        "only.\n\n"
        "If the newest version has the same certificates, dates and drops, nothing is published\n"
        "and the exit code is 0; only metadata whose end is near is signed again. --again makes a\n"
        "new version all the same.\n\n"
        "The new version is checked as by holdfastctl lint. An error stops it, unless "
        "--accept\n"
        "names its code.\n\n"
        "Without the keys in KEYS/online the new version is signed but not published; carry the\n"
        "repository to where they are and run holdfastctl publish.\n\n" HF_CLI_KEY_TEXT,
    .examples =
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile full --derive rsa,ecc --select amazon\n"
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile full --select amazon --planned-dates\n"
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile full --distrust-after 568d6905a2c88708=2027-04-15 \\\n"
        "      AmazonRootCA*.pem SFSRootCAG2.pem\n"
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile legacy --from full --drop all\n",
    .run = run,
};
