/*
 * common/chain/verify against a second verifier (tests/support/x509_oracle.h), which is slow and
 * straight from RFC 5280 and RFC 9525: what one accepts, the other accepts. The input is in
 * chain_input.h.
 *
 * A changed certificate would fail by its signature alone, so signatures are none here: whether a
 * key verifies one is a bit that both verifiers are told, computed from the signature's bytes and
 * the key.
 */
#include "tests/fuzz/chain_input.h"
#include "tests/fuzz/der_edit.h"

#include "common/chain/verify.h"
#include "common/chain/words.h"
#include "tests/support/x509_oracle.h"
#include "tests/support/x509_oracle_parts.h"

#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define DAY_S INT64_C(86400)

/* ---- signatures that are none ---------------------------------------------------------------- */

/** True for most: FNV-1a of the signature and a byte of the key. */
static bool is_signed(struct hf_bytes signature, uint8_t key)
{
    uint32_t hash = 2166136261u ^ key;
    for (size_t i = 0; i < signature.len; i++)
        hash = (hash * 16777619u) ^ signature.data[i];
    return (hash >> 8) % 16 != 0;
}

int __wrap_mbedtls_pk_verify_ext(mbedtls_pk_type_t type, const void *options,
                                 mbedtls_pk_context *key, mbedtls_md_type_t md,
                                 const unsigned char *hash, size_t hash_len,
                                 const unsigned char *signature, size_t signature_len);

/** Every signature that Holdfast verifies passes through it (--wrap). */
int __wrap_mbedtls_pk_verify_ext(mbedtls_pk_type_t type, const void *options,
                                 mbedtls_pk_context *key, mbedtls_md_type_t md,
                                 const unsigned char *hash, size_t hash_len,
                                 const unsigned char *signature, size_t signature_len)
{
    uint8_t number[MBEDTLS_MPI_MAX_SIZE];
    uint8_t last = 0;
    size_t len;
    (void)options, (void)md, (void)hash, (void)hash_len;

    bool is_rsa = type == MBEDTLS_PK_RSA || type == MBEDTLS_PK_RSASSA_PSS;
    if (!mbedtls_pk_can_do(key, is_rsa ? MBEDTLS_PK_RSA : type))
        return MBEDTLS_ERR_PK_TYPE_MISMATCH;
    if (is_rsa) {
        FUZZ_CHECK(mbedtls_rsa_export_raw(mbedtls_pk_rsa(*key), number, sizeof number, NULL, 0,
                                          NULL, 0, NULL, 0, NULL, 0) == 0);
        last = number[sizeof number - 1];
    } else {
        mbedtls_ecp_keypair *ec = mbedtls_pk_ec(*key);
        FUZZ_CHECK(mbedtls_ecp_write_public_key(ec, MBEDTLS_ECP_PF_UNCOMPRESSED, &len, number,
                                                sizeof number) == 0);
        last = number[(len - 1) / 2];
    }
    return is_signed((struct hf_bytes){signature, signature_len}, last)
               ? 0
               : MBEDTLS_ERR_RSA_VERIFY_FAILED;
}

/** The same for the oracle; what belongs to a signature, beside its value, is checked here. */
static bool oracle_is_signed(X509 *cert, EVP_PKEY *key)
{
    const ASN1_BIT_STRING *signature;
    const X509_ALGOR *algorithm;
    int digest, type, bits;
    uint32_t flags;
    BIGNUM *number = NULL;

    X509_get0_signature(&signature, &algorithm, cert);
    if (X509_ALGOR_cmp(algorithm, X509_get0_tbs_sigalg(cert)) != 0 || (signature->flags & 7) != 0 ||
        X509_get_signature_info(cert, &digest, &type, &bits, &flags) != 1)
        return false;
    bool is_rsa = type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS;
    if (EVP_PKEY_get_base_id(key) != (is_rsa ? EVP_PKEY_RSA : type) ||
        EVP_PKEY_get_bn_param(key, is_rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X,
                              &number) != 1)
        return false;
    uint8_t last = (uint8_t)BN_mod_word(number, 256);
    BN_free(number);
    return is_signed((struct hf_bytes){signature->data, (size_t)signature->length}, last);
}

/* ---- the comparison -------------------------------------------------------------------------- */

/* Holdfast reads DER only, and OpenSSL more: there the oracle may accept what Holdfast refuses. */
static bool is_der(struct hf_bytes der)
{
    const uint8_t *at = der.data;
    uint8_t *again = NULL;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    bool is = cert != NULL;
    int len = is ? i2d_re_X509_tbs(cert, NULL) : 0;

    if (is)
        len = i2d_X509(cert, &again);
    is = is && len == (int)der.len && memcmp(again, der.data, der.len) == 0;
    for (int i = 0; is && i < X509_get_ext_count(cert); i++) {
        X509_EXTENSION *extension = X509_get_ext(cert, i);
        const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
        void *decoded = X509V3_EXT_d2i(extension);
        X509_EXTENSION *made = decoded == NULL
                                   ? NULL
                                   : X509V3_EXT_i2d(OBJ_obj2nid(
                                                        X509_EXTENSION_get_object(extension)),
                                                    0, decoded);
        if (decoded == NULL && X509V3_EXT_get(extension) != NULL)
            is = false; /* damaged, and not needed by the oracle */
        if (made != NULL)
            is = ASN1_OCTET_STRING_cmp(value, X509_EXTENSION_get_data(made)) == 0;
        X509_EXTENSION_free(made);
        if (decoded != NULL) {
            const X509V3_EXT_METHOD *method = X509V3_EXT_get(extension);
            if (method->it != NULL)
                ASN1_item_free(decoded, ASN1_ITEM_ptr(method->it));
            else
                method->ext_free(decoded);
        }
    }
    OPENSSL_free(again);
    X509_free(cert);
    ERR_clear_error();
    return is;
}

/* OpenSSL passes over parts of a name that are empty, and takes a part with two attributes of one
 * type. */
static bool is_plain_name(const X509_NAME *name)
{
    X509_NAME *made = X509_NAME_new();
    const uint8_t *der, *again;
    size_t der_len, again_len;
    bool is = made != NULL && X509_NAME_get0_der(name, &der, &der_len) == 1;

    for (int i = 0; is && i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        bool is_first = i == 0 || X509_NAME_ENTRY_set(entry) !=
                                      X509_NAME_ENTRY_set(X509_NAME_get_entry(name, i - 1));
        is = X509_NAME_add_entry(made, entry, -1, is_first ? 0 : -1) == 1;
        for (int k = 0; is && k < i; k++) {
            const X509_NAME_ENTRY *other = X509_NAME_get_entry(name, k);
            is = X509_NAME_ENTRY_set(entry) != X509_NAME_ENTRY_set(other) ||
                 OBJ_cmp(X509_NAME_ENTRY_get_object(entry), X509_NAME_ENTRY_get_object(other)) != 0;
        }
    }
    is = is && X509_NAME_get0_der(made, &again, &again_len) == 1 && again_len == der_len &&
         memcmp(again, der, der_len) == 0;
    X509_NAME_free(made);
    return is;
}

static bool is_plain(struct hf_bytes der)
{
    struct oracle_cert cert;
    oracle_cert_read(der.data, der.len, &cert);
    bool is = cert.x509 != NULL && is_der(der) && is_plain_name(X509_get_subject_name(cert.x509)) &&
              is_plain_name(X509_get_issuer_name(cert.x509));
    oracle_cert_free(&cert);
    return is;
}

static bool is_all_plain(const struct x509_case *c)
{
    for (size_t i = 0; i < c->n_sent; i++)
        if (!is_plain(c->sent[i]))
            return false;
    for (size_t i = 0; i < c->n_anchors; i++)
        if (!is_plain(c->anchors[i].der))
            return false;
    return true;
}

/* Does OpenSSL decode the text? It refuses certificates with damaged text in a name, which Holdfast
 * compares as bytes. */
static bool is_read(struct hf_bytes value)
{
    const uint8_t *at = value.data;
    uint8_t *utf8 = NULL;
    ASN1_TYPE *any = d2i_ASN1_TYPE(NULL, &at, (long)value.len);
    bool is = any != NULL && (any->type == V_ASN1_BIT_STRING || any->type == V_ASN1_SEQUENCE ||
                              ASN1_STRING_to_UTF8(&utf8, any->value.asn1_string) >= 0);

    OPENSSL_free(utf8);
    ASN1_TYPE_free(any);
    ERR_clear_error();
    return is;
}

/* Has a name in it, wherever it stands, a value of a kind that OpenSSL does not read? The RFC
 * allows any. */
static bool has_odd_value(struct hf_bytes der)
{
    static const uint8_t read[] = {0x03, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x1c, 0x1e, 0x30};
    static struct der_tree tree;

    if (!der_walk(der, &tree))
        return false;
    for (size_t i = 0; i < tree.n; i++) {
        size_t pair = tree.nodes[i].parent;
        size_t part = pair == DER_ROOT ? DER_ROOT : tree.nodes[pair].parent;
        bool is_value = part != DER_ROOT && tree.nodes[part].tag == 0x31 &&
                        der_child(&tree, pair, 1) == i;
        if (is_value &&
            (memchr(read, tree.nodes[i].tag, sizeof read) == NULL || !is_read(der_whole(&tree, i))))
            return true;
    }
    return false;
}

/* Has the server's certificate a name in its subjectAltName that a host can have? */
static bool has_host_name(struct hf_bytes der)
{
    struct oracle_cert cert;
    bool has = false;
    oracle_cert_read(der.data, der.len, &cert);
    for (int i = 0; i < sk_GENERAL_NAME_num(cert.names); i++) {
        int type = sk_GENERAL_NAME_value(cert.names, i)->type;
        has = has || type == GEN_DNS || type == GEN_IPADD;
    }
    oracle_cert_free(&cert);
    return has;
}

/* Has it a mailbox in its subject, and another one in its subjectAltName? */
static bool has_both_mailboxes(struct hf_bytes der)
{
    struct oracle_cert cert;
    bool has = false;
    oracle_cert_read(der.data, der.len, &cert);
    for (int i = 0; i < sk_GENERAL_NAME_num(cert.names); i++)
        has = has || sk_GENERAL_NAME_value(cert.names, i)->type == GEN_EMAIL;
    has = has && X509_NAME_get_index_by_NID(X509_get_subject_name(cert.x509),
                                            NID_pkcs9_emailAddress, -1) >= 0;
    oracle_cert_free(&cert);
    return has;
}

static bool is_at_limit(const struct hf_verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_path; i++)
        if ((verdict->path[i].faults & HF_FAULT_LIMIT) != 0)
            return true;
    return false;
}

/* Where Holdfast may refuse what the RFCs allow: at its limits, what is no DER, a common name that
 * a constraint on hosts excludes (it counts where the switch for old servers is on), and a mailbox
 * in the subject that a constraint excludes, where the subjectAltName has mailboxes too (as OpenSSL
 * does). */
static bool is_stricter(const struct x509_case *c, const struct hf_verdict *verdict)
{
    if (is_at_limit(verdict) || !is_all_plain(c) ||
        (verdict->path[0].faults == HF_FAULT_CONSTRAINTS && !has_host_name(c->sent[0])))
        return true;
    for (size_t i = 0; i < verdict->n_path; i++)
        if (verdict->path[i].faults == HF_FAULT_CONSTRAINTS &&
            verdict->path[i].index != HF_VERIFY_ANCHOR &&
            has_both_mailboxes(c->sent[verdict->path[i].index]))
            return true;
    return false;
}

static void check_verdict(const struct x509_case *c, const struct hf_verdict *verdict)
{
    FUZZ_CHECK(verdict->n_signatures <= HF_VERIFY_SIGNATURES_MAX);
    FUZZ_CHECK(verdict->n_steps <= HF_VERIFY_STEPS_MAX);
    FUZZ_CHECK(verdict->n_path >= 1 && verdict->n_path <= HF_VERIFY_PATH_MAX);
    FUZZ_CHECK(verdict->path[0].index == 0);
    for (size_t i = 0; i < verdict->n_path; i++) {
        bool is_anchor = verdict->path[i].index == HF_VERIFY_ANCHOR;
        FUZZ_CHECK(is_anchor ? i + 1 == verdict->n_path : verdict->path[i].index < c->n_sent);
        FUZZ_CHECK(!verdict->is_valid || verdict->path[i].faults == 0);
    }
    FUZZ_CHECK(!verdict->is_valid || verdict->path[verdict->n_path - 1].index == HF_VERIFY_ANCHOR);
}

/* A refusal becomes a sentence that steers no terminal, whatever a server sent. */
static void check_words(const struct x509_case *c, const struct hf_anchor_sets *sets,
                        const struct hf_chain_context *context, const struct hf_verdict *verdict)
{
    struct hf_chain_context told = *context;
    const struct hf_judged judged = {c->sent, c->n_sent, sets, &told, verdict};
    struct hf_why why = {.code = HF_E_TLS};

    if (told.host != NULL) /* the device's own words, which were read as a name or an address */
        told.host = "a.example";
    hf_words_refusal(&judged, why.text);
    fuzz_check_refusal(HF_E_TLS, &why);
}

static void compare(const struct x509_case *c, const struct hf_anchors *anchors)
{
    const struct hf_chain_context context = {.host = c->host,
                                             .at_s = c->at_s,
                                             .key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE};
    struct hf_verdict verdict = {0};
    struct hf_why why = {0}, reason = {0};
    const struct hf_anchor_sets sets = {.at = {anchors}, .n = 1};
    enum hf_err err = hf_verify(c->sent, c->n_sent, &sets, &context, &verdict, &why);

    if (err == HF_OK)
        check_verdict(c, &verdict);
    else
        fuzz_check_refusal(err, &why);
    if (err == HF_OK && !verdict.is_valid)
        check_words(c, &sets, &context, &verdict);
    enum x509_answer answer = x509_oracle(c, &reason);
    for (size_t i = 0; i < c->n_sent; i++)
        if (has_odd_value(c->sent[i]))
            answer = X509_NOT_ASKED;
    if (verdict.is_valid && answer == X509_REFUSED)
        fprintf(stderr, "only the oracle refuses: %s\n", reason.text);
    FUZZ_CHECK(!verdict.is_valid || answer != X509_REFUSED);
    if (verdict.is_valid || answer != X509_ACCEPTED || is_stricter(c, &verdict))
        return;
    if (err != HF_OK)
        fprintf(stderr, "only the oracle accepts: %s\n", why.text);
    for (size_t i = 0; i < verdict.n_path; i++)
        fprintf(stderr, "only the oracle accepts: certificate %zu, faults 0x%x\n",
                verdict.path[i].index, verdict.path[i].faults);
    FUZZ_CHECK(answer != X509_ACCEPTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chain_input input;
    struct hf_trust_anchor anchors[CHAIN_CERTS_MAX];
    struct hf_bytes sent[CHAIN_CERTS_MAX];
    struct hf_anchors *set = NULL;

    x509_oracle_set_signed(oracle_is_signed);
    chain_input_read((struct hf_bytes){data, size}, &input);
    struct x509_case c = {.host = input.host[0] == '\0' ? NULL : input.host,
                          .at_s = input.at_s,
                          .anchors = anchors,
                          .sent = sent,
                          .n_sent = input.n_certs - input.n_anchors};
    for (size_t i = 0; i < input.n_certs; i++) {
        struct hf_bytes der = hf_buf_bytes(&input.certs[i]);
        struct hf_trust_anchor *anchor = &anchors[c.n_anchors];
        if (i >= input.n_anchors) {
            sent[i - input.n_anchors] = der;
        } else if (x509_anchor_of(der, anchor) && hf_anchors_new(anchor, 1, &set, NULL) == HF_OK) {
            hf_anchors_free(set);
            if (input.distrust_days != 0)
                anchor->distrust_after_s = input.at_s + input.distrust_days * DAY_S;
            c.n_anchors++;
        }
    }
    if (hf_anchors_new(anchors, c.n_anchors, &set, NULL) == HF_OK) {
        compare(&c, set);
        hf_anchors_free(set);
    }
    chain_input_free(&input);
    return 0;
}
