/*
 * client/port/posix/url and endpoint: a URL, then a reference to be resolved at it. Whatever comes
 * out can go into a request: one line, a path, and the same URL when it is written and read again.
 */
#include "tests/fuzz/fuzz.h"

#include "client/port/posix/url.h"

static void check_url(const struct hf_url *url)
{
    struct hf_url again = {0};
    struct hf_buf text = {0};
    struct hf_why why = {0};
    FUZZ_CHECK(url->target[0] == '/' && strlen(url->target) <= HF_URL_MAX);
    FUZZ_CHECK(strpbrk(url->target, " \r\n#") == NULL);
    FUZZ_CHECK(url->peer.host[0] != '\0' && url->peer.port != 0);
    FUZZ_OK(hf_url_append(url, &text), &why);
    enum hf_err err = hf_url_parse((const char *)text.data, &again, &why);
    if (err == HF_E_LIMIT && text.len > HF_URL_MAX) { /* the target alone may be as long */
        hf_buf_free(&text);
        return;
    }
    FUZZ_OK(err, &why);
    FUZZ_CHECK(again.is_https == url->is_https);
    FUZZ_CHECK(hf_endpoint_equal(&again.peer, &url->peer));
    FUZZ_CHECK(again.peer.is_ipv6 == url->peer.is_ipv6);
    FUZZ_CHECK(strcmp(again.target, url->target) == 0);
    hf_buf_free(&text);
}

static bool has_dot_segment(const char *target)
{
    size_t path_len = strcspn(target, "?");
    for (size_t i = 0; i < path_len; i++) {
        size_t len = 1 + strcspn(target + i + 1, "/?");
        if (target[i] == '/' && ((len == 2 && target[i + 1] == '.') ||
                                 (len == 3 && target[i + 1] == '.' && target[i + 2] == '.')))
            return true;
    }
    return false;
}

static void check_resolved(const struct hf_url *base, const char *reference)
{
    struct hf_url url = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_url_resolve(base, reference, &url, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        return;
    }
    check_url(&url);
    bool is_relative = strchr(reference, ':') == NULL && strncmp(reference, "//", 2) != 0;
    if (is_relative) {
        FUZZ_CHECK(hf_endpoint_equal(&url.peer, &base->peer) && url.is_https == base->is_https);
        FUZZ_CHECK(!has_dot_segment(url.target));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_url url = {0};
    struct hf_why why = {0};
    char *text = fuzz_text(fuzz_section(&in));
    char *reference = fuzz_text((struct hf_bytes){in.data, in.len});
    enum hf_err err = hf_url_parse(text, &url, &why);
    if (err == HF_OK) {
        check_url(&url);
        check_resolved(&url, reference);
    } else {
        fuzz_check_refusal(err, &why);
    }
    free(reference);
    free(text);
    return 0;
}
