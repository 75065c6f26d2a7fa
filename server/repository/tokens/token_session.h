/*
 * The inside of `struct hf_tokens`: modules, the tokens in their slots, one session with each, the
 * PIN that opened it. What a module answers is checked like any input: it may be an attacker's code
 * in front of an attacker's card.
 */
#ifndef HF_REPOSITORY_TOKEN_SESSION_H
#define HF_REPOSITORY_TOKEN_SESSION_H

#include "server/repository/base/terminal.h"
#include "server/repository/tokens/token_uri.h"

#define HF_TOKEN_SLOTS_MAX 64 /* of one module, with a token in them */
#define HF_TOKEN_NAME_MAX 33  /* bytes; a label for people, with its NUL */

/* PKCS#11 v3.0 names that the pkcs11.h of older p11-kits lacks. */
#ifndef CKK_EC_EDWARDS
#define CKK_EC_EDWARDS 0x40UL
#endif
#ifndef CKM_EC_EDWARDS_KEY_PAIR_GEN
#define CKM_EC_EDWARDS_KEY_PAIR_GEN 0x1055UL
#endif
#ifndef CKM_EDDSA
#define CKM_EDDSA 0x1057UL
#endif

/** A token with an open session; belongs to its hf_tokens. */
struct hf_token {
    struct hf_token *next;
    CK_FUNCTION_LIST *module;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    char name[HF_TOKEN_NAME_MAX]; /* plain ASCII */
    CK_SESSION_HANDLE session;    /* to read and to sign */
    bool is_logged_in;
    struct hf_passphrase pin; /* kept for keys that ask for it at each signature */
};

/** Tokens that a URI fits. */
struct hf_token_list {
    struct hf_token *tokens[HF_TOKEN_SLOTS_MAX];
    size_t n;
    struct hf_why trouble; /* why another one could not be looked at; HF_OK: none such */
};

/** All tokens that `uri` fits, opened; there may be none. `*tokens` is made when it is NULL.
 *  HF_E_KEY when the module that the URI names does not work. */
HF_MUST_USE enum hf_err hf_tokens_find(struct hf_tokens **tokens, const struct hf_token_uri *uri,
                                       struct hf_token_list *out, struct hf_why *why);

/**
 * Log in as the user, once a run: with the PIN of the file that `uri` names, one that is typed, or
 * one that the device itself asks for. HF_E_KEY in words; a PIN from a file is not spent on a token
 * that had a wrong one since its last right one (CKF_USER_PIN_COUNT_LOW).
 */
HF_MUST_USE enum hf_err hf_token_login(struct hf_token *token, const struct hf_token_uri *uri,
                                       struct hf_why *why);

/** Once more for the one operation that was begun (CKA_ALWAYS_AUTHENTICATE), with the same PIN. */
HF_MUST_USE enum hf_err hf_token_login_again(struct hf_token *token, struct hf_why *why);

/** Does the token want a PIN before it shows all and signs, and had none yet? */
bool hf_token_is_locked(const struct hf_token *token);

/** HF_E_KEY (HF_E_MEMORY): what `rv` means where the token was asked to do `action` ("sign"). */
enum hf_err hf_token_fail(struct hf_why *why, const struct hf_token *token, const char *action,
                          CK_RV rv);

/** `text` for people: bytes that are not printable ASCII become '?', what does not fit is cut. */
void hf_token_print(char *out, size_t size, struct hf_bytes text);

#endif
