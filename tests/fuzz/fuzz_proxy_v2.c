/*
 * server/http/proxy: what a balancer sends first. In whatever pieces it comes it is the same
 * header; what follows it is never part of it; and an address is one that the input holds.
 */
#include "tests/fuzz/fuzz.h"

#include "server/http/proxy.h"

/* Is `bytes` somewhere in `data`? */
static bool holds(struct hf_bytes data, const void *bytes, size_t len)
{
    return memmem(data.data, data.len, bytes, len) != NULL;
}

static void check_client(struct hf_bytes header, const struct hf_proxy *proxy)
{
    char text[HF_ADDRESS_TEXT_MAX];
    if (!proxy->has_client)
        return;
    hf_address_format(&proxy->client, text);
    FUZZ_CHECK(strlen(text) > 0);
    if (proxy->client.any.sa_family == AF_INET)
        FUZZ_CHECK(holds(header, &proxy->client.v4.sin_addr, 4));
    else
        FUZZ_CHECK(proxy->client.any.sa_family == AF_INET6 &&
                   holds(header, &proxy->client.v6.sin6_addr, 16));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hf_bytes whole = {data, size};
    struct hf_proxy proxy, again;
    size_t needed = 0;
    enum hf_proxy_result result = hf_proxy_parse(whole, &needed, &proxy);
    FUZZ_CHECK(result == HF_PROXY_BAD || needed <= HF_PROXY_BYTES_MAX);
    FUZZ_CHECK(result != HF_PROXY_MORE || needed > size);
    if (result == HF_PROXY_DONE)
        check_client((struct hf_bytes){data, needed}, &proxy);

    /* As a connection reads it: never more than is needed. */
    struct hf_bytes part = {data, 0};
    size_t next = HF_PROXY_FIXED_BYTES;
    enum hf_proxy_result piece = HF_PROXY_MORE;
    while (piece == HF_PROXY_MORE && part.len < size) {
        part.len = next < size ? next : size;
        piece = hf_proxy_parse(part, &next, &again);
    }
    FUZZ_CHECK(size == 0 || piece == result);
    if (result != HF_PROXY_DONE)
        return 0;
    FUZZ_CHECK(part.len == needed && proxy.has_client == again.has_client);
    FUZZ_CHECK(!proxy.has_client || memcmp(&proxy.client, &again.client, sizeof again.client) == 0);
    return 0;
}
