/*
 * What the replays of tests/outages have in common: a device of device.h whose trust store is the
 * real one, and whose servers, the one that it updates from and its own, speak real TLS over
 * memory. CAs, chains and clocks are the test's. What goes wrong in the setting up fails the
 * running test (cmocka).
 *
 * Linked with -Wl,--wrap=time: the system's clock is the device's, and may be wrong like it.
 */
#ifndef HF_TESTS_SUPPORT_REPLAY_H
#define HF_TESTS_SUPPORT_REPLAY_H

#include "tests/support/device.h"
#include "tests/support/trust_world.h"

#define REPLAY_YEAR_S (INT64_C(365) * 86400)
#define REPLAY_CAS_MAX 8
#define REPLAY_HOMES_MAX 2

struct replay_ca {
    char subject[64];
    struct pki_key key;
    int64_t not_before_s;
    int64_t not_after_s;
};

/* A TLS server for TLS_HOST. */
struct replay_server {
    char name[64];
    struct pki_key *key;
    struct world_chain chain; /* what it shows, leaf first */
};

struct replay {
    struct device *d;
    struct hf_trust_store *store;  /* the device's live one */
    mbedtls_ssl_config app;        /* of the device's application, bound to `store` */
    struct hf_transport_port http; /* what TLS carries */
    struct replay_server update;   /* the server that it updates from */
    struct replay_server homes[REPLAY_HOMES_MAX]; /* the device's own */
    size_t n_homes;
    struct replay_ca cas[REPLAY_CAS_MAX];
    size_t n_cas;
    struct pki_key leaf_key;
    unsigned n_validated; /* requests over a chain that validated, in the last update */
    unsigned n_waived;    /* requests that waived that, in the last update */
};

/** cmocka's: nothing is published but the first root, and no device is there yet. */
int replay_setup(void **state);
int replay_teardown(void **state);
#define REPLAY_TEST(name) cmocka_unit_test_setup_teardown(name, replay_setup, replay_teardown)

/* ---- CAs and servers ------------------------------------------------------------------------- */

/** A CA with a fresh key, from ten years before the start to `not_after_s`; freed with the
 *  replay. */
struct replay_ca *replay_ca(struct replay *r, const char *subject, int64_t not_after_s);
/** The same with another kind of key. */
struct replay_ca *replay_ca_of(struct replay *r, const char *subject, enum pki_kind kind,
                               int64_t not_after_s);
/** Its own certificate, self-signed; and its name and key in one that `by` has issued. */
struct pki_cert replay_root(struct replay_ca *ca);
struct pki_cert replay_cross(struct replay_ca *ca, struct replay_ca *by);
/** Append the roots as PEM; NULL ends the list. */
void replay_append_roots(struct hf_buf *pem, struct replay_ca *const *cas);

/** One more server of the device's own, "mqtts://device.example:8883" or so; before it is
 *  shipped. */
struct replay_server *replay_add_home(struct replay *r, const char *name);
/** It shows a certificate that `issuer` issued on that day, and nothing else. */
void replay_serve(struct replay *r, struct replay_server *server, struct replay_ca *issuer,
                  int64_t issued_s);
/** … and this one above it. */
void replay_serve_also(struct replay_server *server, const struct pki_cert *cert);

/* ---- the device ------------------------------------------------------------------------------ */

/** All its ports, for tests that open or reset it themselves. */
struct hf_ports replay_ports(struct replay *r);
/** It leaves the factory with these anchors (NULL: none), and is on. */
void replay_ship(struct replay *r, const struct hf_buf *pem);
void replay_ship_roots(struct replay *r, struct replay_ca *const *cas);
void replay_on(struct replay *r);
void replay_reboot(struct replay *r);
/** As device_update, with the requests counted. */
enum hf_err replay_update(struct replay *r);
/** What verification says to a connection of its application with a server of its own: 0, or
 *  MBEDTLS_X509_BADCERT_… */
uint32_t replay_connect(struct replay *r, const struct replay_server *server);
/** Time goes by: the clock, and the device is up. */
void replay_pass(struct replay *r, int64_t seconds);
/** As many checks as a recovery waits for, over a day; each must fail with `wanted`. */
void replay_fail_for_a_day(struct replay *r, enum hf_err wanted);

/* ---- the publisher --------------------------------------------------------------------------- */

/** This bundle as that version, its roles re-signed as of today, for a year. */
void replay_publish(struct replay *r, int64_t version, const struct hf_buf *pem);
void replay_publish_roots(struct replay *r, int64_t version, struct replay_ca *const *cas);
/** The same with a `custom` of the test's own (device_custom); stolen. */
void replay_publish_described(struct replay *r, int64_t version, const struct hf_buf *pem,
                              json_t *custom);
/** Say about the first certificate of `pem`: "distrust_after" a day, "use" what it is, … */
void replay_describe_first(json_t *custom, const struct hf_buf *pem, const char *member,
                           const char *value);

#define REPLAY_CAS(...) ((struct replay_ca *const[]){__VA_ARGS__, NULL})

#endif
