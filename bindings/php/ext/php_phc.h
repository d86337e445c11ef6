/* The extension phc: what bindings/php/src/FfiLibrary.php and FfiClient.php do by FFI, and the encoder. */
#ifndef PHP_PHC_H
#define PHP_PHC_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "php.h"

#include "functions.h"

#define PHP_PHC_VERSION "0.1.0"
/* The methods of both classes, and the rules of the encoder. The package uses an extension with its own number. */
#define PHC_EXT_INTERFACE 3

extern zend_module_entry phc_module_entry;
#define phpext_phc_ptr &phc_module_entry

void phc_library_startup(void);
void phc_library_shutdown(void);
void phc_client_startup(void);
void phc_flags_startup(void);

/* Makes an object of Phc\Client, which owns the client. */
void phc_client_object(zval *object, const phc_functions *functions, phc_client *client);

/* A function that writes text about something, and perhaps a key, like snprintf. */
typedef size_t (*phc_writer)(const void *from, const char *key, char *buffer, size_t size);
/* The whole text, of which a buffer of `size` bytes is tried first; NULL if there is none. */
zend_string *phc_text(phc_writer write, const void *from, const char *key, size_t size);

/* Makes an object of Phc\Flags, and returns the place for its snapshot, which it owns. */
phc_flags **phc_flags_object(zval *object, const phc_functions *functions);

#endif
