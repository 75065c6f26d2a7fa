#include "server/publish/lint/lint_endpoints.h"

#include "common/base/plaintext.h"
#include "common/bundle/pem.h"
#include "common/bundle/certificate.h"
#include "common/os/file_util.h"

#include <stdlib.h>
#include <string.h>

#define ENDPOINTS_BYTES_MAX (256u * 1024u)

static enum hf_err no_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for endpoints");
}

/* ---- a chain --------------------------------------------------------------------------------- */

void hf_lint_chain_free(struct hf_lint_chain *chain)
{
    if (chain == NULL)
        return;
    hf_chain_free(&chain->sent);
    free(chain->name);
    free(chain->source);
    free(chain->host);
    free(chain->doubt);
    free(chain);
}

/* Read as devices read what a server sends. A certificate above the first that is not supported is
 * left out: devices pass over it too, and it may not be needed. */
static enum hf_err take_certs(struct hf_lint_chain *chain, const struct hf_chain *sent,
                              struct hf_why *why)
{
    chain->sent.key_usage = sent->key_usage;
    for (size_t i = 0; i < sent->n_certs; i++) {
        size_t n = chain->sent.n_certs;
        struct hf_cert cert;
        mbedtls_x509_crt crt;
        enum hf_err err = hf_cert_parse_sent(hf_buf_bytes(&sent->certs[i]), &cert, why);
        if (err == HF_E_POLICY && i > 0)
            continue;
        if (err != HF_OK)
            return hf_fail_context(why, "certificate %zu", i + 1);
        HF_TRY(hf_chain_add(&chain->sent, hf_buf_bytes(&sent->certs[i]), why));
        struct hf_bytes der = hf_buf_bytes(&chain->sent.certs[n]);
        HF_TRY(
            hf_cert_parse_sent(der, &chain->certs[n], why)); /* again, to point into our own copy */
        mbedtls_x509_crt_init(&crt);
        if (hf_x509_parse(&crt, der, false) == 0)
            chain->signatures[n] = crt.MBEDTLS_PRIVATE(sig_pk);
        mbedtls_x509_crt_free(&crt);
    }
    return HF_OK;
}

static enum hf_err fill(struct hf_lint_chain *chain, const struct hf_chain *sent,
                        struct hf_why *why)
{
    const struct hf_cert *leaf = &chain->certs[0];

    if (sent->n_certs == 0)
        return hf_fail(why, HF_E_FORMAT, "it holds no certificate");
    HF_TRY(take_certs(chain, sent, why));
    /* To Mbed TLS a root that comes first is an anchor that ends in itself, and what follows it is
     * never looked at. A lone one may be what a small server shows; lint_reach.c warns of that. */
    chain->is_lone_root = chain->sent.n_certs == 1 && leaf->is_ca && leaf->is_self_issued;
    if (leaf->is_ca && !chain->is_lone_root)
        return hf_fail(why, HF_E_FORMAT,
                       "it begins with a CA, \"%s\"; the certificate of the endpoint itself comes "
                       "first, then those that issued it",
                       leaf->subject);
    /* By what a device must compute first: the leaf's key, and the signature on it. */
    bool has_rsa_key = leaf->key == HF_CERT_KEY_RSA;
    bool has_rsa_signature = chain->signatures[0] == MBEDTLS_PK_RSA ||
                             chain->signatures[0] == MBEDTLS_PK_RSASSA_PSS;
    if (has_rsa_key == has_rsa_signature)
        chain->kind = has_rsa_key ? HF_CHAIN_RSA : HF_CHAIN_ECC;
    return HF_OK;
}

enum hf_err hf_lint_chain_new(const char *name, const char *source, const char *host,
                              const struct hf_chain *sent, struct hf_lint_chain **out,
                              struct hf_why *why)
{
    struct hf_lint_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL)
        return no_memory(why);
    chain->name = strdup(name);
    chain->source = strdup(source);
    chain->host = host == NULL ? NULL : strdup(host);
    bool is_whole = chain->name != NULL && chain->source != NULL &&
                    (host == NULL || chain->host != NULL);
    enum hf_err err = is_whole ? fill(chain, sent, why) : no_memory(why);
    if (err == HF_OK)
        *out = chain;
    else
        hf_lint_chain_free(chain);
    return err;
}

/* ---- the collection -------------------------------------------------------------------------- */

void hf_lint_endpoints_free(struct hf_lint_endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->n_chains; i++)
        hf_lint_chain_free(endpoints->chains[i]);
    for (size_t i = 0; i < endpoints->n_silences; i++) {
        free(endpoints->silences[i].name);
        free(endpoints->silences[i].why);
    }
    for (size_t i = 0; i < endpoints->n_live; i++)
        free(endpoints->live[i].name);
    free(endpoints->chains);
    free(endpoints->silences);
    free(endpoints->live);
    *endpoints = (struct hf_lint_endpoints){0};
}

enum hf_err hf_lint_endpoints_add_take(struct hf_lint_endpoints *e, struct hf_lint_chain *chain,
                                       struct hf_why *why)
{
    struct hf_lint_chain **more = NULL;
    if (e->n_chains < HF_LINT_CHAINS_MAX)
        more = realloc(e->chains, (e->n_chains + 1) * sizeof(*more));
    if (more == NULL) {
        hf_lint_chain_free(chain);
        return e->n_chains < HF_LINT_CHAINS_MAX
                   ? no_memory(why)
                   : hf_fail(why, HF_E_LIMIT, "more than %d chains", HF_LINT_CHAINS_MAX);
    }
    e->chains = more;
    e->chains[e->n_chains++] = chain;
    return HF_OK;
}

enum hf_err hf_lint_endpoints_add_silence(struct hf_lint_endpoints *e, const char *name,
                                          const char *reason, bool is_refused, struct hf_why *why)
{
    struct hf_lint_silence *more = realloc(e->silences, (e->n_silences + 1) * sizeof *more);
    if (more == NULL)
        return no_memory(why);
    e->silences = more;
    struct hf_lint_silence *silence = &more[e->n_silences++];
    *silence = (struct hf_lint_silence){strdup(name), strdup(reason), is_refused};
    return silence->name == NULL || silence->why == NULL ? no_memory(why) : HF_OK;
}

static enum hf_err add_live(struct hf_lint_endpoints *e, const char *name,
                            const struct hf_endpoint_url *url, struct hf_why *why)
{
    for (size_t i = 0; i < e->n_live; i++) {
        if (strcmp(e->live[i].name, name) == 0 &&
            hf_endpoint_equal(&e->live[i].url.peer, &url->peer))
            return HF_OK;
    }
    if (e->n_live == HF_LINT_LIVE_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than %d servers to be asked", HF_LINT_LIVE_MAX);
    struct hf_lint_live *more = realloc(e->live, (e->n_live + 1) * sizeof *more);
    if (more == NULL)
        return no_memory(why);
    e->live = more;
    more[e->n_live++] = (struct hf_lint_live){strdup(name), *url};
    return more[e->n_live - 1].name == NULL ? no_memory(why) : HF_OK;
}

/* ---- sources --------------------------------------------------------------------------------- */

static enum hf_err read_answer_of_aws(const char *file, struct hf_endpoint_url *out,
                                      struct hf_why *why)
{
    struct hf_buf json = {0};
    HF_TRY(hf_file_read_any(file, HF_ENDPOINT_JSON_BYTES_MAX, &json, why));
    enum hf_err err = hf_endpoint_url_parse_json(hf_buf_bytes(&json), out, why);
    hf_buf_free(&json);
    return err == HF_OK ? HF_OK : hf_fail_context(why, "%s", file);
}

/* A list of endpoints that is being read. */
struct reading {
    struct hf_lint_endpoints *endpoints;
    const char *file;
    size_t line;
};

/* Beside the list, unless its path begins at the root. */
static enum hf_err find_file(const struct reading *r, const char *name, struct hf_path *out,
                             struct hf_why *why)
{
    const char *slash = strrchr(r->file, '/');
    if (name[0] == '/' || slash == NULL)
        return hf_path_set(out, why, "%s", name);
    return hf_path_set(out, why, "%.*s/%s", (int)(slash - r->file), r->file, name);
}

static enum hf_err take_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)index;
    return hf_chain_add(ctx, der, why);
}

/* `doubt` NULL: it is evidence. `host` NULL: the name tells, if it is a URL; other names are for
 * people only. */
static enum hf_err take_file(const struct reading *r, const char *name, const char *file,
                             bool is_devices, const char *doubt, const char *host,
                             struct hf_why *why)
{
    struct hf_lint_chain *chain = NULL;
    struct hf_buf text = {0};
    struct hf_chain sent = {0};
    struct hf_endpoint_url url;
    struct hf_path path;
    HF_TRY(find_file(r, file, &path, why));
    HF_TRY(hf_file_read_any(path.text, HF_BUNDLE_BYTES_MAX, &text, why));
    enum hf_err err = hf_pem_walk(hf_buf_bytes(&text), take_block, &sent, why);
    hf_buf_free(&text);
    if (host == NULL && hf_endpoint_url_parse(name, &url, NULL) == HF_OK)
        host = url.peer.host;
    if (err == HF_OK)
        err = hf_lint_chain_new(name, path.text, host, &sent, &chain, why);
    hf_chain_free(&sent);
    if (err != HF_OK)
        return hf_fail_context(why, "%s", path.text);
    chain->is_devices = is_devices;
    if (doubt != NULL && (chain->doubt = strdup(doubt)) == NULL) {
        hf_lint_chain_free(chain);
        return no_memory(why);
    }
    return hf_lint_endpoints_add_take(r->endpoints, chain, why);
}

/* Of an endpoint: a file, the address of a server, or @FILE of AWS. */
static enum hf_err take_source(const struct reading *r, const char *name, const char *source,
                               struct hf_why *why)
{
    struct hf_endpoint_url url;
    struct hf_path path;
    if (source[0] == '@') {
        HF_TRY(find_file(r, source + 1, &path, why));
        HF_TRY(read_answer_of_aws(path.text, &url, why));
    } else if (strstr(source, "://") == NULL) {
        return take_file(r, name, source, false, NULL, NULL, why);
    } else if (hf_endpoint_url_parse(source, &url, why) != HF_OK) {
        return hf_fail_context(why, "%s, line %zu", r->file, r->line);
    }
    return add_live(r->endpoints, name, &url, why);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* The next word; NULL at the line's end. */
static char *next_word(char **rest)
{
    char *word;
    while ((word = strsep(rest, " \t")) != NULL && word[0] == '\0')
        continue;
    return word;
}

static enum hf_err take_line(const struct reading *r, char *line, struct hf_why *why)
{
    const char *kind = next_word(&line);
    if (kind == NULL || kind[0] == '#')
        return HF_OK;
    const char *name = next_word(&line);
    bool is_refused = strcmp(kind, "refused") == 0;
    bool is_silent = is_refused || strcmp(kind, "silent") == 0,
         is_unproved = strcmp(kind, "unproved") == 0;
    bool is_devices = strcmp(kind, "device") == 0, is_endpoint = strcmp(kind, "endpoint") == 0;
    bool is_shown = strcmp(kind, "shown") == 0;
    const char *source = is_silent ? NULL : next_word(&line);
    const char *reason = line != NULL && line[0] != '\0' ? line : "no reason given";
    if (is_silent && name != NULL)
        return hf_lint_endpoints_add_silence(r->endpoints, name, reason, is_refused, why);
    if (is_unproved && source != NULL)
        return take_file(r, name, source, false, reason, NULL, why);
    const char *host = is_shown ? next_word(&line) : NULL;
    if (host != NULL)
        return take_file(r, name, source, false, NULL, host, why);
    if (source == NULL || (!is_devices && !is_endpoint))
        return hf_fail(why, HF_E_FORMAT,
                       "%s, line %zu: expected endpoint NAME CHAIN.pem, endpoint NAME mqtts://HOST "
                       "or device NAME CHAIN.pem",
                       r->file, r->line);
    for (; source != NULL; source = next_word(&line))
        HF_TRY(is_devices ? take_file(r, name, source, true, NULL, NULL, why)
                          : take_source(r, name, source, why));
    return HF_OK;
}

/* Names and reasons are repeated on terminals and in reports. */
static enum hf_err check_line(const struct reading *r, const char *line, struct hf_why *why)
{
    while (*line != '\0') {
        size_t len = *line == '\t' ? 1 : hf_plain_char_len(line);
        if (len == 0)
            return hf_fail(why, HF_E_FORMAT,
                           "%s, line %zu: it holds byte 0x%02x, which is no plain text; printable "
                           "characters in UTF-8 are expected",
                           r->file, r->line, (unsigned char)*line);
        line += len;
    }
    return HF_OK;
}

static enum hf_err take_list(struct hf_lint_endpoints *e, const char *file, struct hf_why *why)
{
    struct reading r = {.endpoints = e, .file = file};
    struct hf_buf text = {0};
    struct hf_why all = {0}; /* what is wrong with the lines */
    enum hf_err err = HF_OK, worst = HF_OK;
    char *line, *rest = NULL;
    HF_TRY(hf_file_read_any(file, ENDPOINTS_BYTES_MAX, &text, why));
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
        err = hf_fail(why, HF_E_FORMAT,
                      "%s: expected text in UTF-8, found a byte 0x00; is it UTF-16? "
                      "Convert it: `iconv -f UTF-16 -t UTF-8`",
                      file);
    else if (text.len > 0)
        rest = (char *)text.data + hf_plain_mark_len(hf_buf_bytes(&text));
    while (err == HF_OK && (line = strsep(&rest, "\n")) != NULL) {
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r') /* as editors elsewhere end a line */
            line[len - 1] = '\0';
        r.line++;
        struct hf_why one = {0};
        enum hf_err fault = check_line(&r, line, &one);
        if (fault == HF_OK)
            fault = take_line(&r, line, &one);
        if (fault != HF_OK)
            hf_text_append(all.text, sizeof all.text, "%s%s", worst == HF_OK ? "" : "; ", one.text);
        worst = worst == HF_OK ? fault : worst;
    }
    if (err == HF_OK && worst != HF_OK)
        err = hf_fail(why, worst, "%s", all.text);
    if (err == HF_OK && e->n_chains + e->n_live + e->n_silences == 0)
        err = hf_fail(why, HF_E_FORMAT, "%s names no endpoint", file);
    hf_buf_free(&text);
    return err;
}

enum hf_err hf_lint_endpoints_read(const struct hf_lint_sources *sources,
                                   struct hf_lint_endpoints *out, struct hf_why *why)
{
    struct hf_lint_endpoints endpoints = {0};
    enum hf_err err = HF_OK;
    if (sources->file != NULL)
        err = take_list(&endpoints, sources->file, why);
    /* --endpoint: an address, the JSON that AWS prints, or @FILE with that. */
    for (const char *const *a = sources->addresses; err == HF_OK && a != NULL && *a != NULL; a++) {
        char name[HF_ENDPOINT_URL_TEXT];
        struct hf_endpoint_url url;
        if (**a == '@')
            err = read_answer_of_aws(*a + 1, &url, why);
        else if (**a == '{')
            err = hf_endpoint_url_parse_json(hf_bytes_of_text(*a), &url, why);
        else
            err = hf_endpoint_url_parse(*a, &url, why);
        if (err == HF_OK) {
            hf_endpoint_url_format(&url, name);
            err = add_live(&endpoints, name, &url, why);
        }
        if (err != HF_OK)
            (void)hf_fail_context(why, "--endpoint");
    }
    if (err == HF_OK)
        *out = endpoints;
    else
        hf_lint_endpoints_free(&endpoints);
    return err;
}
