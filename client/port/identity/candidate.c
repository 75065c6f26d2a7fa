#include "client/port/identity/candidate.h"

#include "client/port/identity/request.h"

#include <sodium.h>

void hf_identity_work_free(struct hf_identity_work *w)
{
    if (w->has_key)
        mbedtls_pk_free(&w->key);
    w->has_key = false;
}

enum hf_err hf_candidate_find_service(const struct hf_identity_work *w, unsigned number,
                                      struct hf_service *out, struct hf_why *why)
{
    struct hf_service found = {.api = w->id->api, .retry_after_s = -1};
    struct hf_buf url = {0};

    enum hf_err err = hf_slots_get_service(&w->slots, number, &url, why);
    if (err == HF_OK)
        err = hf_service_set_url(&found, url.len > 0 ? (const char *)url.data : "", why);
    if (err == HF_OK)
        *out = found;
    else
        (void)hf_fail_context(why, "the service of the certificate in %s/%u is not known",
                              w->slots.dir.text, number);
    hf_buf_free(&url);
    return err;
}

void hf_candidate_tidy(struct hf_identity_work *w)
{
    struct hf_why why = {0};

    if (hf_slots_clean(&w->slots, &why) != HF_OK)
        w->id->journal(w->id->ctx, HF_LEVEL_WARNING, "identity", why.text);
}

bool hf_candidate_is_damage(const struct hf_identity *id, enum hf_err err)
{
    return err == HF_E_FORMAT || (err != HF_OK && err != HF_E_MEMORY && err != HF_E_STORAGE &&
                                  err != HF_E_STATE && id->key == NULL);
}

/* ---- the draft ------------------------------------------------------------------------------- */

/* That of the port, or the draft's file. */
static enum hf_err load_key(struct hf_identity_work *w, struct hf_why *why)
{
    struct hf_path file;

    hf_identity_work_free(w);
    HF_TRY(hf_slots_path(&w->slots, w->slots.draft, HF_SLOT_KEY, &file, why));
    HF_TRY(hf_client_key_load(file.text, w->id->key, &w->key, why));
    w->has_key = true;
    return HF_OK;
}

static enum hf_err make_key(struct hf_identity_work *w, enum hf_key_kind kind, struct hf_why *why)
{
    struct hf_buf pem = {0};

    w->slots.draft = 0;
    HF_TRY(hf_slots_clean(&w->slots, why));
    enum hf_err err = w->id->key == NULL ? hf_identity_key_make(kind, &pem, why) : HF_OK;
    if (err == HF_OK)
        err = hf_slots_add(&w->slots, hf_buf_bytes(&pem), why);
    if (pem.data != NULL)
        sodium_memzero(pem.data, pem.len);
    hf_buf_free(&pem);
    return err == HF_OK ? load_key(w, why) : err;
}

enum hf_err hf_candidate_draft(struct hf_identity_work *w, enum hf_key_kind kind,
                               struct hf_why *why)
{
    bool is_left = w->slots.draft != 0 && load_key(w, NULL) == HF_OK &&
                   (w->id->key != NULL || hf_identity_key_kind(&w->key) == kind);

    HF_TRY(is_left ? hf_slots_clean(&w->slots, why) : make_key(w, kind, why));
    return hf_slots_put_service(&w->slots, w->service.origin, why);
}

/* ---- its certificate ------------------------------------------------------------------------- */

enum hf_err hf_candidate_certify(struct hf_identity_work *w, const struct hf_enrolment *enrolment,
                                 struct hf_client_auth *shown, struct hf_why *why)
{
    const char *device = w->id->device_id;
    struct hf_buf csr = {0}, csr_pem = {0}, signature = {0}, pem = {0};
    struct hf_credential made;

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
        err = hf_identity_certificate_check(hf_buf_bytes(&pem), &w->key, w->id->now_s, &made, why);
    if (err == HF_OK)
        err = hf_slots_put_certificate(&w->slots, hf_buf_bytes(&pem), why);
    hf_buf_free(&csr);
    hf_buf_free(&csr_pem);
    hf_buf_free(&signature);
    hf_buf_free(&pem);
    return err;
}

/* ---- the candidate --------------------------------------------------------------------------- */

static enum hf_err adopt(struct hf_identity_work *w, const struct hf_credential *made,
                         struct hf_why *why)
{
    HF_TRY(hf_slots_adopt(&w->slots, why));
    w->made = *made;
    w->slots.draft = 0;
    hf_candidate_tidy(w);
    return HF_OK;
}

enum hf_err hf_candidate_try(struct hf_identity_work *w, bool *is_damaged, struct hf_why *why)
{
    struct hf_client_auth auth;
    struct hf_credential made;

    w->service = (struct hf_service){.api = w->id->api, .retry_after_s = -1};
    enum hf_err err = hf_candidate_find_service(w, w->slots.candidate, &w->service, why);
    *is_damaged = err == HF_E_NOT_FOUND || err == HF_E_ARGUMENT || err == HF_E_LIMIT;
    HF_TRY(err);
    err = hf_slots_load(&w->slots, w->slots.candidate, w->id->key, &auth, why);
    *is_damaged = hf_candidate_is_damage(w->id, err);
    HF_TRY(err);
    err = hf_identity_describe(&auth.chain, &made, why);
    *is_damaged = err != HF_OK;
    if (err == HF_OK)
        err = hf_service_whoami(&w->service, &auth, made.sha256, why);
    hf_client_auth_free(&auth);
    return err == HF_OK ? adopt(w, &made, why) : err;
}
