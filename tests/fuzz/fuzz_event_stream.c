/* server/admin/event_stream: events do not depend on how they are split; nothing is longer than its
 * limit. */
#include "tests/fuzz/fuzz.h"

#include "server/admin/event_stream.h"

#include <string.h>

/* All events, one behind the other. */
static enum hf_err collect(void *ctx, const struct hf_stream_event *event, struct hf_why *why)
{
    struct hf_buf *all = ctx;
    (void)why;
    FUZZ_CHECK(event->data.len < HF_EVENT_STREAM_BYTES_MAX && event->kind[0] != '\0');
    FUZZ_CHECK(strlen(event->kind) < HF_EVENT_STREAM_WORD_MAX &&
               strlen(event->id) < HF_EVENT_STREAM_WORD_MAX && strpbrk(event->id, "\r\n") == NULL);
    FUZZ_CHECK(hf_buf_printf(all, "%s|%s|%zu|", event->kind, event->id, event->data.len) == HF_OK);
    FUZZ_CHECK(hf_buf_append(all, event->data.data, event->data.len) == HF_OK);
    return HF_OK;
}

static enum hf_err read_all(struct hf_bytes text, size_t piece, struct hf_buf *all, char *id)
{
    struct hf_event_stream stream = {.take = collect, .ctx = all};
    struct hf_why why = {0};
    enum hf_err err = HF_OK;
    hf_event_stream_begin(&stream);
    for (size_t at = 0; at < text.len && err == HF_OK; at += piece) {
        size_t n = text.len - at < piece ? text.len - at : piece;
        err = hf_event_stream_feed(&stream, (struct hf_bytes){text.data + at, n}, &why);
    }
    FUZZ_CHECK(err == HF_OK || (err == HF_E_LIMIT && why.text[0] != '\0'));
    memcpy(id, stream.id, sizeof stream.id);
    hf_event_stream_free(&stream);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hf_bytes text = {data + (size > 0), size > 0 ? size - 1 : 0};
    struct hf_buf whole = {0}, split = {0};
    char ids[2][HF_EVENT_STREAM_WORD_MAX];
    enum hf_err err = read_all(text, text.len + 1, &whole, ids[0]);
    FUZZ_CHECK(read_all(text, size > 0 ? data[0] % 16u + 1 : 1, &split, ids[1]) == err);
    FUZZ_CHECK(strcmp(ids[0], ids[1]) == 0 && whole.len == split.len);
    FUZZ_CHECK(whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0);
    hf_buf_free(&whole);
    hf_buf_free(&split);
    return 0;
}
