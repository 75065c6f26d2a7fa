/* holdfastctl bundle add, import, remove: sign the next version of a set. add takes its
 * certificates from files; import and remove take the newest version and add or remove roots. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "server/publish/bundle/rollout_plan.h"

enum variant { ADD, IMPORT, REMOVE };

static enum hf_err release(struct hf_cli_call *call, struct hf_why *why)
{
    static const char *const debian[] = {HF_DEBIAN_ROOTS, NULL};
    const struct hf_ctl_options *o = call->values;
    enum variant variant = (enum variant)call->command->variant;
    const char *const *words = call->words;
    bool has_choice = words != NULL || o->selects != NULL;
    if (o->draft != NULL && o->extra_keys != NULL)
        return hf_cli_usage(call, "--draft signs nothing; give --key to targets sign");
    struct hf_rollout_plan plan;
    if (o->plan != NULL)
        HF_TRY(hf_rollout_plan_read(o->plan, hf_ctl_now_s(), &plan, why));
    struct hf_release_order order = {
        .place = hf_ctl_targets_publication(o),
        .bundle = {.set = o->set,
                   .profile = o->profile,
                   .selects = hf_cli_list(o->selects),
                   .pins = hf_cli_list(o->pins),
                   .drops = hf_cli_list(o->drops),
                   .undrops = hf_cli_list(o->undrops),
                   .is_again = o->is_again,
                   .notes = {.allows_intermediate = o->allows_intermediate,
                             .distrust_after = hf_cli_list(o->distrust_after),
                             .remove_after = hf_cli_list(o->remove_after),
                             .signs_planned = o->signs_planned}},
        .is_new = o->is_new,
        .from_profile = variant == ADD ? o->from : o->profile,
        .derives = hf_cli_list(o->derives),
        .accepts = hf_cli_list(o->accepts),
        .roots = hf_cli_list(o->roots),
        .endpoints = hf_ctl_lint_sources(o),
        .device_file = o->device,
        .plan = o->plan == NULL ? NULL : &plan,
        .draft_file = o->draft,
        .lead_s = o->lead_days * HF_DAY_S,
        .keep = (int)o->keep,
        .is_json = o->is_json,
    };
    switch (variant) {
    case ADD:
        HF_TRY(hf_cli_need(call, "at least one certificate file, or --from,",
                           has_choice || o->from != NULL ? "yes" : NULL));
        break;
    case IMPORT:
        /* Without a choice, import would add all of Debian's roots. */
        HF_TRY(hf_cli_need(call, "a certificate file or --select", has_choice ? "yes" : NULL));
        order.bundle.adds_to_from = true;
        break;
    case REMOVE:
        order.bundle.without = words;
        return hf_release(&order, why);
    }
    order.bundle.files = words == NULL && o->selects != NULL ? debian : words;
    order.bundle.files_are_named = words != NULL;
    return hf_release(&order, why);
}

/* Groups of rows. */
#define WHERE HF_CTL_REPO, HF_CTL_KEYS, HF_CTL_KEY, HF_CTL_SET, HF_CTL_PROFILE
#define CHOICE                                                                                     \
    HF_CTL_LIST("select", selects,                                                                 \
                "use only these certificates of the files: a fingerprint, part of a subject, or "  \
                "a table of known roots",                                                          \
                "WHAT"),                                                                           \
        HF_CTL_PIN,                                                                                \
        HF_CTL_FLAG("allow-intermediate", allows_intermediate, "accept CAs that are not roots"),   \
        HF_CTL_FLAG("again", is_again,                                                             \
                    "make a new version even if nothing changed, for devices that rejected the "   \
                    "last one")
#define DROPS                                                                                      \
    HF_CTL_LIST("drop", drops,                                                                     \
                "agree that a root is dropped, or `all`; or revoke one that an attacker "          \
                "installed",                                                                       \
                "SHA256"),                                                                         \
        HF_CTL_LIST("undrop", undrops,                                                             \
                    "stop dropping a key that the version before drops; again for each", "SHA256")
#define SIGNED                                                                                     \
    HF_CTL_TEXT("plan", plan,                                                                      \
                "roll the new version out in stages: careful, normal, urgent, or a JSON file",     \
                "PLAN"),                                                                           \
        HF_CTL_LIST("derive", derives,                                                             \
                    "publish these profiles too, made of the roots with such keys", "rsa,ecc"),    \
        HF_CTL_LINT,                                                                               \
        HF_CTL_NUMBER("keep", keep, HF_KEEP_DEFAULT, 1, HF_KEEP_MAX,                               \
                      "how many versions of this set and profile stay listed", "N"),               \
        HF_CTL_DRAFT, HF_CTL_SIGNING, HF_CTL_REPORT("publish-report")

static const struct hf_cli_option add_options[] =
    {WHERE,
     HF_CTL_FLAG("new", is_new, "create a set, or a profile other than full, rsa, ecc and legacy"),
     CHOICE,
     HF_CTL_TEXT("from", from,
                 "start with the certificates of the newest bundle of this profile of the set",
                 "PROFILE"),
     HF_CTL_LIST("distrust-after", distrust_after,
                 "server certificates issued after DATE are not accepted through this root",
                 "SHA256=DATE"),
     HF_CTL_LIST("remove-after", remove_after, "devices stop using this root after DATE",
                 "SHA256=DATE"),
     HF_CTL_FLAG("planned-dates", signs_planned,
                 "sign the date of distrust that a table of known roots has for a root"),
     DROPS,
     SIGNED};

static const struct hf_cli_option import_options[] = {WHERE, CHOICE, SIGNED};

static const struct hf_cli_option remove_options[] = {WHERE, DROPS, SIGNED};

const struct hf_cli_command hf_cmd_bundle_add = {
    .name = "bundle add",
    .summary = "Publish certificates as the next version of a set.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] CERT…",
    .about =
        "CERT is a PEM file with any number of certificates, a DER file with one, or a folder of\n"
        "these. With --select and no CERT, roots come from Debian's ca-certificates. The\n"
        "certificates are the whole new version; to add to the newest version use bundle import.\n"
        "Each must parse and be a CA in date, with a key of RSA 2048 bits or more, P-256, P-384\n"
        "or P-521. If a whole table is chosen, expired roots of it are left out. Certificates in\n"
        "your files that --select leaves out are named. A root that is in no table of known roots\n"
        "(--roots) and in no bundle signed before needs --pin.\n\n"
        "A CA certificate that another CA issued is accepted as cross-signed if the self-signed\n"
        "root of the same key is given too. Any other is an intermediate, which its CA may\n"
        "replace at any time: it needs --allow-intermediate.\n\n"
        "The first set of a repository and the usual profiles can be created without --new. Any\n"
        "other name is treated as a typo, because no device would ask for it; pass --new to\n"
        "create it.\n\n"
        "Roots of the version before that are missing now are dropped only if you agree: on the\n"
        "terminal, or with --drop. --drop can also revoke a root that an attacker installed: give\n"
        "the file, or all 64 digits of the SHA-256 of its key. Later versions drop it too, for\n"
        "devices that were offline, until a version contains it again or --undrop names its key.\n"
        "At most 512 keys can be dropped, because a device stores no more.\n\n"
        "A DATE is YYYY-MM-DD, which means the end of that day (23:59:59 UTC), or a moment as\n"
        "YYYY-MM-DDTHH:MM:SSZ. Dates of --distrust-after and --remove-after stay in force in\n"
        "later versions until you give another date, or `none`. A certificate is named by its\n"
        "SHA-256, with or without colons, or by at least the first 16 digits.\n\n"
        "--planned-dates signs the distrust dates of the tables of known roots, which lint and\n"
        "plan show. An earlier date that is signed already stays. Without it, only dates that\n"
        "have passed are signed, of roots that a whole table chose: --select mozilla also takes\n"
        "over Mozilla's restrictions. --distrust-after overrides both.\n\n"
        "--from uses the content of another profile, with the dates signed for it. Use it to move\n"
        "a fleet that still reads an old profile: its next version is the new content. --derive\n"
        "makes rsa and ecc from the new version, for devices that validate one key type only.\n\n"
        "If the newest version has the same certificates, dates and drops, nothing is published\n"
        "and the exit code is 0; only metadata that expires soon is signed again. --again makes a\n"
        "new version all the same.\n\n"
        "The new version is checked as by holdfastctl lint. An error stops it, unless --accept\n"
        "names its code. Certificates that devices cannot use are never accepted; an intermediate\n"
        "needs --allow-intermediate, an unknown root --pin, and a root that is missing --drop.\n\n"
        "--plan signs how fast the new version may reach the fleet (see rollout open). The set\n"
        "needs an online key for its stages: init --rollout, or rollout delegate. PLAN is a file\n"
        "or one of\n\n" HF_ROLLOUT_PRESETS "\n"
        "Each share is of all devices, in an order that differs from bundle to bundle. Without\n"
        "--plan every device installs the new version at once. A file looks like this, and\n"
        "schema/rollout-plan.schema.json explains all members:\n\n"
        "  {\"stages\": [{\"groups\": [\"lab\"], \"bake\": \"1d\"},\n"
        "              {\"share\": \"1%\", \"bake\": \"2d\"},\n"
        "              {\"share\": \"100%\"}],\n"
        "   \"mandatory_after\": \"30d\"}\n\n"
        "Without the keys in KEYS/online the new version is signed but not published. Bring the\n"
        "repository to the machine that has them and run holdfastctl publish.\n\n" HF_CTL_KEY_TEXT,
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
    .options = add_options,
    .needs = {"--repo", "--keys", "--set", "--profile"},
    .max_words = HF_CLI_ANY_WORDS,
    .run = release,
    .variant = ADD,
};

const struct hf_cli_command hf_cmd_bundle_import = {
    .name = "bundle import",
    .summary = "Publish the newest version of a set with more roots in it.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] [CERT…]",
    .about =
        "The certificates of the newest version stay, with their dates. Certificates that it\n"
        "already has are skipped. If nothing is left to add, nothing is published and the exit\n"
        "code is 0.\n\n"
        "CERT is a PEM file, a DER file, or a folder of these; without any, roots come from\n"
        "Debian's package ca-certificates. --select chooses by SHA-256 of a certificate or key\n"
        "(16 digits or more), by a part of the subject, or by the name of a table of known roots:\n"
        "amazon, amazon-eu, azure, google, letsencrypt, mozilla, or one given with --roots.\n"
        "Expired roots of a table are left out.\n\n"
        "A root that is in no table and in no bundle signed before needs --pin. The new version\n"
        "is checked by lint, as in bundle add.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl bundle import --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full --select 'Starfield Services'\n"
                "  holdfastctl bundle import --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set factory --profile full --pin 3f9a12c7d04be581 factory-root.pem\n",
    .options = import_options,
    .needs = {"--repo", "--keys", "--set", "--profile"},
    .max_words = HF_CLI_ANY_WORDS,
    .run = release,
    .variant = IMPORT,
};

const struct hf_cli_command hf_cmd_bundle_remove = {
    .name = "bundle remove",
    .summary = "Publish the newest version of a set without some of its roots.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] WHAT…",
    .about =
        "WHAT is the SHA-256 of a certificate or key (16 digits or more), a part of a subject,\n"
        "or the name of a table of known roots. All certificates that match are removed. A\n"
        "device keeps a root that an endpoint needs unless the new version says that the root is\n"
        "dropped. So confirm each drop, on the terminal or with --drop. The other roots keep\n"
        "their dates. Lint checks the new version as in bundle add. If an earlier version held\n"
        "WHAT and the newest does not, nothing is published and the exit code is "
        "0.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl bundle remove --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full 568d6905a2c88708\n"
                "  holdfastctl bundle remove --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set azure --profile full --drop all 'DigiCert Global Root CA'\n",
    .options = remove_options,
    .needs = {"--repo", "--keys", "--set", "--profile"},
    .needs_word = "what to remove",
    .max_words = HF_CLI_ANY_WORDS,
    .run = release,
    .variant = REMOVE,
};
