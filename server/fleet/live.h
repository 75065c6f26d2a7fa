/*
 * The store's side of the registry and the directory: loaded from the database at the start, and
 * kept up to date by the writer (effects.h).
 */
#ifndef HF_FLEET_LIVE_H
#define HF_FLEET_LIVE_H

#include "server/fleet/changes.h"
#include "server/fleet/events.h"
#include "server/identity/directory.h"
#include "server/identity/registry.h"

struct hf_live {
    struct hf_registry *registry; /* for all threads, for as long as the live does */
    struct hf_directory *directory;
    bool is_sni_optional; /* the writer's, once it runs */
    /* A new directory, for the loops; borrowed for the call, on the writer's thread. May be
     * NULL. */
    void (*offer)(void *ctx, struct hf_directory *directory);
    void *offer_ctx;
    struct hf_events *events;          /* borrowed; NULL: none */
    struct hf_device_changes *changes; /* likewise */
    struct hf_directory *next;         /* made, and to be published after the commit */
};

/** Read everything from `db`. Set is_sni_optional, offer, offer_ctx, events and changes before. */
HF_MUST_USE enum hf_err hf_live_load(struct hf_live *live, struct hf_db *db, struct hf_why *why);
/** After the last reader has gone. */
void hf_live_free(struct hf_live *live);

/** For the writer; `ctx` is the hf_live. */
struct hf_effects_port hf_live_port(struct hf_live *live);

#endif
