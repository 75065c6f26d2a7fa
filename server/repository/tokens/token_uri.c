#include "server/repository/tokens/token_uri.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEME "pkcs11:"

/* The attributes of RFC 7512 that p11-kit compares with a token or a key, and those of the
 * query. */
static const struct {
    const char *name;
    bool is_query;
} attributes[] = {
    {"token", false},
    {"manufacturer", false},
    {"serial", false},
    {"model", false},
    {"library-manufacturer", false},
    {"library-description", false},
    {"library-version", false},
    {"slot-id", false},
    {"slot-manufacturer", false},
    {"slot-description", false},
    {"object", false},
    {"id", false},
    {"type", false},
    {"pin-source", true},
    {"module-name", true},
    {"module-path", true},
};
#define N_ATTRIBUTES (sizeof attributes / sizeof attributes[0])

static bool is_name(const char *text, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(text, name, len) == 0;
}

/* Of two p11-kit takes the last, and what it does not know in a query it keeps and ignores: a typo
 * would then name another key. */
static enum hf_err check_attribute(const char *text, size_t len, bool is_query, unsigned *seen,
                                   struct hf_why *why)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals == NULL ? len : (size_t)(equals - text);
    if (is_name(text, name_len, "pin-value"))
        return hf_fail(why, HF_E_ARGUMENT,
                       "a PKCS#11 URI with a PIN in it (pin-value) is not taken: it would be seen "
                       "in process lists and files; name a file by pin-source, or let it be asked");
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        if (attributes[i].is_query != is_query || !is_name(text, name_len, attributes[i].name))
            continue;
        if ((*seen & (1u << i)) != 0)
            return hf_fail(why, HF_E_ARGUMENT, "the PKCS#11 URI says \"%s\" twice",
                           attributes[i].name);
        *seen |= 1u << i;
        /* texts end there for p11-kit; only an id may hold any byte */
        if (strcmp(attributes[i].name, "id") != 0 && memmem(text, len, "%00", 3) != NULL)
            return hf_fail(why, HF_E_ARGUMENT, "%%00 cannot stand in \"%s\" of a PKCS#11 URI",
                           attributes[i].name);
        return HF_OK;
    }
    return hf_fail(
        why, HF_E_ARGUMENT,
        "\"%.*s\" is nothing that can stand %s the \"?\" of a PKCS#11 URI (RFC 7512), as "
        "pkcs11:token=alice;object=root-1",
        name_len < 40 ? (int)name_len : 40, text, is_query ? "after" : "before");
}

static enum hf_err check_attributes(const char *text, struct hf_why *why)
{
    unsigned seen = 0;
    bool is_query = false;
    for (const char *p = text + strlen(SCHEME); *p != '\0';) {
        size_t len = strcspn(p, is_query ? "&" : ";?");
        bool is_end_of_path = !is_query && p[len] == '?';
        if (len > 0 || !is_end_of_path)
            HF_TRY(check_attribute(p, len, is_query, &seen, why));
        is_query = is_query || is_end_of_path;
        p += len;
        p += *p != '\0';
    }
    return HF_OK;
}

/* A path that leads to one file wherever the program is started, and fits on one line of a
 * sentence. */
static bool is_whole_path(const char *path)
{
    for (const char *c = path; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    }
    return path[0] == '/';
}

/* RFC 7512 2.4: a file as a URI or as a path; a command (|…) and other schemes are not for us. */
static enum hf_err read_pin_source(const char *source, char **out, struct hf_why *why)
{
    const char *path = source;
    if (strncmp(path, "file:", 5) == 0)
        path += strncmp(path, "file:///", 8) == 0 ? 7 : 5;
    if (!is_whole_path(path) || path[1] == '/') /* file://host/… is elsewhere */
        return hf_fail(why, HF_E_ARGUMENT,
                       "pin-source names a file by its whole path, as "
                       "pin-source=file:/etc/holdfast/pin; other sources are not read");
    *out = strdup(path);
    return *out == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory for a URI") : HF_OK;
}

/* What p11-kit makes of it, and what it means here. */
static enum hf_err parse(const char *text, struct hf_token_uri *uri, struct hf_why *why)
{
    uri->p11 = p11_kit_uri_new();
    int rc = uri->p11 == NULL ? P11_KIT_URI_UNEXPECTED
                              : p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri->p11);
    if (rc == P11_KIT_URI_UNEXPECTED)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a URI");
    if (rc != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(uri->p11))
        return hf_fail(why, HF_E_ARGUMENT,
                       "not a PKCS#11 URI (RFC 7512), as pkcs11:token=alice;object=root-1: %s",
                       rc != P11_KIT_URI_OK ? p11_kit_uri_message(rc)
                                            : "a value is longer than tokens have it, or unknown");

    /* A key is found by what names both of its objects; certificates and data are no keys. */
    const CK_ATTRIBUTE *class = p11_kit_uri_get_attribute(uri->p11, CKA_CLASS);
    CK_OBJECT_CLASS value = CKO_PRIVATE_KEY;
    if (class != NULL && class->ulValueLen == sizeof value)
        memcpy(&value, class->pValue, sizeof value);
    if (value != CKO_PRIVATE_KEY && value != CKO_PUBLIC_KEY)
        return hf_fail(why, HF_E_ARGUMENT,
                       "the PKCS#11 URI names something else than a key: type=private is expected, "
                       "or no type at all");
    (void)p11_kit_uri_clear_attribute(uri->p11, CKA_CLASS);

    const char *module = p11_kit_uri_get_module_path(uri->p11);
    if (module != NULL && !is_whole_path(module))
        return hf_fail(why, HF_E_ARGUMENT,
                       "module-path names a PKCS#11 module by its whole path, as "
                       "module-path=/usr/lib/softhsm/libsofthsm2.so");
    const char *source = p11_kit_uri_get_pin_source(uri->p11);
    if (source != NULL)
        HF_TRY(read_pin_source(source, &uri->pin_file, why));
    p11_kit_uri_set_pin_source(uri->p11, NULL);
    if (p11_kit_uri_format(uri->p11, P11_KIT_URI_FOR_ANY, &uri->text) != P11_KIT_URI_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a URI");
    return HF_OK;
}

enum hf_err hf_token_uri_parse(const char *text, struct hf_token_uri *out, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    if (!hf_token_is_uri(text))
        return hf_fail(why, HF_E_ARGUMENT,
                       "a PKCS#11 URI is expected, as pkcs11:token=alice;object=root-1");
    if (strlen(text) > HF_TOKEN_URI_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "a PKCS#11 URI has at most %d characters",
                       HF_TOKEN_URI_MAX);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') /* p11-kit drops blanks, where they are meant as %20 */
            return hf_fail(
                why, HF_E_ARGUMENT,
                "a PKCS#11 URI holds plain characters only; write a blank as %%20, other "
                "bytes in the same way (RFC 7512)");
    }
    HF_TRY(check_attributes(text, why));
    enum hf_err err = parse(text, &uri, why);
    if (err != HF_OK) {
        hf_token_uri_free(&uri);
        return err;
    }
    *out = uri;
    return HF_OK;
}

void hf_token_uri_free(struct hf_token_uri *uri)
{
    p11_kit_uri_free(uri->p11);
    free(uri->text);
    free(uri->pin_file);
    *uri = (struct hf_token_uri){0};
}

bool hf_token_is_uri(const char *text)
{
    return strncasecmp(text, SCHEME, strlen(SCHEME)) == 0;
}

/* Names stand in a URI as they are; one that holds these words elsewhere is taken for such, too. */
bool hf_token_names_module(const char *uri)
{
    return strstr(uri, "module-path") != NULL;
}

struct hf_bytes hf_token_uri_attribute(const struct hf_token_uri *uri, CK_ATTRIBUTE_TYPE type)
{
    const CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(uri->p11, type);
    if (attribute == NULL || attribute->ulValueLen == 0)
        return (struct hf_bytes){0};
    return (struct hf_bytes){attribute->pValue, attribute->ulValueLen};
}

/* p11-kit leaves zeroes where the URI says nothing, and pads with blanks what it says. */
static bool is_said(const unsigned char *field, size_t size)
{
    return field[0] != '\0' && p11_kit_space_strlen(field, size) > 0;
}

bool hf_token_uri_names_token(const struct hf_token_uri *uri)
{
    const CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(uri->p11);
    return is_said(token->label, sizeof token->label) ||
           is_said(token->serialNumber, sizeof token->serialNumber) ||
           p11_kit_uri_get_slot_id(uri->p11) != (CK_SLOT_ID)-1;
}

enum hf_err hf_token_uri_parse_key(const char *text, struct hf_token_uri *out, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    HF_TRY(hf_token_uri_parse(text, &uri, why));
    enum hf_err err = HF_OK;
    if (!hf_token_uri_names_token(&uri))
        err = hf_fail(why, HF_E_ARGUMENT,
                      "%.300s does not say which token: token=LABEL (or serial=) is expected, as "
                      "in pkcs11:token=alice;object=root-1",
                      uri.text);
    else if (hf_token_uri_attribute(&uri, CKA_LABEL).data == NULL &&
             hf_token_uri_attribute(&uri, CKA_ID).data == NULL)
        err = hf_fail(why, HF_E_ARGUMENT,
                      "%.300s does not say which key: object=LABEL (or id=) is expected, as in "
                      "pkcs11:token=alice;object=root-1",
                      uri.text);
    if (err != HF_OK) {
        hf_token_uri_free(&uri);
        return err;
    }
    *out = uri;
    return HF_OK;
}

enum hf_err hf_token_check_uri(const char *text, struct hf_why *why)
{
    struct hf_token_uri uri = {0};
    HF_TRY(hf_token_uri_parse_key(text, &uri, why));
    hf_token_uri_free(&uri);
    return HF_OK;
}

static bool set_attribute(P11KitUri *uri, CK_ATTRIBUTE_TYPE type, struct hf_bytes value)
{
    CK_ATTRIBUTE attribute = {type, (void *)(uintptr_t)value.data, value.len};
    return value.len == 0 || p11_kit_uri_set_attribute(uri, &attribute) == P11_KIT_URI_OK;
}

enum hf_err hf_token_uri_write(const struct hf_token_uri *like, const CK_TOKEN_INFO *token,
                               struct hf_bytes label, struct hf_bytes id, char **out,
                               struct hf_why *why)
{
    P11KitUri *uri = p11_kit_uri_new();
    if (uri == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a URI");
    CK_TOKEN_INFO *named = p11_kit_uri_get_token_info(uri);
    memcpy(named->label, token->label, sizeof named->label);
    memcpy(named->serialNumber, token->serialNumber, sizeof named->serialNumber);
    p11_kit_uri_set_module_path(uri, p11_kit_uri_get_module_path(like->p11));
    p11_kit_uri_set_module_name(uri, p11_kit_uri_get_module_name(like->p11));
    char *text = NULL;
    bool is_written = set_attribute(uri, CKA_LABEL, label) && set_attribute(uri, CKA_ID, id) &&
                      p11_kit_uri_format(uri, P11_KIT_URI_FOR_ANY, &text) == P11_KIT_URI_OK;
    p11_kit_uri_free(uri);
    if (!is_written)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a URI");
    *out = text;
    return HF_OK;
}
