/*
 * Time as text. Everywhere else time is int64_t seconds since 1970-01-01T00:00:00Z, so that
 * nothing ends in 2038. No I/O, no clock, no time zone.
 */
#ifndef HF_COMMON_TIMETEXT_H
#define HF_COMMON_TIMETEXT_H

#include <holdfast/bytes.h>

#define HF_TIME_NONE INT64_MIN /* "no such date" */
#define HF_TIME_TEXT_MAX 21    /* "YYYY-MM-DDTHH:MM:SSZ" and its NUL */
#define HF_DAY_S INT64_C(86400)

/** The form of TUF (section 4.2.3), `YYYY-MM-DDTHH:MM:SSZ`, years 1970 to 9999, nothing else. */
HF_MUST_USE bool hf_time_parse(const char *text, int64_t *out_s);

/** A moment as a person types it: the form above, or `YYYY-MM-DD` (midnight UTC). */
HF_MUST_USE bool hf_time_parse_lenient(const char *text, int64_t *out_s);

/**
 * A date after which something ends, as a person types it: the form above, or `YYYY-MM-DD`, which
 * means the last second of that day (23:59:59Z), as root programs mean it.
 */
HF_MUST_USE bool hf_time_parse_last(const char *text, int64_t *out_s);

/** Days and time of day to seconds; month 1-12, day 1-31; false when there is no such day. */
HF_MUST_USE bool hf_time_from_civil(int64_t year, int month, int day, int hour, int minute,
                                    int second, int64_t *out_s);

/** `out` holds HF_TIME_TEXT_MAX characters. Times outside 1970..9999 are clamped to its ends. */
void hf_time_format(int64_t time_s, char out[HF_TIME_TEXT_MAX]);
/** Only the day, `YYYY-MM-DD`; HF_TIME_NONE gives "-". */
void hf_time_format_day(int64_t time_s, char out[HF_TIME_TEXT_MAX]);
/** What hf_time_parse_last reads: the day alone only where its last second is meant. */
void hf_time_format_last(int64_t time_s, char out[HF_TIME_TEXT_MAX]);

/** Whole days from `from_s` to `to_s`; negative when that is past. */
int64_t hf_days_between(int64_t from_s, int64_t to_s);

#endif
