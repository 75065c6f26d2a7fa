/* server/identity/identity: every row of the identity table, in the handshake, at resumption and at
 * a request. */
#include "tests/support/check.h"

#include "server/identity/identity.h"
#include "tests/support/openssl_pki.h"

#include <openssl/err.h>

enum { ALPHA = 1, BETA, CLOSED, ENROLLING };

struct world {
    EVP_PKEY *ca_key, *key;
    X509 *ca, *cert;
    struct hf_client_cert described;
    struct hf_registry *registry;
    struct hf_directory *directory;
};

/* ---- the world ------------------------------------------------------------------------------- */

/* Of the CA, where a test wants another one. */
struct ca_terms {
    uint32_t account;
    enum hf_cert_mode mode;
    bool is_inactive;
    enum hf_auto_registration automatic;
    X509 *x509; /* NULL: the world's */
    bool is_sni_optional;
};

static void set_directory(struct world *w, const struct ca_terms *terms)
{
    struct hf_why why = {0};
    struct hf_buf der = {0};
    struct hf_directory *d = NULL;
    CHECK_OK(hf_directory_new(NULL, terms->is_sni_optional, &d, &why));
    CHECK_OK(hf_directory_add_account(d, ALPHA, "alpha", HF_ANONYMOUS_READ, &why));
    CHECK_OK(hf_directory_add_account(d, BETA, "beta", HF_ANONYMOUS_REPORT, &why));
    CHECK_OK(hf_directory_add_account(d, CLOSED, "closed", HF_ANONYMOUS_NONE, &why));
    CHECK_OK(hf_directory_add_account(d, ENROLLING, "enrolling", HF_ANONYMOUS_ENROLL, &why));
    CHECK_OK(hf_directory_add_sni(d, "alpha.example", ALPHA, &why));
    CHECK_OK(hf_directory_add_sni(d, "beta.example", BETA, &why));
    CHECK_OK(hf_directory_add_sni(d, "closed.example", CLOSED, &why));
    CHECK_OK(hf_directory_add_sni(d, "enrolling.example", ENROLLING, &why));
    if (terms->account != 0) {
        struct hf_ca ca = {.id = 50,
                           .account = terms->account,
                           .mode = terms->mode,
                           .is_active = !terms->is_inactive,
                           .auto_registration = terms->automatic};
        ossl_cert_der(terms->x509 != NULL ? terms->x509 : w->ca, &der);
        CHECK_OK(hf_directory_add_ca(d, &ca, hf_buf_bytes(&der), &why));
        hf_buf_free(&der);
    }
    CHECK_OK(hf_directory_finish(d, &why));
    hf_directory_unref(w->directory);
    w->directory = d;
}

static void describe(struct world *w, X509 *cert)
{
    struct hf_why why = {0};
    X509_free(w->cert);
    w->cert = cert;
    CHECK_OK(hf_client_cert_describe(cert, &w->described, &why));
}

static struct ossl_cert device_of(struct world *w)
{
    return (struct ossl_cert){.subject = "device",
                              .issuer = "CA",
                              .key = w->key,
                              .by = {.key = w->ca_key}};
}

static int make(void **state)
{
    static struct world w;
    struct hf_why why = {0};
    w = (struct world){.ca_key = ossl_key("P-256"), .key = ossl_key("P-256")};
    w.ca = ossl_cert(&(struct ossl_cert){.subject = "CA", .key = w.ca_key, .is_ca = true});
    struct ossl_cert spec = device_of(&w);
    describe(&w, ossl_cert(&spec));
    CHECK_OK(hf_registry_new(0, &w.registry, &why));
    set_directory(&w, &(struct ca_terms){0});
    *state = &w;
    return 0;
}

static int drop(void **state)
{
    struct world *w = *state;
    assert_int_equal(ERR_peek_error(), 0);
    hf_directory_unref(w->directory);
    hf_registry_free(w->registry);
    X509_free(w->ca);
    X509_free(w->cert);
    EVP_PKEY_free(w->ca_key);
    EVP_PKEY_free(w->key);
    return 0;
}

static void register_in(struct world *w, uint32_t account, enum hf_cert_mode mode,
                        enum hf_cert_status status)
{
    struct hf_why why = {0};
    struct hf_registered entry = {900 + account, account, status, mode, HF_CERT_DEVICE, 0};
    CHECK_OK(hf_registry_set(w->registry, w->described.sha256, &entry, &why));
}

/* ---- questions ------------------------------------------------------------------------------- */

static struct hf_identity_view view_at(const struct world *w, int64_t now_s)
{
    return (struct hf_identity_view){w->directory, w->registry, now_s};
}

static struct hf_identity_question question(struct world *w, uint32_t account, unsigned tls_version)
{
    return (struct hf_identity_question){account, tls_version, &w->described, w->cert};
}

/* What the handshake, a resumption and a request say: the same but for row 3, which only they tell
 * apart. */
static struct hf_identity decide(struct world *w, uint32_t account, unsigned tls_version)
{
    struct hf_identity_view view = view_at(w, OSSL_NOW_S);
    struct hf_identity_question q = question(w, account, tls_version);
    struct hf_identity handshake, resumed, request;
    hf_identity_decide(&view, &q, &handshake);
    hf_identity_resume(&view, &q, &resumed);
    unsigned status = hf_identity_request(&view, &q, "", 0, &request);
    assert_int_equal(status, handshake.admission == HF_ADMITTED ? 0 : 403);
    assert_int_equal(request.row, handshake.row);
    if (handshake.admission != HF_MUST_REGISTER) {
        assert_int_equal(resumed.admission, handshake.admission);
        assert_int_equal(resumed.alert, handshake.alert);
    } else {
        assert_int_equal(resumed.admission, HF_REFUSED);
        assert_int_equal(resumed.alert, HF_ALERT_UNKNOWN_CA);
    }
    return handshake;
}

static void assert_refused(struct world *w, uint32_t account, unsigned tls_version, unsigned row,
                           enum hf_alert alert)
{
    struct hf_identity found = decide(w, account, tls_version);
    assert_int_equal(found.admission, HF_REFUSED);
    assert_int_equal(found.row, row);
    assert_int_equal(found.alert, alert);
    assert_true(found.sentence[0] != '\0');
}

static void assert_admitted(struct world *w, uint32_t account, uint32_t as_account)
{
    struct hf_identity found = decide(w, account, HF_TLS_1_3);
    assert_int_equal(found.admission, HF_ADMITTED);
    assert_int_equal(found.row, 0);
    assert_int_equal(found.account, as_account);
    assert_int_equal(found.registered.credential, 900 + as_account);
    assert_true(found.has_certificate);
}

static struct hf_hello hello(struct world *w, const char *sni, bool is_tls13)
{
    struct hf_identity_view view = view_at(w, OSSL_NOW_S);
    struct hf_hello out;
    hf_identity_hello(&view, sni, is_tls13, &out);
    return out;
}

/* ---- row 1 ----------------------------------------------------------------------------------- */

static void row_1_without_sni(void **state)
{
    struct world *w = *state;
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_int_equal(hello(w, NULL, true).policy, HF_HELLO_REFUSE);
    assert_int_equal(hello(w, NULL, true).alert, HF_ALERT_MISSING_EXTENSION);
    assert_int_equal(hello(w, NULL, false).alert, HF_ALERT_HANDSHAKE_FAILURE);
    assert_refused(w, 0, HF_TLS_1_3, 1, HF_ALERT_MISSING_EXTENSION);
    assert_refused(w, 0, HF_TLS_1_2, 1, HF_ALERT_HANDSHAKE_FAILURE);

    set_directory(w, &(struct ca_terms){.is_sni_optional = true});
    assert_int_equal(hello(w, NULL, true).policy, HF_HELLO_REQUIRE);
    assert_int_equal(hello(w, NULL, true).account, 0);
    assert_admitted(w, 0, ALPHA);
}

static void row_1_sni_optional_admits_mode_default_only(void **state)
{
    struct world *w = *state;
    set_directory(w, &(struct ca_terms){.is_sni_optional = true});
    register_in(w, ALPHA, HF_CERT_MODE_SNI_ONLY, HF_CERT_ACTIVE);
    assert_refused(w, 0, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    struct hf_identity_view view = view_at(w, OSSL_NOW_S);
    struct hf_identity_question q = {.tls_version = HF_TLS_1_3};
    struct hf_identity found;
    hf_identity_decide(&view, &q, &found);
    assert_int_equal(found.admission, HF_REFUSED);
    assert_int_equal(found.row, 1);
}

static void row_1_name_of_no_account(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"gamma.example", "", "example", "x.alpha.example", "a b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(hello(w, names[i], true).policy, HF_HELLO_REFUSE);
        assert_int_equal(hello(w, names[i], true).alert, HF_ALERT_UNRECOGNIZED_NAME);
    }
    assert_int_equal(hello(w, "ALPHA.example", true).account, ALPHA);
    assert_refused(w, 99, HF_TLS_1_3, 1, HF_ALERT_UNRECOGNIZED_NAME); /* removed meanwhile */
}

/* ---- row 2 ----------------------------------------------------------------------------------- */

static void row_2_without_a_certificate(void **state)
{
    struct world *w = *state;
    struct hf_identity_view view = view_at(w, OSSL_NOW_S);
    static const struct {
        uint32_t account;
        const char *sni;
        enum hf_anonymous anonymous;
    } lines[] = {{ALPHA, "alpha.example", HF_ANONYMOUS_READ},
                 {BETA, "beta.example", HF_ANONYMOUS_REPORT},
                 {ENROLLING, "enrolling.example", HF_ANONYMOUS_ENROLL}};
    struct hf_identity_question q = {.tls_version = HF_TLS_1_3};
    struct hf_identity found;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(hello(w, lines[i].sni, true).policy, HF_HELLO_OPTIONAL);
        q.account = lines[i].account;
        hf_identity_decide(&view, &q, &found);
        assert_int_equal(found.admission, HF_ADMITTED);
        assert_int_equal(found.row, 2);
        assert_int_equal(found.anonymous, lines[i].anonymous);
        assert_int_equal(found.account, lines[i].account);
        assert_false(found.has_certificate);
        assert_int_equal(found.registered.credential, 0);
    }
    assert_int_equal(hello(w, "closed.example", true).policy, HF_HELLO_REQUIRE);
    q.account = CLOSED;
    hf_identity_decide(&view, &q, &found);
    assert_int_equal(found.admission, HF_REFUSED);
    assert_int_equal(found.alert, HF_ALERT_CERTIFICATE_REQUIRED);
    q.tls_version = HF_TLS_1_2;
    hf_identity_decide(&view, &q, &found);
    assert_int_equal(found.admission, HF_REFUSED);
    assert_int_equal(found.row, 2);
    assert_int_equal(found.alert, HF_ALERT_HANDSHAKE_FAILURE);
}

/* ---- rows 3 and 4 ---------------------------------------------------------------------------- */

static void assert_registers(struct world *w, uint32_t account, uint32_t in_account)
{
    struct hf_identity found = decide(w, account, HF_TLS_1_3);
    assert_int_equal(found.admission, HF_MUST_REGISTER);
    assert_int_equal(found.row, 3);
    assert_int_equal(found.account, in_account);
    assert_int_equal(found.ca->id, 50);
}

static void row_3_auto_registration(void **state)
{
    struct world *w = *state;
    set_directory(w, &(struct ca_terms){ALPHA, HF_CERT_MODE_SNI_ONLY,
                                        .automatic = HF_AUTO_REGISTRATION_PENDING});
    assert_registers(w, ALPHA, ALPHA);
    assert_refused(w, BETA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    set_directory(w, &(struct ca_terms){ALPHA, HF_CERT_MODE_DEFAULT,
                                        .automatic = HF_AUTO_REGISTRATION_ACTIVE,
                                        .is_sni_optional = true});
    assert_registers(w, ALPHA, ALPHA);
    assert_registers(w, 0, ALPHA);
    assert_refused(w, BETA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    set_directory(w, &(struct ca_terms){ALPHA, HF_CERT_MODE_SNI_ONLY,
                                        .automatic = HF_AUTO_REGISTRATION_ACTIVE,
                                        .is_sni_optional = true});
    assert_refused(w, 0, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);

    /* Registered in another account where several may have it. */
    register_in(w, BETA, HF_CERT_MODE_SNI_ONLY, HF_CERT_ACTIVE);
    assert_registers(w, ALPHA, ALPHA);
    register_in(w, BETA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_refused(w, ALPHA, HF_TLS_1_3, 5, HF_ALERT_UNKNOWN_CA);
}

static void row_4_ca_that_registers_nothing(void **state)
{
    struct world *w = *state;
    struct ca_terms terms = {ALPHA, HF_CERT_MODE_SNI_ONLY,
                             .automatic = HF_AUTO_REGISTRATION_PENDING};
    assert_refused(w, ALPHA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    terms.is_inactive = true;
    set_directory(w, &terms);
    assert_refused(w, ALPHA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    terms = (struct ca_terms){ALPHA, HF_CERT_MODE_SNI_ONLY};
    set_directory(w, &terms);
    assert_refused(w, ALPHA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    X509 *expired = ossl_cert(&(struct ossl_cert){.subject = "CA",
                                                  .key = w->ca_key,
                                                  .is_ca = true,
                                                  .not_after_s = OSSL_NOW_S - 1});
    terms = (struct ca_terms){ALPHA, HF_CERT_MODE_SNI_ONLY,
                              .automatic = HF_AUTO_REGISTRATION_ACTIVE, .x509 = expired};
    set_directory(w, &terms);
    assert_refused(w, ALPHA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    X509_free(expired);
}

static void row_4_certificate_that_is_not_right(void **state)
{
    struct world *w = *state;
    EVP_PKEY *other = ossl_key("P-256"), *weak = ossl_key("RSA:1024");
    struct ossl_cert good = device_of(w), changed[5];
    for (size_t i = 0; i < 5; i++)
        changed[i] = good;
    changed[0].by.key = other; /* forged */
    changed[1].not_after_s = OSSL_NOW_S - 1;
    changed[2].not_before_s = OSSL_NOW_S + 1;
    changed[3].key = weak;
    changed[4].by.hash = "SHA1";
    set_directory(w, &(struct ca_terms){ALPHA, HF_CERT_MODE_SNI_ONLY,
                                        .automatic = HF_AUTO_REGISTRATION_ACTIVE});
    for (size_t i = 0; i < 5; i++) {
        describe(w, ossl_cert(&changed[i]));
        assert_refused(w, ALPHA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
    }
    EVP_PKEY_free(other);
    EVP_PKEY_free(weak);
}

/* ---- row 5 ----------------------------------------------------------------------------------- */

static void row_5_mode(void **state)
{
    struct world *w = *state;
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_admitted(w, ALPHA, ALPHA);
    assert_refused(w, BETA, HF_TLS_1_3, 5, HF_ALERT_UNKNOWN_CA);
    assert_refused(w, CLOSED, HF_TLS_1_3, 5, HF_ALERT_UNKNOWN_CA);

    register_in(w, ALPHA, HF_CERT_MODE_SNI_ONLY, HF_CERT_ACTIVE);
    register_in(w, BETA, HF_CERT_MODE_SNI_ONLY, HF_CERT_ACTIVE);
    assert_admitted(w, ALPHA, ALPHA);
    assert_admitted(w, BETA, BETA);
    assert_refused(w, CLOSED, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
}

/* ---- row 6 ----------------------------------------------------------------------------------- */

static void row_6_status(void **state)
{
    struct world *w = *state;
    static const struct {
        enum hf_cert_status status;
        enum hf_alert alert;
    } lines[] = {{HF_CERT_REVOKED, HF_ALERT_CERTIFICATE_REVOKED},
                 {HF_CERT_INACTIVE, HF_ALERT_BAD_CERTIFICATE},
                 {HF_CERT_PENDING_TRANSFER, HF_ALERT_BAD_CERTIFICATE},
                 {HF_CERT_PENDING_ACTIVATION, HF_ALERT_BAD_CERTIFICATE}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, lines[i].status);
        assert_refused(w, ALPHA, HF_TLS_1_3, 6, lines[i].alert);
        assert_refused(w, ALPHA, HF_TLS_1_2, 6, lines[i].alert);
    }
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_admitted(w, ALPHA, ALPHA);
}

/* A revoked one in one account is what it was in another. */
static void row_6_is_about_this_account(void **state)
{
    struct world *w = *state;
    register_in(w, ALPHA, HF_CERT_MODE_SNI_ONLY, HF_CERT_REVOKED);
    register_in(w, BETA, HF_CERT_MODE_SNI_ONLY, HF_CERT_ACTIVE);
    assert_refused(w, ALPHA, HF_TLS_1_3, 6, HF_ALERT_CERTIFICATE_REVOKED);
    assert_admitted(w, BETA, BETA);
}

/* ---- row 7 ----------------------------------------------------------------------------------- */

static void row_7_dates(void **state)
{
    struct world *w = *state;
    struct ossl_cert spec = device_of(w);
    spec.not_before_s = OSSL_NOW_S - 100;
    spec.not_after_s = OSSL_NOW_S + 100;
    describe(w, ossl_cert(&spec));
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    static const struct {
        int64_t after_s;
        bool is_valid;
    } lines[] = {{-101, false}, {-100, true}, {0, true}, {100, true}, {101, false}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct hf_identity_view view = view_at(w, OSSL_NOW_S + lines[i].after_s);
        struct hf_identity_question q = question(w, ALPHA, HF_TLS_1_3);
        struct hf_identity found;
        hf_identity_decide(&view, &q, &found);
        assert_int_equal(found.admission, lines[i].is_valid ? HF_ADMITTED : HF_REFUSED);
        assert_int_equal(found.row, lines[i].is_valid ? 0 : 7);
        assert_int_equal(found.alert,
                         lines[i].is_valid ? HF_ALERT_NONE : HF_ALERT_CERTIFICATE_EXPIRED);
    }
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_REVOKED); /* row 6 comes before */
    struct hf_identity_view view = view_at(w, OSSL_NOW_S + 101);
    struct hf_identity_question q = question(w, ALPHA, HF_TLS_1_3);
    struct hf_identity found;
    hf_identity_decide(&view, &q, &found);
    assert_int_equal(found.alert, HF_ALERT_CERTIFICATE_REVOKED);
}

/* ---- row 8 ----------------------------------------------------------------------------------- */

static void row_8_algorithms(void **state)
{
    struct world *w = *state;
    EVP_PKEY *weak = ossl_key("RSA:1024"), *pss = ossl_key("RSA-PSS:2048");
    struct ossl_cert spec = device_of(w);
    spec.key = weak;
    describe(w, ossl_cert(&spec));
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_refused(w, ALPHA, HF_TLS_1_3, 8, HF_ALERT_UNSUPPORTED_CERTIFICATE);

    spec = device_of(w);
    spec.by.hash = "SHA1";
    describe(w, ossl_cert(&spec));
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_refused(w, ALPHA, HF_TLS_1_3, 8, HF_ALERT_UNSUPPORTED_CERTIFICATE);

    spec = device_of(w);
    spec.key = pss;
    describe(w, ossl_cert(&spec));
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_admitted(w, ALPHA, ALPHA);
    assert_refused(w, ALPHA, HF_TLS_1_2, 8, HF_ALERT_UNSUPPORTED_CERTIFICATE);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(pss);
}

/* ---- requests -------------------------------------------------------------------------------- */

static unsigned request(struct world *w, const char *host)
{
    struct hf_identity_view view = view_at(w, OSSL_NOW_S);
    struct hf_identity_question q = question(w, ALPHA, HF_TLS_1_3);
    struct hf_identity found;
    return hf_identity_request(&view, &q, host, strlen(host), &found);
}

static void a_request_for_another_account_is_misdirected(void **state)
{
    struct world *w = *state;
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT, HF_CERT_ACTIVE);
    assert_int_equal(request(w, "alpha.example"), 0);
    assert_int_equal(request(w, "ALPHA.example:8443"), 0);
    assert_int_equal(request(w, "192.0.2.1"), 0);
    assert_int_equal(request(w, "beta.example"), 421);
    assert_int_equal(request(w, "Beta.Example.:443"), 421);
    register_in(w, ALPHA, HF_CERT_MODE_DEFAULT,
                HF_CERT_REVOKED); /* in the middle of a connection */
    assert_int_equal(request(w, "alpha.example"), 403);
    assert_int_equal(request(w, "beta.example"), 403);
}

/* An attacker has many CAs of one name registered in an account: the work stays bounded. */
static void many_cas_of_one_name_cost_a_bounded_number_of_signatures(void **state)
{
    struct world *w = *state;
    struct hf_directory *d = NULL;
    struct hf_why why = {0};
    CHECK_OK(hf_directory_new(NULL, false, &d, &why));
    CHECK_OK(hf_directory_add_account(d, ALPHA, "alpha", HF_ANONYMOUS_READ, &why));
    for (uint64_t id = 1; id <= HF_DIRECTORY_SAME_SUBJECT_MAX + 1; id++) {
        struct hf_buf der = {0};
        bool is_right = id > HF_DIRECTORY_SAME_SUBJECT_MAX;
        EVP_PKEY *key = ossl_key("P-256");
        X509 *other = ossl_cert(&(struct ossl_cert){.subject = "CA", .key = key, .is_ca = true});
        ossl_cert_der(is_right ? w->ca : other, &der);
        CHECK_OK(
            hf_directory_add_ca(d,
                                &(struct hf_ca){.id = id,
                                                .account = ALPHA,
                                                .mode = HF_CERT_MODE_SNI_ONLY,
                                                .is_active = true,
                                                .auto_registration = HF_AUTO_REGISTRATION_PENDING},
                                hf_buf_bytes(&der), &why));
        hf_buf_free(&der);
        X509_free(other);
        EVP_PKEY_free(key);
    }
    CHECK_OK(hf_directory_finish(d, &why));
    hf_directory_unref(w->directory);
    w->directory = d;
    assert_refused(w, ALPHA, HF_TLS_1_3, 4, HF_ALERT_UNKNOWN_CA);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(row_1_without_sni),
        ROW(row_1_sni_optional_admits_mode_default_only),
        ROW(row_1_name_of_no_account),
        ROW(row_2_without_a_certificate),
        ROW(row_3_auto_registration),
        ROW(row_4_ca_that_registers_nothing),
        ROW(row_4_certificate_that_is_not_right),
        ROW(row_5_mode),
        ROW(row_6_status),
        ROW(row_6_is_about_this_account),
        ROW(row_7_dates),
        ROW(row_8_algorithms),
        ROW(a_request_for_another_account_is_misdirected),
        ROW(many_cas_of_one_name_cost_a_bounded_number_of_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
