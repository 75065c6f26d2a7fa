#include "common/bundle/anchor_end.h"

#include "common/base/timetext.h"

#include <stdio.h>

static void take_earlier(struct hf_anchor_end *end, int64_t end_s, enum hf_end_reason reason)
{
    if (end_s != HF_TIME_NONE && end_s < end->end_s)
        *end = (struct hf_anchor_end){end_s, reason};
}

struct hf_anchor_end hf_anchor_first_end(int64_t not_after_s, int64_t remove_after_s,
                                         int64_t distrust_after_s)
{
    struct hf_anchor_end end = {not_after_s, HF_END_EXPIRES};
    take_earlier(&end, remove_after_s, HF_END_REMOVED);
    take_earlier(&end, distrust_after_s, HF_END_DISTRUSTED);
    return end;
}

const char *hf_end_reason_text(enum hf_end_reason reason)
{
    static const char *const words[] = {[HF_END_EXPIRES] = "expires",
                                        [HF_END_REMOVED] = "is removed",
                                        [HF_END_DISTRUSTED] = "is distrusted"};
    return words[reason];
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
