/*
 * The keys of session tickets: one issues, and its predecessor still decrypts. They change by time,
 * are shared by all loops, and are never written to disk: a copy of them decrypts recorded TLS 1.2
 * sessions.
 */
#ifndef HF_HTTP_TLS_TICKETS_H
#define HF_HTTP_TLS_TICKETS_H

#include "server/http/limits.h"

#include <holdfast/error.h>

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct hf_ticket_key {
    uint8_t name[16];
    uint8_t aes[32];
    uint8_t hmac[32];
};

struct hf_tls_tickets {
    uv_mutex_t mutex;             /* over what follows */
    struct hf_ticket_key keys[2]; /* the one that issues, and the one before */
    int64_t since_s;              /* when the first began */
    EVP_CIPHER *cipher;
};

/** HF_E_MEMORY when there are no random numbers or no cipher. `now_s` counts from any moment and
 *  never goes back, as in the next. */
HF_MUST_USE enum hf_err hf_tls_tickets_init(struct hf_tls_tickets *t, int64_t now_s,
                                            struct hf_why *why);
/** Wipes the keys. */
void hf_tls_tickets_free(struct hf_tls_tickets *t);

/** The key that issues at `now_s`; false without random numbers, when a new one is due. */
bool hf_tls_tickets_newest(struct hf_tls_tickets *t, int64_t now_s, struct hf_ticket_key *out);
/** The key with that name, if it may still decrypt at `now_s`. */
bool hf_tls_tickets_find(struct hf_tls_tickets *t, int64_t now_s, const uint8_t name[16],
                         struct hf_ticket_key *out, bool *is_newest);

/** Change keys now, as if it were time. False without random numbers. */
bool hf_tls_tickets_rotate(struct hf_tls_tickets *t, int64_t now_s);

/** Seconds that never go back, also while the machine sleeps. */
int64_t hf_tls_tickets_now_s(void);

/** What SSL_CTX_set_tlsext_ticket_key_evp_cb asks for, with the keys of `t`. */
int hf_tls_tickets_use(struct hf_tls_tickets *t, bool must_renew, unsigned char name[16],
                       unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new);

#endif
