#include "server/publish/bundle/bundle_drops.h"

#include "common/base/hex.h"
#include "common/base/limits.h"
#include "server/repository/certs/cert_files.h"
#include "common/os/file_util.h"
#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Anchors that go now: of the version before, one per key. */
struct leaving {
    const struct hf_anchor **anchors;
    bool *is_agreed;
    size_t n_anchors;
};

/* Keys to drop that neither version has. */
struct strangers {
    uint8_t (*spki_sha256)[HF_SHA256_LEN];
    size_t n_keys;
};

struct drops {
    const struct hf_bundle_change *change;
    struct leaving leaving;
    struct strangers strangers;
};

static bool is_listed(const struct leaving *l, const uint8_t spki_sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < l->n_anchors; i++) {
        if (memcmp(l->anchors[i]->cert.spki_sha256, spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static enum hf_err find_leaving(const struct hf_bundle *bundle, const struct hf_bundle *before,
                                struct leaving *out, struct hf_why *why)
{
    out->anchors = calloc(before->n_anchors + 1, sizeof(const struct hf_anchor *));
    out->is_agreed = calloc(before->n_anchors + 1, sizeof *out->is_agreed);
    if (out->anchors == NULL || out->is_agreed == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    for (size_t i = 0; i < before->n_anchors; i++) {
        const struct hf_anchor *anchor = &before->anchors[i];
        if (hf_bundle_find_key(bundle, anchor->cert.spki_sha256) == NULL &&
            !is_listed(out, anchor->cert.spki_sha256))
            out->anchors[out->n_anchors++] = anchor;
    }
    return HF_OK;
}

/* ---- agreement -------------------------------------------------------------------------------- */

static void print_leaving(const struct leaving *l)
{
    fputs("These are in the version before and not in this one:\n", stderr);
    for (size_t i = 0; i < l->n_anchors; i++) {
        char cert[HF_SHA256_HEX_LEN], key[HF_SHA256_HEX_LEN];
        const struct hf_cert *c = &l->anchors[i]->cert;
        hf_hex_encode(c->sha256, HF_SHA256_LEN, cert);
        hf_hex_encode(c->spki_sha256, HF_SHA256_LEN, key);
        fprintf(stderr, "  %s%s\n      certificate %s\n      key         %s\n", c->subject,
                l->is_agreed[i] ? " (agreed)" : "", cert, key);
    }
}

static enum hf_err add_stranger(struct strangers *s, const uint8_t spki_sha256[HF_SHA256_LEN],
                                struct hf_why *why)
{
    for (size_t i = 0; i < s->n_keys; i++) {
        if (memcmp(s->spki_sha256[i], spki_sha256, HF_SHA256_LEN) == 0)
            return HF_OK;
    }
    void *more = realloc(s->spki_sha256, (s->n_keys + 1) * sizeof *s->spki_sha256);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys to drop");
    s->spki_sha256 = more;
    memcpy(s->spki_sha256[s->n_keys++], spki_sha256, HF_SHA256_LEN);
    return HF_OK;
}

static bool agree_to_leaving(struct leaving *l, const struct hf_fingerprint *f)
{
    bool is_found = false;
    for (size_t i = 0; i < l->n_anchors; i++) {
        const struct hf_cert *c = &l->anchors[i]->cert;
        if (hf_fingerprint_matches(f, c->sha256) || hf_fingerprint_matches(f, c->spki_sha256))
            l->is_agreed[i] = is_found = true;
    }
    return is_found;
}

static bool stays(const struct hf_bundle *bundle, const struct hf_fingerprint *f)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_cert *c = &bundle->anchors[i].cert;
        if (hf_fingerprint_matches(f, c->sha256) || hf_fingerprint_matches(f, c->spki_sha256))
            return true;
    }
    return false;
}

static enum hf_err agree_to_digits(struct drops *drops, const char *text, struct hf_why *why)
{
    struct hf_fingerprint f;
    uint8_t spki_sha256[HF_SHA256_LEN];
    if (hf_fingerprint_parse(text, strlen(text), &f, why) != HF_OK)
        return hf_fail_context(why, "--drop");
    if (agree_to_leaving(&drops->leaving, &f))
        return HF_OK;
    if (stays(drops->change->bundle, &f) ||
        !hf_hex_decode(f.digits, spki_sha256, sizeof spki_sha256))
        return hf_fail(why, HF_E_ARGUMENT,
                       "--drop %s: no certificate or key of that SHA-256 is about to be dropped",
                       f.digits);
    return add_stranger(&drops->strangers, spki_sha256, why);
}

static enum hf_err agree_to_cert(struct drops *drops, const char *file, const struct hf_cert *cert,
                                 struct hf_why *why)
{
    struct hf_fingerprint f;
    hf_hex_encode(cert->spki_sha256, HF_SHA256_LEN, f.digits);
    if (agree_to_leaving(&drops->leaving, &f))
        return HF_OK;
    if (stays(drops->change->bundle, &f))
        return hf_fail(why, HF_E_ARGUMENT, "--drop %s: the key of \"%s\" is in this version", file,
                       cert->subject);
    return add_stranger(&drops->strangers, cert->spki_sha256, why);
}

static enum hf_err agree_to_file(struct drops *drops, const char *file, struct hf_why *why)
{
    const char *const paths[] = {file, NULL};
    const struct hf_cert_source source = {.paths = paths};
    struct hf_buf pem = {0};
    struct hf_bundle bundle = {0};
    enum hf_err err = hf_cert_files_read(&source, &pem, why);
    if (err == HF_OK)
        err = hf_bundle_parse(hf_buf_bytes(&pem), NULL, &bundle, why);
    for (size_t i = 0; i < bundle.n_anchors && err == HF_OK; i++)
        err = agree_to_cert(drops, file, &bundle.anchors[i].cert, why);
    hf_bundle_free(&bundle);
    hf_buf_free(&pem);
    return err;
}

/* Mark what one --drop agrees to. */
static enum hf_err agree_to(struct drops *drops, const char *text, struct hf_why *why)
{
    if (strcmp(text, "all") != 0)
        return hf_file_exists(text) ? agree_to_file(drops, text, why)
                                    : agree_to_digits(drops, text, why);
    for (size_t i = 0; i < drops->leaving.n_anchors; i++)
        drops->leaving.is_agreed[i] = true;
    return HF_OK;
}

static bool ask_person(void)
{
    char answer[16] = "";
    fputs("Devices will lose them, also where an endpoint still needs them. Drop? [y/N] ", stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        return false;
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static enum hf_err agree(struct drops *drops, struct hf_why *why)
{
    const char *const *agreed = drops->change->agreed;
    const struct leaving *l = &drops->leaving;
    size_t n_open = 0;
    for (size_t i = 0; agreed != NULL && agreed[i] != NULL; i++)
        HF_TRY(agree_to(drops, agreed[i], why));
    for (size_t i = 0; i < l->n_anchors; i++)
        n_open += !l->is_agreed[i];
    if (n_open == 0)
        return HF_OK;
    print_leaving(l);
    if (agreed == NULL && isatty(STDIN_FILENO)) {
        if (ask_person())
            return HF_OK;
        return hf_fail(why, HF_E_POLICY, "not dropped, so nothing was published; add them again");
    }
    return hf_fail(why, HF_E_POLICY,
                   "%zu root(s) of the version before are missing; add them again, or agree with "
                   "--drop SHA256 for each or --drop all",
                   n_open);
}

/* ---- the signed list -------------------------------------------------------------------------- */

static enum hf_err note(const struct hf_description *d, const uint8_t spki_sha256[HF_SHA256_LEN],
                        struct hf_findings *findings, struct hf_why *why)
{
    char where[HF_TARGET_PATH_MAX], key[HF_SHA256_HEX_LEN];
    snprintf(where, sizeof where, "%s/%s %" PRId64, d->set, d->profile, d->version);
    hf_hex_encode(spki_sha256, HF_SHA256_LEN, key);
    return hf_findings_add(findings, HF_LINT_DROPS_UNKNOWN_KEY, where, why,
                           "the key %s is dropped and was not in the version before: devices that "
                           "have it revoke it. Check that this is the SHA-256 of a key: that of a "
                           "certificate has no effect",
                           key);
}

/* Keys that --undrop takes from the list of the version before. */
static enum hf_err check_undrops(const struct drops *drops, struct hf_why *why)
{
    const char *const *undrops = drops->change->undrops;
    uint8_t key[HF_SHA256_LEN];

    for (size_t i = 0; undrops != NULL && undrops[i] != NULL; i++) {
        if (!hf_hex_decode(undrops[i], key, sizeof key) ||
            !hf_description_drops(drops->change->before_description, key))
            return hf_fail(why, HF_E_ARGUMENT,
                           "--undrop %.80s: the version before drops no such key (expected the 64 "
                           "digits of one that `holdfastctl bundle list --json` shows)",
                           undrops[i]);
    }
    return HF_OK;
}

static bool is_undropped(const struct drops *drops, const uint8_t spki_sha256[HF_SHA256_LEN])
{
    const char *const *undrops = drops->change->undrops;
    uint8_t key[HF_SHA256_LEN];

    for (size_t i = 0; undrops != NULL && undrops[i] != NULL; i++) {
        if (hf_hex_decode(undrops[i], key, sizeof key) && memcmp(key, spki_sha256, sizeof key) == 0)
            return true;
    }
    return false;
}

static enum hf_err check_count(const struct hf_description *d, struct hf_why *why)
{
    if (d->n_drops <= HF_REVOKED_MAX)
        return HF_OK;
    return hf_fail(why, HF_E_LIMIT,
                   "%s/%s %" PRId64 " would drop %zu keys, with those of the versions before it; a "
                   "device keeps at most %d. Take %zu that no device can hold any more off the "
                   "list with --undrop KEY, again for each, or keep as many roots for now and set "
                   "--distrust-after on them",
                   d->set, d->profile, d->version, d->n_drops, HF_REVOKED_MAX,
                   d->n_drops - HF_REVOKED_MAX);
}

static enum hf_err fill_in(const struct drops *drops, struct hf_description *d, size_t *n_strangers,
                           struct hf_findings *findings, struct hf_why *why)
{
    const struct hf_description *before = drops->change->before_description;
    const struct leaving *l = &drops->leaving;
    const struct strangers *s = &drops->strangers;
    size_t n = 0;
    d->drops = calloc(l->n_anchors + before->n_drops + s->n_keys + 1, sizeof *d->drops);
    if (d->drops == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    for (size_t i = 0; i < before->n_drops; i++) {
        if (hf_bundle_find_key(drops->change->bundle, before->drops[i]) == NULL &&
            !is_listed(l, before->drops[i]) && !is_undropped(drops, before->drops[i]))
            memcpy(d->drops[d->n_drops++], before->drops[i], HF_SHA256_LEN);
    }
    for (size_t i = 0; i < l->n_anchors; i++)
        memcpy(d->drops[d->n_drops++], l->anchors[i]->cert.spki_sha256, HF_SHA256_LEN);
    for (size_t i = 0; i < s->n_keys; i++) {
        if (hf_description_drops(d, s->spki_sha256[i]))
            continue;
        HF_TRY(note(d, s->spki_sha256[i], findings, why));
        memcpy(d->drops[d->n_drops++], s->spki_sha256[i], HF_SHA256_LEN);
        n++;
    }
    HF_TRY(check_count(d, why));
    *n_strangers = n;
    return HF_OK;
}

enum hf_err hf_bundle_drops_make(const struct hf_bundle_change *change, struct hf_description *d,
                                 size_t *n_strangers, struct hf_findings *findings,
                                 struct hf_why *why)
{
    struct drops drops = {.change = change};
    enum hf_err err = find_leaving(change->bundle, change->before, &drops.leaving, why);
    if (err == HF_OK)
        err = check_undrops(&drops, why);
    if (err == HF_OK)
        err = agree(&drops, why);
    if (err == HF_OK)
        err = fill_in(&drops, d, n_strangers, findings, why);
    free(drops.leaving.anchors);
    free(drops.leaving.is_agreed);
    free(drops.strangers.spki_sha256);
    return err;
}
