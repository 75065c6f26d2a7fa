/*
 * server/publish/lint/lint_endpoints: the list of endpoints, then what AWS printed, which a line
 * may name as @answer.json; chain-1.pem and chain-2.pem lie beside it. No server is asked. All that
 * is read can be shown on a terminal, and what of it is saved is the same when read again.
 */
#include "tests/fuzz/scratch.h"

#include "common/base/plaintext.h"
#include "server/publish/lint/lint_endpoints.h"
#include "tests/support/test_pki.h"

#include <unistd.h>

#define NOW_S INT64_C(1900000000)

static void make_chains(void)
{
    static bool is_made;
    struct hf_buf one = {0}, two = {0};
    struct hf_why why = {0};
    struct pki_key key;

    if (is_made)
        return;
    is_made = true;
    pki_key_make(&key, PKI_P256);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=one", .key = &key, .dns_name = "one.example"},
                  &one);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=\xc2\x9b two", .key = &key}, &two);
    FUZZ_OK(hf_buf_append(&two, one.data, one.len), &why);
    scratch_write(scratch_path("chain-1.pem"), hf_buf_bytes(&one));
    scratch_write(scratch_path("chain-2.pem"), hf_buf_bytes(&two));
    hf_buf_free(&one);
    hf_buf_free(&two);
    pki_key_free(&key);
}

/* ---- what was read --------------------------------------------------------------------------- */

static void check_plain(const char *text)
{
    FUZZ_CHECK(text[0] != '\0');
    for (size_t len; *text != '\0'; text += len) {
        len = *text == '\t' ? 1 : hf_plain_char_len(text);
        FUZZ_CHECK(len > 0);
    }
}

/* It stands between blanks in a list. */
static void check_name(const char *name)
{
    check_plain(name);
    FUZZ_CHECK(strpbrk(name, " \t\r\n") == NULL);
}

static void check_bounds(const struct hf_lint_endpoints *e)
{
    FUZZ_CHECK(e->n_chains <= HF_LINT_CHAINS_MAX && e->n_live <= HF_LINT_LIVE_MAX);
    FUZZ_CHECK(e->n_chains + e->n_live + e->n_silences > 0);
}

static void check_all(const struct hf_lint_endpoints *e)
{
    check_bounds(e);
    for (size_t i = 0; i < e->n_chains; i++) {
        const struct hf_lint_chain *chain = e->chains[i];
        check_name(chain->name);
        FUZZ_CHECK(chain->sent.n_certs > 0 && chain->sent.n_certs <= HF_CHAIN_CERTS_MAX &&
                   !chain->is_live);
        if (chain->doubt != NULL)
            check_plain(chain->doubt);
    }
    for (size_t i = 0; i < e->n_silences; i++) {
        check_name(e->silences[i].name);
        check_plain(e->silences[i].why);
    }
    for (size_t i = 0; i < e->n_live; i++) {
        check_name(e->live[i].name);
        FUZZ_CHECK(e->live[i].url.peer.host[0] != '\0' && e->live[i].url.peer.port != 0);
    }
}

/* ---- saved, and read again ------------------------------------------------------------------- */

static void check_same(const struct hf_lint_endpoints *a, const struct hf_lint_endpoints *b)
{
    FUZZ_CHECK(a->n_chains == b->n_chains && a->n_silences == b->n_silences && b->n_live == 0);
    for (size_t i = 0; i < a->n_chains; i++) {
        const struct hf_lint_chain *x = a->chains[i], *y = b->chains[i];
        FUZZ_CHECK(strcmp(x->name, y->name) == 0 && x->sent.n_certs == y->sent.n_certs);
        FUZZ_CHECK((x->doubt == NULL) == (y->doubt == NULL));
        FUZZ_CHECK(x->doubt == NULL || strcmp(x->doubt, y->doubt) == 0);
        FUZZ_CHECK(x->is_devices == y->is_devices);
        FUZZ_CHECK((x->host == NULL) == (y->host == NULL));
        FUZZ_CHECK(x->host == NULL || x->doubt != NULL || strcmp(x->host, y->host) == 0);
        for (size_t j = 0; j < x->sent.n_certs; j++)
            FUZZ_CHECK(memcmp(x->certs[j].sha256, y->certs[j].sha256, HF_SHA256_LEN) == 0);
    }
    for (size_t i = 0; i < a->n_silences; i++) {
        FUZZ_CHECK(strcmp(a->silences[i].name, b->silences[i].name) == 0);
        FUZZ_CHECK(strcmp(a->silences[i].why, b->silences[i].why) == 0);
    }
}

static void remove_saved(size_t n_chains)
{
    char name[64];
    for (size_t i = 0; i < n_chains; i++) {
        snprintf(name, sizeof name, "saved/chain-%zu.pem", i + 1);
        FUZZ_CHECK(unlink(scratch_path(name)) == 0);
    }
    FUZZ_CHECK(unlink(scratch_path("saved/endpoints.txt")) == 0);
    FUZZ_CHECK(rmdir(scratch_path("saved")) == 0); /* nothing else was written */
}

static void check_saved(const struct hf_lint_endpoints *e)
{
    const struct hf_lint_sources sources = {.file = scratch_path("saved/endpoints.txt")};
    struct hf_lint_endpoints again = {0};
    struct hf_why why = {0};

    FUZZ_OK(hf_lint_endpoints_save(e, scratch_path("saved"), NOW_S, &why), &why);
    enum hf_err err = hf_lint_endpoints_read(&sources, &again, &why);
    if (e->n_chains + e->n_silences > 0) {
        FUZZ_OK(err, &why);
        check_same(e, &again);
    } else {
        fuzz_check_refusal(err, &why);
    }
    hf_lint_endpoints_free(&again);
    remove_saved(e->n_chains);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_lint_endpoints endpoints = {0};
    struct hf_why why = {0};

    make_chains();
    const char *list = scratch_path("endpoints.txt");
    scratch_write(list, fuzz_section(&in));
    scratch_write(scratch_path("answer.json"), (struct hf_bytes){in.data, in.len});
    const struct hf_lint_sources sources = {.file = list};
    enum hf_err err = hf_lint_endpoints_read(&sources, &endpoints, &why);
    if (err == HF_OK) {
        check_all(&endpoints);
        check_saved(&endpoints);
    } else {
        fuzz_check_refusal(err, &why);
        FUZZ_CHECK(endpoints.n_chains + endpoints.n_live + endpoints.n_silences == 0);
    }
    hf_lint_endpoints_free(&endpoints);
    return 0;
}
