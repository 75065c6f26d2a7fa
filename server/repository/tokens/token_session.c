/* Modules, tokens in their slots, sessions and log-in. */
#include "server/repository/tokens/token_session.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    CK_RV rv;
    const char *words;
} answers[] = {
    {CKR_TOKEN_NOT_PRESENT, "it is not there any more; put it back and start again"},
    {CKR_DEVICE_REMOVED, "it was taken out; put it back and start again"},
    {CKR_SESSION_HANDLE_INVALID, "the session has ended, as when it was taken out; start again"},
    {CKR_SESSION_CLOSED, "the session has ended, as when it was taken out; start again"},
    {CKR_DEVICE_ERROR, "the device reports a fault"},
    {CKR_TOKEN_NOT_RECOGNIZED, "its module does not know this kind of token"},
    {CKR_SESSION_COUNT, "all its sessions are taken; end other programs that use it"},
    {CKR_TOKEN_WRITE_PROTECTED, "it is write-protected"},
    {CKR_SESSION_READ_ONLY, "it allows reading only"},
    {CKR_PIN_INCORRECT, "the PIN is wrong"},
    {CKR_PIN_INVALID, "the PIN holds characters that it does not take"},
    {CKR_PIN_LEN_RANGE, "the PIN is too short or too long for it"},
    {CKR_PIN_EXPIRED, "the PIN has expired; set a new one with the tool of its maker"},
    {CKR_PIN_LOCKED, "the PIN is locked after too many wrong ones; unblock it with the tool of its "
                     "maker"},
    {CKR_USER_PIN_NOT_INITIALIZED, "it has no PIN yet; set one with the tool of its maker"},
    {CKR_USER_NOT_LOGGED_IN, "it wants a PIN"},
    {CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "its security officer is logged in; end that program"},
    {CKR_FUNCTION_CANCELED, "it was cancelled at the device"},
    {CKR_FUNCTION_REJECTED, "it was declined at the device"},
    {CKR_MECHANISM_INVALID, "it cannot do that with this kind of key"},
    {CKR_FUNCTION_NOT_SUPPORTED, "it cannot do that"},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "this key is not allowed to sign"},
    {CKR_KEY_TYPE_INCONSISTENT, "this kind of key does not sign in that way"},
    {CKR_KEY_HANDLE_INVALID, "the key is not there any more"},
    {CKR_OBJECT_HANDLE_INVALID, "the key is not there any more"},
    {CKR_DEVICE_MEMORY, "it has no room"},
};

enum hf_err hf_token_fail(struct hf_why *why, const struct hf_token *token, const char *action,
                          CK_RV rv)
{
    const char *words = NULL;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0] && words == NULL; i++) {
        if (answers[i].rv == rv)
            words = answers[i].words;
    }
    return hf_fail(why, rv == CKR_HOST_MEMORY ? HF_E_MEMORY : HF_E_KEY,
                   "token %s, asked to %s: %s (PKCS#11 0x%lx)", token->name, action,
                   words != NULL ? words : p11_kit_strerror(rv), (unsigned long)rv);
}

void hf_token_print(char *out, size_t size, struct hf_bytes text)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
    out[n] = '\0';
}

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

void hf_tokens_free(struct hf_tokens *tokens)
{
    if (tokens == NULL)
        return;
    for (struct hf_token *t = tokens->tokens, *next; t != NULL; t = next) {
        next = t->next;
        if (t->is_logged_in)
            (void)t->module->C_Logout(t->session);
        (void)t->module->C_CloseSession(t->session);
        hf_passphrase_free(&t->pin);
        free(t);
    }
    for (struct modules *m = tokens->modules, *next; m != NULL; m = next) {
        next = m->next;
        if (m->path == NULL) {
            p11_kit_modules_finalize_and_release(m->list);
        } else {
            (void)p11_kit_module_finalize(m->list[0]);
            p11_kit_module_release(m->list[0]);
            free(m->list);
        }
        free(m->path);
        free(m);
    }
    free(tokens);
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

/* The modules of `path` (NULL: the configured ones), loaded when first needed. */
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
    struct modules *m = calloc(1, sizeof *m);
    if (m == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a PKCS#11 module");
    enum hf_err err = HF_OK;
    if (path != NULL) {
        err = load_path(m, path, why);
    } else {
        /* p11-kit leaves out one that does not work unless its configuration calls it critical. */
        m->list = p11_kit_modules_load_and_initialize(0);
        if (m->list == NULL)
            err = hf_fail(why, HF_E_KEY,
                          "p11-kit cannot load the PKCS#11 modules of this machine: %s",
                          p11_kit_message());
    }
    if (err != HF_OK) {
        free(m->path);
        free(m->list);
        free(m);
        return err;
    }
    m->next = (*tokens)->modules;
    (*tokens)->modules = m;
    *out = m;
    return HF_OK;
}

/* The token in that slot, with a session: the one of this run, or a new one. */
static enum hf_err open_token(struct hf_tokens *tokens, CK_FUNCTION_LIST *module, CK_SLOT_ID slot,
                              const CK_TOKEN_INFO *info, struct hf_token **out, struct hf_why *why)
{
    for (struct hf_token *t = tokens->tokens; t != NULL; t = t->next) {
        if (t->module == module && t->slot == slot) {
            *out = t;
            return HF_OK;
        }
    }
    struct hf_token *token = calloc(1, sizeof *token);
    if (token == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a token");
    *token = (struct hf_token){.module = module, .slot = slot, .info = *info};
    struct hf_bytes name = {info->label, p11_kit_space_strlen(info->label, sizeof info->label)};
    if (name.len == 0)
        name = (struct hf_bytes){info->serialNumber,
                                 p11_kit_space_strlen(info->serialNumber,
                                                      sizeof info->serialNumber)};
    hf_token_print(token->name, sizeof token->name, name);
    CK_RV rv = module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
    if (rv != CKR_OK) {
        enum hf_err err = hf_token_fail(why, token, "open a session", rv);
        free(token);
        return err;
    }
    token->next = tokens->tokens;
    tokens->tokens = token;
    *out = token;
    return HF_OK;
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

/* A module that fails must not hide the tokens of others; its trouble is told when nothing is
 * found. */
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
    for (CK_ULONG i = 0; i < n && out->n < HF_TOKEN_SLOTS_MAX; i++) {
        CK_TOKEN_INFO info = {0};
        struct hf_token *token = NULL;
        if (is_wanted(module, slots[i], uri, &info) &&
            open_token(tokens, module, slots[i], &info, &token, &out->trouble) == HF_OK)
            out->tokens[out->n++] = token;
    }
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

static CK_FLAGS read_flags(const struct hf_token *token)
{
    CK_TOKEN_INFO info = {0};
    CK_RV rv = token->module->C_GetTokenInfo(token->slot, &info);
    return rv == CKR_OK ? info.flags : token->info.flags;
}

bool hf_token_is_locked(const struct hf_token *token)
{
    return (token->info.flags & CKF_LOGIN_REQUIRED) != 0 && !token->is_logged_in;
}

static CK_RV log_in(struct hf_token *token, CK_USER_TYPE user, const struct hf_passphrase *pin)
{
    CK_RV rv = token->module->C_Login(token->session, user, (CK_UTF8CHAR *)pin->text, pin->len);
    return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}

/* The device asks for the PIN itself. */
static enum hf_err log_in_at_device(struct hf_token *token, CK_USER_TYPE user, struct hf_why *why)
{
    const struct hf_passphrase none = {0};
    hf_terminal_tell("Token %s asks for its PIN itself: look at the device", token->name);
    CK_RV rv = log_in(token, user, &none);
    return rv == CKR_OK ? HF_OK : hf_token_fail(why, token, "log in", rv);
}

/* A wrong PIN costs a try, and after a few of them the token is locked. A timer would try a wrong
 * file every day until then: after one wrong PIN, the next is for a person to type. */
static enum hf_err check_tries(const struct hf_token *token, CK_FLAGS flags, const char *pin_file,
                               struct hf_why *why)
{
    bool is_last = (flags & CKF_USER_PIN_FINAL_TRY) != 0;
    if (!is_last && (flags & CKF_USER_PIN_COUNT_LOW) == 0)
        return HF_OK;
    if (pin_file != NULL)
        return hf_fail(why, HF_E_KEY,
                       "token %s %s; the PIN from %.300s was not spent on it: correct that file if "
                       "it is wrong, and log in by hand once (the same with --key and its URI "
                       "without pin-source, which asks)",
                       token->name,
                       is_last ? "has one try left before it locks"
                               : "was given a wrong PIN and none that was right since",
                       pin_file);
    if (is_last)
        hf_terminal_tell("Token %s has one try left: one more wrong PIN locks it", token->name);
    else
        hf_terminal_tell("Token %s was given a wrong PIN; few tries are left", token->name);
    return HF_OK;
}

static enum hf_err log_in_with_pin(struct hf_token *token, const char *pin_file, CK_FLAGS flags,
                                   struct hf_why *why)
{
    char what[sizeof "token " + HF_TOKEN_NAME_MAX];
    struct hf_passphrase pin = {0};
    HF_TRY(check_tries(token, flags, pin_file, why));
    (void)snprintf(what, sizeof what, "token %s", token->name);
    HF_TRY(hf_passphrase_read(HF_SECRET_PIN, pin_file, what, &pin, why));
    CK_RV rv = log_in(token, CKU_USER, &pin);
    if (rv == CKR_OK) {
        token->pin = pin;
        return HF_OK;
    }
    hf_passphrase_free(&pin);
    if (rv != CKR_PIN_INCORRECT)
        return hf_token_fail(why, token, "log in", rv);
    flags = read_flags(token);
    const char *left = "";
    if ((flags & CKF_USER_PIN_LOCKED) != 0)
        left = ", and it is locked now";
    else if ((flags & CKF_USER_PIN_FINAL_TRY) != 0)
        left = "; one try is left";
    else if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
        left = "; few tries are left";
    return hf_fail(why, HF_E_KEY, "token %s: the PIN from %.300s is wrong%s", token->name,
                   pin_file != NULL ? pin_file : "the terminal", left);
}

enum hf_err hf_token_login(struct hf_token *token, const struct hf_token_uri *uri,
                           struct hf_why *why)
{
    if (!hf_token_is_locked(token))
        return HF_OK;
    CK_FLAGS flags = read_flags(token);
    if ((flags & CKF_USER_PIN_LOCKED) != 0)
        return hf_token_fail(why, token, "log in", CKR_PIN_LOCKED);
    HF_TRY((flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0
               ? log_in_at_device(token, CKU_USER, why)
               : log_in_with_pin(token, uri->pin_file, flags, why));
    token->is_logged_in = true;
    return HF_OK;
}

enum hf_err hf_token_login_again(struct hf_token *token, struct hf_why *why)
{
    if (token->pin.text == NULL)
        return log_in_at_device(token, CKU_CONTEXT_SPECIFIC, why);
    CK_RV rv = log_in(token, CKU_CONTEXT_SPECIFIC, &token->pin);
    return rv == CKR_OK ? HF_OK : hf_token_fail(why, token, "log in for a signature", rv);
}
