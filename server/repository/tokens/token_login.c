/* PINs. A wrong one costs a try, and after a few of them the token is locked for good. */
#include "server/repository/tokens/token_session.h"

#include <stdio.h>

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

static enum hf_err refuse_pin(struct hf_token *token, const char *pin_file, CK_RV rv,
                              struct hf_why *why)
{
    const char *from = pin_file != NULL ? pin_file : "the terminal";
    CK_FLAGS flags = read_flags(token);
    if (rv != CKR_PIN_INCORRECT)
        return hf_token_fail(why, token, "log in", rv);
    return hf_fail(why, HF_E_KEY, "token %s: the PIN from %.300s is wrong%s", token->name, from,
                   (flags & CKF_USER_PIN_LOCKED) != 0      ? ", and it is locked now"
                   : (flags & CKF_USER_PIN_FINAL_TRY) != 0 ? "; one try is left"
                   : (flags & CKF_USER_PIN_COUNT_LOW) != 0 ? "; few tries are left"
                                                           : "");
}

static enum hf_err log_in(struct hf_token *token, CK_USER_TYPE user,
                          const struct hf_passphrase *pin, CK_RV *rv_out)
{
    CK_RV rv = token->module->C_Login(token->session, user, (CK_UTF8CHAR *)pin->text, pin->len);
    *rv_out = rv;
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? HF_OK : HF_E_KEY;
}

/* ---- a device that asks for the PIN itself ------------------------------------------------------ */

static enum hf_err log_in_at_device(struct hf_token *token, CK_USER_TYPE user, struct hf_why *why)
{
    const struct hf_passphrase none = {0};
    CK_RV rv;
    fprintf(stderr, "Token %s asks for its PIN itself: look at the device\n", token->name);
    if (log_in(token, user, &none, &rv) != HF_OK)
        return hf_token_fail(why, token, "log in", rv);
    return HF_OK;
}

/* ---- a PIN of ours ------------------------------------------------------------------------------ */

/* A timer would try a wrong file every day until the token locks: after one wrong PIN, whosever it was, the
 * next is for a person to type. */
static enum hf_err check_tries(const struct hf_token *token, CK_FLAGS flags, const char *pin_file,
                               struct hf_why *why)
{
    const char *left = (flags & CKF_USER_PIN_FINAL_TRY) != 0
                           ? "has one try left before it locks"
                           : "was given a wrong PIN and none that was right since";
    if ((flags & (CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_COUNT_LOW)) != 0 && pin_file != NULL)
        return hf_fail(why, HF_E_KEY,
                       "token %s %s; the PIN from %.300s was not spent on it: correct that file if "
                       "it is wrong, and log in by hand once (the same with --key and its URI "
                       "without pin-source, which asks)",
                       token->name, left, pin_file);
    if ((flags & CKF_USER_PIN_FINAL_TRY) != 0)
        fprintf(stderr, "Token %s has one try left: one more wrong PIN locks it\n", token->name);
    else if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
        fprintf(stderr, "Token %s was given a wrong PIN; few tries are left\n", token->name);
    return HF_OK;
}

static enum hf_err log_in_with_pin(struct hf_token *token, const char *pin_file, CK_FLAGS flags,
                                   struct hf_why *why)
{
    char what[sizeof "token " + HF_TOKEN_NAME_MAX];
    struct hf_passphrase pin = {0};
    CK_RV rv;
    HF_TRY(check_tries(token, flags, pin_file, why));
    (void)snprintf(what, sizeof what, "token %s", token->name);
    HF_TRY(hf_passphrase_read_pin(pin_file, what, &pin, why));
    if (log_in(token, CKU_USER, &pin, &rv) != HF_OK) {
        hf_passphrase_free(&pin);
        return refuse_pin(token, pin_file, rv, why);
    }
    token->pin = pin;
    return HF_OK;
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
    CK_RV rv;
    if (token->pin.text == NULL)
        return log_in_at_device(token, CKU_CONTEXT_SPECIFIC, why);
    if (log_in(token, CKU_CONTEXT_SPECIFIC, &token->pin, &rv) != HF_OK)
        return hf_token_fail(why, token, "log in for a signature", rv);
    return HF_OK;
}
