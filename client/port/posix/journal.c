#include "client/port/posix/journal.h"

#include "client/port/posix/posix_internal.h"

enum hf_err hf_posix_journal_read(struct hf_posix *posix, size_t max,
                                  void (*each)(void *ctx, const struct hf_event *event), void *ctx,
                                  struct hf_why *why)
{
    return hf_sqlite_store_events(posix->store, max, each, ctx, why);
}
