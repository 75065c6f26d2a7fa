/*
 * What a command that signs has done, as data for scripts (schema/publish-report.schema.json) or in
 * words.
 */
#ifndef HF_PUBLISH_PUBLISH_REPORT_H
#define HF_PUBLISH_PUBLISH_REPORT_H

#include "server/publish/bundle/bundle_release.h"

#include <stdio.h>

struct hf_publish_report {
    const char *outcome;            /* "published", "waiting", "drafted", "unchanged" */
    int64_t versions[HF_TOP_ROLES]; /* of what was signed, or drafted; 0: stays as it was */
    json_t *rollouts;               /* owned; roles rollout-SET that were signed; NULL: none */
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

/** One role rollout-SET more. */
void hf_publish_report_add_rollout(struct hf_publish_report *report, const char *role,
                                   int64_t version);

/** Print, and free what the report owns. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_publish_report_print_take(struct hf_publish_report *report, FILE *out,
                                                     struct hf_why *why);

/** For people: what is to be done with the draft of these targets. */
void hf_targets_print_drafted(int64_t version, const char *draft_file);

/** What became of a release, on standard output as order->is_json asks. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_release_report(const struct hf_release_run *run, struct hf_why *why);

#endif
