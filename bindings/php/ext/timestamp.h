#ifndef PHC_EXT_TIMESTAMP_H
#define PHC_EXT_TIMESTAMP_H

#include "php.h"

enum { PHC_TIMESTAMP_SIZE = sizeof "2024-02-28T12:34:56Z" };

/* Whether it is a date that Timestamp.php of the package leaves as it is. */
bool phc_is_rfc3339(const zend_string *text);

/* Writes seconds since 1970 as Timestamp.php does. Returns false outside of the years 0 to 9999. */
bool phc_write_seconds(char written[PHC_TIMESTAMP_SIZE], zend_long seconds);

#endif
