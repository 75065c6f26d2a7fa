/* Modules and the tokens in their slots. */
#include "server/repository/tokens/token_session.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* The configured modules, or the one of a module-path. */
struct modules {
    struct modules *next;
    char *path;              /* owned; NULL: the configured ones */
    CK_FUNCTION_LIST **list; /* NULL ends it */
};

struct hf_tokens {
    struct modules *modules;
    struct hf_token *tokens; /* that were opened */
};

/* ---- free --------------------------------------------------------------------------------------- */

static void close_token(struct hf_token *token)
{
    if (token->is_logged_in)
        (void)token->module->C_Logout(token->session);
    (void)token->module->C_CloseSession(token->session);
    hf_passphrase_free(&token->pin);
    free(token);
}

static void unload(struct modules *modules)
{
    if (modules->path == NULL) {
        p11_kit_modules_finalize_and_release(modules->list);
    } else {
        (void)p11_kit_module_finalize(modules->list[0]);
        p11_kit_module_release(modules->list[0]);
        free(modules->list);
    }
    free(modules->path);
    free(modules);
}

void hf_tokens_free(struct hf_tokens *tokens)
{
    if (tokens == NULL)
        return;
    for (struct hf_token *t = tokens->tokens, *next; t != NULL; t = next) {
        next = t->next;
        close_token(t);
    }
    for (struct modules *m = tokens->modules, *next; m != NULL; m = next) {
        next = m->next;
        unload(m);
    }
    free(tokens);
}

/* ---- load --------------------------------------------------------------------------------------- */

/* One that does not work is left out by p11-kit unless its configuration calls it critical. */
static enum hf_err load_configured(struct modules *m, struct hf_why *why)
{
    m->list = p11_kit_modules_load_and_initialize(0);
    if (m->list == NULL)
        return hf_fail(why, HF_E_KEY, "p11-kit cannot load the PKCS#11 modules of this machine: %s",
                       p11_kit_message());
    return HF_OK;
}

static enum hf_err load_path(struct modules *m, const char *path, struct hf_why *why)
{
    m->path = strdup(path);
    m->list = calloc(2, sizeof *m->list);
    if (m->path == NULL || m->list == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a PKCS#11 module");
    CK_FUNCTION_LIST *module = p11_kit_module_load(path, 0);
    if (module == NULL)
        return hf_fail(why, HF_E_KEY, "%.300s is no PKCS#11 module that can be loaded: %s", path,
                       p11_kit_message());
    CK_RV rv = p11_kit_module_initialize(module);
    if (rv != CKR_OK) {
        p11_kit_module_release(module);
        return hf_fail(why, HF_E_KEY, "the PKCS#11 module %.300s does not start: %s", path,
                       p11_kit_strerror(rv));
    }
    m->list[0] = module;
    return HF_OK;
}

static enum hf_err load(struct hf_tokens *tokens, const char *path, struct modules **out,
                        struct hf_why *why)
{
    struct modules *m = calloc(1, sizeof *m);
    if (m == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a PKCS#11 module");
    enum hf_err err = path == NULL ? load_configured(m, why) : load_path(m, path, why);
    if (err != HF_OK) {
        free(m->path);
        free(m->list);
        free(m);
        return err;
    }
    m->next = tokens->modules;
    tokens->modules = m;
    *out = m;
    return HF_OK;
}

static enum hf_err want_modules(struct hf_tokens **tokens, const char *path, struct modules **out,
                                struct hf_why *why)
{
    if (*tokens == NULL)
        *tokens = calloc(1, sizeof **tokens);
    if (*tokens == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a PKCS#11 module");
    for (struct modules *m = (*tokens)->modules; m != NULL; m = m->next) {
        if (path == NULL ? m->path == NULL : m->path != NULL && strcmp(path, m->path) == 0) {
            *out = m;
            return HF_OK;
        }
    }
    return load(*tokens, path, out, why);
}

/* ---- tokens ------------------------------------------------------------------------------------- */

static void set_name(struct hf_token *token)
{
    size_t len = p11_kit_space_strlen(token->info.label, sizeof token->info.label);
    struct hf_bytes name = {token->info.label, len};
    if (len == 0) {
        name.data = token->info.serialNumber;
        name.len = p11_kit_space_strlen(name.data, sizeof token->info.serialNumber);
    }
    hf_token_print(token->name, sizeof token->name, name);
}

static enum hf_err open_token(struct hf_tokens *tokens, CK_FUNCTION_LIST *module, CK_SLOT_ID slot,
                              const CK_TOKEN_INFO *info, struct hf_token **out, struct hf_why *why)
{
    struct hf_token *token = calloc(1, sizeof *token);
    if (token == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a token");
    token->module = module;
    token->slot = slot;
    token->info = *info;
    set_name(token);
    CK_RV rv = module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
    if (rv != CKR_OK) {
        (void)hf_token_fail(why, token, "open a session", rv);
        free(token);
        return why == NULL ? HF_E_KEY : why->code;
    }
    token->next = tokens->tokens;
    tokens->tokens = token;
    *out = token;
    return HF_OK;
}

static struct hf_token *find_open(const struct hf_tokens *tokens, const CK_FUNCTION_LIST *module,
                                  CK_SLOT_ID slot)
{
    struct hf_token *t = tokens->tokens;
    while (t != NULL && (t->module != module || t->slot != slot))
        t = t->next;
    return t;
}

static bool is_wanted(CK_FUNCTION_LIST *module, CK_SLOT_ID slot, const struct hf_token_uri *uri,
                      CK_TOKEN_INFO *info)
{
    CK_SLOT_INFO slot_info = {0};
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri->p11);
    if (wanted != (CK_SLOT_ID)-1 && wanted != slot)
        return false;
    return module->C_GetSlotInfo(slot, &slot_info) == CKR_OK &&
           p11_kit_uri_match_slot_info(uri->p11, &slot_info) &&
           module->C_GetTokenInfo(slot, info) == CKR_OK &&
           (info->flags & CKF_TOKEN_INITIALIZED) != 0 &&
           p11_kit_uri_match_token_info(uri->p11, info);
}

static void visit_slot(struct hf_tokens *tokens, CK_FUNCTION_LIST *module, CK_SLOT_ID slot,
                       const struct hf_token_uri *uri, struct hf_token_list *out)
{
    CK_TOKEN_INFO info = {0};
    if (out->n == HF_TOKEN_SLOTS_MAX || !is_wanted(module, slot, uri, &info))
        return;
    struct hf_token *token = find_open(tokens, module, slot);
    if (token == NULL && open_token(tokens, module, slot, &info, &token, &out->trouble) != HF_OK)
        return;
    out->tokens[out->n++] = token;
}

static bool is_module_wanted(CK_FUNCTION_LIST *module, const struct hf_token_uri *uri)
{
    CK_INFO info = {0};
    const char *wanted = p11_kit_uri_get_module_name(uri->p11);
    if (wanted != NULL) {
        char *name = p11_kit_module_get_name(module);
        bool is_it = name != NULL && strcmp(name, wanted) == 0;
        free(name);
        if (!is_it)
            return false;
    }
    return module->C_GetInfo(&info) == CKR_OK && p11_kit_uri_match_module_info(uri->p11, &info);
}

/* A module that fails must not hide the tokens of others; its trouble is told when nothing is found. */
static void visit_module(struct hf_tokens *tokens, CK_FUNCTION_LIST *module,
                         const struct hf_token_uri *uri, struct hf_token_list *out)
{
    CK_SLOT_ID slots[HF_TOKEN_SLOTS_MAX];
    CK_ULONG n = HF_TOKEN_SLOTS_MAX;
    if (!is_module_wanted(module, uri))
        return;
    CK_RV rv = module->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK || n > HF_TOKEN_SLOTS_MAX) {
        char *name = p11_kit_module_get_name(module);
        (void)hf_fail(&out->trouble, HF_E_KEY,
                      "the PKCS#11 module %.60s does not list its tokens: %s",
                      name != NULL ? name : "given", p11_kit_strerror(rv));
        free(name);
        return;
    }
    for (CK_ULONG i = 0; i < n; i++)
        visit_slot(tokens, module, slots[i], uri, out);
}

enum hf_err hf_tokens_find(struct hf_tokens **tokens, const struct hf_token_uri *uri,
                           struct hf_token_list *out, struct hf_why *why)
{
    struct modules *modules = NULL;
    HF_TRY(want_modules(tokens, p11_kit_uri_get_module_path(uri->p11), &modules, why));
    *out = (struct hf_token_list){0};
    for (CK_FUNCTION_LIST **m = modules->list; *m != NULL; m++)
        visit_module(*tokens, *m, uri, out);
    return HF_OK;
}
