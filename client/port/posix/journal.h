/* The journal of a state folder, for people who look into it. */
#ifndef HF_CLIENT_PORT_POSIX_JOURNAL_H
#define HF_CLIENT_PORT_POSIX_JOURNAL_H

#include <holdfast/posix.h>

/** The newest lines first, at most `max`; an event lives until `each` returns. HF_E_STORAGE or
 *  HF_E_SCHEMA where the database cannot be read. */
HF_MUST_USE enum hf_err hf_posix_journal_read(struct hf_posix *posix, size_t max,
                                              void (*each)(void *ctx, const struct hf_event *event),
                                              void *ctx, struct hf_why *why);

#endif
