#ifndef PHC_EXT_JSON_H
#define PHC_EXT_JSON_H

#include "php.h"
#include "zend_smart_str.h"

/* Both write what json_encode does with the flags of Json.php. */

/* Returns false for text that is not UTF-8. */
bool phc_json_string(smart_str *to, const zend_string *from);

/* Returns false for what is not finite. */
bool phc_json_double(smart_str *to, double from);

#endif
