/*
 * server/http/request and server/serve/route: what a client may send. In whatever pieces it comes,
 * it is the same requests, and each gets an answer of those that this server gives.
 */
#include "tests/fuzz/fuzz.h"

#include "server/serve/route.h"

#define REQUESTS_MAX 8

/* What is left of a request once it is answered. */
struct seen {
    uint8_t method;
    bool is_http_1_0, is_keep_alive;
    unsigned refused, status;
    const struct hf_served_file *file;
    size_t target_len;
    char target[64];
};

struct session {
    struct seen seen[REQUESTS_MAX];
    size_t n;
};

static const struct hf_edition *edition(void)
{
    static const char *const served[] = {"/metadata/timestamp.json", "/metadata/1.root.json",
                                         "/targets/a b", "/targets/a/b%c", "/"};
    static struct hf_edition *g;
    struct hf_why why = {0};
    if (g != NULL)
        return g;
    FUZZ_OK(hf_edition_new(&g, &why), &why);
    for (size_t i = 0; i < sizeof served / sizeof served[0]; i++) {
        struct hf_file_mark mark = {0};
        struct hf_served_file *file = NULL;
        uint8_t *body = malloc(4);
        FUZZ_OK(hf_served_file_new_take(served[i], &mark, body, 0, &file, &why), &why);
        FUZZ_OK(hf_edition_add_take(g, file, &why), &why);
    }
    hf_edition_sort(g);
    return g;
}

static void check_answer(const struct hf_request *r, const struct hf_answer *answer)
{
    static const unsigned known[] = {200, 304, 400, 404, 405};
    bool is_known = false;
    if (answer->is_health)
        return;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= answer->status == known[i];
    FUZZ_CHECK(is_known);
    FUZZ_CHECK((answer->file != NULL) == (answer->status == 200 || answer->status == 304));
    FUZZ_CHECK(answer->file == NULL || r->method == HTTP_GET || r->method == HTTP_HEAD);
}

static void answer_it(struct session *session, const struct hf_request *r)
{
    struct hf_answer answer = {0};
    if (r->refused == 0) {
        FUZZ_CHECK(r->body.len <= r->body_max);
        answer = hf_route(r, edition());
        check_answer(r, &answer);
    }
    if (session->n == REQUESTS_MAX)
        return;
    struct seen *seen = &session->seen[session->n++];
    *seen = (struct seen){.refused = r->refused};
    if (r->refused != 0)
        return;
    *seen = (struct seen){r->method,     r->is_http_1_0, r->is_keep_alive, 0,
                          answer.status, answer.file,    r->target.len,    {0}};
    memcpy(seen->target, r->target.text, r->target.len < 64 ? r->target.len : 64);
}

/* As a connection does: read on, answer, begin the next, until one ends it. */
static void run(struct session *session, size_t body_max, struct hf_bytes data,
                struct hf_bytes sizes)
{
    static struct hf_request request;
    llhttp_t parser;
    size_t at = 0;
    *session = (struct session){0};
    memset(&request, 0xa5, sizeof request);
    hf_request_parser_init(&parser);
    hf_request_begin(&request, &parser, body_max);
    for (size_t i = 0; at < data.len; i++) {
        size_t left = data.len - at, used = 0;
        size_t n = sizes.len == 0 ? left : 1 + sizes.data[i % sizes.len] % 64;
        n = n < left ? n : left;
        if (!hf_request_feed(&request, &parser, data.data + at, n, &used)) {
            at += n;
            continue;
        }
        FUZZ_CHECK(used <= n);
        answer_it(session, &request);
        hf_request_end(&request);
        if (request.refused != 0 || !request.is_keep_alive)
            return;
        FUZZ_CHECK(used > 0);
        at += used;
        hf_request_begin(&request, &parser, body_max);
    }
    hf_request_end(&request);
}

/* Too long a head is noticed with the piece that makes it so, whatever else is wrong in it. */
static bool is_about_size(unsigned refused)
{
    return refused == 431 || refused == 414;
}

static void check_same(const struct session *a, const struct session *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        const struct seen *x = &a->seen[i], *y = &b->seen[i];
        if (is_about_size(x->refused) || is_about_size(y->refused))
            return;
        FUZZ_CHECK(x->refused == y->refused && x->status == y->status && x->file == y->file);
        FUZZ_CHECK(x->method == y->method && x->is_http_1_0 == y->is_http_1_0);
        FUZZ_CHECK(x->is_keep_alive == y->is_keep_alive && x->target_len == y->target_len);
        FUZZ_CHECK(memcmp(x->target, y->target, sizeof x->target) == 0);
    }
    FUZZ_CHECK(a->n == b->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct session whole, bytes, pieces;
    struct fuzz_input in = {data, size};
    struct hf_bytes sizes = fuzz_section(&in), text = {in.data, in.len};
    /* A server that takes no bodies, and one that takes short ones. */
    for (size_t body_max = 0; body_max <= 64; body_max += 64) {
        run(&whole, body_max, text, (struct hf_bytes){0});
        run(&bytes, body_max, text, (struct hf_bytes){(const uint8_t *)"", 1});
        run(&pieces, body_max, text, sizes);
        check_same(&whole, &bytes);
        check_same(&whole, &pieces);
    }
    return 0;
}
