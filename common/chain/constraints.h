/* Name constraints (RFC 5280, 4.2.1.10): for which names a CA may issue. No I/O. */
#ifndef HF_COMMON_CHAIN_CONSTRAINTS_H
#define HF_COMMON_CHAIN_CONSTRAINTS_H

#include "common/chain/general_name.h"

/* Bytes of a name and a constraint that one look reads. Directory names take longer: each attribute
 * is looked for, and read as text. */
#define HF_CONSTRAINT_BYTES 64
#define HF_CONSTRAINT_DIRECTORY_BYTES 4

enum hf_constraint_verdict {
    HF_CONSTRAINT_BREAKS = 0, /* a name is not permitted, or excluded */
    HF_CONSTRAINT_DAMAGED,    /* the constraints, or the names, cannot be read */
    HF_CONSTRAINT_UNKNOWN,    /* for a kind of name of which the rule is not known here */
    HF_CONSTRAINT_TOO_MANY,   /* `budget` comparisons were not enough */
    HF_CONSTRAINT_ALLOWS,
};

struct hf_constraint_breach {
    struct hf_general_name name;     /* that breaks the constraints */
    struct hf_general_name excluded; /* the subtree that excludes it; no data: none permits it */
};

/**
 * May `ca` issue `cert`, which is below it in a path, by its name constraints? Looks at the subject
 * and at all subject alternative names; at the common names too, where it is the server's own
 * certificate and has no other name of a host. `*budget` is how many looks of a name at a
 * constraint are left, and sinks, by one more for each HF_CONSTRAINT_BYTES (of directory names
 * HF_CONSTRAINT_DIRECTORY_BYTES). `breach` (NULL: not wanted; all zero before) is
 * written for HF_CONSTRAINT_BREAKS, its name for _UNKNOWN too.
 *
 * Self-issued certificates between the CA and the server's own are not the caller's to ask about
 * (6.1.3 b).
 */
HF_MUST_USE enum hf_constraint_verdict hf_constraints_check(const struct hf_certificate *ca,
                                                            const struct hf_certificate *cert,
                                                            bool is_servers, unsigned *budget,
                                                            struct hf_constraint_breach *breach);

#endif
