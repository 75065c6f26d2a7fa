/* What the server tells its operator: one line on standard error for each event. */
#ifndef HF_SERVE_LOG_H
#define HF_SERVE_LOG_H

#include <holdfast/error.h>

/* The numbers are those of syslog(3). */
enum hf_log_level {
    HF_LOG_ERROR = 3,
    HF_LOG_WARNING = 4,
    HF_LOG_INFO = 6,
};

/**
 * "2026-11-22T05:08:00Z holdfastd warning: SENTENCE", or for the systemd journal, which adds time
 * and program itself, "<4>SENTENCE". One write, so that lines of several threads stay whole. A line
 * that standard error does not take at once is lost and counted: no loop waits for a log reader.
 */
void hf_serve_log(enum hf_log_level level, const char *fmt, ...) HF_PRINTF(2, 3);

#endif
