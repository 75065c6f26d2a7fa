/* hf-rollout-sim: rollouts of a simulated fleet, as JSON. README.md says what is simulated. */
#include "common/base/timetext.h"
#include "common/cli/cli.h"
#include "common/json/json.h"
#include "server/publish/bundle/rollout_plan.h"
#include "tests/sim/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define START_S INT64_C(1796115600) /* 2026-12-01T09:00:00Z: nothing depends on the day */
#define DEVICES_MAX 20000000        /* 16 bytes each, and what the ledger takes */
#define RUNS_MAX 1000000

struct values {
    char *plan, *scenario, *rule;
    long long devices, liars, seed, runs;
    bool has_curve;
};

#define AT(member) offsetof(struct values, member)

static const struct hf_cli_option rows[] = {
    {"plan", '\0', HF_CLI_TEXT, AT(plan), "careful, normal, urgent, or a file (default: normal)",
     "NAME"},
    {"scenario", '\0', HF_CLI_TEXT, AT(scenario), "one of those above (default: good)", "NAME"},
    {"rule", '\0', HF_CLI_TEXT, AT(rule), "holdfast, hawkbit or none (default: holdfast)", "NAME"},
    {"devices", '\0', HF_CLI_INT64, AT(devices), "of the fleet", "N", .preset = 100000,
     .shows_preset = true, .min = 1, .max = DEVICES_MAX},
    {"liars", '\0', HF_CLI_INT64, AT(liars),
     "devices that report what is false, in scenarios of that name", "N", .preset = 0, .min = 0,
     .max = DEVICES_MAX},
    {"seed", '\0', HF_CLI_INT64, AT(seed), "of the first run; the others follow", "N", .preset = 1,
     .shows_preset = true, .min = 0, .max = INT64_MAX / 2},
    {"runs", '\0', HF_CLI_INT64, AT(runs),
     "with more than one, each ends when it is paused or complete", "N", .preset = 1,
     .shows_preset = true, .min = 1, .max = RUNS_MAX},
    {"curve", '\0', HF_CLI_FLAG, AT(has_curve), "the numbers of each hour, too"},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

static void print_help(const struct hf_cli_line *line)
{
    printf("Usage: hf-rollout-sim [OPTION...]\n\n"
           "Simulates the rollout of a bundle with the code of the product: the decision of the "
           "devices,\n"
           "the service's counts, its decisions, and the signer's rules. Prints JSON. The same "
           "options give\n"
           "the same output.\n\nScenarios:\n");
    for (const struct sim_scenario *s = sim_scenarios; s->name != NULL; s++)
        printf("  %-20s %s\n", s->name, s->about);
    putchar('\n');
    hf_cli_line_print_options(line);
    printf(
        "\nExit code: 0 done, 1 failed (one sentence on standard error says why), 2 usage error\n");
}

/* `found`, if there is something, is what was typed. */
static int complain(const char *what, const char *found)
{
    (void)fprintf(stderr, "hf-rollout-sim: %s", what);
    if (found != NULL)
        (void)fprintf(stderr, " \"%s\"", found);
    (void)fprintf(stderr, "; see hf-rollout-sim --help\n");
    return HF_EXIT_USAGE;
}

/* ---- what the options say -------------------------------------------------------------------- */

static bool find_rule(const char *name, enum sim_rule *out)
{
    static const char *const names[] = {
        [SIM_RULE_HOLDFAST] = "holdfast", [SIM_RULE_HAWKBIT] = "hawkbit", [SIM_RULE_NONE] = "none"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (enum sim_rule)i;
            return true;
        }
    }
    return false;
}

static const struct sim_scenario *find_scenario(const char *name)
{
    const struct sim_scenario *s = sim_scenarios;

    while (s->name != NULL && strcmp(s->name, name) != 0)
        s++;
    return s->name != NULL ? s : NULL;
}

static int check_numbers(const struct values *v)
{
    for (const struct hf_cli_option *o = rows; o->kind != HF_CLI_ROWS_END; o++) {
        if (o->kind != HF_CLI_INT64)
            continue;
        const long long value = *(const long long *)(const void *)((const char *)v + o->at);
        if (value >= o->min && value <= o->max)
            continue;
        (void)fprintf(stderr,
                      "hf-rollout-sim: --%s should be %lld to %lld, not %lld; see hf-rollout-sim "
                      "--help\n",
                      o->name, o->min, o->max, value);
        return HF_EXIT_USAGE;
    }
    if (v->liars > v->devices)
        return complain("--liars is more than --devices", NULL);
    return HF_EXIT_OK;
}

/* HF_EXIT_OK, with `out` and `plan` written. */
static int read_setup(const struct values *v, struct hf_rollout_plan *plan, struct sim_setup *out)
{
    const char *scenario = v->scenario != NULL ? v->scenario : "good";
    const char *rule = v->rule != NULL ? v->rule : "holdfast";
    struct hf_why why = {0};

    *out = (struct sim_setup){.plan = plan,
                              .scenario = find_scenario(scenario),
                              .n_devices = (uint32_t)v->devices,
                              .n_liars = (uint32_t)v->liars,
                              .start_s = START_S,
                              .is_short = v->runs > 1};
    if (out->scenario == NULL)
        return complain("there is no scenario", scenario);
    if (!find_rule(rule, &out->rule))
        return complain("--rule is holdfast, hawkbit or none, not", rule);
    if (check_numbers(v) != HF_EXIT_OK)
        return HF_EXIT_USAGE;
    if (hf_rollout_plan_read(v->plan != NULL ? v->plan : "normal", START_S, plan, &why) != HF_OK)
        return complain(why.text, NULL);
    return HF_EXIT_OK;
}

/* ---- the runs -------------------------------------------------------------------------------- */

static void show_progress(long long done, long long all)
{
    if (isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r%lld of %lld runs%s", done, all, done == all ? "\n" : "");
}

static json_t *run_all(const struct values *v, const struct sim_setup *setup)
{
    json_t *runs = json_array(), *out = json_object();

    for (long long i = 0; i < v->runs; i++) {
        show_progress(i, v->runs);
        runs = hf_json_append_take(runs, sim_run(setup, (uint64_t)(v->seed + i), v->has_curve));
    }
    show_progress(v->runs, v->runs);
    out = hf_json_set_take(out, "plan", json_string(v->plan != NULL ? v->plan : "normal"));
    out = hf_json_set_take(out, "scenario", json_string(setup->scenario->name));
    out = hf_json_set_take(out, "rule", json_string(v->rule != NULL ? v->rule : "holdfast"));
    out = hf_json_set_take(out, "devices", json_integer(v->devices));
    out = hf_json_set_take(out, "liars", json_integer(v->liars));
    return hf_json_set_take(out, "runs", runs);
}

int main(int argc, char **argv)
{
    struct values values = {0};
    struct hf_cli_line line = {0};
    struct hf_rollout_plan plan = {0};
    struct sim_setup setup = {0};
    int code = HF_EXIT_OK;

    switch (hf_cli_line_parse(&line, rows, &values, argc, (const char **)argv, false)) {
    case HF_CLI_ASKED_HELP:
        print_help(&line);
        goto out;
    case HF_CLI_WRONG:
        code = complain(line.fault, line.bad);
        goto out;
    case HF_CLI_ASKED_VERSION:
    case HF_CLI_ASKED_NOTHING:
        break;
    }
    code = line.n_words > 0 ? complain("unexpected argument", line.words[0])
                            : read_setup(&values, &plan, &setup);
    if (code != HF_EXIT_OK)
        goto out;
    json_t *all = run_all(&values, &setup);
    if (all == NULL || json_dumpf(all, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF) {
        (void)fprintf(stderr,
                      "hf-rollout-sim: out of memory, or standard output cannot be written\n");
        code = HF_EXIT_FAILED;
    }
    json_decref(all);
out:
    hf_cli_line_free(&line);
    hf_cli_values_free(rows, &values);
    return code;
}
