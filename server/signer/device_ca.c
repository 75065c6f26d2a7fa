#include "server/signer/device_ca.h"

#include "common/base/timetext.h"
#include "common/os/file_util.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERIAL_BYTES 16

static enum hf_err fail_openssl(struct hf_why *why, const char *what)
{
    char text[128];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return hf_fail(why, HF_E_MEMORY, "%s failed in OpenSSL: %s", what, text);
}

static enum hf_err ca_path(const char *state_dir, const char *name, const char *end,
                           struct hf_path *out, struct hf_why *why)
{
    if (!hf_account_name_is_valid(name))
        return hf_fail(
            why, HF_E_ARGUMENT,
            "the name of a device CA: expected 1 to %d of a-z, 0-9 and -, found \"%.80s\"",
            HF_ACCOUNT_NAME_MAX, name);
    return hf_path_set(out, why, "%s/device-ca/%s%s", state_dir, name, end);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static bool set_time(ASN1_TIME *time, int64_t at_s)
{
    return ASN1_TIME_adj(time, (time_t)at_s, 0, 0) != NULL;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

/* The last second of a certificate that `issuer_end` (NULL: none) bounds. */
static int64_t end_of(int64_t wanted_s, const ASN1_TIME *issuer_end)
{
    int64_t end_s = wanted_s < HF_CERTIFICATE_END_S ? wanted_s : HF_CERTIFICATE_END_S;
    struct tm utc;
    int64_t issuer_s = 0;
    if (issuer_end != NULL && ASN1_TIME_to_tm(issuer_end, &utc) == 1 &&
        hf_time_from_civil(utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                           utc.tm_sec, &issuer_s) &&
        issuer_s < end_s)
        end_s = issuer_s;
    return end_s;
}

/* What every certificate has: a random serial, which is positive and of 16 bytes, names, dates and
 * key. NULL without memory. `issuer` NULL: it signs itself. */
static X509 *new_certificate(X509 *issuer, EVP_PKEY *key, const char *account, const char *name,
                             int64_t begin_s, int64_t end_s)
{
    unsigned char serial[SERIAL_BYTES];
    randombytes_buf(serial, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    X509 *made = X509_new();
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    X509_NAME *subject = made != NULL ? X509_get_subject_name(made) : NULL;
    bool is_made = number != NULL && subject != NULL &&
                   X509_set_version(made, X509_VERSION_3) == 1 &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made)) != NULL &&
                   X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8,
                                              (const unsigned char *)account, -1, -1, 0) == 1 &&
                   X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                              (const unsigned char *)name, -1, -1, 0) == 1 &&
                   X509_set_issuer_name(made, issuer != NULL ? X509_get_subject_name(issuer)
                                                             : subject) == 1 &&
                   set_time(X509_getm_notBefore(made), begin_s) &&
                   set_time(X509_getm_notAfter(made), end_s) && X509_set_pubkey(made, key) == 1;
    BN_free(number);
    if (is_made)
        return made;
    X509_free(made);
    return NULL;
}

enum hf_err hf_device_ca_issue(const struct hf_device_ca *ca, EVP_PKEY *key, const char *id,
                               int64_t now_s, X509 **out, struct hf_why *why)
{
    char uri[256];
    time_t now = (time_t)now_s;
    bool is_long = strlen(id) > ub_common_name;
    if (X509_cmp_time(X509_get0_notBefore(ca->certificate), &now) >= 0 ||
        X509_cmp_time(X509_get0_notAfter(ca->certificate), &now) <= 0)
        return hf_fail(why, HF_E_EXPIRED,
                       "the device CA %s is not valid at this moment; make a new one with "
                       "holdfast-signer ca new, and check the clock",
                       ca->name);
    int64_t end_s = end_of(INT64_MAX, X509_get0_notAfter(ca->certificate));
    X509 *made = new_certificate(ca->certificate, key, ca->account, is_long ? "a device" : id,
                                 now_s - HF_ISSUE_BACKDATE_S, end_s);
    (void)snprintf(uri, sizeof uri, "URI:urn:holdfast:device:%s", id);
    if (made == NULL ||
        !add_extension(made, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(made, ca->certificate, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(made, ca->certificate, NID_ext_key_usage, "clientAuth") ||
        !add_extension(made, ca->certificate, NID_subject_key_identifier, "hash") ||
        !add_extension(made, ca->certificate, NID_authority_key_identifier, "keyid:always") ||
        (is_long && !add_extension(made, ca->certificate, NID_subject_alt_name, uri)) ||
        X509_sign(made, ca->key, EVP_sha256()) == 0) {
        X509_free(made);
        return fail_openssl(why, "issuing a certificate");
    }
    *out = made;
    return HF_OK;
}

/* The attribute `nid` of the subject; false if it is missing, has a NUL in it, or does not fit. */
static bool subject_text(X509 *certificate, int nid, char *out, size_t size)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int len = X509_NAME_get_text_by_NID(subject, nid, NULL, 0);
    return len > 0 && (size_t)len < size &&
           X509_NAME_get_text_by_NID(subject, nid, out, (int)size) == len &&
           strlen(out) == (size_t)len;
}

bool hf_device_ca_is_of(X509 *certificate, const char *id)
{
    static const char prefix[] = "urn:holdfast:device:";
    char name[ub_common_name + 1];
    if (strlen(id) <= ub_common_name)
        return subject_text(certificate, NID_commonName, name, sizeof name) &&
               strcmp(name, id) == 0;
    bool is_found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !is_found; i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);
        if (one->type != GEN_URI)
            continue;
        const unsigned char *uri = ASN1_STRING_get0_data(one->d.uniformResourceIdentifier);
        size_t uri_len = (size_t)ASN1_STRING_length(one->d.uniformResourceIdentifier);
        is_found = uri_len == sizeof prefix - 1 + strlen(id) &&
                   memcmp(uri, prefix, sizeof prefix - 1) == 0 &&
                   memcmp(uri + sizeof prefix - 1, id, strlen(id)) == 0;
    }
    GENERAL_NAMES_free(names);
    return is_found;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A new file with the key or, without one, the certificate. */
static enum hf_err create_pem(const char *path, mode_t mode, EVP_PKEY *key, X509 *certificate,
                              struct hf_why *why)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    enum hf_err err = HF_OK;
    if (bio == NULL ||
        (key != NULL ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                     : PEM_write_bio_X509(bio, certificate)) != 1)
        err = fail_openssl(why, "writing PEM");
    if (err == HF_OK) {
        long len = BIO_get_mem_data(bio, &data);
        err = hf_file_create(path, mode, (struct hf_bytes){(const uint8_t *)data, (size_t)len},
                             why);
        sodium_memzero(data, (size_t)len);
    }
    BIO_free(bio);
    return err;
}

static enum hf_err check_is_new(const char *state_dir, const char *name, struct hf_why *why)
{
    struct hf_path key, certificate;
    char(*names)[HF_ACCOUNT_NAME_MAX + 1] = NULL;
    size_t n = 0;
    HF_TRY(hf_device_ca_list(state_dir, &names, &n, why));
    free(names);
    if (n >= HF_DEVICE_CAS_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "there are %u device CAs in %s, the most that the service is told of; move "
                       "the files of one that no account issues from to another folder",
                       HF_DEVICE_CAS_MAX, state_dir);
    HF_TRY(ca_path(state_dir, name, ".key", &key, why));
    HF_TRY(ca_path(state_dir, name, ".pem", &certificate, why));
    if (!hf_file_exists(key.text) && !hf_file_exists(certificate.text))
        return HF_OK;
    return hf_fail(why, HF_E_STATE,
                   "there is a device CA %s already, and keys are never overwritten; choose "
                   "another name",
                   name);
}

enum hf_err hf_device_ca_make(const char *state_dir, const char *name, const char *account,
                              int64_t days, int64_t now_s, struct hf_device_ca *out,
                              struct hf_why *why)
{
    struct hf_device_ca ca = {0};
    if (!hf_account_name_is_valid(account))
        return hf_fail(
            why, HF_E_ARGUMENT,
            "the name of an account: expected 1 to %d of a-z, 0-9 and -, found \"%.80s\"",
            HF_ACCOUNT_NAME_MAX, account);
    HF_TRY(check_is_new(state_dir, name, why));
    (void)snprintf(ca.name, sizeof ca.name, "%s", name);
    (void)snprintf(ca.account, sizeof ca.account, "%s", account);
    ca.key = EVP_EC_gen("P-256");
    if (ca.key != NULL)
        ca.certificate = new_certificate(NULL, ca.key, account, name, now_s - HF_ISSUE_BACKDATE_S,
                                         end_of(now_s + days * HF_DAY_S, NULL));
    X509 *made = ca.certificate;
    if (made == NULL ||
        !add_extension(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(made, made, NID_subject_key_identifier, "hash") ||
        X509_sign(made, ca.key, EVP_sha256()) == 0) {
        hf_device_ca_free(&ca);
        return fail_openssl(why, "making a device CA");
    }
    *out = ca;
    return HF_OK;
}

enum hf_err hf_device_ca_save(const char *state_dir, const struct hf_device_ca *ca,
                              struct hf_why *why)
{
    struct hf_path key_path, certificate_path, folder;
    bool was_made = false;
    HF_TRY(ca_path(state_dir, ca->name, ".key", &key_path, why));
    HF_TRY(ca_path(state_dir, ca->name, ".pem", &certificate_path, why));
    HF_TRY(hf_path_set(&folder, why, "%s/device-ca", state_dir));
    HF_TRY(hf_file_make_dir(folder.text, &was_made, why));
    HF_TRY(create_pem(key_path.text, 0600, ca->key, NULL, why));
    enum hf_err err = create_pem(certificate_path.text, 0644, NULL, ca->certificate, why);
    if (err != HF_OK)
        (void)unlink(key_path.text);
    return err;
}

static BIO *open_pem(const char *path, bool is_secret, struct hf_buf *text, enum hf_err *err,
                     struct hf_why *why)
{
    *err = is_secret ? hf_file_read_secret(path, HF_PEM_FILE_MAX, text, why)
                     : hf_file_read(path, HF_PEM_FILE_MAX, text, why);
    return *err == HF_OK ? BIO_new_mem_buf(text->data, (int)text->len) : NULL;
}

enum hf_err hf_device_ca_read(const char *state_dir, const char *name, bool has_key,
                              struct hf_device_ca *out, struct hf_why *why)
{
    struct hf_device_ca ca = {0};
    struct hf_path key_path, path;
    struct hf_buf text = {0}, secret = {0};
    enum hf_err err = HF_OK;
    HF_TRY(ca_path(state_dir, name, ".pem", &path, why));
    HF_TRY(ca_path(state_dir, name, ".key", &key_path, why));
    (void)snprintf(ca.name, sizeof ca.name, "%s", name);
    BIO *bio = open_pem(path.text, false, &text, &err, why);
    if (bio != NULL)
        ca.certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (err == HF_OK &&
        (ca.certificate == NULL ||
         !subject_text(ca.certificate, NID_organizationName, ca.account, sizeof ca.account) ||
         !hf_account_name_is_valid(ca.account)))
        err = hf_fail(why, HF_E_FORMAT,
                      "%s: expected the certificate of a device CA in PEM with its account as "
                      "organisation, found something else",
                      path.text);
    if (err == HF_OK && has_key) {
        bio = open_pem(key_path.text, true, &secret, &err, why);
        if (bio != NULL)
            ca.key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        if (err == HF_OK && (ca.key == NULL || X509_check_private_key(ca.certificate, ca.key) != 1))
            err = hf_fail(why, HF_E_KEY, "%s is not the private key of %s", key_path.text,
                          path.text);
    }
    ERR_clear_error();
    if (secret.data != NULL)
        sodium_memzero(secret.data, secret.len);
    hf_buf_free(&secret);
    hf_buf_free(&text);
    if (err == HF_OK)
        *out = ca;
    else
        hf_device_ca_free(&ca);
    return err;
}

void hf_device_ca_free(struct hf_device_ca *ca)
{
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    *ca = (struct hf_device_ca){0};
}

enum hf_err hf_device_ca_list(const char *state_dir, char (**names)[HF_ACCOUNT_NAME_MAX + 1],
                              size_t *n, struct hf_why *why)
{
    struct hf_path folder;
    size_t found = 0;
    HF_TRY(hf_path_set(&folder, why, "%s/device-ca", state_dir));
    char(*list)[HF_ACCOUNT_NAME_MAX + 1] = calloc(HF_DEVICE_CAS_MAX, sizeof *list);
    if (list == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the names of device CAs");
    DIR *dir = opendir(folder.text);
    int failed = dir == NULL ? errno : 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        char name[HF_ACCOUNT_NAME_MAX + 1];
        if (len < 5 || len - 4 > HF_ACCOUNT_NAME_MAX ||
            strcmp(entry->d_name + len - 4, ".pem") != 0)
            continue;
        (void)snprintf(name, sizeof name, "%.*s", (int)(len - 4), entry->d_name);
        if (hf_account_name_is_valid(name) && found < HF_DEVICE_CAS_MAX)
            memcpy(list[found++], name, sizeof name);
    }
    if (dir != NULL)
        (void)closedir(dir);
    if (failed != 0 && failed != ENOENT) {
        free(list);
        return hf_file_fail(why, "read", folder.text, failed);
    }
    qsort(list, found, sizeof *list, (int (*)(const void *, const void *))(void (*)(void))strcmp);
    *names = list;
    *n = found;
    return HF_OK;
}
