/* What the files of the POSIX port share: state.c is an open state folder, posix.c what is done to
 * it, posix_identity.c its certificate, posix_reports.c its reports, init.c makes one,
 * subscribers.c notifies other programs. */
#ifndef HF_CLIENT_PORT_POSIX_POSIX_INTERNAL_H
#define HF_CLIENT_PORT_POSIX_POSIX_INTERNAL_H

#include <holdfast/posix.h>

#include "client/port/identity/token_key.h"
#include "client/port/posix/config_store.h"
#include "client/port/posix/endpoint_probe.h"
#include "client/port/posix/http.h"
#include "client/port/posix/sqlite_store.h"
#include "client/port/posix/system.h"

#define HF_EXPORT_MODE 0644 /* roots are public, and read by programs of other users */

struct hf_posix {
    char *state_dir; /* absolute */
    struct hf_log_port log;
    struct hf_sqlite_store *store;
    struct hf_stored_config config;
    struct hf_trust_store *trust_store;
    struct hf_http_transport *transport;      /* NULL during init */
    struct hf_endpoint_probe *endpoint_probe; /* NULL during init */
    struct hf_client *client;                 /* NULL during init */
    int64_t notified_from_s;                  /* other programs know what holds from then */
    int64_t notified_until_s;                 /* until before then; 0 and 0: not compared yet */
    bool accepts_common_names;                /* the configuration has turned that on */
    struct hf_why export_fault;           /* the on-swap command ran all the same; HF_OK for none */
    char device_id[HF_DEVICE_ID_MAX + 1]; /* empty until it is needed */
    struct hf_pkcs11_key *token; /* of the configured key, if it is in one; NULL for none */
    struct hf_device_key device_key;
    const struct hf_device_key *key; /* that one, or NULL */
    bool has_port_key;               /* it is from hf_posix_use_device_key */
    struct hf_why no_reports; /* why none are sent although configured; HF_OK: they are, or off */
};

/** All ports; those for transport and endpoints are empty where there is none. */
struct hf_ports hf_posix_ports(struct hf_posix *posix);

/** Another process may have changed the configuration. On failure everything stays as it was. */
HF_MUST_USE enum hf_err hf_posix_reload_config(struct hf_posix *posix, struct hf_why *why);

/** To the log only. */
void hf_posix_log(const struct hf_posix *posix, enum hf_level level, const char *text);

/** To the journal and to the log; what cannot be written is only logged. */
void hf_posix_journal(struct hf_posix *posix, enum hf_level level, const char *kind,
                      const char *text);

/** hf_sqlite_store_sync; a failure is logged. The caller holds STATE/lock. */
void hf_posix_secure(struct hf_posix *posix);

/** Reports as configured, from now on: after the client was opened or configured. What prevents
 *  them is logged and in the status. */
void hf_posix_apply_reports(struct hf_posix *posix);
/** Send what waits, unless the service asked for a wait. A failure is logged and in the status. Not
 *  under STATE/lock, which an update must not wait for. */
void hf_posix_report(struct hf_posix *posix, int timeout_ms);
/** The device was enrolled: to the service it is another one now. HF_E_BUSY, … */
HF_MUST_USE enum hf_err hf_posix_restart_reports(struct hf_posix *posix, struct hf_why *why);

/** Rotate the device's certificate if it is due or asked for, or finish what was interrupted. The
 *  journal and the status say what fails. The caller does not hold STATE/lock: the service may take
 *  minutes. Nothing happens while another process is at it. */
void hf_posix_maintain_identity(struct hf_posix *posix);

/**
 * Update the configured export, and run the on-swap command, if they do not match the active
 * bundle. HF_OK also without a bundle, an export or a command. A failure is in the journal too. The
 * caller holds STATE/lock.
 */
HF_MUST_USE enum hf_err hf_subscribers_notify(struct hf_posix *posix, struct hf_why *why);

/*
 * The command that notifies other programs of a swap ("systemctl reload mosquitto"). It is the
 * administrator's own text, run by /bin/sh -c; its data is in the environment and never put into
 * that text.
 */
struct hf_swap_notice {
    const char *state;       /* HOLDFAST_STATE */
    const char *set;         /* HOLDFAST_SET */
    const char *profile;     /* HOLDFAST_PROFILE */
    const char *old_version; /* HOLDFAST_OLD_VERSION; "none" the first time */
    const char *new_version; /* HOLDFAST_NEW_VERSION */
    const char *export_file; /* HOLDFAST_EXPORT; "" where no export is kept */
};

/** Run `command` to its end, at most `timeout_ms`, as hf_shell_run does. */
HF_MUST_USE enum hf_err hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                                       unsigned timeout_ms, struct hf_why *why);

#endif
