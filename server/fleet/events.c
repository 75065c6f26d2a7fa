#include "server/fleet/events.h"

#include "common/base/timetext.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    int64_t account_id;
    struct hf_buf text;
};

struct hf_events {
    char run[17];           /* 64 random bits, for this process */
    uv_mutex_t mutex;       /* over all that follows */
    int64_t oldest, newest; /* numbers of those that are kept; oldest = newest + 1: none is */
    size_t bytes;
    struct entry ring[HF_EVENTS_KEPT_MAX]; /* number n at n modulo the size */
    uv_async_t *listeners[HF_EVENTS_LISTENERS_MAX];
};

enum hf_err hf_events_new(struct hf_events **out, struct hf_why *why)
{
    struct hf_events *events = calloc(1, sizeof *events);
    uint8_t run[8];

    if (events == NULL || uv_mutex_init(&events->mutex) != 0) {
        free(events);
        return hf_fail(why, HF_E_MEMORY, "no memory for events");
    }
    randombytes_buf(run, sizeof run);
    hf_hex_encode(run, sizeof run, events->run);
    events->oldest = 1;
    *out = events;
    return HF_OK;
}

static struct entry *entry_at(struct hf_events *events, int64_t number)
{
    return &events->ring[(uint64_t)number % HF_EVENTS_KEPT_MAX];
}

static void drop_oldest(struct hf_events *events)
{
    struct entry *entry = entry_at(events, events->oldest);

    events->bytes -= entry->text.len;
    hf_buf_free(&entry->text);
    events->oldest++;
}

/* From here on each reader sees a gap of `n` events, and of what was kept. */
static void lose(struct hf_events *events, size_t n)
{
    while (events->oldest <= events->newest)
        drop_oldest(events);
    events->newest += (int64_t)n;
    events->oldest = events->newest + 1;
}

void hf_events_free(struct hf_events *events)
{
    if (events == NULL)
        return;
    lose(events, 0);
    uv_mutex_destroy(&events->mutex);
    free(events);
}

/* ---- what happens ---------------------------------------------------------------------------- */

static struct hf_event_note make_note_take(const char *kind, int64_t account_id, int64_t time_s,
                                           json_t *data)
{
    struct hf_event_note note = {.kind = kind, .account_id = account_id, .time_s = time_s};

    if (hf_json_write(data, &note.data, NULL) != HF_OK)
        hf_buf_free(&note.data);
    json_decref(data);
    return note;
}

void hf_event_note_take(struct hf_tx *tx, const char *kind, int64_t account_id, json_t *data)
{
    const struct hf_event_note note = make_note_take(kind, account_id, tx->now_s, data);

    hf_effects_note_take(tx->effects, &note);
}

/* The text of number `number`. Names of accounts need no escapes. */
static enum hf_err write_text(const struct hf_events *events, int64_t number,
                              const struct hf_event_note *note, const char *account,
                              struct hf_buf *out)
{
    const char *quote = account != NULL ? "\"" : "";
    const char *members = (const char *)note->data.data + 1; /* behind the brace */
    char time[HF_TIME_TEXT_MAX];

    if (note->data.len < 2)
        return HF_E_MEMORY;
    hf_time_format(note->time_s, time);
    return hf_buf_printf(out,
                         "id: %s-%" PRId64 "\nevent: %s\n"
                         "data: {\"account\":%s%s%s,\"time\":\"%s\"%s%.*s\n\n",
                         events->run, number, note->kind, quote, account != NULL ? account : "null",
                         quote, time, members[0] == '}' ? "" : ",", (int)note->data.len - 1,
                         members);
}

static void add(struct hf_events *events, const struct hf_event_note *note, const char *account)
{
    struct hf_buf text = {0};

    uv_mutex_lock(&events->mutex);
    const int64_t number = events->newest + 1;
    if (write_text(events, number, note, account, &text) != HF_OK ||
        text.len > HF_EVENT_BYTES_MAX) {
        hf_buf_free(&text);
        lose(events, 1);
        goto out;
    }
    while (events->oldest <= events->newest && (number - events->oldest >= HF_EVENTS_KEPT_MAX ||
                                                events->bytes + text.len > HF_EVENTS_BYTES_MAX))
        drop_oldest(events);
    *entry_at(events, number) = (struct entry){note->account_id, text};
    events->newest = number;
    events->bytes += text.len;
out:
    uv_mutex_unlock(&events->mutex);
}

static void wake_listeners(struct hf_events *events)
{
    uv_mutex_lock(&events->mutex);
    for (size_t i = 0; i < HF_EVENTS_LISTENERS_MAX; i++)
        if (events->listeners[i] != NULL)
            (void)uv_async_send(events->listeners[i]);
    uv_mutex_unlock(&events->mutex);
}

/* Each has the lock for itself: a loop that reads waits for one event, not for a whole batch. */
void hf_events_publish(struct hf_events *events, const struct hf_effects *effects,
                       const struct hf_directory *directory)
{
    if (effects->n_notes == 0 && effects->n_lost == 0)
        return;
    if (effects->n_lost > 0) {
        uv_mutex_lock(&events->mutex);
        lose(events, effects->n_lost);
        uv_mutex_unlock(&events->mutex);
    }
    for (size_t i = 0; i < effects->n_notes; i++) {
        const struct hf_event_note *note = &effects->notes[i];
        const struct hf_account *account = hf_directory_account(directory,
                                                                (uint32_t)note->account_id);
        add(events, note, account != NULL ? account->name : NULL);
    }
    wake_listeners(events);
}

void hf_events_add_take(struct hf_events *events, const char *kind, int64_t time_s, json_t *data)
{
    struct hf_event_note note = make_note_take(kind, 0, time_s, data);

    add(events, &note, NULL);
    wake_listeners(events);
    hf_buf_free(&note.data);
}

/* ---- who watches ----------------------------------------------------------------------------- */

int64_t hf_events_resume(struct hf_events *events, const char *last_id)
{
    const size_t len = sizeof events->run - 1;
    int64_t at = -1;

    uv_mutex_lock(&events->mutex);
    if (last_id == NULL) {
        at = events->newest;
    } else if (strncmp(last_id, events->run, len) == 0 && last_id[len] == '-') {
        const char *digits = last_id + len + 1;
        size_t n = strspn(digits, "0123456789");
        int64_t number = n > 0 && n <= 18 && digits[n] == '\0' ? strtoll(digits, NULL, 10) : -1;
        at = number <= events->newest ? number : -1;
    }
    uv_mutex_unlock(&events->mutex);
    return at;
}

void hf_events_id(const struct hf_events *events, int64_t at, char out[HF_EVENT_ID_MAX])
{
    (void)snprintf(out, HF_EVENT_ID_MAX, "%s-%" PRId64, events->run, at);
}

/* Events between where the reader is and the oldest are lost to it. */
static size_t write_gap(const struct hf_events *events, struct hf_events_reader *reader, char *out,
                        size_t size)
{
    char lost[24] = "null", id[HF_EVENT_ID_MAX];

    if (reader->at >= 0)
        (void)snprintf(lost, sizeof lost, "%" PRId64, events->oldest - 1 - reader->at);
    reader->at = events->oldest - 1;
    hf_events_id(events, reader->at, id);
    return (size_t)snprintf(out, size, "id: %s\nevent: gap\ndata: {\"lost\":%s}\n\n", id, lost);
}

/* Within the lock: what fits of the next HF_EVENTS_LOOK_MAX. True: there is more behind it. */
static bool look(struct hf_events *events, struct hf_events_reader *reader, char *out, size_t size,
                 size_t *len)
{
    if (reader->at < events->oldest - 1)
        *len = write_gap(events, reader, out, size);
    for (size_t n = 0; n < HF_EVENTS_LOOK_MAX && reader->at < events->newest; n++) {
        const struct entry *entry = entry_at(events, reader->at + 1);
        bool is_wanted = reader->account_id < 0 || entry->account_id == 0 ||
                         entry->account_id == reader->account_id;
        if (is_wanted && entry->text.len > size - *len)
            return true;
        if (is_wanted) {
            memcpy(out + *len, entry->text.data, entry->text.len);
            *len += entry->text.len;
        }
        reader->at++;
    }
    return reader->at < events->newest;
}

size_t hf_events_read(struct hf_events *events, struct hf_events_reader *reader, char *out,
                      size_t size)
{
    size_t len = 0;
    bool has_more = true;

    while (has_more && len == 0) {
        uv_mutex_lock(&events->mutex);
        has_more = look(events, reader, out, size, &len);
        uv_mutex_unlock(&events->mutex);
    }
    return len;
}

bool hf_events_is_behind(struct hf_events *events, const struct hf_events_reader *reader)
{
    uv_mutex_lock(&events->mutex);
    bool is_behind = reader->at < events->oldest - 1;
    uv_mutex_unlock(&events->mutex);
    return is_behind;
}

enum hf_err hf_events_listen(struct hf_events *events, uv_async_t *wake, struct hf_why *why)
{
    enum hf_err err = HF_E_LIMIT;

    uv_mutex_lock(&events->mutex);
    for (size_t i = 0; i < HF_EVENTS_LISTENERS_MAX && err != HF_OK; i++)
        if (events->listeners[i] == NULL) {
            events->listeners[i] = wake;
            err = HF_OK;
        }
    uv_mutex_unlock(&events->mutex);
    return err == HF_OK ? HF_OK : hf_fail(why, err, "too many loops listen to events");
}

void hf_events_unlisten(struct hf_events *events, const uv_async_t *wake)
{
    uv_mutex_lock(&events->mutex);
    for (size_t i = 0; i < HF_EVENTS_LISTENERS_MAX; i++)
        if (events->listeners[i] == wake)
            events->listeners[i] = NULL;
    uv_mutex_unlock(&events->mutex);
}
