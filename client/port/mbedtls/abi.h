/* Was the application compiled with the Mbed TLS that this library is linked with? No I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_ABI_H
#define HF_CLIENT_PORT_MBEDTLS_ABI_H

#include <holdfast/trust_store.h>

/** HF_E_ARGUMENT with both sides' numbers. To be asked before anything of the application's Mbed TLS
 *  is touched: a struct of another layout would be written beside its members. */
HF_MUST_USE enum hf_err hf_abi_check(struct hf_trust_store_abi theirs, struct hf_why *why);

#endif
