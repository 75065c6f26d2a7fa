#include "server/admin/event_stream.h"

#include <string.h>

void hf_event_stream_begin(struct hf_event_stream *s)
{
    hf_buf_free(&s->line);
    hf_buf_free(&s->data);
    memcpy(s->next_id, s->id, sizeof s->next_id);
    s->kind[0] = '\0';
    s->is_begun = s->is_after_cr = false;
}

void hf_event_stream_free(struct hf_event_stream *s)
{
    hf_buf_free(&s->line);
    hf_buf_free(&s->data);
}

static enum hf_err append(struct hf_buf *to, struct hf_bytes bytes, const char *what,
                          struct hf_why *why)
{
    if (bytes.len > HF_EVENT_STREAM_BYTES_MAX - to->len)
        return hf_fail(why, HF_E_LIMIT,
                       "the stream of events: %s is too long (expected at most %u bytes)", what,
                       HF_EVENT_STREAM_BYTES_MAX);
    if (hf_buf_append(to, bytes.data, bytes.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "no memory for an event");
    return HF_OK;
}

/* An id or a kind. */
static enum hf_err set_word(char out[HF_EVENT_STREAM_WORD_MAX], struct hf_bytes value,
                            struct hf_why *why)
{
    if (value.len >= HF_EVENT_STREAM_WORD_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "the stream of events: an id or kind is too long (expected at most %u "
                       "bytes)",
                       HF_EVENT_STREAM_WORD_MAX - 1);
    if (value.len > 0)
        memcpy(out, value.data, value.len);
    out[value.len] = '\0';
    return HF_OK;
}

/* An empty line: the event is whole. One without data only says where the stream is. */
static enum hf_err dispatch(struct hf_event_stream *s, struct hf_why *why)
{
    const struct hf_bytes data = {s->data.data, s->data.len > 0 ? s->data.len - 1 : 0};
    const struct hf_stream_event event = {s->kind[0] != '\0' ? s->kind : "message", s->next_id,
                                          data};
    enum hf_err err = s->data.len > 0 ? s->take(s->ctx, &event, why) : HF_OK;

    if (err == HF_OK)
        memcpy(s->id, s->next_id, sizeof s->id);
    s->data.len = 0;
    s->kind[0] = '\0';
    return err;
}

static bool is_field(struct hf_bytes line, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(line.data, name, len) == 0;
}

static enum hf_err take_line(struct hf_event_stream *s, struct hf_bytes line, struct hf_why *why)
{
    if (line.len == 0)
        return dispatch(s, why);
    const uint8_t *colon = memchr(line.data, ':', line.len);
    size_t len = colon != NULL ? (size_t)(colon - line.data) : line.len;
    size_t at = len < line.len ? len + 1 : len;
    at += at < line.len && line.data[at] == ' ';
    const struct hf_bytes value = {line.data + at, line.len - at};
    if (is_field(line, len, "event"))
        return set_word(s->kind, value, why);
    if (is_field(line, len, "id"))
        return memchr(value.data, '\0', value.len) == NULL ? set_word(s->next_id, value, why)
                                                           : HF_OK;
    if (!is_field(line, len, "data"))
        return HF_OK; /* a comment, `retry`, or what is not known */
    HF_TRY(append(&s->data, value, "an event", why));
    return append(&s->data, hf_bytes_of_text("\n"), "an event", why);
}

static enum hf_err end_line(struct hf_event_stream *s, struct hf_why *why)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct hf_bytes line = {s->line.data != NULL ? s->line.data : (const uint8_t *)"", s->line.len};
    bool has_mark = !s->is_begun && line.len >= 3 && memcmp(line.data, mark, 3) == 0;

    s->is_begun = true;
    s->line.len = 0;
    return take_line(s,
                     (struct hf_bytes){line.data + (has_mark ? 3 : 0),
                                       line.len - (has_mark ? 3 : 0)},
                     why);
}

/* Lines end with LF, CR, or both. */
enum hf_err hf_event_stream_feed(struct hf_event_stream *s, struct hf_bytes bytes,
                                 struct hf_why *why)
{
    for (size_t at = 0; at < bytes.len;) {
        size_t n = 0;
        while (at + n < bytes.len && bytes.data[at + n] != '\n' && bytes.data[at + n] != '\r')
            n++;
        if (n > 0) {
            s->is_after_cr = false;
            HF_TRY(append(&s->line, (struct hf_bytes){bytes.data + at, n}, "a line", why));
        }
        at += n;
        if (at == bytes.len)
            break;
        bool is_second = bytes.data[at] == '\n' && s->is_after_cr;
        s->is_after_cr = bytes.data[at] == '\r';
        at++;
        if (!is_second)
            HF_TRY(end_line(s, why));
    }
    return HF_OK;
}
