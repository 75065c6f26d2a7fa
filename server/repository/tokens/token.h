/*
 * Signing keys in PKCS#11 tokens (OASIS PKCS#11 v2.40 and v3.0: smart cards, HSMs, SoftHSM2), found
 * through p11-kit and named by a URI (RFC 7512), as p11tool and other programs name them:
 *
 *     pkcs11:token=alice;object=root-1
 *     pkcs11:token=online;object=timestamp?pin-source=file:/etc/holdfast/pin
 *
 * Ed25519 (CKM_EDDSA) and ECDSA on P-256 (CKM_ECDSA). The private key stays in the token. A PIN
 * comes from `pin-source` or from the terminal; one in the URI itself (`pin-value`) is refused,
 * because it would end up in files and process lists. With `module-path` that module is loaded and
 * no other; without it, those that p11-kit is configured with.
 */
#ifndef HF_REPOSITORY_TOKEN_H
#define HF_REPOSITORY_TOKEN_H

#include <holdfast/bytes.h>
#include <holdfast/error.h>

#include <jansson.h>

#define HF_TOKEN_URI_MAX 1024

/** The modules of one run, loaded when first needed, and the tokens that a PIN has opened: one PIN
 *  a token. NULL is none yet. */
struct hf_tokens;
void hf_tokens_free(struct hf_tokens *tokens);

/** A private key in an open session. Ends before its `hf_tokens`. */
struct hf_token_key;
void hf_token_key_free(struct hf_token_key *key);

/** Does it begin as a PKCS#11 URI? Everything else is the name of a file. */
bool hf_token_is_uri(const char *text);

/** HF_E_ARGUMENT, in words, unless it is a URI that could name one key: it says which token and
 *  which object (`object` or `id`), holds no PIN, and nothing that p11-kit does not know. */
HF_MUST_USE enum hf_err hf_token_check_uri(const char *uri, struct hf_why *why);

/** Does it choose a module to be loaded (`module-path`)? It is code: who writes such a URI
 *  matters. */
bool hf_token_names_module(const char *uri);

/** What a token shows of a key. Owned; hf_token_public_free. */
struct hf_token_public {
    char *uri;    /* names this key: token, serial number, label and id; without pin-source */
    char *label;  /* "alice/root-1": token and object, plain ASCII, for people */
    json_t *json; /* the key object of TUF metadata (4.2.1): ed25519, or ecdsa with a PEM */
};
void hf_token_public_free(struct hf_token_public *p);

/**
 * The public part of the one key that `uri` names, without a PIN where the token allows that, as
 * most do. HF_E_NOT_FOUND for no such token or key, HF_E_KEY for more than one (the sentence names
 * them), or for a key of another kind. `*tokens` is made when it is NULL.
 */
HF_MUST_USE enum hf_err hf_token_read_public(struct hf_tokens **tokens, const char *uri,
                                             struct hf_token_public *out, struct hf_why *why);

/** Every signing key that `uri` leaves open ("pkcs11:" alone: all there are); may be none. A PIN is
 *  used where the URI has one in a file, and never asked for. HF_E_NOT_FOUND for a token that the
 *  URI names and that is not there. `*out` is an array of `*n`, each to be freed, and then
 *  itself. */
HF_MUST_USE enum hf_err hf_token_list(struct hf_tokens **tokens, const char *uri,
                                      struct hf_token_public **out, size_t *n, struct hf_why *why);

/**
 * Log in and find the private key. `public_key` is what it must belong to; that it does shows in
 * its first signature (signer.h). HF_E_NOT_FOUND, or HF_E_KEY: a wrong PIN, one that is locked, or
 * a PIN from a file after a wrong one, which is not spent.
 */
HF_MUST_USE enum hf_err hf_token_key_open(struct hf_tokens **tokens, const char *uri,
                                          const json_t *public_key, struct hf_token_key **out,
                                          struct hf_why *why);

/** Append the signature over `message` as metadata has it: 64 bytes for Ed25519 (RFC 8032), DER for
 *  ECDSA, over SHA-256. HF_E_KEY in words for what the token says. */
HF_MUST_USE enum hf_err hf_token_key_sign(struct hf_token_key *key, struct hf_bytes message,
                                          struct hf_buf *signature, struct hf_why *why);

enum hf_token_key_type { HF_TOKEN_ED25519, HF_TOKEN_ECDSA_P256 };

/** "ed25519" or "ecdsa-p256", as --type says it; NULL is the first. HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_key_type_parse(const char *name, enum hf_token_key_type *out,
                                          struct hf_why *why);

/**
 * Make a key pair inside the token: it signs, never leaves, needs the PIN. `uri` names the token
 * and gives the new object its label, and its id where it has one; without, it is a random one. The
 * key has signed, and its signature was verified, when this returns; else it is destroyed again.
 * HF_E_STATE when there is such an object.
 */
HF_MUST_USE enum hf_err hf_token_generate(struct hf_tokens **tokens, const char *uri,
                                          enum hf_token_key_type type, struct hf_token_public *out,
                                          struct hf_why *why);

#endif
