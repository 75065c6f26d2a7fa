/*
 * What Prometheus reads: its text exposition format, version 0.0.4.
 *
 *     hf_metrics_family(m, "holdfast_http_answers_total", "counter",
 *                       "Answers, by class of status.");
 *     hf_metrics_sample(m, (double)n, "listener=\"%s\",code=\"%uxx\"", listener, digit);
 *
 * Labels have few values, and none that a client chooses: a device id or a subject is no label.
 */
#ifndef HF_API_METRICS_H
#define HF_API_METRICS_H

#include <holdfast/bytes.h>

#define HF_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct hf_metrics {
    struct hf_buf text;
    const char *family;
    bool is_short; /* of memory: the text is not whole */
};

/** `kind` is "counter" or "gauge". The samples of the family follow. */
void hf_metrics_family(struct hf_metrics *m, const char *name, const char *kind, const char *help);
/** `labels` NULL: none. */
void hf_metrics_sample(struct hf_metrics *m, double value, const char *labels, ...)
    __attribute__((format(printf, 3, 4)));

#endif
