/* Numbers, as Integer#to_s and Float#to_s write them. */
#ifndef POSTHOG_PHC_NUMBER_H
#define POSTHOG_PHC_NUMBER_H

#include <stdbool.h>

#include "buffer.h"

/* Call it once, before the others. */
void number_init(void);

void number_fixnum(buffer *out, long number);

/* Returns false, with nothing written, for a number of more than 64 bits. */
bool number_bignum(buffer *out, VALUE number);

/* Returns false, with nothing written, for a number that is not finite or has an exponent: versions of the gem json
 * write an exponent differently. */
bool number_float(buffer *out, VALUE number);

#endif
