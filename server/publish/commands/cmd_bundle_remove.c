/* holdfastctl bundle remove: the newest version, without some of its roots. */
#include "server/publish/commands/bundle_options.h"

static enum hf_err remove_them(const struct hf_bundle_options *o, const char *const *what,
                               struct hf_why *why)
{
    struct hf_release_order order = hf_bundle_options_order(o);
    order.from_profile = o->profile;
    order.bundle.without = what;
    return hf_release(&order, why);
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct hf_bundle_options o = HF_BUNDLE_OPTIONS_DEFAULT;
    const struct poptOption options[] = {HF_CLI_REPO(&o.place),
                                         HF_CLI_KEYS(&o.place),
                                         HF_CLI_KEY(&o.place),
                                         HF_CLI_SET(&o),
                                         HF_CLI_PROFILE(&o),
                                         HF_CLI_DROP(&o),
                                         HF_CLI_UNDROP(&o),
                                         HF_CLI_DERIVE(&o),
                                         HF_CLI_ENDPOINTS(&o),
                                         HF_CLI_DEVICE(&o),
                                         HF_CLI_LEAD(&o),
                                         HF_CLI_ROOTS(&o),
                                         HF_CLI_ACCEPT(&o),
                                         HF_CLI_KEEP(&o),
                                         HF_CLI_DRAFT(&o),
                                         HF_CLI_PASSPHRASE(&o.place),
                                         HF_CLI_ONLINE_PASSPHRASE(&o.place),
                                         HF_CLI_CLOCK(&o.place),
                                         HF_CLI_JSON(&o.is_json, "publish-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *what = (const char *const *)hf_cli_arguments(&cli);
        if (hf_bundle_options_check(self, &o) &&
            hf_cli_need(self, "what to remove", what == NULL ? NULL : what[0]))
            exit_code = hf_cli_finish(remove_them(&o, what, &why), &why);
    }
    hf_cli_end(&cli);
    hf_bundle_options_free(&o);
    return exit_code;
}

const struct hf_command hf_cmd_bundle_remove = {
    .name = "bundle remove",
    .summary = "Publish the newest version of a set without some of its roots.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] WHAT…",
    .text =
        "WHAT is the SHA-256 of a certificate or key (16 digits or more), a part of a subject,\n"
        "or the name of a table of known roots. All certificates that match are removed. Devices\n"
        "keep a root that they need unless its drop is signed, so you must agree to each: on the\n"
        "terminal, or with --drop. Other roots keep their dates. Lint checks the new version as\n"
        "in bundle add.\n\n" HF_CLI_KEY_TEXT,
    .examples = "  holdfastctl bundle remove --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full 568d6905a2c88708\n"
                "  holdfastctl bundle remove --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set azure --profile full --drop all 'DigiCert Global Root CA'\n",
    .run = run,
};
