/* What the server tells its operator: one line on standard error for each event. */
#ifndef HF_SERVE_LOG_H
#define HF_SERVE_LOG_H

#include <holdfast/error.h>

/** "holdfastd: " and the sentence, as one write, so that lines of several threads stay whole. */
void hf_serve_log(const char *fmt, ...) HF_PRINTF(1, 2);

#endif
