/*
 * Is an edition whole? It is when a device that knows its first root could walk it to the end:
 * every signature threshold met, and every file that the metadata names there with its length and
 * hash. Dates are left to the devices: an expired repository is served, so that they can say so.
 *
 * No I/O.
 */
#ifndef HF_SERVE_REPOSITORY_CHECK_H
#define HF_SERVE_REPOSITORY_CHECK_H

#include "server/serve/edition.h"

/** Marks what a device would fetch as reached (hf_edition_prune keeps it), and fills in
 *  `e->summary`, on HF_OK; otherwise the sentence names what is missing or wrong. */
HF_MUST_USE enum hf_err hf_repository_check(struct hf_edition *e, struct hf_why *why);

/*
 * The newest metadata that was served. Devices that saw it refuse anything older (TUF 5.3.5, 5.4.3,
 * 5.5.5), so the server refuses it too: a folder that went back, from an old backup or an old copy,
 * is a problem to report and not a repository to serve.
 *
 * With a state folder it survives a restart, as DIR/root.json, timestamp.json and snapshot.json.
 */

/** A file, byte for byte; empty before the first edition. */
struct hf_newest_file {
    struct hf_buf bytes;
    bool is_unsaved; /* the state folder holds another one, because a write failed */
};

struct hf_newest {
    struct hf_newest_file root;
    struct hf_newest_file timestamp;
    struct hf_newest_file snapshot;
};

/**
 * Would a device that holds `newest` take `e`, which is whole? By the client's own rules, so that a
 * root which has replaced the keys of timestamp or snapshot since starts again (TUF 5.3.11). Dates
 * do not matter. HF_OK, or the error that the device would meet, in words. No I/O.
 */
HF_MUST_USE enum hf_err hf_newest_check(const struct hf_newest *newest, const struct hf_edition *e,
                                        struct hf_why *why);

/**
 * `e` is about to be served: remember it, and in the folder `state` (may be NULL) too.
 * HF_E_STORAGE: `newest` holds it while the folder does not; the next call writes what is missing,
 * also for the same `e`. HF_E_MEMORY: `newest` may hold a part of it. Blocking I/O.
 */
HF_MUST_USE enum hf_err hf_newest_remember(struct hf_newest *newest, const struct hf_edition *e,
                                           const char *state, struct hf_why *why);

/** What an earlier process remembered in `state`; nothing, and HF_OK, where there was none. On
 *  failure `why` names a file that is damaged or cannot be read, and `out` holds the others: none
 *  of them where that is the root, which they are judged by. Free it in any case. Blocking I/O. */
HF_MUST_USE enum hf_err hf_newest_load(const char *state, struct hf_newest *out,
                                       struct hf_why *why);
void hf_newest_free(struct hf_newest *newest);

#endif
