#include "server/serve/webhook.h"

#include "common/base/digest.h"
#include "common/json/json.h"
#include "common/os/file_util.h"
#include "common/os/service.h"
#include "server/findings/finding_json.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_EVERY_S 5
#define TRY_TIMEOUT_S 15L
#define RETRY_FIRST_S 10
#define RETRY_MAX_S 900
#define WARN_EVERY_S 3600 /* the same fault */
#define REFUSED_MAX 32u   /* in one pass: eight minutes at most, if the receiver answers none */
#define SECRET_MIN 16u
#define SECRET_MAX 256u

struct hf_webhook_target {
    char *url;
    struct hf_buf secret; /* wiped at the end */
    CURL *curl;
};

struct hf_webhook {
    struct hf_fleet *fleet;
    struct hf_webhook_target *target; /* the thread's; NULL: none */
    struct hf_db *db;                 /* for reading */
    struct hf_webhook_numbers numbers;
    int64_t after;    /* the finding that was tried last in the pass under way; 0: a pass begins */
    int64_t retry_s;  /* 0: the last pass succeeded */
    int64_t warned_s; /* when a fault was logged; 0: there is none */

    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t changed;
    struct hf_webhook_target *fresh; /* offered, under the mutex */
    atomic_bool has_fresh;
    atomic_bool is_ending;
};

/* A finding in one of its versions, as it is sent. */
struct delivery {
    int64_t id, version; /* id 0: there is none to deliver */
    struct hf_buf body;
};

/* ---- one delivery ---------------------------------------------------------------------------- */

/* "t=TIME,v1=HEX" for `body`. */
#define SIGNATURE_MAX 96
static void sign(struct hf_bytes secret, int64_t time_s, struct hf_bytes body,
                 char out[SIGNATURE_MAX])
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof mac + 1], prefix[32];
    crypto_auth_hmacsha256_state state;

    (void)snprintf(prefix, sizeof prefix, "%" PRId64 ".", time_s);
    crypto_auth_hmacsha256_init(&state, secret.data, secret.len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)prefix, strlen(prefix));
    crypto_auth_hmacsha256_update(&state, body.data, body.len);
    crypto_auth_hmacsha256_final(&state, mac);
    hf_hex_encode(mac, sizeof mac, hex);
    (void)snprintf(out, SIGNATURE_MAX, "t=%" PRId64 ",v1=%s", time_s, hex);
}

/* What the receiver answers is not read. */
static size_t drop(char *data, size_t size, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * n;
}

static int may_go_on(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct hf_webhook *w = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(&w->is_ending);
}

static struct curl_slist *make_headers(const struct hf_webhook *w, const struct delivery *d)
{
    char signature[SIGNATURE_MAX], texts[2][128];
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

    sign(hf_buf_bytes(&w->target->secret), (int64_t)time(NULL), hf_buf_bytes(&d->body), signature);
    (void)snprintf(texts[0], sizeof texts[0], "Holdfast-Signature: %s", signature);
    (void)snprintf(texts[1], sizeof texts[1], "Holdfast-Delivery: %" PRId64 "-%" PRId64, d->id,
                   d->version);
    for (size_t i = 0; i < 2; i++) {
        struct curl_slist *longer = headers != NULL ? curl_slist_append(headers, texts[i]) : NULL;
        if (longer == NULL)
            curl_slist_free_all(headers);
        headers = longer;
    }
    return headers;
}

/* HF_E_POLICY: the receiver has got the request and has not taken it. HF_E_NETWORK: it was not
 * reached. */
static enum hf_err judge(CURL *curl, CURLcode code, int64_t id, struct hf_why *why)
{
    long status = 0, sent = 0;
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
        curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent) != CURLE_OK)
        return hf_fail(why, HF_E_NETWORK, "the outcome of a delivery is unknown");
    if (code != CURLE_OK)
        return hf_fail(why, sent > 0 ? HF_E_POLICY : HF_E_NETWORK, "finding %" PRId64 ": %s", id,
                       curl_easy_strerror(code));
    if (status < 200 || status > 299)
        return hf_fail(why, HF_E_POLICY, "finding %" PRId64 ": expected an answer 2xx, found %ld",
                       id, status);
    return HF_OK;
}

static enum hf_err post(struct hf_webhook *w, const struct delivery *d, struct hf_why *why)
{
    CURL *curl = w->target->curl;
    struct curl_slist *headers = make_headers(w, d);
    if (headers == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a delivery");
    CURLcode code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, w);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)d->body.data);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)d->body.len);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    enum hf_err err = judge(curl, code, d->id, why);
    curl_slist_free_all(headers);
    return err;
}

static const char *event_of(const struct hf_finding *row)
{
    if (row->state == HF_FINDING_CLOSED)
        return "closed";
    if (row->state == HF_FINDING_MUTED)
        return "muted";
    return row->version == 1 ? "opened" : "changed";
}

/* ---- those that are due ---------------------------------------------------------------------- */

static enum hf_err prepare(void *ctx, const void *data, struct hf_why *why)
{
    struct delivery *d = ctx;
    const struct hf_finding *row = data;
    json_t *value = json_pack("{s:s, s:o}", "event", event_of(row), "finding",
                              hf_finding_json(row));
    if (value == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a delivery");
    d->id = row->id;
    d->version = row->version;
    enum hf_err err = hf_json_write(value, &d->body, why);
    json_decref(value);
    return err;
}

static enum hf_err mark(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct delivery *d = what;
    return hf_finding_note_delivered(tx, d->id, d->version, why);
}

/* The next that is due; `*is_idle` if there was none. The database is not held while it is sent. */
static enum hf_err deliver_one(struct hf_webhook *w, bool *is_idle, struct hf_why *why)
{
    struct delivery d = {0};
    HF_TRY(hf_db_begin(w->db, why));
    enum hf_err err = hf_finding_give_due(w->db, (int64_t)time(NULL), w->after, prepare, &d, why);
    hf_db_rollback(w->db);
    *is_idle = err == HF_OK && d.id == 0;
    if (err == HF_OK && d.id != 0) {
        err = post(w, &d, why);
        hf_count(err == HF_OK ? &w->numbers.delivered : &w->numbers.failed, 1);
        if (err == HF_OK)
            err = hf_fleet_write_wait(w->fleet, mark, &d, why);
        if (err == HF_OK || err == HF_E_POLICY)
            w->after = d.id;
    }
    hf_buf_free(&d.body);
    return err;
}

static bool must_stop(const struct hf_webhook *w)
{
    return atomic_load(&w->is_ending) || atomic_load(&w->has_fresh);
}

/* Those that are due, in their order, from where the last pass ended. What the receiver does not
 * take waits for the next pass and holds back none of the others: a filter before the receiver may
 * dislike a text that a device has written. HF_OK: none of them failed. */
static enum hf_err pass(struct hf_webhook *w, bool *is_idle, struct hf_why *why)
{
    unsigned n_refused = 0;
    enum hf_err err = HF_OK;
    *is_idle = false;
    while (!*is_idle && !must_stop(w) && n_refused < REFUSED_MAX) {
        err = deliver_one(w, is_idle, why);
        if (err != HF_OK && err != HF_E_POLICY)
            return err;
        n_refused += err == HF_E_POLICY;
    }
    if (*is_idle)
        w->after = 0;
    return n_refused == 0 ? HF_OK : HF_E_POLICY;
}

static void look(struct hf_webhook *w)
{
    struct hf_why why = {0};
    const int64_t now_s = (int64_t)time(NULL), began = w->after;
    const uint64_t delivered = hf_counted(&w->numbers.delivered);
    bool is_idle = false;
    enum hf_err err = pass(w, &is_idle, &why);
    if (err == HF_OK) {
        if (!is_idle || began != 0) /* some were left out */
            return;
        if (w->warned_s != 0)
            hf_service_log(HF_LOG_INFO, "findings are delivered to the webhook again");
        w->retry_s = w->warned_s = 0;
        return;
    }
    bool is_first = w->retry_s == 0 || hf_counted(&w->numbers.delivered) != delivered;
    w->retry_s = is_first ? RETRY_FIRST_S : 2 * w->retry_s;
    if (w->retry_s > RETRY_MAX_S)
        w->retry_s = RETRY_MAX_S;
    if (atomic_load(&w->is_ending) || (w->warned_s != 0 && now_s - w->warned_s < WARN_EVERY_S))
        return;
    w->warned_s = now_s;
    /* Without its address, which may be a secret as a whole. */
    hf_service_log(HF_LOG_WARNING,
                   "findings cannot be delivered to the webhook: %s. It is tried again", why.text);
}

static void take_fresh(struct hf_webhook *w)
{
    uv_mutex_lock(&w->mutex);
    if (atomic_exchange(&w->has_fresh, false)) {
        hf_webhook_target_free(w->target);
        w->target = w->fresh;
        w->fresh = NULL;
        w->after = w->retry_s = w->warned_s = 0;
    }
    uv_mutex_unlock(&w->mutex);
}

static void run(void *ctx)
{
    struct hf_webhook *w = ctx;
    while (!atomic_load(&w->is_ending)) {
        take_fresh(w);
        if (w->target != NULL)
            look(w);
        int64_t wait_s = w->retry_s > 0 ? w->retry_s : LOOK_EVERY_S;
        uv_mutex_lock(&w->mutex);
        if (!must_stop(w))
            (void)uv_cond_timedwait(&w->changed, &w->mutex, (uint64_t)wait_s * 1000000000u);
        uv_mutex_unlock(&w->mutex);
    }
}

/* ---- start and end --------------------------------------------------------------------------- */

static enum hf_err read_secret(const char *path, struct hf_buf *out, struct hf_why *why)
{
    HF_TRY(hf_file_read_secret(path, SECRET_MAX + 2, out, why));
    size_t len = out->len > 0 ? strcspn((const char *)out->data, "\r\n") : 0;
    if (len < SECRET_MIN || len > SECRET_MAX)
        return hf_fail(why, HF_E_FORMAT,
                       "%s: expected a secret of %u to %u bytes on the first line, found %zu", path,
                       SECRET_MIN, SECRET_MAX, len);
    out->len = len;
    return HF_OK;
}

static enum hf_err set_up_curl(CURL *curl, const struct hf_webhook_config *config,
                               struct hf_why *why)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, config->url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    if (code == CURLE_OK && config->ca_file != NULL)
        code = curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_TIMEOUT, TRY_TIMEOUT_S);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, may_go_on);
    return code == CURLE_OK ? HF_OK
                            : hf_fail(why, HF_E_MEMORY, "a connection cannot be set up: %s",
                                      curl_easy_strerror(code));
}

void hf_webhook_target_free(struct hf_webhook_target *target)
{
    if (target == NULL)
        return;
    if (target->curl != NULL)
        curl_easy_cleanup(target->curl);
    if (target->secret.data != NULL)
        sodium_memzero(target->secret.data, target->secret.len);
    hf_buf_free(&target->secret);
    free(target->url);
    free(target);
}

enum hf_err hf_webhook_target_new(const struct hf_webhook_config *config,
                                  struct hf_webhook_target **out, struct hf_why *why)
{
    struct hf_webhook_target *target = calloc(1, sizeof *target);
    enum hf_err err = HF_OK;
    if (target == NULL || (target->url = strdup(config->url)) == NULL ||
        (target->curl = curl_easy_init()) == NULL)
        err = hf_fail(why, HF_E_MEMORY, "no memory for the webhook");
    if (err == HF_OK)
        err = read_secret(config->secret_file, &target->secret, why);
    if (err == HF_OK)
        err = set_up_curl(target->curl, config, why);
    if (err == HF_OK)
        *out = target;
    else
        hf_webhook_target_free(target);
    return err;
}

static void free_webhook(struct hf_webhook *w)
{
    hf_webhook_target_free(w->target);
    hf_webhook_target_free(w->fresh);
    hf_db_close(w->db);
    free(w);
}

enum hf_err hf_webhook_start_take(struct hf_fleet *fleet, struct hf_webhook_target *target,
                                  struct hf_webhook **out, struct hf_why *why)
{
    struct hf_webhook *w = calloc(1, sizeof *w);
    if (w == NULL) {
        hf_webhook_target_free(target);
        return hf_fail(why, HF_E_MEMORY, "no memory for the webhook");
    }
    w->fleet = fleet;
    w->target = target;
    enum hf_err err = hf_fleet_connect(w->fleet, &w->db, why);
    if (err == HF_OK && uv_mutex_init(&w->mutex) != 0)
        err = hf_fail(why, HF_E_MEMORY, "no thread can be made for the webhook");
    if (err != HF_OK)
        goto out;
    if (uv_cond_init(&w->changed) == 0) {
        if (uv_thread_create(&w->thread, run, w) == 0) {
            *out = w;
            return HF_OK;
        }
        uv_cond_destroy(&w->changed);
    }
    uv_mutex_destroy(&w->mutex);
    err = hf_fail(why, HF_E_MEMORY, "no thread can be made for the webhook");
out:
    free_webhook(w);
    return err;
}

void hf_webhook_offer_take(struct hf_webhook *w, struct hf_webhook_target *target)
{
    uv_mutex_lock(&w->mutex);
    hf_webhook_target_free(w->fresh); /* the thread has not seen it */
    w->fresh = target;
    atomic_store(&w->has_fresh, true);
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
}

void hf_webhook_stop(struct hf_webhook *w)
{
    if (w == NULL)
        return;
    uv_mutex_lock(&w->mutex);
    atomic_store(&w->is_ending, true);
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
    uv_thread_join(&w->thread);
    uv_cond_destroy(&w->changed);
    uv_mutex_destroy(&w->mutex);
    free_webhook(w);
}

const struct hf_webhook_numbers *hf_webhook_numbers(const struct hf_webhook *w)
{
    return &w->numbers;
}
