/* holdfastctl bundle import: the newest version, and more roots. */
#include "server/publish/commands/bundle_options.h"

#include <stdlib.h>

struct request {
    struct hf_bundle_options o;
    char **selects;
    char **pins;
    int allows_intermediate;
};

static const char *const debian[] = {HF_DEBIAN_ROOTS, NULL};

static enum hf_err import(const struct request *r, const char *const *files, struct hf_why *why)
{
    struct hf_release_order order = hf_bundle_options_order(&r->o);
    order.from_profile = r->o.profile;
    order.bundle.adds_to_from = true;
    order.bundle.files = files == NULL ? debian : files;
    order.bundle.files_are_named = files != NULL;
    order.bundle.selects = hf_cli_list(r->selects);
    order.bundle.pins = hf_cli_list(r->pins);
    order.bundle.notes.allows_intermediate = r->allows_intermediate != 0;
    return hf_release(&order, why);
}

/* All of Debian's roots in a bundle that was to have one more is a slip, not a wish. */
static bool is_complete(const struct hf_command *self, const struct request *r,
                        const char *const *files)
{
    bool has_choice = r->selects != NULL || (files != NULL && files[0] != NULL);
    return hf_bundle_options_check(self, &r->o) &&
           hf_cli_need(self, "a certificate file or --select", has_choice ? "yes" : NULL);
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {.o = HF_BUNDLE_OPTIONS_DEFAULT};
    const struct poptOption options[] =
        {HF_CLI_REPO(&r.o.place),
         HF_CLI_KEYS(&r.o.place),
         HF_CLI_KEY(&r.o.place),
         HF_CLI_SET(&r.o),
         HF_CLI_PROFILE(&r.o),
         {"select", 0, POPT_ARG_ARGV, &r.selects, 0,
          "only these: a fingerprint, part of a subject, or a table of known roots", "WHAT"},
         {"pin", 0, POPT_ARG_ARGV, &r.pins, 0,
          "take a root in that is in no table; the fingerprint that its owner publishes", "SHA256"},
         HF_CLI_DERIVE(&r.o),
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
            exit_code = hf_cli_finish(import(&r, files, &why), &why);
    }
    hf_cli_end(&cli);
    hf_bundle_options_free(&r.o);
    hf_cli_list_free(r.selects);
    hf_cli_list_free(r.pins);
    return exit_code;
}

const struct hf_command hf_cmd_bundle_import = {
    .name = "bundle import",
    .summary = "Publish the newest version of a set with more roots in it.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] [CERT…]",
    .text =
        "What the newest version has stays, with its dates; what it has already is passed "
        "over.\n"
        "If nothing is left to add, nothing is published and the exit code is 0.\n"
        "CERT is a PEM file, a DER file, or a folder of such; without any, roots come from\n"
        "Debian's package ca-certificates. --select chooses: by SHA-256 of a certificate or\n"
        "key (16 digits or more), by a part of the subject, or by the name of a table of known\n"
        "roots: amazon, amazon-eu, azure, google, letsencrypt, mozilla, or one given with\n"
        "--roots. Of a table, roots that have expired are left out.\n\n"
        "A root that is in no table and in no bundle signed before needs --pin. Lint has its\n"
        "say as in bundle add.\n\n" HF_CLI_KEY_TEXT,
    .examples = "  holdfastctl bundle import --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full --select 'Starfield Services'\n"
                "  holdfastctl bundle import --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set factory --profile full --pin 3f9a12c7d04be581 factory-root.pem\n",
    .run = run,
};
