/* common/bundle/x509_form.c: certificates put together byte by byte, as no program writes them. */
#include "tests/support/check.h"

#include "common/bundle/cert.h"

#include <stdio.h>

/* What a certificate consists of, in order, each with its tag and length. */
enum part {
    VERSION,
    SERIAL,
    ALGORITHM, /* replaced in both places */
    ISSUER,
    VALIDITY,
    SUBJECT,
    KEY,
    IDS,        /* the unique identifiers of issuer and subject */
    EXTENSION,  /* the contents of the only one */
    EXTENSIONS, /* all of them instead */
    OUTER_ALGORITHM,
    SIGNATURE,
    BEHIND,
    N_PARTS,
};

#define TIME_2020 "3230303130313030303030305A" /* 200101000000Z */
#define TIME_2040 "3430303130313030303030305A"
#define NAME "300C310A300806035504030C0152" /* CN=R */
#define ECDSA_SHA256 "300A06082A8648CE3D040302"
#define CURVE_KEY                                                                                  \
    "3059301306072A8648CE3D020106082A8648CE3D030107034200"                                         \
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"                           \
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
#define FF_16 "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
#define FF_128 FF_16 FF_16 FF_16 FF_16 FF_16 FF_16 FF_16 FF_16
#define FF_1152 FF_128 FF_128 FF_128 FF_128 FF_128 FF_128 FF_128 FF_128 FF_128
#define RSA "300D06092A864886F70D0101010500"
#define RSA_9216_KEY "308204A2" RSA "0382048F003082048A0282048100" FF_1152 "0203010001"
#define NAME_CONSTRAINTS "0603551D1E"
#define DNS_CONSTRAINT "3010A00E300C820A612E6578616D706C6531" /* permitted: a.example1 */
#define BASIC_CONSTRAINTS "0603551D13"
#define KEY_USAGE "0603551D0F"
#define SUBJECT_KEY_ID "0603551D0E"
#define POLICIES "0603551D20"
#define POLICY_CONSTRAINTS "0603551D24"
#define INHIBIT_ANY_POLICY "0603551D36"
#define POLICY_WITH_QUALIFIER                                                                      \
    "041030"                                                                                       \
    "0E300C06022A033006"                                                                           \
    "300406022A04" /* 1.2.3, qualified by 1.2.4 */

static const char *const usual[N_PARTS] = {
    [VERSION] = "A003020102",
    [SERIAL] = "020105",
    [ALGORITHM] = ECDSA_SHA256,
    [ISSUER] = NAME,
    [VALIDITY] = "301E170D" TIME_2020 "170D" TIME_2040,
    [SUBJECT] = NAME,
    [KEY] = CURVE_KEY,
    [IDS] = "",
    [EXTENSION] = "0603551D130101FF040530030101FF", /* basicConstraints, critical: a CA */
    [SIGNATURE] = "0303000102",
    [BEHIND] = "",
};

struct change {
    enum part part;
    const char *hex;
};

static void add_hex(struct hf_buf *out, const char *hex)
{
    uint8_t bytes[2048];
    size_t len = strlen(hex) / 2;
    assert_true(len <= sizeof bytes && hf_hex_decode(hex, bytes, len));
    CHECK_OK(hf_buf_append(out, bytes, len));
}

/* A tag and a length before what `value` holds. */
static void wrap(struct hf_buf *value, uint8_t tag)
{
    struct hf_buf whole = {0};
    const uint8_t len[] = {(uint8_t)(value->len >> 8), (uint8_t)value->len};
    CHECK_OK(hf_buf_append(&whole, &tag, 1));
    if (value->len >= 0x100)
        CHECK_OK(hf_buf_append(&whole, "\x82", 1));
    else if (value->len >= 0x80)
        CHECK_OK(hf_buf_append(&whole, "\x81", 1));
    CHECK_OK(value->len >= 0x100 ? hf_buf_append(&whole, len, 2)
                                 : hf_buf_append(&whole, len + 1, 1));
    CHECK_OK(hf_buf_append(&whole, value->data, value->len));
    hf_buf_free(value);
    *value = whole;
}

/* The usual certificate, but for one part. */
static void build_changed(enum part part, const char *hex, struct hf_buf *out)
{
    const char *parts[N_PARTS];
    struct hf_buf extensions = {0};
    memcpy(parts, usual, sizeof parts);
    parts[part] = hex;
    const char *outer = parts[OUTER_ALGORITHM];
    for (int i = VERSION; i <= IDS; i++)
        add_hex(out, parts[i]);
    if (parts[EXTENSIONS] == NULL) {
        add_hex(&extensions, parts[EXTENSION]);
        wrap(&extensions, 0x30);
        wrap(&extensions, 0x30);
        wrap(&extensions, 0xA3);
    } else {
        add_hex(&extensions, parts[EXTENSIONS]);
    }
    CHECK_OK(hf_buf_append(out, extensions.data, extensions.len));
    hf_buf_free(&extensions);
    wrap(out, 0x30);
    add_hex(out, outer == NULL ? parts[ALGORITHM] : outer);
    add_hex(out, parts[SIGNATURE]);
    wrap(out, 0x30);
    add_hex(out, parts[BEHIND]);
}

static bool is_accepted(enum part part, const char *hex, struct hf_x509_form *form)
{
    struct hf_buf der = {0};
    build_changed(part, hex, &der);
    bool is_parsed = hf_x509_form_parse(hf_buf_bytes(&der), form);
    hf_buf_free(&der);
    return is_parsed;
}

static void what_may_be_absent_or_longer_is_read(void **state)
{
    static const struct {
        struct change change;
        int version;
    } cases[] = {
        {{VERSION, "A003020102"}, 3},
        {{VERSION, ""}, 1},
        {{VERSION, "A003020101"}, 2},
        {{VERSION, "A00302017F"}, 128},
        {{VALIDITY, "3020180F3230" TIME_2020 "170D" TIME_2040}, 3}, /* GeneralizedTime */
        {{ALGORITHM, "300C06082A8648CE3D0403020500"}, 3},           /* NULL as its parameters */
        {{IDS, "81020001"}, 3},
        {{IDS, "82020001"}, 3},
        {{IDS, "8102000182020001"}, 3},
        {{EXTENSIONS, ""}, 3},
        {{EXTENSIONS, "A3023000"}, 3},
        {{SIGNATURE, "03020780"}, 3},
    };
    char serial[1024];
    struct hf_x509_form form = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (!is_accepted(cases[i].change.part, cases[i].change.hex, &form))
            fail_msg("%s was refused", cases[i].change.hex);
        assert_true(form.version == cases[i].version);
    }
    (void)snprintf(serial, sizeof serial, "02818001%0254d", 1);
    assert_true(is_accepted(SERIAL, serial, &form));
    (void)snprintf(serial, sizeof serial, "0282010001%0510d", 1);
    assert_true(is_accepted(SERIAL, serial, &form));
}

static void what_is_not_der_is_no_certificate(void **state)
{
    static const struct change cases[] = {
        {SERIAL, "1F0105"},           /* a tag number in more than one byte */
        {SERIAL, "02800105"},         /* an indefinite length */
        {SERIAL, "02840000000105"},   /* a length of four bytes */
        {SERIAL, "0281050102030405"}, /* a length that would fit in one byte */
        {SERIAL, "028200811122"},     /* and one in two */
        {SERIAL, "0282FFFF05"},       /* more than there is */
        {EXTENSIONS, "A3"},           /* no length */
        {EXTENSIONS, "A383"},         /* one that ends */
        {BEHIND, "0500"},
    };
    struct hf_x509_form form = {.version = 77};
    struct hf_buf deep = {0}, der = {0};
    char hex[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (is_accepted(cases[i].part, cases[i].hex, &form))
            fail_msg("%s was read", cases[i].hex);
    }
    assert_false(hf_x509_form_parse((struct hf_bytes){NULL, 0}, &form));
    add_hex(&der, "020105");
    assert_false(hf_x509_form_parse(hf_buf_bytes(&der), &form));
    wrap(&der, 0x30);
    assert_false(hf_x509_form_parse(hf_buf_bytes(&der), &form));
    hf_buf_free(&der);
    /* deeper than any certificate: the parser recurses */
    for (int i = 0; i < 14; i++)
        wrap(&deep, 0x30);
    hf_hex_encode(deep.data, deep.len, hex);
    assert_int_equal(form.version, 77);
    assert_false(is_accepted(KEY, hex, &form)); /* well-formed, and no key */
    for (int i = 0; i < 4; i++)
        wrap(&deep, 0x30);
    hf_hex_encode(deep.data, deep.len, hex);
    assert_false(is_accepted(KEY, hex, &form));
    hf_buf_free(&deep);
    assert_int_equal(form.version, 77); /* nothing was written */
}

static void every_part_has_its_shape(void **state)
{
    static const struct change cases[] = {
        {VERSION, "A003020180"},       /* negative */
        {VERSION, "A006020102020102"}, /* two numbers */
        {VERSION, "A00402020102"},     /* of two bytes */
        {VERSION, "A003040102"},
        {VERSION, "A103020102"},
        {SERIAL, ""},
        {SERIAL, "0200"},
        {SERIAL, "040105"},
        {ALGORITHM, "0500"},
        {ALGORITHM, "3000"},
        {ALGORITHM, "30020600"}, /* an empty identifier */
        {ALGORITHM, "30020500"},
        {ALGORITHM, "300E06082A8648CE3D04030205000500"}, /* two parameters */
        {OUTER_ALGORITHM, "300A06082A8648CE3D040303"},   /* another than inside */
        {OUTER_ALGORITHM, "0500"},
        {ISSUER, "3100"},
        {ISSUER, "3003040101"},
        {ISSUER, "30023100"}, /* an empty set */
        {ISSUER, "30053103040101"},
        {ISSUER, "3007310530030C0152"},                 /* no type */
        {ISSUER, "3009310730050603550403"},             /* no value */
        {ISSUER, "300F310D300B06035504030C01520C0153"}, /* two values */
        {SUBJECT, "3100"},
        {VALIDITY, "0500"},
        {VALIDITY, "3000"},
        {VALIDITY, "300F170D" TIME_2020},
        {VALIDITY, "302D170D" TIME_2020 "170D" TIME_2040 "170D" TIME_2040},
        {VALIDITY, "301E180D" TIME_2020 "170D" TIME_2040},
        {VALIDITY, "301E170D" TIME_2020 "040D" TIME_2040},
        {VALIDITY, "301E170D" TIME_2020 "170D34303031303130303030303030"}, /* no Z */
        {VALIDITY, "301E170D" TIME_2020 "170D2F30303130313030303030305A"}, /* no digit */
        {VALIDITY, "301E170D" TIME_2020 "170D3A30303130313030303030305A"},
        {KEY, "0500"},
        {KEY, "3000"},
        {KEY, "3005300306012A"},             /* no key */
        {KEY, "3008300306012A030100"},       /* an empty one */
        {KEY, "3009300306012A03020801"},     /* eight of eight bits unused */
        {KEY, "3009300306012A04020001"},     /* no BIT STRING */
        {KEY, "300B300306012A030200010500"}, /* something behind it */
        {IDS, "8202000181020001"},           /* in the wrong order */
        {EXTENSIONS, "A300"},
        {EXTENSIONS, "A3020500"},
        {EXTENSIONS, "A30430000500"},
        {EXTENSIONS, "A30230000500"},
        {EXTENSIONS, "A30730053003020101"},
        {EXTENSIONS, "A3053003020101"},
        {EXTENSION, ""},
        {EXTENSION, "0603551D13"},             /* no value */
        {EXTENSION, "0603551D130102FFFF0400"}, /* critical twice */
        {EXTENSION, "0603551D1304000500"},     /* something behind it */
        {EXTENSION, "0603551D130201010400"},
        {SIGNATURE, ""},
        {SIGNATURE, "030100"},
        {SIGNATURE, "04020001"},
        {SIGNATURE, "03020801"},
        {SIGNATURE, "03030001020500"},
    };
    struct hf_x509_form form;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (is_accepted(cases[i].part, cases[i].hex, &form))
            fail_msg("%s was read", cases[i].hex);
    }
}

static void what_is_not_supported_has_a_name_or_number(void **state)
{
    static const struct {
        struct change change;
        const char *text; /* NULL: it is supported */
    } cases[] = {
        {{VERSION, "A003020102"}, NULL},
        {{VERSION, "A003020103"}, "X.509 version 4"},
        {{ALGORITHM, "300506032B6570"}, "signature algorithm Ed25519"},
        {{ALGORITHM, "300406022A03"}, "signature algorithm 1.2.3"},
        {{ALGORITHM, "3003060180"}, "signature algorithm an unreadable number"},
        {{KEY, "300C300506032B65700303000102"}, "key type Ed25519"},
        {{KEY, "300C300506032B656E0303000102"}, "key type 1.3.101.110"}, /* Mbed TLS reads X25519 */
        {{KEY, RSA_9216_KEY}, "RSA key of 9216 bits (expected 2048 to 8192)"},
        {{KEY, "30820124" RSA "03820111003082010C0282010100" FF_128 FF_128 "0205010000000F"},
         "RSA key with an exponent of 33 bits (expected at most 32)"},
        {{KEY, "3013300D06072A8648CE3D020106022A0303020004"}, "elliptic curve 1.2.3"},
        {{KEY, "3011300B06072A8648CE3D0201300003020004"}, /* specifiedCurve */
         "elliptic curve that has no name"},
        {{EXTENSION, "06022A030101FF0400"}, "critical extension 1.2.3"},
        {{EXTENSION, "06022A030400"}, NULL},
        {{EXTENSION, "06022A030101000400"}, NULL},
        {{EXTENSION, POLICIES "0101FF" POLICY_WITH_QUALIFIER},
         "critical extension certificatePolicies"},
        {{EXTENSION, POLICIES POLICY_WITH_QUALIFIER}, NULL},
        {{EXTENSION, POLICIES "0101FF0408300630040602"
                              "2A03"},
         NULL},
        {{EXTENSION, NAME_CONSTRAINTS "0101FF"
                                      "0412" DNS_CONSTRAINT},
         NULL},
        {{EXTENSION, POLICY_CONSTRAINTS "0101FF"
                                        "04053003800100"},
         NULL}, /* policyConstraints */
        {{EXTENSION, INHIBIT_ANY_POLICY "0101FF"
                                        "0403020100"},
         NULL}, /* inhibitAnyPolicy */
        {{EXTENSION, "0603551D210101FF"
                     "040C300A300806022A0306022A04"},
         NULL}, /* policyMappings */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_buf der = {0};
        struct hf_unsupported_cert unsupported;
        struct hf_cert cert;
        struct hf_why why = {0};
        build_changed(cases[i].change.part, cases[i].change.hex, &der);
        if (cases[i].text == NULL) {
            CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
        } else {
            assert_true(hf_cert_describe_unsupported(hf_buf_bytes(&der), &unsupported));
            assert_string_equal(unsupported.what, cases[i].text);
            /* and it is what the sentence of a refusal says */
            CHECK_REFUSED(hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_POLICY, &why,
                          cases[i].text);
        }
        hf_buf_free(&der);
    }
}

static void a_name_is_printable_text(void **state)
{
    static const char *const cases[][2] = {
        {NAME, "CN=R"},
        {"3018310A300806035504030C0152310A3008060355040A0C0153", "CN=R, O=S"},
        {"3016311430080603550403"
         "0C0152"
         "3008060355040A0C0153",
         "CN=R, O=S"},
        {"300E310C300A06035504030C030A52C3", "CN=?R?"},
        {"300B3109300706022A030C0152", "1.2.3=R"},
        {"300A310830060601800C0152", "an unreadable number=R"},
        {"3000", "(an empty name)"},
        {"0500", ""},
    };
    struct hf_buf der = {0};
    char text[HF_DN_TEXT_MAX], wanted[HF_DN_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        add_hex(&der, cases[i][0]);
        hf_x509_form_name(hf_buf_bytes(&der), text);
        assert_string_equal(text, cases[i][1]);
        hf_buf_free(&der);
    }
    /* A long one is cut, also in the attributes behind. */
    add_hex(&der, "06035504030C82012C");
    for (int i = 0; i < 300; i++)
        CHECK_OK(hf_buf_append(&der, "x", 1));
    wrap(&der, 0x30);
    add_hex(&der, "3008060355040A0C0153");
    wrap(&der, 0x31);
    wrap(&der, 0x30);
    hf_x509_form_name(hf_buf_bytes(&der), text);
    memset(wanted, 'x', sizeof wanted - 1);
    memcpy(wanted, "CN=", 3);
    wanted[sizeof wanted - 1] = '\0';
    assert_string_equal(text, wanted);
    hf_buf_free(&der);
}

/* Such a root is skipped, and the rest of a bundle used: old tools wrote some. */
static void what_is_not_der_is_not_supported(void **state)
{
    static const struct change cases[] = {
        {SERIAL, "02020005"}, /* a byte that says nothing */
        {SERIAL, "0202FF85"},
        {ISSUER, "300C310A300806035504830C0152"},      /* the last number of a type has no end */
        {ISSUER, "300C310A300806035580030C0152"},      /* a number begins with a zero */
        {ALGORITHM, "300D06082A8648CE3D040302050100"}, /* a NULL of one byte */
        {ALGORITHM, "300C06082A8648CE3D0403021000"},   /* a SEQUENCE without parts */
        {KEY, "3019301306072A8648CE3D020106082A8648CE3D03010703020101"}, /* an unused bit is set */
        {SIGNATURE, "0302077F"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_buf der = {0};
        struct hf_x509_form form;
        struct hf_certificate read;
        struct hf_cert cert;
        struct hf_why why = {0};
        build_changed(cases[i].part, cases[i].hex, &der);
        assert_true(hf_x509_form_parse(hf_buf_bytes(&der), &form));
        if (hf_certificate_parse(hf_buf_bytes(&der), &read))
            fail_msg("%s was read", cases[i].hex);
        CHECK_REFUSED(hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_POLICY, &why,
                      "\"CN=R\" is a certificate that is not supported here");
        hf_buf_free(&der);
    }
}

/* Values of extensions stand in an OCTET STRING, which the walk of the whole does not look into. */
static void extensions_are_der_too(void **state)
{
    static const struct {
        const char *extension, *value;
        bool is_read;
    } cases[] = {
        {BASIC_CONSTRAINTS "0101FF",
         "0405"
         "30030101FF",
         true},
        {BASIC_CONSTRAINTS "010101",
         "0405"
         "3003010101",
         true}, /* as Mbed TLS wrote TRUE until 2016 */
        {BASIC_CONSTRAINTS "0101FF",
         "0406"
         "30040102FFFF",
         false},
        {BASIC_CONSTRAINTS "0101FF",
         "0408"
         "30060101FF020100",
         true},
        {BASIC_CONSTRAINTS "0101FF",
         "0409"
         "30070101FF02020001",
         false}, /* a byte that says nothing */
        {BASIC_CONSTRAINTS "0101FF",
         "0408"
         "30060101FF0201FF",
         false}, /* negative */
        {BASIC_CONSTRAINTS "0101FF",
         "0407"
         "30050101FF0500",
         false}, /* something behind it */
        {BASIC_CONSTRAINTS "0101FF",
         "0407"
         "30030101FF0500",
         false}, /* and behind all of it */
        {BASIC_CONSTRAINTS "0101FF",
         "0406"
         "3081030101FF",
         false}, /* a length that fits in one byte */
        {KEY_USAGE "0101FF",
         "0404"
         "03020106",
         true},
        {KEY_USAGE "0101FF",
         "0404"
         "03020206",
         false}, /* an unused bit is set */
        {KEY_USAGE "0101FF",
         "0404"
         "03020806",
         false},
        {KEY_USAGE "0101FF",
         "0403"
         "030100",
         true},
        {KEY_USAGE "0101FF",
         "0403"
         "030101",
         false},
        {POLICY_CONSTRAINTS "0101FF",
         "0405"
         "3003800100",
         true},
        {POLICY_CONSTRAINTS "0101FF",
         "0406"
         "300480020001",
         false},
        {POLICY_CONSTRAINTS "0101FF",
         "0402"
         "3000",
         false},
        {INHIBIT_ANY_POLICY "0101FF",
         "0403"
         "020100",
         true},
        {INHIBIT_ANY_POLICY "0101FF",
         "0404"
         "02020000",
         false},
        {INHIBIT_ANY_POLICY "0101FF",
         "0405"
         "0201000500",
         false},
        {SUBJECT_KEY_ID,
         "0403"
         "040141",
         true},
        {SUBJECT_KEY_ID,
         "0405"
         "0401410500",
         false},
        {NAME_CONSTRAINTS "0101FF",
         "0410"
         "300EA00C300AA40830063104" /* a directory name with an empty type */
         "30020600",
         false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_buf der = {0};
        struct hf_certificate cert;
        char hex[128];
        (void)snprintf(hex, sizeof hex, "%s%s", cases[i].extension, cases[i].value);
        build_changed(EXTENSION, hex, &der);
        if (hf_certificate_parse(hf_buf_bytes(&der), &cert) != cases[i].is_read)
            fail_msg("%s was %s", hex, cases[i].is_read ? "refused" : "read");
        hf_buf_free(&der);
    }
}

/* What Mbed TLS reads of them, and what it says where it reads nothing. */
static void odd_certificates_are_read_or_refused_in_words(void **state)
{
    struct hf_buf der = {0};
    struct hf_cert cert = {0};
    struct hf_why why = {0};
    (void)state;
    build_changed(SUBJECT, "3000", &der);
    CHECK_OK(hf_cert_parse(hf_buf_bytes(&der), &cert, &why));
    assert_string_equal(cert.subject, "(an empty name)");
    assert_true(!cert.is_ca && !cert.is_self_issued && cert.x509_version == 3); /* 4.1.2.6 */
    hf_buf_free(&der);

    /* 31 February: a date in shape only */
    build_changed(VALIDITY, "301E170D" TIME_2020 "170D3430303233313030303030305A", &der);
    CHECK_REFUSED(
        hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_POLICY, &why,
        "\"CN=R\" is a certificate that is not supported here: Holdfast cannot use its encoding: a "
        "field is damaged");
    hf_buf_free(&der);

    /* one that a server sent: Mbed TLS has no room for the key */
    build_changed(KEY, RSA_9216_KEY, &der);
    CHECK_REFUSED(hf_cert_parse_sent(hf_buf_bytes(&der), &cert, &why), HF_E_POLICY, &why,
                  "Holdfast cannot use its RSA key of 9216 bits (expected 2048 to 8192)");
    hf_buf_free(&der);

    /* a point that is not on its curve */
    char key[sizeof CURVE_KEY];
    memcpy(key, CURVE_KEY, sizeof key);
    key[sizeof key - 2] = '6';
    build_changed(KEY, key, &der);
    CHECK_REFUSED(hf_cert_parse(hf_buf_bytes(&der), &cert, &why), HF_E_FORMAT, &why,
                  "\"CN=R\" cannot be read");
    hf_buf_free(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_absent_or_longer_is_read),
        cmocka_unit_test(what_is_not_der_is_not_supported),
        cmocka_unit_test(extensions_are_der_too),
        cmocka_unit_test(what_is_not_der_is_no_certificate),
        cmocka_unit_test(every_part_has_its_shape),
        cmocka_unit_test(what_is_not_supported_has_a_name_or_number),
        cmocka_unit_test(a_name_is_printable_text),
        cmocka_unit_test(odd_certificates_are_read_or_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
