#include "tests/support/counting_verify.h"

#include "common/tuf/key.h"

/* Names that the linker makes of --wrap=hf_key_verify. */
bool __real_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature);
bool __wrap_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature);

static unsigned n_verified;

bool __wrap_hf_key_verify(const struct hf_key *key, struct hf_bytes message,
                          struct hf_bytes signature)
{
    n_verified++;
    return __real_hf_key_verify(key, message, signature);
}

void counting_verify_begin(void)
{
    n_verified = 0;
}

unsigned counting_verify_count(void)
{
    return n_verified;
}
