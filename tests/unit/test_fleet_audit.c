/* server/fleet/audit_log and server/audit/copy: the log in the database, and a copy of it. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];

static int make_key(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : crypto_sign_keypair(public_key, secret_key);
}

/* As the signer makes it, over the newest entry. */
static struct hf_seal make_seal(struct fleet_world *w)
{
    struct hf_seal seal = {.sealed_s = w->tx.now_s};
    struct hf_audit_head head;
    struct hf_buf text = {0};

    CHECK_OK(hf_audit_log_head(w->tx.db, &head, &w->why));
    seal.sequence = head.sequence;
    CHECK_OK(hf_audit_seal_text(&head, seal.sealed_s, &text, &w->why));
    (void)crypto_sign_detached(seal.signature, NULL, text.data, text.len, secret_key);
    hf_buf_free(&text);
    return seal;
}

static void run(struct fleet_world *w, const char *sql)
{
    if (hf_db_execute_text(w->tx.db, sql, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
}

static void act(struct fleet_world *w, const char *action)
{
    CHECK_OK(hf_audit_append_take(&w->tx, action, 7, json_pack("{s:s}", "what", "x"), &w->why));
}

static void an_entry_says_who_did_what_when(void **state)
{
    struct fleet_world *w = *state;

    act(w, "test.act");
    assert_string_equal(fleet_log(w, 0),
                        "{\"account\":7,\"action\":\"test.act\",\"actor\":\"uid:0\","
                        "\"details\":{\"what\":\"x\"},\"sequence\":1,"
                        "\"time\":\"2027-01-15T08:00:00Z\"}");
    FLEET_REFUSED(w, hf_audit_append_take(&w->tx, "a", 0, NULL, &w->why), HF_E_MEMORY, "memory");
    FLEET_REFUSED(w, hf_audit_append_take(&w->tx, "a", 0, json_pack("{s:s}", "x", "a\nb"), &w->why),
                  HF_E_FORMAT, "control character");
    json_t *large = json_object();
    char text[1001];
    memset(text, 'x', sizeof text - 1);
    text[1000] = '\0';
    for (char key[8] = "a"; key[0] < 'z'; key[0]++)
        (void)json_object_set_new(large, key, json_string(text));
    FLEET_REFUSED(w, hf_audit_append_take(&w->tx, "a", 0, large, &w->why), HF_E_LIMIT,
                  "16384 at most");
}

static void an_act_that_fails_leaves_no_entry(void **state)
{
    struct fleet_world *w = *state;

    act(w, "one");
    CHECK_OK(hf_db_begin(w->tx.db, &w->why));
    act(w, "two");
    hf_db_rollback(w->tx.db);
    act(w, "three");
    assert_non_null(strstr(fleet_log(w, 0), "\"action\":\"three\""));
    assert_non_null(strstr(fleet_log(w, 0), "\"sequence\":2"));
}

/* Each way to change the log. */
static void a_changed_log_is_noticed(void **state)
{
    static const struct {
        const char *sql;
        enum hf_err err;
        const char *part;
    } changes[] = {
        {"UPDATE audit_log SET entry = replace(entry, 'uid:0', 'uid:1') WHERE sequence = 2",
         HF_E_HASH, "entry 2 or its hash was changed"},
        {"UPDATE audit_log SET hash = zeroblob(32) WHERE sequence = 3", HF_E_HASH, "entry 3"},
        {"DELETE FROM audit_log WHERE sequence = 2", HF_E_ROLLBACK,
         "expected entry 2, found entry 3"},
        {"DELETE FROM audit_log WHERE sequence = 1", HF_E_ROLLBACK,
         "expected entry 1, found entry 2"},
        {"UPDATE audit_log SET entry = '{}' WHERE sequence = 2", HF_E_FORMAT, "sequence"},
        {"UPDATE audit_log SET entry = 'x' WHERE sequence = 2", HF_E_FORMAT, "line 2"},
    };
    struct fleet_world *w = *state;
    struct hf_audit_copy copy;

    for (int i = 0; i < 4; i++)
        act(w, "act");
    CHECK_OK(hf_audit_log_verify(w->tx.db, NULL, &copy, &w->why));
    assert_int_equal(copy.head.sequence, 4);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        CHECK_OK(hf_db_begin(w->tx.db, &w->why));
        run(w, changes[i].sql);
        CHECK_REFUSED(hf_audit_log_verify(w->tx.db, NULL, &copy, &w->why), changes[i].err, &w->why,
                      changes[i].part);
        hf_db_rollback(w->tx.db);
    }
    CHECK_OK(hf_audit_log_verify(w->tx.db, NULL, &copy, &w->why));
}

static void a_seal_covers_what_was_logged_before(void **state)
{
    struct fleet_world *w = *state;
    struct hf_audit_copy copy;
    struct hf_seal last;

    CHECK_OK(hf_seal_last(w->tx.db, &last, &w->why));
    assert_int_equal(last.sequence, 0);
    act(w, "one");
    struct hf_seal first = make_seal(w);
    CHECK_OK(hf_seal_save(&w->tx, &first, public_key, &w->why));
    CHECK_OK(hf_seal_save(&w->tx, &first, public_key, &w->why));
    act(w, "two");
    act(w, "three");
    struct hf_seal second = make_seal(w);
    CHECK_OK(hf_seal_save(&w->tx, &second, public_key, &w->why));
    act(w, "four");
    CHECK_OK(hf_seal_last(w->tx.db, &last, &w->why));
    assert_int_equal(last.sequence, 3);
    CHECK_OK(hf_audit_log_verify(w->tx.db, public_key, &copy, &w->why));
    assert_int_equal(copy.head.sequence, 4);
    assert_int_equal(copy.sealed_sequence, 3);
    assert_int_equal(copy.n_seals, 2);
}

static void a_seal_of_another_log_is_refused(void **state)
{
    struct fleet_world *w = *state;
    uint8_t other_key[crypto_sign_PUBLICKEYBYTES] = {1};

    act(w, "one");
    struct hf_seal seal = make_seal(w), ahead = seal;
    FLEET_REFUSED(w, hf_seal_save(&w->tx, &seal, other_key, &w->why), HF_E_SIGNATURE, "log key");
    ahead.sequence = 2;
    FLEET_REFUSED(w, hf_seal_save(&w->tx, &ahead, public_key, &w->why), HF_E_ROLLBACK,
                  "sealed entry 2 of the log, which this database does not have");
    seal.sealed_s++;
    FLEET_REFUSED(w, hf_seal_save(&w->tx, &seal, public_key, &w->why), HF_E_SIGNATURE, "log key");
    act(w, "two");
    struct hf_seal newer = make_seal(w);
    CHECK_OK(hf_seal_save(&w->tx, &newer, public_key, &w->why));
    seal.sealed_s--;
    FLEET_REFUSED(w, hf_seal_save(&w->tx, &seal, public_key, &w->why), HF_E_ROLLBACK,
                  "older than the newest one (expected entry 2 or later, found 1)");
}

/* An attacker who can write the database makes a whole new chain. The seal shows it. */
static void a_rewritten_log_does_not_fit_its_seal(void **state)
{
    struct fleet_world *w = *state;
    struct hf_audit_copy copy;

    act(w, "one");
    act(w, "revoke");
    struct hf_seal seal = make_seal(w);
    CHECK_OK(hf_seal_save(&w->tx, &seal, public_key, &w->why));
    run(w, "PRAGMA foreign_keys = OFF");
    run(w, "DELETE FROM audit_log WHERE sequence = 2");
    CHECK_REFUSED(hf_audit_log_verify(w->tx.db, public_key, &copy, &w->why), HF_E_ROLLBACK, &w->why,
                  "entry 2 of the log was sealed and is missing");
    act(w, "something else");
    CHECK_REFUSED(hf_audit_log_verify(w->tx.db, public_key, &copy, &w->why), HF_E_SIGNATURE,
                  &w->why, "line 3: the seal of entry 2");
}

/* ---- a copy, as the command line reads it ---------------------------------------------------- */

static enum hf_err feed(struct hf_audit_copy *copy, const char *line, struct hf_why *why)
{
    return hf_audit_copy_line(copy, hf_bytes_of_text(line), why);
}

static void a_line_that_is_none_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"entry\":{}}",
        "{\"entry\":{\"sequence\":1},\"hash\":1}",
        "{\"entry\":{\"sequence\":1},\"hash\":\"00\"}",
        "{\"entry\":1,\"hash\":\"00\"}",
        "{\"entry\":{\"sequence\":1},\"hash\":\"00\",\"more\":1}",
        "{\"entry\":{\"sequence\":1},\"seal\":{}}",
        "{\"seal\":{\"sequence\":1,\"time\":\"2027-01-15T08:00:00Z\"},\"signature\":\"AA==\"}",
        "{\"seal\":{\"sequence\":1,\"time\":\"now\"},\"signature\":\"AA==\"}",
        "{\"seal\":{\"sequence\":0,\"time\":\"2027-01-15T08:00:00Z\"},\"signature\":\"\"}",
    };
    struct hf_why why = {0};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct hf_audit_copy copy = {.key = public_key};
        CHECK_REFUSED(feed(&copy, lines[i], &why), HF_E_FORMAT, &why, "line 1: ");
        assert_int_equal(copy.head.sequence, 0);
    }
    struct hf_audit_copy copy = {0};
    struct hf_buf large = {0};
    while (large.len <= HF_AUDIT_LINE_MAX)
        CHECK_OK(hf_buf_append_text(&large, "          "));
    CHECK_REFUSED(hf_audit_copy_line(&copy, hf_buf_bytes(&large), &why), HF_E_LIMIT, &why,
                  "20480 at most");
    hf_buf_free(&large);
}

static void a_seal_before_its_entry_is_refused(void **state)
{
    struct hf_audit_copy copy = {.key = public_key};
    struct hf_buf line = {0};
    struct hf_why why = {0};
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN] = {0};

    (void)state;
    CHECK_OK(hf_audit_seal_line(1, FLEET_NOW_S, signature, &line, &why));
    line.len--;
    CHECK_REFUSED(hf_audit_copy_line(&copy, hf_buf_bytes(&line), &why), HF_E_ROLLBACK, &why,
                  "expected a seal of entry 0, found one of 1");
    hf_buf_free(&line);
}

int main(void)
{
#define IN_A_WORLD(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, fleet_world_setup, fleet_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(an_entry_says_who_did_what_when),
        IN_A_WORLD(an_act_that_fails_leaves_no_entry),
        IN_A_WORLD(a_changed_log_is_noticed),
        IN_A_WORLD(a_seal_covers_what_was_logged_before),
        IN_A_WORLD(a_seal_of_another_log_is_refused),
        IN_A_WORLD(a_rewritten_log_does_not_fit_its_seal),
        cmocka_unit_test(a_line_that_is_none_is_refused),
        cmocka_unit_test(a_seal_before_its_entry_is_refused),
    };
    return cmocka_run_group_tests(tests, make_key, NULL);
}
