/*
 * A store port in memory, for tests. What is committed survives a power cut, what is in the
 * transaction begun does not, and the power can be cut at any write.
 */
#ifndef HF_TESTS_SUPPORT_FAKE_STORE_H
#define HF_TESTS_SUPPORT_FAKE_STORE_H

#include <holdfast/port.h>

#define FAKE_ROWS_MAX 256

/* A metadata file, a value or an event, by its name. */
struct fake_row {
    char name[64];
    struct hf_buf bytes;
};

struct fake_rows {
    struct fake_row rows[FAKE_ROWS_MAX];
    size_t n;
};

struct fake_state {
    struct fake_rows metadata; /* by role */
    struct fake_rows values;
    struct fake_rows events;  /* in order; named by their kind */
    struct fake_rows reports; /* in order; named by their number */
    bool has_bundle[HF_SLOT_STAGED + 1];
    struct hf_bundle_record bundles[HF_SLOT_STAGED + 1];
    struct hf_buf revoked; /* 32 bytes a key */
};

struct fake_store {
    struct fake_state state;   /* what a reader sees */
    struct fake_state at_rest; /* what lies on the disk; differs inside a transaction only */
    bool in_transaction;

    /* What was written since fake_store_forget_writes, one word or two each, such as
     * "metadata root" or "value clock.floor"; "commit" ends a transaction. */
    struct fake_rows writes;
    unsigned n_writes; /* since the power came on */
    unsigned n_transactions;

    unsigned cut_at_write; /* the power goes instead of this write, 1 for the first; 0: never */
    bool is_power_off;
    unsigned fail_at_write;     /* this one fails with HF_E_STORAGE, later ones do not; 0: none */
    enum hf_err refuse_writes;  /* HF_OK, or what every write fails with */
    bool fails_next_begin;      /* with HF_E_BUSY, once */
    enum hf_err refuse_revoked; /* HF_OK, or how reading the revoked keys fails */
    bool refuses_reports;
    const char *refuse_value; /* NULL, or the value that cannot be read */
};

struct hf_store_port fake_store_port(struct fake_store *store);
void fake_store_free(struct fake_store *store);

/** Power on again: what was committed is what there is. */
void fake_store_reboot(struct fake_store *store);
void fake_store_forget_writes(struct fake_store *store);
/** Was "metadata root", "commit", … written? */
bool fake_store_has_written(const struct fake_store *store, const char *what);

/** Borrowed; data is NULL where there is none. */
struct hf_bytes fake_store_metadata(const struct fake_store *store, const char *role);
/** "" where there is none. */
const char *fake_store_value(const struct fake_store *store, const char *name);
/** As if it had been there all along: not counted as a write. */
void fake_store_put_metadata(struct fake_store *store, const char *role, struct hf_bytes file);
void fake_store_put_value(struct fake_store *store, const char *name, const char *value);
/** One more revoked key of 32 bytes, likewise. */
void fake_store_put_revoked(struct fake_store *store, const uint8_t spki_sha256[32]);
/** NULL where the slot is empty. */
struct hf_bundle_record *fake_store_bundle(struct fake_store *store, enum hf_slot slot);
size_t fake_store_count_events(const struct fake_store *store, const char *kind);

void fake_state_copy(struct fake_state *to, const struct fake_state *from);
void fake_state_free(struct fake_state *state);
bool fake_state_same_metadata(const struct fake_state *a, const struct fake_state *b,
                              const char *role);
/** With the revoked keys. */
bool fake_state_same_bundles(const struct fake_state *a, const struct fake_state *b);

#endif
