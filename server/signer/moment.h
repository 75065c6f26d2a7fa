/* What the clocks of the machine say. Functions that depend on time are given it, so that a test
 * sets both clocks. */
#ifndef HF_SIGNER_MOMENT_H
#define HF_SIGNER_MOMENT_H

#include <stdint.h>

#define HF_BOOT_ID_MAX 36 /* a UUID as text */

struct hf_moment {
    int64_t wall_s; /* seconds since 1970-01-01 UTC, as far as the machine knows */
    int64_t up_s;   /* seconds since the machine started, sleep included; no one can set it */
    char boot[HF_BOOT_ID_MAX +
              1]; /* another one after each start; "" if the machine does not tell */
};

/** Read both clocks. */
struct hf_moment hf_moment_read(void);

#endif
