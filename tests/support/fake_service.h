/*
 * A fleet service in memory, as a port for client/port/identity: it issues certificates, remembers
 * whom it knows, and fails where the test wants it to. And a device key whose private half is not
 * in the key that Mbed TLS gets. What goes wrong in the setting up fails the running test (cmocka).
 */
#ifndef HF_TESTS_SUPPORT_FAKE_SERVICE_H
#define HF_TESTS_SUPPORT_FAKE_SERVICE_H

#include "client/port/identity/service.h"
#include "tests/support/test_pki.h"

#define FAKE_CREDENTIALS_MAX 32768
#define FAKE_TOKEN "one-token"

struct fake_credential {
    char sha256[65];
    bool is_active;
};

struct fake_service {
    struct pki_key ca;
    struct fake_credential known[FAKE_CREDENTIALS_MAX];
    size_t n_known;
    char token_key[65]; /* SPKI SHA-256 of the key that used the token; empty: it is not used yet */

    const char *host; /* requests to another one find a server without its API; NULL: none do */

    /* Faults, each until it is taken back. */
    const char *fails_path; /* NULL: none */
    int fails_with;         /* the status; 0: the connection breaks; -1: TLS alert */
    unsigned fails_times;   /* how often; 0: always */
    bool is_a_stranger;     /* what answers with fails_with: it sends no problems */
    bool loses_answer;      /* of fails_path, after doing what was asked; the connection breaks */
    int64_t retry_after_s;  /* sent with fails_with */
    size_t refuses_from;    /* it accepts only so many of the first ones; 0: all */
    bool refuses_by_alert;  /* what it does not accept meets a TLS alert, as with holdfastd */
    unsigned n_calls;
};

void fake_service_init(struct fake_service *service);
void fake_service_free(struct fake_service *service);
struct hf_api_port fake_service_port(struct fake_service *service);
bool fake_service_accepts(const struct fake_service *service, const char *sha256);

/* A key that a "secure element" holds. */
struct fake_element {
    struct pki_key key;
    unsigned n_signatures;
    bool is_broken; /* it signs no more */
    bool is_away;   /* it does not even give its public key */
};
void fake_element_init(struct fake_element *element, enum pki_kind kind);
void fake_element_free(struct fake_element *element);
struct hf_device_key fake_element_key(struct fake_element *element);

#endif
