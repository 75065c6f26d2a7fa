/*
 * A PKCS#11 module with one token, "fake", whose PIN is 123456, and on it one Ed25519 key pair,
 * "key". It does what no honest token does: HF_FAKE_TOKEN names the faults, separated by blanks,
 * and is read at each call, so that a token can break while it is in use. What costs something is
 * noted, a word a line, in the file HF_FAKE_TOKEN_LOG.
 */
#include <p11-kit/pkcs11.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOT 7
#define SESSION 1
#define TWIN 2 /* the id of another key of that label, with the fault `twin` */
#define N_PAIRS 3
#define GENERATED 2
#define MORE_THAN_ANY 0x7fffffffUL

#ifndef CKK_EC_EDWARDS
#define CKK_EC_EDWARDS 0x40UL
#endif

struct pair {
    bool is_there;
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    uint8_t label[64], id[32];
    size_t label_len, id_len;
};

static struct pair pairs[N_PAIRS];
static bool is_logged_in, is_logged_in_again;
static size_t signing; /* which pair */
static CK_ATTRIBUTE sought[8];
static CK_ULONG n_sought;
static CK_OBJECT_HANDLE next_found;

static bool has(const char *fault)
{
    const char *faults = getenv("HF_FAKE_TOKEN");
    const char *at = faults == NULL ? NULL : strstr(faults, fault);
    size_t len = strlen(fault);
    return at != NULL && (at == faults || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' ');
}

static void note(const char *line)
{
    const char *path = getenv("HF_FAKE_TOKEN_LOG");
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        return;
    close(fd);
}

/* ---- module and token ------------------------------------------------------------------------ */

static void make_pair(struct pair *pair, uint8_t seed_byte, const char *label)
{
    uint8_t seed[crypto_sign_SEEDBYTES] = {seed_byte};
    *pair = (struct pair){.is_there = true, .id = {seed_byte}, .id_len = 1};
    crypto_sign_seed_keypair(pair->public_key, pair->secret_key, seed);
    pair->label_len = strlen(label);
    memcpy(pair->label, label, pair->label_len);
}

static CK_RV initialize(void *args)
{
    (void)args;
    if (has("no-start") || sodium_init() < 0)
        return CKR_DEVICE_ERROR;
    is_logged_in = is_logged_in_again = false;
    memset(pairs, 0, sizeof pairs);
    struct pair *key = &pairs[has("twin-first")], *twin = &pairs[!has("twin-first")];
    make_pair(key, 1, has("hostile-label") ? "\x1b[31mkey\n" : "key");
    if (has("twin"))
        make_pair(twin, TWIN, "key");
    if (has("twin") && has("same-id"))
        twin->id[0] = key->id[0];
    return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
    (void)reserved;
    return CKR_OK;
}

static void pad(unsigned char *field, size_t size, const char *text)
{
    memset(field, ' ', size);
    memcpy(field, text, strlen(text));
}

static CK_RV get_info(CK_INFO *info)
{
    *info = (CK_INFO){.cryptokiVersion = {2, 40}};
    pad(info->manufacturerID, sizeof info->manufacturerID, "Holdfast");
    pad(info->libraryDescription, sizeof info->libraryDescription, "fake");
    return CKR_OK;
}

static CK_RV get_slot_list(CK_BBOOL is_present, CK_SLOT_ID *slots, CK_ULONG *n)
{
    (void)is_present;
    if (has("no-slots"))
        return CKR_GENERAL_ERROR;
    CK_ULONG n_slots = has("two-slots") ? 2 : 1;
    for (CK_ULONG i = 0; slots != NULL && i < *n && i < n_slots; i++)
        slots[i] = SLOT + i;
    *n = has("many-slots") ? MORE_THAN_ANY : n_slots;
    return CKR_OK;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    *info = (CK_SLOT_INFO){.flags = CKF_TOKEN_PRESENT};
    pad(info->slotDescription, sizeof info->slotDescription, "fake");
    pad(info->manufacturerID, sizeof info->manufacturerID, "Holdfast");
    return CKR_OK;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    (void)slot;
    *info = (CK_TOKEN_INFO){.flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED};
    pad(info->label, sizeof info->label, has("hostile-label") ? "fa\x1b[2Jke" : "fake");
    pad(info->serialNumber, sizeof info->serialNumber, "42");
    info->flags |= has("pin-low") ? CKF_USER_PIN_COUNT_LOW : 0;
    info->flags |= has("pin-final") ? CKF_USER_PIN_FINAL_TRY : 0;
    info->flags |= has("pin-locked") ? CKF_USER_PIN_LOCKED : 0;
    info->flags |= has("keypad") ? CKF_PROTECTED_AUTHENTICATION_PATH : 0;
    return CKR_OK;
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot;
    *info = (CK_MECHANISM_INFO){0};
    return type == 0x1055UL && !has("no-ed25519") ? CKR_OK : CKR_MECHANISM_INVALID;
}

/* ---- session --------------------------------------------------------------------------------- */

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session)
{
    (void)slot, (void)flags, (void)application, (void)notify;
    *session = SESSION;
    return has("no-session") ? CKR_SESSION_COUNT : CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_RV log_in(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    (void)session;
    note(user == CKU_USER ? "login\n" : "login-again\n");
    if (has("pin-expired"))
        return CKR_PIN_EXPIRED;
    if (has("keypad") ? pin != NULL : len != 6 || memcmp(pin, "123456", 6) != 0)
        return CKR_PIN_INCORRECT;
    *(user == CKU_USER ? &is_logged_in : &is_logged_in_again) = true;
    return CKR_OK;
}

static CK_RV log_out(CK_SESSION_HANDLE session)
{
    (void)session;
    is_logged_in = false;
    return CKR_OK;
}

/* ---- objects: handle 2 * pair + 1 is the public half, + 2 the private one -------------------- */

static bool is_private(CK_OBJECT_HANDLE object)
{
    return object % 2 == 0;
}

static bool is_shown(CK_OBJECT_HANDLE object)
{
    const struct pair *pair = &pairs[(object - 1) / 2];
    if (!pair->is_there || is_private(object))
        return pair->is_there && is_logged_in;
    return !has("no-public") && !(has("lone-twin") && pair->id[0] == TWIN) &&
           (is_logged_in || !has("public-behind-pin"));
}

static CK_RV give(CK_ATTRIBUTE *out, const void *value, size_t len)
{
    if (out->pValue != NULL && out->ulValueLen < len) {
        out->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    if (out->pValue != NULL)
        memcpy(out->pValue, value, len);
    out->ulValueLen = len;
    return CKR_OK;
}

static CK_RV give_point(CK_ATTRIBUTE *out, const struct pair *pair, bool is_from_private)
{
    uint8_t der[2 + crypto_sign_PUBLICKEYBYTES] = {0x04, crypto_sign_PUBLICKEYBYTES};
    memcpy(der + 2, pair->public_key, crypto_sign_PUBLICKEYBYTES);
    if (has("odd-point"))
        der[1]++;
    if (has("bare-point"))
        return give(out, pair->public_key, crypto_sign_PUBLICKEYBYTES);
    if (has("endless-point")) {
        out->ulValueLen = MORE_THAN_ANY;
        return CKR_OK;
    }
    if (is_from_private && !has("no-public"))
        return CKR_ATTRIBUTE_TYPE_INVALID;
    return give(out, der, sizeof der);
}

static CK_RV give_one(CK_OBJECT_HANDLE object, CK_ATTRIBUTE *out)
{
    const struct pair *pair = &pairs[(object - 1) / 2];
    CK_OBJECT_CLASS class = is_private(object) ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = has("rsa") ? CKK_RSA : CKK_EC_EDWARDS;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    switch (out->type) {
    case CKA_CLASS:
        return give(out, &class, sizeof class);
    case CKA_KEY_TYPE:
        return give(out, &type, sizeof type);
    case CKA_LABEL:
        if (has("endless-label")) {
            out->ulValueLen = MORE_THAN_ANY;
            return CKR_OK;
        }
        return give(out, pair->label, pair->label_len);
    case CKA_ID:
        return give(out, pair->id, pair->id_len);
    case CKA_EC_PARAMS:
        return give(out, "\x06\x03\x2b\x65\x70", 5);
    case CKA_EC_POINT:
        return give_point(out, pair, is_private(object));
    case CKA_SENSITIVE:
        return give(out, &yes, sizeof yes);
    case CKA_EXTRACTABLE:
        return give(out, has("extractable") ? &yes : &no, sizeof yes);
    case CKA_ALWAYS_AUTHENTICATE:
        return give(out, has("pin-each-time") ? &yes : &no, sizeof yes);
    default:
        out->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *out, CK_ULONG n)
{
    CK_RV worst = CKR_OK;
    (void)session;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_RV rv = give_one(object, &out[i]);
        worst = rv == CKR_OK ? worst : rv;
    }
    return worst;
}

static bool fits(CK_OBJECT_HANDLE object)
{
    for (CK_ULONG i = 0; i < n_sought; i++) {
        uint8_t value[64];
        CK_ATTRIBUTE has_it = {sought[i].type, value, sizeof value};
        if (give_one(object, &has_it) != CKR_OK || has_it.ulValueLen != sought[i].ulValueLen ||
            memcmp(value, sought[i].pValue, has_it.ulValueLen) != 0)
            return false;
    }
    return true;
}

/* The template is borrowed until C_FindObjectsFinal: our caller keeps it. */
static CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG n)
{
    (void)session;
    n_sought = has("ignores-template") ? 1 : n; /* looks at the class only */
    memcpy(sought, wanted, n_sought * sizeof *sought);
    next_found = 1;
    return CKR_OK;
}

static CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *out, CK_ULONG max,
                          CK_ULONG *n)
{
    (void)session;
    *n = 0;
    if (has("endless-keys")) {
        for (; *n < max; (*n)++)
            out[*n] = 1;
        return CKR_OK;
    }
    for (; next_found <= 2 * N_PAIRS && *n < max; next_found++) {
        if (is_shown(next_found) && fits(next_found))
            out[(*n)++] = next_found;
    }
    return CKR_OK;
}

static CK_RV find_objects_final(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

/* ---- signatures ------------------------------------------------------------------------------ */

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    (void)session;
    if (has("session-gone"))
        return CKR_SESSION_HANDLE_INVALID;
    signing = (key - 1) / 2;
    is_logged_in_again = false;
    return mechanism->mechanism == 0x1057UL ? CKR_OK : CKR_MECHANISM_INVALID;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE *message, CK_ULONG len, CK_BYTE *signature,
                  CK_ULONG *signature_len)
{
    (void)session;
    note("sign\n");
    if (has("removed"))
        return CKR_DEVICE_REMOVED;
    if (has("small") && len > 32)
        return CKR_DATA_LEN_RANGE;
    if (!is_logged_in || (has("pin-each-time") && !is_logged_in_again))
        return CKR_USER_NOT_LOGGED_IN;
    crypto_sign_detached(signature, NULL, message, len, pairs[signing].secret_key);
    signature[0] ^= has("bad-signature");
    *signature_len = has("long-signature") ? MORE_THAN_ANY : crypto_sign_BYTES;
    return CKR_OK;
}

/* ---- new keys -------------------------------------------------------------------------------- */

static void take(struct pair *pair, const CK_ATTRIBUTE *attributes, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++) {
        const CK_ATTRIBUTE *a = &attributes[i];
        if (a->type == CKA_LABEL && a->ulValueLen <= sizeof pair->label)
            memcpy(pair->label, a->pValue, pair->label_len = a->ulValueLen);
        if (a->type == CKA_ID && a->ulValueLen <= sizeof pair->id)
            memcpy(pair->id, a->pValue, pair->id_len = a->ulValueLen);
    }
}

static CK_RV generate_key_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                               CK_ATTRIBUTE *public_half, CK_ULONG n_public,
                               CK_ATTRIBUTE *private_half, CK_ULONG n_private,
                               CK_OBJECT_HANDLE *public_out, CK_OBJECT_HANDLE *private_out)
{
    (void)session, (void)mechanism, (void)private_half, (void)n_private;
    bool has_oid = false;
    for (CK_ULONG i = 0; i < n_public; i++)
        has_oid = has_oid ||
                  (public_half[i].type == CKA_EC_PARAMS && public_half[i].ulValueLen == 5);
    note(has_oid ? "generate-oid\n" : "generate-name\n");
    if (has("oid-only") && !has_oid)
        return CKR_CURVE_NOT_SUPPORTED;
    if (has("full"))
        return CKR_DEVICE_MEMORY;
    make_pair(&pairs[GENERATED], 3, "");
    take(&pairs[GENERATED], public_half, n_public);
    *public_out = 2 * GENERATED + 1;
    *private_out = 2 * GENERATED + 2;
    return CKR_OK;
}

static CK_RV destroy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    (void)session;
    note(is_private(object) ? "destroy-private\n" : "destroy-public\n");
    return CKR_OK;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    static CK_FUNCTION_LIST functions = {
        .version = {2, 40},
        .C_Initialize = initialize,
        .C_Finalize = finalize,
        .C_GetInfo = get_info,
        .C_GetFunctionList = C_GetFunctionList,
        .C_GetSlotList = get_slot_list,
        .C_GetSlotInfo = get_slot_info,
        .C_GetTokenInfo = get_token_info,
        .C_GetMechanismInfo = get_mechanism_info,
        .C_OpenSession = open_session,
        .C_CloseSession = close_session,
        .C_Login = log_in,
        .C_Logout = log_out,
        .C_GetAttributeValue = get_attribute_value,
        .C_FindObjectsInit = find_objects_init,
        .C_FindObjects = find_objects,
        .C_FindObjectsFinal = find_objects_final,
        .C_SignInit = sign_init,
        .C_Sign = sign,
        .C_GenerateKeyPair = generate_key_pair,
        .C_DestroyObject = destroy_object,
    };
    *list = &functions;
    return CKR_OK;
}
