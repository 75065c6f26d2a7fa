/* holdfast-signer: holds the online keys and the device CAs, has no network. Its commands and its
 * help. */
#include "common/base/timetext.h"
#include "common/cli/cli.h"
#include "common/json/json.h"
#include "server/repository/base/public_key.h"
#include "server/signer/service.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

struct options {
    char *config;
    char *account;
    char *reason;
    int days;
};

#define AT(member) offsetof(struct options, member)
#define CONFIG_ROW                                                                                 \
    {                                                                                              \
        "config", '\0', HF_CLI_TEXT, AT(config),                                                   \
            "the service's configuration (default: " HF_CONFIG_PATH ")", "FILE"                    \
    }
#define EXITS "Exit codes: 0 success, 1 refused or failed, 2 usage error\n"

static const struct hf_cli_option config_options[] = {CONFIG_ROW, HF_CLI_HELP_ROW, HF_CLI_END};

static const char *config_path(const struct options *o)
{
    return o->config != NULL ? o->config : HF_CONFIG_PATH;
}

/* ---- init, ca new ---------------------------------------------------------------------------- */

static enum hf_err make(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_config config;
    struct hf_signer signer;
    HF_TRY(hf_signer_read_config(config_path(call->values), &config, why));
    enum hf_err err = hf_signer_make(&config, why);
    if (err == HF_OK)
        err = hf_signer_open(&config, &signer, why);
    if (err == HF_OK) {
        printf("made %s; the log key, which verifies the log's seals offline, is\n  %s\n",
               config.signer.state,
               json_string_value(
                   json_object_get(json_object_get(signer.log_key.public_key, "keyval"),
                                   "public")));
        hf_signer_close(&signer);
    }
    hf_config_free(&config);
    return err;
}

static const struct hf_cli_command cmd_init = {
    .name = "init",
    .summary = "Make the signer's state folder and its log key.",
    .arguments = "[--config FILE]",
    .about = "Run it once, as the user that the signer runs as. The public part of the log key is\n"
             "printed: keep it where the log is verified (holdfast-admin log verify --key).",
    .examples = "  holdfast-signer init\n",
    .options = config_options,
    .run = make,
};

static enum hf_err make_ca(struct hf_cli_call *call, struct hf_why *why)
{
    const struct options *o = call->values;
    struct hf_config config;
    HF_TRY(hf_signer_read_config(config_path(o), &config, why));
    enum hf_err err = hf_signer_make_ca(&config, call->words[0], o->account, o->days, time(NULL),
                                        why);
    if (err == HF_OK)
        printf("made the device CA %s for account %s: %s/device-ca/%s.pem\n", call->words[0],
               o->account, config.signer.state, call->words[0]);
    hf_config_free(&config);
    return err;
}

static const struct hf_cli_option ca_options[] = {
    CONFIG_ROW,
    {"account", '\0', HF_CLI_TEXT, AT(account), "the account whose devices it is for", "NAME"},
    {"days", '\0', HF_CLI_INT, AT(days), "how long it is valid; at most until 2049-12-31", "N",
     .preset = 36500, .shows_preset = true, .min = 1, .max = 36500},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

static const struct hf_cli_command cmd_ca_new = {
    .name = "ca new",
    .summary = "Make a device CA, which issues the certificates of an account's devices.",
    .arguments = "NAME --account NAME [--days N] [--config FILE]",
    .about =
        "Its private key (ECDSA P-256) stays in the signer's state folder. The service can use it\n"
        "at once; no restart is needed. To replace a CA, make a new one, and let the account\n"
        "issue from it (holdfast-admin account).",
    .examples = "  holdfast-signer ca new pumps-2026 --account pumps\n",
    .options = ca_options,
    .needs = {"--account NAME"},
    .needs_word = "the name of the new CA",
    .max_words = 1,
    .run = make_ca,
};

/* ---- log restart ----------------------------------------------------------------------------- */

static enum hf_err restart_log(struct hf_cli_call *call, struct hf_why *why)
{
    const struct options *o = call->values;
    struct hf_config config;
    struct hf_signer signer;
    struct hf_audit_head lost;
    HF_TRY(hf_signer_read_config(config_path(o), &config, why));
    enum hf_err err = hf_signer_open(&config, &signer, why);
    if (err == HF_OK) {
        err = hf_signer_restart_log(&signer, o->reason, time(NULL), &lost, why);
        hf_signer_close(&signer);
    }
    if (err == HF_OK)
        printf("the log may go on without the entries that were sealed up to entry %" PRId64 "\n",
               lost.sequence);
    hf_config_free(&config);
    return err;
}

static const struct hf_cli_option restart_options[] = {
    CONFIG_ROW,
    {"reason", '\0', HF_CLI_TEXT, AT(reason), "what happened, for the readers of the log", "TEXT"},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

static const struct hf_cli_command cmd_log_restart = {
    .name = "log restart",
    .summary = "Let the audit log go on after sealed entries of it are lost.",
    .arguments = "--reason TEXT [--config FILE]",
    .about =
        "For the day on which the database is lost and the backup lacks entries that this signer\n"
        "sealed. It then refuses to seal the log, as it would for a log that an attacker cut. "
        "This\n"
        "command signs a statement of what is lost, which becomes an entry of the log: `log\n"
        "verify` shows it as a gap for ever. Look for a newer backup, and for a copy of the log\n"
        "(holdfast-admin log export), before you run it. Stop holdfast-signer first.",
    .examples = "  holdfast-signer log restart --reason \"disk lost, backup of 2026-11-28\"\n",
    .options = restart_options,
    .needs = {"--reason TEXT"},
    .run = restart_log,
};

/* ---- run ------------------------------------------------------------------------------------- */

static enum hf_err serve(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_config config;
    struct hf_signer signer;
    HF_TRY(hf_signer_read_config(config_path(call->values), &config, why));
    enum hf_err err = hf_signer_open(&config, &signer, why);
    if (err == HF_OK) {
        err = hf_signer_serve(&signer, config_path(call->values), why);
        hf_signer_close(&signer);
    }
    hf_config_free(&config);
    return err;
}

static const struct hf_cli_command cmd_run = {
    .name = "run",
    .summary = "Sign on request, and sign timestamps on time, until SIGTERM.",
    .arguments = "[--config FILE]",
    .about = "Answers holdfastd over a Unix socket, whose other end must be the configured user.\n"
             "It signs the timestamp again and again, also without any client; so\n"
             "holdfast-refresh.timer is not needed where it runs. SIGHUP takes changed quotas and\n"
             "timestamp_every from the file; the log names what needs a restart.",
    .examples = "  holdfast-signer run --config /etc/holdfast/holdfast.conf\n",
    .options = config_options,
    .run = serve,
};

/* ---- the program ----------------------------------------------------------------------------- */

static const struct hf_cli_command *const commands[] = {&cmd_init, &cmd_ca_new, &cmd_log_restart,
                                                        &cmd_run};

static const char help[] =
    "Usage: holdfast-signer COMMAND [OPTION…]\n\n"
    "Holds the keys of the fleet service: the online keys of the repository, the device CAs and\n"
    "the key that seals the audit log. It needs no network.\n";

static const char help_after[] =
    "\nholdfast-signer COMMAND --help says more about each, with examples.\n\n"
    "Options:\n"
    "  -h, --help     show this help; holdfast-signer help COMMAND shows that of a command\n"
    "  -V, --version  show the version\n\n" EXITS;

static const struct hf_cli_option options[] = {{"version", 'V', HF_CLI_VERSION},
                                               HF_CLI_HELP_ROW,
                                               HF_CLI_END};
static struct options before_command;

static const struct hf_cli_program program = {
    .name = "holdfast-signer",
    .version = HF_VERSION,
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .values_size = sizeof(struct options),
    .name_width = 12,
    .help = help,
    .help_after = help_after,
    .exit_codes = EXITS,
    .shows_summaries = true,
    .options = options,
    .values = &before_command,
};

int main(int argc, const char **argv)
{
    if (sodium_init() < 0)
        return HF_EXIT_FAILED;
    hf_json_seed(randombytes_random());
    return hf_cli_main(&program, argc, argv);
}
