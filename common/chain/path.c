#include "common/chain/path.h"

#include "common/chain/certificate_policies.h"
#include "common/bundle/distinguished_name.h"

unsigned hf_path_own_faults(const struct hf_search *s, const struct hf_certificate *cert,
                            bool is_anchor)
{
    unsigned faults = hf_certificate_allows_server_auth(cert) ? 0 : HF_FAULT_EXT_KEY_USAGE;

    if (cert->unknown_critical.data != NULL || (cert->constraints.data != NULL && !cert->is_ca))
        faults |= HF_FAULT_EXTENSION;
    if (is_anchor) /* the publisher signed its dates; its own signature is not relied on */
        return faults;
    if (!hf_algorithm_is_accepted(cert))
        faults |= HF_FAULT_ALGORITHM;
    if (!s->context->is_renewed && s->context->at_s > cert->not_after_s)
        faults |= HF_FAULT_EXPIRED;
    if (!s->context->is_renewed && s->context->at_s < cert->not_before_s)
        faults |= HF_FAULT_NOT_YET_VALID;
    return faults;
}

enum hf_constraint_verdict hf_path_check_names(struct hf_search *s,
                                               const struct hf_certificate *issuer,
                                               const struct hf_path *path, size_t n, size_t *at)
{
    for (size_t i = 0; i < n && issuer->constraints.data != NULL; i++) {
        if (i > 0 && path->certs[i]->is_self_issued)
            continue;
        enum hf_constraint_verdict verdict = hf_constraints_check(issuer, path->certs[i], i == 0,
                                                                  &s->constraints_left, NULL);
        if (verdict == HF_CONSTRAINT_ALLOWS)
            continue;
        s->is_at_limit = s->is_at_limit || verdict == HF_CONSTRAINT_TOO_MANY;
        if (at != NULL)
            *at = i;
        return verdict;
    }
    return HF_CONSTRAINT_ALLOWS;
}

bool hf_path_check_policies(const struct hf_path *path)
{
    const struct hf_certificate *down[HF_VERIFY_PATH_MAX];

    for (size_t i = 0; i < path->n; i++)
        down[i] = path->certs[path->n - 1 - i];
    return hf_policies_allow(down, path->n);
}

/* Has `issuer` room for the CAs that are in the path below it (4.2.1.9)? */
static bool is_long_enough(const struct hf_search *s, const struct hf_certificate *issuer)
{
    int n = 0;

    for (size_t i = 1; i < s->path.n; i++)
        n += s->path.certs[i]->is_self_issued ? 0 : 1;
    return issuer->path_len == HF_NO_LIMIT || n <= issuer->path_len;
}

static enum hf_signature check_signature(struct hf_search *s, const struct hf_certificate *cert,
                                         const struct hf_certificate *issuer)
{
    for (size_t i = 0; i < s->n_checked; i++)
        if (s->checked[i].cert == cert && hf_bytes_equal(s->checked[i].spki, issuer->form.spki))
            return s->checked[i].result;
    if (s->n_checked == HF_VERIFY_SIGNATURES_MAX) {
        s->is_at_limit = true;
        return HF_SIGNATURE_BAD;
    }
    enum hf_signature result = hf_signature_verify(cert, issuer);
    s->checked[s->n_checked++] = (struct hf_checked){cert, issuer->form.spki, result};
    s->is_out_of_memory = s->is_out_of_memory || result == HF_SIGNATURE_NO_MEMORY;
    return result;
}

/* May `issuer`, by its name, be the next of the path? The cheap rules first, the signature last. */
static bool goes_on(struct hf_search *s, const struct hf_certificate *issuer, bool is_anchor)
{
    const struct hf_certificate *top = s->path.certs[s->path.n - 1];

    if (!hf_certificate_is_issuer(issuer, is_anchor) || !is_long_enough(s, issuer))
        return false;
    if (s->is_strict) {
        if (hf_path_own_faults(s, issuer, is_anchor) != 0 ||
            hf_path_check_names(s, issuer, &s->path, s->path.n, NULL) != HF_CONSTRAINT_ALLOWS)
            return false;
        return check_signature(s, top, issuer) == HF_SIGNATURE_GOOD;
    }
    enum hf_signature result = check_signature(s, top, issuer);
    return result == HF_SIGNATURE_GOOD || result == HF_SIGNATURE_WEAK;
}

static bool pay(struct hf_search *s, size_t n_steps)
{
    bool is_enough = n_steps <= s->steps_left;

    s->is_at_limit = s->is_at_limit || !is_enough;
    s->steps_left -= is_enough ? (unsigned)n_steps : s->steps_left;
    return is_enough;
}

static bool take_step(struct hf_search *s)
{
    bool is_taken = pay(s, 1);

    s->n_steps += is_taken;
    return is_taken;
}

/* Names may be long and hashes crafted. */
static bool is_same_name(struct hf_search *s, struct hf_bytes a, struct hf_bytes b)
{
    return pay(s, (a.len + b.len) / HF_VERIFY_STEP_BYTES) && hf_name_equal(a, b);
}

/* Is `issuer` what `cert` names as its issuer? */
static bool is_named(struct hf_search *s, const struct hf_certificate *issuer,
                     const struct hf_certificate *cert)
{
    return is_same_name(s, issuer->form.subject, cert->form.issuer);
}

static void push(struct hf_search *s, const struct hf_certificate *cert, size_t index)
{
    s->path.certs[s->path.n] = cert;
    s->path.index[s->path.n++] = index;
}

/* An anchor of one set ends the path. With `is_hinted` only one whose key identifier fits, else one
 * whose identifier does not. */
static bool find_anchor(struct hf_search *s, const struct hf_anchors *set, bool is_hinted)
{
    const struct hf_certificate *top = s->path.certs[s->path.n - 1];
    const struct hf_trust_anchor *anchor;
    size_t at = 0;

    while ((anchor = hf_anchors_next(set, top->issuer_hash, &at)) != NULL) {
        if (!hf_anchor_is_usable(anchor, s->context->at_s, s->issued_s) ||
            !hf_certificate_parse(anchor->der, &s->anchor_cert) ||
            hf_certificate_has_other_key_id(&s->anchor_cert, top) == is_hinted)
            continue;
        if (!take_step(s))
            return false;
        if (!is_named(s, &s->anchor_cert, top) || !goes_on(s, &s->anchor_cert, true))
            continue;
        push(s, &s->anchor_cert, HF_VERIFY_ANCHOR);
        s->anchor = *anchor;
        if (!s->is_strict || hf_path_check_policies(&s->path))
            return true;
        s->path.n--;
    }
    return false;
}

/* The same name and key is the same CA, however many certificates it has (RFC 4158, 2.4.2): a path
 * through it twice is a circle. */
static bool is_in_path(struct hf_search *s, const struct hf_certificate *cert)
{
    for (size_t i = 0; i < s->path.n; i++)
        if (s->path.certs[i] == cert ||
            (s->path.certs[i]->subject_hash == cert->subject_hash &&
             hf_bytes_equal(s->path.certs[i]->form.spki, cert->form.spki) &&
             is_same_name(s, s->path.certs[i]->form.subject, cert->form.subject)))
            return true;
    return false;
}

/* At most HF_VERIFY_PATH_MAX deep. */
static bool extend(struct hf_search *s)
{
    const struct hf_certificate *top = s->path.certs[s->path.n - 1];

    if (s->path.n > s->furthest.n)
        s->furthest = s->path;
    if (s->path.n == HF_VERIFY_PATH_MAX) {
        s->is_at_limit = true;
        return false;
    }
    for (int round = 0; round < 2; round++) {
        bool is_hinted = round == 0;
        for (size_t i = 0; i < s->anchors->n; i++)
            if (find_anchor(s, s->anchors->at[i], is_hinted))
                return true;
        for (size_t i = 1; i < s->n_sent && s->path.n + 1 < HF_VERIFY_PATH_MAX; i++) {
            const struct hf_certificate *next = &s->sent[i];
            if (next->der.data == NULL || next->subject_hash != top->issuer_hash ||
                hf_certificate_has_other_key_id(next, top) == is_hinted)
                continue;
            if (!take_step(s))
                return false;
            if (!is_named(s, next, top) || is_in_path(s, next) || !goes_on(s, next, false))
                continue;
            push(s, next, i);
            if (extend(s))
                return true;
            s->path.n--;
        }
    }
    return false;
}

bool hf_path_find(struct hf_search *s)
{
    s->path = s->furthest = (struct hf_path){0};
    s->steps_left = HF_VERIFY_STEPS_MAX / 2; /* the search runs twice at most */
    push(s, &s->sent[0], 0);
    return extend(s);
}
