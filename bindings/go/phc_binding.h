
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
 * Takes the oldest line that waits for the log: writes its level, and the line into a buffer of len
 * bytes, NUL included. Returns the length of the whole line without the NUL, like snprintf; the line is
 * removed only if it fits. Returns 0 if no line waits, and while a log callback is set, which gets the
 * lines. level may be NULL. For languages whose code a thread of libphc's own cannot call. Never waits.
 *
 * The lines are those of phc_set_log_callback except for the one about lost events, of which phc_poll
 * has reports. At most 64 wait: then the least important ones are left out, and one more line, after
 * the others, says how many. Once this is called after phc_poll_fd, the descriptor is readable also
 * while a line waits, until a log callback is set. A forked child gets lines of its own only, and must
 * call both itself.
 */
PHC_API
size_t phc_binding_next_log_line(phc_client *client,
                                 phc_log_level *level,
                                 char *buf,
                                 size_t len);

/**
 * Returns what phc_flags_get returns, without the note that the flag was read, and captures nothing: for
 * bindings that write the values of a snapshot into an event of their own.
 */
PHC_API
phc_flag_kind phc_binding_flags_peek(const phc_flags *flags,
                                     const char *key,
                                     const char **variant);

/**
 * Notes that the value of a flag was read, as phc_flags_get does, and writes the next event that is to
 * be captured for it into a buffer of len bytes, NUL included: bindings add properties to it, run
 * before_send in their own language, and call again until it returns 0 ($experiment_exposure comes
 * after $feature_flag_called; a snapshot has each of them once for a flag). They set
 * PHC_FLAGS_NO_EVENTS on their queries, which this function does not heed, so that phc_flags_get
 * captures nothing. The text is one JSON object with the members event, distinct_id, properties and
 * is_minimal; if the last one is true, the server wants no further properties but those of the
 * client's settings. Returns the length of the whole text without the NUL, like snprintf; the read
 * counts as captured only if it fits. Returns 0 if there is nothing to capture: such a read was
 * before, the distinct_id is empty, the client is closed or opted out, or its setting
 * flags_called_events is false. Never waits.
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
