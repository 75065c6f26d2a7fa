#include "client/port/identity/token_module.h"

#include "common/os/file_util.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_MAX 4
#define SLOTS_MAX 64
#define PIN_BYTES_MAX 256
#define PROXY "p11-kit-proxy.so" /* found by the loader, in a folder of libraries */

struct hf_pkcs11_module {
    char *path; /* NULL: this place is free */
    void *library;
    CK_FUNCTION_LIST *functions;
    unsigned n_users;
    bool is_ours; /* we initialised it */
    bool had_wrong_pin;
};

static struct hf_pkcs11_module modules[MODULES_MAX];
static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER;

enum hf_err hf_pkcs11_fail(CK_RV rv, const char *action, struct hf_why *why)
{
    static const struct {
        CK_RV rv;
        const char *words;
    } answers[] = {
        {CKR_PIN_INCORRECT, "the PIN is wrong"},
        {CKR_PIN_LOCKED, "the PIN is locked after too many wrong ones"},
        {CKR_PIN_LEN_RANGE, "the PIN is too short or too long for it"},
        {CKR_USER_PIN_NOT_INITIALIZED, "it has no PIN yet"},
        {CKR_USER_NOT_LOGGED_IN, "it wants a PIN; name its file by pin-source"},
        {CKR_TOKEN_NOT_PRESENT, "it is not there any more"},
        {CKR_DEVICE_REMOVED, "it was taken out"},
        {CKR_MECHANISM_INVALID, "it cannot sign with this kind of key"},
        {CKR_KEY_FUNCTION_NOT_PERMITTED, "this key is not allowed to sign"},
    };
    const char *words = "it reports a fault";

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (answers[i].rv == rv)
            words = answers[i].words;
    }
    return hf_fail(why, HF_E_KEY, "the token was asked to %s: %s (PKCS#11 0x%lx)", action, words,
                   (unsigned long)rv);
}

/* ---- modules --------------------------------------------------------------------------------- */

static enum hf_err start(struct hf_pkcs11_module *module, struct hf_why *why)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_RV (*get_list)(CK_FUNCTION_LIST * *list) = NULL;

    module->library = dlopen(module->path, RTLD_NOW | RTLD_LOCAL);
    if (module->library == NULL)
        return hf_fail(why, HF_E_KEY, "the PKCS#11 module cannot be loaded: %s", dlerror());
    void *symbol = dlsym(module->library, "C_GetFunctionList");
    memcpy(&get_list, &symbol, sizeof get_list); /* C has no cast from object to function */
    if (get_list == NULL || get_list(&module->functions) != CKR_OK)
        return hf_fail(why, HF_E_KEY, "%s is no PKCS#11 module", module->path);
    CK_RV rv = module->functions->C_Initialize(&arguments);
    module->is_ours = rv == CKR_OK;
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return hf_pkcs11_fail(rv, "start", why);
    return HF_OK;
}

static void stop(struct hf_pkcs11_module *module)
{
    if (module->is_ours)
        (void)module->functions->C_Finalize(NULL);
    if (module->library != NULL)
        (void)dlclose(module->library);
    free(module->path);
    *module = (struct hf_pkcs11_module){.had_wrong_pin = false};
}

static enum hf_err use(const char *path, struct hf_pkcs11_module **out, struct hf_why *why)
{
    struct hf_pkcs11_module *place = NULL;

    for (size_t i = 0; i < MODULES_MAX; i++) {
        struct hf_pkcs11_module *module = &modules[i];
        if (module->path != NULL && strcmp(module->path, path) == 0) {
            module->n_users++;
            *out = module;
            return HF_OK;
        }
        if (module->path == NULL)
            place = module;
    }
    if (place == NULL)
        return hf_fail(why, HF_E_LIMIT, "expected at most %d PKCS#11 modules at once", MODULES_MAX);
    place->path = strdup(path);
    enum hf_err err = place->path != NULL
                          ? start(place, why)
                          : hf_fail(why, HF_E_MEMORY, "out of memory for a PKCS#11 module");
    if (err != HF_OK) {
        stop(place);
        return err;
    }
    place->n_users = 1;
    *out = place;
    return HF_OK;
}

/* One that had a wrong PIN stays, so that the PIN is not tried again, whatever is opened later. */
static void unuse(struct hf_pkcs11_module *module)
{
    (void)pthread_mutex_lock(&modules_lock);
    if (--module->n_users == 0 && !module->had_wrong_pin)
        stop(module);
    (void)pthread_mutex_unlock(&modules_lock);
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* A field of PKCS#11, padded with blanks; `wanted` empty: any. */
static bool fits(const char *wanted, const CK_UTF8CHAR *field, size_t size)
{
    size_t len = strlen(wanted);

    if (len == 0)
        return true;
    if (len > size || memcmp(wanted, field, len) != 0)
        return false;
    for (size_t i = len; i < size; i++) {
        if (field[i] != ' ' && field[i] != '\0')
            return false;
    }
    return true;
}

static bool is_wanted(CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, const struct hf_pkcs11_uri *uri)
{
    CK_TOKEN_INFO info;

    return functions->C_GetTokenInfo(slot, &info) == CKR_OK &&
           (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
           fits(uri->token, info.label, sizeof info.label) &&
           fits(uri->serial, info.serialNumber, sizeof info.serialNumber) &&
           fits(uri->manufacturer, info.manufacturerID, sizeof info.manufacturerID) &&
           fits(uri->model, info.model, sizeof info.model);
}

static enum hf_err find_slot(CK_FUNCTION_LIST *functions, const struct hf_pkcs11_uri *uri,
                             CK_SLOT_ID *out, struct hf_why *why)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    unsigned n_found = 0;

    CK_RV rv = functions->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return hf_pkcs11_fail(rv, "list the tokens", why);
    for (CK_ULONG i = 0; i < n; i++) {
        if (is_wanted(functions, slots[i], uri)) {
            *out = slots[i];
            n_found++;
        }
    }
    return n_found == 1
               ? HF_OK
               : hf_fail(why, HF_E_NOT_FOUND,
                         "expected one PKCS#11 token that the URI names, found %u", n_found);
}

enum hf_err hf_pkcs11_session_open(const struct hf_pkcs11_uri *uri, struct hf_pkcs11_session *out,
                                   struct hf_why *why)
{
    struct hf_pkcs11_session session = {0};
    CK_SLOT_ID slot = 0;

    (void)pthread_mutex_lock(&modules_lock);
    enum hf_err err = use(uri->module[0] != '\0' ? uri->module : PROXY, &session.module, why);
    (void)pthread_mutex_unlock(&modules_lock);
    HF_TRY(err);
    session.functions = session.module->functions;
    err = find_slot(session.functions, uri, &slot, why);
    if (err == HF_OK) {
        CK_RV rv = session.functions->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL,
                                                    &session.handle);
        err = rv == CKR_OK ? HF_OK : hf_pkcs11_fail(rv, "open a session", why);
    }
    if (err == HF_OK)
        *out = session;
    else
        unuse(session.module);
    return err;
}

static enum hf_err read_pin(const struct hf_pkcs11_uri *uri, struct hf_buf *pin, struct hf_why *why)
{
    if (uri->pin_file[0] == '\0')
        return hf_fail(why, HF_E_KEY,
                       "the token wants a PIN; name its file in the URI: ?pin-source=/PATH");
    HF_TRY(hf_file_read_secret(uri->pin_file, PIN_BYTES_MAX, pin, why));
    while (pin->len > 0 && (pin->data[pin->len - 1] == '\n' || pin->data[pin->len - 1] == '\r'))
        pin->len--;
    return HF_OK;
}

enum hf_err hf_pkcs11_session_log_in(struct hf_pkcs11_session *session,
                                     const struct hf_pkcs11_uri *uri, struct hf_why *why)
{
    struct hf_buf pin = {0};

    if (session->is_logged_in)
        return HF_OK;
    if (session->module->had_wrong_pin)
        return hf_fail(
            why, HF_E_KEY,
            "the PIN in %s is wrong, and is not tried again: the token counts wrong ones; "
            "correct it and start the program again",
            uri->pin_file);
    enum hf_err err = read_pin(uri, &pin, why);
    if (err == HF_OK) {
        CK_RV rv = session->functions->C_Login(session->handle, CKU_USER, pin.data,
                                               (CK_ULONG)pin.len);
        session->is_logged_in = rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN;
        session->module->had_wrong_pin = rv == CKR_PIN_INCORRECT;
        if (!session->is_logged_in)
            err = hf_pkcs11_fail(rv, "log in", why);
    }
    if (pin.data != NULL)
        sodium_memzero(pin.data, pin.cap);
    hf_buf_free(&pin);
    return err;
}

void hf_pkcs11_session_close(struct hf_pkcs11_session *session)
{
    if (session->module == NULL)
        return;
    (void)session->functions->C_CloseSession(session->handle);
    unuse(session->module);
    *session = (struct hf_pkcs11_session){0};
}

enum hf_err hf_pkcs11_session_find(const struct hf_pkcs11_session *session,
                                   const struct hf_pkcs11_uri *uri, CK_OBJECT_CLASS object_class,
                                   CK_OBJECT_HANDLE *out, struct hf_why *why)
{
    CK_FUNCTION_LIST *functions = session->functions;
    CK_ATTRIBUTE wanted[3] = {{CKA_CLASS, &object_class, sizeof object_class}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n_wanted = 1, n_found = 0;
    struct hf_pkcs11_uri copy = *uri; /* attributes are not const */

    if (copy.object[0] != '\0')
        wanted[n_wanted++] = (CK_ATTRIBUTE){CKA_LABEL, copy.object, strlen(copy.object)};
    if (copy.id_len > 0)
        wanted[n_wanted++] = (CK_ATTRIBUTE){CKA_ID, copy.id, copy.id_len};
    CK_RV rv = functions->C_FindObjectsInit(session->handle, wanted, n_wanted);
    if (rv == CKR_OK) {
        rv = functions->C_FindObjects(session->handle, found, 2, &n_found);
        (void)functions->C_FindObjectsFinal(session->handle);
    }
    if (rv != CKR_OK)
        return hf_pkcs11_fail(rv, "find a key", why);
    if (n_found > 1)
        return hf_fail(why, HF_E_KEY,
                       "the token has several keys that the URI names; add id or object to it");
    if (n_found == 0)
        return hf_fail(why, HF_E_NOT_FOUND, "the token has no %s key that the URI names",
                       object_class == CKO_PUBLIC_KEY ? "public" : "private");
    *out = found[0];
    return HF_OK;
}
