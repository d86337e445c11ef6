/* A Time as RFC 3339 text with milliseconds, as PostHogPhc::Timestamp.format writes it. */
#ifndef POSTHOG_PHC_TIME_TEXT_H
#define POSTHOG_PHC_TIME_TEXT_H

#include <stdbool.h>

#include "buffer.h"

/* Call it once, before the other. */
void time_text_init(void);

/* Returns false, with nothing written, for a time that Ruby has to format. */
bool time_text(buffer *out, VALUE time);

#endif
