#include "client/port/posix/bundle_files.h"

#include "common/os/file_util.h"
#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/json/json.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUNDLE_FILE_MODE 0600
#define NAME_MAX_LEN 100 /* HASH.VERSION.json and its NUL: 64 + 1 + 19 + 5 + 1 */

struct file_name {
    char text[NAME_MAX_LEN];
};

static struct file_name name_of(const struct hf_bundle_record *record, const char *extension)
{
    struct file_name name;

    (void)snprintf(name.text, sizeof(name.text), "%.64s.%" PRId64 "%s", record->sha256,
                   record->version, extension);
    return name;
}

static enum hf_err folder_of(const char *state_dir, char **out, struct hf_why *why)
{
    return hf_file_join(state_dir, "bundles", out, why);
}

static const char *link_name(enum hf_slot slot)
{
    return slot == HF_SLOT_ACTIVE ? "active" : slot == HF_SLOT_PREVIOUS ? "previous" : NULL;
}

/* ---- the .json beside the .pem ------------------------------------------------------------------ */

static enum hf_err describe(const struct hf_bundle_record *record, struct hf_buf *out,
                            struct hf_why *why)
{
    json_t *custom = json_null();
    if (record->custom.len > 0)
        HF_TRY(hf_json_parse_object(hf_buf_bytes(&record->custom), "the bundle's custom", &custom,
                                    why));

    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:o}", "set", record->set, "profile",
                               record->profile, "version", (json_int_t)record->version, "sha256",
                               record->sha256, "custom", custom);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    enum hf_err err = text == NULL ? HF_E_MEMORY : hf_buf_append_text(out, text);
    if (err == HF_OK)
        err = hf_buf_append_text(out, "\n");
    free(text);
    json_decref(object);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory describing a bundle");
}

static enum hf_err copy_name(const json_t *object, const char *key, char out[65],
                             struct hf_why *why)
{
    const char *text = NULL;

    HF_TRY(hf_json_get_text(object, key, "the bundle's description", &text, why));
    if (strlen(text) > 64)
        return hf_fail(why, HF_E_FORMAT, "the bundle's description has a %s of %zu characters", key,
                       strlen(text));
    memcpy(out, text, strlen(text) + 1);
    return HF_OK;
}

static enum hf_err read_description(const json_t *object, struct hf_bundle_record *out,
                                    struct hf_why *why)
{
    HF_TRY(copy_name(object, "set", out->set, why));
    HF_TRY(copy_name(object, "profile", out->profile, why));
    HF_TRY(copy_name(object, "sha256", out->sha256, why));
    HF_TRY(
        hf_json_get_integer(object, "version", "the bundle's description", 0, &out->version, why));
    const json_t *custom = json_object_get(object, "custom");
    if (!json_is_object(custom))
        return HF_OK;
    char *text = json_dumps(custom, JSON_COMPACT | JSON_PRESERVE_ORDER);
    enum hf_err err = text == NULL ? HF_E_MEMORY : hf_buf_append_text(&out->custom, text);
    free(text);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "out of memory reading a bundle");
}

/* ---- writing ------------------------------------------------------------------------------------ */

static enum hf_err place_unless_whole(const char *dir, struct file_name name, struct hf_bytes bytes,
                                      bool *was_placed, struct hf_why *why)
{
    char *path = NULL;

    HF_TRY(hf_file_join(dir, name.text, &path, why));
    enum hf_err err = HF_OK;
    if (!hf_file_has_content(path, bytes)) {
        err = hf_file_place(path, bytes, BUNDLE_FILE_MODE, why);
        *was_placed = true;
    }
    free(path);
    return err;
}

/* The bytes are on disk when this returns, their names with the next sync of the folder. Until a link
 * leads to them the names are not used, and the folder is synced once the links are moved; were
 * they lost in between, the next open writes the files again from the database. */
static enum hf_err write_pair(const char *dir, const struct hf_bundle_record *record,
                              bool *was_placed, struct hf_why *why)
{
    struct hf_buf description = {0};

    enum hf_err err = describe(record, &description, why);
    if (err == HF_OK)
        err = place_unless_whole(dir, name_of(record, ".json"), hf_buf_bytes(&description),
                                 was_placed, why);
    if (err == HF_OK)
        err = place_unless_whole(dir, name_of(record, ".pem"), hf_buf_bytes(&record->pem),
                                 was_placed, why);
    hf_buf_free(&description);
    return err;
}

static enum hf_err make_folder(const char *state_dir, const char *dir, struct hf_why *why)
{
    bool was_made = false;

    HF_TRY(hf_file_make_dir(dir, &was_made, why));
    /* A user who may write STATE must not make a privileged agent write and remove elsewhere. */
    if (hf_file_is_link(dir))
        return hf_fail(why, HF_E_STORAGE,
                       "%s should be a folder, it is a symbolic link; remove the link", dir);
    return was_made ? hf_file_sync_dir(state_dir, why) : HF_OK;
}

enum hf_err hf_bundle_files_write(const char *state_dir, const struct hf_bundle_record *record,
                                  struct hf_why *why)
{
    char *dir = NULL;
    bool was_placed = false;

    HF_TRY(folder_of(state_dir, &dir, why));
    enum hf_err err = make_folder(state_dir, dir, why);
    if (err == HF_OK)
        err = write_pair(dir, record, &was_placed, why);
    free(dir);
    return err;
}

/* ---- following the database --------------------------------------------------------------------- */

static bool points_to(const char *path, const char *target)
{
    char *found = NULL;

    bool is_same = hf_file_read_link(path, &found, NULL) == HF_OK && strcmp(found, target) == 0;
    free(found);
    return is_same;
}

/* `record` NULL: no link. */
static enum hf_err point_link(const char *dir, enum hf_slot slot,
                              const struct hf_bundle_record *record, bool *was_moved,
                              struct hf_why *why)
{
    char *path = NULL;
    enum hf_err err = HF_OK;

    HF_TRY(hf_file_join(dir, link_name(slot), &path, why));
    if (record == NULL) {
        if (unlink(path) == 0)
            *was_moved = true;
        else if (errno != ENOENT)
            err = hf_file_fail(why, "remove", path, errno);
    } else {
        struct file_name target = name_of(record, ".pem");
        if (!points_to(path, target.text)) {
            err = hf_file_replace_link(path, target.text, why);
            *was_moved = true;
        }
    }
    free(path);
    return err;
}

static bool is_file_of(const struct hf_bundle_record *record, const char *name)
{
    return record != NULL && (strcmp(name, name_of(record, ".pem").text) == 0 ||
                              strcmp(name, name_of(record, ".json").text) == 0);
}

static bool is_in_use(const struct hf_bundle_slots *slots, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (strcmp(name, "active") == 0 || strcmp(name, "previous") == 0)
        return true;
    return is_file_of(slots->active, name) || is_file_of(slots->previous, name) ||
           is_file_of(slots->staged, name);
}

/* Only what has a name of our own form is ours to remove: 64 hexadecimal digits and a dot, with one
 * more dot in front while it is being written; the list of revoked keys while it is being written; and
 * links on their way. */
static bool is_ours(const char *name)
{
    if (strcmp(name, "active.new") == 0 || strcmp(name, "previous.new") == 0)
        return true;
    if (strncmp(name, "." HF_REVOKED_FILE ".", sizeof("." HF_REVOKED_FILE ".") - 1) == 0)
        return true;
    const char *hash = name[0] == '.' ? name + 1 : name;
    return strspn(hash, "0123456789abcdef") == HF_SHA256_HEX_LEN - 1 &&
           hash[HF_SHA256_HEX_LEN - 1] == '.';
}

/* A file that stays is removed the next time; it does no harm meanwhile. */
static void remove_unused(const char *dir, const struct hf_bundle_slots *slots)
{
    DIR *folder = opendir(dir);
    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (is_ours(entry->d_name) && !is_in_use(slots, entry->d_name))
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

static enum hf_err follow_in(const char *dir, const struct hf_bundle_slots *slots,
                             struct hf_why *why)
{
    /* Two slots may share files, when new keys describe the same content again: the active one's
     * description is written last. */
    const struct hf_bundle_record *records[] = {slots->staged, slots->previous, slots->active};
    bool has_changed = false;

    /* On disk before a link leads to a bundle that it says something about. */
    if (slots->revoked != NULL)
        HF_TRY(place_unless_whole(dir, (struct file_name){HF_REVOKED_FILE},
                                  hf_buf_bytes(slots->revoked), &has_changed, why));
    if (has_changed)
        HF_TRY(hf_file_sync_dir(dir, why));
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        if (records[i] != NULL)
            HF_TRY(write_pair(dir, records[i], &has_changed, why));
    }
    HF_TRY(point_link(dir, HF_SLOT_ACTIVE, slots->active, &has_changed, why));
    HF_TRY(point_link(dir, HF_SLOT_PREVIOUS, slots->previous, &has_changed, why));
    if (has_changed)
        HF_TRY(hf_file_sync_dir(dir, why));
    remove_unused(dir, slots);
    return HF_OK;
}

enum hf_err hf_bundle_files_follow(const char *state_dir, const struct hf_bundle_slots *slots,
                                   struct hf_why *why)
{
    char *dir = NULL;

    HF_TRY(folder_of(state_dir, &dir, why));
    enum hf_err err = make_folder(state_dir, dir, why);
    if (err == HF_OK)
        err = follow_in(dir, slots, why);
    free(dir);
    return err;
}

/* ---- loading without the database ---------------------------------------------------------------- */

static enum hf_err load_description(const char *path, struct hf_bundle_record *out,
                                    struct hf_why *why)
{
    struct hf_buf text = {0};
    json_t *object = NULL;

    enum hf_err err = hf_file_read(path, HF_TARGETS_BYTES_MAX, &text, why);
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), "the bundle's description", &object, why);
    if (err == HF_OK)
        err = read_description(object, out, why);
    json_decref(object);
    hf_buf_free(&text);
    return err;
}

/* The link's name, the .json and the bytes must tell the same. */
static enum hf_err verify_pem(const struct hf_bundle_record *record, const char *target,
                              struct hf_why *why)
{
    char found[HF_SHA256_HEX_LEN];

    hf_sha256_hex(hf_buf_bytes(&record->pem), found);
    if (strcmp(found, record->sha256) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "the bundle file %s is damaged: its SHA-256 should be %s, it is %s", target,
                       record->sha256, found);
    if (strcmp(target, name_of(record, ".pem").text) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "the bundle file %s is not what its name says: it is version %" PRId64
                       " with SHA-256 %s",
                       target, record->version, found);
    return HF_OK;
}

/* The link promised both files: that one is absent is damage, not emptiness. */
static enum hf_err load_pair(const char *json_path, const char *pem_path,
                             struct hf_bundle_record *out, struct hf_why *why)
{
    if (!hf_file_exists(json_path) || !hf_file_exists(pem_path))
        return hf_fail(why, HF_E_STORAGE, "%s or the .json beside it is missing", pem_path);
    HF_TRY(load_description(json_path, out, why));
    return hf_file_read(pem_path, HF_BUNDLE_BYTES_MAX, &out->pem, why);
}

static enum hf_err load_target(const char *dir, const char *target, struct hf_bundle_record *out,
                               struct hf_why *why)
{
    const size_t extension_len = strlen(".pem");
    size_t len = strlen(target);
    if (strchr(target, '/') != NULL || len <= extension_len ||
        strcmp(target + len - extension_len, ".pem") != 0)
        return hf_fail(why, HF_E_STORAGE, "the bundle link points to \"%s\", not to a bundle file",
                       target);

    struct hf_buf pem_path = {0};
    struct hf_buf json_path = {0};
    enum hf_err err = hf_buf_printf(&pem_path, "%s/%s", dir, target);
    if (err == HF_OK)
        err = hf_buf_printf(&json_path, "%s/%.*s.json", dir, (int)(len - extension_len), target);
    if (err == HF_OK)
        err = load_pair((const char *)json_path.data, (const char *)pem_path.data, out, why);
    else
        err = hf_fail(why, err, "out of memory loading a bundle");
    if (err == HF_OK)
        err = verify_pem(out, target, why);
    hf_buf_free(&json_path);
    hf_buf_free(&pem_path);
    return err;
}

enum hf_err hf_bundle_files_load(const char *state_dir, enum hf_slot slot,
                                 struct hf_bundle_record *out, struct hf_why *why)
{
    char *dir = NULL;
    char *link = NULL;
    char *target = NULL;
    struct hf_bundle_record record = {0};

    if (link_name(slot) == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "a staged bundle has no link");
    HF_TRY(folder_of(state_dir, &dir, why));
    enum hf_err err = hf_file_join(dir, link_name(slot), &link, why);
    if (err == HF_OK)
        err = hf_file_read_link(link, &target, why);
    if (err == HF_OK)
        err = load_target(dir, target, &record, why);
    if (err == HF_OK)
        *out = record;
    else
        hf_bundle_record_free(&record);
    free(target);
    free(link);
    free(dir);
    return err;
}

bool hf_bundle_files_exist(const char *state_dir)
{
    struct hf_bundle_record record = {0};

    bool exist = hf_bundle_files_load(state_dir, HF_SLOT_ACTIVE, &record, NULL) == HF_OK;
    hf_bundle_record_free(&record);
    return exist;
}
