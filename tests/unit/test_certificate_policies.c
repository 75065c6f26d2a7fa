/* common/chain/certificate_policies.c: what a path's policies allow (RFC 5280, 6.1). */
#include "tests/support/check.h"

#include "common/chain/certificate_policies.h"
#include "tests/support/test_pki.h"

#define PATH_MAX_HERE 5
#define ANY "\x55\x1D\x20\x00"
#define A "\x2A\x01"
#define B "\x2A\x02"

/* What one certificate says; policies as the bytes of their OBJECT IDENTIFIER, NULL behind the
 * last. */
struct said {
    const char *policies[3];
    const char *mapping[2]; /* from, to */
    bool is_self_issued;
    int require_policy, inhibit_mapping, inhibit_any; /* HF_NO_LIMIT: not said */
};
#define NOTHING_ELSE                                                                               \
    .require_policy = HF_NO_LIMIT, .inhibit_mapping = HF_NO_LIMIT, .inhibit_any = HF_NO_LIMIT
#define REQUIRE .require_policy = 0, .inhibit_mapping = HF_NO_LIMIT, .inhibit_any = HF_NO_LIMIT

static void put_oid(struct hf_buf *out, const char *oid)
{
    pki_put(out, 0x06, (struct hf_bytes){(const uint8_t *)oid, oid[0] == ANY[0] ? 4 : 2});
}

/* The path from the anchor down; the last one is the server's. */
static bool allows_whole(const struct said *said, size_t n)
{
    struct hf_certificate certs[PATH_MAX_HERE] = {{{0}}};
    const struct hf_certificate *path[PATH_MAX_HERE] = {NULL};
    struct hf_buf policies[PATH_MAX_HERE] = {{0}}, mappings[PATH_MAX_HERE] = {{0}};

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; said[i].policies[k] != NULL; k++) {
            struct hf_buf one = {0};
            put_oid(&one, said[i].policies[k]);
            pki_put(&policies[i], 0x30, hf_buf_bytes(&one));
            hf_buf_free(&one);
        }
        if (said[i].mapping[0] != NULL) {
            struct hf_buf pair = {0};
            put_oid(&pair, said[i].mapping[0]);
            put_oid(&pair, said[i].mapping[1]);
            pki_put(&mappings[i], 0x30, hf_buf_bytes(&pair));
            hf_buf_free(&pair);
        }
        certs[i].policies = hf_buf_bytes(&policies[i]);
        certs[i].mappings = hf_buf_bytes(&mappings[i]);
        certs[i].is_self_issued = said[i].is_self_issued;
        certs[i].require_policy = said[i].require_policy;
        certs[i].inhibit_mapping = said[i].inhibit_mapping;
        certs[i].inhibit_any = said[i].inhibit_any;
        path[i] = &certs[i];
    }
    bool is_allowed = hf_policies_allow(path, n);
    for (size_t i = 0; i < n; i++) {
        hf_buf_free(&policies[i]);
        hf_buf_free(&mappings[i]);
    }
    return is_allowed;
}

/* The same below an anchor that says nothing of policies. */
static bool allows(const struct said *said, size_t n)
{
    struct said whole[PATH_MAX_HERE] = {{.is_self_issued = true, NOTHING_ELSE}};

    memcpy(whole + 1, said, n * sizeof *said);
    return allows_whole(whole, n + 1);
}

static void policies_count_where_one_is_required(void **state)
{
    (void)state;
    struct said path[] = {{{A}, NOTHING_ELSE}, {{B}, NOTHING_ELSE}};

    assert_true(allows(path, 2));
    path[0].require_policy = 0;
    assert_false(allows(path, 2));
    path[0].require_policy = 1;
    assert_false(allows(path, 2));
    path[0].require_policy = 2;
    assert_true(allows(path, 2));
    path[0].require_policy = 0;
    path[1].policies[1] = A;
    assert_true(allows(path, 2));
    path[1].policies[0] = NULL;
    assert_false(allows(path, 2));
}

static void any_policy_stands_for_all_until_it_is_inhibited(void **state)
{
    (void)state;
    struct said path[] = {{{A}, REQUIRE}, {{ANY}, NOTHING_ELSE}, {{A}, NOTHING_ELSE}};

    assert_true(allows(path, 3));
    path[0].inhibit_any = 0;
    assert_false(allows(path, 3));
    path[1].is_self_issued = true; /* 6.1.3 d 2: it may still be used there */
    assert_true(allows(path, 3));
    path[1].is_self_issued = false;
    path[0].inhibit_any = 1;
    assert_true(allows(path, 3));
}

static void mapping_changes_the_policy_that_is_expected(void **state)
{
    (void)state;
    struct said path[] = {{{A}, .mapping = {A, B}, REQUIRE}, {{B}, NOTHING_ELSE}};

    assert_true(allows(path, 2));
    path[1].policies[0] = A;
    assert_false(allows(path, 2));
    path[0].mapping[1] = ANY; /* 6.1.4 a */
    assert_false(allows(path, 2));

    struct said inhibited[] =
        {{{A}, .require_policy = 0, .inhibit_mapping = 0, .inhibit_any = HF_NO_LIMIT},
         {{A}, .mapping = {A, B}, NOTHING_ELSE},
         {{B}, NOTHING_ELSE}};
    assert_false(allows(inhibited, 3));
    inhibited[0].inhibit_mapping = 1;
    assert_true(allows(inhibited, 3));
}

/* RFC 5937, 3.2 */
static void what_an_anchor_says_limits_its_paths(void **state)
{
    (void)state;
    struct said path[] = {{.is_self_issued = true, REQUIRE},
                          {{A}, NOTHING_ELSE},
                          {{A}, NOTHING_ELSE}};

    assert_true(allows_whole(path, 3)); /* it requires one, and names none: any will do */
    path[0].policies[0] = A;
    assert_true(allows_whole(path, 3));
    path[0].policies[0] = B;
    assert_false(allows_whole(path, 3));
    path[0].policies[0] = ANY;
    assert_true(allows_whole(path, 3));
    path[2].policies[0] = NULL;
    assert_false(allows_whole(path, 3));
    path[0].require_policy = HF_NO_LIMIT;
    assert_true(allows_whole(path, 3));

    struct said any[] = {{.is_self_issued = true,
                          .require_policy = 0,
                          .inhibit_mapping = HF_NO_LIMIT,
                          .inhibit_any = 0},
                         {{ANY}, NOTHING_ELSE},
                         {{A}, NOTHING_ELSE}};
    assert_false(allows_whole(any, 3));
    any[0].inhibit_any = 1;
    assert_true(allows_whole(any, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_count_where_one_is_required),
        cmocka_unit_test(any_policy_stands_for_all_until_it_is_inhibited),
        cmocka_unit_test(mapping_changes_the_policy_that_is_expected),
        cmocka_unit_test(what_an_anchor_says_limits_its_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
