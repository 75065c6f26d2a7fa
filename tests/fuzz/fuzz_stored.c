/*
 * What a device reads back from its own store, after its contents were changed. A
 * script of letters; S is a digit, the slot of a bundle (0 active, 1 previous, 2 staged), R one of
 * metadata (0 root, 1 timestamp, 2 snapshot, 3 targets):
 *
 *     vN…      the Nth value of `values` becomes …, up to a byte 0xFF
 *     mR…      the metadata of R becomes …
 *     fRNNN    a byte of it does
 *     pSNNN    a byte of a bundle's PEM does
 *     hSNNN    the same, and its hash is corrected
 *     cS…      a bundle's description becomes …
 *     xS       a slot is emptied
 *     r…       the value with the receipts becomes …
 *     tRR      the receipt of the second role takes the place of the first one's
 *     oR       the receipt of what lies there as R by now, under the root of a stranger, does
 *
 * Then the device starts, says its status and updates. Whatever became active is signed. And where
 * neither the root of trust nor a floor was touched, the update succeeds.
 */
#include "tests/fuzz/publisher.h"
#include "tests/support/device.h"

#include "common/base/digest.h"
#include "common/bundle/bundle.h"
#include "common/tuf/receipts.h"

#define STEPS_MAX 24

static const char *const values[] = {"check.time",      "check.outcome", "check.text",
                                     "etag.timestamp",  "mirror.next",   "bundle.floor",
                                     "bundle.rejected", "bundle.keys",   "clock.floor"};
#define FIRST_FLOOR 5
#define RECEIPTS "metadata.verified"

struct world {
    struct device device;
    bool is_root_touched, is_floor_touched, is_hash_touched;
};

static struct hf_buf pems[4];    /* by version */
static struct hf_root strangers; /* root metadata that no device here holds */

static void make_bundles(void)
{
    for (size_t i = 1; i < 4 && pems[i].data == NULL; i++)
        device_make_anchor(i == 1 ? "Root 1" : i == 2 ? "Root 2" : "Root 3", &pems[i]);
}

/* ---- the script ------------------------------------------------------------------------------ */

static enum hf_slot slot_of(struct fuzz_input *in)
{
    return (enum hf_slot)(fuzz_byte(in) % 3);
}

static void change_byte(struct hf_bytes bytes, struct fuzz_input *in)
{
    size_t at = fuzz_below(in, 65536);
    uint8_t value = fuzz_byte(in);
    if (bytes.len > 0)
        ((uint8_t *)(uintptr_t)bytes.data)[at % bytes.len] = value;
}

static void set_value(struct world *w, struct fuzz_input *in)
{
    size_t which = fuzz_byte(in) % (sizeof values / sizeof values[0]);
    char *text = fuzz_text(fuzz_section(in));
    fake_store_put_value(&w->device.fake.store, values[which], text);
    w->is_floor_touched |= which >= FIRST_FLOOR;
    free(text);
}

static void set_metadata(struct world *w, struct fuzz_input *in, bool is_whole)
{
    enum hf_top_role role = fuzz_role(in);
    struct fake_store *store = &w->device.fake.store;
    const char *name = hf_top_role_name(role);
    w->is_root_touched |= role == HF_ROLE_ROOT;
    if (is_whole)
        fake_store_put_metadata(store, name, fuzz_section(in));
    else
        change_byte(fake_store_metadata(store, name), in);
}

static void change_pem(struct world *w, struct fuzz_input *in, bool is_hash_right)
{
    struct hf_bundle_record *record = fake_store_bundle(&w->device.fake.store, slot_of(in));
    if (record == NULL)
        return;
    change_byte(hf_buf_bytes(&record->pem), in);
    if (is_hash_right)
        hf_sha256_hex(hf_buf_bytes(&record->pem), record->sha256);
    w->is_hash_touched |= is_hash_right;
}

static void set_custom(struct world *w, struct fuzz_input *in)
{
    struct hf_bundle_record *record = fake_store_bundle(&w->device.fake.store, slot_of(in));
    struct hf_bytes custom = fuzz_section(in);
    if (record == NULL)
        return;
    hf_buf_free(&record->custom);
    FUZZ_OK(hf_buf_append(&record->custom, custom.data, custom.len), &w->device.why);
}

static void empty_slot(struct world *w, struct fuzz_input *in)
{
    enum hf_slot slot = slot_of(in);
    struct fake_state *state = &w->device.fake.store.state;
    hf_bundle_record_free(&state->bundles[slot]);
    state->has_bundle[slot] = false;
}

/* The value as the device wrote it, or as the script left it: the version of the program in
 * front. */
static void edit_receipts(struct world *w, struct fuzz_input *in,
                          void (*edit)(struct world *w, struct hf_receipts *r,
                                       enum hf_top_role role, struct fuzz_input *in))
{
    struct fake_store *store = &w->device.fake.store;
    struct hf_receipts receipts;
    char text[64 + HF_RECEIPTS_TEXT_SIZE];
    enum hf_top_role role = fuzz_role(in);

    snprintf(text, sizeof text, "%.256s", fake_store_value(store, RECEIPTS));
    char *digits = strchr(text, ' ');
    if (digits == NULL || digits - text > 60)
        return;
    hf_receipts_parse(digits + 1, &receipts);
    edit(w, &receipts, role, in);
    hf_receipts_format(&receipts, digits + 1);
    fake_store_put_value(store, RECEIPTS, text);
}

static void transpose(struct world *w, struct hf_receipts *r, enum hf_top_role role,
                      struct fuzz_input *in)
{
    (void)w;
    memmove(r->of[role], r->of[fuzz_role(in)], HF_SHA256_LEN);
}

static void take_strangers(struct world *w, struct hf_receipts *r, enum hf_top_role role,
                           struct fuzz_input *in)
{
    struct hf_envelope lying = {0};
    (void)in;
    hf_sha256(fake_store_metadata(&w->device.fake.store, hf_top_role_name(role)),
              lying.file_sha256);
    hf_receipt_make(&strangers, role, &lying, r->of[role]);
}

static void set_receipts(struct world *w, struct fuzz_input *in)
{
    char *text = fuzz_text(fuzz_section(in));
    fake_store_put_value(&w->device.fake.store, RECEIPTS, text);
    free(text);
}

static void step(struct world *w, struct fuzz_input *in)
{
    uint8_t letter = fuzz_byte(in);
    if (letter == 'v')
        set_value(w, in);
    else if (letter == 'm' || letter == 'f')
        set_metadata(w, in, letter == 'm');
    else if (letter == 'p' || letter == 'h')
        change_pem(w, in, letter == 'h');
    else if (letter == 'c')
        set_custom(w, in);
    else if (letter == 'x')
        empty_slot(w, in);
    else if (letter == 'r')
        set_receipts(w, in);
    else if (letter == 't')
        edit_receipts(w, in, transpose);
    else if (letter == 'o')
        edit_receipts(w, in, take_strangers);
}

/* ---- the device ------------------------------------------------------------------------------ */

static void publish(struct device *d, int64_t version)
{
    device_add_bundle(d, version, &pems[version]);
    tuf_repo_publish_next(&d->repo);
}

static void make_strangers(void)
{
    struct tuf_repo repo;
    struct hf_buf file = {0};
    struct hf_why why = {0};
    tuf_repo_init(&repo, DEVICE_NOW_S);
    tuf_repo_build_root(&repo, &file);
    FUZZ_OK(hf_root_parse(hf_buf_bytes(&file), &strangers, &why), &why);
    hf_buf_free(&file);
    tuf_repo_free(&repo);
}

/* Two updates behind it: something is active, something is previous. And something is staged. Made
 * once, then copied. */
static const struct device *prototype(void)
{
    static struct device d;
    if (d.n_urls > 0)
        return &d;
    tuf_repo_init(&d.repo, DEVICE_NOW_S - 86400);
    tuf_repo_publish_root(&d.repo);
    fake_ports_init(&d.fake, DEVICE_NOW_S);
    device_add_mirror(&d, "http://a.test/repo", NULL);
    struct hf_ports ports = fake_ports_of(&d.fake);
    struct hf_client_config config = device_config(&d);
    struct hf_bytes root = tuf_files_find(&d.repo.files, "metadata/1.root.json");
    FUZZ_OK(hf_client_provision(&ports, &config, root, (struct hf_bytes){0}, &d.why), &d.why);
    device_on(&d);
    for (int64_t version = 1; version <= 2; version++) {
        publish(&d, version);
        FUZZ_OK(device_update(&d), &d.why);
    }
    struct fake_state *state = &d.fake.store.state;
    FUZZ_OK(ports.store.stage_bundle(ports.store.ctx, &state->bundles[HF_SLOT_ACTIVE], &d.why),
            &d.why);
    device_off(&d);
    publish(&d, 3);
    make_strangers();
    return &d;
}

static void begin(struct world *w)
{
    const struct device *first = prototype();
    struct device *d = &w->device;
    *w = (struct world){0};
    fake_ports_init(&d->fake, DEVICE_NOW_S);
    fake_state_copy(&d->fake.store.state, &first->fake.store.state);
    device_add_mirror(d, first->urls[0], &first->repo.files);
}

/* At the start handshakes see the anchor of one of the two bundles, whole, or none. */
static void check_live(const struct world *w)
{
    const struct fake_trust *trust = &w->device.fake.trust;
    struct hf_why why = {0};
    bool is_known = trust->n_anchors == 0 || w->is_hash_touched;
    for (size_t i = 1; i <= 2 && !is_known; i++) {
        struct hf_bundle bundle = {0};
        char sha256[HF_SHA256_HEX_LEN];
        FUZZ_OK(hf_bundle_parse(hf_buf_bytes(&pems[i]), NULL, &bundle, &why), &why);
        hf_sha256_hex(bundle.anchors[0].der, sha256);
        is_known = trust->n_anchors == 1 && fake_trust_has(trust, sha256);
        hf_bundle_free(&bundle);
    }
    FUZZ_CHECK(is_known);
}

/* The newest that the publisher signed, in the store and in the live store. */
static void check_active(struct world *w)
{
    const struct hf_bundle_record *active = fake_store_bundle(&w->device.fake.store,
                                                              HF_SLOT_ACTIVE);
    FUZZ_CHECK(active != NULL);
    if (w->is_floor_touched && active->version != 3) /* the floor forbids all that there is */
        return;
    FUZZ_CHECK(active->version == 3);
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&active->pem), hf_buf_bytes(&pems[3])));
    FUZZ_CHECK(w->device.fake.trust.n_anchors == 1);
}

static void run(struct world *w)
{
    struct device *d = &w->device;
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    struct hf_status status = {0};

    FUZZ_OK(hf_client_open(&ports, &config, &d->client, &d->why), &d->why);
    check_live(w);
    if (hf_client_status(d->client, &status, &d->why) == HF_OK)
        hf_status_free(&status);
    enum hf_err err = device_update(d);
    if (err == HF_OK)
        check_active(w);
    else
        fuzz_check_refusal(err, &d->why);
    if (!w->is_root_touched && !w->is_floor_touched)
        FUZZ_OK(err, &d->why);
    device_off(d);
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
    fake_state_copy(&w.device.fake.store.at_rest, &w.device.fake.store.state);
    run(&w);
    fake_ports_free(&w.device.fake);
    return 0;
}
