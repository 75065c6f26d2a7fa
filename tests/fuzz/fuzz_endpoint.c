/*
 * common/tls/endpoint_url: an address, then what AWS printed, then an ALPN name. Whatever comes
 * out is one server: written and read again it is the same, and its host could stand in SNI.
 */
#include "tests/fuzz/fuzz.h"

#include "common/tls/endpoint_url.h"

static void check_one_line(const char *text)
{
    for (; *text != '\0'; text++)
        FUZZ_CHECK(*text > ' ' && *text < 0x7f);
}

static void check_url(const struct hf_endpoint_url *url)
{
    char name[HF_ENDPOINT_URL_TEXT], again[HF_ENDPOINT_URL_TEXT];
    struct hf_endpoint_url same = {0};
    struct hf_why why = {0};

    hf_endpoint_url_format(url, name);
    check_one_line(name);
    FUZZ_CHECK(url->peer.host[0] != '\0' && url->peer.port != 0);
    FUZZ_CHECK(strpbrk(url->peer.host, "/@?#") == NULL);
    FUZZ_OK(hf_endpoint_url_parse(name, &same, &why), &why);
    FUZZ_CHECK(same.scheme == url->scheme && hf_endpoint_equal(&same.peer, &url->peer));
    hf_endpoint_url_format(&same, again);
    FUZZ_CHECK(strcmp(name, again) == 0);
}

/* An address is legacy only if it is one of AWS IoT, where MQTT at port 443 has a name of its
 * own. */
static void check_aws(const struct hf_endpoint_url *url)
{
    struct hf_endpoint_url mqtt = {"mqtts", url->peer};
    const char *alpn = hf_endpoint_url_default_alpn(url);

    mqtt.peer.port = 443;
    if (hf_endpoint_url_is_legacy_aws(url)) {
        FUZZ_CHECK(strstr(url->peer.host, ".iot.") != NULL);
        FUZZ_CHECK(strstr(url->peer.host, "-ats.iot.") == NULL);
        FUZZ_CHECK(hf_endpoint_url_default_alpn(&mqtt) != NULL);
    }
    if (alpn != NULL)
        FUZZ_OK(hf_alpn_check(alpn, NULL), &(struct hf_why){0});
}

static void check_result(enum hf_err err, const struct hf_endpoint_url *url,
                         const struct hf_why *why)
{
    if (err != HF_OK) {
        FUZZ_CHECK(url->scheme == NULL);
        fuzz_check_refusal(err, why);
        return;
    }
    check_url(url);
    check_aws(url);
}

static void check_alpn(struct hf_bytes name)
{
    char *text = fuzz_text(name);
    struct hf_why why = {0};
    enum hf_err err = hf_alpn_check(text, &why);

    if (err == HF_OK) {
        FUZZ_CHECK(text[0] != '\0' && strlen(text) <= HF_ALPN_MAX);
        check_one_line(text);
    } else {
        fuzz_check_refusal(err, &why);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_endpoint_url url = {0}, answer = {0};
    struct hf_why why = {0}, answer_why = {0};
    char *text = fuzz_text(fuzz_section(&in));

    check_result(hf_endpoint_url_parse(text, &url, &why), &url, &why);
    check_result(hf_endpoint_url_parse_json(fuzz_section(&in), &answer, &answer_why), &answer,
                 &answer_why);
    check_alpn((struct hf_bytes){in.data, in.len});
    free(text);
    return 0;
}
