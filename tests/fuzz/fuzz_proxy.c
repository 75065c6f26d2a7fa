/*
 * client/port/posix/url: a URL, then the environment's values in the order of `names`. A proxy is
 * never used where no_proxy forbids it, and what goes into its request is one line.
 */
#include "tests/fuzz/fuzz.h"

#include "client/port/posix/http.h"

static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy",  "no_proxy",
                                    "ALL_PROXY",  "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"};
#define N_NAMES (sizeof names / sizeof names[0])

static char *values[N_NAMES];

static const char *environment(const char *name)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strcmp(names[i], name) == 0)
            return values[i];
    }
    return NULL;
}

static size_t count_lines(const struct hf_buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++)
        n += text->data[i] == '\n';
    return n;
}

/* Five lines and the empty one, and the proxy's authorization where it is spoken to. */
static void check_request(const struct hf_url *url, const struct hf_proxy *proxy)
{
    struct hf_buf request = {0};
    struct hf_why why = {0};
    bool is_told = proxy->is_used && !url->is_https && proxy->authorization[0] != '\0';
    FUZZ_OK(hf_http_request_get(url, proxy, NULL, &request, &why), &why);
    FUZZ_CHECK(count_lines(&request) == (is_told ? 7u : 6u));
    hf_buf_free(&request);
    FUZZ_OK(hf_http_request_connect(&url->peer, proxy, &request, &why), &why);
    FUZZ_CHECK(count_lines(&request) == (proxy->authorization[0] != '\0' ? 5u : 4u));
    hf_buf_free(&request);
}

static void check_pick(const struct hf_url *url)
{
    struct hf_proxy proxy = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_proxy_pick(url, environment, &proxy, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        return;
    }
    if (values[3] != NULL && values[3][0] != '\0' && hf_no_proxy_matches(values[3], &url->peer))
        FUZZ_CHECK(!proxy.is_used);
    FUZZ_CHECK(proxy.is_used || proxy.authorization[0] == '\0');
    FUZZ_CHECK(strpbrk(proxy.authorization, "\r\n") == NULL);
    check_request(url, &proxy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_url url = {0};
    char *text = fuzz_text(fuzz_section(&in));
    for (size_t i = 0; i < N_NAMES; i++)
        values[i] = in.len > 0 ? fuzz_text(fuzz_section(&in)) : NULL;
    if (hf_url_parse(text, &url, NULL) == HF_OK)
        check_pick(&url);
    for (size_t i = 0; i < N_NAMES; i++)
        free(values[i]);
    free(text);
    return 0;
}
