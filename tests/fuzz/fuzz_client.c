/*
 * The whole of libholdfast against a server that a script runs, over ports in memory. Two
 * publishers: the honest one, who has all keys, and a hostile one, who stole those of timestamp and
 * snapshot and knows the public ones of the rest. Letters before those of publisher.h, which are
 * the hostile one's:
 *
 *     P       the honest one publishes the next version of the bundle
 *     Q       rotates the targets keys (0) or root keys (1), and publishes
 *     W       removes the newest version again
 *     M       the hostile one takes all that the honest one has published
 *     F0…F3   serves the current file of a role, edited or not
 *     O0…O3   serves an older file of the honest one in place of the newest
 *     wR…     serves the bytes … in place of a role's file
 *     BN      serves another bundle in place of the newest bundle
 *     S…      how the next requests are answered, a byte each: see `answer`
 *     T…      the device's clock: a byte, of a table
 *     V N     N hours pass, by the device's uptime
 *     K N     the power goes at the Nth write from now
 *     U       the device updates
 *     I       the device is switched off and on
 *
 * At every moment the active bundle is one that the honest publisher signed, of no lower version
 * than before (unless the keys are new), and it is what handshakes are verified against. In the end
 * the honest one replaces the stolen keys, a good server comes back, and the next update succeeds.
 */
#include "tests/fuzz/publisher.h"
#include "tests/support/device.h"

#include "common/base/limits.h"
#include "common/bundle/bundle.h"

#define STEPS_MAX 48
#define BUNDLES_MAX 8

/* Anchors take longer to make than all the rest, so they are made once. */
struct bundle {
    struct hf_buf pem;
    char sha256[HF_SHA256_HEX_LEN];
};

struct world {
    struct device device; /* its repository is the honest publisher's */
    struct fuzz_publisher hostile;
    struct hf_bytes answers;     /* how the requests to come are answered */
    int64_t version;             /* the newest that is published */
    int64_t active;              /* the one that is active; 0 for none */
    int64_t floor;               /* no lower one may become active */
    bool has_failed_to_validate; /* a chain of the server, in this check */
};

static struct bundle bundles[BUNDLES_MAX + 2]; /* by version; 0 is the hostile one's own */

static void make_bundles(void)
{
    char name[32];
    if (bundles[0].pem.data != NULL)
        return;
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++) {
        snprintf(name, sizeof name, "Root %zu", i);
        device_make_anchor(name, &bundles[i].pem);
        hf_sha256_hex(hf_buf_bytes(&bundles[i].pem), bundles[i].sha256);
    }
}

/* ---- the transport --------------------------------------------------------------------------- */

static uint8_t next_answer(struct world *w)
{
    struct fuzz_input in = {w->answers.data, w->answers.len};
    uint8_t answer = fuzz_byte(&in);
    w->answers = (struct hf_bytes){in.data, in.len};
    return answer;
}

static enum hf_err answer_with(struct hf_bytes body, size_t len, const struct hf_request *request,
                               struct hf_response *out, struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];
    if (len > request->max_bytes)
        return hf_fail(why, HF_E_LIMIT, "longer than %zu bytes", request->max_bytes);
    hf_sha256_hex(body, sha256);
    out->status = 200;
    snprintf(out->etag, sizeof out->etag, "\"%.16s\"", sha256);
    return hf_buf_append(&out->body, body.data, len);
}

/* 0 is what is there; the rest is what can go wrong on the way. */
static enum hf_err answer(struct world *w, uint8_t how, struct hf_bytes file,
                          const struct hf_request *request, struct hf_response *out,
                          struct hf_why *why)
{
    static const int statuses[] = {304, 403, 404, 410, 500, 204, 301, 401};
    static const char page[] = "<html>log in</html>";
    (void)w;
    if (how >= 1 && how <= 8) {
        out->status = statuses[how - 1];
        return HF_OK;
    }
    if (how == 9)
        return hf_fail(why, HF_E_NETWORK, "no answer");
    if (how == 10 && !request->waives_validation)
        return hf_fail(why, HF_E_UNTRUSTED, "no anchor");
    if (how == 11)
        return hf_fail(why, HF_E_TLS, "no handshake");
    if (how == 12)
        return answer_with(hf_bytes_of_text(page), sizeof page - 1, request, out, why);
    if (file.data == NULL) {
        out->status = 404;
        return HF_OK;
    }
    size_t len = how > 12 ? file.len * how / 256 : file.len; /* cut short */
    return answer_with(file, len, request, out, why);
}

static enum hf_err fetch(void *ctx, const struct hf_request *request, struct hf_response *out,
                         struct hf_why *why)
{
    struct world *w = ctx;
    static const char base[] = "http://a.test/repo/";
    FUZZ_CHECK(strncmp(request->url, base, sizeof base - 1) == 0);
    FUZZ_CHECK(strpbrk(request->url, " \r\n") == NULL);
    FUZZ_CHECK(!request->waives_validation || (request->etag == NULL && w->has_failed_to_validate));
    struct hf_bytes file = tuf_files_find(&w->hostile.repo.files, request->url + sizeof base - 1);
    enum hf_err err = answer(w, next_answer(w), file, request, out, why);
    w->has_failed_to_validate = w->has_failed_to_validate || err == HF_E_UNTRUSTED;
    return err;
}

/* ---- the device ------------------------------------------------------------------------------ */

static void switch_on(struct world *w)
{
    struct hf_ports ports = fake_ports_of(&w->device.fake);
    struct hf_client_config config = device_config(&w->device);
    ports.transport = (struct hf_transport_port){.ctx = w, .fetch = fetch};
    FUZZ_OK(hf_client_open(&ports, &config, &w->device.client, &w->device.why), &w->device.why);
}

static void restart(struct world *w)
{
    device_off(&w->device);
    fake_store_reboot(&w->device.fake.store);
    w->device.fake.trust = (struct fake_trust){0};
    switch_on(w);
}

/* Invariants 1 and 2 of the design. */
static void check_active(struct world *w)
{
    const struct hf_bundle_record *active = fake_store_bundle(&w->device.fake.store,
                                                              HF_SLOT_ACTIVE);
    if (active == NULL) {
        FUZZ_CHECK(w->active == 0 && w->device.fake.trust.n_anchors == 0);
        return;
    }
    FUZZ_CHECK(active->version >= 1 && active->version <= w->version);
    const struct bundle *signed_one = &bundles[active->version];
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&active->pem), hf_buf_bytes(&signed_one->pem)));
    FUZZ_CHECK(active->version >= w->floor);
    w->active = w->floor = active->version;
}

static void check_live(const struct world *w)
{
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};
    char sha256[HF_SHA256_HEX_LEN];
    if (w->active == 0)
        return;
    FUZZ_OK(hf_bundle_parse(hf_buf_bytes(&bundles[w->active].pem), NULL, &bundle, &why), &why);
    hf_sha256_hex(bundle.anchors[0].der, sha256);
    FUZZ_CHECK(w->device.fake.trust.n_anchors == 1);
    FUZZ_CHECK(fake_trust_has(&w->device.fake.trust, sha256));
    hf_bundle_free(&bundle);
}

static void check_status(struct world *w)
{
    struct hf_status status = {0};
    struct hf_why why = {0};
    FUZZ_OK(hf_client_status(w->device.client, &status, &why), &why);
    FUZZ_CHECK(status.active.is_present == (w->active > 0));
    FUZZ_CHECK(!status.active.is_present || status.active.version == w->active);
    hf_status_free(&status);
}

static void update(struct world *w)
{
    struct device *d = &w->device;
    d->why = (struct hf_why){0};
    w->has_failed_to_validate = false;
    enum hf_err err = hf_client_update(d->client, &d->result, &d->why);
    if (err != HF_OK)
        fuzz_check_refusal(err, &d->why);
    if (d->fake.store.is_power_off)
        restart(w);
    check_active(w);
    check_live(w);
    check_status(w);
    hf_buf_free(&d->fake.log.text);
}

/* ---- the publishers -------------------------------------------------------------------------- */

static void publish(struct world *w)
{
    if (w->version == BUNDLES_MAX)
        return;
    w->version++;
    device_add_bundle(&w->device, w->version, &bundles[w->version].pem);
    tuf_repo_publish_next(&w->device.repo);
}

static void withdraw(struct world *w)
{
    struct tuf_repo *repo = &w->device.repo;
    if (repo->targets.n_items == 0)
        return;
    tuf_repo_remove_target(repo, repo->targets.items[repo->targets.n_items - 1].path);
    tuf_repo_publish_next(repo);
}

/* The stolen online keys of the honest one; root and targets are signed with others. */
static void steal_keys(struct world *w)
{
    struct tuf_role *stolen = w->hostile.repo.roles;
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        stolen[role] = w->device.repo.roles[role];
        if (role == HF_ROLE_TIMESTAMP || role == HF_ROLE_SNAPSHOT)
            continue;
        for (size_t i = 0; i < TUF_KEYS_MAX; i++)
            memset(stolen[role].keys.keys[i].secret_key, 'x', 32);
    }
}

static void mirror(struct world *w)
{
    steal_keys(w);
    tuf_files_copy(&w->hostile.repo.files, &w->device.repo.files);
}

static void put_file(struct world *w, enum hf_top_role role)
{
    struct hf_buf file = {0};
    char path[128];
    fuzz_publisher_build(&w->hostile, role, &file);
    tuf_repo_role_path(&w->hostile.repo, role, path);
    tuf_files_put(&w->hostile.repo.files, path, hf_buf_bytes(&file));
    hf_buf_free(&file);
}

static void put_older(struct world *w, enum hf_top_role role)
{
    char old_path[128], path[128];
    struct tuf_role *r = &w->hostile.repo.roles[role];
    tuf_repo_role_path(&w->hostile.repo, role, path);
    if (r->version < 2 || role == HF_ROLE_TIMESTAMP)
        return;
    r->version--;
    tuf_repo_role_path(&w->hostile.repo, role, old_path);
    r->version++;
    struct hf_bytes old = tuf_files_find(&w->hostile.repo.files, old_path);
    if (old.data != NULL)
        tuf_files_put(&w->hostile.repo.files, path, old);
}

static void put_bytes(struct world *w, enum hf_top_role role, struct hf_bytes bytes)
{
    char path[128];
    tuf_repo_role_path(&w->hostile.repo, role, path);
    tuf_files_put(&w->hostile.repo.files, path, bytes);
}

static void put_own_bundle(struct world *w, size_t version)
{
    char path[HF_TARGET_PATH_MAX + 160];
    const struct tuf_targets *targets = &w->device.repo.targets;
    if (targets->n_items == 0)
        return;
    tuf_repo_content_path(&w->device.repo, &targets->items[targets->n_items - 1], path,
                          sizeof path);
    tuf_files_put(&w->hostile.repo.files, path, hf_buf_bytes(&bundles[version].pem));
}

static void rotate(struct world *w, enum hf_top_role role)
{
    tuf_repo_rotate(&w->device.repo, role);
    tuf_repo_publish_next(&w->device.repo);
    if (role == HF_ROLE_TARGETS) /* stolen keys must not be able to end the line */
        w->floor = 0;
}

/* ---- the script ------------------------------------------------------------------------------ */

static void set_clock(struct world *w, struct fuzz_input *in)
{
    const int64_t times[] = {DEVICE_NOW_S, 0,         DEVICE_NOW_S + 400 * INT64_C(86400),
                             INT64_MAX,    INT64_MIN, DEVICE_NOW_S - INT64_C(86400)};
    w->device.fake.now_s = times[fuzz_below(in, sizeof times / sizeof times[0])];
}

static void step(struct world *w, struct fuzz_input *in)
{
    uint8_t letter = fuzz_byte(in);
    switch (letter) {
    case 'P':
        publish(w);
        return;
    case 'Q':
        rotate(w, fuzz_below(in, 2) == 0 ? HF_ROLE_TARGETS : HF_ROLE_ROOT);
        return;
    case 'W':
        withdraw(w);
        return;
    case 'M':
        mirror(w);
        return;
    case 'F':
        put_file(w, fuzz_role(in));
        return;
    case 'O':
        put_older(w, fuzz_role(in));
        return;
    case 'w': {
        enum hf_top_role role = fuzz_role(in);
        put_bytes(w, role, fuzz_section(in));
        return;
    }
    case 'B':
        put_own_bundle(w, fuzz_below(in, BUNDLES_MAX));
        return;
    case 'S':
        w->answers = fuzz_section(in);
        return;
    case 'T':
        set_clock(w, in);
        return;
    case 'V':
        w->device.fake.uptime_ms += fuzz_byte(in) * INT64_C(3600000);
        return;
    case 'K':
        w->device.fake.store.n_writes = 0;
        w->device.fake.store.cut_at_write = (unsigned)fuzz_below(in, 32);
        return;
    case 'U':
        update(w);
        return;
    case 'I':
        restart(w);
        check_active(w);
        check_live(w);
        return;
    default:
        (void)fuzz_publisher_do(&w->hostile, letter, in);
    }
}

/* A device that knows the first root of a repository with one bundle; made once, then copied. */
static const struct device *prototype(void)
{
    static struct device d;
    if (d.n_urls > 0)
        return &d;
    tuf_repo_init(&d.repo, DEVICE_NOW_S - 86400);
    tuf_repo_publish_root(&d.repo);
    device_add_bundle(&d, 1, &bundles[1].pem);
    tuf_repo_publish_next(&d.repo);
    fake_ports_init(&d.fake, DEVICE_NOW_S);
    d.urls[d.n_urls++] = "http://a.test/repo";
    struct hf_ports ports = fake_ports_of(&d.fake);
    struct hf_client_config config = device_config(&d);
    struct hf_bytes root = tuf_files_find(&d.repo.files, "metadata/1.root.json");
    FUZZ_OK(hf_client_provision(&ports, &config, root, (struct hf_bytes){0}, &d.why), &d.why);
    return &d;
}

static void begin(struct world *w)
{
    const struct device *first = prototype();
    struct device *d = &w->device;
    *w = (struct world){.version = 1};
    fuzz_repo_copy(&d->repo, &first->repo);
    fake_ports_init(&d->fake, DEVICE_NOW_S);
    fake_state_copy(&d->fake.store.state, &first->fake.store.state);
    fake_state_copy(&d->fake.store.at_rest, &first->fake.store.state);
    d->urls[d->n_urls++] = first->urls[0];
    switch_on(w);
    fuzz_publisher_init(&w->hostile);
    w->hostile.repo.has_lengths = false; /* its snapshot names targets of another publisher */
    mirror(w);
}

/* TUF 6.1: new keys for what was stolen, and everything is well again. */
static void recover(struct world *w)
{
    tuf_repo_rotate(&w->device.repo, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&w->device.repo, HF_ROLE_SNAPSHOT);
    w->version++;
    device_add_bundle(&w->device, w->version, &bundles[w->version].pem);
    tuf_repo_publish_next(&w->device.repo);
    mirror(w);
    w->answers = (struct hf_bytes){0};
    w->device.fake.now_s = DEVICE_NOW_S;
    restart(w);
    FUZZ_OK(hf_client_update(w->device.client, &w->device.result, &w->device.why), &w->device.why);
    check_active(w);
    check_live(w);
    FUZZ_CHECK(w->active == w->version);
}

static void end(struct world *w)
{
    device_off(&w->device);
    fake_ports_free(&w->device.fake);
    tuf_repo_free(&w->device.repo);
    fuzz_publisher_free(&w->hostile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct fuzz_input in = {data, size};
    make_bundles();
    begin(&w);
    fuzz_reset_random();
    for (int i = 0; i < STEPS_MAX && in.len > 0; i++)
        step(&w, &in);
    recover(&w);
    end(&w);
    return 0;
}
