/* The clock and the random numbers of the operating system, as ports. */
#ifndef HF_CLIENT_PORT_POSIX_SYSTEM_H
#define HF_CLIENT_PORT_POSIX_SYSTEM_H

#include <holdfast/port.h>

struct hf_clock_port hf_system_clock_port(void);

/** libsodium must be initialised (sodium_init). */
struct hf_random_port hf_system_random_port(void);

#endif
