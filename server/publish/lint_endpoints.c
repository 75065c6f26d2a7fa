#include "server/publish/lint_endpoints.h"

#include "common/bundle/pem.h"
#include "server/publish/disk.h"

#include <stdlib.h>
#include <string.h>

#define ENDPOINTS_BYTES_MAX (256u * 1024u)

struct reading {
    struct hf_lint_endpoints *endpoints;
    const char *file;
    size_t line;
};

static void chain_free(struct hf_lint_chain *chain)
{
    if (chain == NULL)
        return;
    mbedtls_x509_crt_free(&chain->crt);
    free(chain->name);
    free(chain->file);
    free(chain);
}

void hf_lint_endpoints_free(struct hf_lint_endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->n_chains; i++)
        chain_free(endpoints->chains[i]);
    free(endpoints->chains);
    *endpoints = (struct hf_lint_endpoints){0};
}

/* ---- one chain -------------------------------------------------------------------------------- */

static enum hf_err take_cert(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct hf_lint_chain *chain = ctx;
    struct hf_cert checked;
    if (chain->n_certs == HF_LINT_CHAIN_CERTS_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than %d certificates in a chain",
                       HF_LINT_CHAIN_CERTS_MAX);
    if (hf_cert_parse(der, &checked, why) != HF_OK)
        return hf_fail_context(why, "certificate %zu", index + 1);
    if (mbedtls_x509_crt_parse_der(&chain->crt, der.data, der.len) != 0)
        return hf_fail(why, HF_E_FORMAT, "certificate %zu does not parse", index + 1);
    chain->n_certs++;
    return HF_OK;
}

/* Again, from memory that lasts as long as the chain. */
static enum hf_err read_certs(struct hf_lint_chain *chain, struct hf_why *why)
{
    const mbedtls_x509_crt *crt = &chain->crt;
    for (size_t i = 0; i < chain->n_certs; i++, crt = crt->next) {
        struct hf_bytes der = {crt->raw.p, crt->raw.len};
        HF_TRY(hf_cert_parse(der, &chain->certs[i], why));
    }
    return HF_OK;
}

/* By what a device must compute first: the leaf's key, and the signature on it. */
static enum hf_chain_kind kind_of(const struct hf_lint_chain *chain)
{
    mbedtls_pk_type_t signature = chain->crt.MBEDTLS_PRIVATE(sig_pk);
    bool has_rsa_signature = signature == MBEDTLS_PK_RSA || signature == MBEDTLS_PK_RSASSA_PSS;
    bool has_rsa_key = chain->certs[0].key == HF_CERT_KEY_RSA;
    if (has_rsa_key != has_rsa_signature)
        return HF_CHAIN_MIXED;
    return has_rsa_key ? HF_CHAIN_RSA : HF_CHAIN_ECC;
}

/* To Mbed TLS a root that comes first is an anchor that ends in itself, and what follows it is never
 * looked at. A lone one may be what a small server shows; lint_reach.c has a word on that. */
static enum hf_err check_order(const struct hf_lint_chain *chain, struct hf_why *why)
{
    const struct hf_cert *first = &chain->certs[0];
    if (!first->is_ca || chain->is_lone_root)
        return HF_OK;
    return hf_fail(
        why, HF_E_FORMAT,
        "it begins with a CA, \"%s\"; the certificate of the endpoint itself comes first, "
        "then those that issued it",
        first->subject);
}

static enum hf_err read_chain(struct hf_lint_chain *chain, struct hf_why *why)
{
    struct hf_buf text = {0};
    HF_TRY(hf_disk_read(chain->file, HF_BUNDLE_BYTES_MAX, &text, why));
    enum hf_err err = hf_pem_walk(hf_buf_bytes(&text), take_cert, chain, why);
    hf_buf_free(&text);
    if (err == HF_OK)
        err = read_certs(chain, why);
    chain->is_lone_root = chain->n_certs == 1 && chain->certs[0].is_ca &&
                          chain->certs[0].is_self_issued;
    if (err == HF_OK)
        err = check_order(chain, why);
    if (err != HF_OK)
        return hf_fail_context(why, "%s", chain->file);
    chain->kind = kind_of(chain);
    return HF_OK;
}

/* ---- the list --------------------------------------------------------------------------------- */

/* Beside the list, unless its path begins at the root. */
static enum hf_err find_file(const struct reading *r, const char *name, struct hf_path *out,
                             struct hf_why *why)
{
    const char *slash = strrchr(r->file, '/');
    if (name[0] == '/' || slash == NULL)
        return hf_path_set(out, why, "%s", name);
    return hf_path_set(out, why, "%.*s/%s", (int)(slash - r->file), r->file, name);
}

static enum hf_err add_chain(const struct reading *r, const char *name, const char *file,
                             bool is_devices, struct hf_why *why)
{
    struct hf_lint_endpoints *e = r->endpoints;
    struct hf_path path;
    HF_TRY(find_file(r, file, &path, why));
    if (e->n_chains == HF_LINT_CHAINS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s: more than %d chains", r->file, HF_LINT_CHAINS_MAX);
    struct hf_lint_chain **more = realloc(e->chains, (e->n_chains + 1) * sizeof(*more));
    struct hf_lint_chain *chain = calloc(1, sizeof *chain);
    if (more != NULL)
        e->chains = more;
    if (more == NULL || chain == NULL) {
        free(chain);
        return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
    }
    mbedtls_x509_crt_init(&chain->crt);
    e->chains[e->n_chains++] = chain;
    chain->is_devices = is_devices;
    chain->name = strdup(name);
    chain->file = strdup(path.text);
    if (chain->name == NULL || chain->file == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
    return read_chain(chain, why);
}

/* The next word; NULL at the line's end. */
static char *next_word(char **rest)
{
    char *word;
    while ((word = strsep(rest, " \t\r")) != NULL && word[0] == '\0')
        continue;
    return word;
}

static enum hf_err take_line(const struct reading *r, char *line, struct hf_why *why)
{
    const char *kind = next_word(&line);
    if (kind == NULL || kind[0] == '#')
        return HF_OK;
    bool is_devices = strcmp(kind, "device") == 0;
    const char *name = next_word(&line);
    const char *file = next_word(&line);
    if ((!is_devices && strcmp(kind, "endpoint") != 0) || file == NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "%s, line %zu: expected endpoint NAME CHAIN.pem or device NAME CHAIN.pem",
                       r->file, r->line);
    for (; file != NULL; file = next_word(&line))
        HF_TRY(add_chain(r, name, file, is_devices, why));
    return HF_OK;
}

static enum hf_err take_text(struct reading *r, char *text, struct hf_why *why)
{
    char *line;
    while ((line = strsep(&text, "\n")) != NULL) {
        r->line++;
        HF_TRY(take_line(r, line, why));
    }
    if (r->endpoints->n_chains == 0)
        return hf_fail(why, HF_E_FORMAT, "%s names no endpoint", r->file);
    return HF_OK;
}

enum hf_err hf_lint_endpoints_load(const char *file, struct hf_lint_endpoints *out,
                                   struct hf_why *why)
{
    struct hf_lint_endpoints endpoints = {0};
    struct reading r = {.endpoints = &endpoints, .file = file};
    struct hf_buf text = {0};
    char none[] = "";
    HF_TRY(hf_disk_read(file, ENDPOINTS_BYTES_MAX, &text, why));
    enum hf_err err = take_text(&r, text.len == 0 ? none : (char *)text.data, why);
    hf_buf_free(&text);
    if (err != HF_OK) {
        hf_lint_endpoints_free(&endpoints);
        return err;
    }
    *out = endpoints;
    return HF_OK;
}
