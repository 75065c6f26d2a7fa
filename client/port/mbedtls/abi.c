#include "client/port/mbedtls/abi.h"

#include <mbedtls/version.h>

enum hf_err hf_abi_check(struct hf_trust_store_abi theirs, struct hf_why *why)
{
    struct hf_trust_store_abi ours = HF_TRUST_STORE_ABI;
    ours.version_number = mbedtls_version_get_number(); /* of the library that is linked */
    if (theirs.version_number == ours.version_number &&
        theirs.ssl_config_size == ours.ssl_config_size &&
        theirs.ssl_context_size == ours.ssl_context_size &&
        theirs.x509_crt_size == ours.x509_crt_size)
        return HF_OK;
    return hf_fail(
        why, HF_E_ARGUMENT,
        "the application was compiled with another Mbed TLS than Holdfast: expected "
        "version 0x%08x with structs of %zu, %zu and %zu bytes (ssl_config, ssl_context, "
        "x509_crt), found 0x%08x with %zu, %zu and %zu; the Mbed TLS headers that are "
        "installed with Holdfast must come first on its include path, as "
        "pkg-config --cflags holdfast puts them",
        ours.version_number, ours.ssl_config_size, ours.ssl_context_size, ours.x509_crt_size,
        theirs.version_number, theirs.ssl_config_size, theirs.ssl_context_size,
        theirs.x509_crt_size);
}
