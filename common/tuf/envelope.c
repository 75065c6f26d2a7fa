#include "common/tuf/envelope.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "1.0.34": this is written against major version 1, later minor ones only add (TUF 4.3). */
static bool speaks_our_version(const char *spec_version)
{
    if (strncmp(spec_version, "1.", 2) != 0)
        return false;
    for (const char *number = spec_version + 2;; number++) {
        size_t digits = strspn(number, "0123456789");
        if (digits == 0)
            return false;
        number += digits;
        if (*number != '.')
            return *number == '\0';
    }
}

static enum hf_err read_signed_fields(struct hf_envelope *e, const char *type, struct hf_why *why)
{
    const char *spec_version = NULL, *expires = NULL;
    char what[40];
    (void)snprintf(what, sizeof what, "%.20s metadata", type);
    HF_TRY(hf_json_get_text(e->signed_part, "_type", what, &e->type, why));
    if (strcmp(e->type, type) != 0)
        return hf_fail(why, HF_E_FORMAT, "expected _type \"%s\", found another", type);
    HF_TRY(hf_json_get_text(e->signed_part, "spec_version", what, &spec_version, why));
    if (!speaks_our_version(spec_version))
        return hf_fail(
            why, HF_E_FORMAT,
            "%s metadata should follow version 1 of TUF, its \"spec_version\" is another", type);
    HF_TRY(hf_json_get_integer(e->signed_part, "version", what, 1, &e->version, why));

    /* Only the newest root's expiry is checked (TUF 5.3.10). An older one with a strange date must
     * not stop a device. It counts as expired long ago, so that it is refused as the newest. */
    HF_TRY(hf_json_get_text(e->signed_part, "expires", what, &expires, why));
    if (strcmp(type, "root") != 0)
        HF_TRY(hf_json_get_time(e->signed_part, "expires", what, &e->expires_s, why));
    else if (!hf_time_parse(expires, &e->expires_s))
        e->expires_s = 0;

    /* Holdfast's own field. Another publisher may use the name with another meaning. */
    const char *signed_at = json_string_value(json_object_get(e->signed_part, "signed_at"));
    if (signed_at == NULL || !hf_time_parse(signed_at, &e->signed_at_s))
        e->signed_at_s = HF_TIME_NONE;
    return HF_OK;
}

static const struct hf_signature *find_signature(const struct hf_envelope *e, const char *key_id)
{
    for (size_t i = 0; i < e->n_signatures; i++) {
        if (strcmp(e->signatures[i].key_id, key_id) == 0)
            return &e->signatures[i];
    }
    return NULL;
}

static enum hf_err read_signature(const json_t *object, const char *type, struct hf_envelope *e,
                                  struct hf_why *why)
{
    struct hf_signature *signature = &e->signatures[e->n_signatures];
    const char *key_id = NULL, *hex = json_string_value(json_object_get(object, "sig"));
    char what[60];
    (void)snprintf(what, sizeof what, "each signature of %.20s metadata", type);
    HF_TRY(hf_json_get_text(object, "keyid", what, &key_id, why));
    if (find_signature(e, key_id) != NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "%s metadata carries two signatures under one key id; one key signs once",
                       type);
    signature->key_id = key_id;
    e->n_signatures++;
    /* One that is missing, empty, too long or not hexadecimal stays without bytes and never
     * verifies: it may be of a future scheme, and others may suffice. */
    size_t digits = hex == NULL ? 0 : strlen(hex);
    if (digits == 0 || digits % 2 != 0 || digits / 2 > HF_SIGNATURE_BYTES_MAX)
        return HF_OK;
    signature->bytes = malloc(digits / 2);
    if (signature->bytes == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading signatures");
    if (hf_hex_decode(hex, signature->bytes, digits / 2)) {
        signature->len = digits / 2;
        return HF_OK;
    }
    free(signature->bytes);
    signature->bytes = NULL;
    return HF_OK;
}

struct hf_metadata_limits hf_metadata_limits(const char *type)
{
    if (strcmp(type, "root") == 0)
        return (struct hf_metadata_limits){HF_ROOT_BYTES_MAX, HF_ROOT_HEAP_MAX};
    if (strcmp(type, "timestamp") == 0)
        return (struct hf_metadata_limits){HF_TIMESTAMP_BYTES_MAX, HF_TIMESTAMP_HEAP_MAX};
    if (strcmp(type, "snapshot") == 0)
        return (struct hf_metadata_limits){HF_SNAPSHOT_BYTES_MAX, HF_SNAPSHOT_HEAP_MAX};
    return (struct hf_metadata_limits){HF_TARGETS_BYTES_MAX, HF_TARGETS_HEAP_MAX};
}

static enum hf_err read_envelope(struct hf_bytes file, const char *type, size_t heap_max,
                                 struct hf_envelope *e, struct hf_why *why)
{
    json_t *list = NULL;
    HF_TRY(hf_json_parse_within(file, type, heap_max, &e->json, why));
    HF_TRY(hf_json_get_object(e->json, "signed", type, &e->signed_part, why));
    HF_TRY(read_signed_fields(e, type, why));
    HF_TRY(hf_json_get_array(e->json, "signatures", "metadata", &list, why));
    size_t count = json_array_size(list);
    if (count > HF_SIGNATURES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s metadata carries %zu signatures, at most %d are read",
                       type, count, HF_SIGNATURES_MAX);
    e->signatures = calloc(count == 0 ? 1 : count, sizeof *e->signatures);
    if (e->signatures == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading signatures");
    for (size_t i = 0; i < count; i++)
        HF_TRY(read_signature(json_array_get(list, i), type, e, why));
    /* Canonical form is no longer than what was read, so that the buffer need not grow. */
    if (hf_buf_reserve(&e->signed_bytes, file.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s metadata", type);
    return hf_json_canonical(e->signed_part, &e->signed_bytes, why);
}

enum hf_err hf_envelope_parse(struct hf_bytes file, const char *type, struct hf_envelope *out,
                              struct hf_why *why)
{
    struct hf_metadata_limits limits = hf_metadata_limits(type);
    if (file.len > limits.bytes_max)
        return hf_fail(why, HF_E_LIMIT, "%s metadata of %zu bytes; at most %zu are read", type,
                       file.len, limits.bytes_max);
    struct hf_envelope e = {0};
    enum hf_err err = read_envelope(file, type, limits.heap_max, &e, why);
    if (err != HF_OK) {
        hf_envelope_free(&e);
        return err;
    }
    hf_sha256(file, e.file_sha256);
    *out = e;
    return HF_OK;
}

int64_t hf_envelope_signed_at(const struct hf_envelope *e)
{
    return e->signed_at_s < e->expires_s ? e->signed_at_s : HF_TIME_NONE;
}

void hf_envelope_shed(struct hf_envelope *e)
{
    for (size_t i = 0; i < e->n_signatures; i++)
        free(e->signatures[i].bytes);
    free(e->signatures);
    e->signatures = NULL;
    e->n_signatures = 0;
    hf_buf_free(&e->signed_bytes);
}

void hf_envelope_shed_json(struct hf_envelope *e)
{
    hf_envelope_shed(e);
    json_decref(e->json);
    e->json = e->signed_part = NULL;
    e->type = NULL;
}

void hf_envelope_free(struct hf_envelope *e)
{
    if (e == NULL)
        return;
    hf_envelope_shed_json(e);
    *e = (struct hf_envelope){0};
}

enum hf_err hf_envelope_verify(const struct hf_envelope *e, const struct hf_keyring *ring,
                               const struct hf_role *role, const char *what, struct hf_why *why)
{
    const struct hf_key *counted[HF_ROLE_KEYS_MAX] = {NULL};
    size_t n_counted = 0, n_unusable = 0;
    char unusable[80] = "";
    for (size_t i = 0; i < role->n_key_ids && i < HF_ROLE_KEYS_MAX; i++) {
        const struct hf_key *key = hf_keyring_find(ring, role->key_ids[i]);
        const struct hf_signature *signature = find_signature(e, role->key_ids[i]);
        bool is_counted = false;
        for (size_t c = 0; key != NULL && c < n_counted && !is_counted; c++)
            is_counted = hf_key_same(counted[c], key);
        n_unusable += key == NULL || key->scheme == HF_SCHEME_UNKNOWN;
        if (key == NULL || signature == NULL || is_counted)
            continue;
        struct hf_bytes bytes = {signature->bytes, signature->len};
        if (!hf_key_verify(key, hf_buf_bytes(&e->signed_bytes), bytes))
            continue;
        counted[n_counted++] = key;
        if ((int64_t)n_counted >= role->threshold)
            return HF_OK;
    }
    if (n_unusable > 0)
        (void)snprintf(unusable, sizeof unusable, " (%zu of its %zu keys cannot be used here)",
                       n_unusable, role->n_key_ids);
    return hf_fail(
        why, HF_E_SIGNATURE,
        "%.200s is signed by %zu of the keys of role %.64s%s, its threshold is %lld; it is "
        "not what the publisher released, or the metadata that names newer keys is missing",
        what, n_counted, role->name, unusable, (long long)role->threshold);
}
