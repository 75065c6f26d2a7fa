#include "tests/fuzz/chain_seeds.h"

#include "tests/fuzz/chain_input.h"
#include "tests/support/test_pki.h"

#include <mbedtls/oid.h>
#include <mbedtls/x509.h>

#define HOST "www.a.example"
#define LEAF_SUBJECT "CN=Org"
#define OID_INHIBIT_ANY_POLICY MBEDTLS_OID_ID_CE "\x36"

/* An extension whose value is written out: MBEDTLS_OID_… and DER. */
#define EXTENSION(name, critical, ...)                                                             \
    {                                                                                              \
        .oid = {(const uint8_t *)(name), sizeof(name) - 1}, .is_critical = (critical),             \
        .value =                                                                                   \
        {(const uint8_t[]){__VA_ARGS__},                                                           \
         sizeof((const uint8_t[]){__VA_ARGS__}) }                                                  \
    }

/* CN=Org, as a Name without its tag. */
#define NAME_ORG 0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x03, 'O', 'r', 'g'

/* a.example, 192.0.2.0/24, CN=Org and mail.example permitted; b.a.example excluded. */
#define CONSTRAINTS                                                                                \
    EXTENSION(MBEDTLS_OID_NAME_CONSTRAINTS, true, 0x30, 0x4e, 0xa0, 0x3b, 0x30, 0x0b, 0x82, 9,     \
              'a', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0x30, 0x0a, 0x87, 8, 192, 0, 2, 0, 255, \
              255, 255, 0, 0x30, 0x12, 0xa4, 0x10, 0x30, 0x0e, NAME_ORG, 0x30, 0x0c, 0x81, 10,     \
              'm', 'a', 'i', 'l', '.', 'e', 'x', 'a', 'm', 'p', 0xa1, 0x0f, 0x30, 0x0d, 0x82, 11,  \
              'b', '.', 'a', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e')

/* HOST, *.a.example, 192.0.2.1 and CN=Org. */
#define NAMES                                                                                      \
    EXTENSION(MBEDTLS_OID_SUBJECT_ALT_NAME, false, 0x30, 0x34, 0x82, 13, 'w', 'w', 'w', '.', 'a',  \
              '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0x82, 11, '*', '.', 'a', '.', 'e', 'x', 'a', \
              'm', 'p', 'l', 'e', 0x87, 4, 192, 0, 2, 1, 0xa4, 0x10, 0x30, 0x0e, NAME_ORG)

/* Permitted: a name of a kind that RFC 5280 does not have. */
#define UNKNOWN_KIND                                                                               \
    EXTENSION(MBEDTLS_OID_NAME_CONSTRAINTS, true, 0x30, 0x06, 0xa0, 4, 0x30, 2, 0x04, 0)

/* Mailboxes of m.example permitted; one of them in the subjectAltName, with HOST. */
#define MAIL_CONSTRAINT                                                                            \
    EXTENSION(MBEDTLS_OID_NAME_CONSTRAINTS, true, 0x30, 0x0f, 0xa0, 0x0d, 0x30, 0x0b, 0x81, 9,     \
              'm', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e')
#define MAIL_NAMES                                                                                 \
    EXTENSION(MBEDTLS_OID_SUBJECT_ALT_NAME, false, 0x30, 0x1c, 0x82, 13, 'w', 'w', 'w', '.', 'a',  \
              '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0x81, 11, 'a', '@', 'm', '.', 'e', 'x', 'a', \
              'm', 'p', 'l', 'e')

#define POLICY(n) 0x30, 0x05, 0x06, 0x03, 0x2a, 0x03, (n)
#define ANY_POLICY 0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x20, 0x00
#define POLICIES(n) EXTENSION(MBEDTLS_OID_CERTIFICATE_POLICIES, true, 0x30, 0x07, POLICY(n))
#define ANY_POLICIES EXTENSION(MBEDTLS_OID_CERTIFICATE_POLICIES, true, 0x30, 0x08, ANY_POLICY)
/* The first policy here is the second one there. */
#define MAPPING                                                                                    \
    EXTENSION(MBEDTLS_OID_POLICY_MAPPINGS, true, 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x2a, 0x03,   \
              1, 0x06, 0x03, 0x2a, 0x03, 2)
/* A policy is required at once, and mapping inhibited after one more certificate. */
#define REQUIRE_POLICY                                                                             \
    EXTENSION(MBEDTLS_OID_POLICY_CONSTRAINTS, true, 0x30, 0x06, 0x80, 1, 0, 0x81, 1, 1)
#define INHIBIT_ANY EXTENSION(OID_INHIBIT_ANY_POLICY, true, 0x02, 1, 1)
#define PATH_LENGTH(n)                                                                             \
    EXTENSION(MBEDTLS_OID_BASIC_CONSTRAINTS, true, 0x30, 0x06, 0x01, 1, 0xff, 0x02, 1, (n))
#define SERVER_AUTH                                                                                \
    EXTENSION(MBEDTLS_OID_EXTENDED_KEY_USAGE, false, 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01,     \
              0x05, 0x05, 0x07, 0x03, 0x01)
#define UNKNOWN EXTENSION("\x2a\x03\x04", true, 0x05, 0x00)

static struct pki_key keys[4];

/* Certificates as (subject, its key, issuer, its key); the first `n_anchors` are anchors. */
struct row {
    const char *subject;
    size_t key;
    const char *issuer;
    size_t issuer_key;
    struct pki_extension extensions[PKI_EXTENSIONS_MAX];
};

#define LEAF(ca, k, ...)                                                                           \
    {                                                                                              \
        LEAF_SUBJECT, 3, "CN=" ca, (k),                                                            \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define CA(name, k, by, by_key, ...)                                                               \
    {                                                                                              \
        "CN=" name, (k), "CN=" by, (by_key),                                                       \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct world {
    const char *name;
    size_t n_anchors;
    struct row rows[6];
} worlds[] = {
    {"plain",
     1,
     {CA("R", 0, "R", 0), LEAF("I", 1, NAMES, SERVER_AUTH), CA("I", 1, "R", 0, SERVER_AUTH)}},
    {"constraints",
     1,
     {CA("R", 0, "R", 0), LEAF("I", 1, NAMES), CA("I", 1, "R", 0, CONSTRAINTS, PATH_LENGTH(0))}},
    {"constraints_of_the_anchor",
     1,
     {CA("R", 0, "R", 0, CONSTRAINTS), LEAF("I", 1, NAMES), CA("I", 1, "R", 0, UNKNOWN)}},
    {"constraints_on_an_unknown_kind",
     1,
     {CA("R", 0, "R", 0, UNKNOWN_KIND), LEAF("I", 1, NAMES, SERVER_AUTH),
      CA("I", 1, "R", 0, SERVER_AUTH)}},
    {"constraints_on_mailboxes",
     1,
     {CA("R", 0, "R", 0),
      {LEAF_SUBJECT ",emailAddress=a@other.example", 3, "CN=I", 1, {MAIL_NAMES}},
      CA("I", 1, "R", 0, MAIL_CONSTRAINT)}},
    {"cross",
     2,
     {CA("R", 0, "R", 0), CA("S", 1, "S", 1), LEAF("I", 2, NAMES), CA("I", 2, "S", 1),
      CA("R", 0, "S", 1), CA("S", 1, "R", 0)}},
    {"reissued",
     1,
     {CA("R", 0, "R", 0), LEAF("I", 2, NAMES), CA("I", 2, "I", 1), CA("I", 1, "R", 0, CONSTRAINTS),
      CA("I", 2, "R", 0, PATH_LENGTH(0))}},
    {"policies",
     1,
     {CA("R", 0, "R", 0), LEAF("J", 2, NAMES, POLICIES(2)),
      CA("J", 2, "I", 1, POLICIES(1), MAPPING), CA("I", 1, "R", 0, ANY_POLICIES, REQUIRE_POLICY)}},
    {"any_policy",
     1,
     {CA("R", 0, "R", 0), LEAF("J", 2, NAMES, POLICIES(1)), CA("J", 2, "I", 1, ANY_POLICIES),
      CA("I", 1, "R", 0, ANY_POLICIES, REQUIRE_POLICY, INHIBIT_ANY)}},
};

static void write_world(const struct world *world,
                        void (*write)(const char *harness, const char *name, struct hf_bytes bytes))
{
    struct chain_input input = {.n_anchors = world->n_anchors,
                                .host = HOST,
                                .at_s = pki_day(2026, 6, 1)};
    struct hf_buf bytes = {0};

    for (const struct row *row = world->rows; row < world->rows + 6 && row->subject != NULL;
         row++) {
        struct pki_cert cert = {.subject = row->subject,
                                .key = &keys[row->key],
                                .issuer = row->issuer,
                                .issuer_key = &keys[row->issuer_key],
                                .is_ca = strncmp(row->subject, LEAF_SUBJECT,
                                                 strlen(LEAF_SUBJECT)) != 0};
        memcpy(cert.extensions, row->extensions, sizeof cert.extensions);
        pki_issue(&cert, &input.certs[input.n_certs++]);
    }
    chain_input_write(&input, &bytes);
    write("chain", world->name, hf_buf_bytes(&bytes));
    hf_buf_free(&bytes);
    chain_input_free(&input);
}

void chain_seeds(void (*write)(const char *harness, const char *name, struct hf_bytes bytes))
{
    for (size_t i = 0; i < 4; i++)
        pki_key_make(&keys[i], PKI_P256);
    for (size_t i = 0; i < sizeof worlds / sizeof worlds[0]; i++)
        write_world(&worlds[i], write);
    for (size_t i = 0; i < 4; i++)
        pki_key_free(&keys[i]);
}
