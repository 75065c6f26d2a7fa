/* Keys must not end up in a core file, where backups and crash collectors take them along. */
#ifndef HF_COMMON_OS_CORE_DUMP_H
#define HF_COMMON_OS_CORE_DUMP_H

/** From now on this process leaves no core dump, and only root can trace it. A program that it executes
 *  is free of that again. */
void hf_core_dump_forbid(void);

#endif
