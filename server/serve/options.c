#include "server/serve/options.h"

#include "server/serve/limits.h"

#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As popt reads them; popt allocates the texts. */
struct raw {
    char *repo, *listen, *state, *access_log;
    int loops, max_connections, header_timeout, idle_timeout;
    int wants_version;
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
        return hf_fail(why, HF_E_ARGUMENT, "--%s is a number from 1 to %u, not %d", name, max,
                       value);
    *out = (unsigned)value;
    return HF_OK;
}

static enum hf_err check_numbers(const struct raw *raw, struct hf_serve_options *out,
                                 struct hf_why *why)
{
    const unsigned day_s = 86400;
    HF_TRY(check_number("loops", raw->loops, HF_SERVE_LOOPS_MAX, &out->loops, why));
    HF_TRY(check_number("max-connections", raw->max_connections, HF_SERVE_CONNECTIONS_MAX,
                        &out->connections_max, why));
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
    if (raw->repo == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--repo DIR is missing: the repository to serve");
    if (raw->listen == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--listen ADDRESS:PORT is missing");
    HF_TRY(hf_address_parse(raw->listen, &out->listen, why));
    HF_TRY(check_numbers(raw, out, why));
    out->repo = move(&raw->repo);
    out->state = move(&raw->state);
    if (raw->access_log != NULL && strcmp(raw->access_log, "off") != 0)
        out->access_log = move(&raw->access_log);
    return HF_OK;
}

/* popt names the option, or for a number that is none only the text given for it. */
static void fail_option(poptContext context, int rc, struct hf_why *why)
{
    const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    if (rc == POPT_ERROR_BADNUMBER || rc == POPT_ERROR_OVERFLOW)
        (void)hf_fail(why, HF_E_ARGUMENT,
                      "'%s' is not a whole number, which --loops, --max-connections and the "
                      "timeouts are; see --help",
                      bad);
    else
        (void)hf_fail(why, HF_E_ARGUMENT, "%s: %s; see --help", bad, poptStrerror(rc));
}

static enum hf_options_end read_all(poptContext context, struct raw *raw,
                                    struct hf_serve_options *out, struct hf_why *why)
{
    int rc = poptGetNextOpt(context);
    const char *rest = poptPeekArg(context);
    if (rc < -1) {
        fail_option(context, rc, why);
        return HF_OPTIONS_WRONG;
    }
    if (raw->wants_version != 0) {
        printf("holdfastd %s\n", HF_VERSION);
        return HF_OPTIONS_DONE;
    }
    if (rest != NULL) {
        (void)hf_fail(why, HF_E_ARGUMENT, "'%s' is not an option; see --help", rest);
        return HF_OPTIONS_WRONG;
    }
    return check(raw, out, why) == HF_OK ? HF_OPTIONS_RUN : HF_OPTIONS_WRONG;
}

enum hf_options_end hf_serve_options_parse(int argc, const char **argv,
                                           struct hf_serve_options *out, struct hf_why *why)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct raw raw = {
        .loops = cores < 1                          ? 1
                 : cores > (long)HF_SERVE_LOOPS_MAX ? (int)HF_SERVE_LOOPS_MAX
                                                    : (int)cores,
        .max_connections = (int)HF_SERVE_CONNECTIONS_DEFAULT,
        .header_timeout = (int)(HF_SERVE_HEADER_TIMEOUT_MS / 1000),
        .idle_timeout = (int)(HF_SERVE_IDLE_TIMEOUT_MS / 1000),
    };
    const struct poptOption table[] =
        {{"repo", '\0', POPT_ARG_STRING, &raw.repo, 0,
          "the TUF repository to serve: the folder that holds metadata/ and targets/", "DIR"},
         {"listen", '\0', POPT_ARG_STRING, &raw.listen, 0,
          "where to listen, in numbers; port 0 takes a free one and says which", "ADDRESS:PORT"},
         {"state", '\0', POPT_ARG_STRING, &raw.state, 0,
          "folder of the server's own, made if missing; locked, so that no two share it", "DIR"},
         {"loops", '\0', POPT_ARG_INT, &raw.loops, 0, "event loops, one thread each (one a core)",
          "N"},
         {"access-log", '\0', POPT_ARG_STRING, &raw.access_log, 0,
          "JSON lines to FILE, or to standard output with '-' (off)", "FILE|-|off"},
         {"max-connections", '\0', POPT_ARG_INT, &raw.max_connections, 0,
          "connections at once, shared out over the loops (65536)", "N"},
         {"header-timeout", '\0', POPT_ARG_INT, &raw.header_timeout, 0,
          "longest time for a request's head to arrive (10)", "SECONDS"},
         {"idle-timeout", '\0', POPT_ARG_INT, &raw.idle_timeout, 0,
          "longest silence between two requests (60)", "SECONDS"},
         {"version", '\0', POPT_ARG_NONE, &raw.wants_version, 0, "print the version", NULL},
         POPT_AUTOHELP POPT_TABLEEND};
    *out = (struct hf_serve_options){0};
    poptContext context = poptGetContext("holdfastd", argc, argv, table, 0);
    enum hf_options_end end = read_all(context, &raw, out, why);
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
