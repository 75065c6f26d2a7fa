#include "client/port/identity/token_uri.h"

#include "common/base/percent.h"

#include <stddef.h>
#include <string.h>

#define SCHEME "pkcs11:"

bool hf_pkcs11_uri_is(const char *text)
{
    return text != NULL && strncmp(text, SCHEME, strlen(SCHEME)) == 0;
}

/* Decode `value` into at most `cap` bytes. False for a bad escape, a NUL in a text, and what is too
 * long. */
static bool decode(struct hf_bytes value, bool is_text, uint8_t *out, size_t cap, size_t *out_len)
{
    const char *at = (const char *)value.data;
    size_t n = 0;

    for (size_t left = value.len; left > 0;) {
        int byte = *at == '%' ? hf_percent_byte(at, left) : (unsigned char)*at;
        size_t used = *at == '%' ? 3 : 1;
        if (byte < 0 || (is_text && byte == 0) || n == cap)
            return false;
        out[n++] = (uint8_t)byte;
        at += used;
        left -= used;
    }
    *out_len = n;
    return true;
}

#define AT(member) offsetof(struct hf_pkcs11_uri, member), sizeof((struct hf_pkcs11_uri *)0)->member

static const struct {
    const char *name;
    size_t at, size;
    bool is_query;
} texts[] = {
    {"token", AT(token), false},
    {"serial", AT(serial), false},
    {"manufacturer", AT(manufacturer), false},
    {"model", AT(model), false},
    {"object", AT(object), false},
    {"pin-source", AT(pin_file), true},
    {"module-path", AT(module), true},
};

static bool is_named(struct hf_bytes name, const char *wanted)
{
    return hf_bytes_equal(name, hf_bytes_of_text(wanted));
}

static enum hf_err take(struct hf_pkcs11_uri *uri, bool is_query, struct hf_bytes name,
                        struct hf_bytes value, struct hf_why *why)
{
    size_t len = 0;

    if (is_query && is_named(name, "pin-value"))
        return hf_fail(why, HF_E_ARGUMENT,
                       "the PKCS#11 URI holds a PIN, which others could read; store it in a file "
                       "and name that by pin-source");
    if (!is_query && is_named(name, "type"))
        return HF_OK;
    if (!is_query && is_named(name, "id")) {
        if (uri->id_len == 0 && decode(value, false, uri->id, sizeof uri->id, &uri->id_len))
            return HF_OK;
        return hf_fail(why, HF_E_ARGUMENT, "the id in the PKCS#11 URI is not usable");
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *to = (char *)uri + texts[i].at;
        if (texts[i].is_query != is_query || !is_named(name, texts[i].name))
            continue;
        if (to[0] != '\0' || !decode(value, true, (uint8_t *)to, texts[i].size - 1, &len) ||
            len == 0)
            return hf_fail(why, HF_E_ARGUMENT,
                           "%s in the PKCS#11 URI is empty, too long, given twice, or not encoded "
                           "as RFC 7512 has it",
                           texts[i].name);
        return HF_OK;
    }
    return hf_fail(
        why, HF_E_ARGUMENT,
        "the PKCS#11 URI has an attribute that is not known here; expected token, serial, "
        "manufacturer, model, object, id, and ?pin-source, module-path");
}

/* NAME=VALUE, joined by `separator`. */
static enum hf_err take_all(struct hf_pkcs11_uri *uri, bool is_query, char separator,
                            const char *begin, const char *end, struct hf_why *why)
{
    while (begin < end) {
        const char *next = memchr(begin, separator, (size_t)(end - begin));
        const char *stop = next != NULL ? next : end;
        const char *equals = memchr(begin, '=', (size_t)(stop - begin));
        if (equals == NULL)
            return hf_fail(why, HF_E_ARGUMENT,
                           "the PKCS#11 URI has an attribute without \"=\": expected "
                           "pkcs11:token=NAME;object=NAME");
        const struct hf_bytes name = {(const uint8_t *)begin, (size_t)(equals - begin)};
        const struct hf_bytes value = {(const uint8_t *)equals + 1, (size_t)(stop - equals - 1)};
        HF_TRY(take(uri, is_query, name, value, why));
        begin = next != NULL ? next + 1 : end;
    }
    return HF_OK;
}

enum hf_err hf_pkcs11_uri_parse(const char *text, struct hf_pkcs11_uri *out, struct hf_why *why)
{
    struct hf_pkcs11_uri uri = {0};

    if (!hf_pkcs11_uri_is(text) || strlen(text) > HF_PKCS11_URI_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected a PKCS#11 URI of at most %d bytes: pkcs11:token=NAME;object=NAME",
                       HF_PKCS11_URI_MAX);
    const char *path = text + strlen(SCHEME);
    const char *query = strchr(path, '?');
    const char *end = text + strlen(text);
    HF_TRY(take_all(&uri, false, ';', path, query != NULL ? query : end, why));
    if (query != NULL)
        HF_TRY(take_all(&uri, true, '&', query + 1, end, why));
    /* "file:/PATH" is the other spelling of a file's name. */
    if (strncmp(uri.pin_file, "file:", 5) == 0)
        memmove(uri.pin_file, uri.pin_file + 5, strlen(uri.pin_file + 5) + 1);
    if (uri.object[0] == '\0' && uri.id_len == 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "the PKCS#11 URI does not say which key: expected object=NAME or id=%%XX");
    if ((uri.pin_file[0] != '\0' && uri.pin_file[0] != '/') ||
        (uri.module[0] != '\0' && uri.module[0] != '/'))
        return hf_fail(
            why, HF_E_ARGUMENT,
            "pin-source and module-path in the PKCS#11 URI must begin with \"/\", so that "
            "they mean the same in every folder");
    *out = uri;
    return HF_OK;
}
