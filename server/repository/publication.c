#include "server/repository/publication.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/repository/base/terminal.h"

#include <inttypes.h>

/* Beyond the end of the newest timestamp. Servers renew certificates of 90 days 30 days before they
 * end: a floor that is moved by no more leaves devices what they validate. */
#define CLOCK_AHEAD_MAX_S (30 * HF_DAY_S)

static enum hf_err check_clock(const struct hf_publication *p, bool is_clock_right,
                               struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], other[HF_TIME_TEXT_MAX];
    const int64_t signed_at_s = hf_trusted_set_signed_at(&p->set);
    const int64_t end_s = p->set.timestamp->env.expires_s;
    hf_time_format(p->now_s, now);
    /* Devices take the newest signed_at as the least the time can be, and old signatures must not
     * look newer than new ones. */
    if (signed_at_s != HF_TIME_NONE && signed_at_s > p->now_s) {
        hf_time_format(signed_at_s, other);
        return hf_fail(why, HF_E_POLICY,
                       "this machine's clock says %s, but the repository was signed at %s; "
                       "set the clock",
                       now, other);
    }
    if (is_clock_right)
        return HF_OK;
    /* A timestamp carries no time of signing: for refresh, the record beside the keys has it. */
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        if (!p->is_used[location] || p->record[location].signed_at_s <= p->now_s)
            continue;
        hf_time_format(p->record[location].signed_at_s, other);
        return hf_fail(why, HF_E_POLICY,
                       "this machine's clock says %s, but these keys signed at %s; set the clock, "
                       "or give --clock-is-right",
                       now, other);
    }
    /* What is signed far ahead of time moves every device's clock floor there permanently. */
    if (p->now_s - CLOCK_AHEAD_MAX_S > end_s) {
        hf_time_format(end_s, other);
        return hf_fail(why, HF_E_POLICY,
                       "this machine's clock says %s, more than 30 days after the timestamp ended "
                       "(%s); set the clock, or give --clock-is-right",
                       now, other);
    }
    return HF_OK;
}

/* Trust begins in the keys folder: a repository cannot say of itself whose it is. */
static enum hf_err verify_from_keys(struct hf_publication *p, enum hf_key_location location,
                                    struct hf_trusted_set *out, struct hf_why *why)
{
    struct hf_buf root = {0};
    HF_TRY(hf_trusted_root_read(&p->keys->folders[location], &root, why));
    const struct hf_repo repo = {.dir = p->repo.dir,
                                 .trusted_root = hf_buf_bytes(&root),
                                 .root_max = p->repo.root_max};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, out, why);
    hf_buf_free(&root);
    return err;
}

/* Compare with what these keys signed last. */
static enum hf_err check_record(struct hf_publication *p, enum hf_key_location location,
                                struct hf_why *why)
{
    HF_TRY(hf_rollback_record_read(&p->keys->folders[location], &p->record[location], why));
    HF_TRY(hf_rollback_record_check(&p->record[location], &p->repo, &p->published, why));
    p->is_used[location] = true;
    return HF_OK;
}

/* The online keys sign too where they are at hand, so their trusted root must agree as well. */
static enum hf_err add_online_keys(struct hf_publication *p, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_path root;
    if (p->repo.root_max == 0) {
        enum hf_err err = hf_publication_find_online(p, why);
        if (err != HF_OK)
            return err == HF_E_NOT_FOUND ? HF_OK : err;
    } else {
        /* In a ceremony the keys may be those of the next root; that they know this repository
         * counts. */
        const struct hf_path *folder = &p->keys->folders[HF_KEYS_ONLINE].path;
        HF_TRY(hf_path_set(&root, why, "%s/root.json", folder->text));
        if (!hf_file_exists(root.text))
            return HF_OK;
    }
    HF_TRY(verify_from_keys(p, HF_KEYS_ONLINE, &set, why));
    hf_trusted_set_free(&set);
    return check_record(p, HF_KEYS_ONLINE, why);
}

/* Root is never signed here, and targets not with online keys alone. */
static enum hf_err check_extra_keys(const struct hf_publication *p, bool signs_targets,
                                    struct hf_why *why)
{
    static const enum hf_top_role roles[] = {HF_ROLE_TIMESTAMP, HF_ROLE_SNAPSHOT, HF_ROLE_TARGETS};
    return hf_key_set_check_extra(p->keys, p->set.root, p->next, roles, signs_targets ? 3 : 2, why);
}

enum hf_err hf_publication_open(const struct hf_publication_context *context,
                                struct hf_publication *out, struct hf_why *why)
{
    const char *passphrase_file = context->passphrase_file;
    const char *online_passphrase_file = context->online_passphrase_file;
    struct hf_publication p = {.now_s = context->now_s,
                               .lock = -1,
                               .repo = {.dir = context->repo_dir, .root_max = context->root_max},
                               .expiry = hf_expiry_default()};
    p.keys = context->keys != NULL ? context->keys : &p.own_keys;
    if (online_passphrase_file == NULL)
        online_passphrase_file = passphrase_file;
    enum hf_err err = hf_repo_lock(context->repo_dir, &p.lock, why);
    if (err == HF_OK && context->keys == NULL)
        err = hf_key_set_init(p.keys, context->keys_dir, passphrase_file, online_passphrase_file,
                              why);
    if (err == HF_OK && context->keys == NULL)
        err = hf_key_set_add_extra(p.keys, context->extra_keys, passphrase_file, why);
    if (err == HF_OK)
        err = verify_from_keys(&p, context->location, &p.set, why);
    if (err == HF_OK)
        err = hf_rollback_record_observe(&p.repo, &p.set, &p.published, why);
    if (err == HF_OK)
        err = check_record(&p, context->location, why);
    if (err == HF_OK && context->location == HF_KEYS_OFFLINE)
        err = add_online_keys(&p, why);
    if (err == HF_OK && context->root_max == 0)
        err = check_extra_keys(&p, context->location == HF_KEYS_OFFLINE, why);
    if (err == HF_OK)
        err = check_clock(&p, context->is_clock_right, why);
    if (err != HF_OK) {
        hf_publication_close(&p);
        return err;
    }
    *out = p;
    out->repo.self_signed = &out->self_signed;
    if (context->keys == NULL)
        out->keys = &out->own_keys;
    hf_verbose("verified %s: root %" PRId64 ", targets %" PRId64 ", snapshot %" PRId64
               ", timestamp %" PRId64,
               context->repo_dir, out->set.root->env.version,
               hf_publication_targets(out)->env.version, out->set.snapshot->env.version,
               out->set.timestamp->env.version);
    return HF_OK;
}

void hf_publication_close(struct hf_publication *p)
{
    hf_repo_unstage(&p->repo);
    hf_trusted_set_free(&p->set);
    hf_key_set_free(&p->own_keys);
    hf_self_signed_free(&p->self_signed);
    hf_file_unlock(p->lock);
    *p = (struct hf_publication){.lock = -1};
}

const struct hf_targets *hf_publication_targets(const struct hf_publication *p)
{
    return hf_trusted_set_top_targets(&p->set);
}

enum hf_err hf_publication_find_online(struct hf_publication *p, struct hf_why *why)
{
    HF_TRY(hf_key_set_find(p->keys, p->set.root, HF_ROLE_SNAPSHOT, why));
    return hf_key_set_find(p->keys, p->set.root, HF_ROLE_TIMESTAMP, why);
}

enum hf_err hf_publication_sign_under(struct hf_publication *p, const struct hf_root *next,
                                      struct hf_why *why)
{
    p->next = next;
    return check_extra_keys(p, true, why);
}

static enum hf_err remember_rollouts(const struct hf_publication *p, struct hf_signed_files *after,
                                     struct hf_why *why)
{
    const struct hf_signed_files *const sources[] = {&p->published, &p->signed_now};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sources[k]->n_rollouts; i++) {
            const struct hf_signed_rollout *r = &sources[k]->rollouts[i];
            if (k == 1 || r->file.version > hf_signed_rollout_version(after, r->role))
                HF_TRY(hf_signed_rollout_set(after, r->role, &r->file, why));
        }
    }
    return HF_OK;
}

enum hf_err hf_publication_remember(struct hf_publication *p, bool is_done, struct hf_why *why)
{
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        struct hf_rollback_record *record = &p->record[location];
        if (!p->is_used[location])
            continue;
        /* What was signed now; else what is published, where it is not older than the record. */
        record->prepared = record->committed;
        for (int role = 0; role < HF_TOP_ROLES; role++) {
            struct hf_signed_file *after = &record->prepared.of[role];
            if (p->signed_now.of[role].version > 0)
                *after = p->signed_now.of[role];
            else if (p->published.of[role].version > after->version)
                *after = p->published.of[role];
        }
        HF_TRY(remember_rollouts(p, &record->prepared, why));
        record->signed_at_s = p->now_s;
        if (is_done)
            record->committed = record->prepared;
        HF_TRY(hf_rollback_record_write(&p->keys->folders[location], record, why));
    }
    return HF_OK;
}

static enum hf_err before_timestamp(void *context, struct hf_why *why)
{
    struct hf_publication *p = context;
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        if (p->is_used[location])
            HF_TRY(hf_trusted_root_renew(&p->keys->folders[location], &p->repo, 0, p->now_s, why));
    }
    return hf_publication_remember(p, false, why);
}

enum hf_err hf_publication_commit(struct hf_publication *p, struct hf_why *why)
{
    const struct hf_repo_step step = {before_timestamp, p};
    HF_TRY(hf_repo_write(&p->repo, p->now_s, &step, why));
    if (hf_publication_remember(p, true, why) != HF_OK)
        return hf_fail_context(why, "the repository is written, but not the memory of it");
    return HF_OK;
}

enum hf_err hf_publication_expiry(struct hf_publication *p, enum hf_top_role role, int64_t *out_s,
                                  struct hf_why *why)
{
    enum hf_key_location location = hf_key_location_of(role);
    HF_TRY(hf_expiry_read(&p->keys->folders[location], location, &p->expiry, why));
    *out_s = hf_expiry_of(&p->expiry, role, p->now_s);
    return HF_OK;
}

/* The next number that no file ever had: what was prepared and lost may have been seen, and what
 * lies there under a number may have been cached. */
int64_t hf_publication_next_version(const struct hf_publication *p, enum hf_top_role role,
                                    int64_t newest)
{
    for (int location = 0; location < HF_KEY_LOCATIONS; location++) {
        int64_t last = p->is_used[location] ? hf_rollback_record_version(&p->record[location], role)
                                            : 0;
        newest = last > newest ? last : newest;
    }
    return role == HF_ROLE_TIMESTAMP ? newest + 1
                                     : hf_publication_next_free(p, hf_top_role_name(role), newest);
}

int64_t hf_publication_next_free(const struct hf_publication *p, const char *role, int64_t newest)
{
    struct hf_path path;
    do
        newest++;
    while (hf_path_set(&path, NULL, "%s/metadata/%" PRId64 ".%s.json", p->repo.dir, newest, role) ==
               HF_OK &&
           hf_file_exists(path.text));
    return newest;
}
