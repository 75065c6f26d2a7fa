#include "common/os/core_dump.h"

#include <sys/prctl.h>

void hf_core_dump_forbid(void)
{
    /* RLIMIT_CORE does not stop a collector that the kernel pipes dumps to, and children inherit it. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
