/*
 * The device CAs of the signer: STATE/device-ca/NAME.key and NAME.pem, a private key (PKCS#8, mode
 * 0600) and its certificate. The subject says whose it is: O is the account, CN the name. A
 * certificate for a device of one account is never signed by the CA of another.
 */
#ifndef HF_SIGNER_DEVICE_CA_H
#define HF_SIGNER_DEVICE_CA_H

#include "common/base/names.h"
#include "server/signer/limits.h"

#include <holdfast/bytes.h>

#include <openssl/x509.h>

struct hf_device_ca {
    char name[HF_ACCOUNT_NAME_MAX + 1];
    char account[HF_ACCOUNT_NAME_MAX + 1];
    X509 *certificate;
    EVP_PKEY *key; /* NULL when only the certificate was asked for */
};

/**
 * Make a CA, in memory: an ECDSA P-256 key, and a certificate that signs itself, of `days` or until
 * 2049-12-31, whichever is first. HF_E_STATE when the folder has one of that name, HF_E_LIMIT when
 * it has HF_DEVICE_CAS_MAX, HF_E_ARGUMENT. hf_device_ca_free `out`.
 */
HF_MUST_USE enum hf_err hf_device_ca_make(const char *state_dir, const char *name,
                                          const char *account, int64_t days, int64_t now_s,
                                          struct hf_device_ca *out, struct hf_why *why);
/** Write it into the folder. HF_E_STORAGE; then nothing of it is left there. */
HF_MUST_USE enum hf_err hf_device_ca_save(const char *state_dir, const struct hf_device_ca *ca,
                                          struct hf_why *why);

/** Read the CA of that name, with its key if `has_key`. HF_E_NOT_FOUND, HF_E_KEY for a key that
 *  others may read or that is not the certificate's, HF_E_FORMAT. hf_device_ca_free `out`. */
HF_MUST_USE enum hf_err hf_device_ca_read(const char *state_dir, const char *name, bool has_key,
                                          struct hf_device_ca *out, struct hf_why *why);
void hf_device_ca_free(struct hf_device_ca *ca);

/** Names of all CAs in the state folder, at most HF_DEVICE_CAS_MAX. `names` is owned by the
 *  caller. */
HF_MUST_USE enum hf_err hf_device_ca_list(const char *state_dir,
                                          char (**names)[HF_ACCOUNT_NAME_MAX + 1], size_t *n,
                                          struct hf_why *why);

/**
 * Issue a certificate for `key`: version 3, a random serial of 128 bits, O the account of the CA,
 * CN `id` (as a URI urn:holdfast:device:ID among the alternative names where it is longer than a
 * common name may be), digitalSignature, clientAuth, no CA, until 2049-12-31T23:59:59Z or the end
 * of the CA. What a certificate request says about its subject is not looked at. `out` is to be
 * freed with X509_free. HF_E_EXPIRED when the CA has ended or not begun, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_device_ca_issue(const struct hf_device_ca *ca, EVP_PKEY *key,
                                           const char *id, int64_t now_s, X509 **out,
                                           struct hf_why *why);

/** Does this certificate, issued as above, name the device `id`? */
bool hf_device_ca_is_of(X509 *certificate, const char *id);

#endif
