/*
 * The gate of a device listener: what TLS asks about clients (server/http/tls.h) is decided by
 * server/identity, and each request is judged again. One for each loop, on that loop's thread, but
 * for hf_gate_offer.
 */
#ifndef HF_API_GATE_H
#define HF_API_GATE_H

#include "common/report/signature.h"
#include "server/api/meter.h"
#include "server/fleet/fleet.h"
#include "server/http/connection.h"
#include "server/identity/identity.h"

struct hf_gate {
    const struct hf_registry *registry;
    struct hf_directory *directory;         /* a reference; the loop's own */
    _Atomic(struct hf_directory *) offered; /* a newer one, or NULL */
    struct hf_fleet *fleet;                 /* for what a connection changes; NULL: nothing */
    struct hf_tls_rules rules; /* for hf_http_config.tls_rules; their ctx is the gate */
    int64_t (*now_s)(void);    /* the clock */
    struct hf_meter reports;   /* how often each client reports */
};

/** `fleet` outlives the gate. */
void hf_gate_init(struct hf_gate *gate, struct hf_fleet *fleet);
/** After the loop's end. */
void hf_gate_free(struct hf_gate *gate);

/** Decide by `directory` from the next decision on. From any thread (hf_fleet_config.offer). */
void hf_gate_offer(struct hf_gate *gate, struct hf_directory *directory);

/* What a request is for. */
enum hf_gate_use {
    HF_GATE_REPOSITORY, /* a signed file */
    HF_GATE_ENROLL,     /* POST /v1/enroll */
    HF_GATE_DEVICE,     /* what needs a device's certificate */
    HF_GATE_WHOAMI,     /* any client that is admitted */
    HF_GATE_REPORT,     /* POST /v1/reports with a certificate, or where no proof is needed */
    HF_GATE_SIGNED,     /* the same, signed: the caller verifies it (hf_gate_find_report_key) */
};

/**
 * May the client of `request` do that? 0, or the status to refuse it with: 403 with
 * `out->sentence`, 421. A request without TLS is admitted to the repository, as HF_ANONYMOUS_READ
 * of no account, and with a signature, in the account that its Host names. The first request with a
 * certificate that a rotation made is noted in the store.
 */
unsigned hf_gate_check(struct hf_gate *gate, const struct hf_request *request, enum hf_gate_use use,
                       struct hf_identity *out);

/** The key with which a device of that account signs reports; false if it is not registered, or
 *  revoked. */
bool hf_gate_find_report_key(const struct hf_gate *gate, uint32_t account,
                             const uint8_t public_key[HF_REPORT_KEY_LEN],
                             struct hf_registered *out);

#endif
