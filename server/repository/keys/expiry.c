#include "server/repository/keys/expiry.h"

#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdlib.h>

#define FILE_BYTES_MAX 4096

struct hf_expiry hf_expiry_default(void)
{
    return (struct hf_expiry){.days = {[HF_ROLE_ROOT] = HF_EXPIRY_ROOT_DAYS,
                                       [HF_ROLE_TARGETS] = HF_EXPIRY_TARGETS_DAYS,
                                       [HF_ROLE_SNAPSHOT] = HF_EXPIRY_SNAPSHOT_DAYS,
                                       [HF_ROLE_TIMESTAMP] = HF_EXPIRY_TIMESTAMP_DAYS}};
}

static const enum hf_top_role all_roles[HF_TOP_ROLES] = {HF_ROLE_ROOT, HF_ROLE_TARGETS,
                                                         HF_ROLE_SNAPSHOT, HF_ROLE_TIMESTAMP};

enum hf_err hf_expiry_check(const struct hf_expiry *expiry, struct hf_why *why)
{
    for (size_t i = 0; i < HF_TOP_ROLES; i++) {
        int64_t days = expiry->days[all_roles[i]];
        if (days < 1 || days > HF_EXPIRY_DAYS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "%s may last 1 to %d days, not %" PRId64,
                           hf_top_role_name(all_roles[i]), HF_EXPIRY_DAYS_MAX, days);
    }
    return HF_OK;
}

static enum hf_err file_name(const struct hf_key_folder *folder, struct hf_path *out,
                             struct hf_why *why)
{
    return hf_path_set(out, why, "%s/expiry.json", folder->path.text);
}

static json_t *to_json(enum hf_key_half half, const struct hf_expiry *expiry)
{
    json_t *object = json_object();
    for (size_t i = 0; i < HF_TOP_ROLES && object != NULL; i++) {
        enum hf_top_role role = all_roles[i];
        if (hf_key_half_of(role) == half &&
            json_object_set_new(object, hf_top_role_name(role),
                                json_pack("{s:I}", "days", (json_int_t)expiry->days[role])) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

enum hf_err hf_expiry_create(const struct hf_key_folder *folder, enum hf_key_half half,
                             const struct hf_expiry *expiry, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(file_name(folder, &path, why));
    json_t *object = to_json(half, expiry);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(object);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %s", path.text);
    enum hf_err err = hf_file_create(path.text, 0600, hf_bytes_of_text(text), why);
    free(text);
    return err;
}

static enum hf_err parse(const json_t *object, const char *name, enum hf_key_half half,
                         struct hf_expiry *expiry, struct hf_why *why)
{
    struct hf_expiry read = *expiry;
    struct hf_why reason;
    for (size_t i = 0; i < HF_TOP_ROLES; i++) {
        json_t *member = NULL;
        if (hf_key_half_of(all_roles[i]) != half)
            continue;
        HF_TRY(hf_json_get_object(object, hf_top_role_name(all_roles[i]), name, &member, why));
        HF_TRY(hf_json_get_integer(member, "days", name, 1, &read.days[all_roles[i]], why));
    }
    if (hf_expiry_check(&read, &reason) != HF_OK)
        return hf_fail(why, HF_E_FORMAT, "%s: %s", name, reason.text);
    *expiry = read;
    return HF_OK;
}

enum hf_err hf_expiry_read(const struct hf_key_folder *folder, enum hf_key_half half,
                           struct hf_expiry *expiry, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf text = {0};
    json_t *object = NULL;
    HF_TRY(file_name(folder, &path, why));
    enum hf_err err = hf_file_read_any(path.text, FILE_BYTES_MAX, &text, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), path.text, &object, why);
    if (err == HF_OK)
        err = parse(object, path.text, half, expiry, why);
    json_decref(object);
    hf_buf_free(&text);
    return err;
}

int64_t hf_expiry_of(const struct hf_expiry *expiry, enum hf_top_role role, int64_t now_s)
{
    return now_s + expiry->days[role] * HF_DAY_S;
}
