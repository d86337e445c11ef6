/*
 * libphc: Capture v1 event delivery for PostHog. MIT licence.
 *
 * Every function follows these rules; its own comment says what is special.
 *
 * - Names are phc_<type>_<verb>. What _new answers is freed by the _free of its
 *   type; freeing NULL does nothing.
 * - Every pointer may be NULL: a call that needs it answers
 *   PHC_INVALID_ARGUMENT. A pointer that is not NULL must be valid.
 * - const as the first argument means that the call does not mutate it. Results
 *   are return values or out-parameters, which come last.
 * - Text is UTF-8 and ends in NUL, unless its length is given. It is copied: it
 *   can be freed when the call returns. Bad UTF-8 in an event is replaced by
 *   U+FFFD and counted; nothing is lost for it.
 * - Calls on a client are safe from any thread. A config, an event or a report
 *   belongs to one thread at a time.
 * - A capture never waits for I/O. Calls that may wait have a timeout in
 *   milliseconds: 0 does not wait, PHC_NO_LIMIT waits for ever.
 * - Callbacks must not throw or longjmp.
 * - Structs only ever grow at their end, which is why their size is passed.
 *   Numbers are never reused.
 */

#ifndef PHC_H
#define PHC_H

/* Made from src/capi/ by `make headers`; edit that. */

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(PHC_DLL)
#define PHC_API __declspec(dllimport)
#elif defined(__GNUC__)
#define PHC_API __attribute__((visibility("default")))
#else
#define PHC_API
#endif

/**
 * No time limit, where a timeout in milliseconds is expected. 0 is no wait.
 */
#define PHC_NO_LIMIT UINT32_MAX

/**
 * Changes when a binding built against another number would break.
 */
#define PHC_ABI_VERSION 1

/**
 * What a before_send callback answers: the event is taken.
 */
#define PHC_KEEP 0

/**
 * The event is not taken; the capture answers PHC_BEFORE_SEND.
 */
#define PHC_DROP 1

/**
 * A client: one destination with its own queue. All calls are safe from any
 * thread, but for phc_client_free, which must be the last one on its handle.
 */
typedef struct phc_client phc_client;

/**
 * Settings of a client to be. It belongs to one thread at a time, and can be
 * freed as soon as the client is made.
 */
typedef struct phc_config phc_config;

/**
 * A growing event. It belongs to one thread at a time.
 */
typedef struct phc_event phc_event;

/**
 * An event that is about to be taken. It lives until the callback returns.
 */
typedef struct phc_outgoing phc_outgoing;

/**
 * What a listener is told. It belongs to one thread at a time; its texts live
 * as long as it does.
 */
typedef struct phc_report phc_report;

/**
 * The outcome of a call: PHC_OK, or the number of what was wrong. A plain
 * integer, so that a number that is not known yet is no undefined behaviour.
 */
typedef int32_t phc_status;

/**
 * What a flush has seen of the events that were captured before it. The struct
 * only ever grows at its end.
 */
typedef struct {
    /**
     * Events that were delivered or lost since the flush began.
     */
    uint64_t settled;
    /**
     * Of those, delivered.
     */
    uint64_t delivered;
    /**
     * Of those, lost.
     */
    uint64_t lost;
    /**
     * Events that are still neither.
     */
    uint64_t pending;
} phc_flush_result;

/**
 * Called with each report of losses (of all attempts, with the setting reports
 * = all), on a thread of the client's own. The report is good until it returns.
 * It must not throw or longjmp. Of the functions of its client it may call
 * captures, phc_stats_get, phc_stats_json, the callback setters and
 * phc_client_free; others answer PHC_REENTRANT.
 */
typedef void (*phc_error_callback)(const phc_report *report, void *user_data);

/**
 * Frees the user data of a callback that is called no more.
 */
typedef void (*phc_free_callback)(void *user_data);

/**
 * How much a line of the log matters: PHC_LOG_ERROR, PHC_LOG_WARNING or
 * PHC_LOG_INFO.
 */
typedef int32_t phc_log_level;

/**
 * Called with each line for the log, on the thread of phc_error_callback and
 * under the same rules. The message is good until it returns.
 */
typedef void (*phc_log_callback)(phc_log_level level, const char *message, void *user_data);

/**
 * Called on the thread of each capture with the event as it would be sent.
 * Answers PHC_KEEP or PHC_DROP; any other number drops too. It must not throw
 * or longjmp. Client calls from inside it answer PHC_REENTRANT.
 */
typedef int32_t (*phc_before_send_callback)(phc_outgoing *event, void *user_data);

/**
 * Why an event is lost; 0 is none: it is delivered. A number that is not known
 * yet is a reason that was added later.
 */
typedef int32_t phc_loss;

/**
 * The end of one event. The struct only ever grows at its end.
 */
typedef struct {
    /**
     * Its uuid, 36 characters and a NUL.
     */
    char uuid[37];
    /**
     * 1 when it is lost but the server may have stored it all the same.
     */
    uint8_t maybe_delivered;
    /**
     * Why it is lost; PHC_LOSS_NONE when it is delivered.
     */
    phc_loss loss;
    /**
     * The server's raw code; empty for a plain ok or none. Never NULL.
     */
    const char *verdict;
    /**
     * The server's explanation; empty for none. Never NULL.
     */
    const char *details;
} phc_event_report;

/**
 * Counters of one instant, since the client was made or, in a forked child,
 * since the fork. Always captured = delivered + lost + pending_events. The
 * struct only ever grows at its end.
 */
typedef struct {
    /**
     * Events that a capture took (answered PHC_OK).
     */
    uint64_t captured;
    /**
     * Of those, stored by the server.
     */
    uint64_t delivered;
    /**
     * Of the delivered, those with a warning of the server.
     */
    uint64_t delivered_with_warning;
    /**
     * Of the captured, those that are lost; phc_stats_json says for which reasons.
     */
    uint64_t lost;
    /**
     * Of the lost, those that the server may have stored all the same.
     */
    uint64_t maybe_delivered;
    /**
     * Of the captured, those that are waiting, in flight or in back-off.
     */
    uint64_t pending_events;
    /**
     * Their bytes and bookkeeping, as counted for queue_max_bytes.
     */
    uint64_t pending_bytes;
    /**
     * Captures that took no event; phc_stats_json says for which statuses.
     */
    uint64_t refused;
    /**
     * Events with bad UTF-8 or lone surrogates that were replaced.
     */
    uint64_t repaired;
    /**
     * Events whose uuid was no uuid and was replaced.
     */
    uint64_t uuids_replaced;
    /**
     * Requests begun.
     */
    uint64_t requests;
    /**
     * Of those, further attempts of a batch.
     */
    uint64_t retries;
    /**
     * Bytes of request bodies before compression.
     */
    uint64_t body_bytes;
    /**
     * Bytes of request bodies as sent.
     */
    uint64_t sent_bytes;
} phc_stats;

/**
 * Success.
 */
#define PHC_OK 0

/**
 * An argument is NULL or out of its range; phc_last_error() names it.
 */
#define PHC_INVALID_ARGUMENT 1

/**
 * The key or the value of a setting is not accepted; phc_config_error() says why.
 */
#define PHC_INVALID_SETTING 2

/**
 * The client has an empty project key and sends nothing.
 */
#define PHC_DISABLED 3

/**
 * The client was closed.
 */
#define PHC_CLOSED 4

/**
 * The queue has reached its bound; the event was not taken.
 */
#define PHC_QUEUE_FULL 5

/**
 * The time limit passed first; nothing was abandoned.
 */
#define PHC_TIMEOUT 6

/**
 * All is settled, but events were lost since the last flush or close.
 */
#define PHC_LOST_EVENTS 7

/**
 * Only captures may be called from inside a callback.
 */
#define PHC_REENTRANT 8

/**
 * A client of this name is open with other settings.
 */
#define PHC_CONFLICT 9

/**
 * A JSON text is broken or of the wrong shape; phc_last_error() says where.
 */
#define PHC_INVALID_JSON 10

/**
 * The event name must be text of 1 to 200 bytes.
 */
#define PHC_INVALID_EVENT 11

/**
 * The distinct_id must be text of 1 to 200 bytes.
 */
#define PHC_INVALID_DISTINCT_ID 12

/**
 * The timestamp must be RFC 3339 with an offset, in a year of four digits.
 */
#define PHC_INVALID_TIMESTAMP 13

/**
 * A property has a value that cannot be sent; phc_last_error() names it.
 */
#define PHC_INVALID_PROPERTY 14

/**
 * The event is over max_event_bytes.
 */
#define PHC_EVENT_TOO_LARGE 15

/**
 * The client is opted out; the event was not taken.
 */
#define PHC_OPTED_OUT 16

/**
 * The before_send callback dropped the event.
 */
#define PHC_BEFORE_SEND 17

/**
 * A fault inside libphc; the event was not taken. Please report it.
 */
#define PHC_INTERNAL 18

/**
 * The system refused a thread, memory or randomness; try again later.
 */
#define PHC_OUT_OF_RESOURCES 19

/**
 * Events were lost.
 */
#define PHC_LOG_ERROR 1

/**
 * Something is wrong that may right itself.
 */
#define PHC_LOG_WARNING 2

/**
 * Worth knowing once.
 */
#define PHC_LOG_INFO 3

/**
 * It is delivered.
 */
#define PHC_LOSS_NONE 0

/**
 * The server refused it for good.
 */
#define PHC_LOSS_DROPPED 1

/**
 * The server kept asking for a retry until the budget was spent.
 */
#define PHC_LOSS_RETRY_EXHAUSTED 2

/**
 * An HTTP status ended its batch.
 */
#define PHC_LOSS_REJECTED 3

/**
 * Its batch did not get through the network.
 */
#define PHC_LOSS_TRANSPORT 4

/**
 * The answer to its batch was not understood.
 */
#define PHC_LOSS_MALFORMED_ANSWER 5

/**
 * It made room for newer events (overflow = drop_oldest).
 */
#define PHC_LOSS_EVICTED 6

/**
 * The client was closed first.
 */
#define PHC_LOSS_CLOSED 7

/**
 * A fault inside libphc.
 */
#define PHC_LOSS_INTERNAL 8

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, "0.1.0". Static text, never NULL. Safe from any thread.
 */
PHC_API const char *phc_version(void);

/**
 * The version of the binary interface: to be compared with PHC_ABI_VERSION of
 * the header that a program or binding was built with. Safe from any thread.
 */
PHC_API uint32_t phc_abi_version(void);

/**
 * What a status means and what to do next. Static text, never NULL, for any
 * number. Safe from any thread.
 */
PHC_API const char *phc_status_message(phc_status status);

/**
 * The short name of a status, "queue_full". Static text, never NULL, for any
 * number. Safe from any thread.
 */
PHC_API const char *phc_status_name(phc_status status);

/**
 * What exactly was wrong with the last call that failed on this thread: the
 * argument, the key, the byte; at most 1023 bytes. Never NULL; empty when none
 * has failed. The text is the thread's own, good until its next failing call.
 */
PHC_API const char *phc_last_error(void);

/**
 * Makes settings with all defaults for this project key (phc_…), which is
 * trimmed. An empty or NULL key makes a client that is disabled: its captures
 * answer PHC_DISABLED. To be freed by phc_config_free. Never NULL but for want
 * of memory.
 */
PHC_API phc_config *phc_config_new(const char *api_key);

/**
 * Sets one setting, given as text: phc_config_set(config, "flush_at", "250").
 * docs/settings.md lists all keys. On PHC_INVALID_SETTING nothing has changed
 * and phc_config_error says why.
 */
PHC_API phc_status phc_config_set(phc_config *config, const char *key, const char *value);

/**
 * What was wrong with the last phc_config_set that failed: the key, the value,
 * what would be accepted, the nearest key. Never NULL; empty when none failed.
 * The text belongs to the config and is good until the next set.
 */
PHC_API const char *phc_config_error(const phc_config *config);

/**
 * Frees settings. NULL is fine.
 */
PHC_API void phc_config_free(phc_config *config);

/**
 * Makes a client with these settings; they are copied. Starts no thread: that
 * happens at the first capture. On failure answers NULL and writes the reason
 * into errbuf (errlen bytes, NUL included; NULL is fine). To be freed by
 * phc_client_free.
 */
PHC_API phc_client *phc_client_new(const phc_config *config, char *errbuf, size_t errlen);

/**
 * Opens the process's client of this name: makes it if there is none, answers
 * the same one if its settings are the same, and PHC_CONFLICT if they are not.
 * For hosts that lose their pointers, as PHP does at the end of each request.
 * Each success is to be matched by one phc_client_free; the last of them ends
 * the client. A name that was closed is opened anew.
 */
PHC_API phc_status phc_client_open(const char *name, const phc_config *config, phc_client **out);

/**
 * Sends what waits and waits until every event captured before this call is
 * delivered or lost, back-off and Retry-After included; at most timeout_ms (0:
 * do not wait, PHC_NO_LIMIT: for ever). PHC_OK: all delivered. PHC_LOST_EVENTS:
 * all settled, and events were lost since the last flush or close. PHC_TIMEOUT:
 * some are still pending; nothing was abandoned. PHC_CLOSED, PHC_REENTRANT.
 * result (size bytes; NULL is fine) says how many.
 */
PHC_API
phc_status phc_flush(phc_client *client,
                     uint32_t timeout_ms,
                     phc_flush_result *result,
                     size_t size);

/**
 * Begins a flush that is waited for in slices, for hosts whose own waits must
 * stay interruptible. ticket gets its number. Does not wait. To be ended by
 * phc_flush_wait (when it answers anything but PHC_TIMEOUT) or phc_flush_end;
 * of more than 100 the oldest is forgotten.
 */
PHC_API phc_status phc_flush_begin(phc_client *client, uint64_t *ticket);

/**
 * Waits for a flush that was begun, at most timeout_ms. Answers like phc_flush;
 * after PHC_TIMEOUT the flush goes on and can be waited for again, after
 * anything else it is over. PHC_INVALID_ARGUMENT: there is no such flush in
 * this process.
 */
PHC_API
phc_status phc_flush_wait(phc_client *client,
                          uint64_t ticket,
                          uint32_t timeout_ms,
                          phc_flush_result *result,
                          size_t size);

/**
 * Forgets a flush that was begun. What it wanted out goes out all the same. One
 * that is not known is fine.
 */
PHC_API phc_status phc_flush_end(phc_client *client, uint64_t ticket);

/**
 * Takes no event any more, flushes for at most timeout_ms, then cancels what is
 * in flight and counts what is left as lost for the reason "closed". Returns
 * within timeout_ms and 50 ms more, whatever the server does. PHC_OK: nothing
 * was lost since the last flush, or the client was closed already.
 * PHC_LOST_EVENTS: something was. Reports and stats can be read until the free.
 */
PHC_API phc_status phc_client_close(phc_client *client, uint32_t timeout_ms);

/**
 * Closes the client with the setting shutdown_timeout_ms, unless it is closed,
 * and frees it. NULL is fine. It must be the last call on this handle, as with
 * free(3). From inside a callback it happens once that returns. In a forked
 * child it sends nothing of the parent's.
 */
PHC_API void phc_client_free(phc_client *client);

/**
 * Sets what is called with each report, in place of the one before; NULL is
 * nothing. Returns once the old one runs no more; at once from inside it.
 * free_user_data (NULL is fine) is called when user_data is needed no more. The
 * callback stays set in a forked child, on a thread of the child's own.
 */
PHC_API
phc_status phc_set_error_callback(phc_client *client,
                                  phc_error_callback callback,
                                  void *user_data,
                                  phc_free_callback free_user_data);

/**
 * Sets what is called with lines for a log, in place of the one before; NULL is
 * nothing, and the default. Losses are among them while no error callback is
 * set: one line for all of them, at most one a second. What phc_set_error_callback
 * says of replacing, user_data and fork holds here too. A client without a
 * project key says so at once, on the calling thread.
 */
PHC_API
phc_status phc_set_log_callback(phc_client *client,
                                phc_log_callback callback,
                                void *user_data,
                                phc_free_callback free_user_data);

/**
 * Captures an event with properties given as one JSON object (NULL: none).
 * Never waits, unless the setting overflow is block. Anything but PHC_OK means
 * that the event was not taken; phc_last_error says why.
 */
PHC_API
phc_status phc_capture(phc_client *client,
                       const char *distinct_id,
                       const char *event,
                       const char *properties_json);

/**
 * Captures a whole event given as one JSON object of len bytes: event and
 * distinct_id; and, where known, properties, timestamp (RFC 3339 with an
 * offset), uuid, $set, $set_once, groups, options, session_id, window_id. Any
 * other key is an error. uuid_out (37 bytes, NULL is fine) gets the event's
 * uuid. The one call that bindings need.
 */
PHC_API
phc_status phc_capture_json(phc_client *client,
                            const char *json,
                            size_t len,
                            char *uuid_out);

/**
 * Captures a built event and frees it, whatever the answer; only on
 * PHC_QUEUE_FULL it stays the caller's, to be tried again or freed. uuid_out
 * (37 bytes, NULL is fine) gets the event's uuid.
 */
PHC_API phc_status phc_capture_event(phc_client *client, phc_event *event, char *uuid_out);

/**
 * Captures $identify: sets person properties. set_json and set_once_json are
 * JSON objects or NULL.
 */
PHC_API
phc_status phc_identify(phc_client *client,
                        const char *distinct_id,
                        const char *set_json,
                        const char *set_once_json);

/**
 * Captures $create_alias: from now on alias is the same person as distinct_id,
 * which is the canonical one.
 */
PHC_API phc_status phc_alias(phc_client *client, const char *distinct_id, const char *alias);

/**
 * Captures $groupidentify: sets properties of a group. set_json is a JSON object
 * or NULL; distinct_id may be NULL and is then "$<type>_<key>".
 */
PHC_API
phc_status phc_group_identify(phc_client *client,
                              const char *group_type,
                              const char *group_key,
                              const char *set_json,
                              const char *distinct_id);

/**
 * Adds a property to every event from now on (a super property), in place of an
 * earlier one of that key. value_json is any JSON value. What an event itself
 * has wins over it. It stays in a forked child.
 */
PHC_API phc_status phc_register(phc_client *client, const char *key, const char *value_json);

/**
 * Adds a super property no longer. One that was never registered is fine.
 */
PHC_API phc_status phc_unregister(phc_client *client, const char *key);

/**
 * From now on captures take no event and answer PHC_OPTED_OUT. What was
 * captured before is still sent.
 */
PHC_API phc_status phc_opt_out(phc_client *client);

/**
 * Captures take events again.
 */
PHC_API phc_status phc_opt_in(phc_client *client);

/**
 * With the setting test_mode: the wire bytes of the oldest captured event, as one
 * JSON object, into a buffer of len bytes, NUL included. Answers the length that
 * the whole text needs without the NUL, like snprintf; the event is taken away
 * only when it fits. 0: there is none.
 */
PHC_API size_t phc_test_next(phc_client *client, char *buf, size_t len);

/**
 * Begins an event. NULL texts are taken for empty ones, which the capture will
 * refuse. To be given to phc_capture_event, or freed by phc_event_free.
 */
PHC_API phc_event *phc_event_new(const char *distinct_id, const char *event);

/**
 * Frees an event that was not captured. NULL is fine.
 */
PHC_API void phc_event_free(phc_event *event);

/**
 * Sets a property to text. Setting a key again replaces its value. Bad UTF-8 is
 * replaced by U+FFFD, and counted.
 */
PHC_API phc_status phc_event_set_string(phc_event *event, const char *key, const char *value);

/**
 * Sets a property to text of len bytes, which may hold NUL.
 */
PHC_API
phc_status phc_event_set_string_n(phc_event *event,
                                  const char *key,
                                  const char *value,
                                  size_t len);

/**
 * Sets a property to a whole number.
 */
PHC_API phc_status phc_event_set_int(phc_event *event, const char *key, int64_t value);

/**
 * Sets a property to a number. NaN and infinities answer PHC_INVALID_PROPERTY.
 */
PHC_API phc_status phc_event_set_double(phc_event *event, const char *key, double value);

/**
 * Sets a property to false (0) or true (any other value).
 */
PHC_API phc_status phc_event_set_bool(phc_event *event, const char *key, int value);

/**
 * Sets a property to a value given as JSON text.
 */
PHC_API phc_status phc_event_set_json(phc_event *event, const char *key, const char *json);

/**
 * Says that the event belongs to a group: set_group(event, "company", "acme").
 */
PHC_API
phc_status phc_event_set_group(phc_event *event,
                               const char *group_type,
                               const char *group_key);

/**
 * Gives the event its uuid. What is no uuid is replaced by a new one at the
 * capture, and counted.
 */
PHC_API phc_status phc_event_set_uuid(phc_event *event, const char *uuid);

/**
 * Says when it happened, in milliseconds since 1970 UTC. Years 0000 to 9999;
 * others answer PHC_INVALID_TIMESTAMP. Without it, it is the time of the
 * capture.
 */
PHC_API phc_status phc_event_set_timestamp_ms(phc_event *event, int64_t unix_ms);

/**
 * Says when it happened, as RFC 3339 text with an offset.
 */
PHC_API phc_status phc_event_set_timestamp(phc_event *event, const char *rfc3339);

/**
 * Sets what sees each event before it is taken, in place of the one before;
 * NULL is nothing. It may be called from several threads at once. Returns once
 * the old one runs no more. free_user_data (NULL is fine) is called when
 * user_data is needed no more. It stays set in a forked child.
 */
PHC_API
phc_status phc_set_before_send_callback(phc_client *client,
                                        phc_before_send_callback callback,
                                        void *user_data,
                                        phc_free_callback free_user_data);

/**
 * The event as one JSON object, as it would be sent, with its length in len
 * (NULL is fine) and a NUL behind it. Good until the callback returns.
 */
PHC_API const char *phc_outgoing_json(const phc_outgoing *event, size_t *len);

/**
 * Takes this JSON object of len bytes in place of the event, should the callback
 * answer PHC_KEEP. It is read like that of phc_capture_json when the callback
 * has returned; if it is refused, the event is dropped. It is copied.
 */
PHC_API phc_status phc_outgoing_replace(phc_outgoing *event, const char *json, size_t len);

/**
 * Counts one event that the host's own before_send has dropped before any
 * capture call: bindings run that hook in their own language.
 */
PHC_API phc_status phc_count_dropped(phc_client *client);

/**
 * Takes the oldest report that waits; if there is none, waits for one for at most
 * timeout_ms. NULL: none came in time, or the client is closed and all is told.
 * With an error callback set, that has the reports. To be freed by
 * phc_report_free.
 */
PHC_API phc_report *phc_poll(phc_client *client, uint32_t timeout_ms);

/**
 * A file descriptor that is readable while reports wait: for poll(2), epoll or
 * an event loop, which then calls phc_poll with no timeout until it answers
 * NULL. Read nothing from it. It is the client's, good until the free; a forked
 * child must ask again. -1: none could be made; phc_last_error says why.
 */
PHC_API int phc_poll_fd(phc_client *client);

/**
 * Frees a report that phc_poll answered. NULL is fine.
 */
PHC_API void phc_report_free(phc_report *report);

/**
 * The batch's request id; empty when its events were in no request. Never NULL.
 */
PHC_API const char *phc_report_request_id(const phc_report *report);

/**
 * Which attempt of the batch, from 1; 0 with no request.
 */
PHC_API uint32_t phc_report_attempt(const phc_report *report);

/**
 * The HTTP status; 0 when there was no answer.
 */
PHC_API uint32_t phc_report_status(const phc_report *report);

/**
 * What went wrong with the batch as a whole; empty when nothing did. Never NULL.
 */
PHC_API const char *phc_report_error(const phc_report *report);

/**
 * Events of the batch that go into the next attempt.
 */
PHC_API uint64_t phc_report_pending(const phc_report *report);

/**
 * Events in reports that were thrown away before this one, because nobody
 * fetched them in time.
 */
PHC_API uint64_t phc_report_missed_events(const phc_report *report);

/**
 * How many events ended.
 */
PHC_API size_t phc_report_event_count(const phc_report *report);

/**
 * Fills out (size bytes) with the event at this index. Answers
 * PHC_INVALID_ARGUMENT when there is none.
 */
PHC_API
phc_status phc_report_event(const phc_report *report,
                            size_t index,
                            phc_event_report *out,
                            size_t size);

/**
 * The whole report as one JSON object. Never NULL.
 */
PHC_API const char *phc_report_json(const phc_report *report);

/**
 * The name of a reason, "retry_exhausted"; "delivered" for PHC_LOSS_NONE.
 * Static text, never NULL, for any number.
 */
PHC_API const char *phc_loss_name(phc_loss loss);

/**
 * Fills out with as much of the counters as fits into size bytes; pass
 * sizeof(phc_stats). May be called until the free, from callbacks too.
 */
PHC_API phc_status phc_stats_get(const phc_client *client, phc_stats *out, size_t size);

/**
 * Writes the counters as one JSON object, lost and refused by their reasons,
 * into a buffer of len bytes, NUL included. Answers the length that the whole
 * text needs without the NUL, like snprintf; 0 when client is NULL.
 */
PHC_API size_t phc_stats_json(const phc_client *client, char *buf, size_t len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PHC_H */
