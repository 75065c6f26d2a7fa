/* server/repository/certs/known_roots.c and select.c: who is known, when distrusted, and whom a
 * text means. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "server/repository/certs/known_roots.h"
#include "server/repository/certs/select.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>

#define AMAZON_1 "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"
#define AMAZON_1_KEY "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2"
#define STARFIELD "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5"
#define STARFIELD_KEY "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92"

static struct hf_cert cert_of(const char *sha256, const char *key, const char *subject)
{
    struct hf_cert cert = {0};
    assert_true(hf_hex_decode(sha256, cert.sha256, HF_SHA256_LEN));
    assert_true(hf_hex_decode(key, cert.spki_sha256, HF_SHA256_LEN));
    (void)snprintf(cert.subject, sizeof cert.subject, "%s", subject);
    return cert;
}

static int64_t day(const char *text)
{
    int64_t day_s = 0;
    assert_true(hf_time_parse_last(text, &day_s));
    return day_s;
}

static void the_roots_that_aws_names_are_compiled_in(void **state)
{
    (void)state;
    struct hf_known_roots known = {0};
    const struct hf_cert amazon = cert_of(AMAZON_1, AMAZON_1_KEY, "CN=Amazon Root CA 1");
    CHECK_OK(hf_known_roots_load(NULL, &known, NULL));
    assert_string_equal(hf_known_roots_find(&known, NULL, &amazon)->name, "Amazon Root CA 1");
    assert_int_equal(hf_known_roots_distrust_s(&known, &amazon), day("2030-05-26"));
    assert_non_null(hf_known_roots_find(&known, "amazon", &amazon));
    assert_null(hf_known_roots_find(&known, "azure", &amazon));
    for (const char *const *set =
             (const char *const[]){"amazon", "azure", "google", "letsencrypt", "mozilla", NULL};
         *set != NULL; set++)
        assert_true(hf_known_roots_has_set(&known, *set));
    assert_false(hf_known_roots_has_set(&known, "amaz"));
    hf_known_roots_free(&known);
}

static void a_root_is_known_by_its_key_and_not_by_its_name(void **state)
{
    (void)state;
    struct hf_known_roots known = {0};
    const struct hf_cert twin = cert_of(STARFIELD, AMAZON_1_KEY, "CN=Amazon Root CA 1");
    const struct hf_cert impostor = cert_of(AMAZON_1, AMAZON_1, "CN=Amazon Root CA 1");
    CHECK_OK(hf_known_roots_load(NULL, &known, NULL));
    assert_non_null(hf_known_roots_find(&known, NULL, &twin));
    assert_null(hf_known_roots_find(&known, NULL, &impostor));
    assert_int_equal(hf_known_roots_distrust_s(&known, &impostor), HF_TIME_NONE);
    hf_known_roots_free(&known);
}

static void the_earliest_plan_of_several_tables_counts(void **state)
{
    const char *path = temp_path(*state, "later.txt");
    struct hf_known_roots known = {0};
    const struct hf_cert starfield = cert_of(STARFIELD, STARFIELD_KEY, "CN=Starfield");
    temp_write(path, STARFIELD " " STARFIELD_KEY " 2037-12-31 2026-01-02 f Starfield\r\n");
    const char *const files[] = {path, NULL};
    CHECK_OK(hf_known_roots_load(files, &known, NULL));
    assert_int_equal(hf_known_roots_distrust_s(&known, &starfield), day("2026-01-02"));
    assert_non_null(hf_known_roots_find(&known, "later", &starfield));
    hf_known_roots_free(&known);
}

static void a_text_means_a_fingerprint_a_table_or_a_part_of_a_subject(void **state)
{
    (void)state;
    struct hf_known_roots known = {0};
    const struct hf_cert amazon = cert_of(AMAZON_1, AMAZON_1_KEY, "C=US, CN=Amazon Root CA 1");
    CHECK_OK(hf_known_roots_load(NULL, &known, NULL));
    static const char *const meant[] = {AMAZON_1, AMAZON_1_KEY, "8ECDE688:4F3D87B1",
                                        "amazon", "mozilla",    "root ca 1"};
    static const char *const not_meant[] = {STARFIELD, "google", "Amazon Root CA 2", "",
                                            "8ecde6884f3d87b0"};
    for (size_t i = 0; i < sizeof meant / sizeof meant[0]; i++)
        assert_true(hf_select_matches(meant[i], &known, &amazon));
    for (size_t i = 0; i < sizeof not_meant / sizeof not_meant[0]; i++)
        assert_false(hf_select_matches(not_meant[i], &known, &amazon));
    hf_known_roots_free(&known);
}

static void a_fault_is_on_the_line_that_an_editor_shows(void **state)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    const struct temp_dir *dir = *state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *const files[] = {temp_path(dir, "factory.txt"), NULL};
        struct hf_known_roots known = {0};
        struct hf_why why = {0};
        char text[128];
        (void)snprintf(text, sizeof text, "# roots%s%sas-of 2026-13-40%s", ends[i], ends[i],
                       ends[i]);
        temp_write(files[0], text);
        CHECK_REFUSED(hf_known_roots_load(files, &known, &why), HF_E_FORMAT, &why,
                      "factory.txt, line 3: ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roots_that_aws_names_are_compiled_in),
        cmocka_unit_test(a_root_is_known_by_its_key_and_not_by_its_name),
        cmocka_unit_test_setup_teardown(the_earliest_plan_of_several_tables_counts, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_fault_is_on_the_line_that_an_editor_shows, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test(a_text_means_a_fingerprint_a_table_or_a_part_of_a_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
