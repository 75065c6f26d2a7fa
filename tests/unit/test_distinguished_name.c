/* common/bundle/distinguished_name.c: when two names are the same (RFC 5280, 7.1). */
#include "tests/support/check.h"

#include "common/bundle/distinguished_name.h"
#include "tests/support/test_pki.h"

#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define UTF8 HF_DER_UTF8_STRING
#define PRINTABLE HF_DER_PRINTABLE_STRING
#define IA5 HF_DER_IA5_STRING
#define TELETEX HF_DER_TELETEX_STRING
#define BMP HF_DER_BMP_STRING
#define UNIVERSAL HF_DER_UNIVERSAL_STRING

enum { CN = 3, O = 10, OU = 11 };

/* Both ways, and the hash with it. */
static void check(struct hf_bytes a, struct hf_bytes b, enum hf_subtree expected)
{
    bool is_same = expected == HF_SUBTREE_WITHIN;

    assert_int_equal(hf_name_in_subtree(a, b), expected);
    assert_int_equal(hf_name_in_subtree(b, a), expected);
    assert_int_equal(hf_name_equal(a, b), is_same);
    assert_int_equal(hf_name_equal(b, a), is_same);
    assert_int_equal(hf_name_hash(a) == hf_name_hash(b), is_same);
}

static void check_names(const struct pki_attribute *a, const struct pki_attribute *b,
                        enum hf_subtree expected)
{
    struct hf_buf left = {0}, right = {0};

    pki_name(a, &left);
    pki_name(b, &right);
    check(hf_buf_bytes(&left), hf_buf_bytes(&right), expected);
    hf_buf_free(&left);
    hf_buf_free(&right);
}

static const struct row {
    uint8_t tag, other_tag;
    struct hf_bytes text, other;
    enum hf_subtree expected;
} rows[] = {
    /* spaces and case */
    {UTF8, UTF8, BYTES("Evil Corp"), BYTES("  EVIL   corp "), HF_SUBTREE_WITHIN},
    {UTF8, UTF8, BYTES(""), BYTES("   "), HF_SUBTREE_WITHIN},
    {UTF8, UTF8, BYTES("Evil Corp"), BYTES("EvilCorp"), HF_SUBTREE_OUTSIDE},
    {UTF8, UTF8, BYTES("Evil"), BYTES("Evil Corp"), HF_SUBTREE_OUTSIDE},
    {UTF8, UTF8, BYTES("a b"), BYTES("a b c"), HF_SUBTREE_OUTSIDE},
    {UTF8, UTF8, BYTES("a"), BYTES(""), HF_SUBTREE_OUTSIDE},
    /* types */
    {PRINTABLE, UTF8, BYTES("Evil"), BYTES("evil"), HF_SUBTREE_WITHIN},
    {IA5, TELETEX, BYTES("Evil"), BYTES("evil"), HF_SUBTREE_WITHIN},
    {PRINTABLE, BMP, BYTES("Evil"), BYTES("\0 \0e\0V\0i\0l"), HF_SUBTREE_WITHIN},
    {PRINTABLE, UNIVERSAL, BYTES("Ev"), BYTES("\0\0\0e\0\0\0v"), HF_SUBTREE_WITHIN},
    {UTF8, UNIVERSAL, BYTES("\xF0\x9F\x98\x80"), BYTES("\0\x01\xF6\0"), HF_SUBTREE_WITHIN},
    {PRINTABLE, BMP, BYTES("Evil"), BYTES("\0e\0v\0i"), HF_SUBTREE_OUTSIDE},
    /* case beyond ASCII */
    {UTF8, BMP, BYTES("\xC3\x89vil"), BYTES("\0\xE9\0v\0i\0l"), HF_SUBTREE_WITHIN},
    {UTF8, UTF8, BYTES("\xC5\xB8 \xC5\xB9"), BYTES("\xC3\xBF \xC5\xBA"), HF_SUBTREE_WITHIN},
    {UTF8, UTF8, BYTES("\xCE\xA3 \xCF\x83"), BYTES("\xCF\x83 \xCF\x82"), HF_SUBTREE_WITHIN},
    {UTF8, UTF8, BYTES("\xD0\x81\xD0\xAF"), BYTES("\xD1\x91\xD1\x8F"), HF_SUBTREE_WITHIN},
    {UTF8, UTF8, BYTES("\xC3\xA9"), BYTES("\xC3\xA8"), HF_SUBTREE_OUTSIDE},
    {UTF8, UTF8, BYTES("\xC3\xA9"), BYTES("e"), HF_SUBTREE_OUTSIDE},
    /* what RFC 4518 would have to say more about */
    {UTF8, UTF8, BYTES("\xC3\xA9"), BYTES("e\xCC\x81"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8,
     BYTES("stra\xC3\x9F"
           "e"),
     BYTES("strasse"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("Evil"), BYTES("Ev\xC2\xADil"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("Evil"), BYTES("Ev\til"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("E"), BYTES("\xEF\xBC\xA5"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("i"), BYTES("\xC4\xB0"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("\xE6\x97\xA5"), BYTES(" \xE6\x97\xA5"), HF_SUBTREE_WITHIN},
    /* no text: the bytes count */
    {TELETEX, UTF8, BYTES("\xE9"), BYTES("\xC3\xA9"), HF_SUBTREE_UNKNOWN},
    {TELETEX, TELETEX, BYTES("\xE9"), BYTES("\xE9"), HF_SUBTREE_WITHIN},
    {TELETEX, TELETEX, BYTES("a\xE9"), BYTES("A\xE9"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("\xC0\xAF"), BYTES("/"), HF_SUBTREE_UNKNOWN},
    {UTF8, PRINTABLE, BYTES("\xE9"), BYTES("\xE9"), HF_SUBTREE_UNKNOWN},
    {UTF8, UTF8, BYTES("\xED\xA0\x80"), BYTES("\xED\xA0\x81"), HF_SUBTREE_UNKNOWN},
    {BMP, UTF8, BYTES("\0a\0"), BYTES("a"), HF_SUBTREE_UNKNOWN},
    {BMP, BMP, BYTES("\0a\0"), BYTES("\0a"), HF_SUBTREE_UNKNOWN},
    {UNIVERSAL, UTF8, BYTES("\0\x11\0\0"), BYTES("a"), HF_SUBTREE_UNKNOWN},
    {HF_DER_OCTET_STRING, UTF8, BYTES("a"), BYTES("a"), HF_SUBTREE_UNKNOWN},
    {HF_DER_NULL, UTF8, BYTES(""), BYTES(""), HF_SUBTREE_UNKNOWN},
    {HF_DER_NULL, HF_DER_NULL, BYTES(""), BYTES(""), HF_SUBTREE_WITHIN},
};

static void values_are_text_in_any_encoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pki_attribute a[] = {{O, rows[i].tag, rows[i].text}, {0}},
                                   b[] = {{O, rows[i].other_tag, rows[i].other}, {0}};
        check_names(a, b, rows[i].expected);
    }
}

static void a_part_is_a_set(void **state)
{
    (void)state;
    const struct pki_attribute two[] = {{CN, UTF8, BYTES("a")},
                                        {O, UTF8, BYTES("b"), .is_merged = true},
                                        {0}};
    const struct pki_attribute swapped[] = {{O, PRINTABLE, BYTES(" B")},
                                            {CN, PRINTABLE, BYTES("A")},
                                            {0}};
    struct pki_attribute other[] = {swapped[0], swapped[1], {0}};

    check_names(two, other, HF_SUBTREE_OUTSIDE); /* two parts */
    other[1].is_merged = true;
    check_names(two, other, HF_SUBTREE_WITHIN);
    other[1].type = OU;
    check_names(two, other, HF_SUBTREE_OUTSIDE);
    other[1].type = O; /* twice: no set */
    check_names(two, other, HF_SUBTREE_UNKNOWN);
    other[1].type = CN;
    other[1].value = (struct hf_bytes)BYTES("\xC2\xAA");
    check_names(two, other, HF_SUBTREE_UNKNOWN);
    other[0].value = (struct hf_bytes)BYTES("c");
    check_names(two, other, HF_SUBTREE_OUTSIDE); /* the other one is another for sure */
    other[0] = (struct pki_attribute){0};
    check_names(other, other, HF_SUBTREE_WITHIN); /* empty */
}

static void a_part_has_sixteen_attributes_at_most(void **state)
{
    (void)state;
    struct pki_attribute many[HF_NAME_ATTRIBUTES_MAX + 2] = {{0}},
                                                       other[sizeof many / sizeof many[0]];

    for (uint8_t i = 0; i < HF_NAME_ATTRIBUTES_MAX; i++)
        many[i] = (struct pki_attribute){(uint8_t)(i + 1), UTF8, BYTES("a"), i > 0};
    memcpy(other, many, sizeof many);
    other[0].value = (struct hf_bytes)BYTES("A");
    check_names(many, other, HF_SUBTREE_WITHIN);
    many[HF_NAME_ATTRIBUTES_MAX] = other[HF_NAME_ATTRIBUTES_MAX] =
        (struct pki_attribute){HF_NAME_ATTRIBUTES_MAX + 1, UTF8, BYTES("a"), true};
    check_names(many, many, HF_SUBTREE_WITHIN);
    check_names(many, other, HF_SUBTREE_UNKNOWN);
}

/* A subtree is what begins with all of its parts. */
static void a_subtree_is_a_beginning(void **state)
{
    (void)state;
    const struct pki_attribute base[] = {{O, UTF8, BYTES("a")}, {OU, UTF8, BYTES("b")}, {0}};
    struct pki_attribute name[] = {{O, PRINTABLE, BYTES("A")},
                                   {OU, BMP, BYTES("\0B")},
                                   {CN, UTF8, BYTES("c")},
                                   {0}};
    struct hf_buf tree = {0}, der = {0}, unknown = {0};

    pki_name(base, &tree);
    pki_name(name, &der);
    assert_int_equal(hf_name_in_subtree(hf_buf_bytes(&der), hf_buf_bytes(&tree)),
                     HF_SUBTREE_WITHIN);
    assert_int_equal(hf_name_in_subtree(hf_buf_bytes(&tree), hf_buf_bytes(&der)),
                     HF_SUBTREE_OUTSIDE);
    assert_false(hf_name_equal(hf_buf_bytes(&der), hf_buf_bytes(&tree)));
    name[0].value = (struct hf_bytes)BYTES("\xFF");
    pki_name(name, &unknown);
    assert_int_equal(hf_name_in_subtree(hf_buf_bytes(&unknown), hf_buf_bytes(&tree)),
                     HF_SUBTREE_UNKNOWN);
    hf_buf_free(&tree);
    hf_buf_free(&der);
    hf_buf_free(&unknown);
}

static void a_damaged_attribute_is_no_name(void **state)
{
    static const struct {
        struct hf_bytes name;
        bool is_whole;
    } names[] = {
        {BYTES("\x30\x0C\x31\x0A\x30\x08\x06\x03\x55\x04\x0A\x0C\x01\x61"), true},
        {BYTES("\x30\x0E\x31\x0C\x30\x0A\x06\x03\x55\x04\x0A\x0C\x01\x61\x05\x00"), false},
        {BYTES("\x30\x09\x31\x07\x30\x05\x06\x03\x55\x04\x0A"), false}, /* no value */
        {BYTES("\x30\x07\x31\x05\x30\x03\x02\x01\x01"), false},         /* no type */
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(hf_name_is_whole(names[i].name), names[i].is_whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_text_in_any_encoding),
        cmocka_unit_test(a_part_is_a_set),
        cmocka_unit_test(a_part_has_sixteen_attributes_at_most),
        cmocka_unit_test(a_subtree_is_a_beginning),
        cmocka_unit_test(a_damaged_attribute_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
