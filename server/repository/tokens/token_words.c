/* What a token answers, for people. */
#include "server/repository/tokens/token_session.h"

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

static const char *find_words(CK_RV rv)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (answers[i].rv == rv)
            return answers[i].words;
    }
    return p11_kit_strerror(rv);
}

enum hf_err hf_token_fail(struct hf_why *why, const struct hf_token *token, const char *deed,
                          CK_RV rv)
{
    return hf_fail(why, rv == CKR_HOST_MEMORY ? HF_E_MEMORY : HF_E_KEY,
                   "token %s, asked to %s: %s (PKCS#11 0x%lx)", token->name, deed, find_words(rv),
                   (unsigned long)rv);
}

void hf_token_print(char *out, size_t size, struct hf_bytes text)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? (char)text.data[i] : '?';
    out[n] = '\0';
}
