#include "server/repository/keys/key_reference.h"

#include "common/json/json.h"
#include "server/repository/base/label.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum hf_err out_of_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for a key in a token");
}

void hf_key_reference_free(struct hf_key_reference *r)
{
    hf_public_key_free(&r->public);
    free(r->uri);
    free(r->name);
    *r = (struct hf_key_reference){0};
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* It is printed where something is wrong with it. */
static bool is_printable(const char *uri)
{
    for (; *uri != '\0'; uri++) {
        if (*uri <= ' ' || *uri > '~')
            return false;
    }
    return true;
}

static enum hf_err check(const char *uri, const char *name, struct hf_why *why)
{
    if (!is_printable(uri) || !hf_label_is_plain(name))
        return hf_fail(why, HF_E_FORMAT,
                       "\"uri\" and \"name\" should be printable ASCII, and the name of 1 to %d "
                       "characters",
                       HF_LABEL_MAX);
    return hf_token_check_uri(uri, why);
}

static enum hf_err fill(struct hf_key_reference *r, const json_t *public_key, const char *uri,
                        const char *name, struct hf_why *why)
{
    HF_TRY(check(uri, name, why));
    HF_TRY(hf_public_key_from_json(public_key, &r->public, why));
    r->uri = strdup(uri);
    r->name = strdup(name);
    return r->uri == NULL || r->name == NULL ? out_of_memory(why) : HF_OK;
}

static enum hf_err make(const json_t *public_key, const char *uri, const char *name,
                        struct hf_key_reference *out, struct hf_why *why)
{
    struct hf_key_reference r = {0};
    enum hf_err err = fill(&r, public_key, uri, name, why);
    if (err != HF_OK) {
        hf_key_reference_free(&r);
        return err;
    }
    *out = r;
    return HF_OK;
}

enum hf_err hf_key_reference_parse(const json_t *file, struct hf_key_reference *out,
                                   struct hf_why *why)
{
    json_t *public_key = NULL;
    const char *uri = NULL, *name = NULL;
    HF_TRY(hf_json_get_object(file, "key", "the key file", &public_key, why));
    HF_TRY(hf_json_get_text(file, "uri", "the key file", &uri, why));
    HF_TRY(hf_json_get_text(file, "name", "the key file", &name, why));
    return make(public_key, uri, name, out, why);
}

/* ---- making ----------------------------------------------------------------------------------- */

/* A token may give its objects longer names than anybody wants to read. */
struct short_name {
    char text[HF_LABEL_MAX + 1];
};

static struct short_name shorten(const char *label)
{
    struct short_name name;
    (void)snprintf(name.text, sizeof name.text, "%s", label);
    return name;
}

enum hf_err hf_key_reference_to_json(const struct hf_token_public *token_key, const char *uri,
                                     json_t **out, struct hf_why *why)
{
    const char *besides = strchr(uri, '?');
    const struct short_name name = shorten(token_key->label);
    json_t *full = json_sprintf("%.*s%s", (int)strcspn(token_key->uri, "?"), token_key->uri,
                                besides == NULL ? "" : besides);
    json_t *object = json_pack("{s:O, s:s, s:o}", "key", token_key->json, "name", name.text, "uri",
                               full);
    if (object == NULL)
        return out_of_memory(why);
    *out = object;
    return HF_OK;
}

enum hf_err hf_key_reference_look_up(struct hf_tokens **tokens, const char *uri,
                                     struct hf_key_reference *out, struct hf_why *why)
{
    struct hf_token_public found = {0};
    HF_TRY(hf_token_check_uri(uri, why));
    HF_TRY(hf_token_read_public(tokens, uri, &found, why));
    const struct short_name name = shorten(found.label);
    enum hf_err err = make(found.json, uri, name.text, out, why);
    hf_token_public_free(&found);
    return err;
}
