#include "tests/conformance/two_urls.h"

#include <string.h>

/* What follows `prefix` in `text`, or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static enum hf_err real_url(const struct two_urls *urls, const char *url, struct hf_buf *out,
                            struct hf_why *why)
{
    const char *metadata = after(url, REPOSITORY_URL "/metadata/");
    const char *target = after(url, REPOSITORY_URL "/targets/");
    const char *base = metadata != NULL ? urls->metadata_url : urls->targets_url;
    const char *name = metadata != NULL ? metadata : target;

    if (base == NULL || name == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "no address was given for %s", url);
    size_t len = strlen(base);
    bool has_slash = len > 0 && base[len - 1] == '/';
    if (hf_buf_printf(out, "%s%s%s", base, has_slash ? "" : "/", name) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for an address");
    return HF_OK;
}

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    const struct two_urls *urls = ctx;
    struct hf_request real = *request;
    struct hf_buf url = {0};

    enum hf_err err = real_url(urls, request->url, &url, why);
    real.url = (const char *)url.data;
    if (err == HF_OK)
        err = urls->http.fetch(urls->http.ctx, &real, out, why);
    hf_buf_free(&url);
    return err;
}

struct hf_transport_port two_urls_port(struct two_urls *urls)
{
    return (struct hf_transport_port){.ctx = urls, .fetch = fetch};
}
