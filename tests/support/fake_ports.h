/* All ports of libholdfast in memory, for tests. Do not move the struct once its ports are out. */
#ifndef HF_TESTS_SUPPORT_FAKE_PORTS_H
#define HF_TESTS_SUPPORT_FAKE_PORTS_H

#include "tests/support/fake_endpoints.h"
#include "tests/support/fake_store.h"
#include "tests/support/fake_transport.h"

/* What the live trust store was given last. */
struct fake_trust {
    unsigned n_swaps;
    size_t n_anchors;
    char sha256[8][65]; /* of the first anchors' DER */
    int64_t distrust_after_s[8];
    int64_t remove_after_s[8];
    int64_t clock_floor_s;
    enum hf_err refuse_swap; /* HF_OK, or what every swap fails with */
};

struct fake_log {
    struct hf_buf text; /* all lines */
};

struct fake_ports {
    struct fake_store store;
    struct fake_transport transport;
    struct fake_trust trust;
    struct fake_log log;
    struct fake_endpoints endpoints; /* none, unless added before the ports are taken */
    int64_t now_s;
    int64_t uptime_ms;
    uint32_t random; /* every draw gives this */
};

void fake_ports_init(struct fake_ports *fake, int64_t now_s);
void fake_ports_free(struct fake_ports *fake);
struct hf_ports fake_ports_of(struct fake_ports *fake);

/** Was a line with `part` in it logged? */
bool fake_log_has(const struct fake_ports *fake, const char *part);
/** Is the anchor with that DER hash in the live store? */
bool fake_trust_has(const struct fake_trust *trust, const char *sha256);

#endif
