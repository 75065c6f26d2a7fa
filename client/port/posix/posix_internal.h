/* What the files of the POSIX port share: posix.c opens, updates, exports and resets, init.c makes a
 * STATE, state.c is about what is open, followers.c tells other programs. */
#ifndef HF_CLIENT_PORT_POSIX_POSIX_INTERNAL_H
#define HF_CLIENT_PORT_POSIX_POSIX_INTERNAL_H

#include <holdfast/posix.h>

#include "client/port/posix/config_store.h"
#include "client/port/posix/system.h"
#include "client/port/posix/http.h"
#include "client/port/posix/endpoint_probe.h"
#include "client/port/posix/sqlite_store.h"

/* A status or another short writer may hold the lock; an update in progress holds it for longer. */
#define HF_POSIX_LOCK_WAIT_MS 2000

#define HF_EXPORT_MODE 0644 /* roots are public, and read by programs of other users */

struct hf_posix {
    char *state_dir; /* absolute */
    struct hf_log_port log;
    struct hf_sqlite_store *store;
    struct hf_stored_config config;
    struct hf_trust_store *trust_store;
    struct hf_http_transport *transport;  /* NULL during init */
    struct hf_lookout *lookout;           /* NULL during init */
    struct hf_client *client;             /* NULL during init */
    int64_t told_from_s;                  /* other programs know what holds from then */
    int64_t told_until_s;                 /* until before then; 0 and 0: not looked at yet */
    struct hf_why export_fault;           /* the on-swap command ran all the same; HF_OK for none */
    char device_id[HF_DEVICE_ID_MAX + 1]; /* empty until it is needed */
};

/** All ports; those for transport and endpoints are empty where there is none. */
struct hf_ports hf_posix_ports(struct hf_posix *posix);

/** To the journal and to the log; what cannot be written is only logged. */
void hf_posix_journal(struct hf_posix *posix, enum hf_level level, const char *kind,
                      const char *text);

/** What was written survives a power cut, and the copy of the database knows of it. What cannot be done
 *  is logged. The caller holds STATE/lock. */
void hf_posix_secure(struct hf_posix *posix);

/**
 * Update the configured export, and run the on-swap command, if they do not match the active bundle. HF_OK also without a bundle, an export or a command. The caller holds STATE/lock.
 */
HF_MUST_USE enum hf_err hf_followers_tell(struct hf_posix *posix, struct hf_why *why);

#endif
