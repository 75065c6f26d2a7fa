/*
 * What a command that signs has done, as data for scripts (schema/publish-report.schema.json); it
 * mirrors what the commands print for people.
 */
#ifndef HF_PUBLISH_PUBLISH_REPORT_H
#define HF_PUBLISH_PUBLISH_REPORT_H

#include "server/publish/bundle/bundle_build.h"
#include "server/publish/bundle/bundle_release.h"
#include "server/publish/bundle/catalog.h"
#include "server/repository/publication.h"

struct hf_publish_report {
    const char *outcome;            /* "published", "waiting", "drafted", "unchanged" */
    int64_t versions[HF_TOP_ROLES]; /* of what was signed, or drafted; 0: stays as it was */
    const char *draft_file;         /* borrowed; NULL: none */
    bool is_unbridged;              /* root_publish.h */
    json_t *bundles;                /* owned; NULL: none */
    json_t *unchanged;              /* owned; NULL: none */
    json_t *unlisted;               /* owned; NULL: none */
    json_t *warnings;               /* owned; NULL: none */
    json_t *signatures; /* owned; of the draft that was finished (draft_signatures.h); NULL: none */
};

/** Versions of all that this publication has signed. */
void hf_publish_report_note(struct hf_publish_report *report, const struct hf_publication *p);

/** Print, and free what the report owns. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_publish_report_print_take(struct hf_publish_report *report, FILE *out,
                                                     struct hf_why *why);

/* A release in words or as data on standard output, and what is signed about a bundle. */

/** What became of an order. Borrowed. */
struct hf_released {
    const struct hf_release_order *order;
    const struct hf_publication *p;
    const struct hf_catalog *catalog; /* as it was before */
    const struct hf_bundle_built *built;
    size_t n_built;
    json_t *unlisted;        /* array */
    int64_t targets_version; /* 0: there was nothing to publish, and the targets stay */
    bool is_published;       /* neither published nor, with order->draft_file, signed */
};

/** Prints it as order->is_json asks. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_released_report(const struct hf_released *released, struct hf_why *why);

/** The `custom` value to sign at `now_s`: the description, and the errors of lint that were accepted,
 *  which devices ignore. `*out` is a new reference. */
HF_MUST_USE enum hf_err hf_bundle_custom(const struct hf_bundle_built *built, int64_t now_s,
                                         json_t **out, struct hf_why *why);

#endif
