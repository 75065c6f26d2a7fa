/*
 * The store of the service: the database, its two threads, and what of it is in memory. holdfastd
 * opens one.
 */
#ifndef HF_FLEET_FLEET_H
#define HF_FLEET_FLEET_H

#include "server/fleet/live.h"
#include "server/fleet/restore.h"
#include "server/fleet/writer.h"

struct hf_fleet_config {
    const char *path; /* of the database; made if it is missing */
    bool is_sni_optional;
    int64_t report_keep_s; /* how long reports are kept; 0: HF_FLEET_REPORT_KEEP_S */
    /* hf_live.offer */
    void (*offer)(void *ctx, struct hf_directory *directory);
    void *offer_ctx;
};

struct hf_fleet;

/**
 * Open the database, bring its schema up to date, load registry and directory, and start both
 * threads. HF_E_BUSY while another holdfastd has it; otherwise as hf_db_connect and hf_db_migrate.
 */
HF_MUST_USE enum hf_err hf_fleet_open(const struct hf_fleet_config *config, struct hf_fleet **out,
                                      struct hf_why *why);
/** Finish what is queued and close. After every loop has ended. NULL is fine. */
void hf_fleet_close(struct hf_fleet *fleet);

/** For as long as the fleet is open; from any thread. */
const struct hf_registry *hf_fleet_registry(const struct hf_fleet *fleet);
/** The directory that was loaded by hf_fleet_open, with a reference for the caller; newer ones come
 *  by `offer`. */
struct hf_directory *hf_fleet_directory(const struct hf_fleet *fleet);

/** What happens in it, and what else is added; for as long as the fleet is open. From any
 *  thread. */
struct hf_events *hf_fleet_events(struct hf_fleet *fleet);

/** Make the directory again with this policy (hf_directory_is_sni_optional), soon: HF_OK says that
 *  it is asked for. HF_E_BUSY, HF_E_MEMORY. From one thread. */
HF_MUST_USE enum hf_err hf_fleet_set_sni_optional(struct hf_fleet *fleet, bool is_optional,
                                                  struct hf_why *why);

/** As hf_fleet_config.report_keep_s. From any thread. */
void hf_fleet_set_report_keep(struct hf_fleet *fleet, int64_t keep_s);

/** Which devices have changed, for one follower; as long. */
struct hf_device_changes *hf_fleet_changes(struct hf_fleet *fleet);

/* For monitoring; what counts only grows. */
struct hf_fleet_numbers {
    size_t certificates; /* in the registry */
    size_t waiting_writes, waiting_reads;
    uint64_t writes, commits, failures, commit_ns; /* as struct hf_writer has them */
};
/** From any thread. */
void hf_fleet_numbers(struct hf_fleet *fleet, struct hf_fleet_numbers *out);

/** A connection for reading, for a thread of the caller's own, which closes it. */
HF_MUST_USE enum hf_err hf_fleet_connect(struct hf_fleet *fleet, struct hf_db **out,
                                         struct hf_why *why);

/** hf_worker_submit of the writer, or of the reader, which changes nothing. */
HF_MUST_USE enum hf_err hf_fleet_write(struct hf_fleet *fleet, struct hf_job *job,
                                       struct hf_why *why);
HF_MUST_USE enum hf_err hf_fleet_read(struct hf_fleet *fleet, struct hf_job *job,
                                      struct hf_why *why);

/* For a thread of the caller's own, never a loop's: run `act` on the writer or the reader, as
 * "holdfastd", and wait for its end. Errors of hf_worker_submit and of `act`. */
typedef enum hf_err hf_fleet_act(void *what, struct hf_tx *tx, struct hf_why *why);
HF_MUST_USE enum hf_err hf_fleet_write_wait(struct hf_fleet *fleet, hf_fleet_act *act, void *what,
                                            struct hf_why *why);
HF_MUST_USE enum hf_err hf_fleet_read_wait(struct hf_fleet *fleet, hf_fleet_act *act, void *what,
                                           struct hf_why *why);

/** What is due: old certificates become INACTIVE, old answers and reports are forgotten, the hour's
 *  counts are written. Call it every ten seconds; does not block, and does nothing while the last
 *  call is at work. One thread calls it. */
void hf_fleet_tick(struct hf_fleet *fleet);

/** Write a backup to the new file `to` (hf_db_backup), over a connection of its own: from any
 *  thread that may wait for the disk. */
HF_MUST_USE enum hf_err hf_fleet_backup(struct hf_fleet *fleet, const char *to, struct hf_why *why);
/** In a writer's job that runs_alone (restore.h). */
HF_MUST_USE enum hf_err hf_fleet_restore_backup(struct hf_fleet *fleet, struct hf_tx *tx,
                                                const struct hf_restore_from *from,
                                                struct hf_restored *out, struct hf_why *why);

/*
 * The log lacks entries that the signer sealed: the database is an old copy. Then a certificate may
 * be ACTIVE here that was revoked, and a token unused that was used. Devices that are known connect
 * as before, since a whole fleet that is shut out is worse than one device that fetches public
 * files; but nothing new is let in. From any thread.
 */
void hf_fleet_set_behind(struct hf_fleet *fleet, bool is_behind);
bool hf_fleet_is_behind(const struct hf_fleet *fleet);

#endif
