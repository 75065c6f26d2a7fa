#include "server/findings/weak_keys.h"

#include "common/base/digest.h"
#include "common/os/file_util.h"
#include "server/findings/limits.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, HF_WEAK_KEY_LEN);
}

static enum hf_err add(struct hf_weak_keys *list, const uint8_t key[HF_WEAK_KEY_LEN],
                       struct hf_why *why)
{
    if (list->n == HF_WEAK_KEYS_MAX)
        return hf_fail(why, HF_E_LIMIT, "expected at most %u keys, found more", HF_WEAK_KEYS_MAX);
    if (list->n == list->cap) {
        size_t cap = list->cap > 0 ? 2 * list->cap : 4096;
        void *keys = realloc(list->keys, cap * HF_WEAK_KEY_LEN);
        if (keys == NULL)
            return hf_fail(why, HF_E_MEMORY, "no memory for the list of weak keys");
        list->keys = keys;
        list->cap = cap;
    }
    memcpy(list->keys[list->n++], key, HF_WEAK_KEY_LEN);
    return HF_OK;
}

enum hf_err hf_weak_keys_parse(struct hf_weak_keys *list, const char *name, struct hf_bytes text,
                               struct hf_why *why)
{
    size_t number = 1;
    for (size_t at = 0; at < text.len; number++) {
        const char *line = (const char *)text.data + at;
        const char *end = memchr(line, '\n', text.len - at);
        size_t len = end != NULL ? (size_t)(end - line) : text.len - at;
        char digits[2 * HF_WEAK_KEY_LEN + 1] = "";
        uint8_t key[HF_WEAK_KEY_LEN];
        at += len + 1;
        if (len > 0 && line[len - 1] == '\r')
            len--;
        if (len == 0 || line[0] == '#')
            continue;
        if (len == sizeof digits - 1)
            memcpy(digits, line, len);
        if (!hf_hex_decode(digits, key, sizeof key))
            return hf_fail(why, HF_E_FORMAT,
                           "%s, line %zu: expected 20 hexadecimal digits, as in the package "
                           "openssl-blacklist",
                           name, number);
        HF_TRY(add(list, key, why));
    }
    return HF_OK;
}

void hf_weak_keys_sort(struct hf_weak_keys *list)
{
    if (list->n > 0)
        qsort(list->keys, list->n, HF_WEAK_KEY_LEN, compare);
}

enum hf_err hf_weak_keys_read(const char *const *files, size_t n, struct hf_weak_keys *out,
                              struct hf_why *why)
{
    struct hf_weak_keys list = {0};
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        struct hf_buf text = {0};
        err = hf_file_read_any(files[i], HF_WEAK_KEYS_BYTES_MAX, &text, why);
        if (err == HF_OK)
            err = hf_weak_keys_parse(&list, files[i], (struct hf_bytes){text.data, text.len}, why);
        hf_buf_free(&text);
    }
    hf_weak_keys_sort(&list);
    if (err == HF_OK)
        *out = list;
    else
        hf_weak_keys_free(&list);
    return err;
}

bool hf_weak_keys_has(const struct hf_weak_keys *list, const BIGNUM *modulus)
{
    uint8_t sha1[SHA_DIGEST_LENGTH];
    struct hf_buf text = {0};
    char *digits = list->n > 0 ? BN_bn2hex(modulus) : NULL;
    bool is_made = digits != NULL && hf_buf_printf(&text, "Modulus=%s\n", digits) == HF_OK &&
                   SHA1(text.data, text.len, sha1) != NULL;
    OPENSSL_free(digits);
    hf_buf_free(&text);
    return is_made && bsearch(sha1 + sizeof sha1 - HF_WEAK_KEY_LEN, list->keys, list->n,
                              HF_WEAK_KEY_LEN, compare) != NULL;
}

void hf_weak_keys_free(struct hf_weak_keys *list)
{
    free(list->keys);
    *list = (struct hf_weak_keys){0};
}
