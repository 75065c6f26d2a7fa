#include "client/core/client_internal.h"

#include "common/base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 2048 /* of a value, with its NUL: an endpoint's is the longest, with 1,700 */
#define NAME_MAX 64   /* of a value, by the port */
#define COUNT_MAX (INT64_C(1) << 53) /* sums with it do not overflow */

/* ---- log and journal ------------------------------------------------------------------------- */

void hf_log(const struct hf_client *c, enum hf_level level, const char *fmt, ...)
{
    char text[HF_WHY_MAX];
    struct hf_why line;
    va_list args;

    if (c->ports.log.write == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)hf_fail(&line, HF_OK, "%s", text); /* one line, whatever the names in it hold */
    c->ports.log.write(c->ports.log.ctx, level, line.text);
}

enum hf_err hf_journal(struct hf_client *c, enum hf_level level, const char *kind, const char *text,
                       struct hf_why *why)
{
    struct hf_event event = {hf_client_now_s(c), level, kind, text};
    hf_log(c, level, "%s", text);
    return c->ports.store.append_event(c->ports.store.ctx, &event, why);
}

void hf_journal_or_log(struct hf_client *c, enum hf_level level, const char *kind, const char *text)
{
    struct hf_why why = {0};
    if (hf_journal(c, level, kind, text, &why) != HF_OK)
        hf_log(c, HF_LEVEL_WARNING, "the journal cannot be written: %s", why.text);
}

enum hf_err hf_journal_skipped(struct hf_client *c, const struct hf_bundle *bundle,
                               struct hf_why *why)
{
    char text[HF_WHY_MAX];

    hf_bundle_skipped_text(bundle, text);
    return text[0] == '\0' ? HF_OK : hf_journal(c, HF_LEVEL_WARNING, "skipped", text, why);
}

enum hf_err hf_report(struct hf_why *why, const struct hf_why *own, enum hf_err err)
{
    if (why != NULL && err != HF_OK)
        *why = *own;
    return err;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A value: whole numbers, a text, or numbers and then a text, with single spaces between. Stored as an
 * empty text if it is absent: if its first number is `absent` or, without numbers, its text is empty. */
static const struct value {
    const char *name;
    size_t numbers; /* where in the state; int64_t in a row */
    size_t n_least;
    size_t n_most;
    int64_t absent;
    size_t text; /* where in the state */
    size_t text_size;
} values[] = {
#define AT(member) offsetof(struct hf_device_state, member)
#define NUMBERS(member, n_least, n_most, absent) AT(member), n_least, n_most, absent, 0, 0
#define TEXT(member) 0, 0, 0, 0, AT(member), sizeof((struct hf_device_state *)0)->member
#define BOTH(number, absent, member)                                                               \
    AT(number), 1, 1, absent, AT(member), sizeof((struct hf_device_state *)0)->member
    {"clock.floor", NUMBERS(clock.root_s, 1, 1, 0)},
    {"clock.targets", BOTH(clock.targets_s, 0, clock.targets_keys)},
#define N_CLOCK_VALUES 2
    {"bundle.of", TEXT(first_set)},
#define N_KEPT_AT_RESET 3
    {"mirror.next", NUMBERS(next_mirror, 1, 1, 0)},
    {"mirror.faults", TEXT(mirror_faults)},
#define N_LOADED_AT_OPEN 5
    {"etag.timestamp", TEXT(etag)},
    {"timestamp.seen", NUMBERS(timestamp_seen_s, 1, 1, HF_TIME_NONE)},
    {"metadata.verified", TEXT(receipts)},
    {"trial", NUMBERS(trial.version, 3, 4, 0)},
    {"preflight.wait", NUMBERS(wait.version, 3, 3, 0)},
    {"endpoints.tried", NUMBERS(endpoints_probed_s, 1, 1, 0)},
    {"recovery.failures", NUMBERS(failures.n_checks, 4, 5, 0)},
    {"recovery.last", BOTH(last_recovery_s, HF_TIME_NONE, last_recovery)},
    {"check.time", NUMBERS(check_time_s, 1, 1, HF_TIME_NONE)},
    {"check.outcome", TEXT(check_outcome)},
    {"check.text", TEXT(check_text)},
    {"check.failures", NUMBERS(check_failures, 1, 1, 0)},
#undef AT
#undef NUMBERS
#undef TEXT
#undef BOTH
};
#define N_VALUES (sizeof values / sizeof values[0])
_Static_assert(N_VALUES <= HF_STATE_VALUES_MAX, "each value has its hash");

/* FNV-1a: is a text what is stored? Not against attackers, who could only keep a value from changing. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return hash;
}

/* At least `n_least` and at most `n_most` whole numbers; several are counts and times that are added to.
 * Returns what follows, NULL if they are not there. */
static const char *parse_numbers(const char *text, int64_t *out, size_t n_least, size_t n_most)
{
    for (size_t n = 1; n <= n_most; n++) {
        char *end = NULL;
        errno = 0;
        const long long number = strtoll(text, &end, 10);
        if (errno != 0 || end == text || number < 0 || (n_most > 1 && number > COUNT_MAX) ||
            (*end != ' ' && *end != '\0'))
            return NULL;
        out[n - 1] = number;
        text = end;
        if (*text == '\0')
            return n >= n_least ? text : NULL;
        if (n < n_most)
            text++;
    }
    return text;
}

/* Nothing is written unless it is such a value. */
static bool parse_value(const struct value *v, const char *text, struct hf_device_state *state)
{
    int64_t numbers[5] = {0};
    const char *rest = text;

    if (v->n_most > 0) {
        rest = parse_numbers(text, numbers, v->n_least, v->n_most);
        if (rest == NULL || (*rest != '\0') != (v->text_size > 0))
            return false;
        rest += v->text_size > 0;
    }
    if (v->text_size > 0) {
        if (strlen(rest) >= v->text_size)
            return false;
        memcpy((char *)state + v->text, rest, strlen(rest) + 1);
    }
    memcpy((char *)state + v->numbers, numbers, v->n_most * sizeof numbers[0]);
    return true;
}

static void make_absent(const struct value *v, struct hf_device_state *state)
{
    if (v->n_most > 0) {
        memset((char *)state + v->numbers, 0, v->n_most * sizeof(int64_t));
        memcpy((char *)state + v->numbers, &v->absent, sizeof v->absent);
    }
    if (v->text_size > 0)
        ((char *)state)[v->text] = '\0';
}

static void format_value(const struct value *v, const struct hf_device_state *state,
                         char out[TEXT_MAX])
{
    int64_t numbers[5];
    size_t len = 0;

    out[0] = '\0';
    memcpy(numbers, (const char *)state + v->numbers, v->n_most * sizeof numbers[0]);
    if (v->n_most > 0 && numbers[0] == v->absent)
        return;
    for (size_t i = 0; i < v->n_most; i++)
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%" PRId64, i > 0 ? " " : "",
                                numbers[i]);
    if (v->text_size > 0)
        (void)snprintf(out + len, TEXT_MAX - len, "%s%s", len > 0 ? " " : "",
                       (const char *)state + v->text);
}

/* Empty if there is none; cut if it is too long to be one of ours. */
static enum hf_err load_text(struct hf_client *c, const char *name, char out[TEXT_MAX],
                             struct hf_why *why)
{
    struct hf_buf value = {0};
    enum hf_err err = c->ports.store.load_value(c->ports.store.ctx, name, &value, why);

    if (err == HF_OK || err == HF_E_NOT_FOUND) {
        (void)snprintf(out, TEXT_MAX, "%s", value.len > 0 ? (const char *)value.data : "");
        err = HF_OK;
    }
    hf_buf_free(&value);
    return err;
}

/* Save a text unless it is what is stored: flash wears out. */
static enum hf_err save_text(struct hf_client *c, const char *name, const char *text,
                             uint64_t *stored, struct hf_why *why)
{
    const uint64_t hash = hash_of(text);

    if (hash == *stored)
        return HF_OK;
    HF_TRY(c->ports.store.save_value(c->ports.store.ctx, name, text, why));
    *stored = hash;
    return HF_OK;
}

/* Once for all values: most likely the whole store cannot be read. */
static void log_unread(const struct hf_client *c, const char *name, const struct hf_why *why,
                       bool *has_failed)
{
    if (!*has_failed)
        hf_log(c, HF_LEVEL_WARNING, "the stored value \"%s\" cannot be read: %s", name, why->text);
    *has_failed = true;
}

static void load_value(struct hf_client *c, size_t i, bool *has_failed)
{
    const struct value *v = &values[i];
    struct hf_device_state *s = &c->state;
    struct hf_why why = {0};
    char text[TEXT_MAX];

    enum hf_err err = load_text(c, v->name, text, &why);
    if (err == HF_OK) {
        s->stored[i] = hash_of(text);
        if (text[0] != '\0' && parse_value(v, text, s))
            return;
        make_absent(v, s);
        if (text[0] != '\0')
            hf_log(c, HF_LEVEL_WARNING,
                   "the stored value \"%s\" is damaged, it counts as absent: \"%s\"", v->name,
                   text);
        return;
    }
    log_unread(c, v->name, &why, has_failed);
    if (i >= N_CLOCK_VALUES)
        make_absent(v, s);
    format_value(v, s, text); /* so that it is not overwritten */
    s->stored[i] = hash_of(text);
}

/* ---- which bundle versions may come ---------------------------------------------------------- */

/* The set that the device began with has the plain names of values, any other one a suffix. */
static void limits_suffix(const struct hf_client *c, const char *set, const char *profile,
                          char out[sizeof((struct hf_version_limits *)0)->suffix])
{
    char ours[sizeof c->state.first_set], hex[HF_SHA256_HEX_LEN];

    out[0] = '\0';
    (void)snprintf(ours, sizeof ours, "%s/%s", set, profile);
    if (c->state.first_set[0] == '\0' || strcmp(c->state.first_set, ours) == 0)
        return;
    hf_sha256_hex(hf_bytes_of_text(ours), hex);
    (void)snprintf(out, sizeof((struct hf_version_limits *)0)->suffix, ".%.32s", hex);
}

static const char *const limit_names[] = {"bundle.keys", "bundle.floor", "bundle.rejected"};

/* Versions in decimal with single spaces between them. */
static bool parse_rejected(const char *text, struct hf_version_limits *out)
{
    while (*text != '\0') {
        int64_t version = 0;
        const char *rest = parse_numbers(text, &version, 1, 1);
        if (rest == NULL || out->n_rejected == HF_REJECTED_MAX)
            return false;
        out->rejected[out->n_rejected++] = version;
        text = *rest == ' ' ? rest + 1 : rest;
    }
    return true;
}

static void limits_load(struct hf_client *c, const char *set, const char *profile,
                        struct hf_version_limits *out)
{
    struct hf_why why = {0};
    char name[NAME_MAX + 1], text[TEXT_MAX];

    *out = (struct hf_version_limits){0};
    limits_suffix(c, set, profile, out->suffix);
    for (size_t i = 0; i < 3 && out->fault == HF_OK; i++) {
        (void)snprintf(name, sizeof name, "%s%s", limit_names[i], out->suffix);
        out->fault = load_text(c, name, text, &why);
        out->is_unread = out->fault != HF_OK;
        if (out->is_unread)
            break;
        out->stored[i] = hash_of(text);
        if (i == 0)
            (void)snprintf(out->keys, sizeof out->keys, "%.64s", text);
        else if (i == 1 && text[0] != '\0' &&
                 (parse_numbers(text, &out->lowest, 1, 1) == NULL || strchr(text, ' ') != NULL))
            out->fault = hf_fail(&why, HF_E_STORAGE,
                                 "expected the stored value \"bundle.floor\" to be a whole number, "
                                 "found \"%s\"",
                                 text);
        else if (i == 2 && !parse_rejected(text, out))
            out->fault = hf_fail(&why, HF_E_STORAGE,
                                 "expected the stored value \"bundle.rejected\" to be at most %d "
                                 "version numbers, found \"%s\"",
                                 HF_REJECTED_MAX, text);
    }
    (void)snprintf(out->fault_text, sizeof out->fault_text, "%.199s", why.text);
}

struct hf_version_limits *hf_state_limits_of(struct hf_client *c, const char *set,
                                             const char *profile)
{
    if (strcmp(set, c->set) == 0 && strcmp(profile, c->profile) == 0)
        return &c->state.limits;
    limits_load(c, set, profile, &c->state.other_limits);
    return &c->state.other_limits;
}

/* What is damaged stays as it is: nothing that was rejected may come back. */
static enum hf_err limits_save(struct hf_client *c, struct hf_version_limits *limits,
                               struct hf_why *why)
{
    char name[NAME_MAX + 1], text[TEXT_MAX];

    for (size_t i = 0; i < 3 && limits->fault == HF_OK; i++) {
        size_t len = 0;
        text[0] = '\0';
        if (i == 0)
            (void)snprintf(text, sizeof text, "%s", limits->keys);
        else if (i == 1 && limits->keys[0] != '\0')
            (void)snprintf(text, sizeof text, "%" PRId64, limits->lowest);
        for (size_t k = 0; i == 2 && k < limits->n_rejected; k++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%" PRId64, k > 0 ? " " : "",
                                    limits->rejected[k]);
        (void)snprintf(name, sizeof name, "%s%s", limit_names[i], limits->suffix);
        HF_TRY(save_text(c, name, text, &limits->stored[i], why));
    }
    return HF_OK;
}

enum hf_err hf_client_keep_floors(struct hf_client *client, struct hf_why *why)
{
    struct hf_device_state *s = &client->state;
    struct hf_store_port *store = &client->ports.store;
    struct hf_why own = {0};

    hf_state_load(client);
    if (s->first_set[0] != '\0')
        return HF_OK;
    (void)snprintf(s->first_set, sizeof s->first_set, "%s/%s", client->set, client->profile);
    return hf_report(why, &own, store->save_value(store->ctx, "bundle.of", s->first_set, &own));
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/*
 * Two values for each endpoint and type of key: "NAME SEEN LEAF_NOT_BEFORE LEAF_NOT_AFTER SPKI… =ROOT",
 * times in seconds, hashes in hex, and "NAME SINCE CAUSE ROOT". Records of earlier versions lack the
 * subject of the root. The name tells whether another endpoint was configured under the same number.
 */

struct hf_endpoint_state *hf_state_endpoint(struct hf_client *c, size_t endpoint,
                                            enum hf_key_type type)
{
    return &c->state.endpoints[endpoint * HF_KEY_TYPES + (size_t)type];
}

static void endpoint_value_name(size_t endpoint, int type, bool is_loss, char out[NAME_MAX + 1])
{
    static const char *const types[] =
        {[HF_KEY_TYPE_RSA] = "rsa", [HF_KEY_TYPE_ECC] = "ecc", [HF_KEY_TYPE_ANY] = "any"};
    (void)snprintf(out, NAME_MAX + 1, "endpoint.%zu.%s%s", endpoint, types[type],
                   is_loss ? ".lost" : "");
}

static const char *const loss_causes[] = {
    [HF_LOSS_MISSING] = "missing",       [HF_LOSS_REVOKED] = "revoked",
    [HF_LOSS_DISTRUSTED] = "distrusted", [HF_LOSS_REMOVED] = "removed",
    [HF_LOSS_EXPIRED] = "expired",
};
#define N_LOSS_CAUSES (sizeof loss_causes / sizeof loss_causes[0])

/* What follows the name, which must be that of the endpoint. */
static const char *skip_name(const char *text, const char *name)
{
    const size_t len = strlen(name);
    return strncmp(text, name, len) == 0 && text[len] == ' ' ? text + len + 1 : NULL;
}

static bool parse_memory(const char *text, const char *name, struct hf_endpoint_memory *out)
{
    int64_t times[3];

    text = skip_name(text, name);
    if (text != NULL)
        text = parse_numbers(text, times, 3, 3);
    if (text == NULL)
        return false;
    out->seen_s = times[0];
    out->leaf_not_before_s = times[1];
    out->leaf_not_after_s = times[2];
    while (*text == ' ') {
        char hex[HF_SHA256_HEX_LEN];
        if (text[1] == '=') {
            (void)snprintf(out->root, sizeof out->root, "%s", text + 2);
            return true;
        }
        const size_t len = strcspn(++text, " ");
        if (len != sizeof hex - 1 || out->n_anchors == HF_OBSERVED_ANCHORS_MAX)
            return false;
        (void)snprintf(hex, sizeof hex, "%s", text);
        if (!hf_hex_decode(hex, out->anchors[out->n_anchors++], HF_SHA256_LEN))
            return false;
        text += len;
    }
    return true;
}

static bool parse_loss(const char *text, const char *name, struct hf_loss *out)
{
    text = skip_name(text, name);
    if (text != NULL)
        text = parse_numbers(text, &out->since_s, 1, 1);
    if (text == NULL || *text++ != ' ')
        return false;
    for (size_t i = 0; i < N_LOSS_CAUSES; i++) {
        const char *root = skip_name(text, loss_causes[i]);
        if (root == NULL)
            continue;
        out->cause = (enum hf_loss_cause)i;
        (void)snprintf(out->root, sizeof out->root, "%s", root);
        return true;
    }
    return false;
}

static void format_memory(const char *name, const struct hf_endpoint_memory *m, char out[TEXT_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    if (m->seen_s == HF_TIME_NONE || m->n_anchors == 0)
        return;
    /* Stored times are not negative, and no distrust_after depends on what was before 1970. */
    len = (size_t)snprintf(out, TEXT_MAX, "%s %" PRId64 " %" PRId64 " %" PRId64, name, m->seen_s,
                           m->leaf_not_before_s > 0 ? m->leaf_not_before_s : 0,
                           m->leaf_not_after_s > 0 ? m->leaf_not_after_s : 0);
    for (size_t i = 0; i < m->n_anchors; i++) {
        out[len++] = ' ';
        hf_hex_encode(m->anchors[i], HF_SHA256_LEN, out + len);
        len += HF_SHA256_HEX_LEN - 1;
    }
    if (m->root[0] != '\0')
        (void)snprintf(out + len, TEXT_MAX - len, " =%s", m->root);
}

static void load_endpoint(struct hf_client *c, size_t endpoint, int type, bool *has_failed)
{
    struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, (enum hf_key_type)type);
    const char *known_as = c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
    struct hf_why why = {0};
    char name[NAME_MAX + 1], text[TEXT_MAX];

    *e = (struct hf_endpoint_state){0};
    for (int i = 0; i < 2; i++) {
        endpoint_value_name(endpoint, type, i == 1, name);
        if (load_text(c, name, text, &why) != HF_OK) {
            log_unread(c, name, &why, has_failed);
            text[0] = '\0';
        }
        e->stored[i] = hash_of(text);
        if (i == 0 && !parse_memory(text, known_as, &e->memory))
            e->memory = (struct hf_endpoint_memory){.seen_s = HF_TIME_NONE};
        if (i == 1 && !parse_loss(text, known_as, &e->loss))
            e->loss = (struct hf_loss){.since_s = HF_TIME_NONE};
    }
}

static enum hf_err save_endpoint(struct hf_client *c, size_t endpoint, int type, struct hf_why *why)
{
    struct hf_endpoint_state *e = hf_state_endpoint(c, endpoint, (enum hf_key_type)type);
    const char *known_as = c->ports.endpoints.name(c->ports.endpoints.ctx, endpoint);
    char name[NAME_MAX + 1], text[TEXT_MAX];

    format_memory(known_as, &e->memory, text);
    endpoint_value_name(endpoint, type, false, name);
    HF_TRY(save_text(c, name, text, &e->stored[0], why));
    text[0] = '\0';
    if (e->loss.since_s != HF_TIME_NONE)
        (void)snprintf(text, sizeof text, "%s %" PRId64 " %s %s", known_as, e->loss.since_s,
                       loss_causes[e->loss.cause], e->loss.root);
    endpoint_value_name(endpoint, type, true, name);
    return save_text(c, name, text, &e->stored[1], why);
}

/* ---- the whole ------------------------------------------------------------------------------- */

void hf_state_load_at_open(struct hf_client *c)
{
    bool has_failed = false;

    for (size_t i = 0; i < N_LOADED_AT_OPEN; i++)
        load_value(c, i, &has_failed);
    hf_clock_floor_apply(c);
}

void hf_state_load(struct hf_client *c)
{
    bool has_failed = false;

    for (size_t i = 0; i < N_VALUES; i++)
        load_value(c, i, &has_failed);
    hf_clock_floor_apply(c);
    limits_load(c, c->set, c->profile, &c->state.limits);
    c->state.other_limits = (struct hf_version_limits){.fault = HF_E_STATE};
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++) {
        for (int type = 0; type < HF_KEY_TYPES; type++)
            load_endpoint(c, i, type, &has_failed);
    }
}

static enum hf_err save(struct hf_client *c, struct hf_why *why)
{
    char text[TEXT_MAX];

    for (size_t i = 0; i < N_VALUES; i++) {
        format_value(&values[i], &c->state, text);
        HF_TRY(save_text(c, values[i].name, text, &c->state.stored[i], why));
    }
    HF_TRY(limits_save(c, &c->state.limits, why));
    HF_TRY(limits_save(c, &c->state.other_limits, why));
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++) {
        for (int type = 0; type < HF_KEY_TYPES; type++)
            HF_TRY(save_endpoint(c, i, type, why));
    }
    return HF_OK;
}

enum hf_err hf_state_forget(struct hf_client *c, struct hf_why *why)
{
    char name[NAME_MAX + 1], text[TEXT_MAX];
    bool has_failed = false;

    for (size_t i = N_KEPT_AT_RESET; i < N_VALUES; i++)
        make_absent(&values[i], &c->state);
    /* Also those of an earlier configuration. */
    for (size_t i = 0; i < HF_ENDPOINTS_MAX; i++) {
        for (int k = 0; k < 2 * HF_KEY_TYPES; k++) {
            endpoint_value_name(i, k / 2, k % 2 == 1, name);
            HF_TRY(load_text(c, name, text, why));
            uint64_t stored = hash_of(text);
            HF_TRY(save_text(c, name, "", &stored, why));
        }
    }
    for (size_t i = 0; i < c->ports.endpoints.n_endpoints; i++) {
        for (int type = 0; type < HF_KEY_TYPES; type++)
            load_endpoint(c, i, type, &has_failed);
    }
    return HF_OK;
}

enum hf_err hf_state_begin(struct hf_client *c, struct hf_why *why)
{
    return c->ports.store.begin(c->ports.store.ctx, why);
}

enum hf_err hf_state_end(struct hf_client *c, enum hf_err err, struct hf_why *why)
{
    const struct hf_store_port *store = &c->ports.store;

    if (err == HF_OK)
        err = save(c, why);
    if (err == HF_OK)
        err = store->commit(store->ctx, why);
    if (err == HF_OK)
        return HF_OK;
    store->abort(store->ctx);
    hf_state_load(c);
    return err;
}
