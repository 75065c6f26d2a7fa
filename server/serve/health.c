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
    return status->summary.expires_s > now_s ? "ok" : "expired";
}

static size_t add_text(const char *key, const char *text, char *out, size_t size)
{
    int n = snprintf(out, size, ",\"%s\":\"", key);
    size_t at = (size_t)n;
    at += hf_escape_json(text, strlen(text), out + at, size - at - 1);
    out[at++] = '"';
    return at;
}

static size_t add_served(const struct hf_summary *s, int64_t now_s, char *out, size_t size)
{
    char expires[HF_TIME_TEXT_MAX];
    hf_time_format(s->expires_s, expires);
    int n = snprintf(out, size,
                     ",\"root\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"snapshot\":%" PRId64
                     ",\"targets\":%" PRId64 ",\"expires\":\"%s\",\"seconds_left\":%" PRId64,
                     s->root_version, s->timestamp_version, s->snapshot_version, s->targets_version,
                     expires, s->expires_s - now_s);
    size_t at = (size_t)n;
    return at + add_text("expires_role", s->expires_role, out + at, size - at);
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
        at += add_text("problem", status->problem, out + at, size - at);
    memcpy(out + at, "}\n", 2);
    *len = at + 2;
    return status->is_served ? 200 : 503;
}
