/*
 * The seeds that real code makes: hf-fuzz-seeds FOLDER writes FOLDER/HARNESS/NAME. Texts that a
 * person wrote lie in seeds/.
 */
#include "tests/fuzz/chain_seeds.h"
#include "tests/fuzz/scratch.h"

#include "client/port/posix/bundle_files.h"
#include "common/base/digest.h"
#include "server/repository/drafts/draft.h"
#include "server/repository/keys/key_file.h"
#include "tests/support/device.h"
#include "tests/support/openssl_pki.h"
#include "tests/support/test_pki.h"

#include <mbedtls/pk.h>
#include <sodium.h>

#include <sys/stat.h>
#include <unistd.h>

#define NOW_S INT64_C(1900000000)
#define FUZZ_KEY_MESSAGE "what is signed in the seeds" /* fuzz_key.c's */

static const char *folder;

static void write_seed(const char *harness, const char *name, struct hf_bytes bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, harness);
    (void)mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%s/%s", folder, harness, name);
    (void)unlink(path);
    scratch_write(path, bytes);
}

static void write_buf(const char *harness, const char *name, struct hf_buf *buf)
{
    write_seed(harness, name, hf_buf_bytes(buf));
    hf_buf_free(buf);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void write_metadata(const struct tuf_repo *repo, const char *name)
{
    struct hf_buf file = {0};
    tuf_repo_build_root(repo, &file);
    write_seed("json", name, hf_buf_bytes(&file));
    write_buf("root", name, &file);
    tuf_repo_build_timestamp(repo, &file);
    write_buf("timestamp", name, &file);
    tuf_repo_build_snapshot(repo, &file);
    write_buf("snapshot", name, &file);
    tuf_repo_build_targets(repo, &file);
    write_buf("targets", name, &file);
}

static void metadata_seeds(void)
{
    static struct tuf_repo repo;
    tuf_repo_init(&repo, NOW_S);
    write_metadata(&repo, "plain");
    repo.has_hashes = true;
    tuf_keys_make(&repo.roles[HF_ROLE_ROOT].keys, 3, 2);
    tuf_repo_add_target(&repo, "amazon-iot/full/1.pem", hf_bytes_of_text("one"),
                        device_custom("amazon-iot", "full", 1));
    tuf_repo_add_target(&repo, "readme.txt", hf_bytes_of_text("two"), NULL);
    tuf_repo_delegate(&repo, "targets", "role1", "amazon-iot/*/*.pem", false);
    tuf_repo_delegate(&repo, "targets", "role2", "*", true);
    write_metadata(&repo, "full");
    tuf_repo_free(&repo);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void key_seed(const char *name, const char *type, const char *scheme, const char *public_key,
                     const uint8_t *signature, size_t signature_len)
{
    struct hf_buf seed = {0};
    struct hf_why why = {0};
    json_t *key = json_pack("{s:s, s:s, s:{s:s}}", "keytype", type, "scheme", scheme, "keyval",
                            "public", public_key);
    char *text = json_dumps(key, JSON_INDENT(1));
    FUZZ_OK(hf_buf_printf(&seed, "%s\xff", text), &why);
    FUZZ_OK(hf_buf_append(&seed, signature, signature_len), &why);
    write_buf("key", name, &seed);
    free(text);
    json_decref(key);
}

static void ed25519_seed(void)
{
    struct tuf_key key;
    uint8_t signature[crypto_sign_BYTES];
    char hex[65];
    tuf_key_make(&key);
    hf_hex_encode(key.public_key, 32, hex);
    crypto_sign_detached(signature, NULL, (const uint8_t *)FUZZ_KEY_MESSAGE,
                         strlen(FUZZ_KEY_MESSAGE), key.secret_key);
    key_seed("ed25519", "ed25519", "ed25519", hex, signature, sizeof signature);
}

/* ECDSA and PKCS#1 v1.5, by Mbed TLS. */
static void pk_seed(const char *name, enum pki_kind kind, mbedtls_md_type_t md, const char *type,
                    const char *scheme)
{
    struct pki_key key;
    unsigned char hash[64], signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE], pem[4096];
    size_t len = 0;
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    pki_key_make(&key, kind);
    FUZZ_CHECK(mbedtls_pk_write_pubkey_pem(&key.pk, pem, sizeof pem) == 0);
    FUZZ_CHECK(mbedtls_md(info, (const unsigned char *)FUZZ_KEY_MESSAGE, strlen(FUZZ_KEY_MESSAGE),
                          hash) == 0);
    FUZZ_CHECK(mbedtls_pk_sign(&key.pk, md, hash, mbedtls_md_get_size(info), signature,
                               sizeof signature, &len, pki_random, NULL) == 0);
    key_seed(name, type, scheme, (const char *)pem, signature, len);
    pki_key_free(&key);
}

static void hex_point_seed(void)
{
    struct pki_key key;
    unsigned char point[65];
    char hex[2 * sizeof point + 1];
    size_t len = 0;
    pki_key_make(&key, PKI_P256);
    FUZZ_CHECK(mbedtls_ecp_write_public_key(mbedtls_pk_ec(key.pk), MBEDTLS_ECP_PF_UNCOMPRESSED,
                                            &len, point, sizeof point) == 0);
    hf_hex_encode(point, len, hex);
    key_seed("hex-point", "ecdsa", "ecdsa-sha2-nistp256", hex, NULL, 0);
    pki_key_free(&key);
}

static void key_seeds(void)
{
    ed25519_seed();
    hex_point_seed();
    pk_seed("p256", PKI_P256, MBEDTLS_MD_SHA256, "ecdsa", "ecdsa-sha2-nistp256");
    pk_seed("p384", PKI_P384, MBEDTLS_MD_SHA384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384");
    pk_seed("rsa", PKI_RSA_2048, MBEDTLS_MD_SHA256, "rsa", "rsa-pkcs1v15-sha256");
    key_seed("pss", "rsa", "rsassa-pss-sha256", "-----BEGIN PUBLIC KEY-----\n", NULL, 0);
    key_seed("future", "ml-dsa", "ml-dsa-65", "00", NULL, 0);
}

/* ---- certificates and bundles ---------------------------------------------------------------- */

static void note_seed(const char *sha256, const struct hf_buf *pem)
{
    struct hf_buf seed = {0};
    struct hf_why why = {0};
    json_t *custom = json_pack("{s:{s:s, s:s, s:i, s:[{s:s, s:s, s:s, s:s}], s:[s]}}", "holdfast",
                               "set", "amazon-iot", "profile", "full", "version", 3, "anchors",
                               "sha256", sha256, "use", "cross-signed", "distrust_after",
                               "2031-01-01T00:00:00Z", "remove_after", "2032-01-01T00:00:00Z",
                               "drops", sha256);
    char *text = json_dumps(custom, JSON_INDENT(1));
    write_seed("description", "all", hf_bytes_of_text(text));
    FUZZ_OK(hf_buf_printf(&seed, "%s\xff", text), &why);
    FUZZ_OK(hf_buf_append(&seed, pem->data, pem->len), &why);
    write_buf("bundle", "noted", &seed);
    free(text);
    json_decref(custom);
}

static void cert_seed(const char *name, const struct pki_cert *cert, struct hf_buf *pems)
{
    struct hf_buf der = {0}, pem = {0}, seed = {0};
    struct hf_why why = {0};
    pki_issue(cert, &der);
    pki_issue_pem(cert, &pem);
    FUZZ_OK(hf_buf_append(pems, pem.data, pem.len), &why);
    FUZZ_OK(hf_buf_printf(&seed, "\xff%s", (const char *)pem.data), &why);
    write_seed("x509_form", name, hf_buf_bytes(&der));
    write_buf("cert", name, &der);
    write_buf("bundle", name, &seed);
    write_buf("pem", name, &pem);
}

static void bundle_seeds(void)
{
    struct pki_key p256, p384, p521, rsa, weak;
    struct hf_buf all = {0}, one = {0};
    char sha256[HF_SHA256_HEX_LEN];
    pki_key_make(&p256, PKI_P256);
    pki_key_make(&p384, PKI_P384);
    pki_key_make(&p521, PKI_P521);
    pki_key_make(&rsa, PKI_RSA_2048);
    pki_key_make(&weak, PKI_RSA_1024);
    cert_seed("weak", &(struct pki_cert){.subject = "CN=G", .key = &weak, .is_ca = true}, &all);
    cert_seed("p256",
              &(struct pki_cert){.subject = "C=US,O=Test,CN=A", .key = &p256, .is_ca = true}, &all);
    cert_seed("p384", &(struct pki_cert){.subject = "CN=B", .key = &p384, .is_ca = true}, &all);
    cert_seed("p521", &(struct pki_cert){.subject = "CN=C", .key = &p521, .is_ca = true}, &all);
    cert_seed("rsa", &(struct pki_cert){.subject = "CN=D", .key = &rsa, .is_ca = true}, &all);
    cert_seed("leaf", &(struct pki_cert){.subject = "CN=e", .key = &p256, .dns_name = "e.example"},
              &all);
    struct pki_cert cross = {.subject = "CN=F",
                             .key = &p256,
                             .issuer = "CN=B",
                             .issuer_key = &p384,
                             .is_ca = true};
    cert_seed("cross", &cross, &all);
    pki_issue(&cross, &one);
    hf_sha256_hex(hf_buf_bytes(&one), sha256);
    note_seed(sha256, &all);
    write_buf("pem", "all", &all);
    hf_buf_free(&one);
    pki_key_free(&p256);
    pki_key_free(&p384);
    pki_key_free(&p521);
    pki_key_free(&rsa);
    pki_key_free(&weak);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void copy_seed(const char *harness, const char *name, const char *path)
{
    static uint8_t bytes[65536];
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    write_seed(harness, name, (struct hf_bytes){bytes, len});
}

static void key_file_seed(const char *name, enum hf_kdf_kind kind)
{
    const uint8_t wrap_key[HF_WRAP_KEY_LEN] = {1, 2, 3}; /* fuzz_key_file.c's */
    struct hf_kdf kdf = {.kind = kind, .passes = 2, .memory_bytes = 1 << 26};
    struct hf_signing_key key = {0};
    struct hf_why why = {0};
    const char *path = scratch_path("seed.key.json");
    FUZZ_OK(hf_signing_key_make(NULL, &key, &why), &why);
    FUZZ_OK(hf_key_file_create(path, &key, &kdf, kind == HF_KDF_NONE ? NULL : wrap_key, &why),
            &why);
    copy_seed("key_file", name, path);
    FUZZ_CHECK(unlink(path) == 0);
    hf_signing_key_free(&key);
}

static void reference_seed(void)
{
    char uri[] = "pkcs11:token=alice;object=root-1", label[] = "alice/root-1";
    struct hf_signing_key key = {0};
    struct hf_why why = {0};
    const char *path = scratch_path("seed.key.json");
    FUZZ_OK(hf_signing_key_make(NULL, &key, &why), &why);
    const struct hf_token_public found = {uri, label, key.public_key};
    FUZZ_OK(hf_key_file_create_reference(path, &found, "pkcs11:?pin-source=file:/pin", &why), &why);
    copy_seed("key_file", "token", path);
    FUZZ_CHECK(unlink(path) == 0);
    hf_signing_key_free(&key);
}

/* ---- drafts ---------------------------------------------------------------------------------- */

static void draft_seed(const char *name, const struct hf_draft_parts *parts,
                       const json_t *signatures)
{
    struct hf_draft draft = {0};
    struct hf_buf text = {0};
    struct hf_why why = {0};
    FUZZ_OK(hf_draft_make(parts, &draft, &why), &why);
    if (signatures != NULL)
        FUZZ_OK(hf_draft_set_take(&draft, "signatures", json_deep_copy(signatures), &why), &why);
    FUZZ_OK(hf_draft_format(&draft, &text, &why), &why);
    write_buf("draft", name, &text);
    hf_draft_free(&draft);
}

/* Root 2, as drafted and as signed by all. */
static void root_draft_seeds(struct tuf_repo *repo, struct hf_bytes root)
{
    struct hf_buf file = {0};
    struct hf_envelope env = {0};
    struct hf_why why = {0};
    repo->roles[HF_ROLE_ROOT].version = 2;
    tuf_repo_build_root(repo, &file);
    FUZZ_OK(hf_envelope_parse(hf_buf_bytes(&file), "root", &env, &why), &why);
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = root,
                                         .signed_part = env.signed_part};
    draft_seed("root", &parts, NULL);
    draft_seed("root-signed", &parts, json_object_get(env.json, "signatures"));
    hf_envelope_free(&env);
    hf_buf_free(&file);
}

/* The same under root 2, which is not published yet. */
static void targets_to_come_seed(struct tuf_repo *repo, const struct hf_draft_parts *published,
                                 const json_t *signatures)
{
    struct hf_buf next = {0};
    struct hf_draft_parts parts = *published;
    repo->roles[HF_ROLE_ROOT].version = 2;
    tuf_repo_build_root(repo, &next);
    json_t *roots = json_pack("[s%]", (const char *)published->root.data, published->root.len);
    parts.root = hf_buf_bytes(&next);
    parts.roots = roots;
    parts.is_root_to_come = true;
    draft_seed("targets-to-come", &parts, signatures);
    json_decref(roots);
    hf_buf_free(&next);
}

static void targets_draft_seed(struct tuf_repo *repo, struct hf_bytes root)
{
    struct hf_buf before = {0}, file = {0};
    struct hf_envelope env = {0};
    struct hf_why why = {0};
    tuf_repo_build_targets(repo, &before);
    repo->roles[HF_ROLE_TARGETS].version = 2;
    tuf_repo_add_target(repo, "readme.txt", hf_bytes_of_text("two"), NULL);
    tuf_repo_build_targets(repo, &file);
    FUZZ_OK(hf_envelope_parse(hf_buf_bytes(&file), "targets", &env, &why), &why);
    json_t *files = json_pack("{s:s}", "readme.txt", "two");
    const struct hf_draft_parts parts = {.role = HF_ROLE_TARGETS,
                                         .root = root,
                                         .before = hf_buf_bytes(&before),
                                         .files = files,
                                         .signed_part = env.signed_part};
    draft_seed("targets", &parts, json_object_get(env.json, "signatures"));
    targets_to_come_seed(repo, &parts, json_object_get(env.json, "signatures"));
    json_decref(files);
    hf_envelope_free(&env);
    hf_buf_free(&file);
    hf_buf_free(&before);
}

static void draft_seeds(void)
{
    static struct tuf_repo repo;
    struct hf_buf root = {0};
    tuf_repo_init(&repo, NOW_S);
    repo.has_hashes = true;
    tuf_keys_make(&repo.roles[HF_ROLE_ROOT].keys, 3, 2);
    tuf_repo_build_root(&repo, &root);
    targets_draft_seed(&repo, hf_buf_bytes(&root));
    root_draft_seeds(&repo, hf_buf_bytes(&root));
    hf_buf_free(&root);
    tuf_repo_free(&repo);
}

static void bundle_file_seed(void)
{
    char path[192];
    struct hf_bundle_record record = {.set = "amazon-iot", .profile = "full", .version = 7};
    struct hf_why why = {0};
    FUZZ_OK(hf_buf_append_text(&record.pem, "one bundle\n"), &why); /* fuzz_bundle_file.c's */
    FUZZ_OK(hf_buf_append_text(&record.custom, "{\"holdfast\":{\"set\":\"amazon-iot\"}}"), &why);
    hf_sha256_hex(hf_buf_bytes(&record.pem), record.sha256);
    FUZZ_OK(hf_bundle_files_write(scratch_dir(), &record, &why), &why);
    snprintf(path, sizeof path, "bundles/%s.7.json", record.sha256);
    copy_seed("bundle_file", "plain", scratch_path(path));
    hf_bundle_record_free(&record);
}

/* ---- certificates and requests of clients, by OpenSSL ---------------------------------------- */

static const char *const client_keys[] = {"RSA:2048", "RSA-PSS:2048:SHA256", "P-256", "P-521",
                                          "ED25519"};

static void client_seeds(void)
{
    for (size_t i = 0; i < sizeof client_keys / sizeof *client_keys; i++) {
        struct hf_buf der = {0}, pem = {0}, cert_der = {0};
        EVP_PKEY *key = ossl_key(client_keys[i]);
        X509_REQ *csr = ossl_csr(key, &(struct ossl_signing){.key = key});
        X509 *cert = ossl_cert(&(struct ossl_cert){.subject = "device", .key = key, .is_ca = true});
        char name[32];
        ossl_csr_der(csr, &der);
        ossl_csr_pem(csr, &pem);
        ossl_cert_der(cert, &cert_der);
        write_buf("csr", client_keys[i], &der);
        write_buf("client_cert", client_keys[i], &cert_der);
        (void)snprintf(name, sizeof name, "%s.pem", client_keys[i]);
        write_buf("csr", name, &pem);
        X509_REQ_free(csr);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: hf-fuzz-seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    (void)LLVMFuzzerInitialize(&argc, &argv);
    metadata_seeds();
    key_seeds();
    bundle_seeds();
    key_file_seed("sealed", HF_KDF_ARGON2ID);
    key_file_seed("open", HF_KDF_NONE);
    reference_seed();
    draft_seeds();
    bundle_file_seed();
    client_seeds();
    chain_seeds(write_seed);
    return 0;
}
