#include "server/publish/bundle_drops.h"

#include "common/base/hex.h"
#include "server/publish/fingerprint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Anchors that go now: of the version before, one per key. */
struct leaving {
    const struct hf_anchor **anchors;
    size_t n_anchors;
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
    if (out->anchors == NULL)
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

static void print_leaving(const struct leaving *l, const bool *is_agreed)
{
    fputs("These are in the version before and not in this one:\n", stderr);
    for (size_t i = 0; i < l->n_anchors; i++) {
        char cert[HF_SHA256_HEX_LEN], key[HF_SHA256_HEX_LEN];
        const struct hf_cert *c = &l->anchors[i]->cert;
        hf_hex_encode(c->sha256, HF_SHA256_LEN, cert);
        hf_hex_encode(c->spki_sha256, HF_SHA256_LEN, key);
        fprintf(stderr, "  %s%s\n      certificate %s\n      key         %s\n", c->subject,
                is_agreed[i] ? " (agreed)" : "", cert, key);
    }
}

/* Mark what one --drop agrees to. */
static enum hf_err agree_to(const struct leaving *l, const char *text, bool *is_agreed,
                            struct hf_why *why)
{
    struct hf_fingerprint f;
    bool is_found = false;
    bool is_all = strcmp(text, "all") == 0;
    if (!is_all && hf_fingerprint_parse(text, strlen(text), &f, why) != HF_OK)
        return hf_fail_context(why, "--drop");
    for (size_t i = 0; i < l->n_anchors; i++) {
        const struct hf_cert *c = &l->anchors[i]->cert;
        if (is_all || hf_fingerprint_matches(&f, c->sha256) ||
            hf_fingerprint_matches(&f, c->spki_sha256))
            is_agreed[i] = is_found = true;
    }
    if (!is_found && !is_all)
        return hf_fail(why, HF_E_ARGUMENT,
                       "--drop %s: no certificate or key of that SHA-256 is about to be dropped",
                       f.digits);
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

static enum hf_err decide(const struct leaving *l, const char *const *agreed, bool *is_agreed,
                          struct hf_why *why)
{
    size_t n_open = 0;
    for (size_t i = 0; agreed != NULL && agreed[i] != NULL; i++)
        HF_TRY(agree_to(l, agreed[i], is_agreed, why));
    for (size_t i = 0; i < l->n_anchors; i++)
        n_open += !is_agreed[i];
    if (n_open == 0)
        return HF_OK;
    print_leaving(l, is_agreed);
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

static enum hf_err agree(const struct leaving *l, const char *const *agreed, struct hf_why *why)
{
    bool *is_agreed = calloc(l->n_anchors + 1, sizeof *is_agreed);
    if (is_agreed == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    enum hf_err err = decide(l, agreed, is_agreed, why);
    free(is_agreed);
    return err;
}

/* ---- the signed list -------------------------------------------------------------------------- */

static enum hf_err fill_in(const struct hf_bundle *bundle, const struct leaving *l,
                           const struct hf_description *before, struct hf_description *d,
                           struct hf_why *why)
{
    d->drops = calloc(l->n_anchors + before->n_drops + 1, sizeof *d->drops);
    if (d->drops == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    for (size_t i = 0; i < before->n_drops; i++) {
        if (hf_bundle_find_key(bundle, before->drops[i]) == NULL && !is_listed(l, before->drops[i]))
            memcpy(d->drops[d->n_drops++], before->drops[i], HF_SHA256_LEN);
    }
    for (size_t i = 0; i < l->n_anchors; i++)
        memcpy(d->drops[d->n_drops++], l->anchors[i]->cert.spki_sha256, HF_SHA256_LEN);
    return HF_OK;
}

enum hf_err hf_bundle_drops_make(const struct hf_bundle *bundle, const struct hf_bundle *before,
                                 const struct hf_description *before_description,
                                 const char *const *agreed, struct hf_description *d,
                                 struct hf_why *why)
{
    struct leaving l = {0};
    enum hf_err err = find_leaving(bundle, before, &l, why);
    if (err == HF_OK)
        err = agree(&l, agreed, why);
    if (err == HF_OK)
        err = fill_in(bundle, &l, before_description, d, why);
    free(l.anchors);
    return err;
}
