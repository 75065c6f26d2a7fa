#include "client/port/identity/identity.h"

#include "client/port/identity/request.h"
#include "client/port/identity/rotation.h"
#include "client/port/identity/slots.h"

#include "common/base/timetext.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* What one enrolment or rotation works with. */
struct work {
    const struct hf_identity *id;
    struct hf_slots slots;
    struct hf_service service;
    mbedtls_pk_context key; /* of the candidate */
    bool has_key;
    struct hf_credential made;
};

static void work_free(struct work *w)
{
    if (w->has_key)
        mbedtls_pk_free(&w->key);
}

/* ---- the service's address ------------------------------------------------------------------------ */

/* That of `named`, or else of slot `number`, or else the default. */
static enum hf_err find_service(const struct hf_identity *id, const struct hf_slots *slots,
                                unsigned number, const char *named, struct hf_service *out,
                                struct hf_why *why)
{
    struct hf_buf stored = {0};
    const char *url = named;

    *out = (struct hf_service){.api = id->api, .retry_after_s = -1};
    if (url == NULL && number != 0 && hf_slots_get_service(slots, number, &stored, NULL) == HF_OK &&
        stored.len > 0)
        url = (const char *)stored.data;
    if (url == NULL)
        url = id->default_url;
    enum hf_err err = url != NULL ? hf_service_set_url(out, url, why)
                                  : hf_fail(why, HF_E_ARGUMENT,
                                            "the address of the fleet service is not known: no "
                                            "mirror is https://; pass `--url https://HOST`");
    hf_buf_free(&stored);
    return err;
}

/* The slot that the next request is about. */
static unsigned slot_at_work(const struct hf_slots *slots)
{
    return slots->candidate_has_certificate || slots->current == 0 ? slots->candidate
                                                                   : slots->current;
}

/* ---- steps that enrolment and rotation share -------------------------------------------------------- */

static enum hf_key_kind kind_of(const mbedtls_pk_context *key)
{
    if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA)
        return HF_KEY_RSA2048;
    return mbedtls_pk_get_bitlen(key) == 384 ? HF_KEY_P384 : HF_KEY_P256;
}

/* The key of an interrupted attempt, if it can be used: the service may have a certificate of it already. */
static bool take_left_key(struct work *w, enum hf_key_kind kind)
{
    struct hf_path file;

    if (!w->slots.candidate_has_key ||
        hf_slots_path(&w->slots, w->slots.candidate, HF_SLOT_KEY, &file, NULL) != HF_OK ||
        hf_client_key_load(file.text, NULL, &w->key, NULL) != HF_OK)
        return false;
    w->has_key = kind_of(&w->key) == kind;
    if (!w->has_key)
        mbedtls_pk_free(&w->key);
    return w->has_key;
}

/* The port has one key, which is there. */
static enum hf_err make_candidate_of_port(struct work *w, struct hf_why *why)
{
    HF_TRY(hf_client_key_load(NULL, w->id->key, &w->key, why));
    w->has_key = true;
    HF_TRY(hf_slots_clean(&w->slots, false, why));
    return hf_slots_add(&w->slots, (struct hf_bytes){0}, why);
}

static enum hf_err make_candidate_key(struct work *w, enum hf_key_kind kind, struct hf_why *why)
{
    struct hf_buf pem = {0};

    if (w->id->key != NULL)
        return make_candidate_of_port(w, why);
    if (take_left_key(w, kind))
        return hf_slots_clean(&w->slots, true, why);
    HF_TRY(hf_slots_clean(&w->slots, false, why));
    enum hf_err err = hf_identity_key_make(kind, &pem, why);
    if (err == HF_OK)
        err = hf_slots_add(&w->slots, hf_buf_bytes(&pem), why);
    if (pem.data != NULL)
        sodium_memzero(pem.data, pem.len);
    hf_buf_free(&pem);
    HF_TRY(err);
    return take_left_key(w, kind)
               ? HF_OK
               : hf_fail(why, HF_E_KEY, "the new key in %s cannot be read back", w->slots.dir.text);
}

/* A candidate with a key, and whom it is for, on disk before anything is asked for with it. */
static enum hf_err make_candidate(struct work *w, enum hf_key_kind kind, struct hf_why *why)
{
    HF_TRY(make_candidate_key(w, kind, why));
    return hf_slots_put_service(&w->slots, w->service.origin, why);
}

/* Ask for the candidate's certificate: with the token or claim of `enrolment`, or over `old`. */
static enum hf_err obtain(struct work *w, const struct hf_enrolment *enrolment,
                          struct hf_client_auth *shown, struct hf_why *why)
{
    const char *device = w->id->device_id;
    struct hf_buf csr = {0}, csr_pem = {0}, signature = {0}, pem = {0};

    enum hf_err err = hf_identity_csr_make(&w->key, device, &csr, why);
    if (err == HF_OK)
        err = hf_identity_csr_to_pem(hf_buf_bytes(&csr), &csr_pem, why);
    const char *text = (const char *)csr_pem.data;
    if (err == HF_OK && enrolment == NULL)
        err = hf_identity_renewal_sign(&shown->key, hf_buf_bytes(&csr), &signature, why);
    if (err == HF_OK && enrolment == NULL)
        err = hf_service_rotate(&w->service, text, hf_buf_bytes(&signature), shown, &pem, why);
    else if (err == HF_OK)
        err = hf_service_enroll(&w->service, text, device, enrolment->token, shown, &pem, why);
    if (err == HF_OK)
        err = hf_identity_certificate_check(hf_buf_bytes(&pem), &w->key, w->id->now_s, &w->made,
                                            why);
    if (err == HF_OK)
        err = hf_slots_put_certificate(&w->slots, hf_buf_bytes(&pem), why);
    hf_buf_free(&csr);
    hf_buf_free(&csr_pem);
    hf_buf_free(&signature);
    hf_buf_free(&pem);
    return err;
}

/* Does its service still accept what is in use? */
static bool accepts(struct work *w, struct hf_client_auth *old)
{
    struct hf_service service;
    struct hf_credential credential;

    return hf_identity_describe(&old->chain, &credential, NULL) == HF_OK &&
           find_service(w->id, &w->slots, w->slots.current, NULL, &service, NULL) == HF_OK &&
           hf_service_whoami(&service, old, credential.sha256, NULL) == HF_OK;
}

/*
 * Connect with the candidate, and make it current if the service accepts it. It is removed if the service
 * refuses it and accepts the old one; while both are refused, the device may be shut out for a time. Any other
 * failure says nothing about it: an attacker on the network can cause that, and the candidate may be the only
 * pair that the service still accepts. So it is kept and tried again.
 */
static enum hf_err try_candidate(struct work *w, struct hf_client_auth *old, struct hf_why *why)
{
    struct hf_client_auth auth;
    enum hf_err err = hf_slots_load(&w->slots, w->slots.candidate, w->id->key, &auth, why);
    /* A key of the port may be away for a time, which says nothing about the certificate either. */
    bool is_useless = err == HF_E_FORMAT || (err != HF_OK && err != HF_E_MEMORY &&
                                             err != HF_E_STORAGE && w->id->key == NULL);

    if (err == HF_OK) {
        err = hf_identity_describe(&auth.chain, &w->made, why);
        is_useless = err != HF_OK;
        if (err == HF_OK) {
            err = hf_service_whoami(&w->service, &auth, w->made.sha256, why);
            is_useless = w->service.has_refused && (old == NULL || accepts(w, old));
        }
        hf_client_auth_free(&auth);
    }
    if (err == HF_OK)
        return hf_slots_adopt(&w->slots, why);
    (void)hf_fail_context(why, "the new certificate cannot be used%s",
                          is_useless ? " and is removed" : " yet");
    if (is_useless && hf_slots_clean(&w->slots, false, NULL) != HF_OK)
        w->id->journal(w->id->ctx, HF_LEVEL_WARNING, "identity",
                       "a certificate that is not used cannot be removed");
    return err;
}

/* ---- enrolment -------------------------------------------------------------------------------------- */

static enum hf_err enroll_over(struct work *w, const struct hf_enrolment *enrolment,
                               struct hf_why *why)
{
    const struct hf_client_auth_source source = {enrolment->claim_cert_file,
                                                 enrolment->claim_key_file, NULL};
    bool has_claim = enrolment->claim_cert_file != NULL;
    struct hf_client_auth claim;

    if (has_claim && hf_client_auth_load(&source, &claim, why) != HF_OK)
        return hf_fail_context(why, "the claim certificate");
    enum hf_err err = make_candidate(w, enrolment->key_kind, why);
    if (err == HF_OK)
        err = obtain(w, enrolment, has_claim ? &claim : NULL, why);
    if (has_claim)
        hf_client_auth_free(&claim);
    /* The service may have issued it if its answer was lost: the same key is then asked for again. */
    if (err != HF_OK && w->service.has_refused && hf_slots_clean(&w->slots, false, NULL) != HF_OK)
        w->id->journal(w->id->ctx, HF_LEVEL_WARNING, "identity",
                       "a key that is not used cannot be removed");
    return err == HF_OK ? try_candidate(w, NULL, why) : err;
}

static enum hf_err enroll(struct work *w, const struct hf_enrolment *enrolment, struct hf_why *why)
{
    /* What an interrupted enrolment has, with the service that it was for: the token may be used up. */
    if (w->slots.current == 0 && w->slots.candidate_has_certificate && !enrolment->is_again) {
        HF_TRY(find_service(w->id, &w->slots, w->slots.candidate, NULL, &w->service, why));
        if (try_candidate(w, NULL, why) == HF_OK)
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
    HF_TRY(
        find_service(w->id, &w->slots, slot_at_work(&w->slots), enrolment->url, &w->service, why));
    if (w->slots.candidate_has_certificate)
        HF_TRY(hf_slots_clean(&w->slots, false, why));
    return enroll_over(w, enrolment, why);
}

/* From now on it is `current`: what is said here is only remembered. */
static enum hf_err remember(const struct hf_identity *id, const struct work *w, const char *kind,
                            struct hf_why *why)
{
    const struct hf_rotation fresh = {.last_try_s = HF_TIME_NONE, .since_s = id->now_s};
    struct hf_why line = {0};

    (void)hf_fail(&line, HF_OK, "certificate %.16s… of \"%.120s\" is in use", w->made.sha256,
                  w->made.subject);
    id->journal(id->ctx, HF_LEVEL_INFO, kind, line.text);
    return hf_rotation_save(&id->store, &fresh, why);
}

enum hf_err hf_identity_enroll(const struct hf_identity *id, const struct hf_enrolment *enrolment,
                               struct hf_credential *out, struct hf_why *why)
{
    struct work w = {.id = id};

    HF_TRY(hf_slots_read(id->state_dir, &w.slots, why));
    if (w.slots.current != 0 && !enrolment->is_again)
        return hf_fail(why, HF_E_STATE,
                       "this device has an identity (%s/" HF_SLOT_CURRENT
                       "); pass `--again` to replace it by another enrolment, or run `holdfast "
                       "rotate` to renew it",
                       w.slots.dir.text);
    enum hf_err err = enroll(&w, enrolment, why);
    if (err == HF_OK)
        err = remember(id, &w, "enrolled", why);
    if (err == HF_OK)
        *out = w.made;
    work_free(&w);
    return err;
}

/* ---- rotation --------------------------------------------------------------------------------------- */

static enum hf_err rotate(struct work *w, struct hf_why *why)
{
    struct hf_client_auth old;

    if (w->slots.current == 0)
        return w->slots.candidate_has_certificate ? try_candidate(w, NULL, why)
                                                  : hf_fail(why, HF_E_STATE,
                                                            "this device has no identity; run "
                                                            "`holdfast enroll` first");
    enum hf_err err = hf_slots_load(&w->slots, w->slots.current, w->id->key, &old, why);
    if (err != HF_OK) /* damaged: its successor may be whole */
        return w->slots.candidate_has_certificate ? try_candidate(w, NULL, why) : err;
    if (!w->slots.candidate_has_certificate) {
        err = make_candidate(w, kind_of(&old.key), why);
        if (err == HF_OK)
            err = obtain(w, NULL, &old, why);
    }
    if (err == HF_OK)
        err = try_candidate(w, &old, why);
    hf_client_auth_free(&old);
    return err;
}

static void record_failure(const struct hf_identity *id, const struct hf_service *service,
                           const struct hf_why *why)
{
    struct hf_rotation rotation;
    struct hf_why unsaved = {0};

    hf_rotation_load(&id->store, &rotation);
    /* The same failure every day must not push everything else out of the journal. */
    if (strcmp(rotation.error, why->text) != 0)
        id->journal(id->ctx, HF_LEVEL_WARNING, "rotation", why->text);
    hf_rotation_count_failure(&rotation, id->now_s, service->retry_after_s, randombytes_random(),
                              why->text);
    if (hf_rotation_save(&id->store, &rotation, &unsaved) != HF_OK)
        id->journal(id->ctx, HF_LEVEL_WARNING, "identity", unsaved.text);
}

enum hf_err hf_identity_rotate(const struct hf_identity *id, struct hf_credential *out,
                               struct hf_why *why)
{
    struct work w = {.id = id};
    struct hf_why own = {0};

    enum hf_err err = hf_slots_read(id->state_dir, &w.slots, &own);
    if (err == HF_OK)
        err = find_service(id, &w.slots, slot_at_work(&w.slots), NULL, &w.service, &own);
    if (err == HF_OK)
        err = rotate(&w, &own);
    bool has_identity = w.slots.current != 0 || w.slots.candidate != 0;
    if (err == HF_OK)
        err = remember(id, &w, "rotated", &own);
    else if (has_identity)
        record_failure(id, &w.service, &own);
    if (err == HF_OK)
        *out = w.made;
    work_free(&w);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "%s", own.text);
}

/* ---- when, and how it is ------------------------------------------------------------------------------ */

static enum hf_err describe_current(const struct hf_identity *id, const struct hf_slots *slots,
                                    struct hf_credential *out, struct hf_why *why)
{
    struct hf_client_auth auth;

    HF_TRY(hf_slots_load(slots, slots->current, id->key, &auth, why));
    enum hf_err err = hf_identity_describe(&auth.chain, out, why);
    hf_client_auth_free(&auth);
    return err;
}

void hf_identity_get_status(const struct hf_identity *id, struct hf_identity_status *out)
{
    struct hf_slots slots = {0};
    struct hf_service service = {0};
    struct hf_rotation rotation;
    struct hf_why why = {0};
    struct hf_path file;

    *out = (struct hf_identity_status){.last_try_s = HF_TIME_NONE};
    hf_rotation_load(&id->store, &rotation);
    enum hf_err err = hf_slots_read(id->state_dir, &slots, &why);
    out->is_pending = slots.candidate_has_certificate;
    if (err == HF_OK && slots.current != 0)
        err = describe_current(id, &slots, &out->credential, &why);
    if (err != HF_OK || slots.current == 0) {
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
    if (find_service(id, &slots, slots.current, NULL, &service, NULL) == HF_OK)
        (void)snprintf(out->url, sizeof out->url, "%s", service.origin);
    if (hf_slots_path(&slots, 0, HF_SLOT_CERTIFICATE, &file, NULL) == HF_OK &&
        strlen(file.text) < sizeof out->cert_file)
        memcpy(out->cert_file, file.text, strlen(file.text) + 1);
    if (id->key == NULL && hf_slots_path(&slots, 0, HF_SLOT_KEY, &file, NULL) == HF_OK &&
        strlen(file.text) < sizeof out->key_file)
        memcpy(out->key_file, file.text, strlen(file.text) + 1);
}

void hf_identity_maintain(const struct hf_identity *id, bool is_requested)
{
    struct hf_identity_status status;
    struct hf_rotation rotation;
    struct hf_credential made;
    struct hf_why why = {0};

    hf_identity_get_status(id, &status);
    if (!status.is_present && !status.is_pending)
        return;
    if (is_requested && status.is_present && !status.is_requested) {
        hf_rotation_load(&id->store, &rotation);
        rotation.is_requested = true;
        if (hf_rotation_save(&id->store, &rotation, &why) != HF_OK)
            id->journal(id->ctx, HF_LEVEL_WARNING, "identity", why.text);
        hf_identity_get_status(id, &status);
    }
    if (status.is_present && status.rotation_due_s > id->now_s)
        return;
    /* Journal and status say what failed; an update does not fail for it. */
    (void)!hf_identity_rotate(id, &made, &why);
}
