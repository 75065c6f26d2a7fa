#include "server/findings/roca.h"

#include <stddef.h>

/* The odd primes that divide the smallest M, that of keys of 512 bits; the M of longer keys has
 * them all. */
static const unsigned char primes[] = {3,   5,   7,   11,  13,  17,  19,  23,  29,  31,
                                       37,  41,  43,  47,  53,  59,  61,  67,  71,  73,
                                       79,  83,  89,  97,  101, 103, 107, 109, 113, 127,
                                       131, 137, 139, 149, 151, 157, 163, 167};

/* Is there a discrete logarithm of `residue` to the base 65537? The group is small enough to walk
 * through. */
static bool is_power(unsigned residue, unsigned prime)
{
    unsigned base = 65537 % prime, power = 1;
    do {
        if (power == residue)
            return true;
        power = power * base % prime;
    } while (power != 1);
    return false;
}

bool hf_roca_is_weak(const BIGNUM *modulus)
{
    for (size_t i = 0; i < sizeof primes; i++) {
        BN_ULONG residue = BN_mod_word(modulus, primes[i]);
        if (residue == (BN_ULONG)-1 || !is_power((unsigned)residue, primes[i]))
            return false;
    }
    return true;
}
