/*
 * client/port/posix/http_message: an answer of any bytes. In whatever pieces it comes, it means the
 * same; a body never exceeds its bound; and nothing that goes into the next request can break its
 * line.
 */
#include "tests/fuzz/fuzz.h"

#include "client/port/posix/http.h"

struct exchange {
    struct hf_answer answer;
    struct hf_why why;
    enum hf_err err;
};

static void feed_piece(struct exchange *x, struct hf_bytes piece)
{
    if (x->err == HF_OK && piece.len > 0 && x->answer.is_complete)
        x->err = hf_fail(&x->why, HF_E_NETWORK, "bytes follow the end"); /* as one piece would */
    if (x->err == HF_OK && piece.len > 0)
        x->err = hf_answer_feed(&x->answer, piece, &x->why);
}

/* `sizes` says how many bytes each piece has, again and again; empty: one piece. */
static void run(struct exchange *x, enum hf_answer_kind kind, size_t max_bytes,
                struct hf_bytes data, struct hf_bytes sizes)
{
    size_t at = 0;
    *x = (struct exchange){0};
    hf_answer_init(&x->answer, kind, max_bytes);
    for (size_t i = 0; at < data.len; i++) {
        size_t left = data.len - at;
        size_t n = sizes.len == 0 ? left : 1 + sizes.data[i % sizes.len] % 64;
        n = n < left ? n : left;
        feed_piece(x, (struct hf_bytes){data.data + at, n});
        at += n;
    }
    if (x->err == HF_OK && !x->answer.is_complete)
        x->err = hf_answer_end(&x->answer, &x->why);
}

static void check_answer(const struct exchange *x, enum hf_answer_kind kind, size_t max_bytes)
{
    const struct hf_answer *a = &x->answer;
    if (x->err != HF_OK) {
        fuzz_check_refusal(x->err, &x->why);
        return;
    }
    FUZZ_CHECK(a->is_complete && a->status >= 200 && a->status <= 599);
    FUZZ_CHECK(a->body.len <= max_bytes);
    FUZZ_CHECK(a->body.len == 0 || kind == HF_ANSWER_TO_API ||
               (a->status == 200 && kind == HF_ANSWER_TO_GET));
    FUZZ_CHECK(a->retry_after_s >= HF_RETRY_AFTER_NONE && a->retry_after_s <= HF_RETRY_AFTER_MAX_S);
    FUZZ_CHECK(memchr(a->etag, '\0', sizeof a->etag) != NULL);
    for (const char *c = a->etag; *c != '\0'; c++)
        FUZZ_CHECK((unsigned char)*c > ' ' && *c != 0x7f);
    /* Exactly one, or none: a list or "*" would match whatever an honest server has. */
    const char *tag = strncmp(a->etag, "W/", 2) == 0 ? a->etag + 2 : a->etag;
    FUZZ_CHECK(a->etag[0] == '\0' || (tag[0] == '"' && strlen(tag) >= 2 &&
                                      strchr(tag + 1, '"') == tag + strlen(tag) - 1));
    FUZZ_CHECK(memchr(a->location, '\0', sizeof a->location) != NULL);
    FUZZ_CHECK(strpbrk(a->location, "\r\n") == NULL);
}

/* An answer whose body is not needed is given up after so many bytes, wherever a piece ends
 * then. */
static bool is_given_up(const struct hf_answer *a)
{
    return a->discarded > HF_HTTP_DISCARD_BYTES_MAX;
}

static void check_same(const struct exchange *a, const struct exchange *b)
{
    if (is_given_up(&a->answer) || is_given_up(&b->answer))
        return;
    FUZZ_CHECK((a->err == HF_OK) == (b->err == HF_OK));
    if (a->err != HF_OK)
        return;
    FUZZ_CHECK(a->answer.status == b->answer.status);
    FUZZ_CHECK(a->answer.may_reuse == b->answer.may_reuse);
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&a->answer.body), hf_buf_bytes(&b->answer.body)));
    FUZZ_CHECK(strcmp(a->answer.etag, b->answer.etag) == 0);
    FUZZ_CHECK(a->answer.retry_after_s == b->answer.retry_after_s);
    FUZZ_CHECK(a->answer.asks_for_rotation == b->answer.asks_for_rotation);
    FUZZ_CHECK(strcmp(a->answer.location, b->answer.location) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct exchange whole, bytes, pieces;
    struct fuzz_input in = {data, size};
    static const enum hf_answer_kind kinds[] = {HF_ANSWER_TO_GET, HF_ANSWER_TO_GET,
                                                HF_ANSWER_TO_API, HF_ANSWER_TO_CONNECT};
    enum hf_answer_kind kind = kinds[fuzz_below(&in, 4)];
    size_t max_bytes = fuzz_below(&in, 4096);
    struct hf_bytes sizes = fuzz_section(&in), answer = {in.data, in.len};

    run(&whole, kind, max_bytes, answer, (struct hf_bytes){0});
    run(&bytes, kind, max_bytes, answer, (struct hf_bytes){(const uint8_t *)"", 1});
    run(&pieces, kind, max_bytes, answer, sizes);
    check_answer(&whole, kind, max_bytes);
    check_answer(&bytes, kind, max_bytes);
    check_answer(&pieces, kind, max_bytes);
    check_same(&whole, &bytes);
    check_same(&whole, &pieces);
    hf_answer_free(&whole.answer);
    hf_answer_free(&bytes.answer);
    hf_answer_free(&pieces.answer);
    return 0;
}
