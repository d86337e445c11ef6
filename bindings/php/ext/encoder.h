#ifndef PHC_EXT_ENCODER_H
#define PHC_EXT_ENCODER_H

#include "php.h"
#include "zend_smart_str.h"

/*
 * Writes the event of a message, with the properties that are added to it, byte for byte as Message and Json of the
 * package do.
 *
 * Returns false for a message that only the package itself can write: with an object, with a date, with text that is
 * not UTF-8, with a member that it would leave out or change. `json` is then to be freed.
 */
bool phc_encode(smart_str *json, HashTable *message, HashTable *added);

/*
 * Writes an array as one JSON object, byte for byte as Json of the package does. Returns false for one that only the
 * package can write; `json` is then to be freed.
 */
bool phc_encode_object(smart_str *json, HashTable *members);

#endif
