/* A copy of the audit log (copy.h) as a file that a person named: whatever it is, it is read in
 * bounded memory. */
#ifndef HF_AUDIT_COPY_FILE_H
#define HF_AUDIT_COPY_FILE_H

#include "server/audit/copy.h"

#include <stdio.h>

struct hf_audit_line {
    char text[HF_AUDIT_LINE_MAX];
    size_t len; /* without the line feed */
};

/** Read the next line. HF_E_NOT_FOUND at the end of the file, HF_E_LIMIT for a line that is longer
 *  than one of a log can be, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_audit_line_read(FILE *in, struct hf_audit_line *line,
                                           struct hf_why *why);

#endif
