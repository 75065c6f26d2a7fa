#include "server/rollout/cause.h"

#include "common/base/plaintext.h"
#include "server/rollout/device_rows.h"
#include "server/rollout/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What devices say, and how many say it. */
struct saying {
    struct hf_rollout_said said; /* of the first of them */
    size_t n;
};

struct sayings {
    struct saying list[HF_ROLLOUT_CAUSE_DEVICES];
    size_t n;
};

static bool is_same(const struct hf_rollout_said *a, const struct hf_rollout_said *b)
{
    return strcmp(a->text, b->text) == 0 && strcmp(a->endpoint, b->endpoint) == 0 &&
           strcmp(a->root_name, b->root_name) == 0;
}

static void add(struct sayings *sayings, const struct hf_rollout_said *said)
{
    size_t i = 0;

    while (i < sayings->n && !is_same(&sayings->list[i].said, said))
        i++;
    if (i == sayings->n)
        sayings->list[sayings->n++] = (struct saying){.said = *said};
    sayings->list[i].n++;
}

static const struct saying *most_common(const struct sayings *sayings)
{
    const struct saying *most = NULL;

    for (size_t i = 0; i < sayings->n; i++)
        if (most == NULL || sayings->list[i].n > most->n)
            most = &sayings->list[i];
    return most;
}

/* A device must not end the quotation, and go on as if the service spoke. The endpoint stands
 * without quotes. */
static void keep_quoted(struct hf_rollout_said *said)
{
    char *const quoted[] = {said->text, said->root_name};

    for (size_t i = 0; i < sizeof quoted / sizeof quoted[0]; i++)
        for (char *c = strchr(quoted[i], '"'); c != NULL; c = strchr(c, '"'))
            *c = '\'';
    for (char *c = said->endpoint; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == ';')
            *c = '?';
}

/* At most `max` bytes of the text: whole words, and dots for the rest. */
static void append(char out[HF_ROLLOUT_REASON_MAX + 1], const char *before, size_t max,
                   const char *text, const char *after)
{
    const size_t len = strlen(out);
    size_t n = strlen(text);
    const bool is_cut = n > max;

    for (n = is_cut ? max : n; is_cut && n > max / 2 && text[n] != ' ';)
        n--;
    if (n > 0)
        (void)snprintf(out + len, HF_ROLLOUT_REASON_MAX + 1 - len, "%s%.*s%s%s", before, (int)n,
                       text, is_cut ? " ..." : "", after);
}

void hf_rollout_cause(struct hf_db *db, const struct hf_rollout_entry *devices, size_t n_devices,
                      bool has_failed, const char *numbers, char out[HF_ROLLOUT_REASON_MAX + 1])
{
    struct sayings *sayings = has_failed ? calloc(1, sizeof *sayings) : NULL;
    struct hf_rollout_said said;
    char n[48];

    (void)snprintf(out, HF_ROLLOUT_REASON_MAX + 1, "%s", numbers);
    if (sayings == NULL)
        return;
    for (size_t i = 0; i < n_devices; i++)
        if (hf_rollout_said_get(db, devices[i].device_id, &said, NULL) == HF_OK) {
            keep_quoted(&said);
            add(sayings, &said);
        }
    const struct saying *most = most_common(sayings);
    if (most != NULL) {
        (void)snprintf(n, sizeof n, "; %zu of %zu say \"", most->n, n_devices);
        append(out, n, HF_ROLLOUT_CAUSE_TEXT, most->said.text, "\"");
        append(out, "; endpoint ", HF_ROLLOUT_CAUSE_NAME, most->said.endpoint, "");
        append(out, "; missing root \"", HF_ROLLOUT_CAUSE_NAME, most->said.root_name, "\"");
    }
    free(sayings);
    hf_text_sanitize(out);
}
