#include "tests/fuzz/publisher.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#define YEAR_S (365 * HF_DAY_S)

/* ---- hooks ----------------------------------------------------------------------------------- */

static void edit_role(const struct hf_bytes scripts[HF_TOP_ROLES], const char *role, json_t *json)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        if (strcmp(role, hf_top_role_name((enum hf_top_role)i)) == 0)
            fuzz_edit_by(json, scripts[i]);
    }
}

static void before_signing(void *ctx, const char *role, json_t *signed_part)
{
    const struct fuzz_publisher *p = ctx;
    edit_role(p->before, role, signed_part);
}

static void after_signing(void *ctx, const char *role, json_t *envelope)
{
    const struct fuzz_publisher *p = ctx;
    edit_role(p->after, role, envelope);
}

/* ---- set up ---------------------------------------------------------------------------------- */

void fuzz_repo_copy(struct tuf_repo *to, const struct tuf_repo *from)
{
    *to = *from;
    to->targets = (struct tuf_targets){0};
    to->files = (struct tuf_files){0};
    for (size_t i = 0; i < from->targets.n_items; i++) {
        const struct tuf_target *t = &from->targets.items[i];
        tuf_repo_add_target(to, t->path, hf_buf_bytes(&t->content), json_deep_copy(t->custom));
    }
    tuf_files_copy(&to->files, &from->files);
}

/* Made once: keys take longer than all the rest. */
static const struct tuf_repo *prototype(void)
{
    static struct tuf_repo repo;
    if (repo.targets.n_items > 0)
        return &repo;
    tuf_repo_init(&repo, FUZZ_NOW_S - HF_DAY_S);
    tuf_keys_make(&repo.roles[HF_ROLE_ROOT].keys, 3, 2);
    tuf_keys_make(&repo.roles[HF_ROLE_TARGETS].keys, 2, 2);
    tuf_repo_add_target(&repo, "set/full/1.pem", hf_bytes_of_text("one"), NULL);
    return &repo;
}

void fuzz_publisher_init(struct fuzz_publisher *p)
{
    *p = (struct fuzz_publisher){0};
    fuzz_repo_copy(&p->repo, prototype());
    p->repo.hook_ctx = p;
    p->repo.before_signing = before_signing;
    p->repo.after_signing = after_signing;
}

void fuzz_publisher_free(struct fuzz_publisher *p)
{
    tuf_repo_free(&p->repo);
}

/* ---- the script ------------------------------------------------------------------------------ */

enum hf_top_role fuzz_role(struct fuzz_input *in)
{
    return (enum hf_top_role)(fuzz_byte(in) % HF_TOP_ROLES);
}

static int64_t some_version(int64_t now, struct fuzz_input *in)
{
    const int64_t versions[] =
        {now, now + 1, now - 1, 1, 0, 2, INT64_C(9007199254740991), INT64_C(9007199254740990)};
    return versions[fuzz_below(in, sizeof versions / sizeof versions[0])];
}

static int64_t some_time(struct fuzz_input *in)
{
    const int64_t times[] = {FUZZ_NOW_S + YEAR_S,  FUZZ_NOW_S - 1, FUZZ_NOW_S, FUZZ_NOW_S + 1, 0,
                             INT64_C(253402300799)};
    return times[fuzz_below(in, sizeof times / sizeof times[0])];
}

static void set_shape(struct tuf_repo *repo, uint8_t bits)
{
    repo->has_lengths = (bits & 1u) != 0;
    repo->has_hashes = (bits & 2u) != 0;
    repo->consistent_snapshot = (bits & 4u) == 0;
}

static void delegate(struct tuf_repo *repo)
{
    char name[32];
    if (repo->n_delegated == TUF_DELEGATED_MAX / 2)
        return;
    snprintf(name, sizeof name, "role%zu", repo->n_delegated);
    struct tuf_delegated_role *role = tuf_repo_delegate(repo, "targets", name, "set/*/*", false);
    tuf_targets_add(&role->targets, "set/full/2.pem", hf_bytes_of_text("two"), NULL);
}

/* One key that would like to count as two. */
static void add_twin(struct tuf_keys *keys)
{
    if (keys->n_keys == TUF_KEYS_MAX)
        return;
    struct tuf_key *twin = &keys->keys[keys->n_keys++];
    *twin = keys->keys[0];
    snprintf(twin->key_id, sizeof twin->key_id, "twin%zu", keys->n_keys);
    keys->n_signers = keys->n_keys;
}

/* Not tuf_repo_rotate, which makes its copies of the keys count on no edits. */
void fuzz_publisher_rotate(struct fuzz_publisher *p, enum hf_top_role role)
{
    struct tuf_role *root = &p->repo.roles[HF_ROLE_ROOT];
    struct tuf_keys before = p->repo.roles[role].keys;
    if (root->version == HF_JSON_INTEGER_MAX)
        return;
    root->version++;
    if (role == HF_ROLE_ROOT)
        p->repo.root_keys_before = before;
    tuf_keys_make(&p->repo.roles[role].keys, before.n_keys, before.threshold);
    tuf_repo_publish_root(&p->repo);
}

bool fuzz_publisher_do(struct fuzz_publisher *p, uint8_t letter, struct fuzz_input *in)
{
    struct tuf_role *roles = p->repo.roles;
    enum hf_top_role role = HF_ROLE_ROOT;
    if (strchr("backxqhvesr", letter) != NULL && letter != '\0')
        role = fuzz_role(in);
    switch (letter) {
    case 'b':
        p->before[role] = fuzz_section(in);
        return true;
    case 'a':
        p->after[role] = fuzz_section(in);
        return true;
    case 'c':
        p->before[role] = p->after[role] = (struct hf_bytes){0};
        return true;
    case 'k':
        roles[role].keys.n_signers = fuzz_below(in, roles[role].keys.n_keys + 1);
        return true;
    case 'x':
        roles[role].keys = roles[fuzz_role(in)].keys;
        return true;
    case 'q':
        add_twin(&roles[role].keys);
        return true;
    case 'h':
        roles[role].keys.threshold = (int64_t)fuzz_below(in, 4);
        return true;
    case 'o':
        p->repo.root_keys_before = (struct tuf_keys){0};
        return true;
    case 'v':
        roles[role].version = some_version(roles[role].version, in);
        return true;
    case 'e':
        roles[role].expires_s = some_time(in);
        return true;
    case 's':
        roles[role].signed_at_s = some_time(in);
        return true;
    case 'l':
        set_shape(&p->repo, fuzz_byte(in));
        return true;
    case 'r':
        fuzz_publisher_rotate(p, role);
        return true;
    case 'n':
        roles[HF_ROLE_TARGETS].version++;
        roles[HF_ROLE_SNAPSHOT].version++;
        roles[HF_ROLE_TIMESTAMP].version++;
        return true;
    case 'd':
        delegate(&p->repo);
        return true;
    default:
        return false;
    }
}

void fuzz_publisher_build(const struct fuzz_publisher *p, enum hf_top_role role, struct hf_buf *out)
{
    switch (role) {
    case HF_ROLE_ROOT:
        tuf_repo_build_root(&p->repo, out);
        return;
    case HF_ROLE_TIMESTAMP:
        tuf_repo_build_timestamp(&p->repo, out);
        return;
    case HF_ROLE_SNAPSHOT:
        tuf_repo_build_snapshot(&p->repo, out);
        return;
    case HF_ROLE_TARGETS:
        tuf_repo_build_targets(&p->repo, out);
        return;
    case HF_TOP_ROLES:
        break;
    }
    FUZZ_CHECK(role < HF_TOP_ROLES);
}
