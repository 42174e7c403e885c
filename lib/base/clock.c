/*
 * Times as numbers and as text of RFC 3339.
 *
 * A time is split into whole seconds (rounded down) and nanoseconds, the
 * seconds into days and a second of the day, the days into year, month and day
 * of the Gregorian calendar, and back. Reading goes through a cursor that
 * stops at the first character that does not fit the grammar
 *
 *     YYYY-MM-DDThh:mm:ss[.digits](Z|+hh:mm|-hh:mm)
 *
 * What can fail: text that is no time (STELE_MALFORMED with the offset), a
 * time that 64 bits of nanoseconds cannot hold (STELE_LIMIT).
 */
#include "base/clock.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define NANOS_PER_SECOND INT64_C(1000000000)
#define SECONDS_PER_DAY INT64_C(86400)

static int64_t read_clock(clockid_t id)
{
    struct timespec time = {0, 0};

    clock_gettime(id, &time);
    return (int64_t)time.tv_sec * NANOS_PER_SECOND + time.tv_nsec;
}

static int64_t system_now(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

static void system_pause(void *context, int64_t nanoseconds)
{
    (void)context;
    struct timespec left = {(time_t)(nanoseconds / NANOS_PER_SECOND), (long)(nanoseconds % NANOS_PER_SECOND)};

    while (nanoseconds > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

static const struct stele_clock system_clock = {system_now, system_monotonic, system_pause, NULL};
static const struct stele_clock *clock_in_use = &system_clock;

const struct stele_clock *stele_clock_system(void)
{
    return &system_clock;
}

void stele__clock_use(const struct stele_clock *clock)
{
    clock_in_use = clock ? clock : &system_clock;
}

int64_t stele_time_now(void)
{
    return clock_in_use->now(clock_in_use->context);
}

struct date {
    int64_t year;
    int64_t month; /* 1 to 12 */
    int64_t day;   /* 1 to 31 */
};

static int64_t divide_down(int64_t number, int64_t divisor)
{
    return number / divisor - (number % divisor < 0);
}

/*
 * Days since 1970-01-01 to a date and back. Years are counted from March, so
 * that the leap day is a year's last; 400 years (an era) have 146,097 days,
 * and 719,468 lie between 0000-03-01 and 1970-01-01.
 */
static struct date date_of_days(int64_t days)
{
    const int64_t shifted = days + 719468;
    const int64_t era = divide_down(shifted, 146097);
    const int64_t day_of_era = shifted - era * 146097;
    const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    struct date date;

    date.day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    date.month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    date.year = year_of_era + era * 400 + (date.month <= 2);
    return date;
}

static int64_t days_of_date(struct date date)
{
    const int64_t year = date.year - (date.month <= 2);
    const int64_t era = divide_down(year, 400);
    const int64_t year_of_era = year - era * 400;
    const int64_t month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
    const int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && is_leap ? 29 : days[month - 1];
}

void stele_time_print(int64_t time, char text[STELE_TIME_TEXT_SIZE])
{
    const int64_t seconds = divide_down(time, NANOS_PER_SECOND);
    const int64_t days = divide_down(seconds, SECONDS_PER_DAY);
    const int second_of_day = (int)(seconds - days * SECONDS_PER_DAY);
    const int remainder = (int)(time % NANOS_PER_SECOND);
    const int nanos = remainder < 0 ? remainder + (int)NANOS_PER_SECOND : remainder;
    const struct date date = date_of_days(days);
    int length = snprintf(text, STELE_TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)date.year, (int)date.month,
                          (int)date.day, second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    const size_t room = STELE_TIME_TEXT_SIZE - (size_t)length;

    if (nanos == 0)
        snprintf(text + length, room, "Z");
    else if (nanos % 1000000 == 0)
        snprintf(text + length, room, ".%03dZ", nanos / 1000000);
    else if (nanos % 1000 == 0)
        snprintf(text + length, room, ".%06dZ", nanos / 1000);
    else
        snprintf(text + length, room, ".%09dZ", nanos);
}

struct cursor {
    struct stele_slice text;
    size_t offset;
    const char *fault; /* what was expected at `offset`; NULL as long as all is well */
};

struct time_parts {
    struct date date;
    int64_t hour;
    int64_t minute;
    int64_t second;
    int64_t nanos;
    int64_t offset_seconds; /* east of UTC */
};

static char peek(const struct cursor *cursor)
{
    return cursor->offset < cursor->text.size ? cursor->text.data[cursor->offset] : '\0';
}

static bool at_digit(const struct cursor *cursor)
{
    return peek(cursor) >= '0' && peek(cursor) <= '9';
}

/* The fault is at `offset`; the first one stays. */
static void set_fault(struct cursor *cursor, size_t offset, const char *fault)
{
    if (cursor->fault)
        return;
    cursor->offset = offset;
    cursor->fault = fault;
}

/* Exactly `digits` digits whose number lies between `least` and `most`. */
static int64_t read_number(struct cursor *cursor, int digits, int64_t least, int64_t most, const char *what)
{
    const size_t start = cursor->offset;
    int64_t number = 0;

    if (cursor->fault)
        return least;
    for (int i = 0; i < digits; i++) {
        if (!at_digit(cursor)) {
            set_fault(cursor, cursor->offset, "a digit");
            return least;
        }
        number = number * 10 + (peek(cursor) - '0');
        cursor->offset++;
    }
    if (number < least || number > most)
        set_fault(cursor, start, what);
    return number;
}

/* One of two characters, the cases of a letter. */
static void read_mark(struct cursor *cursor, char mark, char other_case, const char *what)
{
    if (cursor->fault)
        return;
    if (peek(cursor) == mark || peek(cursor) == other_case)
        cursor->offset++;
    else
        set_fault(cursor, cursor->offset, what);
}

static int64_t read_fraction(struct cursor *cursor)
{
    int64_t scale = NANOS_PER_SECOND;
    int64_t nanos = 0;

    if (cursor->fault || peek(cursor) != '.')
        return 0;
    cursor->offset++;
    if (!at_digit(cursor))
        set_fault(cursor, cursor->offset, "a digit");
    for (; !cursor->fault && at_digit(cursor); cursor->offset++) {
        scale /= 10;
        nanos += (peek(cursor) - '0') * scale;
    }
    return nanos;
}

static int64_t read_offset(struct cursor *cursor)
{
    const char sign = peek(cursor);
    int64_t seconds;

    if (sign != '+' && sign != '-') {
        read_mark(cursor, 'Z', 'z', "'Z' or an offset from UTC");
        return 0;
    }
    cursor->offset++;
    seconds = read_number(cursor, 2, 0, 23, "an hour of 00 to 23") * 3600;
    read_mark(cursor, ':', ':', "':'");
    seconds += read_number(cursor, 2, 0, 59, "a minute of 00 to 59") * 60;
    return sign == '-' ? -seconds : seconds;
}

static void read_parts(struct cursor *cursor, struct time_parts *parts)
{
    parts->date.year = read_number(cursor, 4, 0, 9999, "a year");
    read_mark(cursor, '-', '-', "'-'");
    parts->date.month = read_number(cursor, 2, 1, 12, "a month of 01 to 12");
    read_mark(cursor, '-', '-', "'-'");
    parts->date.day = read_number(cursor, 2, 1, 31, "a day of the month");
    if (!cursor->fault && parts->date.day > days_of_month(parts->date.year, parts->date.month))
        set_fault(cursor, cursor->offset - 2, "a day of the month");
    read_mark(cursor, 'T', 't', "'T'");
    parts->hour = read_number(cursor, 2, 0, 23, "an hour of 00 to 23");
    read_mark(cursor, ':', ':', "':'");
    parts->minute = read_number(cursor, 2, 0, 59, "a minute of 00 to 59");
    read_mark(cursor, ':', ':', "':'");
    parts->second = read_number(cursor, 2, 0, 60, "a second of 00 to 60");
    parts->nanos = read_fraction(cursor);
    if (!cursor->fault)
        parts->offset_seconds = read_offset(cursor);
    if (!cursor->fault && cursor->offset != cursor->text.size)
        set_fault(cursor, cursor->offset, "the end");
}

/* Leap seconds are inserted at the end of a month of UTC, so the second after one begins a month. */
static bool begins_month(int64_t seconds)
{
    return seconds % SECONDS_PER_DAY == 0 && date_of_days(divide_down(seconds, SECONDS_PER_DAY)).day == 1;
}

/* seconds * 10^9 + nanos; false if it does not fit. */
static bool join_time(int64_t seconds, int64_t nanos, int64_t *time)
{
    /* The product alone may pass INT64_MIN where the sum does not. */
    if (seconds < 0) {
        seconds++;
        nanos -= NANOS_PER_SECOND;
    }
    return !__builtin_mul_overflow(seconds, NANOS_PER_SECOND, &seconds) &&
           !__builtin_add_overflow(seconds, nanos, time);
}

static stele_status fail_malformed(const struct cursor *cursor, stele_error **error)
{
    stele__fail(error, STELE_MALFORMED, "not a time of RFC 3339: %s expected at offset %zu", cursor->fault,
                cursor->offset);
    stele__error_add(error, "offset", "%zu", cursor->offset);
    return STELE_MALFORMED;
}

static stele_status fail_range(struct stele_slice text, stele_error **error)
{
    const int size = (int)(text.size < STELE_TIME_TEXT_SIZE ? text.size : STELE_TIME_TEXT_SIZE);

    stele__fail(error, STELE_LIMIT,
                "time %.*s is outside of 1677-09-21T00:12:43.145224192Z to 2262-04-11T23:47:16.854775807Z", size,
                text.data);
    stele__error_add(error, "field", "time");
    stele__error_add(error, "limit", "%s",
                     text.data[0] < '2' ? "1677-09-21T00:12:43.145224192Z" : "2262-04-11T23:47:16.854775807Z");
    stele__error_add(error, "actual", "%.*s", size, text.data);
    return STELE_LIMIT;
}

stele_status stele_time_parse(struct stele_slice text, int64_t *out, stele_error **error)
{
    struct cursor cursor = {text, 0, NULL};
    struct time_parts parts = {{1970, 1, 1}, 0, 0, 0, 0, 0};
    int64_t seconds;
    int64_t time;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    read_parts(&cursor, &parts);
    seconds = days_of_date(parts.date) * SECONDS_PER_DAY + parts.hour * 3600 + parts.minute * 60 + parts.second -
              parts.offset_seconds;
    if (parts.second == 60 && !begins_month(seconds))
        set_fault(&cursor, sizeof("YYYY-MM-DDThh:mm:") - 1, "a leap second only at the end of a month of UTC");
    if (cursor.fault)
        return fail_malformed(&cursor, error);
    if (!join_time(seconds, parts.nanos, &time))
        return fail_range(text, error);
    *out = time;
    return STELE_OK;
}
