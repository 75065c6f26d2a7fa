#include "server/publish/bundle/bundle_notes.h"

#include "common/base/timetext.h"
#include "server/repository/certs/select.h"

#include <stdlib.h>
#include <string.h>

/* ---- use -------------------------------------------------------------------------------------- */

static bool has_self_issued_twin(const struct hf_bundle *bundle, const struct hf_cert *cert)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_cert *other = &bundle->anchors[i].cert;
        if (other->is_self_issued &&
            memcmp(other->spki_sha256, cert->spki_sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static enum hf_err choose_use(const struct hf_bundle *bundle, const struct hf_cert *cert,
                              bool allows_intermediate, enum hf_use *out,
                              struct hf_findings *problems, struct hf_why *why)
{
    *out = HF_USE_INTERMEDIATE;
    if (cert->is_self_issued)
        *out = HF_USE_ANCHOR;
    else if (cert->is_ca && has_self_issued_twin(bundle, cert))
        *out = HF_USE_CROSS_SIGNED;
    else if (!cert->is_ca)
        return hf_findings_add(problems, HF_LINT_NOT_A_CA, cert->subject, why,
                               "\"%s\" is not a CA certificate; a bundle holds the roots that "
                               "chains end in, find the root of its issuer \"%s\"",
                               cert->subject, cert->issuer);
    else if (!allows_intermediate)
        return hf_findings_add(problems, HF_LINT_INTERMEDIATE, cert->subject, why,
                               "\"%s\" is an intermediate, issued by \"%s\"; take that root "
                               "instead, or give --allow-intermediate if you know that it will not "
                               "be replaced",
                               cert->subject, cert->issuer);
    return HF_OK;
}

/* ---- dates ------------------------------------------------------------------------------------ */

static enum hf_err find_one(const struct hf_bundle *bundle, const struct hf_fingerprint *f,
                            const char *option, size_t *out, struct hf_why *why)
{
    size_t n_found = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (!hf_fingerprint_matches(f, bundle->anchors[i].cert.sha256))
            continue;
        *out = i;
        n_found++;
    }
    if (n_found == 1)
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "%s: %zu of the certificates given have the SHA-256 %s, exactly one should",
                   option, n_found, f->digits);
}

/* "FINGERPRINT=DATE". */
static enum hf_err parse_date(const struct hf_bundle *bundle, const char *option, const char *text,
                              size_t *index, int64_t *date_s, struct hf_why *why)
{
    struct hf_fingerprint f;
    const char *equals = strchr(text, '=');
    if (equals == NULL)
        return hf_fail(why, HF_E_ARGUMENT, "%s wants FINGERPRINT=DATE, not \"%.80s\"", option,
                       text);
    if (hf_fingerprint_parse(text, (size_t)(equals - text), &f, why) != HF_OK)
        return hf_fail_context(why, "%s", option);
    HF_TRY(find_one(bundle, &f, option, index, why));
    if (strcmp(equals + 1, "none") == 0)
        *date_s = HF_TIME_NONE;
    else if (!hf_time_parse_last(equals + 1, date_s))
        return hf_fail(why, HF_E_ARGUMENT,
                       "%s: a date is YYYY-MM-DD, YYYY-MM-DDTHH:MM:SSZ or none, not \"%.40s\"",
                       option, equals + 1);
    return HF_OK;
}

static enum hf_err apply_distrust(const struct hf_bundle *bundle, const char *const *dates,
                                  struct hf_anchor_note *notes, struct hf_why *why)
{
    for (size_t i = 0; dates != NULL && dates[i] != NULL; i++) {
        size_t index = 0;
        int64_t date_s = 0;
        HF_TRY(parse_date(bundle, "--distrust-after", dates[i], &index, &date_s, why));
        notes[index].distrust_after_s = date_s;
    }
    return HF_OK;
}

static enum hf_err apply_remove(const struct hf_bundle *bundle, const char *const *dates,
                                struct hf_anchor_note *notes, struct hf_why *why)
{
    for (size_t i = 0; dates != NULL && dates[i] != NULL; i++) {
        size_t index = 0;
        int64_t date_s = 0;
        HF_TRY(parse_date(bundle, "--remove-after", dates[i], &index, &date_s, why));
        notes[index].remove_after_s = date_s;
    }
    return HF_OK;
}

/* ---- together --------------------------------------------------------------------------------- */

static void take_earlier(int64_t *date_s, int64_t other_s)
{
    if (other_s != HF_TIME_NONE && (*date_s == HF_TIME_NONE || other_s < *date_s))
        *date_s = other_s;
}

/* A certificate that was not there before, of a key that was. To a chain it makes no difference by
 * which of them it ends in that key. */
static void inherit_dates(const struct hf_bundle *bundle, const struct hf_bundle *before,
                          const struct hf_cert *cert, struct hf_anchor_note *note)
{
    for (size_t i = 0; i < before->n_anchors; i++) {
        const struct hf_anchor *old = &before->anchors[i];
        if (memcmp(old->cert.spki_sha256, cert->spki_sha256, HF_SHA256_LEN) != 0)
            continue;
        take_earlier(&note->distrust_after_s, old->distrust_after_s);
        if (hf_bundle_find(bundle, old->cert.sha256) == NULL)
            take_earlier(&note->remove_after_s, old->remove_after_s);
    }
}

/* The date of distrust that a table has for it, where that is to be signed. */
static int64_t date_of_tables(const struct hf_note_tables *tables, bool signs_planned,
                              bool was_there, const struct hf_cert *cert)
{
    if (tables->known == NULL)
        return HF_TIME_NONE;
    int64_t date_s = hf_known_roots_distrust_s(tables->known, cert);
    bool is_limit_of_list = date_s < tables->now_s && !was_there &&
                            hf_select_choose(tables->selects, tables->known, cert) ==
                                HF_CHOSEN_BY_TABLE;
    return signs_planned || is_limit_of_list ? date_s : HF_TIME_NONE;
}

/* One note per certificate, in the bundle's order, with the dates of the version before. */
static enum hf_err begin(const struct hf_bundle *bundle, const struct hf_bundle *before,
                         const struct hf_note_options *options, const struct hf_note_tables *tables,
                         struct hf_anchor_note *notes, struct hf_findings *problems,
                         struct hf_why *why)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_cert *cert = &bundle->anchors[i].cert;
        const struct hf_anchor *old = before == NULL ? NULL : hf_bundle_find(before, cert->sha256);
        memcpy(notes[i].sha256, cert->sha256, HF_SHA256_LEN);
        notes[i].distrust_after_s = old == NULL ? HF_TIME_NONE : old->distrust_after_s;
        notes[i].remove_after_s = old == NULL ? HF_TIME_NONE : old->remove_after_s;
        if (old == NULL && before != NULL)
            inherit_dates(bundle, before, cert, &notes[i]);
        /* What is taken over from another bundle comes with the dates it has there. */
        bool was_there = options->carries_intermediates && old != NULL;
        take_earlier(&notes[i].distrust_after_s,
                     date_of_tables(tables, options->signs_planned, was_there, cert));
        bool was_allowed = options->carries_intermediates && old != NULL &&
                           old->use == HF_USE_INTERMEDIATE;
        HF_TRY(choose_use(bundle, cert, options->allows_intermediate || was_allowed, &notes[i].use,
                          problems, why));
    }
    return HF_OK;
}

/* Only those with something to say are signed. Returns how many. */
static size_t compact(struct hf_anchor_note *notes, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (notes[i].use != HF_USE_ANCHOR || notes[i].distrust_after_s != HF_TIME_NONE ||
            notes[i].remove_after_s != HF_TIME_NONE)
            notes[kept++] = notes[i];
    }
    return kept;
}

enum hf_err hf_bundle_notes_make(const struct hf_bundle *bundle, const struct hf_bundle *before,
                                 const struct hf_note_options *options,
                                 const struct hf_note_tables *tables, struct hf_description *d,
                                 struct hf_findings *problems, struct hf_why *why)
{
    struct hf_anchor_note *notes = calloc(bundle->n_anchors + 1, sizeof *notes);
    if (notes == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a bundle");
    enum hf_err err = begin(bundle, before, options, tables, notes, problems, why);
    if (err == HF_OK)
        err = apply_distrust(bundle, options->distrust_after, notes, why);
    if (err == HF_OK)
        err = apply_remove(bundle, options->remove_after, notes, why);
    if (err != HF_OK) {
        free(notes);
        return err;
    }
    d->notes = notes;
    d->n_notes = compact(notes, bundle->n_anchors);
    return HF_OK;
}
