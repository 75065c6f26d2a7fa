/* Tell systemd how a service is doing: the protocol of sd_notify(3), which is one datagram. */
#ifndef HF_OS_NOTIFY_H
#define HF_OS_NOTIFY_H

/**
 * Send `state`, for example "READY=1" or "STATUS=serving version 7", to the socket that
 * $NOTIFY_SOCKET names. Several assignments are separated by a line feed.
 *
 * Without $NOTIFY_SOCKET the program does not run under systemd, and nothing is sent. A failure is
 * ignored: no service should stop because its supervisor does not listen. Never blocks.
 */
void hf_notify(const char *state);

/**
 * How often systemd expects "WATCHDOG=1", in milliseconds; 0 if it expects none of this process
 * (sd_watchdog_enabled(3)). Send it at half this interval.
 */
int hf_notify_watchdog_ms(void);

#endif
