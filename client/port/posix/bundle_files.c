#include "client/port/posix/bundle_files.h"

#include "client/port/posix/db.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/json/json.h"
#include "common/os/file_util.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE 0644 /* of what is public; the folder is for its owner alone */
#define REVOKED_FILE "revoked"

struct file_name {
    char text[100]; /* HASH.VERSION.json and its NUL: 64 + 1 + 19 + 5 + 1 */
};

static struct file_name name_of(const struct hf_bundle_record *record, const char *extension)
{
    struct file_name name;

    (void)snprintf(name.text, sizeof name.text, "%.64s.%" PRId64 "%s", record->sha256,
                   record->version, extension);
    return name;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The text of the .json beside the .pem. */
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
    enum hf_err err = hf_json_dump(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER, out, why);
    json_decref(object);
    if (err == HF_OK && hf_buf_append_text(out, "\n") != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory describing a bundle");
    return err;
}

static enum hf_err write_unless_whole(const char *dir, const char *name, struct hf_bytes bytes,
                                      struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/%s", dir, name));
    return hf_file_has_content(path.text, bytes) ? HF_OK
                                                 : hf_file_place(path.text, bytes, FILE_MODE, why);
}

static enum hf_err write_pair(const char *dir, const struct hf_bundle_record *record,
                              struct hf_why *why)
{
    struct hf_buf description = {0};

    enum hf_err err = describe(record, &description, why);
    if (err == HF_OK)
        err = write_unless_whole(dir, name_of(record, ".json").text, hf_buf_bytes(&description),
                                 why);
    if (err == HF_OK)
        err = write_unless_whole(dir, name_of(record, ".pem").text, hf_buf_bytes(&record->pem),
                                 why);
    hf_buf_free(&description);
    return err;
}

static enum hf_err make_folder(const char *state_dir, struct hf_path *out, struct hf_why *why)
{
    bool was_made = false;

    HF_TRY(hf_path_set(out, why, "%s/bundles", state_dir));
    HF_TRY(hf_file_make_dir(out->text, &was_made, why));
    /* A user who may write STATE must not make a privileged agent write and remove elsewhere. */
    if (hf_file_is_link(out->text))
        return hf_fail(why, HF_E_STORAGE,
                       "%s should be a folder, it is a symbolic link; remove the link", out->text);
    return HF_OK;
}

enum hf_err hf_bundle_files_write(const char *state_dir, const struct hf_bundle_record *record,
                                  struct hf_why *why)
{
    struct hf_path dir;

    HF_TRY(make_folder(state_dir, &dir, why));
    return write_pair(dir.text, record, why);
}

/* Where the database cannot be written at the next start, this file says what is revoked. So it is
 * on disk before a link leads to a bundle that it says something about, unless no key is revoked,
 * as without it. */
static enum hf_err write_revoked(const char *dir, struct hf_bytes keys, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf lines = {0};
    struct hf_buf content = {0};
    char sha256[HF_SHA256_HEX_LEN];

    HF_TRY(hf_path_set(&path, why, "%s/" REVOKED_FILE, dir));
    enum hf_err err = hf_revoked_format(keys, &lines, sha256, why);
    if (err == HF_OK && hf_buf_printf(&content, "%s\n%s", sha256, (char *)lines.data) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    if (err == HF_OK && !hf_file_has_content(path.text, hf_buf_bytes(&content)))
        err = keys.len == 0 && !hf_file_exists(path.text)
                  ? hf_file_place(path.text, hf_buf_bytes(&content), FILE_MODE, why)
                  : hf_file_replace(path.text, hf_buf_bytes(&content), FILE_MODE, why);
    hf_buf_free(&lines);
    hf_buf_free(&content);
    return err;
}

/* `record` NULL: no link. */
static enum hf_err point_link(const char *dir, const char *name,
                              const struct hf_bundle_record *record, struct hf_why *why)
{
    struct hf_path path;
    char *found = NULL;

    HF_TRY(hf_path_set(&path, why, "%s/%s", dir, name));
    if (record == NULL)
        return unlink(path.text) == 0 || errno == ENOENT
                   ? HF_OK
                   : hf_file_fail(why, "remove", path.text, errno);
    const struct file_name target = name_of(record, ".pem");
    bool is_there = hf_file_read_link(path.text, &found, NULL) == HF_OK &&
                    strcmp(found, target.text) == 0;
    free(found);
    return is_there ? HF_OK : hf_file_replace_link(path.text, target.text, why);
}

/* Only what has a name of our own form is ours to remove: 64 hexadecimal digits and a dot, with one
 * more dot in front while it is being written; the list of revoked keys while it is being written;
 * and links on their way. */
static bool is_ours(const char *name)
{
    if (strcmp(name, "active.new") == 0 || strcmp(name, "previous.new") == 0)
        return true;
    if (strncmp(name, "." REVOKED_FILE ".", sizeof("." REVOKED_FILE ".") - 1) == 0)
        return true;
    const char *hash = name[0] == '.' ? name + 1 : name;
    return strspn(hash, "0123456789abcdef") == HF_SHA256_HEX_LEN - 1 &&
           hash[HF_SHA256_HEX_LEN - 1] == '.';
}

/* A file that stays is removed the next time; it does no harm meanwhile. */
static void remove_unused(const char *dir, const struct hf_bundle_record *const records[3])
{
    DIR *folder = opendir(dir);

    if (folder == NULL)
        return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const char *name = entry->d_name;
        bool is_in_use = !is_ours(name);
        for (size_t i = 0; i < 3 && !is_in_use; i++)
            is_in_use = records[i] != NULL &&
                        (strcmp(name, name_of(records[i], ".pem").text) == 0 ||
                         strcmp(name, name_of(records[i], ".json").text) == 0);
        if (!is_in_use)
            (void)unlinkat(dirfd(folder), name, 0);
    }
    closedir(folder);
}

enum hf_err hf_bundle_files_follow(const char *state_dir, const struct hf_bundle_slots *slots,
                                   struct hf_why *why)
{
    /* Two slots may share files, when new keys describe the same content again: the active one's
     * description is written last. */
    const struct hf_bundle_record *const records[] = {slots->staged, slots->previous,
                                                      slots->active};
    struct hf_path dir;

    HF_TRY(make_folder(state_dir, &dir, why));
    if (slots->revoked != NULL)
        HF_TRY(write_revoked(dir.text, hf_buf_bytes(slots->revoked), why));
    for (size_t i = 0; i < 3; i++) {
        if (records[i] != NULL)
            HF_TRY(write_pair(dir.text, records[i], why));
    }
    HF_TRY(point_link(dir.text, "active", slots->active, why));
    HF_TRY(point_link(dir.text, "previous", slots->previous, why));
    remove_unused(dir.text, records);
    return HF_OK;
}

/* ---- loading without the database ------------------------------------------------------------ */

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
    return hf_json_dump(custom, JSON_COMPACT | JSON_PRESERVE_ORDER, &out->custom, why);
}

/* Both files of `target`, the .pem that a link names. The name, the .json and the bytes must
 * agree. */
static enum hf_err load_pair(const char *dir, const char *target, struct hf_bundle_record *out,
                             struct hf_why *why)
{
    size_t stem_len = strlen(target) > strlen(".pem") ? strlen(target) - strlen(".pem") : 0;
    struct hf_path pem_path, json_path;
    struct hf_buf text = {0};
    json_t *object = NULL;
    char found[HF_SHA256_HEX_LEN];

    if (strchr(target, '/') != NULL || stem_len == 0 || strcmp(target + stem_len, ".pem") != 0)
        return hf_fail(why, HF_E_STORAGE, "the bundle link points to \"%s\", not to a bundle file",
                       target);
    HF_TRY(hf_path_set(&pem_path, why, "%s/%s", dir, target));
    HF_TRY(hf_path_set(&json_path, why, "%s/%.*s.json", dir, (int)stem_len, target));
    /* The link promised both files: that one is absent is damage, not emptiness. */
    if (!hf_file_exists(json_path.text) || !hf_file_exists(pem_path.text))
        return hf_fail(why, HF_E_STORAGE, "%s or the .json beside it is missing", pem_path.text);
    enum hf_err err = hf_file_read(json_path.text, HF_TARGETS_BYTES_MAX, &text, why);
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), "the bundle's description", &object, why);
    if (err == HF_OK)
        err = read_description(object, out, why);
    json_decref(object);
    hf_buf_free(&text);
    HF_TRY(err);
    HF_TRY(hf_file_read(pem_path.text, HF_BUNDLE_BYTES_MAX, &out->pem, why));
    hf_sha256_hex(hf_buf_bytes(&out->pem), found);
    if (strcmp(found, out->sha256) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "the bundle file %s is damaged: its SHA-256 should be %s, it is %s", target,
                       out->sha256, found);
    if (strcmp(target, name_of(out, ".pem").text) != 0)
        return hf_fail(why, HF_E_STORAGE,
                       "the bundle file %s is not what its name says: it is version %" PRId64
                       " with SHA-256 %s",
                       target, out->version, found);
    return HF_OK;
}

enum hf_err hf_bundle_files_load(const char *state_dir, enum hf_slot slot,
                                 struct hf_bundle_record *out, struct hf_why *why)
{
    struct hf_path dir, link;
    char *target = NULL;
    struct hf_bundle_record record = {0};

    if (slot == HF_SLOT_STAGED)
        return hf_fail(why, HF_E_NOT_FOUND, "a staged bundle has no link");
    HF_TRY(hf_path_set(&dir, why, "%s/bundles", state_dir));
    HF_TRY(
        hf_path_set(&link, why, "%s/%s", dir.text, slot == HF_SLOT_ACTIVE ? "active" : "previous"));
    HF_TRY(hf_file_read_link(link.text, &target, why));
    enum hf_err err = load_pair(dir.text, target, &record, why);
    if (err == HF_OK)
        *out = record;
    else
        hf_bundle_record_free(&record);
    free(target);
    return err;
}

enum hf_err hf_revoked_file_load(const char *state_dir, struct hf_buf *out, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf file = {0};
    struct hf_buf keys = {0};
    char sha256[HF_SHA256_HEX_LEN];
    const size_t head_len = HF_REVOKED_LINE_LEN; /* the first line */

    HF_TRY(hf_path_set(&path, why, "%s/bundles/" REVOKED_FILE, state_dir));
    enum hf_err err = hf_file_read(path.text, head_len + HF_REVOKED_LINES_MAX, &file, why);
    if (err == HF_OK && (file.len < head_len || file.data[head_len - 1] != '\n'))
        err = hf_fail(why, HF_E_STORAGE, "%s is damaged: it does not begin with a SHA-256",
                      path.text);
    if (err == HF_OK) {
        memcpy(sha256, file.data, head_len - 1);
        sha256[head_len - 1] = '\0';
        err = hf_revoked_parse((struct hf_bytes){file.data + head_len, file.len - head_len}, sha256,
                               path.text, &keys, why);
    }
    if (err == HF_OK && hf_buf_append(out, keys.data, keys.len) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the revoked keys");
    hf_buf_free(&keys);
    hf_buf_free(&file);
    return err;
}

bool hf_bundle_files_exist(const char *state_dir)
{
    struct hf_bundle_record record = {0};

    bool exist = hf_bundle_files_load(state_dir, HF_SLOT_ACTIVE, &record, NULL) == HF_OK;
    hf_bundle_record_free(&record);
    return exist;
}
