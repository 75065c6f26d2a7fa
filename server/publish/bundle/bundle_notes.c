#include "server/publish/bundle/bundle_build.h"

#include "common/base/timetext.h"
#include "server/repository/certs/select.h"

#include <stdlib.h>
#include <string.h>

static enum hf_use use_of(const struct hf_bundle *bundle, const struct hf_cert *cert)
{
    if (cert->is_self_issued)
        return HF_USE_ANCHOR;
    for (size_t i = 0; i < bundle->n_anchors && cert->is_ca; i++) {
        const struct hf_cert *other = &bundle->anchors[i].cert;
        if (other->is_self_issued &&
            memcmp(other->spki_sha256, cert->spki_sha256, HF_SHA256_LEN) == 0)
            return HF_USE_CROSS_SIGNED;
    }
    return HF_USE_INTERMEDIATE;
}

/* `old`: the same certificate in the bundle to copy, NULL for none. */
static enum hf_err check_use(const struct hf_bundle_order *order, const struct hf_cert *cert,
                             const struct hf_anchor *old, enum hf_use use,
                             struct hf_findings *problems, struct hf_why *why)
{
    bool was_allowed = old != NULL && old->use == HF_USE_INTERMEDIATE;
    if (use != HF_USE_INTERMEDIATE)
        return HF_OK;
    if (!cert->is_ca)
        return hf_findings_add(problems, HF_LINT_NOT_A_CA, cert->subject, why,
                               "\"%s\" is not a CA certificate; a bundle holds the roots that "
                               "chains end in, find the root of its issuer \"%s\"",
                               cert->subject, cert->issuer);
    if (order->notes.allows_intermediate || was_allowed)
        return HF_OK;
    return hf_findings_add(problems, HF_LINT_INTERMEDIATE, cert->subject, why,
                           "\"%s\" is an intermediate, issued by \"%s\"; take that root "
                           "instead, or give --allow-intermediate if you know that it will not "
                           "be replaced",
                           cert->subject, cert->issuer);
}

static void take_earlier(int64_t *date_s, int64_t other_s)
{
    if (other_s != HF_TIME_NONE && (*date_s == HF_TIME_NONE || other_s < *date_s))
        *date_s = other_s;
}

/* The dates that `noted` has: for the very certificate; or, for one that was not there before, for
 * others of its key: a chain can end in any of them. */
static void inherit_dates(const struct hf_bundle *bundle, const struct hf_bundle *noted,
                          const struct hf_cert *cert, struct hf_anchor_note *note)
{
    const struct hf_anchor *old = hf_bundle_find(noted, cert->sha256);
    if (old != NULL) {
        note->distrust_after_s = old->distrust_after_s;
        note->remove_after_s = old->remove_after_s;
        return;
    }
    for (size_t i = 0; i < noted->n_anchors; i++) {
        old = &noted->anchors[i];
        if (memcmp(old->cert.spki_sha256, cert->spki_sha256, HF_SHA256_LEN) != 0)
            continue;
        take_earlier(&note->distrust_after_s, old->distrust_after_s);
        if (hf_bundle_find(bundle, old->cert.sha256) == NULL)
            take_earlier(&note->remove_after_s, old->remove_after_s);
    }
}

/* The date of distrust that a table has for it, where that is to be signed. `is_copied`: it comes
 * from another bundle, with the dates that it has there. */
static int64_t date_of_tables(const struct hf_bundle_order *order, bool is_copied,
                              const struct hf_cert *cert, int64_t now_s)
{
    if (order->known == NULL)
        return HF_TIME_NONE;
    int64_t date_s = hf_known_roots_distrust_s(order->known, cert);
    bool is_limit_of_list = date_s < now_s && !is_copied &&
                            hf_select_choose(order->selects, order->known, cert) ==
                                HF_CHOSEN_BY_TABLE;
    return order->notes.signs_planned || is_limit_of_list ? date_s : HF_TIME_NONE;
}

/* "FINGERPRINT=DATE", of the certificate that is `index` in the bundle. */
static enum hf_err parse_date(const struct hf_bundle *bundle, const char *option, const char *text,
                              size_t *index, int64_t *date_s, struct hf_why *why)
{
    struct hf_fingerprint f;
    const char *equals = strchr(text, '=');
    size_t n_found = 0;
    if (equals == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "%s wants FINGERPRINT=DATE, not \"%.80s\"", option,
                       text);
    if (hf_fingerprint_parse(text, (size_t)(equals - text), &f, why) != HF_OK)
        return hf_fail_context(why, "%s", option);
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_fingerprint_matches(&f, bundle->anchors[i].cert.sha256)) {
            *index = i;
            n_found++;
        }
    }
    if (n_found != 1)
        return hf_fail(why, HF_E_ARGUMENT,
                       "%s: %zu of the certificates given have the SHA-256 %s, exactly one should",
                       option, n_found, f.digits);
    if (strcmp(equals + 1, "none") == 0)
        *date_s = HF_TIME_NONE;
    else if (!hf_time_parse_last(equals + 1, date_s))
        return hf_fail(why, HF_E_ARGUMENT,
                       "%s: a date is YYYY-MM-DD, YYYY-MM-DDTHH:MM:SSZ or none, not \"%.40s\"",
                       option, equals + 1);
    return HF_OK;
}

static enum hf_err apply_dates(const struct hf_bundle *bundle, const struct hf_note_options *o,
                               struct hf_anchor_note *notes, struct hf_why *why)
{
    size_t index = 0;
    int64_t date_s = 0;
    for (size_t i = 0; o->distrust_after != NULL && o->distrust_after[i] != NULL; i++) {
        HF_TRY(parse_date(bundle, "--distrust-after", o->distrust_after[i], &index, &date_s, why));
        notes[index].distrust_after_s = date_s;
    }
    for (size_t i = 0; o->remove_after != NULL && o->remove_after[i] != NULL; i++) {
        HF_TRY(parse_date(bundle, "--remove-after", o->remove_after[i], &index, &date_s, why));
        notes[index].remove_after_s = date_s;
    }
    return HF_OK;
}

enum hf_err hf_bundle_notes_make(const struct hf_bundle_order *order,
                                 const struct hf_bundle *bundle, const struct hf_bundle *noted,
                                 int64_t now_s, struct hf_description *d,
                                 struct hf_findings *problems, struct hf_why *why)
{
    struct hf_anchor_note *notes = calloc(bundle->n_anchors + 1, sizeof *notes);
    enum hf_err err = HF_OK;
    size_t n_notes = 0;
    if (notes == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    for (size_t i = 0; i < bundle->n_anchors && err == HF_OK; i++) {
        const struct hf_cert *cert = &bundle->anchors[i].cert;
        const struct hf_anchor *copied = order->from == NULL ? NULL
                                                             : hf_bundle_find(noted, cert->sha256);
        notes[i] = (struct hf_anchor_note){.use = use_of(bundle, cert),
                                           .distrust_after_s = HF_TIME_NONE,
                                           .remove_after_s = HF_TIME_NONE};
        memcpy(notes[i].sha256, cert->sha256, HF_SHA256_LEN);
        if (noted != NULL)
            inherit_dates(bundle, noted, cert, &notes[i]);
        take_earlier(&notes[i].distrust_after_s,
                     date_of_tables(order, copied != NULL, cert, now_s));
        err = check_use(order, cert, copied, notes[i].use, problems, why);
    }
    if (err == HF_OK)
        err = apply_dates(bundle, &order->notes, notes, why);
    if (err != HF_OK) {
        free(notes);
        return err;
    }
    /* Plain anchors without dates need no note. */
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (notes[i].use != HF_USE_ANCHOR || notes[i].distrust_after_s != HF_TIME_NONE ||
            notes[i].remove_after_s != HF_TIME_NONE)
            notes[n_notes++] = notes[i];
    }
    d->notes = notes;
    d->n_notes = n_notes;
    return HF_OK;
}
