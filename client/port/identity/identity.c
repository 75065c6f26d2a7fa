#include "client/port/identity/identity.h"

#include "client/port/identity/candidate.h"
#include "client/port/identity/request.h"

#include "common/base/timetext.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- what the service accepts ---------------------------------------------------------------- */

enum verdict {
    UNKNOWN, /* it did not say, or did not answer */
    REFUSED, /* by the service, or by a TLS alert, which an attacker can forge; or damaged */
    ACCEPTED,
};

static enum verdict ask_about_current(const struct hf_identity_work *w, struct hf_why *why)
{
    struct hf_service service;
    struct hf_client_auth auth;
    struct hf_credential credential;

    if (hf_candidate_find_service(w, w->slots.current, &service, why) != HF_OK)
        return UNKNOWN;
    enum hf_err err = hf_slots_load(&w->slots, w->slots.current, w->id->key, &auth, why);
    if (err != HF_OK)
        return hf_candidate_is_damage(w->id, err) ? REFUSED : UNKNOWN;
    err = hf_identity_describe(&auth.chain, &credential, why);
    if (err == HF_OK)
        err = hf_service_whoami(&service, &auth, credential.sha256, why);
    hf_client_auth_free(&auth);
    if (err == HF_OK)
        return ACCEPTED;
    return service.has_refused || err == HF_E_TLS ? REFUSED : UNKNOWN;
}

/* The predecessor, if it is of the same service: that of an earlier enrolment must not get the
 * device back. */
static unsigned find_substitute(const struct hf_identity_work *w)
{
    struct hf_service current, before;

    return w->slots.predecessor != 0 &&
                   hf_candidate_find_service(w, w->slots.current, &current, NULL) == HF_OK &&
                   hf_candidate_find_service(w, w->slots.predecessor, &before, NULL) == HF_OK &&
                   strcmp(current.origin, before.origin) == 0
               ? w->slots.predecessor
               : 0;
}

/*
 * Try the candidate. HF_OK: it is current. Otherwise only a refusal by the service itself, which
 * accepts the current pair, removes it; so does damage. Any other failure says nothing about it: an
 * attacker on the network can cause that, and it may be the only pair that the service will accept
 * tomorrow. `*over`: the slot over which another certificate is asked for, which takes its place
 * once it is stored; 0: it is tried again later.
 */
static enum hf_err settle(struct hf_identity_work *w, struct hf_rotation *rotation, unsigned *over,
                          struct hf_why *why)
{
    bool is_damaged = false;
    enum verdict current = UNKNOWN;

    *over = 0;
    enum hf_err err = hf_candidate_try(w, &is_damaged, why);
    if (err == HF_OK)
        return HF_OK;
    if (w->slots.current != 0 && !is_damaged)
        current = ask_about_current(w, NULL);
    bool is_refused = w->service.has_refused && (w->slots.current == 0 || current == ACCEPTED);
    if (is_damaged || is_refused) {
        w->slots.candidate = 0;
        hf_candidate_tidy(w);
        return hf_fail_context(why, "the new certificate cannot be used and is removed");
    }
    if (current == ACCEPTED && rotation->n_denied < HF_CANDIDATE_TRIES_MAX)
        rotation->n_denied++;
    if (current == ACCEPTED && rotation->n_denied == HF_CANDIDATE_TRIES_MAX)
        *over = w->slots.current;
    else if (current == REFUSED)
        *over = find_substitute(w);
    return hf_fail_context(why, "the new certificate cannot be used yet");
}

/* ---- enrolment ------------------------------------------------------------------------------- */

static enum hf_err enroll_over(struct hf_identity_work *w, const struct hf_enrolment *enrolment,
                               struct hf_why *why)
{
    const struct hf_client_auth_source source = {enrolment->claim_cert_file,
                                                 enrolment->claim_key_file, NULL};
    bool has_claim = enrolment->claim_cert_file != NULL;
    struct hf_client_auth claim;

    if (has_claim && hf_client_auth_load(&source, &claim, why) != HF_OK)
        return hf_fail_context(why, "the claim certificate");
    enum hf_err err = hf_candidate_draft(w, enrolment->key_kind, why);
    if (err == HF_OK)
        err = hf_candidate_certify(w, enrolment, has_claim ? &claim : NULL, why);
    if (has_claim)
        hf_client_auth_free(&claim);
    /* The service may have issued it if its answer was lost: the same key is then asked for
     * again. */
    if (err != HF_OK && w->service.has_refused)
        w->slots.draft = 0;
    if (err == HF_OK || w->service.has_refused)
        hf_candidate_tidy(w);
    return err;
}

/* The service that was named, or that of what an interrupted enrolment left, or of the current
 * pair. */
static enum hf_err choose_service(struct hf_identity_work *w, const char *named, struct hf_why *why)
{
    const unsigned slots[] = {w->slots.current, w->slots.candidate, w->slots.draft};
    const char *url = named != NULL ? named : w->id->default_url;

    for (size_t i = 0; i < sizeof slots / sizeof slots[0] && named == NULL; i++) {
        if (slots[i] != 0 && hf_candidate_find_service(w, slots[i], &w->service, NULL) == HF_OK)
            return HF_OK;
    }
    w->service = (struct hf_service){.api = w->id->api, .retry_after_s = -1};
    return url != NULL ? hf_service_set_url(&w->service, url, why)
                       : hf_fail(why, HF_E_ARGUMENT,
                                 "the address of the fleet service is not known: no mirror is "
                                 "https://; pass `--url https://HOST`");
}

static enum hf_err enroll(struct hf_identity_work *w, const struct hf_enrolment *enrolment,
                          struct hf_why *why)
{
    struct hf_rotation none = {0};
    unsigned over = 0;

    /* What an interrupted enrolment has, with the service that it was for: the token may be used
     * up. */
    if (w->slots.current == 0 && w->slots.candidate != 0 && !enrolment->is_again) {
        if (settle(w, &none, &over, why) == HF_OK)
            return HF_OK;
        if (w->slots.candidate != 0)
            return hf_fail_context(
                why, "an enrolment that was interrupted cannot be finished (`--again` "
                     "starts another one)");
    }
    if (enrolment->token == NULL && enrolment->claim_cert_file == NULL)
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected an enrolment token or a claim certificate, found neither; pass "
                       "`--token-file FILE`, or `--claim-cert FILE --claim-key FILE`");
    HF_TRY(choose_service(w, enrolment->url, why));
    HF_TRY(enroll_over(w, enrolment, why));
    return settle(w, &none, &over, why);
}

/* A failure is in the log of `save`'s port: what happened has happened, and is only not
 * remembered. */
static void save(const struct hf_identity *id, const struct hf_rotation *rotation)
{
    struct hf_why why = {0};

    if (id->save(id->ctx, rotation, &why) != HF_OK)
        id->journal(id->ctx, HF_LEVEL_WARNING, "identity", why.text);
}

static void remember(const struct hf_identity_work *w, const char *kind)
{
    const struct hf_rotation fresh = {.last_try_s = HF_TIME_NONE, .since_s = w->id->now_s};
    struct hf_why line = {0};

    (void)hf_fail(&line, HF_OK, "certificate %.16s… of \"%.120s\" is in use", w->made.sha256,
                  w->made.subject);
    w->id->journal(w->id->ctx, HF_LEVEL_INFO, kind, line.text);
    save(w->id, &fresh);
}

enum hf_err hf_identity_enroll(const struct hf_identity *id, const struct hf_enrolment *enrolment,
                               struct hf_credential *out, struct hf_why *why)
{
    struct hf_identity_work w = {.id = id};

    HF_TRY(hf_slots_read(id->state_dir, &w.slots, why));
    if (w.slots.current != 0 && !enrolment->is_again)
        return hf_fail(why, HF_E_STATE,
                       "this device has an identity (%s/" HF_SLOT_CURRENT
                       "); pass `--again` to replace it by another enrolment, or run `holdfast "
                       "rotate` to renew it",
                       w.slots.dir.text);
    enum hf_err err = enroll(&w, enrolment, why);
    if (err == HF_OK) {
        remember(&w, "enrolled");
        *out = w.made;
    }
    hf_identity_work_free(&w);
    return err;
}

/* ---- rotation -------------------------------------------------------------------------------- */

/* A candidate, by a certificate that is asked for over the pair in slot `number`.
 * `*may_be_refused`, written always: this pair may be one that the service does not accept. */
static enum hf_err renew_over(struct hf_identity_work *w, unsigned number, bool *may_be_refused,
                              struct hf_why *why)
{
    struct hf_client_auth auth;

    *may_be_refused = false;
    HF_TRY(hf_candidate_find_service(w, number, &w->service, why));
    enum hf_err err = hf_slots_load(&w->slots, number, w->id->key, &auth, why);
    *may_be_refused = hf_candidate_is_damage(w->id, err);
    HF_TRY(err);
    err = hf_candidate_draft(w, hf_identity_key_kind(&auth.key), why);
    if (err == HF_OK) {
        err = hf_candidate_certify(w, NULL, &auth, why);
        *may_be_refused = w->service.has_refused || err == HF_E_TLS;
    }
    hf_client_auth_free(&auth);
    if (err != HF_OK)
        return err;
    /* What has certified the new one is what is kept beside it. */
    if (number == w->slots.current)
        w->slots.predecessor = 0;
    hf_candidate_tidy(w);
    return HF_OK;
}

/* `why` says that the service does not accept the current pair; it says more if this one does not
 * help either. */
static enum hf_err renew_over_predecessor(struct hf_identity_work *w, struct hf_why *why)
{
    struct hf_why reason = {0};
    bool unused;
    enum hf_err err = renew_over(w, w->slots.predecessor, &unused, &reason);

    if (err != HF_OK)
        return hf_fail(why, err, "%.500s; nor does the certificate before it help: %.300s",
                       why->text, reason.text);
    w->id->journal(
        w->id->ctx, HF_LEVEL_WARNING, "identity",
        "the service does not accept the current certificate; the one before it is renewed");
    return HF_OK;
}

static enum hf_err renew(struct hf_identity_work *w, struct hf_why *why)
{
    bool may_be_refused = false;
    enum hf_err err = renew_over(w, w->slots.current, &may_be_refused, why);

    if (err == HF_OK || !may_be_refused || find_substitute(w) == 0 ||
        ask_about_current(w, NULL) != REFUSED)
        return err;
    return renew_over_predecessor(w, why);
}

/* HF_OK without w->made: there was nothing to do. `only_if_refused`: not if the current pair is
 * accepted. */
static enum hf_err rotate(struct hf_identity_work *w, struct hf_rotation *rotation,
                          bool only_if_refused, struct hf_why *why)
{
    unsigned over = w->slots.current;
    enum hf_err err = HF_OK;

    if (w->slots.candidate != 0) {
        err = settle(w, rotation, &over, why);
    } else if (over == 0) {
        return hf_fail(why, HF_E_STATE, "this device has no identity; run `holdfast enroll` first");
    } else if (only_if_refused) {
        enum verdict current = ask_about_current(w, why);
        if (current != REFUSED)
            return current == ACCEPTED ? HF_OK : HF_E_NETWORK;
        (void)hf_fail_context(why,
                              "the service does not accept the certificate of this device (ask "
                              "its operator, or run `holdfast enroll --again`)");
        err = HF_E_POLICY;
        over = find_substitute(w);
    }
    if (over == 0)
        return err;
    HF_TRY(over == w->slots.current ? renew(w, why) : renew_over_predecessor(w, why));
    rotation->n_denied = 0;
    return settle(w, rotation, &over, why);
}

static void record_failure(const struct hf_identity *id, struct hf_rotation *rotation,
                           int64_t retry_after_s, const struct hf_why *why)
{
    /* The same failure every day must not push everything else out of the journal. */
    if (strcmp(rotation->error, why->text) != 0)
        id->journal(id->ctx, HF_LEVEL_WARNING, "rotation", why->text);
    hf_rotation_count_failure(rotation, id->now_s, retry_after_s, randombytes_random(), why->text);
    save(id, rotation);
}

static enum hf_err run(const struct hf_identity *id, bool only_if_refused,
                       struct hf_credential *out, struct hf_why *why)
{
    struct hf_identity_work w = {.id = id, .service.retry_after_s = -1};
    struct hf_rotation rotation;
    struct hf_why own = {0};

    hf_rotation_load(&id->store, &rotation);
    enum hf_err err = hf_slots_read(id->state_dir, &w.slots, &own);
    bool has_identity = w.slots.current != 0 || w.slots.candidate != 0;
    if (err == HF_OK)
        err = rotate(&w, &rotation, only_if_refused, &own);
    bool has_rotated = err == HF_OK && w.made.sha256[0] != '\0';
    if (has_rotated) {
        remember(&w, "rotated");
        *out = w.made;
    } else if (err == HF_OK && rotation.n_failures > 0) { /* it is accepted again */
        rotation.n_failures = 0;
        rotation.error[0] = '\0';
        save(id, &rotation);
    } else if (err != HF_OK && has_identity && !(only_if_refused && err == HF_E_NETWORK)) {
        record_failure(id, &rotation, w.service.retry_after_s, &own);
    }
    hf_identity_work_free(&w);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", own.text);
}

enum hf_err hf_identity_rotate(const struct hf_identity *id, struct hf_credential *out,
                               struct hf_why *why)
{
    return run(id, false, out, why);
}

/* ---- when, and how it is --------------------------------------------------------------------- */

static enum hf_err describe_current(const struct hf_identity_work *w, struct hf_credential *out,
                                    struct hf_why *why)
{
    struct hf_client_auth auth;

    HF_TRY(hf_slots_load(&w->slots, w->slots.current, w->id->key, &auth, why));
    enum hf_err err = hf_identity_describe(&auth.chain, out, why);
    hf_client_auth_free(&auth);
    return err;
}

/* Empty if it does not fit. */
static void name_file(const struct hf_slots *slots, const char *file, char *out, size_t cap)
{
    struct hf_path path;

    if (hf_slots_path(slots, 0, file, &path, NULL) == HF_OK && strlen(path.text) < cap)
        memcpy(out, path.text, strlen(path.text) + 1);
}

void hf_identity_get_status(const struct hf_identity *id, struct hf_identity_status *out)
{
    struct hf_identity_work w = {.id = id};
    struct hf_service service;
    struct hf_rotation rotation;
    struct hf_why why = {0};

    *out = (struct hf_identity_status){.last_try_s = HF_TIME_NONE};
    hf_rotation_load(&id->store, &rotation);
    enum hf_err err = hf_slots_read(id->state_dir, &w.slots, &why);
    out->is_pending = w.slots.candidate != 0;
    if (err == HF_OK && w.slots.current != 0)
        err = describe_current(&w, &out->credential, &why);
    if (err != HF_OK || w.slots.current == 0) {
        out->is_unusable = w.slots.current != 0;
        memcpy(out->last_error, err != HF_OK ? why.text : rotation.error, sizeof out->last_error);
        return;
    }
    out->is_present = true;
    out->is_requested = rotation.is_requested;
    out->last_try_s = rotation.last_try_s;
    out->n_failures = rotation.n_failures;
    memcpy(out->last_error, rotation.error, sizeof out->last_error);
    out->rotation_due_s = hf_rotation_due_s(&rotation, &out->credential, out->is_pending,
                                            id->now_s);
    if (hf_candidate_find_service(&w, w.slots.current, &service, NULL) == HF_OK)
        (void)snprintf(out->url, sizeof out->url, "%s", service.origin);
    name_file(&w.slots, HF_SLOT_CERTIFICATE, out->cert_file, sizeof out->cert_file);
    if (id->key == NULL)
        name_file(&w.slots, HF_SLOT_KEY, out->key_file, sizeof out->key_file);
}

void hf_identity_maintain(const struct hf_identity *id, const struct hf_service_news *news)
{
    struct hf_identity_status status;
    struct hf_rotation rotation;
    struct hf_credential made;

    hf_identity_get_status(id, &status);
    if (!status.is_present && !status.is_pending && !status.is_unusable)
        return;
    hf_rotation_load(&id->store, &rotation);
    if (news->asks_for_rotation && status.is_present && !rotation.is_requested) {
        rotation.is_requested = true;
        save(id, &rotation);
    }
    bool is_at_work = status.is_pending || !status.is_present;
    int64_t due_s = hf_rotation_due_s(&rotation, &status.credential, is_at_work, id->now_s);
    int64_t soonest_s = hf_rotation_due_s(&rotation, &status.credential, true, id->now_s);
    /* Journal and status say what failed; an update does not fail for it. */
    if (due_s <= id->now_s || (news->may_have_refused && soonest_s <= id->now_s))
        (void)!run(id, due_s > id->now_s, &made, NULL);
}
