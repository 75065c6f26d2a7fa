/*
 * What may change while loops run. A change makes a new one, which is immutable and counted from
 * then on, and hands it to each loop (hf_loop_offer). A loop takes it between two events, so that
 * no request waits for a lock or looks for a change.
 */
#ifndef HF_HTTP_SETTINGS_H
#define HF_HTTP_SETTINGS_H

#include "server/http/address.h"

struct hf_http_settings {
    atomic_uint references;
    unsigned connections_max; /* of one loop; when more are open they stay, and none is accepted */
    uint64_t header_timeout_ms, idle_timeout_ms;
    /* hf_http_config.balancers; a connection that is open stays what it was when it came */
    struct hf_network balancers[HF_HTTP_BALANCERS_MAX];
    size_t n_balancers;
};

/** A copy of `values`, with one reference. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_http_settings_new(const struct hf_http_settings *values,
                                             struct hf_http_settings **out, struct hf_why *why);
struct hf_http_settings *hf_http_settings_ref(struct hf_http_settings *settings);
/** NULL is fine. From any thread. */
void hf_http_settings_unref(struct hf_http_settings *settings);

#endif
