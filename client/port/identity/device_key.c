#include "client/port/identity/device_key.h"

#include "client/port/identity/limits.h"

#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>

#include <stdlib.h>
#include <string.h>

/* The functions behind a key. Mbed TLS declares the type in <mbedtls/pk.h> and defines it in
 * library/pk_wrap.h, which it does not install. The 3.6 branch keeps the layout of its structs. */
#if MBEDTLS_VERSION_NUMBER < 0x03060000 || MBEDTLS_VERSION_NUMBER >= 0x03070000 ||                 \
    defined(MBEDTLS_ECP_RESTARTABLE)
#error "compare struct mbedtls_pk_info_t with library/pk_wrap.h of this Mbed TLS"
#endif
typedef int random_fn(void *ctx, unsigned char *out, size_t len);
typedef int crypt_fn(mbedtls_pk_context *pk, const unsigned char *in, size_t in_len,
                     unsigned char *out, size_t *out_len, size_t cap, random_fn *random, void *ctx);
struct mbedtls_pk_info_t {
    mbedtls_pk_type_t type;
    const char *name;
    size_t (*get_bitlen)(mbedtls_pk_context *pk);
    int (*can_do)(mbedtls_pk_type_t type);
    int (*verify)(mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash,
                  size_t hash_len, const unsigned char *sig, size_t sig_len);
    int (*sign)(mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash,
                size_t hash_len, unsigned char *sig, size_t cap, size_t *sig_len, random_fn *random,
                void *ctx);
    crypt_fn *decrypt, *encrypt;
    int (*check_pair)(mbedtls_pk_context *pub, mbedtls_pk_context *key, random_fn *random,
                      void *ctx);
    void *(*ctx_alloc)(void);
    void (*ctx_free)(void *ctx);
    void (*debug)(mbedtls_pk_context *pk, mbedtls_pk_debug_item *items);
};

/* Begins as Mbed TLS's own key does, with the public half, so that its functions for public keys
 * work. */
struct external {
    union {
        mbedtls_ecp_keypair ec;
        mbedtls_rsa_context rsa;
    } public;
    bool is_rsa;
    struct hf_device_key key;
    mbedtls_pk_info_t info;
    struct hf_why fault; /* of the last signature */
};

static int sign(mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash,
                size_t hash_len, unsigned char *sig, size_t cap, size_t *sig_len, random_fn *random,
                void *ctx)
{
    struct external *external = pk->MBEDTLS_PRIVATE(pk_ctx);
    struct hf_buf signature = {0};

    (void)md, (void)random, (void)ctx;
    external->fault = (struct hf_why){0};
    enum hf_err err = external->key.sign(external->key.ctx, (struct hf_bytes){hash, hash_len},
                                         &signature, &external->fault);
    int code = err == HF_E_MEMORY ? MBEDTLS_ERR_PK_ALLOC_FAILED : MBEDTLS_ERR_PK_BAD_INPUT_DATA;
    if (err == HF_OK && signature.len > 0 && signature.len <= cap) {
        memcpy(sig, signature.data, signature.len);
        *sig_len = signature.len;
        code = 0;
    }
    hf_buf_free(&signature);
    return code;
}

static void release(void *ctx)
{
    struct external *external = ctx;

    if (external->is_rsa)
        mbedtls_rsa_free(&external->public.rsa);
    else
        mbedtls_ecp_keypair_free(&external->public.ec);
    free(external);
}

bool hf_device_key_is(const mbedtls_pk_context *pk)
{
    return pk->MBEDTLS_PRIVATE(pk_info) != NULL &&
           pk->MBEDTLS_PRIVATE(pk_info)->ctx_free == release;
}

const char *hf_device_key_fault(const mbedtls_pk_context *pk)
{
    const struct external *external = pk->MBEDTLS_PRIVATE(pk_ctx);

    return hf_device_key_is(pk) ? external->fault.text : "";
}

static enum hf_err read_public(const struct hf_device_key *key, mbedtls_pk_context *out,
                               struct hf_why *why)
{
    struct hf_buf der = {0};

    enum hf_err err = key->public_key(key->ctx, &der, why);
    if (err == HF_OK && (der.len == 0 || der.len > HF_PUBLIC_KEY_DER_MAX ||
                         mbedtls_pk_parse_public_key(out, der.data, der.len) != 0))
        err = hf_fail(why, HF_E_KEY,
                      "the public key is not usable: expected a SubjectPublicKeyInfo in DER, with "
                      "a key on P-256 or P-384, or an RSA key");
    hf_buf_free(&der);
    return err;
}

static int copy_public(struct external *external, const mbedtls_pk_context *from)
{
    mbedtls_ecp_keypair *ec = &external->public.ec;

    if (external->is_rsa) {
        mbedtls_rsa_init(&external->public.rsa);
        return mbedtls_rsa_copy(&external->public.rsa, mbedtls_pk_rsa(*from));
    }
    const mbedtls_ecp_keypair *known = mbedtls_pk_ec(*from);
    mbedtls_ecp_keypair_init(ec);
    int code = mbedtls_ecp_group_load(&ec->MBEDTLS_PRIVATE(grp),
                                      mbedtls_ecp_keypair_get_group_id(known));
    return code == 0 ? mbedtls_ecp_copy(&ec->MBEDTLS_PRIVATE(Q), &known->MBEDTLS_PRIVATE(Q)) : code;
}

enum hf_err hf_device_key_use(const struct hf_device_key *key, mbedtls_pk_context *out,
                              struct hf_why *why)
{
    mbedtls_pk_context public;

    mbedtls_pk_init(&public);
    enum hf_err err = read_public(key, &public, why);
    struct external *external = err == HF_OK ? calloc(1, sizeof *external) : NULL;
    if (err == HF_OK && external == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the device's key");
    if (err == HF_OK) {
        external->is_rsa = mbedtls_pk_get_type(&public) == MBEDTLS_PK_RSA;
        external->key = *key;
        external->info = *public.MBEDTLS_PRIVATE(pk_info);
        external->info.sign = sign;
        external->info.decrypt = NULL;
        external->info.check_pair = NULL;
        external->info.ctx_alloc = NULL;
        external->info.ctx_free = release;
        out->MBEDTLS_PRIVATE(pk_info) = &external->info;
        out->MBEDTLS_PRIVATE(pk_ctx) = external;
        if (copy_public(external, &public) != 0) {
            mbedtls_pk_free(out);
            err = hf_fail(why, HF_E_MEMORY, "out of memory for the device's public key");
        }
    }
    mbedtls_pk_free(&public);
    return err;
}
