#include "client/port/identity/slots.h"

#include "client/port/identity/limits.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0 for any other name than that of a slot. */
static unsigned number_of(const char *name)
{
    unsigned number = 0;

    if (name[0] == '0')
        return 0;
    for (; *name >= '0' && *name <= '9' && number <= HF_SLOT_NUMBER_MAX / 10; name++)
        number = number * 10 + (unsigned)(*name - '0');
    return *name == '\0' && number <= HF_SLOT_NUMBER_MAX ? number : 0;
}

enum hf_err hf_slots_path(const struct hf_slots *slots, unsigned number, const char *file,
                          struct hf_path *out, struct hf_why *why)
{
    if (number == 0)
        return hf_path_set(out, why, "%s/" HF_SLOT_CURRENT "/%s", slots->dir.text, file);
    return hf_path_set(out, why, "%s/%u/%s", slots->dir.text, number, file);
}

static bool has_file(const struct hf_slots *slots, unsigned number, const char *file)
{
    struct hf_path path;

    return hf_slots_path(slots, number, file, &path, NULL) == HF_OK && hf_file_exists(path.text);
}

/* A link that leads nowhere, as after damage to the disk, is none. */
static enum hf_err read_current(struct hf_slots *slots, struct hf_why *why)
{
    struct hf_path link;
    char *target = NULL;

    HF_TRY(hf_path_set(&link, why, "%s/" HF_SLOT_CURRENT, slots->dir.text));
    enum hf_err err = hf_file_read_link(link.text, &target, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    HF_TRY(err);
    slots->current = number_of(target);
    free(target);
    if (slots->current != 0 && !has_file(slots, slots->current, HF_SLOT_CERTIFICATE))
        slots->current = 0;
    return HF_OK;
}

/* Calls `each` for every name in the folder. */
static enum hf_err walk(struct hf_slots *slots,
                        enum hf_err (*each)(struct hf_slots *slots, const char *name,
                                            struct hf_why *why),
                        struct hf_why *why)
{
    const struct dirent *entry;
    enum hf_err err = HF_OK;
    DIR *folder = opendir(slots->dir.text);

    if (folder == NULL)
        return errno == ENOENT ? HF_OK
                               : hf_file_fail(why, "open the folder", slots->dir.text, errno);
    while (err == HF_OK && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, HF_SLOT_CURRENT) != 0)
            err = each(slots, entry->d_name, why);
    }
    (void)closedir(folder);
    return err;
}

static enum hf_err count(struct hf_slots *slots, const char *name, struct hf_why *why)
{
    unsigned number = number_of(name);

    (void)why;
    if (number > slots->highest)
        slots->highest = number;
    if (number == 0 || number == slots->current || !has_file(slots, number, HF_SLOT_CERTIFICATE))
        return HF_OK;
    unsigned *place = number > slots->current ? &slots->candidate : &slots->predecessor;
    if (number > *place)
        *place = number;
    return HF_OK;
}

enum hf_err hf_slots_read(const char *state_dir, struct hf_slots *out, struct hf_why *why)
{
    struct hf_slots slots = {0};

    HF_TRY(hf_path_set(&slots.dir, why, "%s/identity", state_dir));
    HF_TRY(read_current(&slots, why));
    HF_TRY(walk(&slots, count, why));
    if (slots.highest > slots.current && slots.highest > slots.candidate)
        slots.draft = slots.highest;
    *out = slots;
    return HF_OK;
}

static enum hf_err remove_unused(struct hf_slots *slots, const char *name, struct hf_why *why)
{
    struct hf_path path;
    unsigned number = number_of(name);

    if (number != 0 && (number == slots->current || number == slots->predecessor ||
                        number == slots->candidate || number == slots->draft))
        return HF_OK;
    HF_TRY(hf_path_set(&path, why, "%s/%s", slots->dir.text, name));
    hf_file_remove_tree(path.text);
    return hf_file_exists(path.text)
               ? hf_fail(why, HF_E_STORAGE, "cannot remove %s, which is not used", path.text)
               : HF_OK;
}

enum hf_err hf_slots_clean(struct hf_slots *slots, struct hf_why *why)
{
    return walk(slots, remove_unused, why);
}

enum hf_err hf_slots_add(struct hf_slots *slots, struct hf_bytes key_pem, struct hf_why *why)
{
    unsigned number = slots->highest + 1;
    struct hf_path path;
    bool was_made = false;

    if (number > HF_SLOT_NUMBER_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s: expected numbers up to %u", slots->dir.text,
                       HF_SLOT_NUMBER_MAX);
    HF_TRY(hf_file_make_dir(slots->dir.text, &was_made, why));
    if (was_made)
        HF_TRY(hf_file_sync_parent(slots->dir.text, why));
    HF_TRY(hf_path_set(&path, why, "%s/%u", slots->dir.text, number));
    HF_TRY(hf_file_make_new_dir(path.text, 0700, why));
    slots->draft = slots->highest = number;
    if (key_pem.len == 0)
        return HF_OK;
    HF_TRY(hf_slots_path(slots, number, HF_SLOT_KEY, &path, why));
    return hf_file_replace(path.text, key_pem, 0600, why);
}

enum hf_err hf_slots_put_service(const struct hf_slots *slots, const char *url, struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_slots_path(slots, slots->draft, HF_SLOT_SERVICE, &path, why));
    return hf_file_replace(path.text, hf_bytes_of_text(url), 0600, why);
}

enum hf_err hf_slots_get_service(const struct hf_slots *slots, unsigned number, struct hf_buf *url,
                                 struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_slots_path(slots, number, HF_SLOT_SERVICE, &path, why));
    return hf_file_read(path.text, HF_ORIGIN_TEXT_MAX, url, why);
}

enum hf_err hf_slots_put_certificate(struct hf_slots *slots, struct hf_bytes pem,
                                     struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_slots_path(slots, slots->draft, HF_SLOT_CERTIFICATE, &path, why));
    HF_TRY(hf_file_replace(path.text, pem, 0600, why));
    slots->candidate = slots->draft;
    slots->draft = 0;
    return HF_OK;
}

enum hf_err hf_slots_adopt(struct hf_slots *slots, struct hf_why *why)
{
    struct hf_path link;
    char target[16];

    (void)snprintf(target, sizeof target, "%u", slots->candidate);
    HF_TRY(hf_path_set(&link, why, "%s/" HF_SLOT_CURRENT, slots->dir.text));
    HF_TRY(hf_file_replace_link(link.text, target, why));
    HF_TRY(hf_file_sync_parent(link.text, why));
    slots->predecessor = slots->current;
    slots->current = slots->candidate;
    slots->candidate = 0;
    return HF_OK;
}

enum hf_err hf_slots_load(const struct hf_slots *slots, unsigned number,
                          const struct hf_device_key *key, struct hf_client_auth *out,
                          struct hf_why *why)
{
    struct hf_path cert_file, key_file;

    HF_TRY(hf_slots_path(slots, number, HF_SLOT_CERTIFICATE, &cert_file, why));
    HF_TRY(hf_slots_path(slots, number, HF_SLOT_KEY, &key_file, why));
    const struct hf_client_auth_source source = {cert_file.text, key_file.text, key};
    return hf_client_auth_load(&source, out, why);
}
