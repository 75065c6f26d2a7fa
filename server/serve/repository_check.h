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
 *  `g->summary`, on HF_OK; otherwise the sentence names what is missing or wrong. */
HF_MUST_USE enum hf_err hf_repository_check(struct hf_edition *g, struct hf_why *why);

#endif
