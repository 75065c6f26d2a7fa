#include "server/repository/keys/signing_key.h"

#include "common/base/base64.h"
#include "common/os/secret_file.h"

#include <errno.h>
#include <mbedtls/asn1.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096
#define PEM_ANY "-----BEGIN "
#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----"
#define PEM_END "-----END PRIVATE KEY-----"
#define PEM_ENCRYPTED "-----BEGIN ENCRYPTED PRIVATE KEY-----"

_Static_assert(HF_SEED_LEN == crypto_sign_SEEDBYTES, "Ed25519 seed");
_Static_assert(HF_PUBLIC_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
_Static_assert(HF_SECRET_KEY_LEN == crypto_sign_SECRETKEYBYTES, "Ed25519 secret key");

enum hf_err hf_signing_key_make(const uint8_t *seed, struct hf_signing_key *out, struct hf_why *why)
{
    uint8_t public_key[HF_PUBLIC_KEY_LEN];
    struct hf_signing_key key = {.secret_key = sodium_malloc(HF_SECRET_KEY_LEN)};
    if (key.secret_key == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a private key");
    if (seed == NULL)
        crypto_sign_keypair(public_key, key.secret_key);
    else
        crypto_sign_seed_keypair(public_key, key.secret_key, seed);
    enum hf_err err = hf_public_key_to_json(public_key, &key.public_key, why);
    if (err == HF_OK)
        err = hf_public_key_id(key.public_key, key.key_id, why);
    if (err != HF_OK) {
        hf_signing_key_free(&key);
        return err;
    }
    *out = key;
    return HF_OK;
}

enum hf_err hf_signing_key_from_token(struct hf_tokens **tokens, const char *uri,
                                      const json_t *public_key, struct hf_signing_key *out,
                                      struct hf_why *why)
{
    struct hf_signing_key key = {0};
    HF_TRY(hf_public_key_id(public_key, key.key_id, why));
    HF_TRY(hf_token_key_open(tokens, uri, public_key, &key.token, why));
    /* jansson counts references on a value that it leaves alone otherwise. */
    key.public_key = json_incref((json_t *)(uintptr_t)public_key);
    *out = key;
    return HF_OK;
}

const char *hf_signing_key_name(const struct hf_signing_key *key)
{
    return key->known_as != NULL ? key->known_as : key->key_id;
}

void hf_signing_key_free(struct hf_signing_key *key)
{
    sodium_free(key->secret_key);
    hf_token_key_free(key->token);
    json_decref(key->public_key);
    *key = (struct hf_signing_key){0};
}

enum hf_err hf_signing_key_sign(const struct hf_signing_key *key, struct hf_bytes message,
                                struct hf_buf *signature, struct hf_why *why)
{
    uint8_t made[crypto_sign_BYTES];
    if (key->token != NULL)
        return hf_token_key_sign(key->token, message, signature, why);
    crypto_sign_detached(made, NULL, message.data, message.len, key->secret_key);
    if (hf_buf_append(signature, made, sizeof made) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
    return HF_OK;
}

/* Straight into locked memory: `text` holds FILE_BYTES_MAX bytes. */
static enum hf_err read_file(const char *path, char *text, size_t *len, struct hf_why *why)
{
    enum hf_err err = HF_OK;
    ssize_t n = 1;
    int fd = -1;
    HF_TRY(hf_secret_file_open(path, &fd, why));
    for (*len = 0; *len < FILE_BYTES_MAX && n != 0; *len += n > 0 ? (size_t)n : 0) {
        n = read(fd, text + *len, FILE_BYTES_MAX - *len);
        if (n < 0 && errno != EINTR) {
            err = hf_fail(why, HF_E_STORAGE, "cannot read %s: %s", path, strerror(errno));
            break;
        }
    }
    if (*len == FILE_BYTES_MAX)
        err = hf_fail(why, HF_E_KEY, "%s is no Ed25519 private key: it has %d bytes or more", path,
                      FILE_BYTES_MAX);
    close(fd);
    return err;
}

/* The DER between the lines of a PEM file, over the text itself. False for anything else. */
static bool decode_pem(char *text, size_t *len)
{
    const char *end = NULL;
    size_t begin_len = strlen(PEM_BEGIN), n = 0;
    if (*len < begin_len || memcmp(text, PEM_BEGIN, begin_len) != 0)
        return false;
    if (!hf_base64_decode(text + begin_len, *len - begin_len, " \r\n",
                          sodium_base64_VARIANT_ORIGINAL, (uint8_t *)text, FILE_BYTES_MAX, &n,
                          &end))
        return false;
    size_t left = *len - (size_t)(end - text);
    if (left < strlen(PEM_END) || memcmp(end, PEM_END, strlen(PEM_END)) != 0)
        return false;
    *len = n;
    return true;
}

/* What was found; both point into the file's text. */
struct found {
    const uint8_t *seed;       /* NULL: it is another kind of key */
    const uint8_t *public_key; /* NULL: the file does not name it */
};

/* [1] IMPLICIT BIT STRING; some programs tag it explicitly and put a whole BIT STRING inside. */
static bool read_public_key(unsigned char **p, const unsigned char *end, const uint8_t **out)
{
    static const uint8_t bit_string[] = {MBEDTLS_ASN1_BIT_STRING, 1 + HF_PUBLIC_KEY_LEN};
    const int implicit = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 1;
    size_t len = 0;
    bool is_explicit = *p < end && **p == (implicit | MBEDTLS_ASN1_CONSTRUCTED);
    if (mbedtls_asn1_get_tag(p, end, &len,
                             is_explicit ? implicit | MBEDTLS_ASN1_CONSTRUCTED : implicit) != 0)
        return false;
    const uint8_t *bits = *p;
    *p += len;
    if (is_explicit) {
        if (len < sizeof bit_string || memcmp(bits, bit_string, sizeof bit_string) != 0)
            return false;
        bits += sizeof bit_string;
        len -= sizeof bit_string;
    }
    *out = bits + 1;
    return len == 1 + HF_PUBLIC_KEY_LEN && bits[0] == 0; /* no unused bits */
}

/* OneAsymmetricKey (RFC 5958, 2; RFC 8410, 7): the version, id-Ed25519 without parameters, the seed
 * as an octet string in an octet string; then attributes, which are of no use here, and the public
 * key. */
static bool read_pkcs8(unsigned char *p, size_t len, struct found *out)
{
    static const uint8_t head[] = {/* id-Ed25519 */ 0x30,
                                   0x05,
                                   0x06,
                                   0x03,
                                   0x2b,
                                   0x65,
                                   0x70,
                                   /* its seed */ 0x04,
                                   2 + HF_SEED_LEN,
                                   0x04,
                                   HF_SEED_LEN};
    const int attributes = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 0;
    const unsigned char *end = p + len;
    struct found found = {0};
    int version = 0;
    if (mbedtls_asn1_get_tag(&p, end, &len, MBEDTLS_ASN1_SEQUENCE | MBEDTLS_ASN1_CONSTRUCTED) !=
            0 ||
        p + len != end || mbedtls_asn1_get_int(&p, end, &version) != 0 || version < 0 ||
        version > 1)
        return false;
    if ((size_t)(end - p) < sizeof head + HF_SEED_LEN || memcmp(p, head, sizeof head) != 0)
        return false;
    found.seed = p + sizeof head;
    p += sizeof head + HF_SEED_LEN;
    if (p < end && *p == attributes) {
        if (mbedtls_asn1_get_tag(&p, end, &len, attributes) != 0)
            return false;
        p += len;
    }
    if (p < end && !read_public_key(&p, end, &found.public_key))
        return false;
    if (p != end)
        return false;
    *out = found;
    return true;
}

enum hf_err hf_key_import(const char *path, struct hf_signing_key *out, struct hf_why *why)
{
    size_t len = 0;
    struct found found = {0};
    struct hf_signing_key key = {0};
    char *text = sodium_malloc(FILE_BYTES_MAX);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a private key");
    enum hf_err err = read_file(path, text, &len, why);
    if (err != HF_OK)
        goto out;
    /* openssl pkcs12 writes attributes before the key, and some editors a byte order mark. */
    const char *begin = memmem(text, len, PEM_ANY, strlen(PEM_ANY));
    if (begin != NULL) {
        len -= (size_t)(begin - text);
        memmove(text, begin, len);
    }
    bool is_encrypted = len > strlen(PEM_ENCRYPTED) &&
                        memcmp(text, PEM_ENCRYPTED, strlen(PEM_ENCRYPTED)) == 0;
    bool is_pem = len > 0 && text[0] == '-';
    if (len == HF_SEED_LEN)
        found.seed = (const uint8_t *)text;
    else if (!is_pem || decode_pem(text, &len))
        (void)read_pkcs8((unsigned char *)text, len, &found);
    if (found.seed == NULL && is_encrypted)
        err = hf_fail(why, HF_E_KEY,
                      "%s is no Ed25519 private key that can be read here: it is encrypted. "
                      "Decrypt it first, with `openssl pkey -in %s -out FILE`",
                      path, path);
    else if (found.seed == NULL)
        err = hf_fail(why, HF_E_KEY,
                      "%s is no Ed25519 private key: 32 bytes of seed or PKCS#8 without passphrase "
                      "(PEM or DER, RFC 8410) are expected",
                      path);
    else
        err = hf_signing_key_make(found.seed, &key, why);
    if (err == HF_OK && found.public_key != NULL &&
        memcmp(key.secret_key + HF_SEED_LEN, found.public_key, HF_PUBLIC_KEY_LEN) != 0)
        err = hf_fail(
            why, HF_E_KEY,
            "%s: the public key in it is not that of its private key. The file is damaged", path);
out:
    sodium_free(text);
    if (err != HF_OK) {
        hf_signing_key_free(&key);
        return err;
    }
    *out = key;
    return HF_OK;
}
