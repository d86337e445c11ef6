
/*
 * libphc: what people who write bindings to other languages need besides phc.h. A C program
 * needs none of it. MIT licence.
 */

#ifndef PHC_BINDING_H
#define PHC_BINDING_H

/* Generated from src/capi/ by `make headers`; edit that. */



#include "phc.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Counts one event that the binding's own before_send has discarded before any capture call:
 * bindings run that callback in their own language.
 */
PHC_API phc_status phc_binding_count_discarded(phc_client *client);

/**
 * With the setting test_mode: writes the wire bytes of the oldest captured event, one JSON
 * object, into a buffer of len bytes, NUL included. Returns the length of the whole text
 * without the NUL, like snprintf; the event is removed only if it fits. Returns 0 if there is
 * no event.
 */
PHC_API size_t phc_binding_next_test_event(phc_client *client, char *buf, size_t len);

/**
 * Returns what phc_flags_get returns, without the note that the flag was read, and captures nothing: for
 * bindings that write the values of a snapshot into an event of their own.
 */
PHC_API
phc_flag_kind phc_binding_flags_peek(const phc_flags *flags,
                                     const char *key,
                                     const char **variant);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PHC_BINDING_H */
