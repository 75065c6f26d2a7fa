#include "server/identity/directory.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct sni {
    char name[HF_SNI_MAX + 1];
    uint32_t account;
};

struct hf_directory {
    atomic_uint references;
    bool is_sni_optional;
    struct hf_directory *before; /* a reference, while it is being built */
    struct hf_account *accounts; /* by id */
    size_t n_accounts;
    struct sni *snis; /* by name */
    size_t n_snis;
    struct hf_ca *cas; /* by name_hash */
    size_t n_cas;
    struct hf_ca **cas_by_id; /* the same */
    size_t cap_accounts, cap_snis, cap_cas;
};

/* ---- words ----------------------------------------------------------------------------------- */

static const char *const anonymous_names[HF_ANONYMOUS_POLICIES] = {
    [HF_ANONYMOUS_NONE] = "none",
    [HF_ANONYMOUS_ENROLL] = "enroll",
    [HF_ANONYMOUS_READ] = "read",
    [HF_ANONYMOUS_REPORT] = "read+report",
};
static const char *const auto_registration_names[HF_AUTO_REGISTRATIONS] = {
    [HF_AUTO_REGISTRATION_OFF] = "off",
    [HF_AUTO_REGISTRATION_PENDING] = "pending",
    [HF_AUTO_REGISTRATION_ACTIVE] = "active",
};

const char *hf_anonymous_name(enum hf_anonymous policy)
{
    return anonymous_names[(unsigned)policy < HF_ANONYMOUS_POLICIES ? policy : HF_ANONYMOUS_NONE];
}

bool hf_anonymous_parse(const char *text, enum hf_anonymous *out)
{
    for (unsigned i = 0; i < HF_ANONYMOUS_POLICIES; i++)
        if (strcmp(anonymous_names[i], text) == 0) {
            *out = (enum hf_anonymous)i;
            return true;
        }
    return false;
}

const char *hf_auto_registration_name(enum hf_auto_registration value)
{
    return auto_registration_names[(unsigned)value < HF_AUTO_REGISTRATIONS
                                       ? value
                                       : HF_AUTO_REGISTRATION_OFF];
}

bool hf_auto_registration_parse(const char *text, enum hf_auto_registration *out)
{
    for (unsigned i = 0; i < HF_AUTO_REGISTRATIONS; i++)
        if (strcmp(auto_registration_names[i], text) == 0) {
            *out = (enum hf_auto_registration)i;
            return true;
        }
    return false;
}

bool hf_sni_normalize(const char *text, size_t len, char out[HF_SNI_MAX + 1])
{
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len > HF_SNI_MAX || text[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                        (c == '.' && text[i - 1] != '.');
        if (!is_plain)
            return false;
        out[i] = c;
    }
    out[len] = '\0';
    return true;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_id(const void *a, const void *b)
{
    return compare(((const struct hf_account *)a)->id, ((const struct hf_account *)b)->id);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct hf_account *)a)->name, ((const struct hf_account *)b)->name);
}

static int by_sni(const void *a, const void *b)
{
    return strcmp(((const struct sni *)a)->name, ((const struct sni *)b)->name);
}

static int by_ca_id(const void *a, const void *b)
{
    const struct hf_ca *const *x = a, *const *y = b;
    return compare((*x)->id, (*y)->id);
}

static int by_name_hash(const void *a, const void *b)
{
    const struct hf_ca *x = a, *y = b;
    int order = compare(x->name_hash, y->name_hash);
    return order != 0 ? order : compare(x->id, y->id);
}

/* ---- building -------------------------------------------------------------------------------- */

enum hf_err hf_directory_new(struct hf_directory *before, bool is_sni_optional,
                             struct hf_directory **out, struct hf_why *why)
{
    struct hf_directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the directory of accounts");
    atomic_init(&directory->references, 1);
    directory->is_sni_optional = is_sni_optional;
    directory->before = before != NULL ? hf_directory_ref(before) : NULL;
    *out = directory;
    return HF_OK;
}

/* Room for one more in `*items`, which hold `*cap` of `size` bytes. */
static enum hf_err make_room(void *items, size_t n, size_t *cap, size_t size, size_t max,
                             const char *what, struct hf_why *why)
{
    void **array = items;
    if (n >= max)
        return hf_fail(why, HF_E_LIMIT, "the directory has more than %zu %s, the most it may have",
                       max, what);
    if (n < *cap)
        return HF_OK;
    size_t more = *cap != 0 ? 2 * *cap : 16;
    void *larger = realloc(*array, more * size);
    if (larger == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for %zu %s", more, what);
    *array = larger;
    *cap = more;
    return HF_OK;
}

enum hf_err hf_directory_add_account(struct hf_directory *directory, uint32_t id, const char *name,
                                     enum hf_anonymous anonymous, struct hf_why *why)
{
    struct hf_account account = {.id = id, .anonymous = anonymous};
    size_t len = strlen(name);
    if (id == 0 || len == 0 || len > HF_ACCOUNT_NAME_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "account \"%.80s\": its number is 0, or its name is empty or "
                       "longer than %d bytes",
                       name, HF_ACCOUNT_NAME_MAX);
    HF_TRY(make_room(&directory->accounts, directory->n_accounts, &directory->cap_accounts,
                     sizeof account, HF_DIRECTORY_ACCOUNTS_MAX, "accounts", why));
    memcpy(account.name, name, len + 1);
    directory->accounts[directory->n_accounts++] = account;
    return HF_OK;
}

enum hf_err hf_directory_add_sni(struct hf_directory *directory, const char *sni, uint32_t account,
                                 struct hf_why *why)
{
    struct sni entry = {.account = account};
    if (!hf_sni_normalize(sni, strlen(sni), entry.name))
        return hf_fail(why, HF_E_ARGUMENT, "SNI \"%.80s\" is not a DNS name", sni);
    HF_TRY(make_room(&directory->snis, directory->n_snis, &directory->cap_snis, sizeof entry,
                     HF_DIRECTORY_SNIS_MAX, "names of accounts", why));
    directory->snis[directory->n_snis++] = entry;
    return HF_OK;
}

/* The certificate that `before` has parsed, with the same bytes; one more reference, or NULL. */
static X509 *reuse(const struct hf_directory *before, uint64_t id, struct hf_bytes der)
{
    uint8_t sha256[HF_SHA256_LEN];
    const struct hf_ca *known = before != NULL ? hf_directory_ca(before, id) : NULL;
    if (known == NULL)
        return NULL;
    hf_sha256(der, sha256);
    bool is_same = memcmp(known->cert.sha256, sha256, sizeof sha256) == 0;
    return is_same && X509_up_ref(known->x509) == 1 ? known->x509 : NULL;
}

enum hf_err hf_directory_add_ca(struct hf_directory *directory, const struct hf_ca *ca,
                                struct hf_bytes der, struct hf_why *why)
{
    struct hf_ca added = *ca;
    int is_hashed = 0;
    HF_TRY(make_room(&directory->cas, directory->n_cas, &directory->cap_cas, sizeof added,
                     HF_DIRECTORY_CAS_MAX, "CAs", why));
    added.x509 = reuse(directory->before, ca->id, der);
    enum hf_err err = HF_OK;
    if (added.x509 == NULL)
        err = hf_client_cert_read_der(der, &added.x509, why);
    if (err == HF_OK)
        err = hf_client_cert_describe(added.x509, &added.cert, why);
    if (err == HF_OK) {
        added.name_hash = X509_NAME_hash_ex(X509_get_subject_name(added.x509), NULL, NULL,
                                            &is_hashed);
        if (is_hashed != 1)
            err = hf_fail(why, HF_E_MEMORY, "no memory for the subject of a CA");
    }
    ERR_clear_error();
    if (err != HF_OK) {
        X509_free(added.x509);
        return err;
    }
    directory->cas[directory->n_cas++] = added;
    return HF_OK;
}

static void sort(void *items, size_t n, size_t size, int (*order)(const void *, const void *))
{
    if (n > 1)
        qsort(items, n, size, order);
}

/* Leaves them in the order of their numbers. */
static enum hf_err check_accounts(struct hf_account *accounts, size_t n, struct hf_why *why)
{
    sort(accounts, n, sizeof *accounts, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(accounts[i - 1].name, accounts[i].name) == 0)
            return hf_fail(why, HF_E_STATE, "account \"%s\" is there twice", accounts[i].name);
    sort(accounts, n, sizeof *accounts, by_id);
    for (size_t i = 1; i < n; i++)
        if (accounts[i - 1].id == accounts[i].id)
            return hf_fail(why, HF_E_STATE, "the number of account \"%s\" is there twice",
                           accounts[i].name);
    return HF_OK;
}

static enum hf_err check_snis(const struct hf_directory *directory, struct hf_why *why)
{
    for (size_t i = 0; i < directory->n_snis; i++) {
        const struct sni *sni = &directory->snis[i];
        if (i > 0 && strcmp(directory->snis[i - 1].name, sni->name) == 0)
            return hf_fail(why, HF_E_STATE, "SNI \"%s\" is there twice", sni->name);
        if (hf_directory_account(directory, sni->account) == NULL)
            return hf_fail(why, HF_E_STATE, "SNI \"%s\" belongs to no account", sni->name);
    }
    return HF_OK;
}

static enum hf_err check_cas(const struct hf_directory *directory, struct hf_why *why)
{
    for (size_t i = 0; i < directory->n_cas; i++) {
        if (hf_directory_account(directory, directory->cas[i].account) == NULL)
            return hf_fail(why, HF_E_STATE, "a CA belongs to no account");
        if (i > 0 && directory->cas_by_id[i - 1]->id == directory->cas_by_id[i]->id)
            return hf_fail(why, HF_E_STATE, "a CA is there twice");
    }
    return HF_OK;
}

enum hf_err hf_directory_finish(struct hf_directory *directory, struct hf_why *why)
{
    hf_directory_unref(directory->before);
    directory->before = NULL;
    directory->cas_by_id = calloc(directory->n_cas + 1, sizeof *directory->cas_by_id);
    if (directory->cas_by_id == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the directory of accounts");
    sort(directory->snis, directory->n_snis, sizeof *directory->snis, by_sni);
    sort(directory->cas, directory->n_cas, sizeof *directory->cas, by_name_hash);
    for (size_t i = 0; i < directory->n_cas; i++)
        directory->cas_by_id[i] = &directory->cas[i];
    sort(directory->cas_by_id, directory->n_cas, sizeof *directory->cas_by_id, by_ca_id);
    HF_TRY(check_accounts(directory->accounts, directory->n_accounts, why));
    HF_TRY(check_snis(directory, why));
    return check_cas(directory, why);
}

/* ---- sharing --------------------------------------------------------------------------------- */

struct hf_directory *hf_directory_ref(struct hf_directory *directory)
{
    (void)atomic_fetch_add_explicit(&directory->references, 1, memory_order_relaxed);
    return directory;
}

void hf_directory_unref(struct hf_directory *directory)
{
    if (directory == NULL ||
        atomic_fetch_sub_explicit(&directory->references, 1, memory_order_acq_rel) != 1)
        return;
    hf_directory_unref(directory->before);
    for (size_t i = 0; i < directory->n_cas; i++)
        X509_free(directory->cas[i].x509);
    free(directory->cas_by_id);
    free(directory->cas);
    free(directory->snis);
    free(directory->accounts);
    free(directory);
}

/* ---- looking up ------------------------------------------------------------------------------ */

bool hf_directory_is_sni_optional(const struct hf_directory *directory)
{
    return directory->is_sni_optional;
}

const struct hf_account *hf_directory_account(const struct hf_directory *directory, uint32_t id)
{
    const struct hf_account wanted = {.id = id};
    return directory->n_accounts == 0 ? NULL
                                      : bsearch(&wanted, directory->accounts, directory->n_accounts,
                                                sizeof *directory->accounts, by_id);
}

const struct hf_account *hf_directory_by_sni(const struct hf_directory *directory, const char *sni,
                                             size_t len)
{
    struct sni wanted = {0};
    if (directory->n_snis == 0 || !hf_sni_normalize(sni, len, wanted.name))
        return NULL;
    const struct sni *found = bsearch(&wanted, directory->snis, directory->n_snis,
                                      sizeof *directory->snis, by_sni);
    return found != NULL ? hf_directory_account(directory, found->account) : NULL;
}

const struct hf_account *hf_directory_by_host(const struct hf_directory *directory,
                                              const char *host, size_t len)
{
    const char *colon = len > 0 ? memchr(host, ':', len) : NULL;
    return hf_directory_by_sni(directory, host, colon != NULL ? (size_t)(colon - host) : len);
}

const struct hf_ca *hf_directory_ca(const struct hf_directory *directory, uint64_t id)
{
    struct hf_ca wanted = {.id = id};
    const struct hf_ca *key = &wanted;
    if (directory->n_cas == 0)
        return NULL;
    struct hf_ca *const *found = bsearch(&key, directory->cas_by_id, directory->n_cas,
                                         sizeof *directory->cas_by_id, by_ca_id);
    return found != NULL ? *found : NULL;
}

/* The first CA of that hash or a larger one. */
static size_t lower_bound(const struct hf_directory *directory, unsigned long name_hash)
{
    size_t low = 0, high = directory->n_cas;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (directory->cas[middle].name_hash < name_hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct hf_ca *hf_directory_next_issuer(const struct hf_directory *directory, const X509 *cert,
                                             const struct hf_ca *last)
{
    int is_hashed = 0;
    const X509_NAME *issuer = X509_get_issuer_name(cert);
    unsigned long name_hash = X509_NAME_hash_ex(issuer, NULL, NULL, &is_hashed);
    ERR_clear_error();
    if (is_hashed != 1)
        return NULL;
    size_t at = last != NULL ? (size_t)(last - directory->cas) + 1
                             : lower_bound(directory, name_hash);
    for (; at < directory->n_cas && directory->cas[at].name_hash == name_hash; at++)
        if (X509_NAME_cmp(X509_get_subject_name(directory->cas[at].x509), issuer) == 0)
            return &directory->cas[at];
    return NULL;
}
