#include "server/publish/bundle/bundle_build.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "common/bundle/policy.h"
#include "server/publish/lint/lint.h"
#include "server/repository/certs/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what goes in ---------------------------------------------------------------------------- */

static bool is_of_kind(const struct hf_cert *cert, enum hf_key_kind kind)
{
    switch (kind) {
    case HF_KEYS_OF_ANY_KIND:
        return true;
    case HF_KEYS_OF_RSA:
        return cert->key == HF_CERT_KEY_RSA;
    case HF_KEYS_OF_ECC:
        return cert->key == HF_CERT_KEY_P256 || cert->key == HF_CERT_KEY_P384 ||
               cert->key == HF_CERT_KEY_P521;
    }
    return false;
}

static enum hf_err take_from(const struct hf_bundle_order *order, struct hf_buf *pem,
                             struct hf_why *why)
{
    const struct hf_bundle *from = &order->from->bundle;
    for (size_t i = 0; i < from->n_anchors; i++) {
        const struct hf_anchor *anchor = &from->anchors[i];
        bool is_left_out = false;
        for (size_t k = 0; order->without != NULL && order->without[k] != NULL; k++)
            is_left_out = is_left_out ||
                          hf_select_matches(order->without[k], order->known, &anchor->cert);
        if (is_of_kind(&anchor->cert, order->from_kind) && !is_left_out &&
            hf_pem_append(pem, anchor->der) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for the bundle to copy");
    }
    if (pem->len > 0)
        return HF_OK;
    return hf_fail(why, HF_E_POLICY,
                   "no certificate would be left in %s/%s; devices keep what they have when a "
                   "bundle is empty, so none is published",
                   order->set, order->profile);
}

static enum hf_err read_files(const struct hf_bundle_order *order, int64_t now_s,
                              struct hf_buf *pem, struct hf_findings *findings,
                              struct hf_findings *problems, struct hf_why *why)
{
    const struct hf_cert_source source = {
        .paths = order->files,
        .selects = order->selects,
        .known = order->known,
        .present = order->adds_to_from ? &order->from->bundle : NULL,
        .left_out = findings,
        .at_s = now_s,
        .are_named = order->files_are_named,
        /* Lint looks for such roots in the profile `full`. */
        .set = strcmp(order->profile, "full") == 0 ? order->set : "",
        .problems = problems,
    };
    const size_t len_before = pem->len;
    bool uses_tables = order->notes.signs_planned; /* to choose, or for dates */
    for (size_t i = 0; order->selects != NULL && order->selects[i] != NULL; i++)
        uses_tables = uses_tables || hf_select_is_table(order->selects[i], order->known);
    if (uses_tables)
        HF_TRY(hf_lint_tables(order->known, now_s, findings, why));
    HF_TRY(hf_cert_files_read(&source, pem, why));
    if (pem->len > len_before || order->adds_to_from || problems->n_items > 0)
        return HF_OK;
    return hf_fail(why, HF_E_POLICY, "all that was chosen has expired; choose roots in date");
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* A certificate that is not supported here would silently be lost in the next version. */
static enum hf_err check_supported(const struct hf_bundle *bundle, const char *holder,
                                   struct hf_why *why)
{
    if (bundle->n_skipped == 0)
        return HF_OK;
    return hf_fail(why, HF_E_POLICY,
                   "%s \"%s\", which is not supported here: Holdfast cannot use its %s; leave this "
                   "certificate out, or use a holdfastctl that supports it",
                   holder, bundle->skipped[0].subject, bundle->skipped[0].what);
}

/* A device would not use such an anchor, so to publish it now is a mistake. */
static enum hf_err check_state(const struct hf_anchor *anchor, int64_t now_s, struct hf_why *why)
{
    const struct hf_cert *cert = &anchor->cert;
    char day[HF_TIME_TEXT_MAX];
    switch (hf_policy_anchor_state(anchor, now_s)) {
    case HF_ANCHOR_USABLE:
        break;
    case HF_ANCHOR_NOT_YET_VALID:
        hf_time_format_day(cert->not_before_s, day);
        return hf_fail(why, HF_E_POLICY, "\"%s\" is not valid before %s; leave it out until then",
                       cert->subject, day);
    case HF_ANCHOR_EXPIRED:
        hf_time_format_day(cert->not_after_s, day);
        return hf_fail(why, HF_E_POLICY, "\"%s\" expired on %s; leave it out", cert->subject, day);
    case HF_ANCHOR_REMOVED:
        hf_time_format_last(anchor->remove_after_s, day);
        return hf_fail(why, HF_E_POLICY,
                       "\"%s\" is to be removed after %s, which has passed; leave it out",
                       cert->subject, day);
    case HF_ANCHOR_NOT_FOR_SERVERS:
        return hf_policy_check_purpose(cert, why);
    }
    return HF_OK;
}

/* Errors that --accept cannot accept. One does not stop the check of the other anchors. */
static enum hf_err check_anchor(const struct hf_bundle_order *order, const struct hf_vouching *by,
                                struct hf_anchor *anchor, int64_t now_s,
                                struct hf_findings *problems, struct hf_why *why)
{
    const char *subject = anchor->cert.subject;
    const struct hf_bundle alone = {.anchors = anchor, .n_anchors = 1};
    struct hf_why reason = {0};
    if (!anchor->cert.is_ca && !anchor->cert.is_self_issued)
        return HF_OK; /* it was noted when its use was chosen */
    if (hf_policy_check_anchor(anchor, &reason) != HF_OK)
        return hf_findings_add(problems, HF_LINT_WEAK, subject, why, "%s", reason.text);
    enum hf_err err = hf_self_signed_verify(order->self_signed, &alone, &reason);
    if (err == HF_E_MEMORY)
        return hf_fail(why, err, "%s", reason.text);
    if (err != HF_OK)
        return hf_findings_add(problems, HF_LINT_BROKEN, subject, why, "%s", reason.text);
    if (check_state(anchor, now_s, &reason) != HF_OK)
        HF_TRY(hf_findings_add(problems, HF_LINT_NOT_IN_DATE, subject, why, "%s", reason.text));
    return hf_vouching_check(by, &anchor->cert, subject, problems, why);
}

/* ---- a version ------------------------------------------------------------------------------- */

/* Set, profile, version, and what is signed about each certificate. */
static enum hf_err describe(const struct hf_bundle_order *order, struct hf_bytes pem,
                            const struct hf_repo_bundle *before, int64_t now_s,
                            struct hf_description *d, struct hf_findings *problems,
                            struct hf_why *why)
{
    /* What another profile says of its certificates comes with them. */
    const struct hf_repo_bundle *noted = order->from != NULL ? order->from : before;
    struct hf_bundle plain = {0};
    if (!hf_set_name_is_valid(order->set) || !hf_set_name_is_valid(order->profile))
        return hf_fail(
            why, HF_E_ARGUMENT,
            "a set or profile is named with a-z, 0-9, \".\", \"_\" and \"-\", at most %d of "
            "them, a letter or digit first; \"%.80s\" of \"%.80s\" is not",
            HF_SET_NAME_MAX, order->profile, order->set);
    memcpy(d->set, order->set, strlen(order->set) + 1);
    memcpy(d->profile, order->profile, strlen(order->profile) + 1);
    d->version = before == NULL ? 1 : before->description.version + 1;
    HF_TRY(hf_bundle_parse(pem, NULL, &plain, why));
    enum hf_err err = hf_bundle_notes_make(order, &plain, noted == NULL ? NULL : &noted->bundle,
                                           now_s, d, problems, why);
    hf_bundle_free(&plain);
    return err;
}

static enum hf_err build(const struct hf_bundle_order *order, const struct hf_repo_bundle *before,
                         int64_t now_s, struct hf_bundle_built *b, struct hf_findings *problems,
                         struct hf_why *why)
{
    const struct hf_vouching by = {
        .known = order->known,
        .before = before == NULL ? NULL : &before->bundle,
        .from = order->from == NULL ? NULL : &order->from->bundle,
        .pins = order->pins,
    };
    struct hf_bytes pem = hf_buf_bytes(&b->pem);
    if (pem.len == 0 && problems->n_items > 0)
        return HF_OK; /* no file could be read */
    HF_TRY(describe(order, pem, before, now_s, &b->description, problems, why));
    HF_TRY(hf_bundle_parse(pem, &b->description, &b->bundle, why));
    HF_TRY(check_supported(&b->bundle, "these files hold", why));
    if (by.before != NULL)
        HF_TRY(check_supported(by.before, "the version before holds", why));
    if (by.from != NULL)
        HF_TRY(check_supported(by.from, "the bundle to copy holds", why));
    HF_TRY(hf_vouching_check_pins(&by, &b->bundle, why));
    for (size_t i = 0; i < b->bundle.n_anchors; i++)
        HF_TRY(check_anchor(order, &by, &b->bundle.anchors[i], now_s, problems, why));
    /* With other problems nothing is published, so no question is asked; missing drops are
     * listed. */
    if (problems->n_items == 0 || !isatty(STDIN_FILENO)) {
        enum hf_err err = hf_bundle_drops_make(order, before, b, why);
        if (err == HF_E_POLICY && problems->n_items > 0) {
            const struct hf_why missing = *why;
            err = hf_findings_add(problems, HF_LINT_SHRINKS, order->profile, why, "%s",
                                  missing.text);
        }
        HF_TRY(err);
    }
    hf_buf_free(&b->pem);
    return hf_bundle_to_pem(&b->bundle, &b->pem);
}

/* The order of certificates and of drops makes no difference to a device. */
static bool is_same(const struct hf_bundle_built *b, const struct hf_repo_bundle *before)
{
    if (b->bundle.n_anchors != before->bundle.n_anchors ||
        b->description.n_drops != before->description.n_drops)
        return false;
    for (size_t i = 0; i < b->bundle.n_anchors; i++) {
        const struct hf_anchor *new = &b->bundle.anchors[i];
        const struct hf_anchor *old = hf_bundle_find(&before->bundle, new->cert.sha256);
        if (old == NULL || old->use != new->use || old->distrust_after_s != new->distrust_after_s ||
            old->remove_after_s != new->remove_after_s)
            return false;
    }
    for (size_t i = 0; i < b->description.n_drops; i++) {
        if (!hf_description_drops(&before->description, b->description.drops[i]))
            return false;
    }
    return true;
}

enum hf_err hf_bundle_build(const struct hf_bundle_order *order,
                            const struct hf_repo_bundle *before, int64_t now_s,
                            struct hf_bundle_built *out, struct hf_why *why)
{
    struct hf_bundle_built b = {0};
    struct hf_findings problems = {0};
    enum hf_err err = order->from == NULL ? HF_OK : take_from(order, &b.pem, why);
    if (err == HF_OK && order->files != NULL)
        err = read_files(order, now_s, &b.pem, &b.findings, &problems, why);
    if (err == HF_OK)
        err = build(order, before, now_s, &b, &problems, why);
    /* All problems, each with the name of its file or certificate: one run finds them all. They
     * come first: another error may be their consequence, such as a --pin for an unreadable
     * file. */
    if (problems.n_items == 1 && err != HF_E_MEMORY) {
        err = hf_fail(why, HF_E_POLICY, "%s", problems.items[0].sentence);
    } else if (problems.n_items > 1 && err != HF_E_MEMORY) {
        for (size_t i = 0; i < problems.n_items; i++)
            fprintf(stderr, "  %s\n", problems.items[i].sentence);
        err = hf_fail(why, HF_E_POLICY,
                      "nothing was published, because of the %zu problems above; the first is: %s",
                      problems.n_items, problems.items[0].sentence);
    }
    hf_findings_free(&problems);
    if (err != HF_OK) {
        hf_bundle_built_free(&b);
        return err;
    }
    b.is_unchanged = !order->is_again && before != NULL && is_same(&b, before);
    if (b.is_unchanged)
        b.description.version = before->description.version;
    *out = b;
    return HF_OK;
}

void hf_bundle_built_free(struct hf_bundle_built *built)
{
    hf_description_free(&built->description);
    hf_bundle_free(&built->bundle);
    hf_buf_free(&built->pem);
    hf_findings_free(&built->findings);
}

/* ---- derived profiles ------------------------------------------------------------------------ */

enum hf_err hf_derivations_parse(const char *const *texts, const char *profile,
                                 struct hf_derivation *out, size_t *n_out, struct hf_why *why)
{
    static const struct hf_derivation known[HF_DERIVED_MAX] = {{"rsa", HF_KEYS_OF_RSA},
                                                               {"ecc", HF_KEYS_OF_ECC}};
    size_t n = 0;
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        for (const char *text = texts[i]; text != NULL;) {
            const struct hf_derivation *d = NULL;
            size_t len = strcspn(text, ",");
            for (size_t k = 0; k < HF_DERIVED_MAX; k++) {
                if (strlen(known[k].profile) == len && strncmp(known[k].profile, text, len) == 0)
                    d = &known[k];
            }
            if (d == NULL || strcmp(d->profile, profile) == 0)
                return hf_fail(why, HF_E_ARGUMENT,
                               "--derive: from profile %.64s come rsa, ecc or both, not \"%.*s\"",
                               profile, (int)(len < 64 ? len : 64), text);
            for (size_t k = 0; k < n; k++) {
                if (out[k].kind == d->kind)
                    return hf_fail(why, HF_E_ARGUMENT, "--derive: %s is given twice", d->profile);
            }
            out[n++] = *d;
            text = text[len] == '\0' ? NULL : text + len + 1;
        }
    }
    *n_out = n;
    return HF_OK;
}

/* The drops of `full` that `before` still has, or that are unknown to both, as --drop would name
 * them. */
static size_t choose_drops(const struct hf_bundle_built *full, const struct hf_repo_bundle *before,
                           char (*hex)[HF_SHA256_HEX_LEN], const char **out)
{
    const struct hf_description *d = &full->description;
    size_t n = 0;
    for (size_t i = 0; i < d->n_drops; i++) {
        bool is_unknown = i >= d->n_drops - full->n_unknown_drops;
        if (!is_unknown &&
            (before == NULL || hf_bundle_find_key(&before->bundle, d->drops[i]) == NULL))
            continue;
        hf_hex_encode(d->drops[i], HF_SHA256_LEN, hex[n]);
        out[n] = hex[n];
        n++;
    }
    return n;
}

enum hf_err hf_bundle_derive(const struct hf_bundle_built *full,
                             const struct hf_derivation *derivation,
                             const struct hf_bundle_order *full_order,
                             const struct hf_repo_bundle *before, int64_t now_s,
                             struct hf_bundle_built *out, struct hf_why *why)
{
    const struct hf_repo_bundle from = {.description = full->description, .bundle = full->bundle};
    const char *const *all_undrops = full_order->undrops;
    size_t n_drops_max = full->description.n_drops, n_all_undrops = 0, n_undrops = 0;
    while (all_undrops != NULL && all_undrops[n_all_undrops] != NULL)
        n_all_undrops++;
    char(*hex)[HF_SHA256_HEX_LEN] = calloc(n_drops_max + 1, sizeof *hex);
    const char **drops = calloc(n_drops_max + 1, sizeof *drops);
    const char **undrops = calloc(n_all_undrops + 1, sizeof *undrops);
    enum hf_err err = HF_E_MEMORY;
    if (hex == NULL || drops == NULL || undrops == NULL) {
        (void)hf_fail(why, err, "out of memory for a derived bundle");
        goto out;
    }
    size_t n_drops = choose_drops(full, before, hex, drops);
    /* Those that --undrop took from `full`, if `before` has them too. */
    for (size_t i = 0; i < n_all_undrops && before != NULL; i++) {
        uint8_t key[HF_SHA256_LEN];
        if (hf_hex_decode(all_undrops[i], key, sizeof key) &&
            hf_description_drops(&before->description, key))
            undrops[n_undrops++] = all_undrops[i];
    }
    const struct hf_bundle_order order = {
        .set = full->description.set,
        .profile = derivation->profile,
        .from = &from,
        .from_kind = derivation->kind,
        .known = full_order->known,
        .self_signed = full_order->self_signed,
        .is_again = full_order->is_again,
        .drops = n_drops == 0 ? NULL : drops,
        .undrops = undrops,
    };
    err = hf_bundle_build(&order, before, now_s, out, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "profile %s", derivation->profile);
out:
    free(hex);
    free(drops);
    free(undrops);
    return err;
}
