#include "server/fleet/report.h"

#include "common/base/timetext.h"
#include "server/fleet/events.h"
#include "server/fleet/report_row.h"
#include "server/fleet/series.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define WINDOW HF_REPORTS_RECENT

_Static_assert(WINDOW == 8 * sizeof((struct hf_device_state *)0)->seen, "a bit for each");

/* ---- which are new --------------------------------------------------------------------------- */

static void hash_text(crypto_generichash_state *state, const char *text)
{
    (void)crypto_generichash_update(state, (const uint8_t *)text, strlen(text) + 1);
}

/* A hash of what an operator would read of a report, with or without the times; never 0. */
static uint64_t hash_of(const struct hf_report *report, bool has_times)
{
    const char *const texts[] = {report->kind_name, report->set,  report->profile,
                                 report->sha256,    report->text, report->outcome,
                                 report->endpoint,  report->root, report->root_name,
                                 report->agent};
    const int64_t numbers[] = {report->from, report->to, report->clock_s, report->next_expiry_s};
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash_state state;
    uint64_t said = 0;

    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        hash_text(&state, texts[i]);
    (void)crypto_generichash_update(&state, (const uint8_t *)numbers,
                                    (has_times ? 4 : 2) * sizeof numbers[0]);
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(&said, hash, sizeof said);
    return said | 1;
}

enum novelty { OLD, LATE, NEWEST };

/* Mark number `seq` of the present installation as taken. */
static enum novelty take_number(struct hf_device_state *s, int64_t seq)
{
    if (seq > s->sequence) {
        int64_t ahead = seq - s->sequence;
        s->seen = ahead < WINDOW ? s->seen << ahead : 0;
        s->seen |= 1;
        s->sequence = seq;
        return NEWEST;
    }
    int64_t behind = s->sequence - seq;
    if (behind >= WINDOW || (s->seen >> behind & 1) != 0)
        return OLD;
    s->seen |= UINT64_C(1) << behind;
    return LATE;
}

enum installation {
    SAME,
    ADOPTED,  /* a new one, in place of the one before */
    REPLAYED, /* the one before, which says nothing new */
    CONFLICT,
};

static bool knows_nonce(const struct hf_device_state *s, const struct hf_report *report)
{
    char nonce[HF_REPORT_NONCE_SIZE];

    (void)snprintf(nonce, sizeof nonce, "%016" PRIx64, s->nonce);
    return s->nonce != 0 && strcmp(nonce, report->nonce) == 0;
}

static void adopt(struct hf_device_state *s, const uint8_t installation[HF_INSTALLATION_LEN])
{
    s->has_other = s->has_installation;
    memcpy(s->other_installation, s->installation, HF_INSTALLATION_LEN);
    s->other_sequence = s->sequence;
    memcpy(s->installation, installation, HF_INSTALLATION_LEN);
    s->has_installation = true;
    s->sequence = 0;
    s->seen = 0;
    s->said = 0;
}

static void recent_of(const struct hf_report *report, uint8_t out[2])
{
    uint64_t hash = hash_of(report, true);

    out[0] = (uint8_t)(hash >> 16);
    out[1] = (uint8_t)(hash >> 8);
}

static void remember(struct hf_device_state *s, const struct hf_report *report)
{
    recent_of(report, s->recent[report->seq % WINDOW]);
}

/* A report keeps its content under its number. If a number that was taken comes with another
 * content, two devices count on from one state. */
static bool contradicts(const struct hf_device_state *s, const struct hf_report *reports, size_t n)
{
    uint8_t recent[2];

    for (size_t i = 0; i < n; i++) {
        int64_t behind = s->sequence - reports[i].seq;
        recent_of(&reports[i], recent);
        if (behind >= 0 && behind < WINDOW && (s->seen >> behind & 1) != 0 &&
            memcmp(s->recent[reports[i].seq % WINDOW], recent, sizeof recent) != 0)
            return true;
    }
    return false;
}

static int64_t highest_of(const struct hf_report *reports, size_t n)
{
    int64_t highest = 0;

    for (size_t i = 0; i < n; i++)
        highest = reports[i].seq > highest ? reports[i].seq : highest;
    return highest;
}

/* Whose reports are these? An attacker who sends recorded reports again must not make the device
 * look cloned: they have the content that they had, and those of an earlier installation say
 * nothing new. */
static enum installation judge(struct hf_device_state *s, const struct hf_report_sender *sender,
                               const struct hf_report *reports, size_t n)
{
    const int64_t highest = highest_of(reports, n);
    uint8_t installation[HF_INSTALLATION_LEN];

    if (!hf_hex_decode(reports[0].installation, installation, sizeof installation))
        return CONFLICT; /* the reader of reports has checked it */
    if (s->has_installation && memcmp(s->installation, installation, sizeof installation) == 0)
        return contradicts(s, reports, n) ? CONFLICT : SAME;
    bool is_other = s->has_other &&
                    memcmp(s->other_installation, installation, sizeof installation) == 0;
    if (is_other && highest <= s->other_sequence)
        return REPLAYED;
    if (!s->has_installation || sender->credential_id > s->credential_id ||
        sender->report_key_id > s->report_key_id || knows_nonce(s, &reports[0])) {
        adopt(s, installation);
        return ADOPTED;
    }
    s->has_other = true;
    memcpy(s->other_installation, installation, sizeof installation);
    s->other_sequence = highest;
    return CONFLICT;
}

/* ---- what they say --------------------------------------------------------------------------- */

/* The bundle that the device uses after this; -1: the report does not say. */
static int64_t active_after(const struct hf_report *report)
{
    switch (report->kind) {
    case HF_REPORT_SWAPPED:
    case HF_REPORT_CONFIRMED:
    case HF_REPORT_ROLLED_BACK:
    case HF_REPORT_CURRENT:
    case HF_REPORT_RECOVERED:
        return report->to >= 0 ? report->to : report->from;
    case HF_REPORT_ANNOUNCE:
    case HF_REPORT_REFUSED:
    case HF_REPORT_FAILED:
    case HF_REPORT_HELD:
        return report->from;
    case HF_REPORT_OTHER:
    case HF_REPORT_KIND_COUNT:
        break;
    }
    return -1;
}

/* The bundle that the report is about; -1: none. A device that rolls back is back at the one
 * before. */
static int64_t subject_of(const struct hf_report *report)
{
    return report->kind == HF_REPORT_ROLLED_BACK ? report->from : report->to;
}

/* Has the device checked without the failure that it reported last? A rollback stays its result: it
 * does not take that bundle again. So does what became of a version that it still lacks: it may
 * only wait for its turn. */
static bool ends_failure(const struct hf_device_state *s, const struct hf_report *report)
{
    const bool is_without = strcmp(s->set, report->set) == 0 &&
                            s->result_version > active_after(report);

    return report->kind == HF_REPORT_CURRENT && strcmp(report->outcome, "ok") == 0 && !is_without &&
           (strcmp(s->result, "refused") == 0 || strcmp(s->result, "failed") == 0 ||
            strcmp(s->result, "held") == 0);
}

/* Does the device only wait with a bundle that it failed with before? A rollout that was paused
 * because of that goes on counting it. */
static bool is_wait_after_failure(const struct hf_device_state *s, const struct hf_report *report)
{
    return report->kind == HF_REPORT_HELD && strcmp(s->set, report->set) == 0 &&
           s->result_version == subject_of(report) &&
           (strcmp(s->result, "refused") == 0 || strcmp(s->result, "failed") == 0 ||
            strcmp(s->result, "rolled-back") == 0);
}

static enum hf_err set_active(struct hf_tx *tx, struct hf_device_state *s,
                              const struct hf_report *report, struct hf_why *why)
{
    int64_t version = active_after(report);
    bool is_same_set = strcmp(s->set, report->set) == 0;

    if (version < 0 || (is_same_set && version == s->active_version)) {
        if (version >= 0 && version == report->to && report->sha256[0] != '\0')
            memcpy(s->active_sha256, report->sha256, sizeof s->active_sha256);
        memcpy(s->profile, report->profile, sizeof s->profile);
        return HF_OK;
    }
    if (s->active_version >= 0)
        HF_TRY(hf_version_count_add(tx, s->account_id, s->set, s->active_version, -1, why));
    HF_TRY(hf_version_count_add(tx, s->account_id, report->set, version, 1, why));
    s->active_version = version;
    memcpy(s->set, report->set, sizeof s->set);
    memcpy(s->profile, report->profile, sizeof s->profile);
    memcpy(s->active_sha256, version == report->to ? report->sha256 : "",
           version == report->to ? sizeof s->active_sha256 : 1);
    return HF_OK;
}

static void set_texts(struct hf_device_state *s, const struct hf_report *report)
{
    size_t at = 0;

    memcpy(s->kind, report->kind_name, sizeof s->kind);
    memcpy(s->agent, report->agent, sizeof s->agent);
    s->groups[0] = '\0';
    for (size_t i = 0; i < report->n_groups; i++)
        at += (size_t)snprintf(s->groups + at, sizeof s->groups - at, "%s%s", i == 0 ? "" : ",",
                               report->groups[i]);
}

/* What the newest report says of the device. */
static enum hf_err describe(struct hf_tx *tx, struct hf_device_state *s,
                            const struct hf_report *report, struct hf_why *why)
{
    const bool keeps_result = is_wait_after_failure(s, report) ||
                              (report->kind == HF_REPORT_CURRENT && !ends_failure(s, report));

    HF_TRY(set_active(tx, s, report, why));
    set_texts(s, report);
    if (report->next_expiry_s != HF_TIME_NONE)
        s->next_expiry_s = report->next_expiry_s;
    if (report->sent_s != HF_TIME_NONE)
        s->clock_offset_s = report->sent_s - tx->now_s;
    if (keeps_result)
        return HF_OK;
    memcpy(s->result, report->kind_name, sizeof s->result);
    s->result_s = tx->now_s;
    s->result_version = subject_of(report);
    memcpy(s->outcome, report->outcome, sizeof s->outcome);
    memcpy(s->reason, report->text, sizeof s->reason);
    return HF_OK;
}

/* Does the daily "current" say what is known already? Before `describe`. */
static bool is_known(const struct hf_device_state *s, const struct hf_report *report)
{
    return report->kind == HF_REPORT_CURRENT && !ends_failure(s, report) &&
           active_after(report) == s->active_version && strcmp(s->set, report->set) == 0 &&
           strcmp(s->profile, report->profile) == 0 &&
           strcmp(s->active_sha256, report->sha256) == 0 && strcmp(s->agent, report->agent) == 0;
}

static json_t *version_json(int64_t version)
{
    return version >= 0 ? json_integer(version) : json_null();
}

static json_t *event_json(const struct hf_report *r)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "device", r->device, "kind",
                     r->kind_name, "set", r->set, "profile", r->profile, "from",
                     version_json(r->from), "to", version_json(r->to), "outcome", r->outcome,
                     "text", r->text);
}

static enum hf_err take_one(struct hf_tx *tx, struct hf_device_state *s,
                            const struct hf_report *report, enum novelty novelty,
                            struct hf_why *why)
{
    const uint64_t said = hash_of(report, false);
    bool says_new = said != s->said && !is_known(s, report);

    remember(s, report);
    if (novelty == NEWEST)
        HF_TRY(describe(tx, s, report, why));
    if (!says_new)
        return HF_OK;
    s->said = said;
    hf_event_note_take(tx, "report", s->account_id, event_json(report));
    HF_TRY(hf_report_row_add(tx, s->device_id, ++s->reports, report, why));
    return hf_series_add(tx, s->account_id, report->set,
                         subject_of(report) >= 0 ? subject_of(report) : report->from,
                         hf_report_kind_name(report->kind), why);
}

/* ---- a request ------------------------------------------------------------------------------- */

static enum hf_err check_one_device(const struct hf_report *reports, size_t n, struct hf_why *why)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(reports[i].device, reports[0].device) != 0 ||
            strcmp(reports[i].installation, reports[0].installation) != 0)
            return hf_fail(why, HF_E_ARGUMENT,
                           "report %zu of %zu: \"device\" or \"installation\" differs from the "
                           "first report. Send the reports of one device in a request",
                           i + 1, n);
    return HF_OK;
}

static enum hf_err find_device(struct hf_tx *tx, const struct hf_report_sender *sender,
                               const struct hf_report *report, struct hf_device_state *out,
                               struct hf_why *why)
{
    char name[HF_DEVICE_ID_MAX + 1];

    if (sender->credential_id != 0)
        HF_TRY(hf_device_state_of_credential(tx->db, sender->account_id, sender->credential_id, out,
                                             name, why));
    else
        HF_TRY(hf_device_state_of_key(tx->db, sender->account_id, sender->report_key_id, out, name,
                                      why));
    if (strcmp(name, report->device) == 0)
        return HF_OK;
    return hf_fail(why, HF_E_POLICY,
                   "\"device\": the certificate or key of this client belongs to the device "
                   "\"%s\", and a device reports about itself only",
                   name);
}

static void write_answer(const struct hf_device_state *s, int64_t accepted, size_t n,
                         struct hf_report_answer *out)
{
    out->accepted = accepted;
    out->duplicates = (int64_t)n - accepted;
    (void)snprintf(out->nonce, sizeof out->nonce, "%016" PRIx64, s->nonce);
}

static uint64_t new_nonce(void)
{
    uint64_t nonce;

    randombytes_buf(&nonce, sizeof nonce);
    return nonce | 1;
}

static enum hf_err take_all(struct hf_tx *tx, struct hf_device_state *s,
                            const struct hf_report *reports, size_t n, int64_t *accepted,
                            struct hf_why *why)
{
    for (size_t i = 0; i < n; i++) {
        enum novelty novelty = take_number(s, reports[i].seq);
        if (novelty == OLD)
            continue;
        HF_TRY(take_one(tx, s, &reports[i], novelty, why));
        ++*accepted;
    }
    return HF_OK;
}

enum hf_err hf_report_take(struct hf_tx *tx, const struct hf_report_sender *sender,
                           const struct hf_report *reports, size_t n, struct hf_report_answer *out,
                           bool *is_conflict, struct hf_why *why)
{
    struct hf_device_state before, s;
    int64_t accepted = 0;

    *is_conflict = false;
    HF_TRY(check_one_device(reports, n, why));
    HF_TRY(find_device(tx, sender, &reports[0], &before, why));
    s = before;
    enum installation installation = judge(&s, sender, reports, n);
    if (installation == CONFLICT) {
        s.conflicts++;
        s.conflict_s = tx->now_s;
        HF_TRY(hf_device_state_put(tx, &s, &before, why));
        *is_conflict = true;
        (void)
            hf_fail(why, HF_E_STATE,
                    "another device or installation reports under this name, with the same "
                    "certificate or key. If the device was set up again, enrol it again; otherwise "
                    "look for a copy of it");
        return HF_OK;
    }
    if (installation == REPLAYED)
        s.nonce = 0; /* not for an attacker's eyes */
    else
        HF_TRY(take_all(tx, &s, reports, n, &accepted, why));
    if (accepted > 0) {
        s.seen_s = tx->now_s;
        s.nonce = new_nonce();
        if (sender->credential_id > s.credential_id)
            s.credential_id = sender->credential_id;
        if (sender->report_key_id > s.report_key_id)
            s.report_key_id = sender->report_key_id;
        HF_TRY(hf_device_state_put(tx, &s, &before, why));
        HF_TRY(hf_effects_add_device(tx->effects, s.device_id, why));
    }
    write_answer(&s, accepted, n, out);
    return HF_OK;
}

enum hf_err hf_report_take_unverified(struct hf_tx *tx, int64_t account_id, int64_t max,
                                      const struct hf_report *reports, size_t n,
                                      struct hf_report_answer *out, struct hf_why *why)
{
    const struct hf_device_state nothing = {0};
    int64_t accepted = 0;
    bool is_new = false;

    for (size_t i = 0; i < n; i++) {
        HF_TRY(hf_report_row_add_unverified(tx, account_id, max, &reports[i], &is_new, why));
        accepted += is_new;
    }
    write_answer(&nothing, accepted, n, out);
    return HF_OK;
}
