#include "client/port/mbedtls/sessions.h"

#include "common/chain/clock.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_sessions_init(struct hf_sessions *s, struct hf_why *why)
{
    *s = (struct hf_sessions){0};
    if (pthread_mutex_init(&s->mutex, NULL) != 0)
        return hf_fail(why, HF_E_MEMORY, "the system gave no mutex for the saved TLS sessions");
    return HF_OK;
}

/* They hold the keys of connections. */
static void forget(struct hf_session *session)
{
    if (session->bytes != NULL)
        sodium_memzero(session->bytes, session->len);
    free(session->bytes);
    free(session->peer);
    *session = (struct hf_session){0};
}

void hf_sessions_free(struct hf_sessions *s)
{
    for (size_t i = 0; i < HF_SESSIONS_MAX; i++)
        forget(&s->at[i]);
    (void)pthread_mutex_destroy(&s->mutex);
}

void hf_sessions_begin(struct hf_sessions *s, uint64_t generation)
{
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; s->generation != generation && i < HF_SESSIONS_MAX; i++)
        forget(&s->at[i]);
    s->generation = generation;
    (void)pthread_mutex_unlock(&s->mutex);
}

static struct hf_session *find(struct hf_sessions *s, const char *peer)
{
    for (size_t i = 0; i < HF_SESSIONS_MAX; i++) {
        if (s->at[i].peer != NULL && strcmp(s->at[i].peer, peer) == 0)
            return &s->at[i];
    }
    return NULL;
}

struct hf_trust_resumption hf_sessions_offer(struct hf_sessions *s, const char *peer,
                                             int64_t last_end_s, mbedtls_ssl_context *ssl)
{
    const int64_t now_s = hf_chain_clock_now_s();
    struct hf_trust_resumption resumption = {.verified_s = now_s};
    mbedtls_ssl_session session;
    bool is_found = false;

    mbedtls_ssl_session_init(&session);
    (void)pthread_mutex_lock(&s->mutex);
    resumption.generation = s->generation;
    struct hf_session *kept = find(s, peer);
    /* A clock that was turned back says nothing about a session's age. */
    bool is_fresh = kept != NULL && kept->verified_s > last_end_s && kept->verified_s <= now_s &&
                    now_s - kept->verified_s < HF_SESSION_LIFE_S;
    if (kept != NULL && !is_fresh) {
        forget(kept);
    } else if (kept != NULL) {
        kept->last_used = ++s->uses;
        is_found = mbedtls_ssl_session_load(&session, kept->bytes, kept->len) == 0;
        if (is_found)
            resumption.verified_s = kept->verified_s;
    }
    (void)pthread_mutex_unlock(&s->mutex);

    /* If it is not taken, the handshake is a full one. */
    if (is_found)
        (void)mbedtls_ssl_set_session(ssl, &session);
    mbedtls_ssl_session_free(&session);
    return resumption;
}

/* With MBEDTLS_SSL_VERIFY_NONE Mbed TLS says of a chain that it has not looked at what it says of a
 * valid one. */
static bool is_verified(const mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_get_verify_result(ssl) == 0 &&
           ssl->MBEDTLS_PRIVATE(conf)->MBEDTLS_PRIVATE(authmode) != MBEDTLS_SSL_VERIFY_NONE;
}

/* Each session can be taken out of a connection once, and only out of a verified one. */
static bool take_out(mbedtls_ssl_context *ssl, const char *peer, struct hf_session *out)
{
    mbedtls_ssl_session session;
    size_t len = 0;

    if (!mbedtls_ssl_is_handshake_over(ssl) || !is_verified(ssl) ||
        strlen(peer) > HF_SESSION_PEER_MAX)
        return false;
    mbedtls_ssl_session_init(&session);
    if (mbedtls_ssl_get_session(ssl, &session) == 0)
        (void)mbedtls_ssl_session_save(&session, NULL, 0, &len); /* tells the length */
    if (len > 0 && len <= HF_SESSION_BYTES_MAX) {
        out->bytes = calloc(1, len);
        out->len = len;
        out->peer = strdup(peer);
    }
    bool is_taken = out->bytes != NULL && out->peer != NULL &&
                    mbedtls_ssl_session_save(&session, out->bytes, len, &len) == 0;
    mbedtls_ssl_session_free(&session);
    return is_taken;
}

/* The slot of an older session of that peer, else a free one, else the least recently used. */
static struct hf_session *slot_for(struct hf_sessions *s, const char *peer)
{
    struct hf_session *slot = find(s, peer);
    for (size_t i = 0; slot == NULL && i < HF_SESSIONS_MAX; i++) {
        if (s->at[i].peer == NULL)
            slot = &s->at[i];
    }
    if (slot != NULL)
        return slot;
    slot = &s->at[0];
    for (size_t i = 1; i < HF_SESSIONS_MAX; i++) {
        if (s->at[i].last_used < slot->last_used)
            slot = &s->at[i];
    }
    return slot;
}

void hf_sessions_keep(struct hf_sessions *s, const char *peer,
                      struct hf_trust_resumption resumption, mbedtls_ssl_context *ssl)
{
    struct hf_session fresh = {0};
    if (!take_out(ssl, peer, &fresh)) {
        forget(&fresh);
        return;
    }
    (void)pthread_mutex_lock(&s->mutex);
    /* Asked under the lock: a swap drops sessions under it, so none slips in behind. */
    if (resumption.generation == s->generation) {
        struct hf_session *slot = slot_for(s, peer);
        forget(slot);
        *slot = fresh;
        slot->verified_s = resumption.verified_s;
        slot->last_used = ++s->uses;
        fresh = (struct hf_session){0};
    }
    (void)pthread_mutex_unlock(&s->mutex);
    forget(&fresh);
}
