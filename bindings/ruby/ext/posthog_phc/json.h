/* JSON of Ruby values, in the bytes of the encoder in lib/posthog_phc/encoder.rb.
 *
 * Only values that cannot run code of the application are written: text in UTF-8 or US-ASCII, symbols, whole numbers
 * of 64 bits, finite floats, true, false, nil, hashes with keys of text, arrays and times, all of exactly these
 * classes. Each function returns false for any other value, or for one that holds any other; what has been written by
 * then is of no use, and the encoder in Ruby does the whole text. */
#ifndef POSTHOG_PHC_JSON_H
#define POSTHOG_PHC_JSON_H

#include <stdbool.h>

#include "buffer.h"

/* Whether a value is of this class, and has no methods of its own. */
static inline bool is_exactly(VALUE value, VALUE class) {
    return !RB_SPECIAL_CONST_P(value) && RBASIC_CLASS(value) == class;
}

/* Whether the bytes of a String are UTF-8. */
bool json_is_utf8(VALUE text);

/* Call it once, before the others. */
void json_init(void);

/* `depth` is the number of containers around the value. */
bool json_value(buffer *out, VALUE value, int depth);

bool json_text(buffer *out, VALUE text);

#endif
