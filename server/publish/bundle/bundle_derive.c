#include "server/publish/bundle/bundle_derive.h"

#include "common/base/hex.h"

#include <stdlib.h>
#include <string.h>

static const struct hf_derivation known_ones[HF_DERIVED_MAX] = {
    {"rsa", HF_KEYS_OF_RSA},
    {"ecc", HF_KEYS_OF_ECC},
};

/* ---- what was asked for ----------------------------------------------------------------------- */

static const struct hf_derivation *find_one(const char *text, size_t len)
{
    for (size_t i = 0; i < HF_DERIVED_MAX; i++) {
        if (strlen(known_ones[i].profile) == len && strncmp(known_ones[i].profile, text, len) == 0)
            return &known_ones[i];
    }
    return NULL;
}

static enum hf_err add_one(const char *text, size_t len, const char *profile,
                           struct hf_derivation *out, size_t *n_out, struct hf_why *why)
{
    const struct hf_derivation *d = find_one(text, len);
    if (d == NULL || strcmp(d->profile, profile) == 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "--derive: from profile %.64s come rsa, ecc or both, not \"%.*s\"", profile,
                       (int)(len < 64 ? len : 64), text);
    for (size_t i = 0; i < *n_out; i++) {
        if (strcmp(out[i].profile, d->profile) == 0)
            return hf_fail(why, HF_E_ARGUMENT, "--derive: %s is given twice", d->profile);
    }
    out[(*n_out)++] = *d;
    return HF_OK;
}

enum hf_err hf_derivations_parse(const char *const *texts, const char *profile,
                                 struct hf_derivation *out, size_t *n_out, struct hf_why *why)
{
    *n_out = 0;
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        const char *text = texts[i];
        for (;;) {
            size_t len = strcspn(text, ",");
            HF_TRY(add_one(text, len, profile, out, n_out, why));
            if (text[len] == '\0')
                break;
            text += len + 1;
        }
    }
    return HF_OK;
}

/* ---- making it -------------------------------------------------------------------------------- */

/* The drops of `full` that `before` still has, or that are strange to both, as --drop would name them;
 * and those of `before` that --undrop took from `full`. */
struct agreed {
    char (*hex)[HF_SHA256_HEX_LEN];
    const char **texts;   /* NULL-terminated */
    const char **undrops; /* the same */
};

static void agreed_free(struct agreed *a)
{
    free(a->hex);
    free(a->texts);
    free(a->undrops);
}

static enum hf_err agree(const struct hf_bundle_built *built, const char *const *undrops,
                         const struct hf_repo_bundle *before, struct agreed *out,
                         struct hf_why *why)
{
    const struct hf_description *full = &built->description;
    size_t n_undrops = 0;
    while (undrops != NULL && undrops[n_undrops] != NULL)
        n_undrops++;
    struct agreed a = {calloc(full->n_drops + 1, sizeof *a.hex),
                       calloc(full->n_drops + 1, sizeof *a.texts),
                       calloc(n_undrops + 1, sizeof *a.undrops)};
    size_t n = 0;
    if (a.hex == NULL || a.texts == NULL || a.undrops == NULL) {
        agreed_free(&a);
        return hf_fail(why, HF_E_MEMORY, "out of memory for a derived bundle");
    }
    for (size_t i = 0; i < full->n_drops; i++) {
        bool is_strange = i >= full->n_drops - built->n_strangers;
        bool was_there = before != NULL &&
                         hf_bundle_find_key(&before->bundle, full->drops[i]) != NULL;
        if (!is_strange && !was_there)
            continue;
        hf_hex_encode(full->drops[i], HF_SHA256_LEN, a.hex[n]);
        a.texts[n] = a.hex[n];
        n++;
    }
    n = 0;
    for (size_t i = 0; i < n_undrops && before != NULL; i++) {
        uint8_t key[HF_SHA256_LEN];
        if (hf_hex_decode(undrops[i], key, sizeof key) &&
            hf_description_drops(&before->description, key))
            a.undrops[n++] = undrops[i];
    }
    *out = a;
    return HF_OK;
}

enum hf_err hf_bundle_derive(const struct hf_bundle_built *full,
                             const struct hf_derivation *derivation,
                             const struct hf_bundle_order *full_order,
                             const struct hf_repo_bundle *before, int64_t now_s,
                             struct hf_bundle_built *out, struct hf_why *why)
{
    struct agreed agreed = {0};
    HF_TRY(agree(full, full_order->undrops, before, &agreed, why));
    const struct hf_repo_bundle from = {.description = full->description, .bundle = full->bundle};
    const struct hf_bundle_order order = {
        .set = full->description.set,
        .profile = derivation->profile,
        .from = &from,
        .from_kind = derivation->kind,
        .known = full_order->known,
        .self_signed = full_order->self_signed,
        .is_again = full_order->is_again,
        .drops = agreed.texts[0] == NULL ? NULL : agreed.texts,
        .undrops = agreed.undrops,
    };
    enum hf_err err = hf_bundle_build(&order, before, now_s, out, why);
    agreed_free(&agreed);
    if (err != HF_OK)
        return hf_fail_context(why, "profile %s", derivation->profile);
    return HF_OK;
}
