#include "server/publish/lint/lint_device.h"

#include "common/base/plaintext.h"

#include "common/os/file_util.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_BYTES_MAX (64u * 1024u)
#define RSA_BITS_LIMIT 65536

struct word {
    const char *text;
    unsigned bit;
};

static const struct word digests[] = {{"sha1", 1u << HF_CERT_DIGEST_SHA1},
                                      {"sha256", 1u << HF_CERT_DIGEST_SHA256},
                                      {"sha384", 1u << HF_CERT_DIGEST_SHA384},
                                      {"sha512", 1u << HF_CERT_DIGEST_SHA512},
                                      {NULL, 0}};
static const struct word signatures[] = {{"rsa-pkcs1", 1u << HF_LINT_RSA_PKCS1},
                                         {"rsa-pss", 1u << HF_LINT_RSA_PSS},
                                         {"ecdsa", 1u << HF_LINT_ECDSA},
                                         {NULL, 0}};
static const struct word keys[] = {{"rsa", 1u << HF_CERT_KEY_RSA},
                                   {"p256", 1u << HF_CERT_KEY_P256},
                                   {"p384", 1u << HF_CERT_KEY_P384},
                                   {"p521", 1u << HF_CERT_KEY_P521},
                                   {NULL, 0}};

/* ---- the description -------------------------------------------------------------------------- */

struct reading {
    const char *file;
    size_t line;
};

static enum hf_err add_word(const struct reading *r, const struct word *list, const char *text,
                            unsigned *bits, struct hf_why *why)
{
    for (; list->text != NULL; list++) {
        if (strcmp(list->text, text) == 0) {
            *bits |= list->bit;
            return HF_OK;
        }
    }
    return hf_fail(why, HF_E_FORMAT, "%s, line %zu: \"%.40s\" is no algorithm of that list",
                   r->file, r->line, text);
}

static enum hf_err parse_bits(const struct reading *r, const char *text, unsigned *out,
                              struct hf_why *why)
{
    char *end = NULL;
    errno = 0;
    unsigned long bits = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || bits == 0 ||
        bits > RSA_BITS_LIMIT)
        return hf_fail(why, HF_E_FORMAT,
                       "%s, line %zu: rsa-bits is a number up to %d, not \"%.40s\"", r->file,
                       r->line, RSA_BITS_LIMIT, text);
    *out = (unsigned)bits;
    return HF_OK;
}

static enum hf_err take_words(const struct reading *r, const struct word *list, char *rest,
                              unsigned *bits, struct hf_why *why)
{
    char *word;
    *bits = 0;
    while ((word = strsep(&rest, " \t")) != NULL) {
        if (word[0] != '\0')
            HF_TRY(add_word(r, list, word, bits, why));
    }
    return HF_OK;
}

static enum hf_err take_line(const struct reading *r, char *line, struct hf_lint_device *d,
                             struct hf_why *why)
{
    line += strspn(line, " \t");
    if (line[0] == '\0' || line[0] == '#')
        return HF_OK;
    char *rest = line + strcspn(line, " \t");
    if (*rest != '\0')
        *rest++ = '\0';
    rest += strspn(rest, " \t");
    if (strcmp(line, "digests") == 0)
        return take_words(r, digests, rest, &d->digests, why);
    if (strcmp(line, "signatures") == 0)
        return take_words(r, signatures, rest, &d->signatures, why);
    if (strcmp(line, "keys") == 0)
        return take_words(r, keys, rest, &d->keys, why);
    if (strcmp(line, "rsa-bits") == 0)
        return parse_bits(r, rest, &d->rsa_bits_max, why);
    return hf_fail(why, HF_E_FORMAT,
                   "%s, line %zu: a line begins with digests, signatures, keys or rsa-bits, not "
                   "\"%.40s\"",
                   r->file, r->line, line);
}

static enum hf_err take_text(const char *file, char *text, struct hf_lint_device *d,
                             struct hf_why *why)
{
    struct reading r = {.file = file};
    char *line;
    while ((line = strsep(&text, "\n")) != NULL) {
        r.line++;
        line[strcspn(line, "\r")] = '\0';
        HF_TRY(take_line(&r, line, d, why));
    }
    return HF_OK;
}

enum hf_err hf_lint_device_load(const char *file, struct hf_lint_device *out, struct hf_why *why)
{
    struct hf_lint_device d = {~0u, ~0u, ~0u, RSA_BITS_LIMIT};
    struct hf_buf text = {0};
    HF_TRY(hf_file_read_any(file, DEVICE_BYTES_MAX, &text, why));
    size_t mark = hf_plain_mark_len(hf_buf_bytes(&text));
    enum hf_err err = text.len == 0 ? HF_OK : take_text(file, (char *)text.data + mark, &d, why);
    hf_buf_free(&text);
    if (err == HF_OK)
        *out = d;
    return err;
}

/* ---- what is lacking -------------------------------------------------------------------------- */

static const char *lacks(const struct word *list, unsigned bits, unsigned bit)
{
    for (; list->text != NULL; list++) {
        if (list->bit == bit)
            return (bits & bit) != 0 ? NULL : list->text;
    }
    return "an algorithm that no device is known to have";
}

const char *hf_lint_device_lacks_key(const struct hf_lint_device *device,
                                     const struct hf_cert *cert)
{
    const char *lacking = lacks(keys, device->keys, 1u << cert->key);
    if (lacking == NULL && cert->key == HF_CERT_KEY_RSA && cert->key_bits > device->rsa_bits_max)
        return "RSA keys of that size";
    return lacking;
}

const char *hf_lint_device_lacks_signature(const struct hf_lint_device *device,
                                           const struct hf_cert *cert, mbedtls_pk_type_t signature)
{
    enum hf_lint_signature kind = signature == MBEDTLS_PK_RSASSA_PSS ? HF_LINT_RSA_PSS
                                  : signature == MBEDTLS_PK_RSA      ? HF_LINT_RSA_PKCS1
                                                                     : HF_LINT_ECDSA;
    const char *lacking = lacks(digests, device->digests, 1u << cert->digest);
    if (lacking != NULL)
        return lacking;
    return lacks(signatures, device->signatures, 1u << kind);
}
