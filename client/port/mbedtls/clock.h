/*
 * The time that Mbed TLS judges certificates by: the system's, never below a floor, or one that a
 * tool sets. One for the process, because Mbed TLS has one time function.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_CLOCK_H
#define HF_CLIENT_PORT_MBEDTLS_CLOCK_H

#include <stdint.h>

/** Make Mbed TLS ask this clock. Any number of calls from any thread; the first does it. */
void hf_mbedtls_clock_install(void);

/** What Mbed TLS is told, as int64_t. */
int64_t hf_mbedtls_clock_now_s(void);

#endif
