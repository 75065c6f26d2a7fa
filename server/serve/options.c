#include "server/serve/options.h"

#include "common/cli/cli.h"
#include "server/http/limits.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: holdfastd --repo DIR --listen ADDRESS:PORT [OPTION...]\n"
    "\n"
    "Serves a TUF repository over HTTP: DIR/metadata and DIR/targets under the same names, and\n"
    "/healthz. What is published is served within a second, and only when it is whole.\n"
    "\n"
    "Options:\n"
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
    "Signals: TERM and INT finish the answers under way, then end; HUP looks at the repository\n"
    "at once and opens the access log anew.\n"
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

/* As popt reads them; popt allocates the texts. */
struct raw {
    char *repo, *listen, *state, *access_log;
    int loops, max_connections, max_per_address, header_timeout, idle_timeout;
    int must_wait, wants_version, wants_help;
};

static void free_raw(struct raw *raw)
{
    free(raw->repo);
    free(raw->listen);
    free(raw->state);
    free(raw->access_log);
}

static enum hf_err check_number(const char *name, int value, unsigned max, unsigned *out,
                                struct hf_why *why)
{
    if (value < 1 || (unsigned)value > max)
        return hf_fail(why, HF_E_ARGUMENT, "--%s: expected a number from 1 to %u, found %d", name,
                       max, value);
    *out = (unsigned)value;
    return HF_OK;
}

static enum hf_err check_numbers(const struct raw *raw, struct hf_serve_options *out,
                                 struct hf_why *why)
{
    const unsigned day_s = 86400;
    HF_TRY(check_number("loops", raw->loops, HF_HTTP_LOOPS_MAX, &out->loops, why));
    HF_TRY(check_number("max-connections", raw->max_connections, HF_HTTP_CONNECTIONS_MAX,
                        &out->connections_max, why));
    HF_TRY(check_number("max-per-address", raw->max_per_address, HF_HTTP_CONNECTIONS_MAX,
                        &out->per_address_max, why));
    HF_TRY(check_number("header-timeout", raw->header_timeout, day_s, &out->header_timeout_s, why));
    return check_number("idle-timeout", raw->idle_timeout, day_s, &out->idle_timeout_s, why);
}

static char *move(char **text)
{
    char *moved = *text;
    *text = NULL;
    return moved;
}

static enum hf_err check(struct raw *raw, struct hf_serve_options *out, struct hf_why *why)
{
    if (raw->repo == NULL || raw->repo[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "--repo DIR is missing: the repository to serve");
    if (raw->listen == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--listen ADDRESS:PORT is missing");
    HF_TRY(hf_address_parse(raw->listen, &out->listen, why));
    if (raw->state != NULL && raw->state[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "--state: the name of the folder is empty");
    if (raw->access_log != NULL && raw->access_log[0] == '\0')
        return hf_fail(why, HF_E_ARGUMENT, "--access-log: the name of the file is empty");
    HF_TRY(check_numbers(raw, out, why));
    out->must_wait = raw->must_wait != 0;
    out->repo = move(&raw->repo);
    out->state = move(&raw->state);
    if (raw->access_log != NULL && strcmp(raw->access_log, "off") != 0)
        out->access_log = move(&raw->access_log);
    return HF_OK;
}

/* What stands there instead of an option that does not exist, and what was probably meant. */
static void fail_unknown(const struct poptOption *table, const char *typed, struct hf_why *why)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(typed, "="), typed);
    const char *nearest = NULL;
    for (const struct poptOption *o = table; o->longName != NULL; o++)
        if (nearest == NULL && hf_cli_is_slip(name + strspn(name, "-"), o->longName))
            nearest = o->longName;
    if (nearest != NULL)
        (void)hf_fail(why, HF_E_ARGUMENT, "%s: unknown option. Did you mean --%s?", name, nearest);
    else
        (void)hf_fail(why, HF_E_ARGUMENT, "%s: unknown option. See `holdfastd --help`", name);
}

/* popt names the option, or for a number that is none only the text given for it. */
static void fail_option(poptContext context, const struct poptOption *table, int rc,
                        struct hf_why *why)
{
    const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    if (rc == POPT_ERROR_BADOPT)
        fail_unknown(table, bad, why);
    else if (rc == POPT_ERROR_BADNUMBER || rc == POPT_ERROR_OVERFLOW)
        (void)hf_fail(why, HF_E_ARGUMENT,
                      "\"%s\": expected a whole number, as --loops, --max-connections, "
                      "--max-per-address and the timeouts are. See `holdfastd --help`",
                      bad);
    else
        (void)hf_fail(why, HF_E_ARGUMENT, "%s: %s. See `holdfastd --help`", bad, poptStrerror(rc));
}

static enum hf_options_end read_all(poptContext context, const struct poptOption *table,
                                    struct raw *raw, struct hf_serve_options *out,
                                    struct hf_why *why)
{
    int rc = poptGetNextOpt(context);
    if (rc < -1) {
        fail_option(context, table, rc, why);
        return HF_OPTIONS_WRONG;
    }
    const char *rest = poptGetArg(context);
    bool is_help = rest != NULL && strcmp(rest, "help") == 0 && poptPeekArg(context) == NULL;
    if (raw->wants_help != 0 || raw->wants_version != 0 || is_help) {
        (void)fputs(raw->wants_version != 0 ? "holdfastd " HF_VERSION "\n" : help, stdout);
        return HF_OPTIONS_DONE;
    }
    if (rest != NULL) {
        (void)hf_fail(why, HF_E_ARGUMENT, "unexpected argument \"%s\". See `holdfastd --help`",
                      rest);
        return HF_OPTIONS_WRONG;
    }
    return check(raw, out, why) == HF_OK ? HF_OPTIONS_RUN : HF_OPTIONS_WRONG;
}

static int default_loops(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 1)
        return 1;
    return cores > (long)HF_HTTP_LOOPS_MAX ? (int)HF_HTTP_LOOPS_MAX : (int)cores;
}

enum hf_options_end hf_serve_options_parse(int argc, const char **argv,
                                           struct hf_serve_options *out, struct hf_why *why)
{
    struct raw raw = {
        .loops = default_loops(),
        .max_connections = (int)HF_HTTP_CONNECTIONS_DEFAULT,
        .max_per_address = (int)HF_HTTP_PER_ADDRESS_DEFAULT,
        .header_timeout = (int)(HF_HTTP_HEADER_TIMEOUT_MS / 1000),
        .idle_timeout = (int)(HF_HTTP_IDLE_TIMEOUT_MS / 1000),
    };
    const struct poptOption table[] =
        {{"repo", '\0', POPT_ARG_STRING, &raw.repo, 0, NULL, NULL},
         {"wait", '\0', POPT_ARG_NONE, &raw.must_wait, 0, NULL, NULL},
         {"listen", '\0', POPT_ARG_STRING, &raw.listen, 0, NULL, NULL},
         {"state", '\0', POPT_ARG_STRING, &raw.state, 0, NULL, NULL},
         {"loops", '\0', POPT_ARG_INT, &raw.loops, 0, NULL, NULL},
         {"access-log", '\0', POPT_ARG_STRING, &raw.access_log, 0, NULL, NULL},
         {"max-connections", '\0', POPT_ARG_INT, &raw.max_connections, 0, NULL, NULL},
         {"max-per-address", '\0', POPT_ARG_INT, &raw.max_per_address, 0, NULL, NULL},
         {"header-timeout", '\0', POPT_ARG_INT, &raw.header_timeout, 0, NULL, NULL},
         {"idle-timeout", '\0', POPT_ARG_INT, &raw.idle_timeout, 0, NULL, NULL},
         {"version", 'V', POPT_ARG_NONE, &raw.wants_version, 0, NULL, NULL},
         {"help", 'h', POPT_ARG_NONE, &raw.wants_help, 0, NULL, NULL},
         POPT_TABLEEND};
    *out = (struct hf_serve_options){0};
    poptContext context = poptGetContext("holdfastd", argc, argv, table, 0);
    enum hf_options_end end = read_all(context, table, &raw, out, why);
    poptFreeContext(context);
    free_raw(&raw);
    return end;
}

void hf_serve_options_free(struct hf_serve_options *options)
{
    free(options->repo);
    free(options->state);
    free(options->access_log);
    *options = (struct hf_serve_options){0};
}
