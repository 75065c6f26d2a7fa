#include "server/audit/copy_file.h"

#include <errno.h>
#include <string.h>

enum hf_err hf_audit_line_read(FILE *in, struct hf_audit_line *line, struct hf_why *why)
{
    int byte;

    line->len = 0;
    while ((byte = getc(in)) != EOF && byte != '\n') {
        if (line->len == sizeof line->text)
            return hf_fail(why, HF_E_LIMIT,
                           "a line is longer than one of a log can be (expected %u bytes at most)",
                           HF_AUDIT_LINE_MAX);
        line->text[line->len++] = (char)byte;
    }
    if (ferror(in) != 0)
        return hf_fail(why, HF_E_STORAGE, "it cannot be read: %s", strerror(errno));
    return byte == EOF && line->len == 0 ? HF_E_NOT_FOUND : HF_OK;
}
