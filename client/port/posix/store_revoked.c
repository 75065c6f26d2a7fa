/*
 * The keys that the publisher revoked: a row of the database (db_revoked.c) and, for the day it cannot be
 * used, the file STATE/bundles/revoked beside the bundles: the SHA-256 of its other lines, and these.
 */
#include "client/port/posix/bundle_files.h"
#include "client/port/posix/db_revoked.h"
#include "common/os/file_util.h"
#include "client/port/posix/store_internal.h"

#include <string.h>

/* ---- the file ------------------------------------------------------------------------------------ */

enum hf_err hf_store_revoked_file(struct hf_sqlite_store *store, struct hf_buf *out,
                                  struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];
    struct hf_buf lines = {0};

    enum hf_err err = hf_db_revoked_load(store->db, &lines, NULL, why);
    if (err == HF_OK) {
        hf_sha256_hex(hf_buf_bytes(&lines), sha256);
        err = hf_buf_printf(out, "%s\n", sha256);
        if (err == HF_OK)
            err = hf_buf_append(out, lines.data, lines.len);
        if (err != HF_OK)
            (void)hf_fail(why, err, "out of memory for the revoked keys");
    }
    hf_buf_free(&lines);
    return err;
}

static enum hf_err parse_file(struct hf_bytes file, const char *path, struct hf_buf *keys,
                              struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];

    if (file.len < HF_REVOKED_LINE_LEN || file.data[HF_REVOKED_LINE_LEN - 1] != '\n')
        return hf_fail(why, HF_E_STORAGE, "%s is damaged: it does not begin with a SHA-256", path);
    memcpy(sha256, file.data, HF_REVOKED_LINE_LEN - 1);
    sha256[HF_REVOKED_LINE_LEN - 1] = '\0';
    const struct hf_bytes lines = {file.data + HF_REVOKED_LINE_LEN, file.len - HF_REVOKED_LINE_LEN};
    return hf_revoked_parse(lines, sha256, path, keys, why);
}

/* `out` is written on HF_OK only. */
static enum hf_err load_from_file(const struct hf_sqlite_store *store, struct hf_buf *out,
                                  struct hf_why *why)
{
    struct hf_buf path = {0};
    struct hf_buf file = {0};
    struct hf_buf keys = {0};

    if (hf_buf_printf(&path, "%s/bundles/" HF_REVOKED_FILE, store->state_dir) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a path");
    const char *name = (const char *)path.data;
    enum hf_err err = hf_file_read(name, HF_REVOKED_LINE_LEN + HF_REVOKED_LINES_MAX, &file, why);
    if (err == HF_OK)
        err = parse_file(hf_buf_bytes(&file), name, &keys, why);
    if (err == HF_OK && hf_buf_append(out, keys.data, keys.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    hf_buf_free(&keys);
    hf_buf_free(&file);
    hf_buf_free(&path);
    return err;
}

/* ---- the port ------------------------------------------------------------------------------------ */

/* The file comes first where the bundles come from their files: a database that can only be read may be
 * without the newest part of its log. */
enum hf_err hf_store_load_revoked(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    const struct hf_sqlite_store *store = ctx;
    struct hf_why damage = store->unusable;

    if (store->unusable.code != HF_OK && load_from_file(store, out, NULL) == HF_OK)
        return HF_OK;
    enum hf_err err = store->db != NULL ? hf_db_revoked_load(store->db, NULL, out, &damage)
                                        : HF_E_STORAGE;
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        return HF_OK;
    if (store->unusable.code == HF_OK && load_from_file(store, out, NULL) == HF_OK)
        return HF_OK;
    return hf_fail(why, err == HF_E_MEMORY ? err : HF_E_STORAGE, "%s", damage.text);
}

enum hf_err hf_store_save_revoked(void *ctx, struct hf_bytes keys, struct hf_why *why)
{
    struct hf_sqlite_store *store = ctx;

    if (keys.len % HF_SHA256_LEN != 0 || keys.len > HF_REVOKED_MAX * HF_SHA256_LEN)
        return hf_fail(why, HF_E_LIMIT,
                       "cannot save the list of revoked keys (expected at most %d of %d bytes "
                       "each, found %zu bytes)",
                       HF_REVOKED_MAX, HF_SHA256_LEN, keys.len);
    HF_TRY(hf_store_write_begin(store, why));
    enum hf_err err = hf_db_revoked_save(store->db, keys, why);
    if (err == HF_OK)
        store->has_moved = true; /* the file follows the commit, as the links do */
    return hf_store_write_end(store, err, why);
}

void hf_store_heal_revoked(struct hf_sqlite_store *store)
{
    struct hf_buf keys = {0};
    struct hf_why damage = {0};

    if (hf_db_revoked_check(store->db, &damage) == HF_E_FORMAT &&
        load_from_file(store, &keys, NULL) == HF_OK &&
        hf_db_revoked_save(store->db, hf_buf_bytes(&keys), NULL) == HF_OK) {
        (void)hf_fail_context(&damage, "the file beside the bundles has taken its place");
        hf_store_note(store, HF_LEVEL_ERROR, "restored", damage.text);
    }
    hf_buf_free(&keys);
}

void hf_store_adopt_revoked(struct hf_sqlite_store *store)
{
    struct hf_buf keys = {0};
    struct hf_why why = {0};

    if (store->unusable.code == HF_OK && load_from_file(store, &keys, NULL) == HF_OK &&
        hf_db_revoked_save(store->db, hf_buf_bytes(&keys), &why) != HF_OK)
        hf_store_note(store, HF_LEVEL_ERROR, "bundle-files", why.text);
    hf_buf_free(&keys);
}
