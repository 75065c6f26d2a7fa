/* What the listeners and the repository give to GET /metrics. */
#ifndef HF_SERVE_METRICS_H
#define HF_SERVE_METRICS_H

#include "server/api/metrics.h"
#include "server/http/counters.h"
#include "server/serve/repository.h"

struct hf_listener_numbers {
    const char *name; /* "devices" */
    struct hf_http_counters sum;
};

void hf_metrics_of_listeners(struct hf_metrics *m, const struct hf_listener_numbers *listeners,
                             size_t n);
void hf_metrics_of_repository(struct hf_metrics *m, const struct hf_repository_status *status);

#endif
