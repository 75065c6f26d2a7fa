/*
 * RSA keys of a weak generator in smart cards and TPMs (CVE-2017-15361, "ROCA"; Nemec, Sýs, Švenda,
 * Klinec, Matyáš: The Return of Coppersmith's Attack, CCS 2017). Its primes are k * M + (65537^a
 * mod M), where M is the product of the first primes. So the modulus is a power of 65537 modulo
 * each of these small primes, which is true of one in 2^27.8 other moduli. No I/O.
 */
#ifndef HF_FINDINGS_ROCA_H
#define HF_FINDINGS_ROCA_H

#include <openssl/bn.h>
#include <stdbool.h>

/** Was the key of this modulus made by that generator? */
bool hf_roca_is_weak(const BIGNUM *modulus);

#endif
