/* What the extension declares of libphc is what libphc's headers declare. It is only compiled. */
#define phc_client own_client
#define phc_config own_config
#define phc_report own_report
#define phc_status own_status
#define phc_flags own_flags
#define phc_flags_query own_flags_query
#define phc_flags_option own_flags_option
#define phc_flag_kind own_flag_kind
#define phc_flush_result own_flush_result
#define PHC_OK OWN_OK
#define PHC_UUID_SIZE OWN_UUID_SIZE
#include "functions.h"
#undef phc_client
#undef phc_config
#undef phc_report
#undef phc_status
#undef phc_flags
#undef phc_flags_query
#undef phc_flags_option
#undef phc_flag_kind
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
_Static_assert(sizeof(own_flags_option) == sizeof(phc_flags_option) && (own_flags_option)-1 < 0, "an option");
_Static_assert(sizeof(own_flag_kind) == sizeof(phc_flag_kind) && (own_flag_kind)-1 < 0, "a kind");
_Static_assert(sizeof(own_flush_result) == sizeof(phc_flush_result), "a flush");
#define SAME(field)                                                                                          \
    _Static_assert(offsetof(own_flush_result, field) == offsetof(phc_flush_result, field), #field);
SAME(settled)
SAME(delivered)
SAME(lost)
SAME(pending)
