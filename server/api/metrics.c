#include "server/api/metrics.h"

#include <stdarg.h>
#include <stdio.h>

#define LABELS_MAX 256u

void hf_metrics_family(struct hf_metrics *m, const char *name, const char *kind, const char *help)
{
    m->family = name;
    if (hf_buf_printf(&m->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) != HF_OK)
        m->is_short = true;
}

void hf_metrics_sample(struct hf_metrics *m, double value, const char *labels, ...)
{
    char text[LABELS_MAX] = "";
    if (labels != NULL) {
        va_list args;
        va_start(args, labels);
        (void)vsnprintf(text, sizeof text, labels, args);
        va_end(args);
    }
    if (hf_buf_printf(&m->text, labels != NULL ? "%s{%s} %.15g\n" : "%s%s %.15g\n", m->family, text,
                      value) != HF_OK)
        m->is_short = true;
}
