/* holdfastctl: its commands and its help. */
#include "server/publish/commands/ctl.h"
#include "server/repository/base/terminal.h"

/* In the order of help. */
static const struct hf_cli_command *const commands[] = {&hf_cmd_init,
                                                        &hf_cmd_bundle_add,
                                                        &hf_cmd_bundle_import,
                                                        &hf_cmd_bundle_remove,
                                                        &hf_cmd_bundle_unlist,
                                                        &hf_cmd_bundle_list,
                                                        &hf_cmd_bundle_diff,
                                                        &hf_cmd_lint,
                                                        &hf_cmd_plan,
                                                        &hf_cmd_publish,
                                                        &hf_cmd_refresh,
                                                        &hf_cmd_check,
                                                        &hf_cmd_mirror,
                                                        &hf_cmd_rollout_delegate,
                                                        &hf_cmd_rollout_open,
                                                        &hf_cmd_rollout_step,
                                                        &hf_cmd_rollout_pause,
                                                        &hf_cmd_rollout_resume,
                                                        &hf_cmd_rollout_complete,
                                                        &hf_cmd_rollout_abort,
                                                        &hf_cmd_rollout_approve,
                                                        &hf_cmd_rollout_show,
                                                        &hf_cmd_root_draft,
                                                        &hf_cmd_root_add_key,
                                                        &hf_cmd_root_remove_key,
                                                        &hf_cmd_root_set_threshold,
                                                        &hf_cmd_root_status,
                                                        &hf_cmd_root_merge,
                                                        &hf_cmd_root_sign,
                                                        &hf_cmd_root_finish,
                                                        &hf_cmd_targets_draft,
                                                        &hf_cmd_targets_status,
                                                        &hf_cmd_targets_merge,
                                                        &hf_cmd_targets_sign,
                                                        &hf_cmd_targets_finish,
                                                        &hf_cmd_key_generate,
                                                        &hf_cmd_key_import,
                                                        &hf_cmd_key_inspect,
                                                        &hf_cmd_key_change_passphrase};

static const char help[] =
    "Usage: holdfastctl COMMAND [OPTION…]\n\n"
    "Signs bundles of root certificates and publishes them for devices to fetch (TUF "
    "1.0.34).\n";

static const char help_after[] =
    "\nholdfastctl COMMAND --help says more about each, with examples.\n\n"
    "From nothing to a first bundle:\n"
    "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys\n"
    "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
    "      --set amazon-iot --profile full AmazonRootCA*.pem\n"
    "  holdfastctl check --repo /srv/roots\n\n"
    "Options:\n"
    "  -h, --help     show this help; holdfastctl help COMMAND shows that of a command\n"
    "  -V, --version  show the version\n"
    "  -q, --quiet    print no report (also after the command)\n"
    "  -v, --verbose  log each step to standard error (also after the command)\n\n"
    "Environment:\n"
    "  CREDENTIALS_DIRECTORY  a group may read secrets in this folder (set by systemd)\n"
    "  P11_KIT_CONFIG_FILE, SOFTHSM2_CONF  are read by the modules of tokens\n"
    "No other variable counts: lint connects to endpoints directly, without a "
    "proxy.\n\n" HF_CTL_EXITS;

static const struct hf_cli_option options[] = {{"version", 'V', HF_CLI_VERSION},
                                               HF_CTL_HELP,
                                               HF_CLI_END};

static struct hf_ctl_options before_command;

static const struct hf_cli_program program = {
    .name = "holdfastctl",
    .version = HF_VERSION,
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .values_size = sizeof(struct hf_ctl_options),
    .name_width = 22,
    .help = help,
    .help_after = help_after,
    .exit_codes = HF_CTL_EXITS,
    .shows_summaries = true,
    .options = options,
    .values = &before_command,
    .on_verbose = hf_verbose_on,
};

int main(int argc, const char **argv)
{
    return hf_cli_main(&program, argc, argv);
}
