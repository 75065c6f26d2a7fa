/*
 * What all metadata files have in common: `signed`, `signatures`, and the fields that every signed
 * part begins with (TUF 4.2). And the one place where a threshold is counted.
 */
#ifndef HF_COMMON_TUF_ENVELOPE_H
#define HF_COMMON_TUF_ENVELOPE_H

#include "common/base/digest.h"
#include "common/tuf/key.h"

#include <jansson.h>

struct hf_signature {
    const char *key_id; /* borrowed from the envelope's JSON */
    uint8_t *bytes;     /* owned; NULL for an empty or unreadable signature, which never verifies */
    size_t len;
};

struct hf_envelope {
    json_t *json;               /* owned: the whole file */
    json_t *signed_part;        /* borrowed from json */
    struct hf_buf signed_bytes; /* canonical form of signed_part: what the signatures are over */
    struct hf_signature *signatures;
    size_t n_signatures;
    uint8_t file_sha256[HF_SHA256_LEN]; /* of the file, byte for byte as it came */

    /* From the signed part. */
    const char *type;    /* borrowed */
    int64_t version;     /* >= 1 */
    int64_t expires_s;   /* of root: 0 where it cannot be read */
    int64_t signed_at_s; /* Holdfast's own field; HF_TIME_NONE where absent */
};

/** What a device reads of a metadata file of that type (limits.h). */
struct hf_metadata_limits {
    size_t bytes_max;
    size_t heap_max; /* of its parsed form, as hf_json_parse_within counts it */
};
struct hf_metadata_limits hf_metadata_limits(const char *type);

/**
 * Parse a metadata file of the given `type` ("root", "timestamp", "snapshot", "targets").
 * Refuses: another _type, a spec_version other than 1.x, version < 1, signatures that repeat a key
 * id, and what is beyond hf_metadata_limits. Nothing is verified. `out` is written on HF_OK only;
 * hf_envelope_free it.
 */
HF_MUST_USE enum hf_err hf_envelope_parse(struct hf_bytes file, const char *type,
                                          struct hf_envelope *out, struct hf_why *why);
void hf_envelope_free(struct hf_envelope *e);

/** Once it is verified, a device needs neither the signatures nor the bytes that they are over. */
void hf_envelope_shed(struct hf_envelope *e);
/** The same, and the JSON that nothing borrows from any more: `json`, `signed_part` and `type` are
 *  NULL then. */
void hf_envelope_shed_json(struct hf_envelope *e);

/** `signed_at_s`, or HF_TIME_NONE where there is none or it is not before the file's own expiry: a
 *  mistake of the publisher, which does not count. */
int64_t hf_envelope_signed_at(const struct hf_envelope *e);

/**
 * Count the distinct public keys of `role` whose signature over the envelope verifies
 * (TUF 5.3.4, 5.4.2, 5.5.3, 5.6.3). HF_OK when they reach the threshold, else HF_E_SIGNATURE.
 * `what` names the file in the message ("root 4", "timestamp").
 */
HF_MUST_USE enum hf_err hf_envelope_verify(const struct hf_envelope *e,
                                           const struct hf_keyring *ring,
                                           const struct hf_role *role, const char *what,
                                           struct hf_why *why);

#endif
