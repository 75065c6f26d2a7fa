/* Commands that an administrator has configured, and what the kernel does with this process. */
#ifndef HF_OS_PROCESS_H
#define HF_OS_PROCESS_H

#include <holdfast/error.h>

#include <stddef.h>

struct hf_variable {
    const char *name, *value;
};

/**
 * Run `command`, the administrator's own text, by /bin/sh -c to its end, at most `timeout_ms`; then
 * it and what it has started are killed. What it may want to know stands in the environment, which
 * is ours with `variables` over it, and is never put into that text. Its standard input is empty,
 * its standard output goes to our standard error. `what` ("the on-swap command") begins the
 * sentences. HF_OK for exit status 0, otherwise HF_E_STATE with how it ended; HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_shell_run(const char *command, const char *what,
                                     const struct hf_variable *variables, size_t n_variables,
                                     unsigned timeout_ms, struct hf_why *why);

/** From now on this process leaves no core dump, and only root can trace it: keys must not end up
 *  in a core file, where backups and crash collectors take them along. A program that it executes
 *  is free of that again. */
void hf_core_dump_forbid(void);

#endif
