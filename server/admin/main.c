/* holdfast-admin: the operator's command line. Its commands and its help. */
#include "server/admin/api.h"
#include "server/admin/commands.h"

#include "common/cli/report.h"
#include "common/json/json.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define EXITS "Exit codes: 0 success, 1 refused or failed, 2 usage error\n"

static const char help[] =
    "Usage: holdfast-admin COMMAND [OPTION…]\n\n"
    "Steers the fleet service: accounts, CAs, certificates, tokens, devices and what they report,\n"
    "findings, rollouts, publications and the audit log. On the machine of the service it uses "
    "the\n"
    "admin socket, elsewhere https with a token.\n";

static const char help_after[] =
    "\nholdfast-admin COMMAND --help says more about each, with examples.\n\n"
    "From an empty service to a first device:\n"
    "  holdfast-admin account create pumps --sni pumps.roots.example\n"
    "  holdfast-admin ca register --account pumps --signer-ca pumps-2026\n"
    "  holdfast-admin enroll-token create --account pumps --uses 200\n\n"
    "Options:\n"
    "  -h, --help     show this help; holdfast-admin help COMMAND shows that of a command\n"
    "  -V, --version  show the version\n"
    "  -v, --verbose  log each request to standard error (also after the command)\n\n" EXITS;

static const struct hf_cli_option options[] = {{"version", 'V', HF_CLI_VERSION},
                                               {"verbose", 'v', HF_CLI_VERBOSE},
                                               HF_CLI_HELP_ROW,
                                               HF_CLI_END};
static struct hf_admin_options before_command;

/* Behind the last command of its subject, the first word of its name; else at the end. */
static void insert(const struct hf_cli_command **commands, size_t *n,
                   const struct hf_cli_command *command)
{
    size_t len = strcspn(command->name, " "), at = *n;
    for (size_t i = 0; i < *n; i++)
        if (strncmp(commands[i]->name, command->name, len) == 0 && commands[i]->name[len] == ' ')
            at = i + 1;
    memmove(&commands[at + 1], &commands[at], (*n - at) * sizeof(const struct hf_cli_command *));
    commands[at] = command;
    ++*n;
}

int main(int argc, const char **argv)
{
    static const struct hf_cli_command *const more[] =
        {&hf_admin_publish,         &hf_admin_log_export,      &hf_admin_log_verify,
         &hf_admin_device_explain,  &hf_admin_fleet_show,      &hf_admin_fleet_readiness,
         &hf_admin_fleet_watch,     &hf_admin_status,          &hf_admin_rollout_list,
         &hf_admin_rollout_show,    &hf_admin_rollout_watch,   &hf_admin_rollout_pause,
         &hf_admin_rollout_resume,  &hf_admin_rollout_promote, &hf_admin_rollout_abort,
         &hf_admin_rollout_approve, &hf_admin_rollout_exclude, &hf_admin_rollout_include};
    const size_t n_more = sizeof more / sizeof more[0];
    size_t n = hf_admin_n_rows;
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return HF_EXIT_FAILED;
    hf_json_seed(randombytes_random());
    const struct hf_cli_command **commands = calloc(hf_admin_n_rows + n_more, sizeof *commands);
    if (commands == NULL)
        return HF_EXIT_FAILED;
    for (size_t i = 0; i < hf_admin_n_rows; i++)
        commands[i] = &hf_admin_rows[i].cli;
    for (size_t i = 0; i < n_more; i++)
        insert(commands, &n, more[i]);
    const struct hf_cli_program program = {
        .name = "holdfast-admin",
        .version = HF_VERSION,
        .commands = commands,
        .n_commands = n,
        .values_size = sizeof(struct hf_admin_options),
        .name_width = 28,
        .help = help,
        .help_after = help_after,
        .exit_codes = EXITS,
        .shows_summaries = true,
        .options = options,
        .values = &before_command,
        .on_verbose = hf_admin_log_requests,
    };
    int code = hf_cli_main(&program, argc, argv);
    free(commands);
    curl_global_cleanup();
    return code;
}
