/* server/repository/drafts/draft.c, draft_check.c, draft_signatures.c: drafts of targets under a
 * root that is not published yet, as a key holder's machine reads them from an untrusted
 * carrier. */
#include "tests/support/check.h"
#include "tests/support/tuf_repo.h"

#include "common/base/timetext.h"
#include "server/repository/drafts/draft_signatures.h"

#include <stdlib.h>

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */

/* Root 2 has another targets key, of which nothing is published. */
struct world {
    struct tuf_repo publisher;
    struct tuf_keys old_targets;
    struct hf_buf roots[2], before;
    json_t *json;
};
static struct world w;

static json_t *text_json(const struct hf_buf *text)
{
    return json_stringn((const char *)text->data, text->len);
}

/* The next targets, unsigned. */
static json_t *signed_part(void)
{
    struct hf_buf file = {0};
    struct hf_targets targets = {0};
    w.publisher.roles[HF_ROLE_TARGETS].version = 2;
    tuf_repo_build_targets(&w.publisher, &file);
    CHECK_OK(hf_targets_parse(hf_buf_bytes(&file), &targets, NULL));
    json_t *copy = json_deep_copy(targets.env.signed_part);
    hf_targets_free(&targets);
    hf_buf_free(&file);
    return copy;
}

static int setup(void **state)
{
    (void)state;
    w = (struct world){0};
    tuf_repo_init(&w.publisher, NOW_S);
    tuf_repo_build_root(&w.publisher, &w.roots[0]);
    tuf_repo_build_targets(&w.publisher, &w.before);
    w.old_targets = w.publisher.roles[HF_ROLE_TARGETS].keys;
    tuf_keys_make(&w.publisher.roles[HF_ROLE_TARGETS].keys, 2, 2);
    w.publisher.roles[HF_ROLE_ROOT].version = 2;
    tuf_repo_build_root(&w.publisher, &w.roots[1]);
    w.json = json_pack("{s:s, s:i, s:s, s:o, s:[o], s:b, s:o, s:{}, s:o, s:[], s:{}}", "format",
                       "holdfast-draft", "version", 1, "role", "targets", "root",
                       text_json(&w.roots[1]), "roots", text_json(&w.roots[0]), "root_to_come", 1,
                       "before", text_json(&w.before), "files", "signed", signed_part(),
                       "signatures", "names");
    assert_non_null(w.json);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(w.json);
    hf_buf_free(&w.roots[0]);
    hf_buf_free(&w.roots[1]);
    hf_buf_free(&w.before);
    tuf_repo_free(&w.publisher);
    return 0;
}

static enum hf_err parse(struct hf_draft *out, struct hf_why *why)
{
    char *text = json_dumps(w.json, 0);
    enum hf_err err = hf_draft_parse(hf_bytes_of_text(text), out, why);
    assert_true(err == HF_OK || out->json == NULL);
    free(text);
    return err;
}

static void check_refused(enum hf_err wanted, const char *words)
{
    struct hf_draft draft = {0};
    struct hf_why why = {0};
    CHECK_REFUSED(parse(&draft, &why), wanted, &why, words);
}

static void sign_with(const struct tuf_keys *keys)
{
    json_t *envelope = tuf_sign(json_deep_copy(json_object_get(w.json, "signed")), keys, NULL);
    assert_int_equal(json_array_extend(json_object_get(w.json, "signatures"),
                                       json_object_get(envelope, "signatures")),
                     0);
    json_decref(envelope);
}

/* ---- what it is ------------------------------------------------------------------------------ */

static void the_root_in_force_is_the_last_of_those_before(void **state)
{
    (void)state;
    struct hf_draft draft = {0};
    CHECK_OK(parse(&draft, NULL));
    assert_true(hf_draft_is_under_coming_root(&draft));
    assert_int_equal(draft.root.env.version, 2);
    assert_int_equal(hf_draft_root_in_force(&draft)->env.version, 1);
    assert_true(draft.is_before_verified);
    hf_draft_free(&draft);
}

static void an_ordinary_draft_has_none_to_come(void **state)
{
    (void)state;
    struct hf_draft draft = {0};
    json_object_del(w.json, "root_to_come");
    CHECK_OK(parse(&draft, NULL));
    assert_false(hf_draft_is_under_coming_root(&draft));
    assert_int_equal(hf_draft_root_in_force(&draft)->env.version, 2);
    assert_false(draft.is_before_verified); /* root 2 has other targets keys */
    hf_draft_free(&draft);
}

/* ---- who must sign, and who may -------------------------------------------------------------- */

static void the_keys_of_the_root_in_force_are_counted_apart(void **state)
{
    (void)state;
    struct hf_draft draft = {0};
    struct hf_signature_status status = {0};
    struct hf_why why = {0};
    sign_with(&w.old_targets);
    CHECK_OK(parse(&draft, NULL));
    CHECK_OK(hf_signature_status_make(&draft, &status, NULL));
    assert_int_equal(status.n_quorums, 2);
    assert_true(status.quorums[1].is_optional && status.quorums[1].n_signed == 1);
    CHECK_REFUSED(hf_signature_status_require(&status, &why), HF_E_SIGNATURE, &why,
                  "0 of 2 keys of version 2 (2 must), 1 of 1 of version 1 (1 may sign too)");
    hf_signature_status_free(&status);
    hf_draft_free(&draft);
}

static void nothing_waits_for_the_keys_of_the_root_in_force(void **state)
{
    (void)state;
    struct hf_draft draft = {0};
    struct hf_signature_status status = {0};
    sign_with(&w.publisher.roles[HF_ROLE_TARGETS].keys);
    CHECK_OK(parse(&draft, NULL));
    CHECK_OK(hf_signature_status_make(&draft, &status, NULL));
    assert_true(hf_signature_status_is_complete(&status));
    hf_signature_status_free(&status);
    hf_draft_free(&draft);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void a_root_that_the_one_before_did_not_sign_is_refused(void **state)
{
    (void)state;
    struct hf_buf made_up = {0};
    tuf_keys_make(&w.publisher.roles[HF_ROLE_ROOT].keys, 1, 1);
    tuf_repo_build_root(&w.publisher, &made_up);
    json_object_set_new(w.json, "root", text_json(&made_up));
    hf_buf_free(&made_up);
    check_refused(HF_E_SIGNATURE, "the root to come in the draft");
}

static void a_root_that_its_own_keys_did_not_sign_is_refused(void **state)
{
    (void)state;
    json_t *root = json_loads(json_string_value(json_object_get(w.json, "root")), 0, NULL);
    json_object_set_new(root, "signatures", json_array());
    char *text = json_dumps(root, 0);
    json_object_set_new(w.json, "root", json_string(text));
    free(text);
    json_decref(root);
    check_refused(HF_E_SIGNATURE, "the root in the draft");
}

static void a_root_that_comes_later_than_next_is_refused(void **state)
{
    (void)state;
    struct hf_buf third = {0};
    w.publisher.roles[HF_ROLE_ROOT].version = 3;
    tuf_repo_build_root(&w.publisher, &third);
    json_object_set_new(w.json, "root", text_json(&third));
    hf_buf_free(&third);
    check_refused(HF_E_FORMAT, "after root 1 comes root 2");
}

static void a_root_to_come_without_the_one_in_force_is_refused(void **state)
{
    (void)state;
    json_object_set_new(w.json, "roots", json_array());
    check_refused(HF_E_FORMAT, "brings the root before");
    json_object_del(w.json, "roots");
    check_refused(HF_E_FORMAT, "brings the root before");
}

static void anything_but_true_is_refused(void **state)
{
    (void)state;
    json_t *const others[] = {json_false(), json_null(), json_integer(1), json_string("true")};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        json_object_set_new(w.json, "root_to_come", others[i]);
        check_refused(HF_E_FORMAT, "\"root_to_come\" is expected to be true");
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_root_in_force_is_the_last_of_those_before),
        T(an_ordinary_draft_has_none_to_come),
        T(the_keys_of_the_root_in_force_are_counted_apart),
        T(nothing_waits_for_the_keys_of_the_root_in_force),
        T(a_root_that_the_one_before_did_not_sign_is_refused),
        T(a_root_that_its_own_keys_did_not_sign_is_refused),
        T(a_root_that_comes_later_than_next_is_refused),
        T(a_root_to_come_without_the_one_in_force_is_refused),
        T(anything_but_true_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
