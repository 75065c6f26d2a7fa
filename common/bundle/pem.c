#include "common/bundle/pem.h"

#include "common/base/base64.h"

#include "common/base/limits.h"
#include "common/base/plaintext.h"
#include "common/bundle/der.h"

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

/* The next line without its end and without blanks around it; false at the end of the text. Files
 * that were joined may have a byte order mark before any line, and the end of a block on one line
 * with the beginning of the next. */
static bool next_line(struct walker *w, struct hf_bytes *line)
{
    static const char joined[] = END_LINE "-----BEGIN ";
    if (w->pos == w->text.len)
        return false;
    const uint8_t *start = w->text.data + w->pos;
    const uint8_t *newline = memchr(start, '\n', w->text.len - w->pos);
    size_t len = newline == NULL ? w->text.len - w->pos : (size_t)(newline - start);
    const bool is_joined = len >= strlen(joined) && memcmp(start, joined, strlen(joined)) == 0;
    if (is_joined)
        len = strlen(END_LINE);
    w->pos += len + (newline == NULL || is_joined ? 0 : 1);
    w->line_no += is_joined ? 0 : 1;
    const size_t mark_len = hf_plain_mark_len((struct hf_bytes){start, len});
    start += mark_len;
    len -= mark_len;
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

/* The first byte that is not ASCII; `line.len`: there is none. */
static size_t find_foreign(struct hf_bytes line)
{
    size_t at = 0;
    while (at < line.len && line.data[at] < 0x80)
        at++;
    return at;
}

/* Generous on purpose: a boundary with a damaged byte must not pass as a comment, or its
 * certificate would be missing without a word. Word processors make its dashes longer. What begins
 * with '#' is a comment, whatever it says. */
static bool looks_like_boundary(struct hf_bytes line)
{
    if (line.len > 0 && line.data[0] == '#')
        return false;
    bool starts_with_dashes = line.len >= 5 && memcmp(line.data, "-----", 5) == 0;
    return starts_with_dashes || line_contains(line, "--BEGIN ") || line_contains(line, "--END ") ||
           (find_foreign(line) < line.len &&
            (line_contains(line, "BEGIN CERTIFICATE") || line_contains(line, "END CERTIFICATE")));
}

static enum hf_err refuse_boundary(const struct walker *w, struct hf_bytes line, struct hf_why *why)
{
    static const char old_label[] = "openssl x509 -in FILE -out FILE.pem";
    static const char pkcs7[] = "openssl pkcs7 -in FILE -print_certs -out FILE.pem";
    static const struct {
        const char *label, *kind, *command;
    } convertible[] = {
        {"BEGIN PKCS7", "PKCS#7", pkcs7},
        {"BEGIN PKCS #7", "PKCS#7", pkcs7},
        {"BEGIN TRUSTED CERTIFICATE", "a certificate with OpenSSL's trust settings", old_label},
        {"BEGIN X509 CERTIFICATE", "a certificate with an old label", old_label},
    };
    int shown = line.len < 80 ? (int)line.len : 80;
    size_t foreign = find_foreign(line);
    uint32_t c = 0;

    for (size_t i = 0; i < sizeof convertible / sizeof convertible[0]; i++)
        if (line_contains(line, convertible[i].label))
            return hf_fail(why, HF_E_FORMAT,
                           "line %zu: it is %s (found \"%.*s\"); convert it: `%s`", w->line_no,
                           convertible[i].kind, shown, (const char *)line.data,
                           convertible[i].command);
    if (foreign < line.len) {
        struct hf_bytes rest = {line.data + foreign, line.len - foreign};
        bool is_utf8 = hf_utf8_char(rest, &c) > 0;
        return hf_fail(why, HF_E_FORMAT,
                       "line %zu: expected \"%s\" in plain ASCII, found the %s %s%02X in \"%.*s\"; "
                       "an editor or a web page put it there: type the line again",
                       w->line_no, BEGIN_LINE, is_utf8 ? "character" : "byte",
                       is_utf8 ? "U+" : "0x", is_utf8 ? c : rest.data[0], shown,
                       (const char *)line.data);
    }
    if (line.len > strlen(BEGIN_LINE) + LINE_CHARS &&
        memcmp(line.data, BEGIN_LINE, strlen(BEGIN_LINE)) == 0)
        return hf_fail(why, HF_E_FORMAT,
                       "line %zu: expected the end of the line behind \"%s\", found more of it; "
                       "the line breaks of the file are lost, take it from its source again",
                       w->line_no, BEGIN_LINE);
    return hf_fail(why, HF_E_FORMAT,
                   "line %zu: expected \"%s\" or a comment, found \"%.*s\"; only whole CERTIFICATE "
                   "blocks belong here (no private keys)",
                   w->line_no, BEGIN_LINE, shown, (const char *)line.data);
}

/* Decode strict base64 (RFC 4648 section 4) into `w->der`: only blanks and line breaks are skipped,
 * padding and the unused bits of the last character must be right. */
static enum hf_err decode(struct walker *w, struct hf_bytes body, size_t line_no,
                          struct hf_why *why)
{
    w->der.len = 0;
    if (hf_buf_reserve(&w->der, body.len + 1) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while decoding certificate %zu",
                       w->n_blocks);
    const char *text = (const char *)body.data;
    const char *stopped = text;
    size_t len = 0, n_newlines = 0;
    bool is_base64 = hf_base64_decode(text, body.len, " \t\v\f\r\n", sodium_base64_VARIANT_ORIGINAL,
                                      w->der.data, body.len + 1, &len, &stopped);
    if (!is_base64 || stopped != text + body.len || len == 0) {
        for (const char *c = text; c < stopped; c++)
            n_newlines += *c == '\n';
        return hf_fail(why, HF_E_FORMAT,
                       "certificate %zu is damaged: expected base64, found something else at line "
                       "%zu; take the certificate from its source again",
                       w->n_blocks, line_no + n_newlines);
    }
    if (len > HF_CERT_DER_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "certificate %zu (line %zu) has %zu bytes, at most %u are accepted",
                       w->n_blocks, line_no, len, HF_CERT_DER_MAX);
    w->der.len = len;
    return HF_OK;
}

/* The line BEGIN was read last. */
static enum hf_err walk_block(struct walker *w, hf_pem_block_fn fn, void *ctx, struct hf_why *why)
{
    size_t begin_line_no = w->line_no, start = w->pos, line_start;
    struct hf_bytes line;
    bool has_line;
    w->n_blocks++;
    do {
        line_start = w->pos;
        has_line = next_line(w, &line);
    } while (has_line && !looks_like_boundary(line));
    if (!has_line || !line_is(line, END_LINE))
        return hf_fail(why, HF_E_FORMAT,
                       "certificate %zu (line %zu) has no end: expected \"%s\", found %s at line "
                       "%zu; the file is cut short or damaged",
                       w->n_blocks, begin_line_no, END_LINE,
                       has_line ? "another boundary" : "the end of the file", w->line_no);
    struct hf_bytes body = {w->text.data + start, line_start - start};
    HF_TRY(decode(w, body, begin_line_no + 1, why));
    enum hf_err err = fn(ctx, w->n_blocks - 1, hf_buf_bytes(&w->der), why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "certificate %zu (line %zu)", w->n_blocks, begin_line_no);
    return err;
}

static bool starts_with(struct hf_bytes content, const char *bytes, size_t len)
{
    return content.len >= len && memcmp(content.data, bytes, len) == 0;
}
#define STARTS_WITH(content, literal) starts_with((content), (literal), sizeof(literal) - 1)

static const char der_kind[] = "DER; convert it: `openssl x509 -inform DER -in FILE -out FILE.pem`";

/* Of what begins with a SEQUENCE. What is not known to be something else may be a certificate. */
static const char *find_der_kind(struct hf_bytes content)
{
    static const char crl[] = "a list of revoked certificates; take the certificate of its CA";
    struct hf_der outer, inner, number, second, value;
    if (!hf_der_take_tag(&content, HF_DER_SEQUENCE, &outer))
        return der_kind;
    struct hf_bytes in = outer.contents;
    if (hf_der_take_tag(&in, HF_DER_INTEGER, &number))
        return "a private key; a bundle holds certificates only, and their keys stay secret";
    if (!hf_der_take_tag(&in, HF_DER_SEQUENCE, &inner))
        return der_kind;
    in = inner.contents;
    if (hf_der_take_tag(&in, HF_DER_OID, &value))
        return "a public key; take the certificate of it";
    if (hf_der_take_tag(&in, HF_DER_SEQUENCE, &value)) /* of version 1, which is left out */
        return crl;
    if (!hf_der_take_tag(&in, HF_DER_INTEGER, &number) ||
        !hf_der_take_tag(&in, HF_DER_SEQUENCE, &second))
        return der_kind;
    /* Behind the version: a name (RFC 2986, 4.1), where a certificate has an algorithm. */
    if (second.contents.len == 0 || second.contents.data[0] == HF_DER_SET)
        return "a certificate request; take the certificate that its CA issued";
    /* Behind the issuer: a moment (RFC 5280, 5.1), where a certificate has two in a SEQUENCE. */
    if (hf_der_take_tag(&in, HF_DER_SEQUENCE, &value) &&
        (hf_der_take_tag(&in, HF_DER_UTC_TIME, &value) ||
         hf_der_take_tag(&in, HF_DER_GENERALIZED_TIME, &value)))
        return crl;
    return der_kind;
}

/* The kind of a file without PEM, and what to do with it. NULL: unknown. */
static const char *find_kind(struct hf_bytes content)
{
    const uint8_t *c = content.data;
    /* An ASCII character and a zero, in either order: UTF-16 without its mark. */
    bool is_utf16 = content.len >= 4 && (c[0] == 0) != (c[1] == 0) && (c[0] == 0) == (c[2] == 0) &&
                    (c[1] == 0) == (c[3] == 0);
    if (STARTS_WITH(content, "\xFF\xFE\0\0") || STARTS_WITH(content, "\0\0\xFE\xFF"))
        return "text in UTF-32; convert it: `iconv -f UTF-32 -t UTF-8 FILE > FILE.pem`";
    if (is_utf16 || STARTS_WITH(content, "\xFF\xFE") || STARTS_WITH(content, "\xFE\xFF"))
        return "text in UTF-16; convert it: `iconv -f UTF-16 -t UTF-8 FILE > FILE.pem`";
    if (STARTS_WITH(content, "\xFE\xED\xFE\xED") || STARTS_WITH(content, "\xCE\xCE\xCE\xCE"))
        return "a Java keystore (JKS); convert it: `keytool -exportcert -rfc -keystore FILE -alias "
               "NAME -file FILE.pem`";
    if (STARTS_WITH(content, "MII")) /* base64 of a SEQUENCE of more than 255 bytes */
        return "base64 without boundaries; convert it: `base64 -di FILE | openssl x509 -inform DER "
               "-out FILE.pem`";
    if (content.len == 0 || c[0] != HF_DER_SEQUENCE)
        return NULL;
    size_t header = content.len < 2 || c[1] < 0x80 ? 2 : 2u + (c[1] & 0x7Fu);
    struct hf_bytes inner = {0};
    if (header <= content.len)
        inner = (struct hf_bytes){c + header, content.len - header};
    /* ContentInfo begins with an OBJECT IDENTIFIER below 1.2.840.113549.1.7 (RFC 2315). */
    if (STARTS_WITH(inner, "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07"))
        return "PKCS#7; convert it: `openssl pkcs7 -inform DER -in FILE -print_certs -out "
               "FILE.pem`";
    /* PFX begins with version 3 (RFC 7292, 4). */
    if (STARTS_WITH(inner, "\x02\x01\x03"))
        return "PKCS#12; convert it: `openssl pkcs12 -in FILE -nokeys -out FILE.pem`";
    return find_der_kind(content);
}

enum hf_err hf_pem_walk(struct hf_bytes text, hf_pem_block_fn fn, void *ctx, struct hf_why *why)
{
    struct walker w = {.text = text};
    struct hf_bytes line;
    enum hf_err err = HF_OK;
    if (text.len > HF_BUNDLE_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%zu bytes of PEM are more than the %u that are accepted",
                       text.len, HF_BUNDLE_BYTES_MAX);
    while (err == HF_OK && next_line(&w, &line)) {
        if (line_is(line, BEGIN_LINE))
            err = walk_block(&w, fn, ctx, why);
        else if (looks_like_boundary(line))
            err = refuse_boundary(&w, line, why);
    }
    hf_buf_free(&w.der);
    if (err != HF_OK || w.n_blocks > 0)
        return err;
    const char *kind = find_kind(text);
    if (kind != NULL)
        return hf_fail(why, HF_E_FORMAT, "expected PEM certificates, found %s", kind);
    return hf_fail(why, HF_E_NOT_FOUND, "expected PEM certificates, found no line \"%s\"",
                   BEGIN_LINE);
}

enum hf_err hf_pem_or_der_walk(struct hf_bytes content, hf_pem_block_fn fn, void *ctx,
                               struct hf_why *why)
{
    /* A PEM file cannot begin like DER: the tag of a SEQUENCE is the digit 0. */
    return find_kind(content) == der_kind ? fn(ctx, 0, content, why)
                                          : hf_pem_walk(content, fn, ctx, why);
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
