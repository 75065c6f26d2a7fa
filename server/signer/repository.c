/* The repository: timestamps on time, and what the offline keys signed. */
#include "server/signer/verbs.h"

#include "server/repository/online.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct hf_publication_context hf_signer_publication(const struct hf_signer *signer, int64_t now_s)
{
    return (struct hf_publication_context){
        .repo_dir = signer->config->repository.path,
        .keys_dir = signer->config->signer.keys,
        .passphrase_file = signer->config->signer.passphrase_file,
        .online_passphrase_file = signer->config->signer.passphrase_file,
        .now_s = now_s,
        .location = HF_KEYS_ONLINE,
    };
}

/* What is in `path` of the repository, unless this version or a later one of the kind is noted. */
static enum hf_err note_file(struct hf_signer *signer, const char *path,
                             struct hf_signature_note *note, struct hf_why *why)
{
    const struct hf_repo repo = {.dir = signer->config->repository.path};
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_read(&repo, path, HF_TARGETS_BYTES_MAX, &file, why);
    note->what = hf_buf_bytes(&file);
    if (err == HF_OK)
        err = hf_signer_state_note_version(&signer->state, note, why);
    hf_buf_free(&file);
    return err;
}

enum hf_err hf_signer_note_rollout(struct hf_signer *signer,
                                   const struct hf_online_rollout *rollout, const char *subject,
                                   int64_t now_s, struct hf_why *why)
{
    struct hf_signature_note note = {.kind = rollout->role,
                                     .subject = subject,
                                     .version = rollout->version,
                                     .now_s = now_s};
    struct hf_path path;
    HF_TRY(hf_repo_delegated_path(rollout->role, rollout->version, true, &path, why));
    return note_file(signer, path.text, &note, why);
}

enum hf_err hf_signer_note_published(struct hf_signer *signer,
                                     const struct hf_online_result *result, int64_t now_s,
                                     struct hf_why *why)
{
    static const struct {
        enum hf_top_role role;
        const char *kind;
        bool is_numbered;
    } roles[] = {{HF_ROLE_SNAPSHOT, "snapshot", true}, {HF_ROLE_TIMESTAMP, "timestamp", false}};
    char subject[32];
    for (size_t i = 0; i < result->n_rollouts; i++) {
        (void)snprintf(subject, sizeof subject, "version %" PRId64, result->rollouts[i].version);
        HF_TRY(hf_signer_note_rollout(signer, &result->rollouts[i], subject, now_s, why));
    }
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct hf_signature_note note = {.kind = roles[i].kind,
                                         .subject = subject,
                                         .version = result->versions[roles[i].role],
                                         .now_s = now_s};
        struct hf_path path;
        (void)snprintf(subject, sizeof subject, "version %" PRId64, note.version);
        HF_TRY(hf_repo_role_path(roles[i].role, note.version, roles[i].is_numbered, &path, why));
        HF_TRY(note_file(signer, path.text, &note, why));
    }
    return HF_OK;
}

/* {"root": {"version": 1, "expires": "…", "signed_now": false}, …} */
static json_t *versions_object(const struct hf_online_result *result)
{
    static const char *const names[] = {[HF_ROLE_ROOT] = "root",
                                        [HF_ROLE_TARGETS] = "targets",
                                        [HF_ROLE_SNAPSHOT] = "snapshot",
                                        [HF_ROLE_TIMESTAMP] = "timestamp"};
    json_t *object = json_object();
    for (size_t i = 0; i < result->n_rollouts; i++) {
        const struct hf_online_rollout *rollout = &result->rollouts[i];
        object = hf_json_set_take(object, rollout->role,
                                  json_pack("{s:I, s:o, s:b}", "version",
                                            (json_int_t)rollout->version, "expires",
                                            hf_json_time(rollout->expires_s), "signed_now",
                                            rollout->is_signed_now));
    }
    for (int role = 0; role < HF_TOP_ROLES; role++)
        object = hf_json_set_take(object, names[role],
                                  json_pack("{s:I, s:o, s:b}", "version",
                                            (json_int_t)result->versions[role], "expires",
                                            hf_json_time(result->expires_s[role]), "signed_now",
                                            result->signed_now[role] != 0));
    return object;
}

static enum hf_err answer_published(struct hf_signer *signer, const struct hf_online_result *result,
                                    const struct hf_moment *now, json_t **answer,
                                    struct hf_why *why)
{
    signer->refreshed = *now;
    signer->found = *result;
    HF_TRY(hf_signer_note_published(signer, result, now->wall_s, why));
    *answer = json_pack("{s:o, s:I}", "versions", versions_object(result), "waiting",
                        (json_int_t)result->waiting);
    return HF_OK;
}

enum hf_err hf_verb_refresh(struct hf_signer *signer, const json_t *request, int fd,
                            const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    const struct hf_publication_context at = hf_signer_publication(signer, now->wall_s);
    struct hf_online_result result = {0};
    (void)request, (void)fd;
    int64_t age_s = now->up_s - signer->refreshed.up_s;
    if (signer->refreshed.wall_s != 0 && age_s < HF_REFRESH_EVERY_S)
        return hf_fail(why, HF_E_LIMIT,
                       "a timestamp was signed %" PRId64 " seconds ago; one a minute is allowed",
                       age_s);
    HF_TRY(hf_online_refresh(&at, &result, why));
    return answer_published(signer, &result, now, answer, why);
}

/* The operator knows the folder by its name, not by our descriptor. */
static enum hf_err fail_with_name(const char *from, enum hf_err err, struct hf_why *why)
{
    const struct hf_why reason = *why;
    const char *at = strstr(reason.text, from);
    char name[256];
    ssize_t len = readlink(from, name, sizeof name);
    if (at == NULL || len <= 0)
        return err;
    return hf_fail(why, err, "%.*s%.*s%s", (int)(at - reason.text), reason.text, (int)len, name,
                   at + strlen(from));
}

/* The folder is read through the descriptor, so that a name cannot be exchanged under us, and with
 * the rights of this process. */
enum hf_err hf_verb_publish(struct hf_signer *signer, const json_t *request, int fd,
                            const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    const struct hf_publication_context at = hf_signer_publication(signer, now->wall_s);
    struct hf_online_result result = {0};
    char from[64];
    struct stat status;
    (void)request;
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISDIR(status.st_mode))
        return hf_fail(why, HF_E_ARGUMENT,
                       "publish: expected the descriptor of a folder with the request, found none");
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    enum hf_err err = hf_online_publish(&at, from, &result, why);
    if (err != HF_OK)
        return fail_with_name(from, err, why);
    return answer_published(signer, &result, now, answer, why);
}

enum hf_err hf_signer_keep_fresh(struct hf_signer *signer, const struct hf_moment *now,
                                 int64_t *next_s, struct hf_why *why)
{
    const struct hf_publication_context at = hf_signer_publication(signer, now->wall_s);
    int64_t every_s = signer->rates.timestamp_every_s;
    struct hf_publication p;
    struct hf_online_result result = {0};
    int64_t new_end_s = 0;
    bool is_half_over = false;
    *next_s = now->wall_s + HF_REFRESH_RETRY_S;
    HF_TRY(hf_publication_open(&at, &p, why));
    int64_t end_s = p.set.timestamp->env.expires_s;
    hf_online_read(&p, &result);
    enum hf_err err = hf_publication_expiry(&p, HF_ROLE_TIMESTAMP, &new_end_s, why);
    if (err == HF_OK)
        err = hf_publication_is_due(&p, HF_ROLE_TIMESTAMP, &p.set.timestamp->env, &is_half_over,
                                    why);
    hf_publication_close(&p);
    if (err != HF_OK)
        return err;
    /* A new one would end at new_end_s, so this one is as old as it ends earlier. One that ends
     * much later was signed by a clock that was far ahead: nothing would be signed until then. */
    int64_t age_s = new_end_s - end_s;
    if (is_half_over || age_s >= every_s || age_s <= -every_s) {
        HF_TRY(hf_online_refresh(&at, &result, why));
        signer->refreshed = *now;
        age_s = 0;
    }
    signer->found = result;
    int64_t half_s = (new_end_s - now->wall_s) / 2, wait_s = every_s - age_s;
    if (half_s - age_s < wait_s)
        wait_s = half_s - age_s;
    /* Also what was signed before a crash, or beside this process; only when the timestamp is
     * there. */
    HF_TRY(hf_signer_note_published(signer, &result, now->wall_s, why));
    *next_s = now->wall_s + (wait_s > 1 ? wait_s : 1);
    return HF_OK;
}
