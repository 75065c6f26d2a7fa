#include "tests/support/x509_oracle.h"

#include "tests/support/x509_oracle_parts.h"

#include <openssl/err.h>

#include <stdlib.h>
#include <string.h>

/* Certificates that are tried as the next of a path, over all paths. */
#define STEPS_MAX 5000

struct oracle {
    const struct x509_case *c;
    struct oracle_cert *sent, *anchors;
    /* Is the row's certificate signed by the column's (first the sent ones, then the anchors)? 0:
     * not known. */
    signed char *is_signed;
    const struct oracle_cert **path; /* from the leaf up */
    size_t n_path, n_steps;
    bool is_cut;
    const char *fault; /* of the last path that reached an anchor */
};

static bool is_signed_by_openssl(X509 *cert, EVP_PKEY *key)
{
    return X509_verify(cert, key) == 1;
}

static x509_oracle_signed_fn is_signed_fn = is_signed_by_openssl;

void x509_oracle_set_signed(x509_oracle_signed_fn is_signed)
{
    is_signed_fn = is_signed != NULL ? is_signed : is_signed_by_openssl;
}

/* ---- one certificate of a path --------------------------------------------------------------- */

/* What Holdfast lets be used: SHA-2 under RSA, RSASSA-PSS and ECDSA. */
static bool has_strong_signature(const struct oracle_cert *cert)
{
    int digest = NID_undef, key = NID_undef, bits;
    uint32_t flags;
    if (X509_get_signature_info(cert->x509, &digest, &key, &bits, &flags) != 1)
        return false;
    return (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512) &&
           (key == EVP_PKEY_RSA || key == EVP_PKEY_RSA_PSS || key == EVP_PKEY_EC);
}

static bool allows(const struct oracle_cert *cert, int key_usage_bit)
{
    return cert->key_usage == NULL || ASN1_BIT_STRING_get_bit(cert->key_usage, key_usage_bit) == 1;
}

#define DIGITAL_SIGNATURE 0
#define KEY_CERT_SIGN 5

/* 4.2.1.12; of a CA it limits those that it issues to, as all implementations have it. */
static bool is_for_servers(const struct oracle_cert *cert)
{
    for (int i = 0; i < sk_ASN1_OBJECT_num(cert->usages); i++) {
        int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(cert->usages, i));
        if (nid == NID_server_auth || nid == NID_anyExtendedKeyUsage)
            return true;
    }
    return cert->usages == NULL;
}

/* 6.1.4 (k) and (n), for a certificate with another one below it. */
static const char *ca_fault(const struct oracle_cert *cert)
{
    if (cert->issuer_fault != NULL)
        return cert->issuer_fault;
    if (X509_get_version(cert->x509) != X509_VERSION_3 || cert->basic == NULL || !cert->basic->ca)
        return "an issuer is no CA";
    if (!allows(cert, KEY_CERT_SIGN))
        return "an issuer's keyUsage does not allow certificates";
    return is_for_servers(cert) ? NULL : "an issuer's extendedKeyUsage does not allow servers";
}

/* 6.1.3 (a) without the signature, which the search has checked. */
static const char *basic_fault(const struct oracle *o, const struct oracle_cert *cert)
{
    if (cert->fault != NULL)
        return cert->fault;
    if (!has_strong_signature(cert))
        return "a signature's algorithm is too weak or of another kind";
    if (o->c->at_s < cert->not_before_s || cert->not_after_s < o->c->at_s)
        return "a certificate is not in force";
    return NULL;
}

/* ---- a path: RFC 5280, 6.1 ------------------------------------------------------------------- */

static const char *leaf_fault(const struct oracle *o, const struct oracle_cert *leaf)
{
    if (!allows(leaf, DIGITAL_SIGNATURE))
        return "the server's keyUsage does not allow signatures";
    if (!is_for_servers(leaf))
        return "the server's extendedKeyUsage does not allow servers";
    if (o->c->host != NULL && !oracle_is_for_host(leaf, o->c->host))
        return "the server has another name";
    return NULL;
}

/* 6.1.4 (l) and (m). */
static const char *lower_path_length(const struct oracle_cert *cert, int64_t *max_path_length)
{
    if (!oracle_is_self_issued(cert)) {
        if (*max_path_length <= 0)
            return "the path is longer than an issuer allows";
        (*max_path_length)--;
    }
    if (cert->basic->pathlen != NULL && oracle_number(cert->basic->pathlen) < *max_path_length)
        *max_path_length = oracle_number(cert->basic->pathlen);
    return NULL;
}

/** `certs` from the anchor (0) down to the server's own (n). */
static const char *process(const struct oracle *o, const struct oracle_cert *const *certs,
                           int64_t n, struct oracle_policies *policies)
{
    int64_t max_path_length = n;
    const char *fault = certs[0]->fault;

    /* An anchor is a name and a key. RFC 5937: its certificate gives the initial values, where it
     * is one of version 3, with extensions. */
    if (fault == NULL && X509_get_version(certs[0]->x509) == X509_VERSION_3)
        fault = ca_fault(certs[0]);
    if (fault == NULL && certs[0]->basic != NULL && certs[0]->basic->pathlen != NULL &&
        oracle_number(certs[0]->basic->pathlen) < max_path_length)
        max_path_length = oracle_number(certs[0]->basic->pathlen);
    for (int64_t i = 1; fault == NULL && i <= n; i++) {
        const struct oracle_cert *cert = certs[i];
        bool is_last = i == n;
        if (i == 1 && !oracle_policies_begin(policies, certs[0]))
            return "the anchor maps any policy";
        fault = basic_fault(o, cert);
        if (fault == NULL && (is_last || !oracle_is_self_issued(cert)))
            fault = oracle_name_fault(cert, certs, (size_t)i);
        if (fault == NULL && !oracle_policies_process(policies, cert, 1 + i))
            fault = "a policy is required, and there is none";
        if (fault == NULL && is_last)
            break;
        if (fault == NULL)
            fault = ca_fault(cert);
        if (fault == NULL && !oracle_policies_prepare(policies, cert, 1 + i))
            fault = "any policy is mapped";
        if (fault == NULL)
            fault = lower_path_length(cert, &max_path_length);
    }
    if (fault == NULL && !oracle_policies_wrap_up(policies, certs[n]))
        fault = "a policy is required, and there is none";
    return fault != NULL ? fault : leaf_fault(o, certs[n]);
}

/* The dates that the publisher signed for the anchor. */
static const char *anchor_fault(const struct oracle *o, const struct hf_trust_anchor *anchor)
{
    if (o->c->at_s < anchor->not_before_s || anchor->not_after_s < o->c->at_s)
        return "the anchor is not in force";
    if (anchor->remove_after_s != INT64_MIN && anchor->remove_after_s < o->c->at_s)
        return "the anchor is removed";
    if (anchor->distrust_after_s != INT64_MIN && anchor->distrust_after_s < o->sent[0].not_before_s)
        return "the server's certificate is newer than the anchor's last day";
    return NULL;
}

static bool is_valid_path(struct oracle *o, size_t anchor)
{
    const struct oracle_cert **certs = calloc(o->n_path + 1, sizeof(const struct oracle_cert *));
    struct oracle_policies *policies = oracle_policies_new(1 + (int64_t)o->n_path);

    if (certs == NULL)
        abort();
    certs[0] = &o->anchors[anchor];
    for (size_t i = 0; i < o->n_path; i++)
        certs[1 + i] = o->path[o->n_path - 1 - i];
    o->fault = anchor_fault(o, &o->c->anchors[anchor]);
    if (o->fault == NULL)
        o->fault = process(o, certs, (int64_t)o->n_path, policies);
    o->is_cut = o->is_cut || oracle_policies_is_full(policies);
    oracle_policies_free(policies);
    free(certs);
    return o->fault == NULL;
}

/* ---- all paths ------------------------------------------------------------------------------- */

/** 6.1.3 (a) (1) and (4): name and signature. `column`: of `issuer` in the table of signatures. */
static bool is_issued(struct oracle *o, const struct oracle_cert *cert,
                      const struct oracle_cert *issuer, size_t column)
{
    if (issuer->x509 == NULL ||
        !oracle_is_same_name(X509_get_issuer_name(cert->x509), X509_get_subject_name(issuer->x509)))
        return false;
    signed char *known =
        &o->is_signed[(size_t)(cert - o->sent) * (o->c->n_sent + o->c->n_anchors) + column];
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    if (*known == 0)
        *known = key != NULL && is_signed_fn(cert->x509, key) ? 1 : -1;
    ERR_clear_error();
    return *known > 0;
}

static bool is_in_path(const struct oracle *o, const struct oracle_cert *cert)
{
    for (size_t i = 0; i < o->n_path; i++)
        if (o->path[i] == cert || X509_cmp(o->path[i]->x509, cert->x509) == 0)
            return true;
    return false;
}

static bool search(struct oracle *o)
{
    const struct oracle_cert *top = o->path[o->n_path - 1];

    for (size_t i = 0; i < o->c->n_anchors; i++)
        if (is_issued(o, top, &o->anchors[i], o->c->n_sent + i) && is_valid_path(o, i))
            return true;
    for (size_t i = 0; i < o->c->n_sent && !o->is_cut; i++) {
        const struct oracle_cert *next = &o->sent[i];
        if (next->x509 == NULL || is_in_path(o, next) || !is_issued(o, top, next, i))
            continue;
        o->is_cut = o->is_cut || ++o->n_steps > STEPS_MAX;
        o->path[o->n_path++] = next;
        if (search(o))
            return true;
        o->n_path--;
    }
    return false;
}

static struct oracle_cert *read_all(size_t n, const struct hf_bytes *ders,
                                    const struct hf_trust_anchor *anchors)
{
    struct oracle_cert *certs = calloc(n + 1, sizeof *certs);
    if (certs == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        struct hf_bytes der = ders != NULL ? ders[i] : anchors[i].der;
        oracle_cert_read(der.data, der.len, &certs[i]);
    }
    return certs;
}

static void free_all(struct oracle_cert *certs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        oracle_cert_free(&certs[i]);
    free(certs);
}

enum x509_answer x509_oracle(const struct x509_case *c, struct hf_why *why)
{
    struct oracle o = {.c = c, .fault = "no path reaches an anchor"};
    bool is_valid = false;

    o.sent = read_all(c->n_sent, c->sent, NULL);
    o.anchors = read_all(c->n_anchors, NULL, c->anchors);
    o.is_signed = calloc((c->n_sent + 1) * (c->n_sent + c->n_anchors), 1);
    o.path = calloc(c->n_sent + 1, sizeof *o.path);
    if (o.is_signed == NULL || o.path == NULL)
        abort();
    if (c->n_sent > 0 && o.sent[0].x509 != NULL) {
        o.path[o.n_path++] = &o.sent[0];
        is_valid = search(&o);
    }
    free(o.path);
    free(o.is_signed);
    free_all(o.anchors, c->n_anchors);
    free_all(o.sent, c->n_sent);
    if (is_valid)
        return X509_ACCEPTED;
    (void)hf_fail(why, HF_E_TLS, "%s", o.is_cut ? "there are too many paths" : o.fault);
    return o.is_cut ? X509_NOT_ASKED : X509_REFUSED;
}
