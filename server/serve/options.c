#include "server/serve/options.h"

#include "common/cli/cli.h"
#include "server/http/limits.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: holdfastd {--repo DIR --listen ADDRESS:PORT [OPTION...]|--config FILE}\n"
    "\n"
    "Serves a TUF repository over HTTP: DIR/metadata and DIR/targets under the same names, and\n"
    "/healthz. What is published is served within a second, and only when it is whole.\n"
    "\n"
    "With a configuration file it also is the fleet service: devices enrol and identify\n"
    "themselves over TLS, and operators steer it with holdfast-admin.\n"
    "\n"
    "Options:\n"
    "      --config=FILE            all settings of the service; no other option beside it\n"
    "      --check-config=FILE      say whether the file is right, and the repository, users and\n"
    "                               certificates that it names are there, and stop\n"
    "      --repo=DIR               the repository, as holdfastctl makes it\n"
    "      --wait                   start also when there is no repository in DIR yet: answer 503\n"
    "                               until there is one\n"
    "      --listen=ADDRESS:PORT    in numbers; with port 0 the system chooses a free port, and\n"
    "                               the log names it\n"
    "      --state=DIR              the server's own folder, made if missing. It remembers the\n"
    "                               newest metadata that was served, so that a restart serves\n"
    "                               nothing older. Locked: two servers cannot share it\n"
    "      --loops=N                event loops, one thread each (default: one a core)\n"
    "      --access-log=FILE|-|off  JSON lines to FILE (may be a named pipe) or standard output\n"
    "                               (default: off)\n"
    "      --max-connections=N      at once, shared out over the loops (default: 65536)\n"
    "      --max-per-address=N      connections at once from one IPv4 address or one IPv6 /64\n"
    "                               network; further ones are closed (default: 1024). Raise it\n"
    "                               behind a proxy, which is the only address then\n"
    "      --header-timeout=SECONDS longest time for a request's head to arrive (default: 10)\n"
    "      --idle-timeout=SECONDS   longest silence between two requests (default: 60)\n"
    "  -V, --version                print the version and stop\n"
    "  -h, --help                   print this help and stop; so does `holdfastd help`\n"
    "\n"
    "Signals: TERM and INT finish the answers under way, then end; HUP reads the repository\n"
    "at once, opens the access log again, and takes what has changed in the configuration\n"
    "file, if all of it is right; the log names what needs a restart.\n"
    "\n"
    "Environment: nothing needs to be set. Under systemd, NOTIFY_SOCKET and WATCHDOG_USEC are "
    "used\n"
    "as in sd_notify(3), and JOURNAL_STREAM makes log lines begin with their priority, such as\n"
    "<6>. Elsewhere they begin with time and level.\n"
    "\n"
    "Examples:\n"
    "  holdfastd --repo /srv/roots --listen 127.0.0.1:8080\n"
    "  holdfastd --repo /srv/roots --listen [::]:80 --access-log /var/log/holdfastd.jsonl\n"
    "\n"
    "Exit code: 0 ended by a signal, 1 failed (one sentence on standard error says why),\n"
    "2 usage error\n";

#define AT(member) offsetof(struct hf_serve_options, member)
#define DEFAULT_LOOPS INT_MIN /* one a core */

/* What they are about stands in the help. */
static const struct hf_cli_option rows[] = {
    {"repo", '\0', HF_CLI_TEXT, AT(repo)},
    {"config", '\0', HF_CLI_TEXT, AT(config)},
    {"check-config", '\0', HF_CLI_TEXT, AT(check_config)},
    {"wait", '\0', HF_CLI_FLAG, AT(must_wait)},
    {"listen", '\0', HF_CLI_TEXT, AT(listen_text)},
    {"state", '\0', HF_CLI_TEXT, AT(state)},
    {"loops", '\0', HF_CLI_INT, AT(loops), .preset = DEFAULT_LOOPS},
    {"access-log", '\0', HF_CLI_TEXT, AT(access_log)},
    {"max-connections", '\0', HF_CLI_INT, AT(connections_max),
     .preset = HF_HTTP_CONNECTIONS_DEFAULT},
    {"max-per-address", '\0', HF_CLI_INT, AT(per_address_max),
     .preset = HF_HTTP_PER_ADDRESS_DEFAULT},
    {"header-timeout", '\0', HF_CLI_INT, AT(header_timeout_s),
     .preset = HF_HTTP_HEADER_TIMEOUT_MS / 1000},
    {"idle-timeout", '\0', HF_CLI_INT, AT(idle_timeout_s),
     .preset = HF_HTTP_IDLE_TIMEOUT_MS / 1000},
    {"version", 'V', HF_CLI_VERSION},
    {"help", 'h', HF_CLI_HELP},
    HF_CLI_END,
};

/* One a core. */
static unsigned default_loops(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned loops = cores < 1 ? 1 : (unsigned)cores;
    return loops > HF_HTTP_LOOPS_MAX ? HF_HTTP_LOOPS_MAX : loops;
}

/* Is the option that names a configuration the only one? */
static bool is_only_option(const struct hf_serve_options *o)
{
    unsigned n_texts = 0;
    for (const struct hf_cli_option *row = rows; row->kind != HF_CLI_ROWS_END; row++) {
        const char *at = (const char *)o + row->at;
        if (row->kind == HF_CLI_INT && *(const int *)(const void *)at != row->preset)
            return false;
        n_texts += row->kind == HF_CLI_TEXT && *(char *const *)(const void *)at != NULL;
    }
    return n_texts == 1 && !o->must_wait;
}

static enum hf_err check(struct hf_serve_options *o, struct hf_why *why)
{
    const char *file = o->config != NULL ? o->config : o->check_config;
    if (file != NULL) {
        bool is_alone = is_only_option(o);
        if (is_alone && file[0] != '\0')
            return HF_OK;
        return hf_fail(why, HF_E_ARGUMENT,
                       is_alone ? "--config: the name of the file is empty"
                                : "--config and --check-config stand alone: the file has all "
                                  "settings");
    }
    if (o->repo == NULL || o->repo[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "--repo DIR is missing: the repository to serve");
    if (o->listen_text == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--listen ADDRESS:PORT is missing");
    if (hf_address_parse(o->listen_text, &o->listen, why) != HF_OK)
        return hf_fail_context(why, "--listen");
    if (o->state != NULL && o->state[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "--state: the name of the folder is empty");
    if (o->access_log != NULL && o->access_log[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "--access-log: the name of the file is empty");
    if ((int)o->loops == DEFAULT_LOOPS)
        o->loops = default_loops();
    const struct {
        const char *name;
        unsigned value, max;
    } numbers[] = {
        {"loops", o->loops, HF_HTTP_LOOPS_MAX},
        {"max-connections", o->connections_max, HF_HTTP_CONNECTIONS_MAX},
        {"max-per-address", o->per_address_max, HF_HTTP_CONNECTIONS_MAX},
        {"header-timeout", o->header_timeout_s, 86400},
        {"idle-timeout", o->idle_timeout_s, 86400},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].value < 1 || numbers[i].value > numbers[i].max)
            return hf_fail(why, HF_E_ARGUMENT, "--%s: expected a number from 1 to %u, found %d",
                           numbers[i].name, numbers[i].max, (int)numbers[i].value);
    if (o->access_log != NULL && strcmp(o->access_log, "off") == 0) {
        free(o->access_log);
        o->access_log = NULL;
    }
    return HF_OK;
}

static enum hf_err copy_text(const char *text, char **out, struct hf_why *why)
{
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL ? HF_OK
                                        : hf_fail(why, HF_E_MEMORY, "no memory for options");
}

enum hf_err hf_serve_options_from_config(struct hf_serve_options *o, const struct hf_config *config,
                                         struct hf_why *why)
{
    const char *log = config->server.access_log;
    HF_TRY(copy_text(config->repository.path, &o->repo, why));
    HF_TRY(copy_text(config->server.state, &o->state, why));
    HF_TRY(copy_text(config->http.listen, &o->listen_text, why));
    HF_TRY(copy_text(log != NULL ? log : "off", &o->access_log, why));
    if (o->listen_text != NULL && hf_address_parse(o->listen_text, &o->listen, why) != HF_OK)
        return hf_fail_context(why, "[http] listen");
    o->loops = config->server.loops == 0 ? default_loops() : (unsigned)config->server.loops;
    o->connections_max = (unsigned)config->server.max_connections;
    o->per_address_max = (unsigned)config->server.max_per_address;
    o->header_timeout_s = (unsigned)config->server.header_timeout_s;
    o->idle_timeout_s = (unsigned)config->server.idle_timeout_s;
    return HF_OK;
}

static enum hf_err fail_option(const struct hf_cli_line *line, struct hf_why *why)
{
    if (line->is_bad_number)
        return hf_fail(why, HF_E_ARGUMENT,
                       "\"%s\": expected a whole number, as --loops, --max-connections, "
                       "--max-per-address and the timeouts are. See `holdfastd --help`",
                       line->bad);
    return hf_fail(why, HF_E_ARGUMENT, "%s: %s. See `holdfastd --help`", line->bad, line->fault);
}

int hf_serve_options_parse(int argc, const char **argv, struct hf_serve_options *out)
{
    struct hf_cli_line line;
    struct hf_why why;
    enum hf_err err = HF_OK;
    int exit_code = -1;

    *out = (struct hf_serve_options){0};
    enum hf_cli_asked asked = hf_cli_line_parse(&line, rows, out, argc, argv, false);
    if (asked == HF_CLI_ASKED_NOTHING && line.n_words == 1 && strcmp(line.words[0], "help") == 0)
        asked = HF_CLI_ASKED_HELP;
    if (asked == HF_CLI_ASKED_HELP || asked == HF_CLI_ASKED_VERSION) {
        (void)fputs(asked == HF_CLI_ASKED_HELP ? help : "holdfastd " HF_VERSION "\n", stdout);
        exit_code = HF_EXIT_OK;
    } else if (asked == HF_CLI_WRONG) {
        err = fail_option(&line, &why);
    } else if (line.n_words > 0) {
        err = hf_fail(&why, HF_E_ARGUMENT, "unexpected argument \"%s\". See `holdfastd --help`",
                      line.words[0]);
    } else {
        err = check(out, &why);
    }
    hf_cli_line_free(&line);
    if (exit_code == HF_EXIT_OK && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        (void)fputs("holdfastd: standard output could not be written\n", stderr);
        exit_code = HF_EXIT_FAILED;
    }
    if (err != HF_OK) {
        (void)fprintf(stderr, "holdfastd: %s\n", why.text);
        exit_code = HF_EXIT_USAGE;
    }
    if (exit_code >= 0)
        hf_serve_options_free(out);
    return exit_code;
}

void hf_serve_options_free(struct hf_serve_options *options)
{
    hf_cli_values_free(rows, options);
    *options = (struct hf_serve_options){0};
}
