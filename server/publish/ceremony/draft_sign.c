#include "server/publish/ceremony/draft_sign.h"

#include "server/repository/keys/signer.h"

#include <inttypes.h>
#include <string.h>

/* ---- which keys ------------------------------------------------------------------------------- */

/* What was found while looking through a folder. */
struct search {
    const struct hf_draft *draft;
    const struct hf_signature_status *status;
    json_t *names; /* gets the name of every key chosen; NULL: look only */
    size_t n_chosen, n_signed_before;
    int failures;
};

static bool is_wanted(void *context, const struct hf_key_file *file)
{
    struct search *search = context;
    struct hf_eligibility say = hf_signature_status_eligibility(search->draft, search->status,
                                                                file->public_key);
    search->n_signed_before += say.id == NULL && say.has_signed;
    if (say.id == NULL)
        return false;
    search->n_chosen++;
    if (search->names != NULL)
        search->failures += json_object_set_new(search->names, say.id, json_string(file->name));
    return true;
}

/* To be looked at without opening anything. */
static bool is_counted_only(void *context, const struct hf_key_file *file)
{
    (void)is_wanted(context, file);
    return false;
}

/* Appends who is still to sign to the sentence already there. */
static enum hf_err add_who_is_missing(const struct hf_signature_status *status, struct hf_why *why)
{
    struct hf_buf missing = {0};
    struct hf_why sentence = {0};
    if (why == NULL)
        return HF_E_KEY;
    sentence = *why;
    HF_TRY(hf_signature_status_missing(status, &missing, why));
    (void)hf_fail(why, HF_E_KEY, "%.*s; still to sign: %s", HF_WHY_MAX / 2, sentence.text,
                  missing.len == 0 ? "none" : (const char *)missing.data);
    hf_buf_free(&missing);
    return HF_E_KEY;
}

static enum hf_err nothing_to_sign_with(const struct hf_draft *draft, const struct search *search,
                                        const char *folder, struct hf_why *why)
{
    if (search->n_signed_before > 0)
        (void)hf_fail(why, HF_E_KEY,
                      "every key in %s has signed this draft already, and a key counts once",
                      folder);
    else
        (void)hf_fail(why, HF_E_KEY, "%s holds no key that may sign this draft of %s %" PRId64,
                      folder, hf_top_role_name(draft->role), hf_draft_envelope(draft)->version);
    return add_who_is_missing(search->status, why);
}

/* What was named must be of use; a folder may contain anything. */
static enum hf_err check_given(const struct hf_draft *draft,
                               const struct hf_signature_status *status,
                               const struct hf_key_set *holder, struct hf_why *why)
{
    for (size_t i = 0; i < holder->n_given; i++) {
        const struct hf_key_file *file = &holder->given[i].files[0];
        struct hf_eligibility say = hf_signature_status_eligibility(draft, status,
                                                                    file->public_key);
        if (say.id != NULL)
            continue;
        if (say.has_signed)
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
    struct hf_signature_status status = {0};
    struct hf_signers none = {0};
    struct search search = {.draft = draft, .status = &status};
    const struct hf_key_choice choice = {is_counted_only, &search};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    enum hf_err err = check_given(draft, &status, holder, why);
    if (err == HF_OK)
        err = hf_key_set_open_chosen(holder, HF_KEYS_OFFLINE, &choice, &none, why);
    if (err == HF_OK && search.n_chosen == 0)
        err = nothing_to_sign_with(draft, &search, holder->folders[HF_KEYS_OFFLINE].path.text, why);
    hf_signers_free(&none);
    hf_signature_status_free(&status);
    return err;
}

/* ---- signing ---------------------------------------------------------------------------------- */

static enum hf_err add_signatures(struct hf_draft *draft, const json_t *more, struct hf_why *why)
{
    json_t *all = json_copy(json_object_get(draft->json, "signatures"));
    if (json_array_extend(all, (json_t *)(uintptr_t)more) != 0) {
        json_decref(all);
        return hf_fail(why, HF_E_MEMORY, "out of memory for signatures");
    }
    return hf_draft_set_take(draft, "signatures", all, why);
}

/* The one place that signs makes a whole file; the signatures in it are what is wanted here. */
static enum hf_err sign_with(struct hf_draft *draft, const struct hf_signers *signers,
                             struct hf_why *why)
{
    struct hf_buf file = {0};
    struct hf_envelope env = {0};
    const struct hf_envelope *unsigned_env = hf_draft_envelope(draft);
    enum hf_err err = hf_signer_sign(unsigned_env->signed_part, signers->keys, signers->n_keys,
                                     &file, why);
    if (err == HF_OK)
        err = hf_envelope_parse(hf_buf_bytes(&file), hf_top_role_name(draft->role), &env, why);
    if (err == HF_OK)
        err = add_signatures(draft, json_object_get(env.json, "signatures"), why);
    hf_envelope_free(&env);
    hf_buf_free(&file);
    return err;
}

static enum hf_err open_and_sign(struct hf_draft *draft, struct hf_key_set *holder,
                                 struct search *search, struct hf_why *why)
{
    struct hf_signers signers = {0};
    const struct hf_key_choice choice = {is_wanted, search};
    enum hf_err err = hf_key_set_open_chosen(holder, HF_KEYS_OFFLINE, &choice, &signers, why);
    if (err == HF_OK && search->failures != 0)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for the names of keys");
    for (size_t i = 0; i < signers.n_keys; i++)
        signers.keys[i].known_as =
            hf_signature_status_eligibility(draft, search->status, signers.keys[i].public_key).id;
    if (err == HF_OK)
        err = sign_with(draft, &signers, why);
    hf_signers_free(&signers);
    return err;
}

enum hf_err hf_draft_sign(struct hf_draft *draft, struct hf_key_set *holder, size_t *n_signed,
                          struct hf_why *why)
{
    struct hf_signature_status status = {0};
    struct search search = {.draft = draft, .status = &status};
    HF_TRY(hf_draft_find_keys(draft, holder, why));
    search.names = json_deep_copy(json_object_get(draft->json, "names"));
    enum hf_err err = hf_signature_status_make(draft, &status, why);
    if (err == HF_OK)
        err = open_and_sign(draft, holder, &search, why);
    hf_signature_status_free(&status);
    if (err != HF_OK) {
        json_decref(search.names);
        return err;
    }
    *n_signed = search.n_chosen;
    return hf_draft_set_take(draft, "names", search.names, why);
}

/* ---- merging ---------------------------------------------------------------------------------- */

/* Also what it is compared with: else two holders may have been shown two differences. */
static bool is_same_draft(const struct hf_draft *a, const struct hf_draft *b)
{
    return a->role == b->role && hf_bytes_equal(hf_draft_root_file(a), hf_draft_root_file(b)) &&
           hf_bytes_equal(hf_draft_before_file(a), hf_draft_before_file(b)) &&
           hf_bytes_equal(hf_buf_bytes(&hf_draft_envelope(a)->signed_bytes),
                          hf_buf_bytes(&hf_draft_envelope(b)->signed_bytes));
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

static enum hf_err merge_signatures(struct hf_draft *draft, const struct hf_draft *other,
                                    struct hf_why *why)
{
    size_t index;
    json_t *signature;
    json_t *more = json_array();
    int failures = more == NULL;
    json_array_foreach(json_object_get(other->json, "signatures"), index, signature)
    {
        if (!has_signature_of(json_object_get(draft->json, "signatures"), signature))
            failures += json_array_append(more, signature);
    }
    enum hf_err err = failures == 0 ? add_signatures(draft, more, why)
                                    : hf_fail(why, HF_E_MEMORY, "out of memory for signatures");
    json_decref(more);
    return err;
}

enum hf_err hf_draft_merge(struct hf_draft *draft, const struct hf_draft *other, struct hf_why *why)
{
    char wanted[HF_SHA256_HEX_LEN], found[HF_SHA256_HEX_LEN];
    if (!is_same_draft(draft, other)) {
        hf_sha256_hex(hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes), wanted);
        hf_sha256_hex(hf_buf_bytes(&hf_draft_envelope(other)->signed_bytes), found);
        return hf_fail(why, HF_E_STATE,
                       "it is another draft: expected SHA-256 %s after the same root and the same "
                       "targets, found %s",
                       wanted, found);
    }
    HF_TRY(merge_signatures(draft, other, why));
    json_t *names = json_copy(json_object_get(draft->json, "names"));
    if (names == NULL ||
        json_object_update_missing(names, json_object_get(other->json, "names")) != 0) {
        json_decref(names);
        return hf_fail(why, HF_E_MEMORY, "out of memory for the names of keys");
    }
    return hf_draft_set_take(draft, "names", names, why);
}

/* Copies with a bad signature are told by name, before they are mixed with good ones. */
static enum hf_err read_one(const char *path, struct hf_draft *out, struct hf_why *why)
{
    struct hf_draft draft = {0};
    struct hf_signature_status status = {0};
    HF_TRY(hf_draft_read(path, &draft, why));
    enum hf_err err = hf_signature_status_make(&draft, &status, why);
    hf_signature_status_free(&status);
    if (err != HF_OK) {
        hf_draft_free(&draft);
        return hf_fail_context(why, "%s", path);
    }
    *out = draft;
    return HF_OK;
}

static enum hf_err merge_file(struct hf_draft *draft, const char *path, struct hf_why *why)
{
    struct hf_draft other = {0};
    HF_TRY(read_one(path, &other, why));
    enum hf_err err = hf_draft_merge(draft, &other, why);
    hf_draft_free(&other);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "%s", path);
}

enum hf_err hf_draft_read_all(const char *const *paths, struct hf_draft *out, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(read_one(paths[0], &draft, why));
    for (size_t i = 1; paths[i] != NULL; i++) {
        enum hf_err err = merge_file(&draft, paths[i], why);
        if (err != HF_OK) {
            hf_draft_free(&draft);
            return err;
        }
    }
    *out = draft;
    return HF_OK;
}
