#include "common/base/timetext.h"

#include <stdio.h>
#include <string.h>

#define YEAR_MIN 1970
#define YEAR_MAX 9999
#define LAST_SECOND INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

/*
 * Days since 1970-01-01 of a day of the proleptic Gregorian calendar. Years are counted from March,
 * so that the leap day is the last day of its year and month lengths follow one linear rule.
 */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                           day_of_era / 146096) /
                          365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

bool hf_time_from_civil(int64_t year, int month, int day, int hour, int minute, int second,
                        int64_t *out_s)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 0 || year > YEAR_MAX || month < 1 || month > 12)
        return false;
    if (day < 1 || day > month_days[month - 1] + (month == 2 && is_leap))
        return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    *out_s = days_from_civil(year, month, day) * HF_DAY_S + hour * 3600 + minute * 60 + second;
    return true;
}

/* Exactly `digits` decimal digits at `text`, or -1. */
static int number_at(const char *text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Digits stand where the pattern has 'd', anything else must match to the letter. */
static bool matches(const char *text, const char *pattern)
{
    if (strlen(text) != strlen(pattern))
        return false;
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (pattern[i] == 'd' ? !is_digit : text[i] != pattern[i])
            return false;
    }
    return true;
}

bool hf_time_parse(const char *text, int64_t *out_s)
{
    if (!matches(text, "dddd-dd-ddTdd:dd:ddZ"))
        return false;
    int year = number_at(text, 4);
    if (year < YEAR_MIN)
        return false;
    return hf_time_from_civil(year, number_at(text + 5, 2), number_at(text + 8, 2),
                              number_at(text + 11, 2), number_at(text + 14, 2),
                              number_at(text + 17, 2), out_s);
}

bool hf_time_parse_lenient(const char *text, int64_t *out_s)
{
    char midnight[HF_TIME_TEXT_MAX];
    if (!matches(text, "dddd-dd-dd"))
        return hf_time_parse(text, out_s);
    (void)snprintf(midnight, sizeof midnight, "%sT00:00:00Z", text);
    return hf_time_parse(midnight, out_s);
}

bool hf_time_parse_last(const char *text, int64_t *out_s)
{
    if (!hf_time_parse_lenient(text, out_s))
        return false;
    if (matches(text, "dddd-dd-dd"))
        *out_s += HF_DAY_S - 1;
    return true;
}

void hf_time_format(int64_t time_s, char out[HF_TIME_TEXT_MAX])
{
    /* Some certificates say 0001-01-01 and the like; text begins at 1970, as metadata does. */
    int64_t t = time_s < 0 ? 0 : time_s;
    int64_t year;
    int month, day;
    if (t > LAST_SECOND)
        t = LAST_SECOND;
    civil_from_days(t / HF_DAY_S, &year, &month, &day);
    unsigned second_of_day = (unsigned)(t % HF_DAY_S);
    (void)snprintf(out, HF_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000u,
                   (unsigned)month % 100u, (unsigned)day % 100u, second_of_day / 3600u % 100u,
                   second_of_day / 60u % 60u, second_of_day % 60u);
}

void hf_time_format_day(int64_t time_s, char out[HF_TIME_TEXT_MAX])
{
    if (time_s == HF_TIME_NONE) {
        memcpy(out, "-", 2);
        return;
    }
    hf_time_format(time_s, out);
    out[10] = '\0';
}

void hf_time_format_last(int64_t time_s, char out[HF_TIME_TEXT_MAX])
{
    if (time_s == HF_TIME_NONE || time_s % HF_DAY_S == HF_DAY_S - 1)
        hf_time_format_day(time_s, out);
    else
        hf_time_format(time_s, out);
}

int64_t hf_days_between(int64_t from_s, int64_t to_s)
{
    int64_t seconds = to_s - from_s;
    return seconds >= 0 ? seconds / HF_DAY_S : -((-seconds + HF_DAY_S - 1) / HF_DAY_S);
}
