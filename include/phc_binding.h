
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

/**
 * Notes that the value of a flag was read, as phc_flags_get does, and writes the event that is to be
 * captured for it into a buffer of len bytes, NUL included: bindings add properties to it and run
 * before_send in their own language. They set PHC_FLAGS_NO_EVENTS on their queries, which this
 * function does not heed, so that phc_flags_get captures nothing. The text is one JSON object with
 * the members event, distinct_id, properties and is_minimal; if the last one is true, the server
 * wants no further properties but those of the client's settings. Returns the length of the whole
 * text without the NUL, like snprintf; the read counts as captured only if it fits. Returns 0 if
 * there is nothing to capture: such a read was before, the distinct_id is empty, the client is closed
 * or opted out, or its setting flags_called_events is false. Never waits.
 */
PHC_API
size_t phc_binding_flags_read(phc_flags *flags,
                              const char *key,
                              char *buf,
                              size_t len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PHC_BINDING_H */
