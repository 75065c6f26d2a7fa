/* client/port/posix/device_id. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "client/port/posix/system.h"

#define MACHINE "0123456789abcdef0123456789abcdef"

static void derive(void **state, const char *machine_id, char out[HF_DEVICE_ID_MAX + 1])
{
    struct hf_why why = {0};
    temp_write(temp_path(*state, "machine-id"), machine_id);
    CHECK_OK(hf_device_id_derive(temp_path(*state, "machine-id"), out, &why));
}

/* Were it to change, every device of every fleet would have another id after an update. */
static void the_derivation_never_changes(void **state)
{
    char id[HF_DEVICE_ID_MAX + 1];
    derive(state, MACHINE "\n", id);
    /* printf 'holdfast device id, from machine-id: 0123…' | sha256sum | cut -c1-32 */
    assert_string_equal(id, "hf-77358dcbd1e39699e82051714824a159");
    assert_true(hf_device_id_is_valid(id));
}

static void machines_differ_and_do_not_show_their_machine_id(void **state)
{
    char one[HF_DEVICE_ID_MAX + 1];
    char other[HF_DEVICE_ID_MAX + 1];

    derive(state, MACHINE, one);
    derive(state, "0123456789abcdef0123456789abcdee", other);
    assert_string_not_equal(one, other);
    assert_null(strstr(one, "0123456789abcdef"));
}

static void an_image_before_its_first_boot_has_no_id(void **state)
{
    static const char *const unset[] = {"uninitialized\n",
                                        "",
                                        "\n",
                                        "0123456789abcdef\n",
                                        "00000000000000000000000000000000\n",
                                        MACHINE "0\n",
                                        "0123456789ABCDEF0123456789ABCDEF\n"};
    const char *file = temp_path(*state, "machine-id");

    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++) {
        char id[HF_DEVICE_ID_MAX + 1] = "as before";
        struct hf_why why = {0};
        temp_write(file, unset[i]);
        CHECK_REFUSED(hf_device_id_derive(file, id, &why), HF_E_FORMAT, &why,
                      "32 hexadecimal digits are expected");
        assert_string_equal(id, "as before");
    }
}

static void a_machine_without_machine_id_is_told_what_to_do(void **state)
{
    char id[HF_DEVICE_ID_MAX + 1] = "as before";
    struct hf_why why = {0};

    CHECK_REFUSED(hf_device_id_derive(temp_path(*state, "none"), id, &why), HF_E_NOT_FOUND, &why,
                  "run systemd-machine-id-setup, or give holdfast a --device-id");
    assert_string_equal(id, "as before");
}

static void the_first_line_of_a_file_is_the_id(void **state)
{
    static const char *const texts[] = {"thing:7_a.b-c", "thing:7_a.b-c\n", "thing:7_a.b-c \t\r\n",
                                        "thing:7_a.b-c\nof the west wing\n"};
    const char *file = temp_path(*state, "id");

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char id[HF_DEVICE_ID_MAX + 1];
        struct hf_why why = {0};
        temp_write(file, texts[i]);
        CHECK_OK(hf_device_id_from_file(file, id, &why));
        assert_string_equal(id, "thing:7_a.b-c");
    }
}

static void a_file_without_an_id_is_refused(void **state)
{
    static const char *const texts[] = {"", "\nthing\n", "a thing\n", "thing/7\n", " thing\n"};
    const char *file = temp_path(*state, "id");
    char id[HF_DEVICE_ID_MAX + 1] = "as before";
    struct hf_why why = {0};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        temp_write(file, texts[i]);
        CHECK_REFUSED(hf_device_id_from_file(file, id, &why), HF_E_FORMAT, &why,
                      "cannot be a device id");
    }
    CHECK_REFUSED(hf_device_id_from_file(temp_path(*state, "none"), id, &why), HF_E_NOT_FOUND, &why,
                  "the device id is to be read from a file: there is no file");
    assert_string_equal(id, "as before");
}

static void an_id_has_a_length_and_an_alphabet(void **state)
{
    (void)state;
    struct hf_why why = {0};
    char longest[HF_DEVICE_ID_MAX + 2];

    memset(longest, 'a', sizeof longest);
    longest[HF_DEVICE_ID_MAX + 1] = '\0';
    CHECK_REFUSED(hf_device_id_check(longest, &why), HF_E_ARGUMENT, &why, "1 to 128 letters");
    longest[HF_DEVICE_ID_MAX] = '\0';
    CHECK_OK(hf_device_id_check(longest, &why));
    CHECK_REFUSED(hf_device_id_check("", &why), HF_E_ARGUMENT, &why, "1 to 128 letters");
    CHECK_REFUSED(hf_device_id_check("../x", &why), HF_E_ARGUMENT, &why, "\"../x\" cannot be");
}

int main(void)
{
#define IN_TEMP(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_TEMP(the_derivation_never_changes),
        IN_TEMP(machines_differ_and_do_not_show_their_machine_id),
        IN_TEMP(an_image_before_its_first_boot_has_no_id),
        IN_TEMP(a_machine_without_machine_id_is_told_what_to_do),
        IN_TEMP(the_first_line_of_a_file_is_the_id),
        IN_TEMP(a_file_without_an_id_is_refused),
        cmocka_unit_test(an_id_has_a_length_and_an_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
