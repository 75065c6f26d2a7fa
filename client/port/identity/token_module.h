/* PKCS#11 modules: loaded once in a process, however many keys use them, and a session at one
 * token. */
#ifndef HF_CLIENT_PORT_IDENTITY_TOKEN_MODULE_H
#define HF_CLIENT_PORT_IDENTITY_TOKEN_MODULE_H

#include "client/port/identity/token_uri.h"

#include <p11-kit/pkcs11.h>

struct hf_pkcs11_session {
    struct hf_pkcs11_module *module; /* NULL: not open */
    CK_FUNCTION_LIST *functions;
    CK_SESSION_HANDLE handle;
    bool is_logged_in;
};

/** Load the module of `uri`, and open a session at its token. HF_E_NOT_FOUND without exactly one
 *  such token, HF_E_KEY, HF_E_LIMIT. */
HF_MUST_USE enum hf_err hf_pkcs11_session_open(const struct hf_pkcs11_uri *uri,
                                               struct hf_pkcs11_session *out, struct hf_why *why);
/** With the PIN in the URI's file, if the token wants one and no other session is logged in.
 *  HF_E_KEY. */
HF_MUST_USE enum hf_err hf_pkcs11_session_log_in(struct hf_pkcs11_session *session,
                                                 const struct hf_pkcs11_uri *uri,
                                                 struct hf_why *why);
void hf_pkcs11_session_close(struct hf_pkcs11_session *session);

/** The one object of that class that `uri` names. HF_E_NOT_FOUND, HF_E_KEY for several. */
HF_MUST_USE enum hf_err hf_pkcs11_session_find(const struct hf_pkcs11_session *session,
                                               const struct hf_pkcs11_uri *uri,
                                               CK_OBJECT_CLASS object_class, CK_OBJECT_HANDLE *out,
                                               struct hf_why *why);

/** HF_E_KEY with what the token answered when it was asked to do `action`. */
enum hf_err hf_pkcs11_fail(CK_RV rv, const char *action, struct hf_why *why);

#endif
