/*
 * The time at which Mbed TLS validates certificates. It asks one function for the whole process:
 * the system's time, never below a floor, or a time that a tool has set.
 */
#ifndef HF_COMMON_CHAIN_CLOCK_H
#define HF_COMMON_CHAIN_CLOCK_H

#include <stdint.h>

/** Make Mbed TLS ask this clock. Any number of calls from any thread; the first does it. */
void hf_chain_clock_install(void);

int64_t hf_chain_clock_now_s(void);

/** The highest floor ever set counts: a second client that knows less must not lower it. */
void hf_chain_clock_raise_floor(int64_t floor_s);

/** Exactly this time from now on; INT64_MIN: the system's again. */
void hf_chain_clock_set(int64_t now_s);

#endif
