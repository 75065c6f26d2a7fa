#include "common/tuf/metadata.h"

#include "common/base/hex.h"
#include "common/base/limits.h"

#include <fnmatch.h>
#include <string.h>

/* Shell patterns, part by part: no wildcard crosses a slash (TUF 4.5). */
static bool matches_a_pattern(const json_t *patterns, const char *path)
{
    size_t index;
    json_t *pattern;
    json_array_foreach(patterns, index, pattern)
    {
        if (fnmatch(json_string_value(pattern), path, FNM_PATHNAME | FNM_NOESCAPE) == 0)
            return true;
    }
    return false;
}

static bool matches_a_prefix(const json_t *prefixes, const char *path)
{
    char hash[HF_SHA256_HEX_LEN];
    hf_sha256_hex(hf_bytes_of_text(path), hash);
    size_t index;
    json_t *prefix;
    json_array_foreach(prefixes, index, prefix)
    {
        if (strncmp(hash, json_string_value(prefix), json_string_length(prefix)) == 0)
            return true;
    }
    return false;
}

bool hf_delegation_covers(const struct hf_delegation *d, const char *path)
{
    if (d->paths != NULL)
        return matches_a_pattern(d->paths, path);
    return d->path_hash_prefixes != NULL && matches_a_prefix(d->path_hash_prefixes, path);
}

static bool part_is_safe(const char *part, size_t len)
{
    if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)part[i];
        if (c < 0x20u || c == 0x7Fu || c == '\\')
            return false;
    }
    return true;
}

bool hf_target_path_is_safe(const char *path)
{
    if (strlen(path) > HF_TARGET_PATH_MAX)
        return false;
    for (const char *part = path;;) {
        size_t len = strcspn(part, "/");
        if (!part_is_safe(part, len))
            return false;
        if (part[len] == '\0')
            return true;
        part += len + 1;
    }
}

enum hf_err hf_target_file_name(const struct hf_target *t, bool consistent_snapshot,
                                struct hf_buf *out, struct hf_why *why)
{
    char hash[HF_SHA512_HEX_LEN];
    if (t->info.has_sha256)
        hf_hex_encode(t->info.sha256, HF_SHA256_LEN, hash);
    else if (t->info.has_sha512)
        hf_hex_encode(t->info.sha512, HF_SHA512_LEN, hash);
    else if (consistent_snapshot)
        return hf_fail(
            why, HF_E_FORMAT,
            "the target %.200s has neither a SHA-256 nor a SHA-512, one of them names its file",
            t->path);
    const char *slash = strrchr(t->path, '/');
    const char *name = slash == NULL ? t->path : slash + 1;
    enum hf_err err = hf_buf_append(out, t->path, (size_t)(name - t->path));
    if (err == HF_OK && consistent_snapshot)
        err = hf_buf_printf(out, "%s.", hash);
    if (err == HF_OK)
        err = hf_buf_append_text(out, name);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory while naming a target file");
}
