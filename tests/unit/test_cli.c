/* common/cli: typos, option tables, and reports from one table of fields. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/cli/cli.h"
#include "common/cli/report.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void one_edit_is_a_typo_and_two_are_not(void **state)
{
    (void)state;
    assert_true(hf_cli_is_typo("status", "status"));
    assert_true(hf_cli_is_typo("staus", "status"));
    assert_true(hf_cli_is_typo("statuss", "status"));
    assert_true(hf_cli_is_typo("stetus", "status"));
    assert_true(hf_cli_is_typo("sttaus", "status"));
    assert_true(hf_cli_is_typo("statsu", "status"));
    assert_true(hf_cli_is_typo("STATUS", "status"));
    assert_false(hf_cli_is_typo("stuas", "status"));
    assert_false(hf_cli_is_typo("stetas", "status"));
    assert_false(hf_cli_is_typo("saxtus", "status"));
    assert_false(hf_cli_is_typo("sattux", "status"));
    assert_false(hf_cli_is_typo("statussy", "status"));
    assert_false(hf_cli_is_typo("ad", "add"));
    assert_false(hf_cli_is_typo("", "a"));
}

/* ---- options --------------------------------------------------------------------------------- */

struct values {
    char *text;
    char **list;
    int number;
    long long large;
    bool is_on;
    int choice;
    char taken[16];
};

static void take(void *at, const struct hf_cli_option *option, const char *value)
{
    char *taken = at;
    size_t len = strlen(taken);
    (void)snprintf(taken + len, 16 - len, "%c%s", option->name[0], value);
}

#define AT(member) offsetof(struct values, member)

static const struct hf_cli_option group[] = {
    {"first", 0, HF_CLI_CALL, AT(taken), "first", "F", .take = take},
    {"second", 0, HF_CLI_CALL, AT(taken), "second", "S", .take = take},
    HF_CLI_END,
};

static const struct hf_cli_option options[] = {
    {"text", 't', HF_CLI_TEXT, AT(text), "text", "T"},
    {"list", 'l', HF_CLI_LIST, AT(list), "list", "L"},
    {"number", 'n', HF_CLI_INT, AT(number), "number", "N", .preset = 7, .shows_preset = true},
    {"large", 0, HF_CLI_INT64, AT(large), "large", "N", .preset = -1},
    {"on", 0, HF_CLI_FLAG, AT(is_on), "on", NULL},
    {"old", 0, HF_CLI_CHOICE, AT(choice), "old", NULL, .preset = 1},
    {"new", 0, HF_CLI_CHOICE, AT(choice), "new", NULL, .preset = 2},
    {NULL, 0, HF_CLI_GROUP, 0, "In order:", NULL, .group = group},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

#define PARSE(line, values, ...)                                                                   \
    hf_cli_line_parse(line, options, values,                                                       \
                      (int)(sizeof(const char *[]){"p", __VA_ARGS__} / sizeof(char *)),            \
                      (const char *[]){"p", __VA_ARGS__, NULL}, false)

static void values_go_where_their_rows_say(void **state)
{
    struct hf_cli_line line;
    struct values v = {0};
    (void)state;
    assert_int_equal(PARSE(&line, &v, "-t", "a", "w1", "--text=b", "-l", "x", "--list", "y",
                           "--large", "5000000000", "--on", "--old", "--new", "--second=1",
                           "--first", "2", "w2"),
                     HF_CLI_ASKED_NOTHING);
    assert_string_equal(v.text, "b");
    assert_string_equal(v.list[0], "x");
    assert_string_equal(v.list[1], "y");
    assert_null(v.list[2]);
    assert_int_equal(v.number, 7);
    assert_true(v.large == 5000000000);
    assert_true(v.is_on);
    assert_int_equal(v.choice, 2);
    assert_string_equal(v.taken, "s1f2");
    assert_int_equal(line.n_words, 2);
    assert_string_equal(line.words[1], "w2");
    hf_cli_line_free(&line);
    hf_cli_values_free(options, &v);
    assert_null(v.text);
    assert_null(v.list);
}

static void what_is_wrong_is_named(void **state)
{
    struct hf_cli_line line;
    struct values v = {0};
    (void)state;
    assert_int_equal(PARSE(&line, &v, "-t", "a", "--nope"), HF_CLI_WRONG);
    assert_string_equal(line.bad, "--nope");
    assert_string_equal(line.fault, "unknown option");
    hf_cli_line_free(&line);
    hf_cli_values_free(options, &v);
    assert_int_equal(PARSE(&line, &v, "--number", "many"), HF_CLI_WRONG);
    assert_string_equal(line.bad, "many");
    assert_true(line.is_bad_number);
    hf_cli_line_free(&line);
    assert_int_equal(PARSE(&line, &v, "--number", "99999999999"), HF_CLI_WRONG);
    assert_true(line.is_bad_number);
    hf_cli_line_free(&line);
    hf_cli_line_free(&line); /* has nothing any more */
    assert_int_equal(PARSE(&line, &v, "--list", "x", "-h", "--nope"), HF_CLI_ASKED_HELP);
    hf_cli_line_free(&line);
    hf_cli_values_free(options, &v);
}

/* ---- commands -------------------------------------------------------------------------------- */

static enum hf_err keep_number(struct hf_cli_call *call, struct hf_why *why)
{
    (void)why;
    call->exit_code = (int)((struct values *)call->values)->large;
    return HF_OK;
}

static void a_number_outside_its_limits_is_a_usage_error(void **state)
{
    static const struct hf_cli_option rows[] = {
        {"large", 0, HF_CLI_INT64, AT(large), "large", "N", .preset = 40, .min = 3, .max = 9},
        HF_CLI_END,
    };
    static const struct hf_cli_option none[] = {HF_CLI_END};
    static const struct hf_cli_command command = {.name = "c", .options = rows, .run = keep_number};
    static const struct hf_cli_command *const commands[] = {&command};
    const struct hf_cli_program program = {.name = "p",
                                           .commands = commands,
                                           .n_commands = 1,
                                           .values_size = sizeof(struct values),
                                           .options = none};
    (void)state;
    assert_int_equal(hf_cli_main(&program, 2, (const char *[]){"p", "c", NULL}), 40);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=3", NULL}), 3);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=9", NULL}), 9);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=2", NULL}),
                     HF_EXIT_USAGE);
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=10", NULL}),
                     HF_EXIT_USAGE);
    /* What is meant without the option may not be given. */
    assert_int_equal(hf_cli_main(&program, 3, (const char *[]){"p", "c", "--large=40", NULL}),
                     HF_EXIT_USAGE);
}

/* ---- a whole program ------------------------------------------------------------------------- */

struct given {
    char *repo;
    char **certs;
    int days;
};

#undef AT
#define AT(member) offsetof(struct given, member)

static int n_verbose;

static void count_verbose(void)
{
    n_verbose++;
}

enum ending { DONE, FAILS, IS_WRONG, IS_MISUSED };

static enum hf_err run_command(struct hf_cli_call *call, struct hf_why *why)
{
    const struct given *given = call->values;
    printf("%s:%s%s\n", call->command->name, call->is_verbose ? " verbose" : "",
           given->days == 0 ? "" : " with days");
    switch (call->command->variant) {
    case FAILS:
        return hf_fail(why, HF_E_STATE, "the disk is full");
    case IS_WRONG:
        return hf_fail(why, HF_E_ARGUMENT, "no such set");
    case IS_MISUSED:
        return hf_cli_usage(call, "either %s or --all", "--repo");
    default:
        call->exit_code = 3;
        return HF_OK;
    }
}

static const struct hf_cli_option command_rows[] = {
    {"repo", 0, HF_CLI_TEXT, AT(repo), "the repository", "DIR"},
    {"repo-url", 0, HF_CLI_TEXT, AT(repo), "another", "URL"},
    {"cert", 0, HF_CLI_LIST, AT(certs), "a certificate", "FILE"},
    {"days", 0, HF_CLI_INT, AT(days), "days", "N", .min = 1, .max = 9},
    {"quiet", 'q', HF_CLI_QUIET, 0, "no output", NULL},
    {"verbose", 'v', HF_CLI_VERBOSE, 0, "more output", NULL},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

static const struct hf_cli_option program_rows[] = {
    {"version", 0, HF_CLI_VERSION, 0, "the version", NULL},
    {"quiet", 'q', HF_CLI_QUIET, 0, "no output", NULL},
    {"verbose", 'v', HF_CLI_VERBOSE, 0, "more output", NULL},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

#define COMMAND(name_, ...)                                                                        \
    {                                                                                              \
        .name = name_, .summary = "summary of " name_, .arguments = "WORD", .about = "about",      \
        .examples = "  example\n", .options = command_rows, .values_size = sizeof(struct given),   \
        .run = run_command, __VA_ARGS__                                                            \
    }

static const struct hf_cli_command bundle_add = COMMAND("bundle add",
                                                        .needs = {"--repo DIR", "--cert FILE"},
                                                        .needs_word = "WORD", .max_words = 1,
                                                        .more_exit_codes = ", 3 more"),
                                   bundle_list = COMMAND("bundle list", .max_words = 0),
                                   root_sign = COMMAND("root sign", .variant = FAILS),
                                   publish = COMMAND("publish", .variant = IS_WRONG,
                                                     .max_words = HF_CLI_ANY_WORDS),
                                   status = COMMAND("status", .variant = IS_MISUSED);

static const struct hf_cli_command *const all_commands[] = {&bundle_add, &bundle_list, &root_sign,
                                                            &publish, &status};

struct output {
    int code;
    char out[2048], err[2048];
};

static int replace_fd(FILE *file, int fd, int with)
{
    int saved = dup(fd);
    assert_int_equal(fflush(file), 0);
    assert_true(saved >= 0 && with >= 0);
    assert_int_equal(dup2(with, fd), fd);
    return saved;
}

static void put_back(FILE *file, int fd, int saved, int memory, char text[2048])
{
    (void)fflush(file);
    clearerr(file);
    assert_int_equal(dup2(saved, fd), fd);
    ssize_t n = pread(memory, text, 2047, 0);
    text[n > 0 ? n : 0] = '\0';
    (void)close(saved);
    (void)close(memory);
}

static struct output run_words(const struct hf_cli_program *program, const char *const *words)
{
    static const char *argv[16];
    struct output o;
    int argc = 1, memory[2] = {memfd_create("out", 0), memfd_create("err", 0)};
    for (argv[0] = program->name; words[argc - 1] != NULL; argc++)
        argv[argc] = words[argc - 1];
    argv[argc] = NULL;
    int out = replace_fd(stdout, 1, memory[0]), err = replace_fd(stderr, 2, memory[1]);
    o.code = hf_cli_main(program, argc, argv);
    put_back(stdout, 1, out, memory[0], o.out);
    put_back(stderr, 2, err, memory[1], o.err);
    return o;
}

static int no_values; /* options before the command have none */

static const struct hf_cli_program sample = {.name = "p",
                                             .version = "1.2",
                                             .commands = all_commands,
                                             .n_commands = 5,
                                             .name_width = 12,
                                             .help = "Usage: p COMMAND\n",
                                             .help_after = "\nThe end.\n",
                                             .exit_codes = "Exit codes.\n",
                                             .options = program_rows,
                                             .values = &no_values,
                                             .on_verbose = count_verbose};

#define RUN(...) run_words(&sample, (const char *const[]){__VA_ARGS__, NULL})

static void assert_output(struct output o, int code, const char *out, const char *err)
{
    if (o.code != code || strstr(o.out, out) == NULL || (out[0] == '\0' && o.out[0] != '\0') ||
        strstr(o.err, err) == NULL || (err[0] == '\0' && o.err[0] != '\0'))
        fail_msg("exit code %d, output \"%s\", error \"%s\"", o.code, o.out, o.err);
}

static void help_is_of_the_program_a_group_or_a_command(void **state)
{
    static const char all[] =
        "Usage: p COMMAND\n\nCommands:\n  bundle add   summary of bundle add\n";
    static const char end[] = "summary of status\n\nThe end.\n";
    static const char of_group[] =
        "Usage: p bundle COMMAND [OPTION…]\n\nCommands:\n"
        "  bundle add   summary of bundle add\n"
        "  bundle list  summary of bundle list\n\n"
        "p bundle COMMAND --help says more about each, with examples.\n\n"
        "Exit codes.\n";
    struct hf_cli_program terse = sample;
    (void)state;
    assert_output(RUN("--help"), HF_EXIT_OK, all, "");
    assert_output(RUN("help"), HF_EXIT_OK, end, "");
    assert_output(RUN("help", "-h"), HF_EXIT_OK, all, "");
    assert_output(run_words(&sample, (const char *const[]){NULL}), HF_EXIT_USAGE, "", all);
    assert_output(RUN("--version"), HF_EXIT_OK, "p 1.2\n", "");

    assert_output(RUN("bundle"), HF_EXIT_USAGE, "", of_group);
    assert_output(RUN("bundle", "--help"), HF_EXIT_OK, of_group, "");
    assert_output(RUN("bundle", "-h"), HF_EXIT_OK, of_group, "");
    assert_output(RUN("help", "bundle"), HF_EXIT_OK, of_group, "");

    assert_output(RUN("bundle", "add", "--help"), HF_EXIT_OK,
                  "Usage: p bundle add WORD\n\nabout\n\nOptions:\n", "");
    assert_output(RUN("help", "bundle", "add"), HF_EXIT_OK,
                  "\nExamples:\n  example\n\n"
                  "Exit code: 0 success, 1 refused or failed, 2 usage error, 3 more\n",
                  "");
    terse.shows_summaries = true;
    assert_output(run_words(&terse, (const char *const[]){"help", "status", NULL}), HF_EXIT_OK,
                  "Usage: p status WORD\n\nsummary of status\n\nabout\n", "");
    assert_output(RUN("help", "publish", "now"), HF_EXIT_USAGE, "",
                  "p: help takes one command, found \"now\"; see p --help\n");
    assert_output(RUN("help", "nothing"), HF_EXIT_USAGE, "", "p: there is no command \"nothing\"");
}

static void an_unknown_command_is_answered_with_the_nearest(void **state)
{
    (void)state;
    assert_output(RUN("publsh", "now"), HF_EXIT_USAGE, "",
                  "p: there is no command \"publsh\"; did you mean \"publish\"? See p publish "
                  "--help\n");
    assert_output(RUN("publsh", "--repo"), HF_EXIT_USAGE, "", "did you mean \"publish\"?");
    assert_output(RUN("bundel", "list"), HF_EXIT_USAGE, "",
                  "p: there is no command \"bundel list\"; did you mean \"bundle list\"?");
    assert_output(RUN("bundle", "lits"), HF_EXIT_USAGE, "", "did you mean \"bundle list\"?");
    assert_output(RUN("sign"), HF_EXIT_USAGE, "", "did you mean \"root sign\"?");
    assert_output(RUN("bundles", "all"), HF_EXIT_USAGE, "",
                  "p: there is no command \"bundles\"; did you mean \"bundle\"? See p bundle "
                  "--help\n");
    assert_output(RUN("bundle", "remove"), HF_EXIT_USAGE, "",
                  "p: there is no command \"bundle remove\"; see p bundle --help\n");
    assert_output(RUN("bundle", "--all"), HF_EXIT_USAGE, "",
                  "p: there is no command \"bundle\"; see p bundle --help\n");
    assert_output(RUN("nothing"), HF_EXIT_USAGE, "",
                  "p: there is no command \"nothing\"; see p --help\n");
}

static void a_command_line_lacks_nothing_and_has_nothing_more(void **state)
{
#define ADD "bundle", "add"
    (void)state;
    assert_output(RUN(ADD, "a"), HF_EXIT_USAGE, "",
                  "p bundle add: --repo DIR is missing; see p bundle add --help\n");
    assert_output(RUN(ADD, "--repo=", "--cert=c", "a"), HF_EXIT_USAGE, "", "--repo DIR is missing");
    assert_output(RUN(ADD, "--repo=r", "a"), HF_EXIT_USAGE, "", "--cert FILE is missing");
    assert_output(RUN(ADD, "--repo=r", "--cert=", "a"), HF_EXIT_USAGE, "",
                  "--cert FILE is missing");
    assert_output(RUN(ADD, "--repo=r", "--cert=c"), HF_EXIT_USAGE, "", "WORD is missing");
    assert_output(RUN(ADD, "--repo=r", "--cert=c", ""), HF_EXIT_USAGE, "", "WORD is missing");
    assert_output(RUN(ADD, "--repo=r", "--cert=c", "a", "b"), HF_EXIT_USAGE, "",
                  "unexpected argument \"b\"");
    assert_output(RUN("bundle", "list", "b"), HF_EXIT_USAGE, "", "unexpected argument \"b\"");
    assert_output(RUN("bundle", "list"), HF_EXIT_FAILED + 2, "bundle list:\n", "");
    assert_output(RUN("bundle", "list", "--days=0"), HF_EXIT_USAGE, "",
                  "p bundle list: --days N is 1 to 9, not 0; see p bundle list --help\n");
    assert_output(RUN("bundle", "list", "--days=10"), HF_EXIT_USAGE, "",
                  "p bundle list: --days N is 1 to 9, not 10; see p bundle list --help\n");
    assert_output(RUN("bundle", "list", "--days=99999999999"), HF_EXIT_USAGE, "", "--days");
    assert_output(RUN("bundle", "list", "--all"), HF_EXIT_USAGE, "",
                  "p bundle list: --all: unknown option; see p bundle list --help\n");
    assert_output(RUN("bundle", "list", "--rep=x"), HF_EXIT_USAGE, "",
                  "--rep=x: unknown option (did you mean --repo?); see p bundle list --help\n");
    assert_output(RUN("--all", "bundle"), HF_EXIT_USAGE, "",
                  "p: --all: unknown option; see p --help\n");
#undef ADD
}

static void a_command_ends_with_its_code_and_one_sentence(void **state)
{
    struct hf_cli_program silent = sample;
    (void)state;
    n_verbose = 0;
    assert_output(RUN("bundle", "add", "--repo=r", "--cert=c", "a", "--days=2"), 3,
                  "bundle add: with days\n", "");
    assert_output(RUN("root", "sign"), HF_EXIT_FAILED, "root sign:\n", "p: the disk is full\n");
    assert_output(RUN("publish", "a", "b", "c"), HF_EXIT_USAGE, "publish:\n", "p: no such set\n");
    assert_output(RUN("status"), HF_EXIT_USAGE, "status:\n",
                  "p status: either --repo or --all; see p status --help\n");
    assert_int_equal(n_verbose, 0);
    assert_output(RUN("-v", "status"), HF_EXIT_USAGE, "status: verbose\n", "p status:");
    assert_output(RUN("status", "-v"), HF_EXIT_USAGE, "status: verbose\n", "p status:");
    assert_int_equal(n_verbose, 2);
    silent.on_verbose = NULL;
    assert_output(run_words(&silent, (const char *const[]){"-v", "status", NULL}), HF_EXIT_USAGE,
                  "status: verbose\n", "p status:");
    assert_output(RUN("-q", "status"), HF_EXIT_USAGE, "", "p status:");
    assert_output(RUN("root", "sign", "--quiet"), HF_EXIT_FAILED, "", "p: the disk is full\n");
}

/* A script must not take half a report for a whole one. */
static void output_that_is_lost_is_a_failure(void **state)
{
    (void)state;
    for (int is_error = 0; is_error < 2; is_error++) {
        const char *argv[] = {"p", is_error != 0 ? "status" : "--help", NULL};
        char text[2048];
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC), memory = memfd_create("err", 0);
        int out = replace_fd(stdout, 1, full), err = replace_fd(stderr, 2, memory);
        int code = hf_cli_main(&sample, 2, argv);
        put_back(stderr, 2, err, memory, text);
        put_back(stdout, 1, out, full, (char[2048]){""});
        assert_int_equal(code, is_error != 0 ? HF_EXIT_USAGE : HF_EXIT_FAILED);
        assert_non_null(strstr(text, "p: standard output could not be written\n"));
    }
}

static void only_a_clear_yes_agrees(void **state)
{
    static const char answers[] = "y\nY\nyes\nn\n\nyesterday\n";
    static const bool agrees[] = {true, true, true, false, false, false, false};
    int memory = memfd_create("in", 0), questions = memfd_create("err", 0);
    char text[2048];
    (void)state;
    assert_int_equal(write(memory, answers, strlen(answers)), strlen(answers));
    assert_int_equal(lseek(memory, 0, SEEK_SET), 0);
    int in = dup(0), err = replace_fd(stderr, 2, questions);
    assert_int_equal(dup2(memory, 0), 0);
    for (size_t i = 0; i < sizeof agrees / sizeof agrees[0]; i++)
        assert_int_equal(hf_cli_agrees("Publish %d?", (int)i), agrees[i]);
    put_back(stderr, 2, err, questions, text);
    clearerr(stdin);
    if (in >= 0) {
        assert_int_equal(dup2(in, 0), 0);
        (void)close(in);
    }
    (void)close(memory);
    assert_non_null(strstr(text, "Publish 0? [y/N] Publish 1? [y/N] "));
}

/* ---- reports --------------------------------------------------------------------------------- */

struct record {
    char name[8];
    int64_t at_s;
    size_t n;
    bool is_on;
};

static json_t *twice(const void *at, const void *ctx)
{
    (void)ctx;
    return json_integer((json_int_t)(2 * *(const size_t *)at));
}

#undef AT
#define AT(member) offsetof(struct record, member)

static const struct hf_field fields[] = {
    {"name", HF_FIELD_WORDS, AT(name), .column = 2, .head = "name"},
    {"at", HF_FIELD_TIME, AT(at_s), .column = 1, .head = "day", .shown = HF_SHOWN_DAY},
    {NULL, HF_FIELD_MADE, AT(n), .make = twice, .column = 3, .head = "twice"},
    {"on", HF_FIELD_FLAG, AT(is_on)},
    {0},
};

static void json_and_text_come_from_one_table(void **state)
{
    const struct record records[] = {{"one", 0, 4, true}, {"", HF_TIME_NONE, 10, false}};
    char *text = NULL;
    size_t len = 0;
    (void)state;
    json_t *list = hf_report_list(fields, records, 2, sizeof records[0], NULL);
    char *json = json_dumps(list, JSON_COMPACT);
    assert_string_equal(json, "[{\"name\":\"one\",\"at\":\"1970-01-01T00:00:00Z\",\"on\":true},"
                              "{\"name\":null,\"at\":null,\"on\":false}]");
    free(json);
    json_decref(list);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(hf_report_table(fields, records, 1, sizeof records[0], NULL, 2, out, NULL),
                     HF_OK);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "  day         name  twice\n  1970-01-01  one   8\n");
    free(text);
}

static void text_that_is_no_utf8_is_shown_as_far_as_it_is(void **state)
{
    const struct record record = {.name = "a\xe9z"};
    (void)state;
    json_t *object = hf_report_object(fields, &record, NULL);
    assert_string_equal(json_string_value(json_object_get(object, "name")), "a?z");
    json_decref(object);
}

static void full_disk_is_not_taken_for_lack_of_memory(void **state)
{
    struct hf_why why = {0};
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(full);
    json_t *list = json_array();
    for (int i = 0; i < 10000; i++)
        list = hf_json_append_take(list, json_integer(i));
    CHECK_OK(hf_json_print_take(list, full, &why));
    assert_int_not_equal(ferror(full), 0);
    (void)fclose(full);
    assert_int_equal(hf_json_print_take(NULL, stdout, &why), HF_E_MEMORY);
}

struct part {
    enum { RED, GREEN } colour;
    char name[8];
};

struct whole {
    struct part part;
    bool has_part;
    const struct part *other;
    const char *path;
    const char *const *texts;
    size_t n_texts;
    const uint8_t (*hashes)[HF_SHA256_LEN];
    size_t n_hashes;
    json_t *more;
    int64_t at_s;
};

#undef AT
#define AT(member) offsetof(struct whole, member)

static void records_hold_records_and_arrays(void **state)
{
    static const char *const colours[] = {[RED] = "red", [GREEN] = "green"};
    static const struct hf_field part_fields[] = {
        {"colour", HF_FIELD_ENUM, offsetof(struct part, colour), .names = colours},
        {"name", HF_FIELD_CHARS, offsetof(struct part, name)},
        {0},
    };
    static const struct hf_field whole_fields[] = {
        {NULL, HF_FIELD_INCLUDE, AT(part), .fields = part_fields},
        {"part", HF_FIELD_RECORD_IF, AT(part), .fields = part_fields, .n_at = AT(has_part)},
        {"other", HF_FIELD_POINTER, AT(other), .fields = part_fields},
        {"path", HF_FIELD_PLAIN, AT(path)},
        {"texts", HF_FIELD_TEXTS, AT(texts), .n_at = AT(n_texts)},
        {"hashes", HF_FIELD_HASHES, AT(hashes), .n_at = AT(n_hashes)},
        {"more", HF_FIELD_JSON, AT(more)},
        {"at", HF_FIELD_TIME, AT(at_s), .is_optional = true},
        {0},
    };
    static const char *const texts[] = {"a", "b"};
    static const uint8_t hashes[1][HF_SHA256_LEN] = {{0xAB}};
    const struct part blue = {GREEN, "two"};
    struct whole whole = {.part = {RED, "one"}, .at_s = HF_TIME_NONE};
    (void)state;
    json_t *object = hf_report_object(whole_fields, &whole, NULL);
    char *json = json_dumps(object, JSON_COMPACT);
    assert_string_equal(json, "{\"colour\":\"red\",\"name\":\"one\",\"part\":null,\"other\":null,"
                              "\"path\":null,\"texts\":[],\"hashes\":[],\"more\":null}");
    free(json);
    json_decref(object);

    whole = (struct whole){{RED, "one"}, true, &blue, "a\xFFz", texts, 2, hashes, 1, NULL, 0};
    whole.more = json_array();
    object = hf_report_object(whole_fields, &whole, NULL);
    json_decref(whole.more);
    json = json_dumps(object, JSON_COMPACT);
    assert_string_equal(json,
                        "{\"colour\":\"red\",\"name\":\"one\",\"part\":{\"colour\":\"red\","
                        "\"name\":\"one\"},\"other\":{\"colour\":\"green\",\"name\":\"two\"},"
                        "\"path\":\"a?z\",\"texts\":[\"a\",\"b\"],\"hashes\":[\"ab00000000000000"
                        "000000000000000000000000000000000000000000000000\"],\"more\":[],"
                        "\"at\":\"1970-01-01T00:00:00Z\"}");
    free(json);
    json_decref(object);
}

struct numbers {
    const char *text;
    int64_t large;
    int small;
    size_t n;
    struct part part;
    const struct part *parts;
    size_t n_parts;
    int64_t until_s;
};

#undef AT
#define AT(member) offsetof(struct numbers, member)

static json_t *no_memory(const void *at, const void *ctx)
{
    (void)at;
    (void)ctx;
    return NULL;
}

static void a_report_is_printed_whole_or_not_at_all(void **state)
{
    static const struct hf_field part_fields[] = {
        {"name", HF_FIELD_CHARS, offsetof(struct part, name)},
        {0},
    };
    static const struct hf_field number_fields[] = {
        {"text", HF_FIELD_TEXT, AT(text)},
        {"large", HF_FIELD_NUMBER, AT(large), .column = 1},
        {"small", HF_FIELD_INT, AT(small)},
        {"n", HF_FIELD_COUNT, AT(n)},
        {"part", HF_FIELD_RECORD, AT(part), .fields = part_fields},
        {"parts", HF_FIELD_LIST, AT(parts), .fields = part_fields, .n_at = AT(n_parts),
         .size = sizeof(struct part)},
        {"until", HF_FIELD_TIME, AT(until_s), .column = 2, .shown = HF_SHOWN_LAST_DAY},
        {0},
    };
    static const struct hf_field failing_fields[] = {
        {"made", HF_FIELD_MADE, 0, .make = no_memory, .column = 1},
        {0},
    };
    const struct part parts[] = {{RED, "a"}, {RED, "b"}};
    struct numbers record = {NULL, INT64_C(5000000000), -7, 9, {RED, "c"}, parts, 2, 86399};
    struct hf_why why = {0};
    char *text = NULL;
    size_t len = 0;
    (void)state;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    CHECK_OK(hf_report_print(number_fields, &record, NULL, out, &why));
    record.text = "t";
    CHECK_OK(hf_report_table(number_fields, &record, 1, sizeof record, NULL, 0, out, &why));
    record.until_s = 86400;
    CHECK_OK(hf_report_table(number_fields, &record, 1, sizeof record, NULL, 0, out, &why));
    json_t *object = hf_report_object(number_fields, &record, NULL);
    assert_string_equal(json_string_value(json_object_get(object, "text")), "t");
    json_decref(object);
    CHECK_REFUSED(hf_report_print(failing_fields, &record, NULL, out, &why), HF_E_MEMORY, &why,
                  "out of memory for the report");
    CHECK_REFUSED(hf_report_table(failing_fields, &record, 1, sizeof record, NULL, 0, out, &why),
                  HF_E_MEMORY, &why, "out of memory for a table");
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "{\n  \"format\": 1,\n  \"text\": null,\n  \"large\": 5000000000,\n"
                              "  \"small\": -7,\n  \"n\": 9,\n  \"part\": {\n    \"name\": \"c\"\n"
                              "  },\n  \"parts\": [\n    {\n      \"name\": \"a\"\n    },\n    {\n"
                              "      \"name\": \"b\"\n    }\n  ],\n"
                              "  \"until\": \"1970-01-01T23:59:59Z\"\n}\n"
                              "5000000000  1970-01-01\n"
                              "5000000000  1970-01-02T00:00:00Z\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_edit_is_a_typo_and_two_are_not),
        cmocka_unit_test(values_go_where_their_rows_say),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_number_outside_its_limits_is_a_usage_error),
        cmocka_unit_test(help_is_of_the_program_a_group_or_a_command),
        cmocka_unit_test(an_unknown_command_is_answered_with_the_nearest),
        cmocka_unit_test(a_command_line_lacks_nothing_and_has_nothing_more),
        cmocka_unit_test(a_command_ends_with_its_code_and_one_sentence),
        cmocka_unit_test(output_that_is_lost_is_a_failure),
        cmocka_unit_test(only_a_clear_yes_agrees),
        cmocka_unit_test(json_and_text_come_from_one_table),
        cmocka_unit_test(text_that_is_no_utf8_is_shown_as_far_as_it_is),
        cmocka_unit_test(full_disk_is_not_taken_for_lack_of_memory),
        cmocka_unit_test(records_hold_records_and_arrays),
        cmocka_unit_test(a_report_is_printed_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
