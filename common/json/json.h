/*
 * JSON, read strictly and written canonically.
 *
 * Reading: jansson with duplicate keys refused, one value and nothing after it, valid UTF-8, no NUL
 * in strings, whole numbers only. Nesting and the memory that the values will take are bounded
 * (limits.h) before the parser sees a byte. Numbers that are read are at most 2^53 - 1; others stay
 * as they are.
 *
 * A sentence about what was read quotes nothing of it: it may be the answer of any server, and what
 * it holds is not for the log of this device.
 *
 * Writing: the canonical form that TUF signs (specification 4.1, OLPC canonical JSON): keys sorted
 * by code point, no space, only `"` and `\` escaped, numbers whole.
 */
#ifndef HF_COMMON_JSON_H
#define HF_COMMON_JSON_H

#include "common/base/digest.h"

#include <jansson.h>

/**
 * Parse one JSON object. `what` names it in messages ("timestamp metadata").
 * `*out` is a new reference, json_decref it; written on HF_OK only.
 * HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_json_parse_object(struct hf_bytes text, const char *what, json_t **out,
                                             struct hf_why *why);

/** The same, of a text whose values take at most `heap_max` bytes of memory, while they are read
 *  and afterwards; otherwise HF_E_LIMIT. Counted from the text alone, before a parser runs. */
HF_MUST_USE enum hf_err hf_json_parse_within(struct hf_bytes text, const char *what,
                                             size_t heap_max, json_t **out, struct hf_why *why);

/** The same, of an object or a list. */
HF_MUST_USE enum hf_err hf_json_parse_any(struct hf_bytes text, const char *what, size_t heap_max,
                                          json_t **out, struct hf_why *why);

/**
 * Seed the tables of all JSON objects, so that an attacker cannot choose keys that collide. Once in
 * a process, before the first object is made; later calls change nothing.
 */
void hf_json_seed(uint32_t random);

/** jansson iterates over objects by a pointer that is not const; it changes nothing. */
static inline json_t *hf_json_iterable(const json_t *object)
{
    return (json_t *)(uintptr_t)object;
}

/** Append the canonical form of `value`. HF_E_FORMAT for a real number, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_json_canonical(const json_t *value, struct hf_buf *out,
                                          struct hf_why *why);

/**
 * Append `value` as a file: the same but for control characters, such as the ends of lines in a
 * PEM, which are escaped. Canonical form leaves them as they are, and with them it is no JSON.
 * HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_json_write(const json_t *value, struct hf_buf *out, struct hf_why *why);

/** The same laid out by jansson's `flags`. In place of json_dumps, which gives broken JSON when
 *  memory runs out within a key. `value` NULL: HF_E_MEMORY, so that what was built needs no check
 *  of its own. */
HF_MUST_USE enum hf_err hf_json_dump(const json_t *value, size_t flags, struct hf_buf *out,
                                     struct hf_why *why);

/*
 * Members by type; `what` names the object they are looked up in. Borrowed results live as long
 * as `object`. HF_E_FORMAT when missing or of another type.
 */
HF_MUST_USE enum hf_err hf_json_get_text(const json_t *object, const char *key, const char *what,
                                         const char **out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_json_get_object(const json_t *object, const char *key, const char *what,
                                           json_t **out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_json_get_array(const json_t *object, const char *key, const char *what,
                                          json_t **out, struct hf_why *why);
/** A whole number from `min` to HF_JSON_INTEGER_MAX. */
HF_MUST_USE enum hf_err hf_json_get_integer(const json_t *object, const char *key, const char *what,
                                            int64_t min, int64_t *out, struct hf_why *why);
/** Bytes as base64 text, at most `max` of them (HF_E_LIMIT), appended. */
HF_MUST_USE enum hf_err hf_json_get_base64(const json_t *object, const char *key, const char *what,
                                           size_t max, struct hf_buf *out, struct hf_why *why);
/** The same of exactly `len` bytes. */
HF_MUST_USE enum hf_err hf_json_get_bytes(const json_t *object, const char *key, const char *what,
                                          uint8_t *out, size_t len, struct hf_why *why);
/** A TUF date-time (hf_time_parse). */
HF_MUST_USE enum hf_err hf_json_get_time(const json_t *object, const char *key, const char *what,
                                         int64_t *out_s, struct hf_why *why);

/** The `detail` of a problem (RFC 9457) or else its title, on one line without control characters;
 *  empty if there is neither. At most `cap` bytes with the NUL. */
void hf_json_problem(struct hf_bytes body, char *out, size_t cap);

/*
 * Values to build a document from. Each is a new reference, or NULL when memory is short. What
 * takes values takes NULL too and gives NULL then, so that only the finished document has to be
 * checked.
 */

/** `list` with `value` at its end; both are taken. */
json_t *hf_json_append_take(json_t *list, json_t *value);
/** `object` with `value` under `key`; both are taken. */
json_t *hf_json_set_take(json_t *object, const char *key, json_t *value);
/** "YYYY-MM-DDTHH:MM:SSZ", or null for HF_TIME_NONE. */
json_t *hf_json_time(int64_t time_s);
/** 64 hexadecimal digits. */
json_t *hf_json_sha256(const uint8_t sha256[HF_SHA256_LEN]);
/** An array of such. */
json_t *hf_json_hashes(const uint8_t (*hashes)[HF_SHA256_LEN], size_t n);
json_t *hf_json_texts(const char *const *texts, size_t n);
/** Bytes as base64 (RFC 4648, 4). */
json_t *hf_json_base64(struct hf_bytes bytes);
/** Text of others, such as a path, which JSON takes only as UTF-8: other bytes become '?'. */
json_t *hf_json_plain(const char *text);

#endif
