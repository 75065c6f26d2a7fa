/*
 * Reports to the fleet service. report.c writes them down, in the transaction of the event;
 * report_send.c sends them. A report is never in the way: what goes wrong here is logged, and the
 * device's work goes on.
 */
#ifndef HF_CLIENT_CORE_REPORT_H
#define HF_CLIENT_CORE_REPORT_H

#include "client/core/update.h"

#define HF_REPORT_QUEUE_MAX 64     /* waiting reports: two months of a device that has no service */
#define HF_REPORT_ANNOUNCE_MS 5000 /* before an install, which waits for it */

/* ---- report.c -------------------------------------------------------------------------------- */

/* What happened. Texts are borrowed; NULL for none. */
struct hf_report_event {
    enum hf_report_kind kind;
    int64_t from, to; /* -1: none */
    const char *sha256;
    const char *text;
    enum hf_err outcome;
    const struct hf_missing_root *missing;
};

/** Part of the event's transaction. Nothing if the device sends no reports. */
void hf_report_note(struct hf_client *c, const struct hf_report_event *event);

/** The report about a check, in its transaction, before its outcome is noted: a failure that is
 *  news, the end of failures, a recovery, endpoints that are lost (`lost`, empty for none), or once
 *  a day what is in use or still fails. */
void hf_report_note_check(struct hf_client *c, const struct hf_candidate *cand, enum hf_err outcome,
                          const struct hf_update_result *result, const char *text, bool is_news);

/** Forget who this was for the service, in a transaction: the next report begins a new
 *  installation. The nonce stays: it shows the service that this is the same device. */
HF_MUST_USE enum hf_err hf_report_forget(struct hf_client *c, struct hf_why *why);

/* ---- report_send.c --------------------------------------------------------------------------- */

/** Before the candidate is installed: say so, within HF_REPORT_ANNOUNCE_MS. */
void hf_report_announce(struct hf_client *c, const struct hf_candidate *cand);

#endif
