/* The clock and the random numbers of the operating system, as ports; the lock of a state folder;
 * which device this is. */
#ifndef HF_CLIENT_PORT_POSIX_SYSTEM_H
#define HF_CLIENT_PORT_POSIX_SYSTEM_H

#include "common/base/names.h"

#include <holdfast/error.h>
#include <holdfast/port.h>

#include <stdbool.h>

struct hf_clock_port hf_system_clock_port(void);

/** libsodium must be initialised (sodium_init). */
struct hf_random_port hf_system_random_port(void);

/* For a restore, or another short writer; an update holds the lock for longer. */
#define HF_LOCK_WAIT_MS 2000

/**
 * STATE/lock: one writer at a time. Take it, waiting at most `wait_ms`; `*out` is to be handed to
 * hf_file_unlock. HF_E_BUSY when another process (or another hf_lock_take in this one) holds it for
 * longer, HF_E_STORAGE.
 */
HF_MUST_USE enum hf_err hf_lock_take(const char *state_dir, unsigned wait_ms, int *out,
                                     struct hf_why *why);

/*
 * Who this device is, for rollout shares and reports. Configured, or the first line of a file, or
 * derived from the machine-id: SHA-256 of a text of our own and that id, because machine-id(5) asks
 * that it is not shown. An image that is cloned before its first boot has no machine-id
 * yet, so its clones get ids of their own.
 */

#define HF_INSTANCE_MAX 1024 /* bytes */
#define HF_MACHINE_ID_FILE "/etc/machine-id"

/** HF_E_ARGUMENT for one that is not valid. */
HF_MUST_USE enum hf_err hf_device_id_check(const char *id, struct hf_why *why);

/** The first line of `file`, without blanks at its end. HF_E_NOT_FOUND, HF_E_FORMAT, … */
HF_MUST_USE enum hf_err hf_device_id_from_file(const char *file, char out[HF_DEVICE_ID_MAX + 1],
                                               struct hf_why *why);

/**
 * From a machine-id file, usually HF_MACHINE_ID_FILE. HF_E_NOT_FOUND without one, HF_E_FORMAT when
 * it does not hold 32 hexadecimal digits (systemd writes "uninitialized" before the first boot).
 */
HF_MUST_USE enum hf_err hf_device_id_derive(const char *machine_id_file,
                                            char out[HF_DEVICE_ID_MAX + 1], struct hf_why *why);

/**
 * What tells this state folder from every other one in a fleet, for the moments of its checks: the
 * id of the machine, of this boot (random, so it differs for clones with one machine-id too), the
 * host name, and the folder itself. Whatever cannot be found out is left out. The same for all
 * programs until the next boot. It holds ids that are not to be shown: hash it.
 */
void hf_device_instance(const char *state_dir, const char *device_id, char out[HF_INSTANCE_MAX]);

#endif
