/* Signatures are made here, or gathered from copies that came back. */
#include "server/repository/drafts/draft_signatures.h"

#include "server/repository/keys/signer.h"

#include <inttypes.h>
#include <string.h>

/* What was found while looking through a folder of keys. */
struct search {
    const struct hf_signature_status *status;
    json_t *names; /* gets the name of every key chosen; NULL: look only, open none */
    size_t n_chosen, n_signed_before;
    int failures;
};

static bool is_wanted(void *context, const struct hf_key_file *file)
{
    struct search *search = context;
    struct hf_eligibility key = hf_signature_status_eligibility(search->status, file->public_key);
    search->n_signed_before += key.id == NULL && key.has_signed;
    search->n_chosen += key.id != NULL;
    if (key.id == NULL || search->names == NULL)
        return false;
    search->failures += json_object_set_new(search->names, key.id, hf_label_to_json(file->name));
    return true;
}

/* HF_E_KEY: appends who is still to sign to the sentence that is there. */
static enum hf_err add_who_is_missing(const struct hf_signature_status *status, struct hf_why *why)
{
    struct hf_buf missing = {0};
    if (why == NULL)
        return HF_E_KEY;
    const struct hf_why sentence = *why;
    HF_TRY(hf_signature_status_missing(status, &missing, why));
    (void)hf_fail(why, HF_E_KEY, "%.*s; still to sign: %s", HF_WHY_MAX / 2, sentence.text,
                  missing.len == 0 ? "none" : (const char *)missing.data);
    hf_buf_free(&missing);
    return HF_E_KEY;
}

/* A key that was named must be able to sign; a folder may contain any keys. */
static enum hf_err check_given(const struct hf_draft *draft,
                               const struct hf_signature_status *status,
                               const struct hf_key_set *holder, struct hf_why *why)
{
    for (size_t i = 0; i < holder->n_extra; i++) {
        const struct hf_key_file *file = &holder->extra[i].files[0];
        struct hf_eligibility key = hf_signature_status_eligibility(status, file->public_key);
        if (key.id != NULL)
            continue;
        if (key.has_signed)
            (void)hf_fail(why, HF_E_KEY, "%s has signed this draft already, and a key counts once",
                          file->path);
        else
            (void)hf_fail(why, HF_E_KEY,
                          "%s (key %.16s…) is not authorised to sign this draft of %s %" PRId64,
                          file->path, file->key_id, hf_top_role_name(draft->role),
                          hf_draft_envelope(draft)->version);
        return add_who_is_missing(status, why);
    }
    return HF_OK;
}

enum hf_err hf_draft_find_keys(const struct hf_draft *draft, struct hf_key_set *holder,
                               struct hf_why *why)
{
    const char *folder = holder->folders[HF_KEYS_OFFLINE].path.text;
    struct hf_signature_status status = {0};
    struct hf_signers none = {0};
    struct search search = {.status = &status};
    const struct hf_key_choice choice = {is_wanted, &search};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    enum hf_err err = check_given(draft, &status, holder, why);
    if (err == HF_OK)
        err = hf_key_set_open_chosen(holder, HF_KEYS_OFFLINE, &choice, &none, why);
    if (err == HF_OK && search.n_chosen == 0) {
        if (search.n_signed_before > 0)
            (void)hf_fail(why, HF_E_KEY,
                          "every key in %s has signed this draft already, and a key counts once",
                          folder);
        else
            (void)hf_fail(why, HF_E_KEY, "%s holds no key that may sign this draft of %s %" PRId64,
                          folder, hf_top_role_name(draft->role), hf_draft_envelope(draft)->version);
        err = add_who_is_missing(&status, why);
    }
    hf_signers_free(&none);
    hf_signature_status_free(&status);
    return err;
}

/* Takes `names`. They come first: if they are refused, the draft is unchanged. */
static enum hf_err add_signatures(struct hf_draft *draft, const json_t *more, json_t *names,
                                  struct hf_why *why)
{
    json_t *all = json_copy(json_object_get(draft->json, "signatures"));
    if (names == NULL || json_array_extend(all, (json_t *)(uintptr_t)more) != 0) {
        json_decref(all);
        json_decref(names);
        return hf_fail(why, HF_E_MEMORY, "out of memory for signatures");
    }
    enum hf_err err = hf_draft_set_take(draft, "names", names, why);
    if (err == HF_OK)
        return hf_draft_set_take(draft, "signatures", all, why);
    json_decref(all);
    return err;
}

/* hf_signer_sign makes a whole metadata file; its signatures are taken out of it. */
enum hf_err hf_draft_sign(struct hf_draft *draft, struct hf_key_set *holder, size_t *n_signed,
                          struct hf_why *why)
{
    struct hf_signature_status status = {0};
    struct hf_signers signers = {0};
    struct hf_buf file = {0};
    struct hf_envelope env = {0};
    struct search search = {.status = &status};
    const struct hf_key_choice choice = {is_wanted, &search};
    HF_TRY(hf_draft_find_keys(draft, holder, why));
    HF_TRY(hf_signature_status_make(draft, &status, why));
    search.names = json_deep_copy(json_object_get(draft->json, "names"));
    enum hf_err err = hf_key_set_open_chosen(holder, HF_KEYS_OFFLINE, &choice, &signers, why);
    if (err == HF_OK && search.failures != 0)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the names of keys");
    for (size_t i = 0; i < signers.n_keys; i++) {
        struct hf_signing_key *key = &signers.keys[i];
        key->known_as = hf_signature_status_eligibility(&status, key->public_key).id;
    }
    if (err == HF_OK)
        err = hf_signer_sign(hf_draft_envelope(draft)->signed_part, signers.keys, signers.n_keys,
                             &file, why);
    if (err == HF_OK)
        err = hf_envelope_parse(hf_buf_bytes(&file), hf_top_role_name(draft->role), &env, why);
    if (err == HF_OK)
        err = add_signatures(draft, json_object_get(env.json, "signatures"),
                             json_incref(search.names), why);
    if (err == HF_OK)
        *n_signed = search.n_chosen;
    json_decref(search.names);
    hf_envelope_free(&env);
    hf_buf_free(&file);
    hf_signers_free(&signers);
    hf_signature_status_free(&status);
    return err;
}

static bool has_signature_of(const json_t *signatures, const json_t *other)
{
    size_t index;
    json_t *element;
    json_array_foreach(signatures, index, element)
    {
        if (json_equal(json_object_get(element, "keyid"), json_object_get(other, "keyid")))
            return true;
    }
    return false;
}

enum hf_err hf_draft_merge(struct hf_draft *draft, const struct hf_draft *other, struct hf_why *why)
{
    char wanted[HF_SHA256_HEX_LEN], found[HF_SHA256_HEX_LEN];
    size_t index;
    json_t *signature, *more = json_array();
    int failures = more == NULL;
    /* With the same roots and targets before: else two holders were shown different changes. */
    if (draft->role != other->role ||
        !hf_bytes_equal(hf_draft_root_file(draft), hf_draft_root_file(other)) ||
        !hf_bytes_equal(hf_draft_before_file(draft), hf_draft_before_file(other)) ||
        !hf_draft_is_same_signed(hf_draft_envelope(draft), hf_draft_envelope(other))) {
        json_decref(more);
        hf_sha256_hex(hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes), wanted);
        hf_sha256_hex(hf_buf_bytes(&hf_draft_envelope(other)->signed_bytes), found);
        return hf_fail(why, HF_E_STATE,
                       "it is another draft: expected SHA-256 %s after the same root and the same "
                       "targets, found %s",
                       wanted, found);
    }
    json_array_foreach(json_object_get(other->json, "signatures"), index, signature)
    {
        if (!has_signature_of(json_object_get(draft->json, "signatures"), signature))
            failures += json_array_append(more, signature);
    }
    json_t *names = json_copy(json_object_get(draft->json, "names"));
    failures += json_object_update_missing(names, json_object_get(other->json, "names"));
    enum hf_err err = failures == 0 ? add_signatures(draft, more, json_incref(names), why)
                                    : hf_fail(why, HF_E_MEMORY, "out of memory for signatures");
    json_decref(names);
    json_decref(more);
    return err;
}

/* Copies with a bad signature are refused by name, before they are mixed with good ones. */
enum hf_err hf_draft_read_all(const char *const *paths, struct hf_draft *out, struct hf_why *why)
{
    struct hf_draft all = {0};
    enum hf_err err = HF_OK;
    for (size_t i = 0; paths[i] != NULL && err == HF_OK; i++) {
        struct hf_draft copy = {0};
        struct hf_signature_status status = {0};
        err = hf_draft_read(paths[i], &copy, why);
        if (err != HF_OK)
            break;
        err = hf_signature_status_make(&copy, &status, why);
        hf_signature_status_free(&status);
        if (err == HF_OK && i > 0)
            err = hf_draft_merge(&all, &copy, why);
        if (err != HF_OK) {
            (void)hf_fail_context(why, "%s", paths[i]);
        } else if (i == 0) {
            all = copy;
            copy = (struct hf_draft){0};
        }
        hf_draft_free(&copy);
    }
    if (err == HF_OK)
        *out = all;
    else
        hf_draft_free(&all);
    return err;
}
