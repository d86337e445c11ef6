/* What the extension declares of libphc is what libphc's headers declare. It is only compiled. */
#define phc_client own_client
#define phc_config own_config
#define phc_report own_report
#define phc_status own_status
#define phc_flush_result own_flush_result
#define PHC_OK OWN_OK
#define PHC_UUID_SIZE OWN_UUID_SIZE
#include "functions.h"
#undef phc_client
#undef phc_config
#undef phc_report
#undef phc_status
#undef phc_flush_result
#undef PHC_OK
#undef PHC_UUID_SIZE
#include "phc.h"
#include "phc_binding.h"

#define FUNCTION(result, name, arguments) result(*const declared_##name) arguments = name;
PHC_FUNCTIONS(FUNCTION)
#undef FUNCTION

_Static_assert((int)OWN_OK == (int)PHC_OK && (int)OWN_UUID_SIZE == (int)PHC_UUID_SIZE, "constants");
_Static_assert(sizeof(own_status) == sizeof(phc_status) && (own_status)-1 < 0, "a status");
_Static_assert(sizeof(own_flush_result) == sizeof(phc_flush_result), "a flush");
#define SAME(field)                                                                                          \
    _Static_assert(offsetof(own_flush_result, field) == offsetof(phc_flush_result, field), #field);
SAME(settled)
SAME(delivered)
SAME(lost)
SAME(pending)
