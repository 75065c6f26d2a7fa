/* server/repository/drafts/draft.c, draft_check.c, draft_signatures.c, draft_diff.c: drafts, as a
 * key holder's machine reads them from an untrusted carrier. */
#include "tests/support/check.h"
#include "tests/support/tuf_repo.h"

#include "common/base/timetext.h"
#include "server/repository/compose.h"
#include "server/repository/keys/signing_key.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/repository/drafts/draft_signatures.h"
#include "server/repository/base/public_key.h"

#include <stdlib.h>

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

struct world {
    struct tuf_repo publisher;
    struct hf_buf root_file;
    struct hf_draft draft;
};
static struct world w;

static int setup(void **state)
{
    (void)state;
    const struct hf_signing signing = {2, NOW_S + 30 * HF_DAY_S, NOW_S};
    struct hf_root root = {0};
    json_t *next = NULL;
    w = (struct world){0};
    tuf_repo_init(&w.publisher, NOW_S);
    tuf_keys_make(&w.publisher.roles[HF_ROLE_ROOT].keys, 3, 2);
    tuf_repo_build_root(&w.publisher, &w.root_file);
    CHECK_OK(hf_root_parse(hf_buf_bytes(&w.root_file), &root, NULL));
    CHECK_OK(hf_compose_next_root(root.env.signed_part, &signing, &next, NULL));
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = hf_buf_bytes(&w.root_file),
                                         .signed_part = next};
    CHECK_OK(hf_draft_make(&parts, &w.draft, NULL));
    json_decref(next);
    hf_root_free(&root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hf_draft_free(&w.draft);
    hf_buf_free(&w.root_file);
    tuf_repo_free(&w.publisher);
    return 0;
}

static const struct tuf_key *root_key(size_t i)
{
    return &w.publisher.roles[HF_ROLE_ROOT].keys.keys[i];
}

/* The draft with one member replaced, read as a file. Takes the value. */
static enum hf_err parse_with(const char *member, json_t *value, struct hf_why *why)
{
    struct hf_draft draft = {0};
    json_t *json = json_deep_copy(w.draft.json);
    assert_int_equal(json_object_set_new(json, member, value), 0);
    char *text = json_dumps(json, 0);
    enum hf_err err = hf_draft_parse(hf_bytes_of_text(text), &draft, why);
    assert_true(err == HF_OK || draft.json == NULL);
    hf_draft_free(&draft);
    json_decref(json);
    free(text);
    return err;
}

static json_t *signed_copy(void)
{
    return json_deep_copy(json_object_get(w.draft.json, "signed"));
}

static json_t *role_in(json_t *signed_part, const char *role)
{
    return json_object_get(json_object_get(signed_part, "roles"), role);
}

static void sign_with(size_t key)
{
    struct tuf_keys one = {.n_keys = 1, .n_signers = 1, .keys = {*root_key(key)}};
    json_t *all = json_deep_copy(json_object_get(w.draft.json, "signatures"));
    json_t *envelope = tuf_sign(signed_copy(), &one, NULL);
    assert_int_equal(json_array_extend(all, json_object_get(envelope, "signatures")), 0);
    json_decref(envelope);
    CHECK_OK(hf_draft_set_take(&w.draft, "signatures", all, NULL));
}

static char *shown(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    assert_non_null(memory);
    hf_draft_show(&w.draft, memory);
    assert_int_equal(fclose(memory), 0);
    return text;
}

static void check_shows(const char *part)
{
    char *text = shown();
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not shown: %s", part, text);
    free(text);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void a_draft_written_and_read_again_is_the_same(void **state)
{
    (void)state;
    struct hf_buf text = {0};
    struct hf_draft again = {0};
    uint8_t a[HF_SHA256_LEN], b[HF_SHA256_LEN];
    CHECK_OK(hf_draft_format(&w.draft, &text, NULL));
    CHECK_OK(hf_draft_parse(hf_buf_bytes(&text), &again, NULL));
    hf_draft_digest(&w.draft, a);
    hf_draft_digest(&again, b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(json_equal(w.draft.json, again.json));
    assert_true(hf_bytes_equal(hf_draft_root_file(&again), hf_buf_bytes(&w.root_file)));
    hf_draft_free(&again);
    hf_buf_free(&text);
}

static void what_is_no_draft_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    CHECK_REFUSED(parse_with("format", json_string("holdfast-key"), &why), HF_E_FORMAT, &why,
                  "a holdfast-draft of version 1 is expected");
    CHECK_REFUSED(parse_with("version", json_integer(2), &why), HF_E_FORMAT, &why, "of version 2");
    CHECK_REFUSED(parse_with("role", json_string("timestamp"), &why), HF_E_FORMAT, &why,
                  "of root or of targets");
    CHECK_REFUSED(parse_with("role", json_string("targets"), &why), HF_E_FORMAT, &why, "before");
    CHECK_REFUSED(parse_with("root", json_string("{}"), &why), HF_E_FORMAT, &why,
                  "the root metadata in the draft");
    CHECK_REFUSED(parse_with("signatures", json_object(), &why), HF_E_FORMAT, &why, "signatures");
    CHECK_REFUSED(parse_with("names", json_array(), &why), HF_E_FORMAT, &why, "names");
}

static void a_root_that_its_own_keys_did_not_sign_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct hf_buf file = {0};
    w.publisher.roles[HF_ROLE_ROOT].keys.n_signers = 1;
    tuf_repo_build_root(&w.publisher, &file);
    CHECK_REFUSED(parse_with("root", json_string((const char *)file.data), &why), HF_E_SIGNATURE,
                  &why, "the root in the draft");
    hf_buf_free(&file);
}

static void a_draft_that_skips_a_version_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    for (int version = 1; version <= 3; version += 2) {
        json_t *part = signed_copy();
        json_object_set_new(part, "version", json_integer(version));
        CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why,
                      "after root 1 comes root 2");
    }
}

static void a_threshold_above_the_keys_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *part = signed_copy();
    json_object_set_new(role_in(part, "snapshot"), "threshold", json_integer(2));
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why,
                  "2 of 1 snapshot keys can never sign");
}

static void one_key_under_two_ids_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *part = signed_copy();
    json_object_set_new(json_object_get(part, "keys"), "twin", tuf_key_json(root_key(0)));
    json_array_append_new(json_object_get(role_in(part, "root"), "keyids"), json_string("twin"));
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why, "it counts once");
}

static void an_id_that_means_another_key_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    struct tuf_key other;
    json_t *part = signed_copy();
    tuf_key_make(&other);
    json_object_set_new(json_object_get(part, "keys"), root_key(1)->key_id, tuf_key_json(&other));
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why,
                  "to another key than root 1");
}

static void a_key_that_is_not_listed_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *part = signed_copy();
    json_object_del(json_object_get(part, "keys"), root_key(2)->key_id);
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why, "is missing or cannot be");
}

static void nothing_that_confuses_a_terminal_gets_in(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "caf\xc3\xa9"};
    struct hf_why why = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *part = signed_copy();
        json_object_set_new(json_object_get(part, "keys"), bad[i], tuf_key_json(root_key(0)));
        CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why, "plain ASCII");
        CHECK_REFUSED(parse_with("names", json_pack("{s:s}", "id", bad[i]), &why), HF_E_FORMAT,
                      &why, "plain ASCII");
        CHECK_REFUSED(parse_with("signatures",
                                 json_pack("[{s:s, s:s}]", "keyid", bad[i], "sig", "00"), &why),
                      HF_E_FORMAT, &why, "plain ASCII");
    }
}

static void control_characters_get_nowhere(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *part = signed_copy();
    json_object_set_new(part, "\x1b[2K", json_integer(1));
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why, "control character");
    part = signed_copy();
    json_object_set_new(part, "x", json_string("a\nb"));
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why, "control character");
    CHECK_REFUSED(parse_with("names", json_pack("{s:s}", "id", "\x1b[2K"), &why), HF_E_FORMAT, &why,
                  "plain ASCII");
}

/* The lines of a PEM end; as a file that is escaped, and what is signed has it as it is. */
static void a_key_may_be_a_pem(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH1ZNQFwNI/bV0+il6EfxiLdd88Xy\n"
                              "kQLeu6Yq6iLmkTF3vxDM5q1ALoBsI5rWLj+442wbESdKu3POyT2f/6Wsfg==\n"
                              "-----END PUBLIC KEY-----\n";
    json_t *part = signed_copy();
    json_t *key = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme",
                            "ecdsa-sha2-nistp256", "keyval", "public", pem);
    struct hf_why why = {0};
    char key_id[HF_SHA256_HEX_LEN];
    CHECK_OK(hf_public_key_id(key, key_id, NULL));
    json_object_set_new(json_object_get(part, "keys"), key_id, key);
    CHECK_OK(parse_with("signed", part, &why));
}

static void a_repeated_signature_is_refused(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *two = json_pack("[{s:s, s:s}, {s:s, s:s}]", "keyid", "a", "sig", "00", "keyid", "a",
                            "sig", "11");
    CHECK_REFUSED(parse_with("signatures", two, &why), HF_E_FORMAT, &why, "one key signs once");
}

static void what_is_refused_leaves_the_draft_as_it_was(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *before = json_deep_copy(w.draft.json);
    json_t *part = signed_copy();
    json_object_set_new(part, "version", json_integer(7));
    CHECK_REFUSED(hf_draft_set_take(&w.draft, "signed", part, &why), HF_E_FORMAT, &why,
                  "comes root 2");
    assert_true(json_equal(before, w.draft.json));
    assert_int_equal(w.draft.next.env.version, 2);
    json_decref(before);
}

/* ---- who has signed -------------------------------------------------------------------------- */

static struct hf_eligibility say_of(const struct hf_signature_status *status,
                                    const struct tuf_key *key)
{
    json_t *object = tuf_key_json(key);
    struct hf_eligibility say = hf_signature_status_eligibility(status, object);
    json_decref(object);
    return say;
}

static void signatures_are_counted_for_either_root(void **state)
{
    (void)state;
    struct hf_signature_status status = {0};
    struct hf_why why = {0};
    sign_with(0);
    CHECK_OK(hf_signature_status_make(&w.draft, &status, NULL));
    assert_false(hf_signature_status_is_complete(&status));
    CHECK_REFUSED(hf_signature_status_require(&status, &why), HF_E_SIGNATURE, &why,
                  "signed by 1 of 3 keys of version 1 (2 must), 1 of 3 of version 2 (2 must)");
    assert_null(strstr(why.text, "0000000000000000"));
    assert_true(say_of(&status, root_key(0)).has_signed);
    assert_null(say_of(&status, root_key(0)).id);
    assert_string_equal(say_of(&status, root_key(1)).id, root_key(1)->key_id);
    assert_false(say_of(&status, root_key(1)).has_signed);
    hf_signature_status_free(&status);
    sign_with(2);
    CHECK_OK(hf_signature_status_make(&w.draft, &status, NULL));
    assert_true(hf_signature_status_is_complete(&status));
    CHECK_OK(hf_signature_status_require(&status, &why));
    hf_signature_status_free(&status);
}

static void a_signature_that_does_not_verify_is_refused(void **state)
{
    (void)state;
    struct hf_signature_status status = {0};
    struct hf_why why = {0};
    json_t *forged = json_pack("[{s:s, s:s}]", "keyid", root_key(0)->key_id, "sig", "00");
    CHECK_OK(hf_draft_set_take(&w.draft, "signatures", forged, NULL));
    CHECK_REFUSED(hf_signature_status_make(&w.draft, &status, &why), HF_E_SIGNATURE, &why,
                  "is not over this draft");
    assert_null(status.keys);
}

static void a_signature_of_a_role_that_has_no_say_is_refused(void **state)
{
    (void)state;
    struct hf_signature_status status = {0};
    struct hf_why why = {0};
    const struct tuf_key *key = &w.publisher.roles[HF_ROLE_TARGETS].keys.keys[0];
    json_t *other = json_pack("[{s:s, s:s}]", "keyid", key->key_id, "sig", "00");
    CHECK_OK(hf_draft_set_take(&w.draft, "signatures", other, NULL));
    CHECK_REFUSED(hf_signature_status_make(&w.draft, &status, &why), HF_E_SIGNATURE, &why,
                  "a root key of neither root");
}

/* ---- showing --------------------------------------------------------------------------------- */

static void keys_that_come_and_go_are_shown(void **state)
{
    (void)state;
    const char *old_id = w.publisher.roles[HF_ROLE_TIMESTAMP].keys.keys[0].key_id;
    struct hf_public_key key = {0};
    struct hf_draft changed = {0};
    struct tuf_key fresh;
    char line[200];
    tuf_key_make(&fresh);
    json_t *object = tuf_key_json(&fresh), *part = signed_copy();
    CHECK_OK(hf_public_key_from_json(object, &key, NULL));
    json_t *role = role_in(part, "timestamp"), *keys = json_object_get(part, "keys");
    json_object_set_new(role, "keyids", json_pack("[s]", key.key_id));
    json_object_del(keys, old_id);
    json_object_set(keys, key.key_id, key.json);
    json_t *names = json_pack("{s:s}", key.key_id, "new.pub");
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = hf_draft_root_file(&w.draft),
                                         .names = names,
                                         .signed_part = part};
    CHECK_OK(hf_draft_make(&parts, &changed, NULL));
    hf_draft_free(&w.draft);
    w.draft = changed;
    assert_int_equal(w.draft.next.ring.n_keys, w.draft.root.ring.n_keys);
    (void)snprintf(line, sizeof line, "+ new    ed25519 %s  new.pub", key.key_id);
    check_shows(line);
    (void)snprintf(line, sizeof line, "- goes   ed25519 %s", old_id);
    check_shows(line);
    check_shows("  snapshot   1 of 1 keys, unchanged");
    hf_public_key_free(&key);
    json_decref(object);
    json_decref(part);
    json_decref(names);
}

static void what_nobody_knows_is_shown_too(void **state)
{
    (void)state;
    json_t *part = signed_copy();
    json_object_set_new(part, "x-more", json_integer(1));
    json_object_set_new(part, "caf\xc3\xa9", json_integer(1));
    CHECK_OK(hf_draft_set_take(&w.draft, "signed", part, NULL));
    check_shows("  ! not explained: \"x-more\" is new: 1\n");
    check_shows("  ! not explained: \"caf\\u00E9\" is new: 1\n");
    check_shows("consistent snapshots: yes (before: yes)");
}

static void consistent_snapshots_are_not_given_up(void **state)
{
    (void)state;
    struct hf_why why = {0};
    json_t *part = signed_copy();
    json_object_set_new(part, "consistent_snapshot", json_false());
    CHECK_REFUSED(parse_with("signed", part, &why), HF_E_FORMAT, &why,
                  "gives up consistent snapshots");
}

static void dates_are_shown_with_those_before(void **state)
{
    (void)state;
    check_shows("draft of root 2, after root 1\n");
    check_shows("  expires    2026-11-29T00:00:00Z (before: ");
    check_shows("  drafted    2026-10-30T00:00:00Z (before: 2026-10-30T00:00:00Z)");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_draft_written_and_read_again_is_the_same),
        T(what_is_no_draft_is_refused),
        T(a_root_that_its_own_keys_did_not_sign_is_refused),
        T(a_draft_that_skips_a_version_is_refused),
        T(a_threshold_above_the_keys_is_refused),
        T(one_key_under_two_ids_is_refused),
        T(an_id_that_means_another_key_is_refused),
        T(a_key_that_is_not_listed_is_refused),
        T(nothing_that_confuses_a_terminal_gets_in),
        T(control_characters_get_nowhere),
        T(a_key_may_be_a_pem),
        T(a_repeated_signature_is_refused),
        T(what_is_refused_leaves_the_draft_as_it_was),
        T(signatures_are_counted_for_either_root),
        T(a_signature_that_does_not_verify_is_refused),
        T(a_signature_of_a_role_that_has_no_say_is_refused),
        T(keys_that_come_and_go_are_shown),
        T(what_nobody_knows_is_shown_too),
        T(consistent_snapshots_are_not_given_up),
        T(dates_are_shown_with_those_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
