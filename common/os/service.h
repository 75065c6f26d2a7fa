/*
 * What a service tells: its operator, one line on standard error for each event; and systemd, how
 * it is doing (the protocol of sd_notify(3), which is one datagram).
 */
#ifndef HF_OS_SERVICE_H
#define HF_OS_SERVICE_H

#include <holdfast/error.h>

/* The numbers are those of syslog(3). */
enum hf_log_level {
    HF_LOG_ERROR = 3,
    HF_LOG_WARNING = 4,
    HF_LOG_INFO = 6,
};

/**
 * "2026-11-22T05:08:00Z PROGRAM warning: SENTENCE", or for the systemd journal, which adds time
 * and program itself, "<4>SENTENCE". One write, so that lines of several threads stay whole. A line
 * that standard error does not take at once is lost and counted: no loop waits for a log reader.
 */
void hf_service_log(enum hf_log_level level, const char *fmt, ...) HF_PRINTF(2, 3);

/**
 * Send `state`, for example "READY=1" or "STATUS=serving version 7", to the socket that
 * $NOTIFY_SOCKET names. Several assignments are separated by a line feed.
 *
 * Without $NOTIFY_SOCKET the program does not run under systemd, and nothing is sent. A failure is
 * ignored: no service should stop because its supervisor does not listen. Never blocks.
 */
void hf_notify(const char *state);

/** RELOADING=1, to be followed by READY=1. */
void hf_notify_reloading(void);

/**
 * How often systemd expects "WATCHDOG=1", in milliseconds; 0 if it expects none of this process
 * (sd_watchdog_enabled(3)). Send it at half this interval.
 */
int hf_notify_watchdog_ms(void);

#endif
