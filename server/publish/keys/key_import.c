#include "server/publish/keys/key_import.h"

#include "server/publish/base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096
#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----"
#define PEM_END "-----END PRIVATE KEY-----"

/* RFC 8410, 7: version 0, id-Ed25519 without parameters, the seed as an octet string in an octet
 * string. There is one way to write that, so it is compared and not parsed. */
static const uint8_t pkcs8_head[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                     0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
#define PKCS8_LEN (sizeof pkcs8_head + HF_SEED_LEN)

/* Straight into locked memory: `text` holds FILE_BYTES_MAX bytes. */
static enum hf_err read_all(int fd, const char *path, char *text, size_t *len, struct hf_why *why)
{
    for (*len = 0; *len < FILE_BYTES_MAX;) {
        ssize_t n = read(fd, text + *len, FILE_BYTES_MAX - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_fail(why, HF_E_STORAGE, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return HF_OK;
        *len += (size_t)n;
    }
    return hf_fail(why, HF_E_KEY, "%s is no Ed25519 private key: it has %d bytes or more", path,
                   FILE_BYTES_MAX);
}

static enum hf_err read_file(const char *path, char *text, size_t *len, struct hf_why *why)
{
    HF_TRY(hf_disk_check_private(path, why));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(why, HF_E_KEY, "cannot open %s: %s", path, strerror(errno));
    enum hf_err err = read_all(fd, path, text, len, why);
    close(fd);
    return err;
}

/* The DER between the lines of a PEM file, over the text itself. False for anything else. */
static bool decode_pem(char *text, size_t *len)
{
    const char *end = NULL;
    size_t begin_len = strlen(PEM_BEGIN), n = 0;
    uint8_t *der = (uint8_t *)text;
    if (*len < begin_len || memcmp(text, PEM_BEGIN, begin_len) != 0)
        return false;
    if (sodium_base642bin(der, FILE_BYTES_MAX, text + begin_len, *len - begin_len, " \r\n", &n,
                          &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end == NULL)
        return false;
    size_t left = *len - (size_t)(end - text);
    if (left < strlen(PEM_END) || memcmp(end, PEM_END, strlen(PEM_END)) != 0)
        return false;
    *len = n;
    return true;
}

/* Where the seed lies in it; NULL for another kind of key. */
static const uint8_t *find_seed(char *text, size_t len)
{
    if (len == HF_SEED_LEN)
        return (const uint8_t *)text;
    if (len > 0 && text[0] == '-' && !decode_pem(text, &len))
        return NULL;
    if (len == PKCS8_LEN && memcmp(text, pkcs8_head, sizeof pkcs8_head) == 0)
        return (const uint8_t *)text + sizeof pkcs8_head;
    return NULL;
}

enum hf_err hf_key_import(const char *path, struct hf_signing_key *out, struct hf_why *why)
{
    size_t len = 0;
    char *text = sodium_malloc(FILE_BYTES_MAX);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a private key");
    enum hf_err err = read_file(path, text, &len, why);
    const uint8_t *seed = err == HF_OK ? find_seed(text, len) : NULL;
    if (err == HF_OK && seed == NULL)
        err = hf_fail(why, HF_E_KEY,
                      "%s is no Ed25519 private key: 32 bytes of seed or PKCS#8 without passphrase "
                      "(PEM or DER, RFC 8410) are expected",
                      path);
    if (err == HF_OK)
        err = hf_signing_key_from_seed(seed, out, why);
    sodium_free(text);
    return err;
}
