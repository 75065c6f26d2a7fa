/*
 * The thread that audits: each check regularly and when an operator asks. It reads over a
 * connection of its own, so no request waits for it, and writes in small jobs among those of
 * requests.
 */
#ifndef HF_FINDINGS_AUDITOR_H
#define HF_FINDINGS_AUDITOR_H

#include "server/findings/check.h"
#include "server/fleet/fleet.h"

struct hf_auditor_config {
    struct hf_fleet *fleet;
    struct hf_check_settings settings; /* borrowed for the call */
    int64_t every_s;
    /* When the metadata that is served ends; on the auditor's thread. NULL: none is. */
    void (*metadata)(void *ctx, struct hf_metadata_ends *out);
    /* What is published, with a reference for the auditor; NULL: nothing is. The same thread. NULL:
     * nothing ever is. */
    struct hf_published *(*published)(void *ctx);
    void *ctx; /* of both */
};

struct hf_auditor;

HF_MUST_USE enum hf_err hf_auditor_start(const struct hf_auditor_config *config,
                                         struct hf_auditor **out, struct hf_why *why);
/** Give up what is under way and end. The fleet is still open. NULL is fine. */
void hf_auditor_stop(struct hf_auditor *auditor);

/** Judge by these (hf_check_settings_copy), and this often, from the next check on. From any
 *  thread. */
void hf_auditor_offer_take(struct hf_auditor *auditor, struct hf_check_settings *settings,
                           int64_t every_s);

/** Run this check soon, whether it is due or not. From any thread. */
void hf_auditor_ask(struct hf_auditor *auditor, const struct hf_check *check);
/** Was it asked for or is it under way? From any thread. */
bool hf_auditor_is_busy(struct hf_auditor *auditor, const struct hf_check *check);

extern const struct hf_sql hf_audit_sql[];

/* One audit without a thread, for tests. `write` runs an act as the writer does. */
struct hf_audit_port {
    struct hf_db *db; /* for reading */
    void *ctx;
    enum hf_err (*write)(void *ctx, hf_fleet_act *act, void *what, struct hf_why *why);
    bool (*is_ending)(void *ctx);
};
/** Run `check` and keep what it found. A check that cannot run, or fails, keeps its reason, and is
 *  HF_OK; errors are of the port. `ctx` with settings, now_s, metadata and published (borrowed);
 *  the rest is filled in here and freed. */
HF_MUST_USE enum hf_err hf_audit_run(const struct hf_audit_port *port, const struct hf_check *check,
                                     struct hf_check_ctx *ctx, struct hf_why *why);

#endif
