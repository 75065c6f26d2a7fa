/*
 * What fails on a given date: which endpoints of a device would no longer validate, because of
 * which anchor, and since which day.
 *
 * A server's leaf and intermediates are assumed to be renewed under the same roots as today. For a
 * bundle that the endpoints were not probed with, only anchors count whose keys were part of a
 * probe. Of a certificate of such a key with other limits (name constraints, path length, policies)
 * it is not known whether it validates the endpoint.
 */
#ifndef HOLDFAST_SIMULATE_H
#define HOLDFAST_SIMULATE_H

#include <holdfast/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_simulation_query {
    int64_t now_s;        /* INT64_MIN: the device's time. Earlier dates are not examined */
    int64_t at_s;         /* the moment asked about */
    const char *endpoint; /* NULL, or only the one of this name */
    /* NULL, or the port that probes it (its first endpoint) if this device has never seen it */
    const struct hf_endpoint_port *prober;
    struct hf_bytes pem;    /* empty: the device's active bundle */
    struct hf_bytes custom; /* what is signed about `pem`; empty: plain anchors without dates */
};

enum hf_simulated {
    HF_SIMULATED_BREAKS = 0,
    /* Breaks for a server whose certificate was issued after a distrust_after, or it is not known
     * whether the limits of its root allow it. */
    HF_SIMULATED_AT_RISK,
    HF_SIMULATED_HOLDS,
};

/* One chain of one endpoint or, if no endpoint was seen, any chain that ends in one of the
 * roots. */
struct hf_forecast {
    char who[340]; /* "mqtts://HOST:8883 (RSA)", "any server under \"CN=…\"" */
    bool is_endpoint;
    enum hf_simulated at; /* at the moment asked about */
    char through[256];    /* then: the subject of the root that is valid longest; or empty */
    /* Of the first problem: "expiry", "distrust", "removal", "missing"; "refused": a root does not
     * validate it, or not yet; "unproved": it is not known whether a root does. */
    const char *cause;
    char why[HF_WHY_MAX]; /* refused or unproved: what is wrong, for people; else empty */
    char root[256];       /* the subject of the last root to end; empty if missing */
    int64_t trouble_s;    /* the first second in which it may fail */
    int64_t broken_s;     /* … and in which it fails at the latest */
};

/* A date of an anchor that ends no chain, as far as is known; or an anchor that none can end in. */
struct hf_date_note {
    char subject[256];
    /* "distrust"; "refused": no server is validated through it; "rejected": devices reject a bundle
     * with it */
    const char *kind;
    int64_t at_s;         /* the last second before; INT64_MIN: not of "distrust" */
    char why[HF_WHY_MAX]; /* what is wrong with it; empty of "distrust" */
};

struct hf_simulation {
    int64_t now_s;
    int64_t at_s;
    struct hf_forecast *forecasts; /* the first to fail comes first */
    size_t n_forecasts;
    struct hf_date_note *notes;
    size_t n_notes;
    struct hf_skipped_status *skipped; /* certificates of the bundle that are not supported here */
    size_t n_skipped;
    bool knows_endpoints; /* the forecasts are of endpoints */
    size_t n_unseen;      /* endpoints that were never seen, without a forecast */
    bool breaks;          /* some chain fails at `at_s`, or none validates today */
};

/**
 * `client` NULL: only a bundle; then `pem` and `now_s` are needed. HF_E_NOT_FOUND without a bundle
 * or for an endpoint that was never seen; HF_E_NETWORK when the probed one shows no chain. No
 * network except for that probe; writes nothing. hf_simulation_free `out`.
 */
HF_MUST_USE enum hf_err hf_client_simulate(struct hf_client *client,
                                           const struct hf_simulation_query *query,
                                           struct hf_simulation *out, struct hf_why *why);
void hf_simulation_free(struct hf_simulation *simulation);

#ifdef __cplusplus
}
#endif

#endif
