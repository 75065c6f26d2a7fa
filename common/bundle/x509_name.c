#include "common/bundle/x509_name.h"

#include <mbedtls/asn1.h>

#include <stdbool.h>

/* FNV-1a, 64 bits. A crafted collision gains nothing: Mbed TLS compares the names themselves. */
static uint64_t mix(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t mix_bytes(uint64_t hash, const mbedtls_x509_buf *bytes, bool fold_case)
{
    for (size_t i = 0; i < bytes->len; i++) {
        uint8_t c = bytes->p[i];
        hash = mix(hash, fold_case && c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c);
    }
    return mix(hash, 0);
}

uint64_t hf_name_hash(const mbedtls_x509_name *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; name != NULL; name = name->next) {
        /* To Mbed TLS these two are the same, in any case of letters: some CAs write a name as one
         * in their own certificate and as the other in those they issue. */
        bool is_text = name->val.tag == MBEDTLS_ASN1_UTF8_STRING ||
                       name->val.tag == MBEDTLS_ASN1_PRINTABLE_STRING;
        hash = mix_bytes(hash, &name->oid, false);
        hash = mix_bytes(hash, &name->val, is_text);
    }
    return hash;
}
