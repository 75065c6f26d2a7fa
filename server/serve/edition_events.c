#include "server/serve/edition_events.h"

#include "common/json/json.h"

#include <string.h>
#include <time.h>

static bool has_bundle(const struct hf_published *published, const struct hf_published_bundle *one)
{
    for (size_t i = 0; i < published->n; i++)
        if (strcmp(published->bundles[i].sha256, one->sha256) == 0 &&
            strcmp(published->bundles[i].description.set, one->description.set) == 0 &&
            strcmp(published->bundles[i].description.profile, one->description.profile) == 0 &&
            published->bundles[i].description.version == one->description.version)
            return true;
    return false;
}

static void tell_bundles(struct hf_events *events, const struct hf_published *before,
                         const struct hf_published *now, int64_t now_s)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct hf_published_bundle *one = &now->bundles[i];
        if (!has_bundle(before, one))
            hf_events_add_take(events, "bundle", now_s,
                               json_pack("{s:s, s:s, s:I, s:s}", "set", one->description.set,
                                         "profile", one->description.profile, "version",
                                         (json_int_t)one->description.version, "sha256",
                                         one->sha256));
    }
}

void hf_edition_tell(struct hf_events *events, const struct hf_edition *before,
                     const struct hf_edition *now)
{
    const struct hf_summary *s = &now->summary;
    const struct hf_summary *old = before != NULL ? &before->summary : NULL;
    const int64_t now_s = (int64_t)time(NULL);

    if (old == NULL || old->root_version != s->root_version ||
        old->timestamp_version != s->timestamp_version ||
        old->snapshot_version != s->snapshot_version || old->targets_version != s->targets_version)
        hf_events_add_take(events, "published", now_s,
                           json_pack("{s:I, s:I, s:I, s:I, s:o}", "root",
                                     (json_int_t)s->root_version, "timestamp",
                                     (json_int_t)s->timestamp_version, "snapshot",
                                     (json_int_t)s->snapshot_version, "targets",
                                     (json_int_t)s->targets_version, "expires",
                                     hf_json_time(s->expires_s)));
    if (before != NULL && before->published != NULL && now->published != NULL)
        tell_bundles(events, before->published, now->published, now_s);
}
