/* What init made, as the first root metadata says it: in words, and as data for scripts. */
#ifndef HF_PUBLISH_INIT_REPORT_H
#define HF_PUBLISH_INIT_REPORT_H

#include "common/tuf/metadata.h"

#include <stdio.h>

/** Borrowed. */
struct hf_init_made {
    const char *repo_dir;
    const char *keys_dir;
    bool is_insecure; /* the keys lie open */
};

/** Prints the report; as JSON it is schema/init-report.schema.json. I/O: reads metadata/1.root.json
 *  again. HF_E_STORAGE, HF_E_FORMAT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_init_report(const struct hf_init_made *made, bool is_json, FILE *out,
                                       struct hf_why *why);

#endif
