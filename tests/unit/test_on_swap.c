/* client/port/posix/subscribers: the command that tells other programs. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "client/port/posix/posix_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct hf_swap_notice notice = {
    .state = "/var/lib/hold fast",
    .set = "amazon-iot",
    .profile = "full",
    .old_version = "1",
    .new_version = "2",
    .export_file = "/etc/x;$(touch /tmp/never).pem",
};

static enum hf_err run(void **state, const char *command, unsigned timeout_ms, struct hf_why *why)
{
    const struct temp_dir *dir = *state;
    char text[1024];
    (void)snprintf(text, sizeof text, "cd %s; %s", dir->path, command);
    return hf_on_swap_run(text, &notice, timeout_ms, why);
}

static void the_command_finds_its_data_in_the_environment_and_nowhere_else(void **state)
{
    struct hf_why why = {0};

    assert_int_equal(setenv("HOLDFAST_SET", "of the caller", 1), 0);
    assert_int_equal(setenv("OF_THE_CALLER", "is inherited", 1), 0);
    CHECK_OK(run(state,
                 "printf '%s\\n' \"$HOLDFAST_STATE\" \"$HOLDFAST_SET\" \"$HOLDFAST_PROFILE\" "
                 "\"$HOLDFAST_OLD_VERSION\" \"$HOLDFAST_NEW_VERSION\" \"$HOLDFAST_EXPORT\" "
                 "\"$OF_THE_CALLER\" $# > out",
                 10000, &why));
    assert_string_equal(temp_read(temp_path(*state, "out")),
                        "/var/lib/hold fast\namazon-iot\nfull\n1\n2\n"
                        "/etc/x;$(touch /tmp/never).pem\nis inherited\n0\n");
}

static void a_failure_is_told_in_words(void **state)
{
    struct hf_why why = {0};

    CHECK_REFUSED(run(state, "exit 3", 10000, &why), HF_E_STATE, &why, "ended with exit status 3");
    CHECK_REFUSED(run(state, "no-such-command 2> err", 10000, &why), HF_E_STATE, &why,
                  "ended with exit status 127");
    CHECK_REFUSED(run(state, "kill -TERM $$", 10000, &why), HF_E_STATE, &why,
                  "was killed by signal 15 (Terminated)");
}

/* Not gone, and not a zombie that waits for init. */
static bool is_running(pid_t pid)
{
    char text[256] = "";
    (void)snprintf(text, sizeof text, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(text, "r");
    if (f == NULL)
        return false;
    size_t len = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[len] = '\0';
    return len > 0 && strstr(text, ") Z ") == NULL && strstr(text, ") X ") == NULL;
}

static void a_command_that_does_not_end_is_killed_with_all_it_started(void **state)
{
    struct hf_why why = {0};

    CHECK_REFUSED(run(state, "sleep 1000 & echo $! > pid; sleep 1000", 3000, &why), HF_E_STATE,
                  &why, "did not end within 3 seconds and was killed");
    pid_t sleeper = (pid_t)strtol(temp_read(temp_path(*state, "pid")), NULL, 10);
    assert_true(sleeper > 1);
    for (int i = 0; i < 6000 && is_running(sleeper); i++)
        usleep(10000); /* SIGKILL was sent to it; it takes a moment to be heard */
    assert_false(is_running(sleeper));
}

/* The last line of standard output is the program's own. */
static void its_output_goes_to_standard_error_and_its_input_is_empty(void **state)
{
    struct hf_why why = {0};

    CHECK_OK(run(state,
                 "cat > input; test \"$(readlink /proc/$$/fd/1)\" = \"$(readlink "
                 "/proc/$$/fd/2)\"",
                 10000, &why));
    assert_string_equal(temp_read(temp_path(*state, "input")), "");
}

static void blocked_and_ignored_signals_are_not_handed_on(void **state)
{
    struct hf_why why = {0};
    sigset_t block;
    sigset_t before;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &block, &before), 0);
    void (*handler)(int) = signal(SIGPIPE, SIG_IGN);

    /* Signals 1 to 28; those from 32 on are the C library's own. */
    CHECK_OK(run(state,
                 "grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/[0-9a-f]*\\(.......\\)$/\\1/' "
                 "> signals",
                 10000, &why));
    (void)signal(SIGPIPE, handler);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_string_equal(temp_read(temp_path(*state, "signals")),
                        "SigBlk:\t0000000\nSigIgn:\t0000000\n");
}

int main(void)
{
#define IN_TEMP(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_TEMP(the_command_finds_its_data_in_the_environment_and_nowhere_else),
        IN_TEMP(a_failure_is_told_in_words),
        IN_TEMP(a_command_that_does_not_end_is_killed_with_all_it_started),
        IN_TEMP(its_output_goes_to_standard_error_and_its_input_is_empty),
        IN_TEMP(blocked_and_ignored_signals_are_not_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
