/* How patient a transport is; for tests, which cannot wait for two minutes. */
#ifndef HF_CLIENT_PORT_POSIX_HTTP_TIMEOUTS_H
#define HF_CLIENT_PORT_POSIX_HTTP_TIMEOUTS_H

#include "client/port/posix/http_transport.h"
#include "common/os/net.h"

void hf_http_transport_set_timeouts(struct hf_http_transport *transport,
                                    struct hf_timeouts timeouts);

#endif
