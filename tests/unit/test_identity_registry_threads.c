/* server/identity/registry with one writer and several readers, under ThreadSanitizer too: a reader
 * never sees half an entry, never misses one that was there before it looked, and sees a revocation
 * at once. */
#include "tests/support/check.h"

#include "server/identity/registry.h"

#include <holdfast/bytes.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define READERS 3
#define CERTS 20000u
#define ACCOUNT 5u

struct shared {
    struct hf_registry *registry;
    uint8_t (*sha256)[HF_SHA256_LEN];
    _Atomic uint32_t n_added;   /* certificates that are certainly there */
    _Atomic uint32_t n_revoked; /* and those that are certainly revoked */
    atomic_bool is_over;
    atomic_uint n_faults;
    atomic_uint_fast64_t n_looked;
};

/* Every entry tells its own number, so that a mixture of two is seen. */
static struct hf_registered entry_of(uint32_t n, enum hf_cert_status status)
{
    return (struct hf_registered){n + 1,          ACCOUNT,   status, HF_CERT_MODE_SNI_ONLY,
                                  HF_CERT_DEVICE, (uint8_t)n};
}

static void look(struct shared *s, uint32_t n)
{
    struct hf_registered found = {0};
    uint32_t n_added = s->n_added, n_revoked = s->n_revoked;
    bool is_there = hf_registry_find(s->registry, s->sha256[n], ACCOUNT, &found);
    if (n < n_added && !is_there)
        s->n_faults++;
    if (is_there && (found.credential != n + 1 || found.account != ACCOUNT ||
                     found.flags != (uint8_t)n || found.mode != HF_CERT_MODE_SNI_ONLY))
        s->n_faults++;
    if (n < n_revoked && found.status != HF_CERT_REVOKED)
        s->n_faults++;
}

static void *reader(void *ctx)
{
    struct shared *s = ctx;
    for (uint32_t i = 1; !s->is_over; i++) {
        uint32_t n_added = s->n_added;
        look(s, i * 2654435761u % CERTS);
        if (n_added > 0)
            look(s, n_added - 1);
        s->n_looked++;
    }
    return NULL;
}

static void write_all(struct shared *s)
{
    struct hf_why why = {0};
    for (uint32_t n = 0; n < CERTS; n++) {
        struct hf_registered entry = entry_of(n, HF_CERT_ACTIVE);
        CHECK_OK(hf_registry_set(s->registry, s->sha256[n], &entry, &why));
        s->n_added = n + 1;
    }
    for (uint32_t n = 0; n < CERTS; n++) {
        struct hf_registered entry = entry_of(n, HF_CERT_REVOKED);
        CHECK_OK(hf_registry_set(s->registry, s->sha256[n], &entry, &why));
        s->n_revoked = n + 1;
    }
}

static void readers_see_whole_entries_while_the_table_grows(void **state)
{
    struct shared s = {0};
    struct hf_why why = {0};
    pthread_t threads[READERS];
    (void)state;
    s.sha256 = calloc(CERTS, sizeof *s.sha256);
    assert_non_null(s.sha256);
    for (uint32_t n = 0; n < CERTS; n++)
        hf_sha256((struct hf_bytes){(const uint8_t *)&n, sizeof n}, s.sha256[n]);
    CHECK_OK(hf_registry_new(0, &s.registry, &why));
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
    write_all(&s);
    s.is_over = true;
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(s.n_faults, 0);
    assert_true(s.n_looked > 0);
    assert_int_equal(hf_registry_size(s.registry).n_entries, CERTS);
    hf_registry_free(s.registry);
    free(s.sha256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_entries_while_the_table_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
