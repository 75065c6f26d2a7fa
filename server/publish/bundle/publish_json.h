/*
 * What a command that signs has done, as data for scripts (schema/publish-report.schema.json); it
 * mirrors what the commands and bundle_report.h print for people.
 */
#ifndef HF_PUBLISH_PUBLISH_JSON_H
#define HF_PUBLISH_PUBLISH_JSON_H

#include "server/publish/bundle/bundle_build.h"
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
    json_t *signatures; /* owned; of the draft that was finished (draft_tally.h); NULL: none */
};

/** Versions of all that this publication has signed. */
void hf_publish_report_note(struct hf_publish_report *report, const struct hf_publication *p);

/** Print, and let go of what the report owns. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_publish_report_print_take(struct hf_publish_report *report, FILE *out,
                                                     struct hf_why *why);

/** A new version beside the one `before` it (NULL: none); a new reference, NULL without memory. */
json_t *hf_bundle_built_to_json(const struct hf_bundle_built *built,
                                const struct hf_repo_bundle *before);

/** One that is as its newest version; a new reference, NULL without memory. */
json_t *hf_bundle_unchanged_to_json(const struct hf_bundle_built *built);

#endif
