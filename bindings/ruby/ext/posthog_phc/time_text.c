#include "time_text.h"

#include <stdint.h>

#define MINUTE 60
#define HOUR 3600
#define DAY 86400
#define MILLISECOND 1000000
/* 0000-01-01T00:00:00Z and 10000-01-01T00:00:00Z, between which a year has four digits. */
#define FIRST_SECOND INT64_C(-62167219200)
#define END_SECOND INT64_C(253402300800)
/* From 0000-03-01, where a leap day is the last of its year, to 1970-01-01. */
#define DAYS_TO_EPOCH 719468
/* Of 400 years, after which the calendar repeats. */
#define ERA 146097

static ID id_utc_p;

typedef struct {
    VALUE time;
    struct timespec at;
    VALUE offset;
    bool is_utc;
} parts;

void time_text_init(void) { id_utc_p = rb_intern("utc?"); }

/* A time zone may be an object of the application, whose code these run. */
static VALUE take_apart(VALUE argument) {
    parts *time = (parts *)argument;
    time->at = rb_time_timespec(time->time);
    time->is_utc = RTEST(rb_funcallv(time->time, id_utc_p, 0, NULL));
    time->offset = time->is_utc ? INT2FIX(0) : rb_time_utc_offset(time->time);
    return Qtrue;
}

/* Ruby formats it, and deals with the error if it comes again. */
static VALUE refused(VALUE argument, VALUE error) {
    (void)argument;
    (void)error;
    return Qfalse;
}

static void digits(buffer *out, int count, long number) {
    char text[4];
    for (int at = count; at-- > 0; number /= 10) text[at] = (char)('0' + number % 10);
    buffer_put(out, text, (size_t)count);
}

static void date(buffer *out, long days) {
    long shifted = days + DAYS_TO_EPOCH;
    long era = (shifted >= 0 ? shifted : shifted - (ERA - 1)) / ERA;
    long day = shifted - era * ERA;
    long year = (day - day / 1460 + day / 36524 - day / (ERA - 1)) / 365;
    day -= 365 * year + year / 4 - year / 100;
    long month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    month += month < 10 ? 3 : -9;
    digits(out, 4, year + era * 400 + (month <= 2));
    buffer_byte(out, '-');
    digits(out, 2, month);
    buffer_byte(out, '-');
    digits(out, 2, day + 1);
}

static void time_of_day(buffer *out, long second, long nanoseconds) {
    digits(out, 2, second / HOUR);
    buffer_byte(out, ':');
    digits(out, 2, second % HOUR / MINUTE);
    buffer_byte(out, ':');
    digits(out, 2, second % MINUTE);
    buffer_byte(out, '.');
    digits(out, 3, nanoseconds / MILLISECOND);
}

static void zone(buffer *out, long offset) {
    long distance = offset < 0 ? -offset : offset;
    buffer_byte(out, offset < 0 ? '-' : '+');
    digits(out, 2, distance / HOUR);
    buffer_byte(out, ':');
    digits(out, 2, distance % HOUR / MINUTE);
}

bool time_text(buffer *out, VALUE time) {
    parts taken = {time, {0, 0}, Qnil, false};
    VALUE is_taken = rb_rescue2(take_apart, (VALUE)&taken, refused, Qnil, rb_eStandardError, rb_eScriptError,
                                rb_eSysStackError, (VALUE)0);
    if (!RTEST(is_taken) || !RB_FIXNUM_P(taken.offset)) return false;
    long offset = RB_FIX2LONG(taken.offset);
    /* RFC 3339 has no seconds in an offset. */
    bool in_utc = taken.is_utc || offset % MINUTE != 0;
    int64_t local = (int64_t)taken.at.tv_sec + (in_utc ? 0 : offset);
    if (local < FIRST_SECOND || local >= END_SECOND) return false;
    long second = (long)((local % DAY + DAY) % DAY);
    buffer_byte(out, '"');
    date(out, (long)((local - second) / DAY));
    buffer_byte(out, 'T');
    time_of_day(out, second, taken.at.tv_nsec);
    if (in_utc) {
        buffer_byte(out, 'Z');
    } else {
        zone(out, offset);
    }
    buffer_byte(out, '"');
    return true;
}
