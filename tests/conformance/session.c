#include "tests/conformance/session.h"

#include "client/core/refresh.h"
#include "tests/support/find_target.h"
#include "common/os/file_util.h"
#include "client/port/posix/http.h"
#include "client/port/posix/system.h"
#include "common/base/percent.h"
#include "tests/conformance/file_store.h"
#include "tests/conformance/two_urls.h"

#include <stdio.h>

#define TARGET_BYTES_MAX (16u * 1024u * 1024u)
#define FILE_MODE 0644

struct session {
    struct file_store store;
    struct two_urls urls;
    struct hf_trust_store *trust_store;
    struct hf_http_transport *http;
    struct hf_client *client; /* NULL during init */
};

/* ---- ports ----------------------------------------------------------------------------------- */

static void write_log(void *ctx, enum hf_level level, const char *text)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "holdfast-conformance: %s\n", text);
}

static enum hf_err swap(void *ctx, const struct hf_trust_anchor *anchors, size_t n_anchors,
                        struct hf_why *why)
{
    (void)ctx;
    (void)anchors;
    return hf_fail(why, HF_E_STATE, "%zu anchors for a client that has no bundles", n_anchors);
}

static void set_clock_floor(void *ctx, int64_t floor_s)
{
    (void)ctx;
    (void)floor_s;
}

static struct hf_ports ports_of(struct session *s)
{
    return (struct hf_ports){
        .transport = two_urls_port(&s->urls),
        .store = file_store_port(&s->store),
        .clock = hf_system_clock_port(),
        .random = hf_system_random_port(),
        .log = {.write = write_log},
        .trust = {.swap = swap, .set_clock_floor = set_clock_floor},
    };
}

static struct hf_client_config config_of(void)
{
    static const char *const urls[] = {REPOSITORY_URL};
    return (struct hf_client_config){.urls = urls,
                                     .n_urls = 1,
                                     .set = "conformance",
                                     .profile = "full"};
}

/* ---- open and close -------------------------------------------------------------------------- */

static enum hf_err open_client(struct session *s, struct hf_why *why)
{
    struct hf_ports ports = ports_of(s);
    struct hf_client_config config = config_of();

    HF_TRY(hf_trust_store_new(&s->trust_store, why));
    HF_TRY(hf_http_transport_new(s->trust_store, NULL, false, &s->http, why));
    s->urls.http = hf_http_transport_port(s->http);
    HF_TRY(hf_client_open(&ports, &config, &s->client, why));
    hf_state_load(s->client);
    hf_mirrors_begin_check(s->client);
    return HF_OK;
}

static void close_client(struct session *s)
{
    hf_client_close(s->client);
    hf_http_transport_free(s->http);
    hf_trust_store_free(s->trust_store);
}

static struct session session_of(const struct session_options *options)
{
    return (struct session){
        .store = {options->metadata_dir},
        .urls = {.metadata_url = options->metadata_url, .targets_url = options->target_base_url},
    };
}

/* ---- targets --------------------------------------------------------------------------------- */

/* The whole path in one name, so that none leads out of the folder. */
static enum hf_err file_path(const char *dir, const char *target, struct hf_buf *out,
                             struct hf_why *why)
{
    if (hf_buf_printf(out, "%s/", dir) != HF_OK || hf_percent_encode(target, "", out) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the name of a file");
    return HF_OK;
}

static bool is_there(const char *file, const struct hf_target *target)
{
    struct hf_buf content = {0};
    struct hf_why why = {0};
    bool is_same = hf_file_read(file, TARGET_BYTES_MAX, &content, &why) == HF_OK &&
                   hf_file_info_verify(&target->info, hf_buf_bytes(&content), file, &why) == HF_OK;
    hf_buf_free(&content);
    return is_same;
}

static enum hf_err download_to(struct session *s, const struct hf_target *target, const char *file,
                               struct hf_why *why)
{
    struct hf_buf content = {0};
    HF_TRY(hf_fetch_target(s->client, target, TARGET_BYTES_MAX, &content, why));
    enum hf_err err = hf_file_place(file, hf_buf_bytes(&content), FILE_MODE, why);
    hf_buf_free(&content);
    return err;
}

static enum hf_err download(struct session *s, const char *dir, const char *name,
                            struct hf_why *why)
{
    const struct hf_target *target = NULL;
    struct hf_buf file = {0};

    HF_TRY(hf_find_target(s->client, name, &target, why));
    if (target == NULL)
        return hf_fail(why, HF_E_NOT_FOUND, "no role that may speak for %s lists it", name);
    enum hf_err err = file_path(dir, name, &file, why);
    if (err == HF_OK && !is_there((const char *)file.data, target))
        err = download_to(s, target, (const char *)file.data, why);
    hf_buf_free(&file);
    return err;
}

/* ---- commands -------------------------------------------------------------------------------- */

enum hf_err session_init(const struct session_options *options, const char *root_file,
                         struct hf_why *why)
{
    struct session s = session_of(options);
    struct hf_ports ports = ports_of(&s);
    struct hf_client_config config = config_of();
    struct hf_buf root = {0};

    HF_TRY(hf_file_read(root_file, HF_ROOT_BYTES_MAX, &root, why));
    enum hf_err err = hf_client_provision(&ports, &config, hf_buf_bytes(&root),
                                          (struct hf_bytes){0}, why);
    hf_buf_free(&root);
    return err;
}

/* With the receipts that a device keeps at the end of its check. */
static enum hf_err refresh(struct session *s, struct hf_why *why)
{
    struct hf_receipts receipts;

    HF_TRY(hf_refresh(s->client, why));
    if (hf_trusted_set_receipts(&s->client->trusted, &receipts))
        hf_receipts_keep(s->client, &receipts);
    HF_TRY(hf_state_begin(s->client, why));
    return hf_state_end(s->client, HF_OK, why);
}

enum hf_err session_refresh(const struct session_options *options, struct hf_why *why)
{
    struct session s = session_of(options);
    enum hf_err err = open_client(&s, why);
    if (err == HF_OK)
        err = refresh(&s, why);
    close_client(&s);
    return err;
}

enum hf_err session_download(const struct session_options *options, struct hf_why *why)
{
    struct session s = session_of(options);
    enum hf_err err = open_client(&s, why);
    if (err == HF_OK)
        err = refresh(&s, why);
    for (const char *const *name = options->target_names; err == HF_OK && *name != NULL; name++)
        err = download(&s, options->target_dir, *name, why);
    close_client(&s);
    return err;
}
