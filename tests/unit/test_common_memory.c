/*
 * Memory runs out at every single allocation of everything in common/: nothing is accepted, nothing
 * is handed out half made, nothing leaks (AddressSanitizer looks), and the next try succeeds.
 */
#include "tests/support/check.h"

#include "common/base/limits.h"
#include "common/base/digest.h"
#include "common/base/percent.h"
#include "common/bundle/policy.h"
#include "common/bundle/pem.h"
#include "common/json/json.h"
#include "common/tuf/trusted_set.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

#include <stdlib.h>

#define NOW_S INT64_C(1900000000)

/* What the attempts work on; made while there is memory. */
struct fixture {
    struct tuf_repo repo;
    struct hf_buf files[HF_TOP_ROLES], next_root, delegated;
    struct hf_buf pem, der;
    struct hf_bundle bundle;
    json_t *custom, *keys[4];
    struct hf_why why;
};

typedef enum hf_err (*attempt_fn)(struct fixture *f);

/*
 * What a shortage may look like. jansson and Mbed TLS do not always tell it from bad bytes, and a
 * key that could not be read counts for nothing: refusals all the same. And jansson (2.14) drops a
 * byte of a string when it cannot grow its buffer, without a word: such a file is read, as another
 * one than was signed. So nothing that was parsed may count before it was verified in the form it
 * was parsed to, which is what hf_envelope_verify does.
 */
#define MEMORY (1u << HF_E_MEMORY)
#define PARSED (MEMORY | 1u << HF_E_FORMAT | 1u << HF_OK)
#define VERIFIED (PARSED | 1u << HF_E_SIGNATURE)

/* Fail at the first allocation of `attempt`, at the second, and so on until it gets them all. Where
 * there are hundreds, they repeat themselves: one certificate after the other. */
static void run_out_everywhere(struct fixture *f, attempt_fn attempt, enum failing how,
                               unsigned refusals)
{
    for (unsigned n = 1;; n += n < 250 ? 1 : 13) {
        failing_malloc_begin(n, how);
        enum hf_err err = attempt(f);
        if (!failing_malloc_end()) {
            CHECK_OK(err);
            assert_true(n > 1);
            return;
        }
        if ((1u << err & refusals) == 0)
            fail_msg("allocation %u fails and the result is %s", n, hf_err_name(err));
    }
}

static void check_refuses(struct fixture *f, attempt_fn attempt, unsigned refusals)
{
    run_out_everywhere(f, attempt, FAILING_ONCE, refusals);
    run_out_everywhere(f, attempt, FAILING_FROM_THEN_ON, refusals);
}

/* ---- the fixture ----------------------------------------------------------------------------- */

static void add_anchor(struct fixture *f, size_t i)
{
    char subject[32];
    struct pki_key key;
    snprintf(subject, sizeof subject, "CN=Root %zu", i);
    pki_key_make(&key, PKI_P256);
    struct pki_cert cert = {.subject = subject, .key = &key, .is_ca = true};
    pki_issue_pem(&cert, &f->pem);
    if (i == 0)
        pki_issue(&cert, &f->der);
    pki_key_free(&key);
}

/* A tenth certificate, which is skipped. */
static void add_unsupported(struct fixture *f)
{
    struct pki_key key;
    struct hf_buf der = {0};
    pki_key_make(&key, PKI_P256);
    pki_root("CN=Of tomorrow", &key, &der);
    pki_change_signature_algorithm(&der);
    CHECK_OK(hf_pem_append(&f->pem, hf_buf_bytes(&der)));
    hf_buf_free(&der);
    pki_key_free(&key);
}

static void make_repo(struct fixture *f)
{
    tuf_repo_init(&f->repo, NOW_S);
    f->repo.has_hashes = true;
    tuf_repo_add_target(&f->repo, "set/full/1.pem", hf_bytes_of_text("one"), NULL);
    struct tuf_delegated_role *role = tuf_repo_delegate(&f->repo, "targets", "role1", "set/*",
                                                        false);
    tuf_repo_build_delegated(&f->repo, role, &f->delegated);
    tuf_repo_build_root(&f->repo, &f->files[HF_ROLE_ROOT]);
    tuf_repo_build_timestamp(&f->repo, &f->files[HF_ROLE_TIMESTAMP]);
    tuf_repo_build_snapshot(&f->repo, &f->files[HF_ROLE_SNAPSHOT]);
    tuf_repo_build_targets(&f->repo, &f->files[HF_ROLE_TARGETS]);
    f->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_build_root(&f->repo, &f->next_root);
}

static json_t *pk_key_json(enum pki_kind kind, const char *type, const char *scheme)
{
    struct pki_key key;
    unsigned char pem[2048];
    pki_key_make(&key, kind);
    assert_int_equal(mbedtls_pk_write_pubkey_pem(&key.pk, pem, sizeof pem), 0);
    pki_key_free(&key);
    return json_pack("{s:s, s:s, s:{s:s}}", "keytype", type, "scheme", scheme, "keyval", "public",
                     (const char *)pem);
}

static json_t *hex_key_json(void)
{
    /* the base point of P-256, which is on the curve */
    return json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256",
                     "keyval", "public",
                     "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
}

static json_t *make_custom(const struct fixture *f)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(hf_buf_bytes(&f->der), sha256);
    return json_pack("{s:{s:s, s:s, s:i, s:[{s:s, s:s, s:s}], s:[s]}}", "holdfast", "set", "iot",
                     "profile", "full", "version", 3, "anchors", "sha256", sha256, "distrust_after",
                     "2031-01-01T00:00:00Z", "remove_after", "2032-01-01T00:00:00Z", "drops",
                     sha256);
}

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    failing_malloc_init();
    make_repo(f);
    for (size_t i = 0; i < 9; i++) /* one more than the first array of anchors holds */
        add_anchor(f, i);
    add_unsupported(f);
    CHECK_OK(hf_bundle_parse(hf_buf_bytes(&f->pem), NULL, &f->bundle, &f->why));
    f->custom = make_custom(f);
    f->keys[0] = tuf_key_json(&f->repo.roles[HF_ROLE_ROOT].keys.keys[0]);
    f->keys[1] = hex_key_json();
    f->keys[2] = pk_key_json(PKI_P384, "ecdsa", "ecdsa-sha2-nistp384");
    f->keys[3] = pk_key_json(PKI_RSA_2048, "rsa", "rsassa-pss-sha256");
    for (size_t i = 0; i < 4; i++)
        assert_non_null(f->keys[i]);
    assert_non_null(f->custom);
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < HF_TOP_ROLES; i++)
        hf_buf_free(&f->files[i]);
    for (size_t i = 0; i < 4; i++)
        json_decref(f->keys[i]);
    hf_buf_free(&f->next_root);
    hf_buf_free(&f->delegated);
    hf_buf_free(&f->pem);
    hf_buf_free(&f->der);
    hf_bundle_free(&f->bundle);
    json_decref(f->custom);
    tuf_repo_free(&f->repo);
    free(f);
    return 0;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static enum hf_err print(struct fixture *f)
{
    struct hf_buf out = {0};
    (void)f;
    enum hf_err err = hf_buf_printf(&out, "%d and more", 1);
    assert_true((err == HF_OK) == (out.len > 0));
    hf_buf_free(&out);
    return err;
}

static enum hf_err append_again(struct fixture *f)
{
    struct hf_buf out = {0};
    (void)f;
    enum hf_err err = hf_buf_append_text(&out, "abc");
    if (err == HF_OK)
        err = hf_buf_append_text(&out, "defghijklmnopq");
    assert_true(err == HF_OK || out.len == 0 || strcmp((const char *)out.data, "abc") == 0);
    hf_buf_free(&out);
    return err;
}

static enum hf_err percent_encode(struct fixture *f)
{
    struct hf_buf out = {0};
    (void)f;
    enum hf_err err = hf_percent_encode("a/b c", "", &out);
    hf_buf_free(&out);
    return err;
}

static enum hf_err parse_json(struct fixture *f)
{
    json_t *value = NULL;
    enum hf_err err = hf_json_parse_object(hf_buf_bytes(&f->files[HF_ROLE_ROOT]), "the file",
                                           &value, &f->why);
    assert_true((err == HF_OK) == (value != NULL));
    json_decref(value);
    return err;
}

/* Every kind of value, and lengths at which the buffer must grow. */
static enum hf_err write_canonical(struct fixture *f)
{
    static const char text[] = "{\"a\":[1,true,false,null,\"x\\\"y\\\\z\",[]],\"b\":{\"c\":\"d\"}}";
    struct hf_buf out = {0};
    json_t *value = json_loads(text, 0, NULL);
    enum hf_err err = value == NULL ? HF_E_MEMORY : hf_json_canonical(value, &out, &f->why);
    json_decref(value);
    hf_buf_free(&out);
    return err;
}

static enum hf_err write_json(struct fixture *f)
{
    struct hf_buf out = {0};
    json_t *value = hf_json_set_take(json_object(), "a", hf_json_plain("b\x1b[2J"));
    enum hf_err err = value == NULL ? HF_E_MEMORY : hf_json_write(value, &out, &f->why);
    json_decref(value);
    hf_buf_free(&out);
    return err;
}

static void texts(void **state)
{
    struct fixture *f = *state;
    check_refuses(f, print, MEMORY);
    check_refuses(f, append_again, MEMORY);
    check_refuses(f, percent_encode, MEMORY);
    check_refuses(f, parse_json, PARSED);
    check_refuses(f, write_canonical, MEMORY);
    check_refuses(f, write_json, MEMORY);
}

/* At every place of a text where the buffer may have to grow: what is written byte by byte grows at
 * the same few lengths only, so begin with each one of them. */
static void canonical_json_at_every_length(void **state)
{
    static const char text[] = "{\"a\":[1,2,true,\"x\\\"\"],\"b\":{}}";
    struct fixture *f = *state;
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    for (size_t room = 1; room < sizeof text; room++) {
        struct hf_buf out = {0};
        CHECK_OK(hf_buf_reserve(&out, room - 1));
        failing_malloc_begin(2, FAILING_FROM_THEN_ON); /* the first is for the sorted keys */
        enum hf_err err = hf_json_canonical(value, &out, &f->why);
        assert_true(failing_malloc_end());
        assert_int_equal(err, HF_E_MEMORY);
        hf_buf_free(&out);
    }
    json_decref(value);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static enum hf_err parse_root(struct fixture *f)
{
    struct hf_root root = {0};
    enum hf_err err = hf_root_parse(hf_buf_bytes(&f->files[HF_ROLE_ROOT]), &root, &f->why);
    assert_true((err == HF_OK) == (root.env.json != NULL));
    hf_root_free(&root);
    return err;
}

static enum hf_err parse_timestamp(struct fixture *f)
{
    struct hf_timestamp timestamp = {0};
    enum hf_err err = hf_timestamp_parse(hf_buf_bytes(&f->files[HF_ROLE_TIMESTAMP]), &timestamp,
                                         &f->why);
    assert_true((err == HF_OK) == (timestamp.env.json != NULL));
    hf_timestamp_free(&timestamp);
    return err;
}

static enum hf_err parse_snapshot(struct fixture *f)
{
    struct hf_snapshot snapshot = {0};
    enum hf_err err = hf_snapshot_parse(hf_buf_bytes(&f->files[HF_ROLE_SNAPSHOT]), &snapshot,
                                        &f->why);
    assert_true((err == HF_OK) == (snapshot.env.json != NULL));
    hf_snapshot_free(&snapshot);
    return err;
}

static enum hf_err parse_targets(struct fixture *f)
{
    struct hf_targets targets = {0};
    enum hf_err err = hf_targets_parse(hf_buf_bytes(&f->files[HF_ROLE_TARGETS]), &targets, &f->why);
    assert_true((err == HF_OK) == (targets.env.json != NULL));
    hf_targets_free(&targets);
    return err;
}

static enum hf_err name_target(struct fixture *f)
{
    struct hf_target target = {.path = "set/full/1.pem", .info = {.has_sha256 = true}};
    struct hf_buf name = {0};
    enum hf_err err = hf_target_file_name(&target, true, &name, &f->why);
    hf_buf_free(&name);
    return err;
}

static void metadata(void **state)
{
    struct fixture *f = *state;
    check_refuses(f, parse_root, PARSED);
    check_refuses(f, parse_timestamp, PARSED);
    check_refuses(f, parse_snapshot, PARSED);
    check_refuses(f, parse_targets, PARSED);
    check_refuses(f, name_target, MEMORY);
}

/* ---- the trusted set: `step` runs out, what came before it had all it wanted ----------------- */

static enum hf_err init_set(struct fixture *f)
{
    struct hf_trusted_set set = {0};
    enum hf_err err = hf_trusted_set_init(&set, hf_buf_bytes(&f->files[HF_ROLE_ROOT]), NOW_S,
                                          &f->why);
    assert_true((err == HF_OK) == (set.root != NULL));
    hf_trusted_set_free(&set);
    return err;
}

typedef enum hf_err (*step_fn)(struct fixture *f, struct hf_trusted_set *set);

static enum hf_err step_root(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_update_root(set, hf_buf_bytes(&f->next_root), &f->why);
}

static enum hf_err step_end(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_end_roots(set, &f->why);
}

static enum hf_err step_timestamp(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_update_timestamp(set, hf_buf_bytes(&f->files[HF_ROLE_TIMESTAMP]),
                                           HF_FETCHED, &f->why);
}

static enum hf_err step_snapshot(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_update_snapshot(set, hf_buf_bytes(&f->files[HF_ROLE_SNAPSHOT]),
                                          HF_FETCHED, &f->why);
}

static enum hf_err step_targets(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_update_targets(set, hf_buf_bytes(&f->files[HF_ROLE_TARGETS]), "targets",
                                         NULL, &f->why);
}

static enum hf_err step_delegated(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_update_targets(set, hf_buf_bytes(&f->delegated), "role1", set->targets[0],
                                         &f->why);
}

static enum hf_err step_shed(struct fixture *f, struct hf_trusted_set *set)
{
    return hf_trusted_set_shed(set, &f->why);
}

static const step_fn steps[] = {step_root,    step_end,       step_timestamp, step_snapshot,
                                step_targets, step_delegated, step_shed};

static bool is_same(const struct hf_trusted_set *a, const struct hf_trusted_set *b)
{
    return a->root == b->root && a->timestamp == b->timestamp && a->snapshot == b->snapshot &&
           a->n_targets == b->n_targets && a->online_keys_rotated == b->online_keys_rotated;
}

/* False once `step` got all its allocations. */
static bool run_out_in_step(struct fixture *f, size_t step, unsigned n, enum failing how)
{
    struct hf_trusted_set set = {0};
    CHECK_OK(hf_trusted_set_init(&set, hf_buf_bytes(&f->files[HF_ROLE_ROOT]), NOW_S, &f->why));
    for (size_t i = 0; i < step; i++)
        CHECK_OK(steps[i](f, &set));
    struct hf_trusted_set before = set;
    failing_malloc_begin(n, how);
    enum hf_err err = steps[step](f, &set);
    bool is_short = failing_malloc_end();
    assert_true(is_short ? (1u << err & VERIFIED) != 0 : err == HF_OK);
    if (err != HF_OK) {
        assert_true(is_same(&set, &before));
        CHECK_OK(steps[step](f, &set));
    }
    hf_trusted_set_free(&set);
    return is_short;
}

static void trusted_set(void **state)
{
    struct fixture *f = *state;
    check_refuses(f, init_set, VERIFIED);
    for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++) {
        for (unsigned n = 1; run_out_in_step(f, step, n, FAILING_ONCE); n++)
            continue;
        for (unsigned n = 1; run_out_in_step(f, step, n, FAILING_FROM_THEN_ON); n++)
            continue;
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* The next key is this one or none that counts. False once it got all its allocations. */
static bool run_out_in_key(const json_t *object, unsigned n, enum failing how)
{
    struct hf_key key = {0};
    struct hf_why why = {0};
    failing_malloc_begin(n, how);
    enum hf_err err = hf_key_parse("key", object, &key, &why);
    bool is_short = failing_malloc_end();
    assert_true(err == HF_OK || err == HF_E_MEMORY);
    assert_int_equal(key.scheme != HF_SCHEME_UNKNOWN, !is_short);
    assert_int_equal(key.public_key != NULL, !is_short);
    hf_key_free(&key);
    return is_short;
}

static void keys(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 4; i++) {
        for (unsigned n = 1; run_out_in_key(f->keys[i], n, FAILING_ONCE); n++)
            continue;
        for (unsigned n = 1; run_out_in_key(f->keys[i], n, FAILING_FROM_THEN_ON); n++)
            continue;
    }
}

/* A signature is never accepted because there was no memory to verify it. */
static void a_signature_does_not_verify_without_memory(void **state)
{
    struct pki_key pk;
    unsigned char hash[32] = {0}, signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE], pem[1024];
    size_t len = 0;
    struct hf_key key = {0};
    struct hf_why why = {0};
    struct hf_bytes message = hf_bytes_of_text("message");
    (void)state;
    hf_sha256(message, hash);
    pki_key_make(&pk, PKI_P256);
    assert_int_equal(mbedtls_pk_sign(&pk.pk, MBEDTLS_MD_SHA256, hash, sizeof hash, signature,
                                     sizeof signature, &len, pki_random, NULL),
                     0);
    assert_int_equal(mbedtls_pk_write_pubkey_pem(&pk.pk, pem, sizeof pem), 0);
    pki_key_free(&pk);
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme",
                               "ecdsa-sha2-nistp256", "keyval", "public", (const char *)pem);
    CHECK_OK(hf_key_parse("key", object, &key, &why));
    bool is_short = true, is_valid = false;
    for (unsigned n = 1; is_short; n += n < 64 ? 1 : 97) { /* some thousand */
        failing_malloc_begin(n, FAILING_FROM_THEN_ON);
        is_valid = hf_key_verify(&key, message, (struct hf_bytes){signature, len});
        is_short = failing_malloc_end();
        assert_true(is_valid == !is_short);
    }
    hf_key_free(&key);
    json_decref(object);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static enum hf_err parse_cert(struct fixture *f)
{
    struct hf_cert cert = {0};
    enum hf_err err = hf_cert_parse(hf_buf_bytes(&f->der), &cert, &f->why);
    assert_true((err == HF_OK) == (cert.subject[0] != '\0'));
    return err;
}

static enum hf_err parse_bundle(struct fixture *f)
{
    struct hf_bundle bundle = {0};
    enum hf_err err = hf_bundle_parse(hf_buf_bytes(&f->pem), NULL, &bundle, &f->why);
    assert_true((err == HF_OK) == (bundle.n_anchors == 9));
    hf_bundle_free(&bundle);
    return err;
}

static enum hf_err write_bundle(struct fixture *f)
{
    struct hf_buf pem = {0};
    enum hf_err err = hf_bundle_to_pem(&f->bundle, &pem);
    hf_buf_free(&pem);
    return err;
}

static enum hf_err append_pem(struct fixture *f)
{
    struct hf_buf pem = {0};
    enum hf_err err = hf_pem_append(&pem, hf_buf_bytes(&f->der));
    assert_true((err == HF_OK) == (pem.len > 0));
    hf_buf_free(&pem);
    return err;
}

static enum hf_err parse_description(struct fixture *f)
{
    struct hf_description d = {0};
    enum hf_err err = hf_description_parse(f->custom, &d, &f->why);
    assert_true((err == HF_OK) == (d.version == 3));
    hf_description_free(&d);
    return err;
}

static enum hf_err write_description(struct fixture *f)
{
    struct hf_description d = {0};
    json_t *json = NULL;
    struct hf_buf path = {0};
    enum hf_err err = hf_description_parse(f->custom, &d, &f->why);
    if (err == HF_OK)
        err = hf_description_to_json(&d, &json, &f->why);
    assert_true((err == HF_OK) == (json != NULL));
    if (err == HF_OK)
        err = hf_description_target_path(&d, &path, &f->why);
    hf_description_free(&d);
    hf_buf_free(&path);
    json_decref(json);
    return err;
}

static void bundles(void **state)
{
    struct fixture *f = *state;
    check_refuses(f, parse_cert, PARSED);
    check_refuses(f, parse_bundle, PARSED);
    check_refuses(f, write_bundle, MEMORY);
    check_refuses(f, append_pem, MEMORY);
    check_refuses(f, parse_description, MEMORY);
    check_refuses(f, write_description, MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),    cmocka_unit_test(canonical_json_at_every_length),
        cmocka_unit_test(metadata), cmocka_unit_test(trusted_set),
        cmocka_unit_test(keys),     cmocka_unit_test(a_signature_does_not_verify_without_memory),
        cmocka_unit_test(bundles),
    };
    return cmocka_run_group_tests(tests, make, drop); /* no test changes it */
}
