#include "common/bundle/pem.h"

#include "common/base/limits.h"
#include "common/base/plaintext.h"
#include "common/bundle/file_kind.h"

#include <sodium.h>
#include <string.h>

#define BEGIN_LINE "-----BEGIN CERTIFICATE-----"
#define END_LINE "-----END CERTIFICATE-----"
#define LINE_BYTES 48 /* of DER: 64 characters of base64 (RFC 7468 section 2) */
#define LINE_CHARS 64

struct walker {
    struct hf_bytes text;
    size_t pos;        /* start of the next line */
    size_t line_no;    /* of the line read last, from 1 */
    size_t n_blocks;   /* begun so far */
    struct hf_buf der; /* of the block at hand */
};

static bool is_blank(uint8_t c)
{
    return c == '\r' || c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* The next line without its end and without blanks around it; false at the end of the text. */
static bool next_line(struct walker *w, struct hf_bytes *line)
{
    if (w->pos == w->text.len)
        return false;
    const uint8_t *start = w->text.data + w->pos;
    const uint8_t *newline = memchr(start, '\n', w->text.len - w->pos);
    size_t len = newline == NULL ? w->text.len - w->pos : (size_t)(newline - start);
    w->pos += len + (newline == NULL ? 0 : 1);
    w->line_no++;
    while (len > 0 && is_blank(start[len - 1]))
        len--;
    for (; len > 0 && is_blank(*start); start++)
        len--;
    *line = (struct hf_bytes){start, len};
    return true;
}

static bool line_is(struct hf_bytes line, const char *text)
{
    return hf_bytes_equal(line, hf_bytes_of_text(text));
}

static bool line_contains(struct hf_bytes line, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= line.len; i++) {
        if (memcmp(line.data + i, text, len) == 0)
            return true;
    }
    return false;
}

/* Generous on purpose: a boundary with a damaged byte must not pass as a comment, or its
 * certificate would be missing without a word. What begins with '#' is one, whatever it says. */
static bool looks_like_boundary(struct hf_bytes line)
{
    if (line.len > 0 && line.data[0] == '#')
        return false;
    bool starts_with_dashes = line.len >= 5 && memcmp(line.data, "-----", 5) == 0;
    return starts_with_dashes || line_contains(line, "--BEGIN ") || line_contains(line, "--END ");
}

static enum hf_err refuse_boundary(const struct walker *w, struct hf_bytes line, struct hf_why *why)
{
    int shown = line.len < 80 ? (int)line.len : 80;

    if (line_contains(line, "BEGIN PKCS7") || line_contains(line, "BEGIN PKCS #7"))
        return hf_fail(
            why, HF_E_FORMAT,
            "line %zu: it is PKCS#7 (found \"%.*s\"); convert it: `openssl pkcs7 -in FILE "
            "-print_certs -out FILE.pem`",
            w->line_no, shown, (const char *)line.data);
    if (line_contains(line, "BEGIN TRUSTED CERTIFICATE"))
        return hf_fail(why, HF_E_FORMAT,
                       "line %zu: it is a certificate with OpenSSL's trust settings (found "
                       "\"%.*s\"); convert it: `openssl x509 -in FILE -out FILE.pem`",
                       w->line_no, shown, (const char *)line.data);
    return hf_fail(why, HF_E_FORMAT,
                   "line %zu: expected \"%s\" or a comment, found \"%.*s\"; a bundle holds whole "
                   "CERTIFICATE blocks and nothing else (no private keys)",
                   w->line_no, BEGIN_LINE, shown, (const char *)line.data);
}

/* Read up to the END line; `body` is what stands before it. */
static enum hf_err find_end(struct walker *w, struct hf_bytes *body, struct hf_why *why)
{
    size_t begin_line_no = w->line_no;
    size_t start = w->pos;
    struct hf_bytes line;
    for (;;) {
        size_t line_start = w->pos;
        if (!next_line(w, &line) || looks_like_boundary(line)) {
            *body = (struct hf_bytes){w->text.data + start, line_start - start};
            break;
        }
    }
    if (w->pos - start == body->len || !line_is(line, END_LINE))
        return hf_fail(why, HF_E_FORMAT,
                       "certificate %zu (line %zu) has no end: expected \"%s\", found %s at line "
                       "%zu; the file is cut short or damaged",
                       w->n_blocks, begin_line_no, END_LINE,
                       w->pos - start == body->len ? "the end of the file" : "another boundary",
                       w->line_no);
    return HF_OK;
}

static size_t count_newlines(const uint8_t *from, const uint8_t *to)
{
    size_t n = 0;
    for (; from < to; from++)
        n += *from == '\n';
    return n;
}

/* Strict base64 (RFC 4648 section 4): only blanks and line breaks are skipped, padding and the unused
 * bits of the last character must be right. */
static enum hf_err decode(struct walker *w, struct hf_bytes body, size_t first_line_no,
                          struct hf_why *why)
{
    w->der.len = 0;
    if (hf_buf_reserve(&w->der, body.len + 1) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while decoding certificate %zu",
                       w->n_blocks);
    const char *text = (const char *)body.data;
    const char *stopped = text;
    size_t len = 0;
    int failed = sodium_base642bin(w->der.data, body.len + 1, text, body.len, " \t\v\f\r\n", &len,
                                   &stopped, sodium_base64_VARIANT_ORIGINAL);
    if (failed != 0 || stopped != text + body.len || len == 0)
        return hf_fail(why, HF_E_FORMAT,
                       "certificate %zu is damaged: expected base64, found something else at line "
                       "%zu; take the certificate from its source again",
                       w->n_blocks,
                       first_line_no + count_newlines(body.data, (const uint8_t *)stopped));
    if (len > HF_CERT_DER_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "certificate %zu (line %zu) has %zu bytes, at most %u are accepted",
                       w->n_blocks, first_line_no, len, HF_CERT_DER_MAX);
    w->der.len = len;
    return HF_OK;
}

static enum hf_err walk_block(struct walker *w, hf_pem_block_fn fn, void *ctx, struct hf_why *why)
{
    size_t begin_line_no = w->line_no;
    struct hf_bytes body;
    w->n_blocks++;
    HF_TRY(find_end(w, &body, why));
    HF_TRY(decode(w, body, begin_line_no + 1, why));
    enum hf_err err = fn(ctx, w->n_blocks - 1, hf_buf_bytes(&w->der), why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "certificate %zu (line %zu)", w->n_blocks, begin_line_no);
    return err;
}

static enum hf_err walk(struct walker *w, hf_pem_block_fn fn, void *ctx, struct hf_why *why)
{
    struct hf_bytes line;
    while (next_line(w, &line)) {
        if (line_is(line, BEGIN_LINE))
            HF_TRY(walk_block(w, fn, ctx, why));
        else if (looks_like_boundary(line))
            return refuse_boundary(w, line, why);
    }
    const char *kind = w->n_blocks == 0 ? hf_file_kind(w->text) : NULL;
    if (kind != NULL)
        return hf_fail(why, HF_E_FORMAT, "expected PEM certificates, found %s", kind);
    if (w->n_blocks == 0)
        return hf_fail(why, HF_E_NOT_FOUND, "expected PEM certificates, found no line \"%s\"",
                       BEGIN_LINE);
    return HF_OK;
}

enum hf_err hf_pem_walk(struct hf_bytes text, hf_pem_block_fn fn, void *ctx, struct hf_why *why)
{
    if (text.len > HF_BUNDLE_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%zu bytes of PEM are more than the %u that are accepted",
                       text.len, HF_BUNDLE_BYTES_MAX);
    struct walker w = {.text = text, .pos = hf_plain_mark_len(text)};
    enum hf_err err = walk(&w, fn, ctx, why);
    hf_buf_free(&w.der);
    return err;
}

enum hf_err hf_pem_or_der_walk(struct hf_bytes content, hf_pem_block_fn fn, void *ctx,
                               struct hf_why *why)
{
    return hf_file_is_der(content) ? fn(ctx, 0, content, why) : hf_pem_walk(content, fn, ctx, why);
}

enum hf_err hf_pem_append(struct hf_buf *out, struct hf_bytes der)
{
    size_t n_lines = (der.len + LINE_BYTES - 1) / LINE_BYTES;
    /* All at once, so that running out of memory leaves no half block. */
    HF_TRY(hf_buf_reserve(out, n_lines * (LINE_CHARS + 1) + sizeof BEGIN_LINE + sizeof END_LINE));
    HF_TRY(hf_buf_append_text(out, BEGIN_LINE "\n"));
    for (size_t at = 0; at < der.len; at += LINE_BYTES) {
        size_t len = der.len - at < LINE_BYTES ? der.len - at : LINE_BYTES;
        char line[LINE_CHARS + 1];
        sodium_bin2base64(line, sizeof line, der.data + at, len, sodium_base64_VARIANT_ORIGINAL);
        HF_TRY(hf_buf_append_text(out, line));
        HF_TRY(hf_buf_append(out, "\n", 1));
    }
    return hf_buf_append_text(out, END_LINE "\n");
}
