#include "number.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

/* The digits and the sign of a whole number of 64 bits. */
#define INTEGER_SIZE 20
#define INTEGER_BYTES 8
/* A float is the nearest one of no two decimals of so many digits. */
#define EXACT_DIGITS 1e15
/* More are rare, and Ruby writes no exponent up to here. */
#define MOST_PLACES 4

static ID id_to_s;

void number_init(void) { id_to_s = rb_intern("to_s"); }

/* The digits of a number, of which so many are behind the point, which stands only if there are any. */
static void decimal(buffer *out, bool is_negative, uint64_t left, int places) {
    char digits[INTEGER_SIZE + 2];
    char *first = digits + sizeof(digits);
    for (int count = 0; count <= places || left > 0; count++) {
        if (count == places && places > 0) *--first = '.';
        *--first = (char)('0' + left % 10);
        left /= 10;
    }
    if (is_negative) *--first = '-';
    buffer_put(out, first, (size_t)(digits + sizeof(digits) - first));
}

void number_fixnum(buffer *out, long number) {
    decimal(out, number < 0, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 0);
}

bool number_bignum(buffer *out, VALUE number) {
    if (rb_absint_size(number, NULL) > INTEGER_BYTES) return false;
    VALUE digits = rb_big2str(number, 10);
    buffer_put(out, RSTRING_PTR(digits), (size_t)RSTRING_LEN(digits));
    RB_GC_GUARD(digits);
    return true;
}

/* Most floats of properties have few places, and finding these takes a tenth of the time of Float#to_s. A quotient
 * of two whole numbers that floats express exactly is the float that is nearest to the decimal. */
static bool few_places(buffer *out, double number) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4};
    double size = fabs(number);
    for (int places = FLT_EVAL_METHOD == 0 ? 0 : MOST_PLACES + 1; places <= MOST_PLACES; places++) {
        double scaled = nearbyint(size * powers[places]);
        if (!(scaled < EXACT_DIGITS)) return false;
        if (scaled / powers[places] != size) continue;
        /* A whole number has one place, too. */
        uint64_t digits = (uint64_t)scaled * (places == 0 ? 10 : 1);
        decimal(out, signbit(number) != 0, digits, places == 0 ? 1 : places);
        return true;
    }
    return false;
}

bool number_float(buffer *out, VALUE number) {
    double value = RFLOAT_VALUE(number);
    if (!isfinite(value)) return false;
    if (few_places(out, value)) return true;
    VALUE digits = rb_funcallv(number, id_to_s, 0, NULL);
    if (!RB_TYPE_P(digits, T_STRING)) return false;
    size_t length = (size_t)RSTRING_LEN(digits);
    bool has_exponent = memchr(RSTRING_PTR(digits), 'e', length) != NULL;
    if (!has_exponent) buffer_put(out, RSTRING_PTR(digits), length);
    RB_GC_GUARD(digits);
    return !has_exponent;
}
