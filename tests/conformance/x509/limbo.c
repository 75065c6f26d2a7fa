#include "tests/conformance/x509/limbo.h"

#include "common/base/base64.h"
#include "common/base/timetext.h"

#include <sodium.h>

#include <string.h>
#include <time.h>

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static bool is_text(const json_t *object, const char *member, const char *wanted)
{
    const char *text = text_of(object, member);
    return text != NULL && strcmp(text, wanted) == 0;
}

const char *limbo_unsupported(const json_t *testcase)
{
    static const char *const lists[][2] = {
        {"crls", "there is no revocation by lists"},
        {"signature_algorithms", "the list of signature algorithms is fixed"},
        {"key_usage", "the key usage is that of the handshake"},
        {"expected_peer_names", "only servers are verified"},
    };
    const json_t *usages = json_object_get(testcase, "extended_key_usage");

    if (!is_text(testcase, "validation_kind", "SERVER"))
        return "only servers are verified";
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (json_array_size(json_object_get(testcase, lists[i][0])) > 0)
            return lists[i][1];
    if (json_is_integer(json_object_get(testcase, "max_chain_depth")))
        return "the depth of a chain is no setting";
    for (size_t i = 0; i < json_array_size(usages); i++) {
        const char *usage = json_string_value(json_array_get(usages, i));
        if (usage == NULL || strcmp(usage, "serverAuth") != 0)
            return "only certificates for TLS servers are verified";
    }
    if (is_text(json_object_get(testcase, "expected_peer_name"), "kind", "RFC822"))
        return "a server has no e-mail address";
    return NULL;
}

/* ---- certificates ---------------------------------------------------------------------------- */

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"

/** The bytes of one PEM block, whatever they are. */
static enum hf_err take_pem(struct limbo_case *c, const char *pem, struct hf_bytes *out,
                            struct hf_why *why)
{
    const char *begin = pem == NULL ? NULL : strstr(pem, BEGIN);
    const char *end = begin == NULL ? NULL : strstr(begin, END), *stopped;

    if (end == NULL)
        return hf_fail(why, HF_E_FORMAT, "a certificate is no PEM block");
    if (c->n_ders == sizeof c->ders / sizeof c->ders[0])
        return hf_fail(why, HF_E_LIMIT, "too many certificates");
    begin += strlen(BEGIN);
    struct hf_buf *der = &c->ders[c->n_ders];
    if (hf_buf_reserve(der, (size_t)(end - begin)) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "no memory for a certificate");
    c->n_ders++;
    if (!hf_base64_decode(begin, (size_t)(end - begin), " \r\n", sodium_base64_VARIANT_ORIGINAL,
                          der->data, (size_t)(end - begin), &der->len, &stopped))
        return hf_fail(why, HF_E_FORMAT, "a certificate is no base64");
    *out = hf_buf_bytes(der);
    return HF_OK;
}

static enum hf_err read_anchors(const json_t *list, struct limbo_case *c, struct hf_why *why)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct hf_bytes der;
        HF_TRY(take_pem(c, json_string_value(json_array_get(list, i)), &der, why));
        if (c->question.n_anchors == LIMBO_ANCHORS_MAX)
            return hf_fail(why, HF_E_LIMIT, "more than %d anchors", LIMBO_ANCHORS_MAX);
        if (x509_anchor_of(der, &c->anchors[c->question.n_anchors]))
            c->question.n_anchors++;
    }
    return HF_OK;
}

static enum hf_err read_sent(const json_t *testcase, struct limbo_case *c, struct hf_why *why)
{
    const json_t *list = json_object_get(testcase, "untrusted_intermediates");
    size_t n = 1 + json_array_size(list);

    if (n > LIMBO_SENT_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than %d certificates", LIMBO_SENT_MAX);
    HF_TRY(take_pem(c, text_of(testcase, "peer_certificate"), &c->sent[0], why));
    for (size_t i = 1; i < n; i++)
        HF_TRY(take_pem(c, json_string_value(json_array_get(list, i - 1)), &c->sent[i], why));
    c->question.n_sent = n;
    return HF_OK;
}

/* ---- the case -------------------------------------------------------------------------------- */

/** "2024-01-01T00:00:00+00:00", with Z or with milliseconds; null is now. */
static bool read_time(const json_t *value, int64_t *out_s)
{
    const char *text = json_string_value(value);
    char to_the_second[HF_TIME_TEXT_MAX] = "";

    if (text == NULL) {
        *out_s = time(NULL);
        return json_is_null(value);
    }
    if (strlen(text) < strlen("YYYY-MM-DDTHH:MM:SS"))
        return false;
    memcpy(to_the_second, text, strlen("YYYY-MM-DDTHH:MM:SS"));
    to_the_second[strlen("YYYY-MM-DDTHH:MM:SS")] = 'Z';
    return hf_time_parse(to_the_second, out_s);
}

enum hf_err limbo_case_read(const json_t *testcase, struct limbo_case *out, struct hf_why *why)
{
    struct x509_case *question = &out->question;

    question->anchors = out->anchors;
    question->sent = out->sent;
    question->host = text_of(json_object_get(testcase, "expected_peer_name"), "value");
    if (!read_time(json_object_get(testcase, "validation_time"), &question->at_s))
        return hf_fail(why, HF_E_FORMAT, "validation_time is no time");
    HF_TRY(read_anchors(json_object_get(testcase, "trusted_certs"), out, why));
    return read_sent(testcase, out, why);
}

void limbo_case_free(struct limbo_case *c)
{
    for (size_t i = 0; i < c->n_ders; i++)
        hf_buf_free(&c->ders[i]);
    memset(c, 0, sizeof *c);
}
