#include "tests/support/replay.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "client/core/update.h"
#include "client/port/mbedtls/trust_store_internal.h"
#include "client/port/posix/endpoint_probe.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LONG_AGO_S (DEVICE_NOW_S - 10 * REPLAY_YEAR_S)

/* ---- the system's clock, as the TLS library sees it ------------------------------------------ */

static const int64_t *device_clock; /* NULL: not set */

time_t __wrap_time(time_t *out);
time_t __real_time(time_t *out);

time_t __wrap_time(time_t *out)
{
    if (device_clock == NULL)
        return __real_time(out);
    time_t now = (time_t)*device_clock;
    if (out != NULL)
        *out = now;
    return now;
}

/* ---- CAs and servers ------------------------------------------------------------------------- */

struct replay_ca *replay_ca_of(struct replay *r, const char *subject, enum pki_kind kind,
                               int64_t not_after_s)
{
    assert_true(r->n_cas < REPLAY_CAS_MAX);
    struct replay_ca *ca = &r->cas[r->n_cas++];
    *ca = (struct replay_ca){.not_before_s = LONG_AGO_S, .not_after_s = not_after_s};
    (void)snprintf(ca->subject, sizeof ca->subject, "%s", subject);
    pki_key_make(&ca->key, kind);
    return ca;
}

struct replay_ca *replay_ca(struct replay *r, const char *subject, int64_t not_after_s)
{
    return replay_ca_of(r, subject, PKI_P256, not_after_s);
}

struct pki_cert replay_root(struct replay_ca *ca)
{
    return (struct pki_cert){.subject = ca->subject,
                             .key = &ca->key,
                             .not_before_s = ca->not_before_s,
                             .not_after_s = ca->not_after_s,
                             .is_ca = true};
}

struct pki_cert replay_cross(struct replay_ca *ca, struct replay_ca *by)
{
    struct pki_cert cert = replay_root(ca);
    cert.issuer = by->subject;
    cert.issuer_key = &by->key;
    return cert;
}

void replay_append_roots(struct hf_buf *pem, struct replay_ca *const *cas)
{
    for (; *cas != NULL; cas++) {
        struct pki_cert root = replay_root(*cas);
        pki_issue_pem(&root, pem);
    }
}

struct replay_server *replay_add_home(struct replay *r, const char *name)
{
    assert_true(r->n_homes < REPLAY_HOMES_MAX);
    struct replay_server *home = &r->homes[r->n_homes++];
    (void)snprintf(home->name, sizeof home->name, "%s", name);
    return home;
}

void replay_serve(struct replay *r, struct replay_server *server, struct replay_ca *issuer,
                  int64_t issued_s)
{
    world_chain_clear(&server->chain);
    server->key = &r->leaf_key;
    world_present(&server->chain, &(struct pki_cert){.subject = "CN=" TLS_HOST,
                                                     .key = server->key,
                                                     .issuer = issuer->subject,
                                                     .issuer_key = &issuer->key,
                                                     .not_before_s = issued_s,
                                                     .not_after_s = issued_s + 6 * REPLAY_YEAR_S,
                                                     .dns_name = TLS_HOST});
}

void replay_serve_also(struct replay_server *server, const struct pki_cert *cert)
{
    world_present(&server->chain, cert);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* 0, or Mbed TLS's error; `flags` says what verification found. */
static int shake_hands(const mbedtls_ssl_config *client, const struct replay_server *server,
                       mbedtls_ssl_protocol_version version, uint32_t *flags,
                       struct hf_chain *shown)
{
    struct tls_server tls;
    struct tls_pair pair;

    tls_server_make(&tls, version, server->key, server->chain.der, server->chain.n);
    int ret = tls_connect(&pair, client, &tls);
    *flags = mbedtls_ssl_get_verify_result(&pair.client);
    const mbedtls_x509_crt *crt = shown != NULL && ret == 0
                                      ? mbedtls_ssl_get_peer_cert(&pair.client)
                                      : NULL;
    for (; crt != NULL; crt = crt->next)
        CHECK_OK(hf_chain_add(shown, (struct hf_bytes){crt->raw.p, crt->raw.len}, NULL));
    tls_close(&pair);
    tls_server_free(&tls);
    return ret;
}

uint32_t replay_connect(struct replay *r, const struct replay_server *server)
{
    uint32_t flags = 0;
    int ret = shake_hands(&r->app, server, MBEDTLS_SSL_VERSION_TLS1_3, &flags, NULL);
    assert_int_equal(ret, flags == 0 ? 0 : MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    return flags;
}

/* The transport port: the repository behind a server whose chain must validate, as the device's own
 * connections must. */
static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    struct replay *r = ctx;

    if (request->waives_validation)
        r->n_waived++;
    else if (r->update.chain.n > 0 && replay_connect(r, &r->update) != 0)
        return hf_fail(why, HF_E_UNTRUSTED, "the chain of the update server does not validate");
    else
        r->n_validated++;
    return r->http.fetch(r->http.ctx, request, out, why);
}

/* ---- looks at the device's own servers ------------------------------------------------------- */

static int no_anchors(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    (void)ctx;
    (void)child;
    *out = NULL;
    return 0;
}

static int take_down_chain(const struct replay_server *server, enum hf_offer offer,
                           struct hf_chain *out)
{
    const struct hf_tls_offer tls = hf_probe_offer(offer, false);
    mbedtls_ssl_protocol_version version = tls.version == HF_TLS_13 ? MBEDTLS_SSL_VERSION_TLS1_3
                                                                    : MBEDTLS_SSL_VERSION_TLS1_2;
    mbedtls_ssl_config config;
    uint32_t flags = 0;

    tls_client_make(&config, version);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_ca_cb(&config, no_anchors, NULL);
    hf_tls_offer_set(&config, tls);
    int ret = shake_hands(&config, server, version, &flags, out);
    mbedtls_ssl_config_free(&config);
    return ret;
}

static enum hf_err probe(void *ctx, size_t endpoint, enum hf_offer offer,
                         const struct hf_anchor_set *sets, size_t n_sets, bool *is_valid,
                         struct hf_chain_observation *out, struct hf_why *why)
{
    struct replay *r = ctx;
    const struct replay_server *server = &r->homes[endpoint];
    struct hf_chain_observation sighting = {0};
    struct hf_chain chain = {0};
    enum hf_err err = HF_OK;

    for (size_t i = 0; i < n_sets; i++)
        is_valid[i] = false;
    if (server->chain.n == 0)
        (void)snprintf(sighting.text, sizeof sighting.text, "connection refused");
    else if (take_down_chain(server, offer, &chain) != 0)
        (void)snprintf(sighting.text, sizeof sighting.text, "no handshake");
    else
        err = hf_chain_observe(&chain, TLS_HOST, sets, n_sets, is_valid, &sighting, why);
    hf_chain_free(&chain);
    if (err == HF_OK)
        *out = sighting;
    return err;
}

static const char *home_name(void *ctx, size_t endpoint)
{
    const struct replay *r = ctx;
    return r->homes[endpoint].name;
}

/* ---- the device ------------------------------------------------------------------------------ */

struct hf_ports replay_ports(struct replay *r)
{
    struct hf_ports ports = fake_ports_of(&r->d->fake);

    r->http = ports.transport;
    ports.transport = (struct hf_transport_port){.ctx = r, .fetch = fetch};
    ports.trust = hf_trust_store_port(r->store);
    if (r->n_homes > 0)
        ports.endpoints = (struct hf_endpoint_port){r, r->n_homes, home_name, probe};
    return ports;
}

void replay_on(struct replay *r)
{
    struct hf_ports ports = replay_ports(r);
    struct hf_client_config config = device_config(r->d);
    CHECK_OK(hf_trust_store_swap(r->store, NULL, 0, &r->d->why)); /* a new process */
    CHECK_OK(hf_client_open(&ports, &config, &r->d->client, &r->d->why));
}

void replay_reboot(struct replay *r)
{
    device_off(r->d);
    fake_store_reboot(&r->d->fake.store);
    r->d->fake.uptime_ms = 0;
    replay_on(r);
}

void replay_ship(struct replay *r, const struct hf_buf *pem)
{
    struct hf_ports ports = replay_ports(r);
    struct hf_client_config config = device_config(r->d);
    struct hf_bytes root = tuf_files_find(&r->d->repo.files, "metadata/1.root.json");
    struct hf_bytes factory = pem != NULL ? hf_buf_bytes(pem) : (struct hf_bytes){0};

    CHECK_OK(hf_client_provision(&ports, &config, root, factory, &r->d->why));
    replay_on(r);
}

void replay_ship_roots(struct replay *r, struct replay_ca *const *cas)
{
    struct hf_buf pem = {0};
    replay_append_roots(&pem, cas);
    replay_ship(r, &pem);
    hf_buf_free(&pem);
}

enum hf_err replay_update(struct replay *r)
{
    r->n_validated = r->n_waived = 0;
    return device_update(r->d);
}

void replay_pass(struct replay *r, int64_t seconds)
{
    r->d->fake.now_s += seconds;
    r->d->fake.uptime_ms += seconds * 1000;
}

void replay_fail_for_a_day(struct replay *r, enum hf_err wanted)
{
    for (int i = 0; i < HF_RECOVERY_FAILURES - 1; i++) {
        assert_string_equal(hf_err_name(replay_update(r)), hf_err_name(wanted));
        assert_int_equal(r->n_waived, 0);
        replay_pass(r, HF_RECOVERY_AFTER_S / (HF_RECOVERY_FAILURES - 1));
    }
}

/* ---- the publisher --------------------------------------------------------------------------- */

void replay_publish_described(struct replay *r, int64_t version, const struct hf_buf *pem,
                              json_t *custom)
{
    struct tuf_repo *repo = &r->d->repo;
    char path[80];

    (void)snprintf(path, sizeof path, DEVICE_SET "/" DEVICE_PROFILE "/%lld.pem",
                   (long long)version);
    tuf_repo_add_target(repo, path, hf_buf_bytes(pem), custom);
    for (int role = HF_ROLE_ROOT + 1; role < HF_TOP_ROLES; role++)
        repo->roles[role].expires_s = r->d->fake.now_s + REPLAY_YEAR_S;
    tuf_repo_publish_next(repo);
}

void replay_publish(struct replay *r, int64_t version, const struct hf_buf *pem)
{
    replay_publish_described(r, version, pem, device_custom(DEVICE_SET, DEVICE_PROFILE, version));
}

void replay_publish_roots(struct replay *r, int64_t version, struct replay_ca *const *cas)
{
    struct hf_buf pem = {0};
    replay_append_roots(&pem, cas);
    replay_publish(r, version, &pem);
    hf_buf_free(&pem);
}

void replay_describe_first(json_t *custom, const struct hf_buf *pem, const char *member,
                           const char *value)
{
    char sha256[HF_SHA256_HEX_LEN];
    struct hf_bundle bundle = {0};

    CHECK_OK(hf_bundle_parse(hf_buf_bytes(pem), NULL, &bundle, NULL));
    hf_hex_encode(bundle.anchors[0].cert.sha256, HF_SHA256_LEN, sha256);
    hf_bundle_free(&bundle);
    json_object_set_new(json_object_get(custom, "holdfast"), "anchors",
                        json_pack("[{s:s, s:s}]", "sha256", sha256, member, value));
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void make_device(struct replay *r)
{
    r->d = calloc(1, sizeof *r->d);
    assert_non_null(r->d);
    tuf_repo_init(&r->d->repo, DEVICE_NOW_S - HF_DAY_S);
    tuf_repo_publish_root(&r->d->repo);
    fake_ports_init(&r->d->fake, DEVICE_NOW_S);
    (void)device_add_mirror(r->d, "https://update.test/repo", NULL);
    device_clock = &r->d->fake.now_s;
}

int replay_setup(void **state)
{
    struct replay *r = calloc(1, sizeof *r);
    struct hf_why why = {0};

    assert_non_null(r);
    make_device(r);
    CHECK_OK(hf_trust_store_new(&r->store, &why));
    tls_client_make(&r->app, MBEDTLS_SSL_VERSION_TLS1_3);
    CHECK_OK(hf_trust_store_bind(r->store, &r->app, &why));
    pki_key_make(&r->leaf_key, PKI_P256);
    *state = r;
    return 0;
}

int replay_teardown(void **state)
{
    struct replay *r = *state;
    void *device = r->d;

    (void)device_teardown(&device);
    device_clock = NULL;
    mbedtls_ssl_config_free(&r->app);
    hf_trust_store_free(r->store);
    world_chain_clear(&r->update.chain);
    for (size_t i = 0; i < REPLAY_HOMES_MAX; i++)
        world_chain_clear(&r->homes[i].chain);
    for (size_t i = 0; i < r->n_cas; i++)
        pki_key_free(&r->cas[i].key);
    pki_key_free(&r->leaf_key);
    free(r);
    return 0;
}
