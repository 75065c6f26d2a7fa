/* server/identity/registry: what is set is found, in its account, through every growth; and nothing
 * else is. */
#include "tests/support/check.h"

#include "server/identity/registry.h"

#include <holdfast/bytes.h>

static void number(uint32_t n, uint8_t sha256[HF_SHA256_LEN])
{
    hf_sha256((struct hf_bytes){(const uint8_t *)&n, sizeof n}, sha256);
}

static struct hf_registered entry_of(uint64_t credential, uint32_t account)
{
    return (struct hf_registered){credential,     account, HF_CERT_ACTIVE, HF_CERT_MODE_SNI_ONLY,
                                  HF_CERT_DEVICE, 0};
}

static void set(struct hf_registry *registry, uint32_t n, const struct hf_registered *entry)
{
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_why why = {0};
    number(n, sha256);
    CHECK_OK(hf_registry_set(registry, sha256, entry, &why));
}

/* The credential of certificate `n` in `account`; 0: there is none. */
static uint64_t find(const struct hf_registry *registry, uint32_t n, uint32_t account)
{
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_registered found;
    number(n, sha256);
    return hf_registry_find(registry, sha256, account, &found) ? found.credential : 0;
}

static struct hf_registry *new_registry(size_t expected)
{
    struct hf_registry *registry = NULL;
    struct hf_why why = {0};
    CHECK_OK(hf_registry_new(expected, &registry, &why));
    return registry;
}

static void all_values_come_back(void **state)
{
    struct hf_registry *registry = new_registry(0);
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_registered found = {0};
    struct hf_registered entry = {UINT64_MAX,           UINT32_MAX,    HF_CERT_PENDING_ACTIVATION,
                                  HF_CERT_MODE_DEFAULT, HF_CERT_CLAIM, 0xff};
    (void)state;
    number(1, sha256);
    set(registry, 1, &entry);
    assert_true(hf_registry_find(registry, sha256, UINT32_MAX, &found));
    assert_true(found.credential == entry.credential && found.account == entry.account);
    assert_int_equal(found.status, entry.status);
    assert_int_equal(found.mode, entry.mode);
    assert_int_equal(found.kind, entry.kind);
    assert_int_equal(found.flags, entry.flags);
    assert_false(hf_registry_find(registry, sha256, 1, &found));
    assert_false(hf_registry_find(registry, sha256, 0, &found));
    hf_registry_free(registry);
}

static void one_certificate_in_several_accounts(void **state)
{
    struct hf_registry *registry = new_registry(0);
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_registered found;
    (void)state;
    number(1, sha256);
    for (uint32_t account = 1; account <= 20; account++) {
        struct hf_registered entry = entry_of(100 + account, account);
        set(registry, 1, &entry);
    }
    for (uint32_t account = 1; account <= 20; account++)
        assert_int_equal(find(registry, 1, account), 100 + account);
    assert_int_equal(find(registry, 1, 21), 0);
    assert_false(hf_registry_find_default(registry, sha256, &found));
    struct hf_registered entry = entry_of(110, 10);
    entry.mode = HF_CERT_MODE_DEFAULT;
    set(registry, 1, &entry);
    assert_true(hf_registry_find_default(registry, sha256, &found));
    assert_int_equal(found.account, 10);
    assert_int_equal(hf_registry_size(registry).n_entries, 20);
    hf_registry_free(registry);
}

static void a_change_that_can_take_a_right_away_is_counted(void **state)
{
    struct hf_registry *registry = new_registry(0);
    struct hf_registered entry = entry_of(7, 1), found;
    uint8_t sha256[HF_SHA256_LEN];
    uint64_t before = *hf_registry_generation(registry);
    (void)state;
    number(1, sha256);
    set(registry, 1, &entry); /* a new certificate takes no right away */
    set(registry, 1, &entry);
    assert_int_equal(*hf_registry_generation(registry), before);
    entry.status = HF_CERT_REVOKED;
    set(registry, 1, &entry);
    assert_int_equal(*hf_registry_generation(registry), before + 1);
    assert_true(hf_registry_find(registry, sha256, 1, &found));
    assert_int_equal(found.status, HF_CERT_REVOKED);
    entry.credential = 8; /* deleted and registered again */
    set(registry, 1, &entry);
    assert_int_equal(find(registry, 1, 1), 8);
    assert_int_equal(hf_registry_size(registry).n_entries, 1);
    hf_registry_free(registry);
}

static void what_is_removed_is_gone_and_what_lies_behind_it_is_not(void **state)
{
    struct hf_registry *registry = new_registry(0);
    uint8_t sha256[HF_SHA256_LEN];
    (void)state;
    for (uint32_t n = 1; n <= 700; n++) {
        struct hf_registered entry = entry_of(n, 1);
        set(registry, n, &entry);
    }
    for (uint32_t n = 1; n <= 700; n += 2) {
        number(n, sha256);
        assert_true(hf_registry_remove(registry, sha256, 1));
        assert_false(hf_registry_remove(registry, sha256, 1));
    }
    for (uint32_t n = 1; n <= 700; n++)
        assert_int_equal(find(registry, n, 1), n % 2 == 1 ? 0 : n);
    assert_int_equal(hf_registry_size(registry).n_entries, 350);
    hf_registry_free(registry);
}

/* Also a new credential number at the very moment of a growth, which has to reach the new table. */
static void nothing_is_lost_or_left_over_when_the_table_grows(void **state)
{
    struct hf_registry *registry = new_registry(0);
    (void)state;
    for (uint32_t n = 1; n <= 20000; n++) {
        struct hf_registered entry = entry_of(n, 1);
        set(registry, n, &entry);
        entry.credential = n + 100000;
        set(registry, n, &entry);
    }
    for (uint32_t n = 1; n <= 20000; n++)
        assert_int_equal(find(registry, n, 1), n + 100000);
    for (uint32_t n = 20001; n <= 21000; n++)
        assert_int_equal(find(registry, n, 1), 0);
    struct hf_registry_size size = hf_registry_size(registry);
    assert_int_equal(size.n_entries, 20000);
    assert_int_equal(size.slot_bytes, 48);
    assert_true(size.bytes < 2 * size.n_slots * size.slot_bytes + 4096);
    hf_registry_free(registry);
}

static void a_table_for_an_expected_number_does_not_grow(void **state)
{
    struct hf_registry *registry = new_registry(30000);
    size_t n_slots = hf_registry_size(registry).n_slots;
    (void)state;
    assert_true(n_slots <= 40010);
    for (uint32_t n = 1; n <= 30000; n++) {
        struct hf_registered entry = entry_of(n, 1);
        set(registry, n, &entry);
    }
    assert_int_equal(hf_registry_size(registry).n_slots, n_slots);
    hf_registry_free(registry);
}

static void certificates_are_counted_by_account_kind_and_status(void **state)
{
    struct hf_registry *registry = new_registry(0);
    uint8_t sha256[HF_SHA256_LEN];
    size_t counts[HF_CERT_STATUSES];
    struct hf_why why = {0};
    (void)state;
    for (unsigned i = 1; i <= 100; i++) {
        struct hf_registered entry = entry_of(i, i % 4 == 0 ? 2 : 1);
        number(i, sha256);
        entry.kind = i % 5 == 0 ? HF_CERT_CLAIM : HF_CERT_DEVICE;
        entry.status = i % 3 == 0 ? HF_CERT_REVOKED : HF_CERT_ACTIVE;
        CHECK_OK(hf_registry_set(registry, sha256, &entry, &why));
    }
    number(1, sha256);
    assert_true(hf_registry_remove(registry, sha256, 1));
    hf_registry_count_status(registry, 1, HF_CERT_DEVICE, counts);
    assert_int_equal(counts[HF_CERT_REVOKED], 20);
    assert_int_equal(counts[HF_CERT_ACTIVE], 39);
    assert_int_equal(counts[HF_CERT_INACTIVE], 0);
    hf_registry_count_status(registry, 3, HF_CERT_DEVICE, counts);
    assert_int_equal(counts[HF_CERT_ACTIVE], 0);
    hf_registry_free(registry);
}

static void half_an_entry_is_refused(void **state)
{
    struct hf_registry *registry = new_registry(0);
    uint8_t sha256[HF_SHA256_LEN];
    uint64_t generation = *hf_registry_generation(registry);
    (void)state;
    number(1, sha256);
    for (int i = 0; i < 5; i++) {
        struct hf_registered entry = entry_of(1, 1);
        struct hf_why why = {0};
        entry.credential = i == 0 ? 0 : 1;
        entry.account = i == 1 ? 0 : 1;
        entry.status = i == 2 ? HF_CERT_NONE : HF_CERT_ACTIVE;
        entry.mode = (enum hf_cert_mode)(i == 3 ? 0 : 1);
        entry.kind = (enum hf_cert_kind)(i == 4 ? 0 : 1);
        CHECK_REFUSED(hf_registry_set(registry, sha256, &entry, &why), HF_E_ARGUMENT, &why,
                      "an entry needs");
    }
    assert_int_equal(hf_registry_size(registry).n_entries, 0);
    assert_true(*hf_registry_generation(registry) == generation);
    hf_registry_free(registry);
}

static void more_than_the_limit_is_refused(void **state)
{
    struct hf_registry *registry = NULL;
    struct hf_why why = {0};
    (void)state;
    CHECK_REFUSED(hf_registry_new(HF_REGISTRY_ENTRIES_MAX, &registry, &why), HF_E_LIMIT, &why,
                  "too many");
    assert_null(registry);
    hf_registry_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_values_come_back),
        cmocka_unit_test(one_certificate_in_several_accounts),
        cmocka_unit_test(a_change_that_can_take_a_right_away_is_counted),
        cmocka_unit_test(what_is_removed_is_gone_and_what_lies_behind_it_is_not),
        cmocka_unit_test(nothing_is_lost_or_left_over_when_the_table_grows),
        cmocka_unit_test(a_table_for_an_expected_number_does_not_grow),
        cmocka_unit_test(certificates_are_counted_by_account_kind_and_status),
        cmocka_unit_test(half_an_entry_is_refused),
        cmocka_unit_test(more_than_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
