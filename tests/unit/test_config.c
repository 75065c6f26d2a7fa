/* server/config: the one file of the service, key by key, and what is wrong with it in words. */
#include "server/config/config.h"

#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>

#define REPO "[repository]\npath = /r\n"

static enum hf_err read_text(const struct temp_dir *dir, const char *text, struct hf_config *out,
                             struct hf_why *why)
{
    temp_write(temp_path(dir, "conf"), text);
    return hf_config_read(temp_path(dir, "conf"), out, why);
}

static void test_the_example_is_whole_and_names_every_key(void **state)
{
    const char *section = NULL, *name = NULL, *path = HF_TEST_SOURCE_DIR "/deploy/holdfast.conf";
    struct hf_config config;
    struct hf_why why;
    (void)state;
    CHECK_OK(hf_config_read(path, &config, &why));
    assert_string_equal(config.repository.path, "/srv/holdfast/repo");
    assert_string_equal(config.devices.listen, "0.0.0.0:8443");
    assert_int_equal(config.devices.certificates.n, 1);
    assert_int_equal(config.devices.sni, HF_CONFIG_SNI_REQUIRED);
    assert_int_equal(config.server.header_timeout_s, 10);
    assert_int_equal(config.signer.timestamp_every_s, 86400);
    assert_null(config.admin.listen);
    hf_config_free(&config);

    const char *text = temp_read(path);
    for (size_t i = 0; hf_config_row(i, &section, &name); i++) {
        char heading[64], line[64];
        (void)snprintf(heading, sizeof heading, "\n[%s]\n", section);
        (void)snprintf(line, sizeof line, "%s = ", name);
        const char *from = strstr(text, heading);
        if (from == NULL)
            fail_msg("the example has no [%s]", section);
        const char *next = strstr(from + strlen(heading), "\n[");
        const char *found = strstr(from, line);
        if (found == NULL || (next != NULL && found > next))
            fail_msg("the example does not show [%s] %s", section, name);
    }
}

/* What the example says right above a key, or above the keys that stand with it. */
static const char *comment_on(const char *text, const char *section, const char *name)
{
    static char comment[1024];
    char heading[64], line[64];
    (void)snprintf(heading, sizeof heading, "\n[%s]\n", section);
    (void)snprintf(line, sizeof line, "%s = ", name);
    const char *from = strstr(text, heading), *end = strstr(from, line), *begin;
    while (strncmp(end, "\n; ", 3) != 0 && end > from)
        end--;
    for (begin = end; begin > from && strncmp(begin, "\n; ", 3) == 0;)
        for (begin--; begin > from && *begin != '\n';)
            begin--;
    end = strchr(end + 1, '\n');
    (void)snprintf(comment, sizeof comment, "%.*s", (int)(end - begin), begin);
    return comment;
}

static void test_the_example_says_what_needs_a_restart(void **state)
{
    const char *section = NULL, *name = NULL;
    const char *text = temp_read(HF_TEST_SOURCE_DIR "/deploy/holdfast.conf");
    (void)state;
    for (size_t i = 0; hf_config_row(i, &section, &name); i++) {
        const char *comment = comment_on(text, section, name);
        bool needs_restart = strstr(comment, "Needs a restart") != NULL;
        if (needs_restart == hf_config_is_reloadable(i))
            fail_msg("[%s] %s %s a restart; the example says:%s", section, name,
                     needs_restart ? "does not need" : "needs", comment);
    }
}

static void test_what_is_not_given_has_its_preset(void **state)
{
    struct hf_config config;
    struct hf_why why;
    CHECK_OK(read_text(*state, REPO, &config, &why));
    assert_int_equal(config.server.max_connections, 65536);
    assert_int_equal(config.signer.issue_per_day, 10000);
    assert_int_equal(config.signer.issue_per_day_per_ca, 5000);
    assert_int_equal(config.server.loops, 0);
    assert_null(config.database.path);
    assert_int_equal(config.devices.balancers.n, 0);
    hf_config_free(&config);
}

static void test_times_and_lists(void **state)
{
    struct hf_config config;
    struct hf_why why;
    CHECK_OK(read_text(*state,
                       "# a comment\n" REPO "[server]\nidle_timeout = 2m\nheader_timeout=90 ; why\n"
                       "[signer]\ntimestamp_every = 7d\n"
                       "[devices]\nbalancer = 10.0.0.0/8\nbalancer = 192.0.2.0/24\n",
                       &config, &why));
    assert_int_equal(config.server.idle_timeout_s, 120);
    assert_int_equal(config.server.header_timeout_s, 90);
    assert_int_equal(config.signer.timestamp_every_s, 7 * 86400);
    assert_int_equal(config.devices.balancers.n, 2);
    assert_string_equal(config.devices.balancers.items[1], "192.0.2.0/24");
    hf_config_free(&config);
}

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *sentence;
        enum hf_err err;
    } rows[] = {
        {"", "[repository] path is missing", HF_E_ARGUMENT},
        {REPO "[nowhere]\na = b\n", "there is no section \"nowhere\"", HF_E_ARGUMENT},
        {REPO "[server]\nloop = 3\n", "there is no key \"loop\" in [server]", HF_E_ARGUMENT},
        {"path = /x\n", "comes before the first [section]", HF_E_ARGUMENT},
        {REPO "path = /s\n", "[repository] path is given twice", HF_E_ARGUMENT},
        {REPO "[server]\nloops =\n", "[server] loops has no value", HF_E_ARGUMENT},
        {"[repository]\npath = repo\n", "a path that begins with /, found \"repo\"", HF_E_ARGUMENT},
        {REPO "[server]\nloops = 257\n", "a number from 0 to 256, found \"257\"", HF_E_ARGUMENT},
        {REPO "[server]\nloops = 2s\n", "found \"2s\"", HF_E_ARGUMENT},
        {REPO "[server]\nloops = -1\n", "found \"-1\"", HF_E_ARGUMENT},
        {REPO "[server]\nidle_timeout = 2w\n", "found \"2w\"", HF_E_ARGUMENT},
        {REPO "[server]\nidle_timeout = 106751991167301d\n", "a time from 1", HF_E_ARGUMENT},
        {REPO "[devices]\nsni = maybe\n", "expected required or optional", HF_E_ARGUMENT},
        {REPO "[devices]\ncertificate = /c\n", "1 certificates and 0 keys", HF_E_ARGUMENT},
        {REPO "[admin]\nlisten = 127.0.0.1:1\n", "needs a certificate", HF_E_ARGUMENT},
        {REPO "[devices]\nlisten = 127.0.0.1:1\ncertificate = /c\nkey = /k\n",
         "need [database] path and [signer] socket", HF_E_ARGUMENT},
        {REPO "[admin]\nsocket = /s\n", "need [database] path and [signer] socket", HF_E_ARGUMENT},
        {REPO "this is no line\n", "line 3: expected", HF_E_FORMAT},
        {REPO "[server\n", "line 3: expected", HF_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_config config = {.repository.path = (char *)(uintptr_t) "untouched"};
        struct hf_why why;
        CHECK_REFUSED(read_text(*state, rows[i].text, &config, &why), rows[i].err, &why,
                      rows[i].sentence);
        assert_string_equal(config.repository.path, "untouched");
    }
}

static void test_limits(void **state)
{
    struct hf_config config;
    struct hf_why why;
    struct hf_buf text = {0};
    CHECK_OK(hf_buf_printf(&text, REPO "[server]\naccess_log = %0200d\n", 1));
    CHECK_REFUSED(read_text(*state, (const char *)text.data, &config, &why), HF_E_LIMIT, &why,
                  "line 4: expected at most 190 bytes");
    hf_buf_free(&text);
    CHECK_OK(hf_buf_append_text(&text, REPO "[devices]\n"));
    for (int i = 0; i < 33; i++)
        CHECK_OK(hf_buf_append_text(&text, "balancer = 10.0.0.0/8\n"));
    CHECK_REFUSED(read_text(*state, (const char *)text.data, &config, &why), HF_E_LIMIT, &why,
                  "at most 32 values");
    hf_buf_free(&text);
    CHECK_OK(hf_buf_printf(&text, "%070000d", 0));
    CHECK_REFUSED(read_text(*state, (const char *)text.data, &config, &why), HF_E_LIMIT, &why, "");
    hf_buf_free(&text);
    CHECK_REFUSED(hf_config_read("/nowhere/at/all", &config, &why), HF_E_NOT_FOUND, &why,
                  "/nowhere/at/all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_is_whole_and_names_every_key),
        cmocka_unit_test(test_the_example_says_what_needs_a_restart),
        cmocka_unit_test_setup_teardown(test_what_is_not_given_has_its_preset, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(test_times_and_lists, temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_is_named, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(test_limits, temp_dir_setup, temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
