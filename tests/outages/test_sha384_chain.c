/*
 * Azure's new chain, 2023: it was signed with SHA-384, which devices' builds lacked. Having the
 * root was not the whole question.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "client/core/update.h"
#include "tests/support/replay.h"

#include <string.h>

#define FAR_S (DEVICE_NOW_S + 8 * REPLAY_YEAR_S)

/* Root, intermediate and leaf, each signed with `digest`. */
static void serve_signed_with(struct replay *r, struct replay_server *server,
                              struct replay_ca *root, struct replay_ca *issuing,
                              mbedtls_md_type_t digest)
{
    struct pki_cert intermediate = replay_cross(issuing, root);

    world_chain_clear(&server->chain);
    server->key = &r->leaf_key;
    world_present(&server->chain, &(struct pki_cert){.subject = "CN=" TLS_HOST,
                                                     .key = server->key,
                                                     .issuer = issuing->subject,
                                                     .issuer_key = &issuing->key,
                                                     .not_before_s = DEVICE_NOW_S - HF_DAY_S,
                                                     .digest = digest,
                                                     .dns_name = TLS_HOST});
    intermediate.digest = digest;
    replay_serve_also(server, &intermediate);
}

static void append_root(struct hf_buf *pem, struct replay_ca *ca, mbedtls_md_type_t digest)
{
    struct pki_cert root = replay_root(ca);
    root.digest = digest;
    pki_issue_pem(&root, pem);
}

static void check_move_to(struct replay *r, enum pki_kind kind)
{
    struct replay_ca *old_root = replay_ca(r, "CN=Old Root", FAR_S);
    struct replay_ca *new_root = replay_ca_of(r, "CN=New Root", kind, FAR_S);
    struct replay_ca *issuing = replay_ca_of(r, "CN=Issuing CA", PKI_P384, FAR_S);
    struct replay_server *home = replay_add_home(r, "mqtts://device.example:8883");
    struct hf_buf pem = {0};

    replay_serve(r, home, old_root, DEVICE_NOW_S - HF_DAY_S);
    replay_ship_roots(r, REPLAY_CAS(old_root));
    append_root(&pem, old_root, MBEDTLS_MD_SHA256);
    append_root(&pem, new_root, MBEDTLS_MD_SHA384);
    replay_publish(r, 1, &pem);
    hf_buf_free(&pem);
    CHECK_OK(replay_update(r));
    serve_signed_with(r, home, new_root, issuing, MBEDTLS_MD_SHA384);
    assert_int_equal(replay_connect(r, home), 0);
}

static void this_build_validates_ecdsa_with_sha384(void **state)
{
    check_move_to(*state, PKI_P384);
}

static void this_build_validates_rsa_with_sha384(void **state)
{
    check_move_to(*state, PKI_RSA_2048);
}

/* For an algorithm that is not there, one that no profile accepts: the server proves its key, but
 * under no bundle does its chain validate. That is no evidence: the roots are not the cause, and no
 * server may stop an update with it. But it is reported, before and after. */
static void a_chain_with_an_algorithm_that_is_not_there_is_named_before_the_swap(void **state)
{
    struct replay *r = *state;
    struct replay_ca *old_root = replay_ca(r, "CN=Old Root", FAR_S);
    struct replay_ca *new_root = replay_ca(r, "CN=New Root", FAR_S);
    struct replay_ca *issuing = replay_ca(r, "CN=Issuing CA", FAR_S);
    struct replay_server *home = replay_add_home(r, "mqtts://device.example:8883");

    serve_signed_with(r, home, new_root, issuing, MBEDTLS_MD_SHA1);
    replay_ship_roots(r, REPLAY_CAS(old_root, new_root));
    replay_publish_roots(r, 1, REPLAY_CAS(new_root));
    device_remember(r->d);
    for (int i = 0; i < HF_PREFLIGHT_TRIES; i++) {
        CHECK_REFUSED(replay_update(r), HF_E_POSTPONED, &r->d->why, "mqtts://device.example:8883");
        assert_non_null(strstr(r->d->why.text, "signed with SHA-1 (expected"));
        assert_true(fake_state_same_bundles(&r->d->before, &r->d->fake.store.state));
    }
    CHECK_OK(replay_update(r));
    assert_int_equal(r->d->result.to_version, 1);
    assert_true(
        fake_log_has(&r->d->fake, "installed without evidence that it reaches every endpoint"));
    assert_int_equal(replay_connect(r, home), MBEDTLS_X509_BADCERT_BAD_MD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(this_build_validates_ecdsa_with_sha384),
        REPLAY_TEST(this_build_validates_rsa_with_sha384),
        REPLAY_TEST(a_chain_with_an_algorithm_that_is_not_there_is_named_before_the_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
