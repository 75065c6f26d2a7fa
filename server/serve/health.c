#include "server/serve/health.h"

#include "common/base/timetext.h"
#include "server/serve/escape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *status_word(const struct hf_repository_status *status, int64_t now_s)
{
    if (!status->is_served)
        return "unavailable";
    return status->summary.timestamp_expires_s > now_s ? "ok" : "expired";
}

static size_t add_served(const struct hf_summary *s, int64_t now_s, char *out, size_t size)
{
    char expires[HF_TIME_TEXT_MAX];
    hf_time_format(s->timestamp_expires_s, expires);
    int n = snprintf(out, size,
                     ",\"root\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"snapshot\":%" PRId64
                     ",\"targets\":%" PRId64 ",\"expires\":\"%s\",\"seconds_left\":%" PRId64,
                     s->root_version, s->timestamp_version, s->snapshot_version, s->targets_version,
                     expires, s->timestamp_expires_s - now_s);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static size_t add_problem(const char *problem, char *out, size_t size)
{
    static const char key[] = ",\"problem\":\"";
    size_t at = sizeof key - 1;
    memcpy(out, key, at);
    at += hf_escape_json(problem, strlen(problem), out + at, size - at - 1);
    out[at++] = '"';
    return at;
}

unsigned hf_health_text(const struct hf_repository_status *status, int64_t now_s, char *out,
                        size_t *len)
{
    /* The end of the object has its room kept back. */
    const size_t size = HF_HEALTH_TEXT_MAX - 2;
    int n = snprintf(out, size, "{\"status\":\"%s\"", status_word(status, now_s));
    size_t at = n > 0 ? (size_t)n : 0;
    if (status->is_served)
        at += add_served(&status->summary, now_s, out + at, size - at);
    if (status->problem[0] != '\0')
        at += add_problem(status->problem, out + at, size - at);
    memcpy(out + at, "}\n", 2);
    *len = at + 2;
    return status->is_served ? 200 : 503;
}
