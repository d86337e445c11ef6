/* The timestamps of most events: RFC 3339, and seconds since 1970. */
#include "timestamp.h"

enum { SECONDS_OF_DAY = 86400 };

/* Reads two digits that are a number from `least` to `most`. */
static bool two(const char **at, int least, int most) {
    const char *digits = *at;
    if (digits[0] < '0' || digits[0] > '9' || digits[1] < '0' || digits[1] > '9') return false;
    const int number = (digits[0] - '0') * 10 + digits[1] - '0';
    *at += 2;
    return number >= least && number <= most;
}

/* Reads one of these characters. */
static bool one(const char **at, const char *of) {
    if (**at == '\0' || !strchr(of, **at)) return false;
    ++*at;
    return true;
}

static bool offset(const char **at) {
    if (one(at, "Zz")) return true;
    return one(at, "+-") && two(at, 0, 23) && one(at, ":") && two(at, 0, 59);
}

/* Every string ends with NUL, at which each of these stops. */
bool phc_is_rfc3339(const zend_string *text) {
    const char *at = ZSTR_VAL(text);
    if (strncmp(at, "0000", 4) == 0 || strncmp(at, "9999", 4) == 0) return false;
    /* A day after the 28th may not be in the month. */
    const bool is_date = two(&at, 0, 99) && two(&at, 0, 99) && one(&at, "-") && two(&at, 1, 12) &&
                         one(&at, "-") && two(&at, 1, 28) && one(&at, "Tt ");
    if (!is_date || !two(&at, 0, 23) || !one(&at, ":") || !two(&at, 0, 59) || !one(&at, ":") ||
        !two(&at, 0, 59))
        return false;
    if (one(&at, ".")) {
        if (!one(&at, "0123456789")) return false;
        while (one(&at, "0123456789")) {}
    }
    return offset(&at) && at == ZSTR_VAL(text) + ZSTR_LEN(text);
}

bool phc_write_seconds(char written[PHC_TIMESTAMP_SIZE], zend_long seconds) {
    /* From year 0 to year 9999. */
    if (seconds < INT64_C(-62167219200) || seconds > INT64_C(253402300799)) return false;
    const int64_t of_day = ((seconds % SECONDS_OF_DAY) + SECONDS_OF_DAY) % SECONDS_OF_DAY;
    /* Days since 1 March of year 0: in such a year a leap day is the last one. */
    const int64_t days = (seconds - of_day) / SECONDS_OF_DAY + 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097, day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_of_year = (5 * day_of_year + 2) / 153;
    const int64_t day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    const int64_t month = month_of_year < 10 ? month_of_year + 3 : month_of_year - 9;
    const int64_t year = year_of_era + era * 400 + (month <= 2);
    snprintf(written, PHC_TIMESTAMP_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month, (int)day,
             (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60));
    return true;
}
