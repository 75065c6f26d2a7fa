#include "client/core/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---------------------------------------------------------------------------------- */

/* A value: whole numbers, a text, or numbers and then a text, with single spaces between. Stored as
 * an empty text if it is absent: if its first number is `absent` or, without numbers, its text is
 * empty. */
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
#define BOTH(numbers, n, absent, member)                                                           \
    AT(numbers), n, n, absent, AT(member), sizeof((struct hf_device_state *)0)->member
    {"clock.floor", NUMBERS(clock.root_s, 1, 1, 0)},
    {"clock.targets", BOTH(clock.targets_s, 1, 0, clock.targets_keys)},
#define N_CLOCK_VALUES 2
    {"bundle.of", TEXT(first_set)},
    {"report.nonce", TEXT(report.nonce)}, /* so that the service knows the device again */
#define N_KEPT_AT_RESET 4
    {"report.seq", NUMBERS(report.seq, 1, 1, 0)},
    {"report.installation", TEXT(report.installation)},
    {"report.current", NUMBERS(report.current_day, 1, 1, -1)},
    {"report.sent", NUMBERS(report.sent_s, 1, 1, HF_TIME_NONE)},
    {"report.failures", NUMBERS(report.n_failures, 4, 4, 0)},
    {"report.error", TEXT(report.error)},
    {"mirror.next", NUMBERS(next_mirror, 1, 1, 0)},
    {"mirror.faults", TEXT(mirror_faults)},
    {"etag.timestamp", TEXT(etag)},
    {"timestamp.seen", NUMBERS(timestamp_seen_s, 1, 1, HF_TIME_NONE)},
    {"metadata.verified", TEXT(receipts)},
    {"trial", NUMBERS(trial.version, 3, 4, -1)},
    {"preflight.wait", NUMBERS(wait.version, 3, 3, 0)},
    {"rollout.held", BOTH(held.version, 3, 0, held.text)},
    {"endpoints.tried", NUMBERS(endpoints_probed_s, 1, 1, 0)},
    {"recovery.failures", NUMBERS(failures.n_checks, 4, 5, 0)},
    {"recovery.last", BOTH(last_recovery_s, 1, HF_TIME_NONE, last_recovery)},
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

/* Nothing is written unless it is such a value. */
static bool parse_value(const struct value *v, const char *text, struct hf_device_state *state)
{
    int64_t numbers[5] = {0};
    const char *rest = text;

    if (v->n_most > 0) {
        rest = hf_value_parse_numbers(text, numbers, v->n_least, v->n_most);
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
                         char out[HF_VALUE_TEXT_MAX])
{
    int64_t numbers[5];
    size_t len = 0;

    out[0] = '\0';
    memcpy(numbers, (const char *)state + v->numbers, v->n_most * sizeof numbers[0]);
    if (v->n_most > 0 && numbers[0] == v->absent)
        return;
    for (size_t i = 0; i < v->n_most; i++)
        len += (size_t)snprintf(out + len, HF_VALUE_TEXT_MAX - len, "%s%" PRId64, i > 0 ? " " : "",
                                numbers[i]);
    if (v->text_size > 0)
        (void)snprintf(out + len, HF_VALUE_TEXT_MAX - len, "%s%s", len > 0 ? " " : "",
                       (const char *)state + v->text);
}

static void load_value(struct hf_client *c, size_t i, bool *has_failed)
{
    const struct value *v = &values[i];
    struct hf_device_state *s = &c->state;
    struct hf_why why = {0};
    char text[HF_VALUE_TEXT_MAX];

    enum hf_err err = hf_value_load(c, v->name, text, &why);
    if (err == HF_OK) {
        s->stored[i] = hf_value_hash(text);
        if (text[0] != '\0' && parse_value(v, text, s))
            return;
        make_absent(v, s);
        if (text[0] != '\0')
            hf_log(c, HF_LEVEL_WARNING,
                   "the stored value \"%s\" is damaged, it counts as absent: \"%s\"", v->name,
                   text);
        return;
    }
    hf_value_log_unread(c, v->name, &why, has_failed);
    if (v->text == offsetof(struct hf_device_state, first_set))
        s->first_set_fault = err;
    if (i >= N_CLOCK_VALUES)
        make_absent(v, s);
    format_value(v, s, text); /* so that it is not overwritten */
    s->stored[i] = hf_value_hash(text);
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
        const char *rest = hf_value_parse_numbers(text, &version, 1, 1);
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
    char name[HF_VALUE_NAME_MAX + 1], text[HF_VALUE_TEXT_MAX];

    *out = (struct hf_version_limits){0};
    limits_suffix(c, set, profile, out->suffix);
    if (c->state.first_set_fault != HF_OK) { /* then the suffix is not known either */
        out->fault =
            hf_fail(&why, c->state.first_set_fault,
                    "it is not known whose version limits are stored: \"bundle.of\" cannot "
                    "be read");
        out->is_unread = true;
    }
    for (size_t i = 0; i < 3 && out->fault == HF_OK; i++) {
        (void)snprintf(name, sizeof name, "%s%s", limit_names[i], out->suffix);
        out->fault = hf_value_load(c, name, text, &why);
        out->is_unread = out->fault != HF_OK;
        if (out->is_unread)
            break;
        out->stored[i] = hf_value_hash(text);
        if (i == 0)
            (void)snprintf(out->keys, sizeof out->keys, "%.64s", text);
        else if (i == 1 && text[0] != '\0' &&
                 (hf_value_parse_numbers(text, &out->lowest, 1, 1) == NULL ||
                  strchr(text, ' ') != NULL))
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
    char name[HF_VALUE_NAME_MAX + 1], text[HF_VALUE_TEXT_MAX];

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
        HF_TRY(hf_value_save(c, name, text, &limits->stored[i], why));
    }
    return HF_OK;
}

enum hf_err hf_client_keep_floors(struct hf_client *client, struct hf_why *why)
{
    struct hf_device_state *s = &client->state;
    struct hf_store_port *store = &client->ports.store;
    struct hf_why own = {0};

    hf_state_load(client);
    if (s->first_set[0] != '\0' || s->first_set_fault != HF_OK)
        return HF_OK;
    (void)snprintf(s->first_set, sizeof s->first_set, "%s/%s", client->set, client->profile);
    return hf_pass_on(why, &own, store->save_value(store->ctx, "bundle.of", s->first_set, &own));
}

/* ---- the whole ------------------------------------------------------------------------------- */

void hf_state_load(struct hf_client *c)
{
    bool has_failed = false;

    c->state.first_set_fault = HF_OK;
    for (size_t i = 0; i < N_VALUES; i++)
        load_value(c, i, &has_failed);
    hf_clock_floor_apply(c);
    limits_load(c, c->set, c->profile, &c->state.limits);
    c->state.other_limits = (struct hf_version_limits){.fault = HF_E_STATE};
    hf_state_load_endpoints(c, &has_failed);
}

static enum hf_err save(struct hf_client *c, struct hf_why *why)
{
    char text[HF_VALUE_TEXT_MAX];

    for (size_t i = 0; i < N_VALUES; i++) {
        format_value(&values[i], &c->state, text);
        HF_TRY(hf_value_save(c, values[i].name, text, &c->state.stored[i], why));
    }
    HF_TRY(limits_save(c, &c->state.limits, why));
    HF_TRY(limits_save(c, &c->state.other_limits, why));
    return hf_state_save_endpoints(c, why);
}

enum hf_err hf_state_forget(struct hf_client *c, struct hf_why *why)
{
    bool has_failed = false;

    for (size_t i = N_KEPT_AT_RESET; i < N_VALUES; i++)
        make_absent(&values[i], &c->state);
    HF_TRY(hf_state_forget_endpoints(c, why));
    hf_state_load_endpoints(c, &has_failed);
    return HF_OK;
}

enum hf_err hf_state_begin(struct hf_client *c, struct hf_why *why)
{
    enum hf_err err = c->ports.store.begin(c->ports.store.ctx, why);

    /* What belongs to this transaction must not come with a later one: an entity tag without its
     * timestamp, for example. */
    if (err != HF_OK)
        hf_state_load(c);
    return err;
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
