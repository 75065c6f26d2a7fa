#include "server/repository/certs/anchor_end.h"

#include "common/base/timetext.h"

#include <stdio.h>

static void take_earlier(struct hf_anchor_end *end, int64_t end_s, enum hf_end_reason reason)
{
    if (end_s != HF_TIME_NONE && end_s < end->end_s)
        *end = (struct hf_anchor_end){end_s, reason};
}

int64_t hf_anchor_distrust_s(const struct hf_anchor *anchor, const struct hf_known_roots *known)
{
    int64_t planned_s = hf_known_roots_distrust_s(known, &anchor->cert);
    int64_t signed_s = anchor->distrust_after_s;
    if (planned_s == HF_TIME_NONE || (signed_s != HF_TIME_NONE && signed_s < planned_s))
        return signed_s;
    return planned_s;
}

struct hf_anchor_end hf_anchor_end(const struct hf_anchor *anchor,
                                   const struct hf_known_roots *known)
{
    struct hf_anchor_end end = {anchor->cert.not_after_s, HF_END_EXPIRES};
    take_earlier(&end, anchor->remove_after_s, HF_END_REMOVED);
    take_earlier(&end, hf_anchor_distrust_s(anchor, known), HF_END_DISTRUSTED);
    return end;
}

const char *hf_end_reason_text(enum hf_end_reason reason)
{
    switch (reason) {
    case HF_END_EXPIRES:
        return "expires";
    case HF_END_REMOVED:
        return "is removed";
    case HF_END_DISTRUSTED:
        break;
    }
    return "is distrusted";
}

void hf_anchor_end_text(struct hf_anchor_end end, char out[HF_ANCHOR_END_TEXT_MAX])
{
    static const char *const words[] = {
        [HF_END_EXPIRES] = "expires on",
        [HF_END_REMOVED] = "is removed by devices after",
        [HF_END_DISTRUSTED] = "is distrusted, or planned to be, for what is issued after",
    };
    char day[HF_TIME_TEXT_MAX];
    if (end.reason == HF_END_EXPIRES)
        hf_time_format_day(end.end_s, day);
    else
        hf_time_format_last(end.end_s, day);
    (void)snprintf(out, HF_ANCHOR_END_TEXT_MAX, "%s %s", words[end.reason], day);
}
