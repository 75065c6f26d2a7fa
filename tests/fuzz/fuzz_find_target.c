/*
 * tests/support/find_target and client/core/obtain: a tree (or a net, or a ring) of delegations,
 * and the question which role speaks for a path. The first byte says whether snapshots are
 * consistent; then a script of letters; X and Y are roles, 0 the top-level one:
 *
 *     dXYPT   X delegates the pattern P to Y, terminating if T is odd
 *     tXQ     X lists the path Q
 *     lN      lengths and hashes of metadata: two bits
 *     fQ      a new check, then Q is looked for and fetched
 *
 * What is found is what the specification's own search (5.6.7), written down here once more with a
 * stack, finds in the publisher's books.
 */
#include "tests/fuzz/publisher.h"
#include "tests/support/device.h"

#include "client/core/refresh.h"
#include "tests/support/find_target.h"

#include <fnmatch.h>

#define ROLES_MAX 8
#define STEPS_MAX 40
#define FINDS_MAX 4

static const char *const patterns[] = {"*", "*/*", "a/*", "a/b", "?/b", "[ab]/*", "b*", "a/*/c"};
static const char *const paths[] = {"a", "a/b", "b/b", "a/b/c", "b", "no"};
#define PICK(array, in) (array)[fuzz_below(in, sizeof(array) / sizeof(array)[0])]

struct world {
    struct device device;
    size_t n_finds;
};

/* ---- the publisher --------------------------------------------------------------------------- */

static void name_of(size_t role, char out[16])
{
    if (role == 0)
        snprintf(out, 16, "targets");
    else
        snprintf(out, 16, "r%zu", role);
}

static struct tuf_delegated_role *find_role(struct tuf_repo *repo, const char *name)
{
    for (size_t i = 0; i < repo->n_delegated; i++) {
        if (strcmp(repo->delegated[i].name, name) == 0)
            return &repo->delegated[i];
    }
    return NULL;
}

static bool is_delegated(const struct tuf_repo *repo, const char *by, const char *to)
{
    for (size_t i = 0; i < repo->n_delegations; i++) {
        const struct tuf_delegation *d = &repo->delegations[i];
        if (strcmp(d->delegator, by) == 0 && strcmp(d->role, to) == 0)
            return true;
    }
    return false;
}

static void delegate(struct tuf_repo *repo, struct fuzz_input *in)
{
    char by[16], to[16];
    name_of(fuzz_below(in, ROLES_MAX), by);
    name_of(fuzz_below(in, ROLES_MAX - 1) + 1, to);
    const char *pattern = PICK(patterns, in);
    bool is_terminating = fuzz_byte(in) % 2 == 1;
    if (repo->n_delegations == TUF_DELEGATED_MAX || is_delegated(repo, by, to))
        return;
    struct tuf_delegated_role *role = find_role(repo, to);
    if (role == NULL) {
        (void)tuf_repo_delegate(repo, by, to, pattern, is_terminating);
        return;
    }
    struct tuf_delegation *d = &repo->delegations[repo->n_delegations++];
    *d = (struct tuf_delegation){.keys = role->role.keys, .is_terminating = is_terminating};
    snprintf(d->delegator, sizeof d->delegator, "%s", by);
    snprintf(d->role, sizeof d->role, "%s", to);
    snprintf(d->path_pattern, sizeof d->path_pattern, "%s", pattern);
}

/* The content is the role's own name, so that it tells who spoke. */
static void list_target(struct tuf_repo *repo, struct fuzz_input *in)
{
    char name[16];
    name_of(fuzz_below(in, ROLES_MAX), name);
    const char *path = PICK(paths, in);
    struct tuf_delegated_role *role = find_role(repo, name);
    if (strcmp(name, "targets") == 0)
        tuf_repo_add_target(repo, path, hf_bytes_of_text(name), NULL);
    else if (role != NULL)
        tuf_targets_add(&role->targets, path, hf_bytes_of_text(name), NULL);
}

/* ---- the specification's search -------------------------------------------------------------- */

struct stack {
    const char *roles[TUF_DELEGATED_MAX * ROLES_MAX];
    size_t n;
    const char *visited[ROLES_MAX];
    size_t n_visited;
};

static bool was_visited(const struct stack *s, const char *role)
{
    for (size_t i = 0; i < s->n_visited; i++) {
        if (strcmp(s->visited[i], role) == 0)
            return true;
    }
    return false;
}

static bool lists(struct tuf_repo *repo, const char *role, const char *path)
{
    const struct tuf_delegated_role *d = find_role(repo, role);
    const struct tuf_targets *targets = d != NULL ? &d->targets : &repo->targets;
    for (size_t i = 0; i < targets->n_items; i++) {
        if (strcmp(targets->items[i].path, path) == 0)
            return true;
    }
    return false;
}

/* The children that cover `path`, the first on top; a terminating one cuts off all the rest. */
static void push_children(struct stack *s, const struct tuf_repo *repo, const char *role,
                          const char *path)
{
    const char *children[TUF_DELEGATED_MAX];
    size_t n = 0;
    for (size_t i = 0; i < repo->n_delegations; i++) {
        const struct tuf_delegation *d = &repo->delegations[i];
        if (strcmp(d->delegator, role) != 0 || fnmatch(d->path_pattern, path, FNM_PATHNAME) != 0)
            continue;
        children[n++] = d->role;
        if (d->is_terminating) {
            s->n = 0;
            break;
        }
    }
    while (n > 0)
        s->roles[s->n++] = children[--n];
}

/* The role that speaks for `path`, or NULL. */
static const char *search(struct tuf_repo *repo, const char *path)
{
    struct stack s = {.roles = {"targets"}, .n = 1};
    while (s.n > 0) {
        const char *role = s.roles[--s.n];
        if (was_visited(&s, role))
            continue;
        s.visited[s.n_visited++] = role;
        if (lists(repo, role, path))
            return role;
        push_children(&s, repo, role, path);
    }
    return NULL;
}

/* ---- the device ------------------------------------------------------------------------------ */

static void find(struct world *w, const char *path)
{
    struct device *d = &w->device;
    const struct hf_target *target = NULL;
    struct hf_buf content = {0};
    if (w->n_finds++ == FINDS_MAX)
        return;
    tuf_repo_publish_next(&d->repo);
    for (size_t i = 0; i < d->repo.n_delegated; i++)
        d->repo.delegated[i].role.version++; /* for the next time */
    hf_state_load(d->client);
    hf_mirrors_begin_check(d->client);
    FUZZ_OK(hf_refresh(d->client, &d->why), &d->why);
    FUZZ_OK(hf_find_target(d->client, path, &target, &d->why), &d->why);
    const char *expected = search(&d->repo, path);
    FUZZ_CHECK((target != NULL) == (expected != NULL));
    if (target == NULL)
        return;
    FUZZ_OK(hf_file_info_verify(&target->info, hf_bytes_of_text(expected), path, &d->why), &d->why);
    if (!d->repo.consistent_snapshot) /* the same path of two roles would be the same file */
        return;
    FUZZ_OK(hf_fetch_target(d->client, target, 4096, &content, &d->why), &d->why);
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&content), hf_bytes_of_text(expected)));
    hf_buf_free(&content);
}

static void step(struct world *w, struct fuzz_input *in)
{
    struct tuf_repo *repo = &w->device.repo;
    uint8_t letter = fuzz_byte(in), bits;
    if (letter == 'd') {
        delegate(repo, in);
    } else if (letter == 't') {
        list_target(repo, in);
    } else if (letter == 'l') {
        bits = fuzz_byte(in);
        repo->has_lengths = (bits & 1u) != 0;
        repo->has_hashes = (bits & 2u) != 0;
    } else if (letter == 'f') {
        find(w, PICK(paths, in));
    }
}

static void begin(struct world *w, bool is_consistent)
{
    struct device *d = &w->device;
    *w = (struct world){0};
    tuf_repo_init(&d->repo, DEVICE_NOW_S - 86400);
    d->repo.consistent_snapshot = is_consistent;
    tuf_repo_publish_root(&d->repo);
    fake_ports_init(&d->fake, DEVICE_NOW_S);
    device_add_mirror(d, "http://a.test/repo", NULL);
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    struct hf_bytes root = tuf_files_find(&d->repo.files, "metadata/1.root.json");
    FUZZ_OK(hf_client_provision(&ports, &config, root, (struct hf_bytes){0}, &d->why), &d->why);
    device_on(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct fuzz_input in = {data, size};
    fuzz_reset_random();
    begin(&w, fuzz_byte(&in) % 2 == 0);
    for (int i = 0; i < STEPS_MAX && in.len > 0; i++)
        step(&w, &in);
    device_off(&w.device);
    fake_ports_free(&w.device.fake);
    tuf_repo_free(&w.device.repo);
    return 0;
}
