#include "server/publish/lint/lint_device.h"

#include "common/base/plaintext.h"
#include "common/os/file_util.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_BYTES_MAX (64u * 1024u)
#define RSA_BITS_LIMIT 65536

enum signature { RSA_PKCS1, RSA_PSS, ECDSA };

struct word {
    const char *text;
    unsigned bit;
};

static const struct word digests[] = {{"sha1", 1u << HF_CERT_DIGEST_SHA1},
                                      {"sha256", 1u << HF_CERT_DIGEST_SHA256},
                                      {"sha384", 1u << HF_CERT_DIGEST_SHA384},
                                      {"sha512", 1u << HF_CERT_DIGEST_SHA512},
                                      {NULL, 0}};
static const struct word signatures[] = {{"rsa-pkcs1", 1u << RSA_PKCS1},
                                         {"rsa-pss", 1u << RSA_PSS},
                                         {"ecdsa", 1u << ECDSA},
                                         {NULL, 0}};
static const struct word keys[] = {{"rsa", 1u << HF_CERT_KEY_RSA},
                                   {"p256", 1u << HF_CERT_KEY_P256},
                                   {"p384", 1u << HF_CERT_KEY_P384},
                                   {"p521", 1u << HF_CERT_KEY_P521},
                                   {NULL, 0}};

/* A line is a name and words of its list. */
static const struct {
    const char *name;
    const struct word *words;
    size_t at;
} lists[] = {
    {"digests", digests, offsetof(struct hf_lint_device, digests)},
    {"signatures", signatures, offsetof(struct hf_lint_device, signatures)},
    {"keys", keys, offsetof(struct hf_lint_device, keys)},
};

static enum hf_err take_words(const struct word *list, char *rest, unsigned *bits,
                              struct hf_why *why)
{
    char *word;
    *bits = 0;
    while ((word = strsep(&rest, " \t")) != NULL) {
        const struct word *known = list;
        while (known->text != NULL && strcmp(known->text, word) != 0)
            known++;
        if (word[0] != '\0' && known->text == NULL)
            return hf_fail(why, HF_E_FORMAT, "\"%.40s\" is no algorithm of that list", word);
        *bits |= known->bit;
    }
    return HF_OK;
}

static enum hf_err take_bits(const char *text, unsigned *out, struct hf_why *why)
{
    char *end = NULL;
    errno = 0;
    unsigned long bits = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || bits == 0 ||
        bits > RSA_BITS_LIMIT)
        return hf_fail(why, HF_E_FORMAT, "rsa-bits is a number up to %d, not \"%.40s\"",
                       RSA_BITS_LIMIT, text);
    *out = (unsigned)bits;
    return HF_OK;
}

static enum hf_err take_line(char *line, struct hf_lint_device *device, struct hf_why *why)
{
    line += strspn(line, " \t");
    if (line[0] == '\0' || line[0] == '#')
        return HF_OK;
    char *rest = line + strcspn(line, " \t");
    if (*rest != '\0')
        *rest++ = '\0';
    rest += strspn(rest, " \t");
    if (strcmp(line, "rsa-bits") == 0)
        return take_bits(rest, &device->rsa_bits_max, why);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(line, lists[i].name) == 0)
            return take_words(lists[i].words, rest, (unsigned *)((char *)device + lists[i].at),
                              why);
    }
    return hf_fail(why, HF_E_FORMAT,
                   "a line begins with digests, signatures, keys or rsa-bits, not \"%.40s\"", line);
}

enum hf_err hf_lint_device_load(const char *file, struct hf_lint_device *out, struct hf_why *why)
{
    struct hf_lint_device device = {~0u, ~0u, ~0u, RSA_BITS_LIMIT};
    struct hf_buf text = {0};
    enum hf_err err = HF_OK;
    size_t number = 0;
    char *line;
    HF_TRY(hf_file_read_any(file, DEVICE_BYTES_MAX, &text, why));
    char *rest = text.len == 0 ? NULL : (char *)text.data + hf_plain_mark_len(hf_buf_bytes(&text));
    while (err == HF_OK && (line = strsep(&rest, "\n")) != NULL) {
        number++;
        if (line + strlen(line) < (rest != NULL ? rest - 1 : (char *)text.data + text.len)) {
            err = hf_fail(why, HF_E_FORMAT, "it holds byte 0x00, which is no plain text");
            break;
        }
        line[strcspn(line, "\r")] = '\0';
        err = take_line(line, &device, why);
    }
    hf_buf_free(&text);
    if (err == HF_OK)
        *out = device;
    else
        (void)hf_fail_context(why, "%s, line %zu", file, number);
    return err;
}

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
    enum signature kind = signature == MBEDTLS_PK_RSASSA_PSS ? RSA_PSS
                          : signature == MBEDTLS_PK_RSA      ? RSA_PKCS1
                                                             : ECDSA;
    const char *lacking = lacks(digests, device->digests, 1u << cert->digest);
    return lacking != NULL ? lacking : lacks(signatures, device->signatures, 1u << kind);
}
