#include "server/publish/bundle/bundle_build.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/cli/cli.h"
#include "common/os/file_util.h"
#include "server/repository/certs/select.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct drops {
    const struct hf_bundle_order *order;
    const struct hf_bundle *bundle; /* the new one */
    const struct hf_repo_bundle *before;
    /* Anchors of the version before that this one lacks, one per key. */
    const struct hf_anchor **leaving; /* owned */
    bool *is_agreed;                  /* owned */
    size_t n_leaving;
    /* Keys to drop that neither version has. */
    uint8_t (*unknown)[HF_SHA256_LEN]; /* owned */
    size_t n_unknown;
};

static bool is_leaving(const struct drops *drops, const uint8_t spki_sha256[HF_SHA256_LEN])
{
    for (size_t i = 0; i < drops->n_leaving; i++) {
        if (memcmp(drops->leaving[i]->cert.spki_sha256, spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static enum hf_err find_leaving(struct drops *drops, struct hf_why *why)
{
    const struct hf_bundle *before = &drops->before->bundle;
    drops->leaving = calloc(before->n_anchors + 1, sizeof(const struct hf_anchor *));
    drops->is_agreed = calloc(before->n_anchors + 1, sizeof *drops->is_agreed);
    if (drops->leaving == NULL || drops->is_agreed == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    for (size_t i = 0; i < before->n_anchors; i++) {
        const struct hf_anchor *anchor = &before->anchors[i];
        if (hf_bundle_find_key(drops->bundle, anchor->cert.spki_sha256) == NULL &&
            !is_leaving(drops, anchor->cert.spki_sha256))
            drops->leaving[drops->n_leaving++] = anchor;
    }
    return HF_OK;
}

static bool is_of(const struct hf_fingerprint *f, const struct hf_cert *cert)
{
    return hf_fingerprint_matches(f, cert->sha256) || hf_fingerprint_matches(f, cert->spki_sha256);
}

static bool agree_to_leaving(struct drops *drops, const struct hf_fingerprint *f)
{
    bool is_found = false;
    for (size_t i = 0; i < drops->n_leaving; i++) {
        if (is_of(f, &drops->leaving[i]->cert))
            drops->is_agreed[i] = is_found = true;
    }
    return is_found;
}

/* All digits of the key if some version holds that certificate or key, else `f`. */
static struct hf_fingerprint key_of(const struct hf_repo_bundles *listed, struct hf_fingerprint f)
{
    for (size_t i = 0; listed != NULL && i < listed->n_items; i++) {
        const struct hf_bundle *bundle = &listed->items[i].bundle;
        for (size_t j = 0; j < bundle->n_anchors; j++) {
            if (is_of(&f, &bundle->anchors[j].cert)) {
                hf_hex_encode(bundle->anchors[j].cert.spki_sha256, HF_SHA256_LEN, f.digits);
                return f;
            }
        }
    }
    return f;
}

static bool stays(const struct drops *drops, const struct hf_fingerprint *f)
{
    for (size_t i = 0; i < drops->bundle->n_anchors; i++) {
        if (is_of(f, &drops->bundle->anchors[i].cert))
            return true;
    }
    return false;
}

static enum hf_err add_unknown(struct drops *drops, const uint8_t spki_sha256[HF_SHA256_LEN],
                               struct hf_why *why)
{
    for (size_t i = 0; i < drops->n_unknown; i++) {
        if (memcmp(drops->unknown[i], spki_sha256, HF_SHA256_LEN) == 0)
            return HF_OK;
    }
    void *more = realloc(drops->unknown, (drops->n_unknown + 1) * sizeof *drops->unknown);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for keys to drop");
    drops->unknown = more;
    memcpy(drops->unknown[drops->n_unknown++], spki_sha256, HF_SHA256_LEN);
    return HF_OK;
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
    for (size_t i = 0; i < bundle.n_anchors && err == HF_OK; i++) {
        const struct hf_cert *cert = &bundle.anchors[i].cert;
        struct hf_fingerprint f;
        hf_hex_encode(cert->spki_sha256, HF_SHA256_LEN, f.digits);
        if (agree_to_leaving(drops, &f))
            continue;
        err = stays(drops, &f)
                  ? hf_fail(why, HF_E_ARGUMENT, "--drop %s: the key of \"%s\" is in this version",
                            file, cert->subject)
                  : add_unknown(drops, cert->spki_sha256, why);
    }
    hf_bundle_free(&bundle);
    hf_buf_free(&pem);
    return err;
}

static void print_leaving(const struct drops *drops)
{
    fputs("These are in the version before and not in this one:\n", stderr);
    for (size_t i = 0; i < drops->n_leaving; i++) {
        char cert[HF_SHA256_HEX_LEN], key[HF_SHA256_HEX_LEN];
        const struct hf_cert *c = &drops->leaving[i]->cert;
        hf_hex_encode(c->sha256, HF_SHA256_LEN, cert);
        hf_hex_encode(c->spki_sha256, HF_SHA256_LEN, key);
        fprintf(stderr, "  %s%s\n      certificate %s\n      key         %s\n", c->subject,
                drops->is_agreed[i] ? " (agreed)" : "", cert, key);
    }
}

static enum hf_err agree(struct drops *drops, struct hf_why *why)
{
    const char *const *agreed = drops->order->drops;
    size_t n_open = 0;
    for (size_t i = 0; agreed != NULL && agreed[i] != NULL; i++) {
        struct hf_fingerprint f;
        uint8_t spki_sha256[HF_SHA256_LEN];
        if (strcmp(agreed[i], "all") == 0) {
            memset(drops->is_agreed, true, drops->n_leaving);
            continue;
        }
        if (hf_file_exists(agreed[i])) {
            HF_TRY(agree_to_file(drops, agreed[i], why));
            continue;
        }
        if (hf_fingerprint_parse(agreed[i], strlen(agreed[i]), &f, why) != HF_OK)
            return hf_fail_context(why, "--drop");
        if (agree_to_leaving(drops, &f))
            continue;
        const struct hf_fingerprint key = key_of(drops->order->listed, f);
        if (stays(drops, &key) || !hf_hex_decode(key.digits, spki_sha256, sizeof spki_sha256))
            return hf_fail(
                why, HF_E_ARGUMENT,
                "--drop %s: no certificate or key of that SHA-256 is about to be dropped",
                f.digits);
        HF_TRY(add_unknown(drops, spki_sha256, why));
    }
    for (size_t i = 0; i < drops->n_leaving; i++)
        n_open += !drops->is_agreed[i];
    if (n_open == 0)
        return HF_OK;
    print_leaving(drops);
    if (agreed != NULL || !isatty(STDIN_FILENO))
        return hf_fail(why, HF_E_POLICY,
                       "%zu root(s) of the version before are missing; add them again, or agree "
                       "with --drop SHA256 for each or --drop all",
                       n_open);
    if (hf_cli_agrees("Devices will lose them, also where an endpoint still needs them. Drop?"))
        return HF_OK;
    return hf_fail(why, HF_E_POLICY, "not dropped, so nothing was published; add them again");
}

static enum hf_err check_undrops(const struct drops *drops, struct hf_why *why)
{
    const char *const *undrops = drops->order->undrops;
    uint8_t key[HF_SHA256_LEN];
    for (size_t i = 0; undrops != NULL && undrops[i] != NULL; i++) {
        if (!hf_hex_decode(undrops[i], key, sizeof key) ||
            !hf_description_drops(&drops->before->description, key))
            return hf_fail(why, HF_E_ARGUMENT,
                           "--undrop %.80s: the version before drops no such key (expected the 64 "
                           "digits of one that `holdfastctl bundle list --json` shows)",
                           undrops[i]);
    }
    return HF_OK;
}

static enum hf_err add_unknown_drop(struct hf_bundle_built *built,
                                    const uint8_t spki_sha256[HF_SHA256_LEN], struct hf_why *why)
{
    struct hf_description *d = &built->description;
    char where[HF_TARGET_PATH_MAX], key[HF_SHA256_HEX_LEN];
    if (hf_description_drops(d, spki_sha256))
        return HF_OK;
    memcpy(d->drops[d->n_drops++], spki_sha256, HF_SHA256_LEN);
    built->n_unknown_drops++;
    snprintf(where, sizeof where, "%s/%s %" PRId64, d->set, d->profile, d->version);
    hf_hex_encode(spki_sha256, HF_SHA256_LEN, key);
    return hf_findings_add(&built->findings, HF_LINT_DROPS_UNKNOWN_KEY, where, why,
                           "the key %s is dropped and was not in the version before: devices that "
                           "have it revoke it. Check that this is the SHA-256 of a key: that of a "
                           "certificate has no effect",
                           key);
}

static enum hf_err fill_in(const struct drops *drops, struct hf_bundle_built *built,
                           struct hf_why *why)
{
    const struct hf_description *before = &drops->before->description;
    struct hf_description *d = &built->description;
    d->drops = calloc(drops->n_leaving + before->n_drops + drops->n_unknown + 1, sizeof *d->drops);
    if (d->drops == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    for (size_t i = 0; i < before->n_drops; i++) {
        const uint8_t *key = before->drops[i];
        const char *const *undrops = drops->order->undrops;
        uint8_t undrop[HF_SHA256_LEN];
        bool is_undropped = false;
        for (size_t k = 0; undrops != NULL && undrops[k] != NULL; k++)
            is_undropped = is_undropped || (hf_hex_decode(undrops[k], undrop, sizeof undrop) &&
                                            memcmp(undrop, key, sizeof undrop) == 0);
        if (hf_bundle_find_key(drops->bundle, key) == NULL && !is_leaving(drops, key) &&
            !is_undropped)
            memcpy(d->drops[d->n_drops++], key, HF_SHA256_LEN);
    }
    for (size_t i = 0; i < drops->n_leaving; i++)
        memcpy(d->drops[d->n_drops++], drops->leaving[i]->cert.spki_sha256, HF_SHA256_LEN);
    for (size_t i = 0; i < drops->n_unknown; i++)
        HF_TRY(add_unknown_drop(built, drops->unknown[i], why));
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

/* A first version, too, may drop a root that an attacker installed. */
enum hf_err hf_bundle_drops_make(const struct hf_bundle_order *order,
                                 const struct hf_repo_bundle *before, struct hf_bundle_built *built,
                                 struct hf_why *why)
{
    static const struct hf_repo_bundle nothing;
    struct drops drops = {.order = order,
                          .bundle = &built->bundle,
                          .before = before == NULL ? &nothing : before};
    enum hf_err err = find_leaving(&drops, why);
    if (err == HF_OK)
        err = check_undrops(&drops, why);
    if (err == HF_OK)
        err = agree(&drops, why);
    if (err == HF_OK)
        err = fill_in(&drops, built, why);
    free(drops.leaving);
    free(drops.is_agreed);
    free(drops.unknown);
    return err;
}
