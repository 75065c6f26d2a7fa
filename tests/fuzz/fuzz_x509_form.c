/* common/bundle/x509_form: DER of any bytes. What points into it stays in it, names are printable,
 * and a certificate that is called unsupported is one to the walker and not to Mbed TLS. */
#include "tests/fuzz/fuzz.h"

#include "common/bundle/cert.h"

static void check_inside(struct hf_bytes part, struct hf_bytes whole)
{
    if (part.len == 0)
        return;
    FUZZ_CHECK(part.data >= whole.data && part.len <= whole.len);
    FUZZ_CHECK(part.data + part.len <= whole.data + whole.len);
}

static void check_text(const char *text, size_t cap)
{
    FUZZ_CHECK(memchr(text, '\0', cap) != NULL && text[0] != '\0');
    for (; *text != '\0'; text++)
        FUZZ_CHECK((unsigned char)*text >= ' ' && (unsigned char)*text < 0x7f);
}

static void check_form(const struct hf_x509_form *form, struct hf_bytes der)
{
    char name[HF_DN_TEXT_MAX], what[HF_UNSUPPORTED_MAX];
    check_inside(form->signature_oid, der);
    check_inside(form->subject, der);
    check_inside(form->issuer, der);
    check_inside(form->spki, der);
    check_inside(form->extensions, der);
    hf_x509_form_name(form->subject, name);
    check_text(name, sizeof name);
    hf_x509_form_name(form->issuer, name);
    check_text(name, sizeof name);
    if (hf_x509_form_unsupported(form, what))
        check_text(what, sizeof what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_bytes der = {data, size};
    struct hf_x509_form form = {0};
    struct hf_unsupported_cert unsupported;
    struct hf_cert cert;
    struct hf_why why = {0};
    bool is_well_formed = hf_x509_form_parse(der, &form);
    if (is_well_formed)
        check_form(&form, der);
    FUZZ_CHECK(hf_cert_describe_unsupported(der, &unsupported) == is_well_formed);
    enum hf_err err = hf_cert_parse(der, &cert, &why);
    FUZZ_CHECK(err != HF_E_POLICY || is_well_formed);
    return 0;
}
