#include "common/report/signature.h"

#include "common/base/base64.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LABEL "holdfast="
#define COMPONENTS "(\"@method\" \"@authority\" \"@path\" \"content-type\" \"content-digest\")"
#define DIGEST "sha-256=:"
#define CREATED ";created="
#define KEYID ";keyid=\""
#define AFTER_KEYID "\";alg=\"ed25519\";tag=\"" HF_REPORT_TAG "\""
#define CREATED_MAX INT64_C(999999999999999) /* RFC 8941: an integer has 15 digits at most */

/* Characters of `len` bytes in base64, and a NUL. */
#define BASE64_SIZE(len) sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL)

/* ---- text ------------------------------------------------------------------------------------ */

void hf_report_key_format(const uint8_t key[HF_REPORT_KEY_LEN], char out[HF_REPORT_KEY_TEXT_SIZE])
{
    (void)sodium_bin2base64(out, HF_REPORT_KEY_TEXT_SIZE, key, HF_REPORT_KEY_LEN,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Exactly `text_len` characters for exactly `len` bytes, which have only this one text. */
static bool decode(const char *text, size_t text_len, int variant, uint8_t *out, size_t len)
{
    size_t found = 0;
    const char *end = NULL;

    return hf_base64_decode(text, text_len, NULL, variant, out, len, &found, &end) &&
           found == len && end == text + text_len;
}

enum hf_err hf_report_key_parse(const char *text, uint8_t key[HF_REPORT_KEY_LEN],
                                struct hf_why *why)
{
    if (strlen(text) == HF_REPORT_KEY_TEXT_SIZE - 1 &&
        decode(text, strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING, key,
               HF_REPORT_KEY_LEN))
        return HF_OK;
    return hf_fail(why, HF_E_FORMAT,
                   "a report key has 43 characters of A-Z a-z 0-9 - _; `holdfast report --key` "
                   "prints it on the device");
}

static void format_digest(const uint8_t sha256[HF_SHA256_LEN], char *out, size_t size)
{
    char base64[BASE64_SIZE(HF_SHA256_LEN)];

    (void)sodium_bin2base64(base64, sizeof base64, sha256, HF_SHA256_LEN,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)snprintf(out, size, DIGEST "%s:", base64);
}

/* The value of Signature-Input behind the label, which is also the last line of the signature
 * base. */
static void format_parameters(const struct hf_report_signature *s, char *out, size_t size)
{
    char key[HF_REPORT_KEY_TEXT_SIZE];

    hf_report_key_format(s->public_key, key);
    (void)snprintf(out, size, COMPONENTS CREATED "%" PRId64 KEYID "%s" AFTER_KEYID, s->created_s,
                   key);
}

/* ---- the signature base ---------------------------------------------------------------------- */

/* A control character would begin a line of the sender's choice. */
static bool is_one_line(const char *value)
{
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < ' ' || *value == 0x7f)
            return false;
    }
    return true;
}

/* RFC 9421, 2.2.3: in lower case. */
static enum hf_err append_authority(const char *authority, struct hf_buf *out)
{
    const size_t at = out->len;

    HF_TRY(hf_buf_append_text(out, authority));
    for (size_t i = at; i < out->len; i++) {
        if (out->data[i] >= 'A' && out->data[i] <= 'Z')
            out->data[i] += 'a' - 'A';
    }
    return HF_OK;
}

enum hf_err hf_report_signature_base(const struct hf_report_message *m,
                                     const struct hf_report_signature *s, struct hf_buf *out,
                                     struct hf_why *why)
{
    struct hf_report_headers text;

    if (!is_one_line(m->method) || !is_one_line(m->authority) || !is_one_line(m->path) ||
        !is_one_line(m->content_type))
        return hf_fail(why, HF_E_FORMAT, "a header of the request holds a control character");
    format_digest(s->body_sha256, text.content_digest, sizeof text.content_digest);
    format_parameters(s, text.signature_input, sizeof text.signature_input);
    enum hf_err err = hf_buf_printf(out, "\"@method\": %s\n\"@authority\": ", m->method);
    if (err == HF_OK)
        err = append_authority(m->authority, out);
    if (err == HF_OK)
        err = hf_buf_printf(out,
                            "\n\"@path\": %s\n\"content-type\": %s\n\"content-digest\": %s\n"
                            "\"@signature-params\": %s",
                            m->path, m->content_type, text.content_digest, text.signature_input);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory for a signature");
}

enum hf_err hf_report_sign(const struct hf_report_message *m, int64_t created_s,
                           const uint8_t seed[HF_REPORT_KEY_LEN], struct hf_report_headers *out,
                           struct hf_why *why)
{
    struct hf_report_signature s = {.created_s = created_s};
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    char parameters[sizeof out->signature_input - sizeof LABEL];
    char base64[BASE64_SIZE(HF_REPORT_SIGNATURE_LEN)];
    struct hf_buf base = {0};

    if (created_s < 0 || created_s > CREATED_MAX)
        s.created_s = 0;
    hf_sha256(m->body, s.body_sha256);
    (void)crypto_sign_seed_keypair(s.public_key, secret, seed);
    enum hf_err err = hf_report_signature_base(m, &s, &base, why);
    if (err == HF_OK) {
        (void)crypto_sign_detached(s.signature, NULL, base.data, base.len, secret);
        (void)sodium_bin2base64(base64, sizeof base64, s.signature, sizeof s.signature,
                                sodium_base64_VARIANT_ORIGINAL);
        format_digest(s.body_sha256, out->content_digest, sizeof out->content_digest);
        format_parameters(&s, parameters, sizeof parameters);
        (void)snprintf(out->signature_input, sizeof out->signature_input, LABEL "%s", parameters);
        (void)snprintf(out->signature, sizeof out->signature, LABEL ":%s:", base64);
    }
    sodium_memzero(secret, sizeof secret);
    hf_buf_free(&base);
    return err;
}

/* ---- parse and verify ------------------------------------------------------------------------ */

/* Is `prefix` next? Then it is behind. */
static bool skip(const char **at, const char *prefix)
{
    if (strncmp(*at, prefix, strlen(prefix)) != 0)
        return false;
    *at += strlen(prefix);
    return true;
}

/* PREFIX:BASE64: and nothing else, for exactly `len` bytes. */
static bool parse_bytes(const char *value, const char *prefix, uint8_t *out, size_t len)
{
    const size_t text_len = BASE64_SIZE(len) - 1;

    return skip(&value, prefix) && strlen(value) == text_len + 1 && value[text_len] == ':' &&
           decode(value, text_len, sodium_base64_VARIANT_ORIGINAL, out, len);
}

/* Digits without leading zeros. */
static bool parse_created(const char **at, int64_t *out)
{
    const size_t n = strspn(*at, "0123456789");
    int64_t value = 0;

    if (n == 0 || n > 15 || (n > 1 && **at == '0'))
        return false;
    for (size_t i = 0; i < n; i++)
        value = 10 * value + (*at)[i] - '0';
    *at += n;
    *out = value;
    return true;
}

static bool parse_input(const char *at, struct hf_report_signature *out)
{
    if (!skip(&at, LABEL COMPONENTS CREATED) || !parse_created(&at, &out->created_s) ||
        !skip(&at, KEYID) || strlen(at) < HF_REPORT_KEY_TEXT_SIZE - 1)
        return false;
    return decode(at, HF_REPORT_KEY_TEXT_SIZE - 1, sodium_base64_VARIANT_URLSAFE_NO_PADDING,
                  out->public_key, HF_REPORT_KEY_LEN) &&
           strcmp(at + HF_REPORT_KEY_TEXT_SIZE - 1, AFTER_KEYID) == 0;
}

enum hf_err hf_report_signature_parse(const char *content_digest, const char *signature_input,
                                      const char *signature, struct hf_report_signature *out,
                                      struct hf_why *why)
{
    struct hf_report_signature made = {0};

    if (content_digest == NULL || signature_input == NULL || signature == NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "a signed report has the headers Content-Digest, Signature-Input and "
                       "Signature; %s is missing",
                       content_digest == NULL    ? "Content-Digest"
                       : signature_input == NULL ? "Signature-Input"
                                                 : "Signature");
    if (!parse_bytes(content_digest, DIGEST, made.body_sha256, sizeof made.body_sha256))
        return hf_fail(why, HF_E_FORMAT, "Content-Digest should be " DIGEST "BASE64:, of 32 bytes");
    if (!parse_input(signature_input, &made))
        return hf_fail(why, HF_E_FORMAT,
                       "Signature-Input should be " LABEL COMPONENTS CREATED "SECONDS" KEYID
                       "KEY" AFTER_KEYID);
    if (!parse_bytes(signature, LABEL ":", made.signature, sizeof made.signature))
        return hf_fail(why, HF_E_FORMAT, "Signature should be " LABEL ":BASE64:, of 64 bytes");
    *out = made;
    return HF_OK;
}

enum hf_err hf_report_signature_verify(const struct hf_report_signature *s,
                                       const struct hf_report_message *m, struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_buf base = {0};

    hf_sha256(m->body, sha256);
    if (sodium_memcmp(sha256, s->body_sha256, sizeof sha256) != 0)
        return hf_fail(why, HF_E_HASH,
                       "the body of the request is not the one that Content-Digest "
                       "names; was it changed on the way?");
    HF_TRY(hf_report_signature_base(m, s, &base, why));
    int refused = crypto_sign_verify_detached(s->signature, base.data, base.len, s->public_key);
    hf_buf_free(&base);
    if (refused != 0)
        return hf_fail(
            why, HF_E_SIGNATURE,
            "the signature is not one of the key in `keyid` over this request; is \"%s\" "
            "the server's name and address as the device has it?",
            m->authority);
    return HF_OK;
}
