#include "server/http/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <string.h>
#include <time.h>

static bool make_key(struct hf_ticket_key *key)
{
    return RAND_bytes(key->name, sizeof key->name) == 1 &&
           RAND_priv_bytes(key->aes, sizeof key->aes) == 1 &&
           RAND_priv_bytes(key->hmac, sizeof key->hmac) == 1;
}

enum hf_err hf_tls_tickets_init(struct hf_tls_tickets *t, int64_t now_s, struct hf_why *why)
{
    memset(t, 0, sizeof *t);
    t->since_s = now_s;
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    /* The second key has no predecessor: a random one that never issued anything. */
    if (t->cipher == NULL || !make_key(&t->keys[0]) || !make_key(&t->keys[1]) ||
        uv_mutex_init(&t->mutex) != 0) {
        EVP_CIPHER_free(t->cipher);
        return hf_fail(why, HF_E_MEMORY, "the keys of session tickets cannot be made");
    }
    return HF_OK;
}

void hf_tls_tickets_free(struct hf_tls_tickets *t)
{
    EVP_CIPHER_free(t->cipher);
    uv_mutex_destroy(&t->mutex);
    OPENSSL_cleanse(t->keys, sizeof t->keys);
}

/* With the mutex. After a long silence the predecessor is too old as well. */
static bool change_keys(struct hf_tls_tickets *t, int64_t now_s)
{
    struct hf_ticket_key key, before = t->keys[0];
    bool is_made = make_key(&key);
    if (is_made && now_s - t->since_s >= 2 * HF_TLS_TICKET_PERIOD_S)
        is_made = make_key(&before);
    if (is_made) {
        t->keys[0] = key;
        t->keys[1] = before;
        t->since_s = now_s;
    }
    OPENSSL_cleanse(&key, sizeof key);
    OPENSSL_cleanse(&before, sizeof before);
    return is_made;
}

static bool change_if_due(struct hf_tls_tickets *t, int64_t now_s)
{
    return now_s - t->since_s < HF_TLS_TICKET_PERIOD_S || change_keys(t, now_s);
}

bool hf_tls_tickets_rotate(struct hf_tls_tickets *t, int64_t now_s)
{
    uv_mutex_lock(&t->mutex);
    bool is_made = change_keys(t, now_s);
    uv_mutex_unlock(&t->mutex);
    return is_made;
}

int64_t hf_tls_tickets_now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

bool hf_tls_tickets_newest(struct hf_tls_tickets *t, int64_t now_s, struct hf_ticket_key *out)
{
    uv_mutex_lock(&t->mutex);
    bool is_there = change_if_due(t, now_s);
    if (is_there)
        *out = t->keys[0];
    uv_mutex_unlock(&t->mutex);
    return is_there;
}

bool hf_tls_tickets_find(struct hf_tls_tickets *t, int64_t now_s, const uint8_t name[16],
                         struct hf_ticket_key *out, bool *is_newest)
{
    bool is_found = false;
    uv_mutex_lock(&t->mutex);
    bool is_current = change_if_due(t, now_s);
    for (size_t i = 0; i < 2 && is_current && !is_found; i++) {
        is_found = memcmp(t->keys[i].name, name, sizeof t->keys[i].name) == 0;
        if (is_found) {
            *out = t->keys[i];
            *is_newest = i == 0;
        }
    }
    uv_mutex_unlock(&t->mutex);
    return is_found;
}

static bool set_mac_key(EVP_MAC_CTX *mac, struct hf_ticket_key *key)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int hf_tls_tickets_use(struct hf_tls_tickets *t, bool must_renew, unsigned char name[16],
                       unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
    struct hf_ticket_key key;
    const int64_t now_s = hf_tls_tickets_now_s();
    bool is_newest = true;
    int result =
        -1; /* as the manual has it: error; 0 no such key; 1 take it; 2 and issue another */
    if (is_new && hf_tls_tickets_newest(t, now_s, &key)) {
        memcpy(name, key.name, sizeof key.name);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) == 1 &&
            EVP_EncryptInit_ex2(cipher, t->cipher, key.aes, iv, NULL) == 1 &&
            set_mac_key(mac, &key))
            result = 1;
    } else if (!is_new && !hf_tls_tickets_find(t, now_s, name, &key, &is_newest)) {
        return 0;
    } else if (!is_new && set_mac_key(mac, &key) &&
               EVP_DecryptInit_ex2(cipher, t->cipher, key.aes, iv, NULL) == 1) {
        result = must_renew || !is_newest ? 2 : 1;
    }
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}
