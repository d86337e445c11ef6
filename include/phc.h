/*
 * libphc: Capture v1 event delivery for PostHog. MIT licence.
 *
 * Every function follows these rules; its own comment says what is special.
 *
 * - Names: phc_<type>_<verb> for functions of a type; the most common functions of a client, such
 *   as phc_capture and phc_flush, are named phc_<verb> and take the client first.
 * - What a _new or _open function returns is freed by the _free function of its type. Freeing
 *   NULL does nothing. A constructor that fails returns NULL.
 * - Errors: functions that can fail return a phc_status. phc_last_error() has the text for the
 *   last call that failed on the calling thread; it names the argument, the key or the byte.
 * - Every pointer may be NULL: a function that needs it returns PHC_INVALID_ARGUMENT. A pointer
 *   that is not NULL must be valid.
 * - A const first argument is not changed. Results are return values or out-parameters, which
 *   come last.
 * - Text is UTF-8 and ends in NUL, unless its length is given. libphc copies what it keeps, so
 *   arguments can be freed when the function returns. Bad UTF-8 in an event is replaced by
 *   U+FFFD and counted; the event is not lost.
 * - Functions of a client are safe from any thread. A config, an event or a report belongs to
 *   one thread at a time.
 * - A capture never waits, unless the setting overflow is block (for room in the queue) or
 *   spool_safety is call (for the disk). A timeout is in milliseconds: 0 does not wait,
 *   PHC_NO_LIMIT waits without a limit. Besides these and the functions with a timeout, only
 *   phc_client_free and the setters of callbacks may wait.
 * - Callbacks must not throw or longjmp. Functions that could wait for a callback return
 *   PHC_REENTRANT inside one; docs/callbacks.md lists them.
 * - Structs only ever grow at their end, which is why their size is passed. Numbers are never
 *   reused. docs/abi.md says what may change.
 */

#ifndef PHC_H
#define PHC_H

/* Generated from src/capi/ by `make headers`; edit that. */

#include <stddef.h>
#include <stdint.h>

/* The version of this header; phc_version() has that of the library. */
#define PHC_VERSION "0.1.0"
#define PHC_VERSION_MAJOR 0
#define PHC_VERSION_MINOR 1
#define PHC_VERSION_PATCH 0
/* PHC_VERSION_MAJOR << 16 | PHC_VERSION_MINOR << 8 | PHC_VERSION_PATCH */
#define PHC_VERSION_NUMBER 0x000100

#if defined(_WIN32) && defined(PHC_DLL)
#define PHC_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define PHC_API __attribute__((visibility("default")))
#else
#define PHC_API
#endif

/* PHC_DEPRECATED(text): a call makes the compiler warn, with the text.
 * PHC_WARN_UNUSED: not using the result makes the compiler warn.
 * PHC_RETURNS_NONNULL: the function never returns NULL. */
#if defined(__GNUC__)
#define PHC_DEPRECATED(text) __attribute__((deprecated(text)))
#define PHC_WARN_UNUSED __attribute__((warn_unused_result))
#define PHC_RETURNS_NONNULL __attribute__((returns_nonnull))
#else
#define PHC_DEPRECATED(text)
#define PHC_WARN_UNUSED
#define PHC_RETURNS_NONNULL
#endif

/**
 * No time limit, for functions with a timeout in milliseconds. 0 does not wait.
 */
#define PHC_NO_LIMIT UINT32_MAX

enum {
    /**
     * The size of a buffer for the text of a uuid: 36 characters and a NUL.
     */
    PHC_UUID_SIZE = 37,
};

/**
 * The version of the binary interface that this header describes; see phc_abi_version.
 */
#define PHC_ABI_VERSION 1

enum {
    /**
     * The event is taken.
     */
    PHC_BEFORE_SEND_KEEP = 0,
    /**
     * The event is discarded; the capture returns PHC_BEFORE_SEND.
     */
    PHC_BEFORE_SEND_DISCARD = 1,
};

enum {
    /**
     * The number of places in phc_stats.lost_by_reason; numbers of reasons are below it.
     */
    PHC_LOSS_SLOTS = 32,
};

enum {
    /**
     * The number of places in phc_stats.refused_by_status; numbers of statuses are below it.
     */
    PHC_STATUS_SLOTS = 64,
};

/**
 * A client: one destination with its own queue. All calls are safe from any thread, except
 * for phc_client_free, which must be the last call with its handle.
 */
typedef struct phc_client phc_client;

/**
 * Settings of a client to be. It belongs to one thread at a time, and can be freed as soon
 * as the client is made.
 */
typedef struct phc_config phc_config;

/**
 * An event that is being built. It belongs to one thread at a time. A function whose name ends
 * in _n takes texts with their lengths in bytes, which may contain NUL. A key that is set again,
 * at the top level or inside the same object, is sent once, with its last value, in any position
 * among the others; keys are compared as they are sent. A call that fails leaves the earlier
 * value in place. JSON text is sent as it is, with the keys that it has. Inside an array, keys
 * must be NULL.
 */
typedef struct phc_event phc_event;

/**
 * An exception that is being described: a type, a message, the stack, and what caused it. It
 * belongs to one thread at a time. It has at most 50 entries (itself and its causes), 64 frames for
 * each, 16 KiB for a text and 512 KiB in all; the rest is cut off or left out, and the functions
 * return PHC_OK. Every function that adds to an exception returns PHC_OUT_OF_RESOURCES when there
 * is no memory for it, and then changes nothing. libphc installs no handlers for signals or
 * uncaught exceptions: the application decides what it captures.
 */
typedef struct phc_exception phc_exception;

/**
 * The values of feature flags for one person, as of one evaluation. It never changes, except that
 * it records which flags were read; its functions are safe from any thread, also at the same time,
 * and its free must be the last call. It may outlive its client and newer definitions, and a forked
 * child may use and free what it has inherited. Texts that its functions return live as long as it
 * does.
 */
typedef struct phc_flags phc_flags;

/**
 * For whom feature flags are evaluated, what is known of them, and which flags are wanted: all of
 * them, unless keys are added. It belongs to one thread at a time while it is changed; after
 * that any number of threads may evaluate it, any number of times. Bad UTF-8 is replaced by
 * U+FFFD.
 */
typedef struct phc_flags_query phc_flags_query;

/**
 * An event that is about to be taken. It lives until the callback returns.
 */
typedef struct phc_outgoing phc_outgoing;

/**
 * A remote config of the project, as the server has returned it. It never changes; its functions are
 * safe from any thread, also at the same time, and its free must be the last call. It may outlive
 * its client, and a forked child may use and free what it has inherited.
 */
typedef struct phc_remote_config phc_remote_config;

/**
 * One attempt, or one other occasion on which events ended. It belongs to one thread at a time;
 * its texts live as long as it does, and a polled one may outlive its client. Its functions
 * return 0 or an empty text for NULL, phc_report_json "{}".
 */
typedef struct phc_report phc_report;

/**
 * The outcome of a call: PHC_OK, or the number of what was wrong. It is a plain integer,
 * so that a number that a program does not know yet is not undefined behaviour.
 */
typedef int32_t phc_status;

/**
 * What a setting is. The texts are static. The struct only ever grows at its end.
 */
typedef struct phc_setting {
    /**
     * Its name in phc_config_set.
     */
    const char *key;
    /**
     * "integer", "bool", "word" (one of a few), "list" or "text".
     */
    const char *kind;
    /**
     * Its value if it is not set.
     */
    const char *default_value;
    /**
     * What is accepted, such as "1 to 64" or "losses, warnings, all"; empty for any text.
     */
    const char *accepted;
} phc_setting;

/**
 * What became of the events that were captured before a flush. The struct only ever grows at
 * its end.
 */
typedef struct phc_flush_result {
    /**
     * Events that were delivered or lost since the flush began, or kept on disk by a close.
     */
    uint64_t settled;
    /**
     * Events that were delivered since.
     */
    uint64_t delivered;
    /**
     * Events that were lost since.
     */
    uint64_t lost;
    /**
     * Events that are still neither.
     */
    uint64_t pending;
} phc_flush_result;

/**
 * Called with each report of failures, on a thread of the client's own: events that were lost;
 * with the setting reports = warnings also stored events on which the server made a remark: a
 * warning, details of an ok, or a result that libphc does not know; with reports = all also
 * attempts after which events are sent again. The report is valid until the callback returns.
 * docs/callbacks.md lists the functions that it may call; the others return PHC_REENTRANT.
 */
typedef void (*phc_error_callback)(const struct phc_report *report, void *user_data);

/**
 * Frees the user data of a callback that is not called any more.
 */
typedef void (*phc_free_callback)(void *user_data);

/**
 * Called with each report of delivered events, on the thread of phc_error_callback and under
 * the same rules. A remark of the server is in the event's verdict and details.
 */
typedef void (*phc_delivery_callback)(const struct phc_report *report, void *user_data);

/**
 * How important a line of the log is. A higher number is less important.
 */
typedef int32_t phc_log_level;

/**
 * Called with each line for the log, on the thread of phc_error_callback and under the same
 * rules. The message is valid until the callback returns.
 */
typedef void (*phc_log_callback)(phc_log_level level, const char *message, void *user_data);

/**
 * An option of a query, for phc_flags_query_set_option.
 */
typedef int32_t phc_flags_option;

/**
 * What kind of value a feature flag has.
 */
typedef int32_t phc_flag_kind;

/**
 * Why a flag has its value. A number that a program does not know is a reason that was added
 * later.
 */
typedef int32_t phc_flag_reason;

/**
 * Why a flag has no value. A number that a program does not know is a reason that was added
 * later.
 */
typedef int32_t phc_flag_unresolved;

/**
 * What is known of one flag. The struct only ever grows at its end.
 */
typedef struct phc_flag_detail {
    /**
     * The number of its definition; 0 if that is not known.
     */
    int64_t id;
    /**
     * The version of its definition; 0 if that is not known.
     */
    int64_t version;
    /**
     * Its value.
     */
    phc_flag_kind kind;
    /**
     * Why it has that value.
     */
    phc_flag_reason reason;
    /**
     * The position of the condition that the reason is about; -1 if it is about none.
     */
    int32_t condition_index;
    /**
     * Why it has no value.
     */
    phc_flag_unresolved unresolved;
    /**
     * Whether it belongs to an experiment: 1 or 0; -1 if that is not known.
     */
    int32_t has_experiment;
    /**
     * 1 if it was evaluated here, from definitions; 0 if the server evaluated it, or it is not in
     * the snapshot.
     */
    int32_t is_local;
} phc_flag_detail;

/**
 * Called on the thread of each capture with the event as it would be sent. Returns
 * PHC_BEFORE_SEND_KEEP or PHC_BEFORE_SEND_DISCARD; any other number discards too. Captures from
 * inside it return PHC_REENTRANT; docs/callbacks.md lists what else it may call.
 */
typedef int32_t (*phc_before_send_callback)(struct phc_outgoing *event, void *user_data);

/**
 * Why an event is lost; PHC_LOSS_NONE if it is delivered. A number that a program does not
 * know is a reason that was added later.
 */
typedef int32_t phc_loss;

/**
 * How one event ended. Its texts belong to the report. The struct only ever grows at its end.
 */
typedef struct phc_event_report {
    /**
     * Its uuid, 36 characters.
     */
    const char *uuid;
    /**
     * The server's result code; empty for none, and for an ok without details.
     */
    const char *verdict;
    /**
     * The server's explanation; empty if there is none.
     */
    const char *details;
    /**
     * Why it is lost; PHC_LOSS_NONE if it is delivered.
     */
    phc_loss loss;
    /**
     * 1 if it is lost but the server may have stored it nevertheless, else 0.
     */
    int32_t maybe_delivered;
} phc_event_report;

/**
 * Counters of one instant, since the client was made or, in a forked child, since the fork.
 * Always captured + recovered = delivered + lost + kept + pending_events. The struct only ever
 * grows at its end.
 */
typedef struct phc_stats {
    /**
     * Events that a capture took (it returned PHC_OK).
     */
    uint64_t captured;
    /**
     * Captured events that the server stored.
     */
    uint64_t delivered;
    /**
     * Delivered events whose result was "warning".
     */
    uint64_t delivered_with_warning;
    /**
     * Captured events that are lost.
     */
    uint64_t lost;
    /**
     * Lost events that the server may have stored nevertheless.
     */
    uint64_t maybe_delivered;
    /**
     * Events that are waiting, in flight or in back-off, in memory or on disk.
     */
    uint64_t pending_events;
    /**
     * Bytes and bookkeeping of those in memory, as counted for the setting queue_max_bytes.
     */
    uint64_t pending_bytes;
    /**
     * Captures that did not take an event, except for those that returned PHC_REENTRANT.
     */
    uint64_t refused;
    /**
     * Events with bad UTF-8 or lone surrogates that were replaced.
     */
    uint64_t repaired;
    /**
     * Events whose uuid was not valid and was replaced.
     */
    uint64_t uuids_replaced;
    /**
     * Requests begun, except for those that this machine could not send for lack of descriptors,
     * memory, local ports, threads or randomness.
     */
    uint64_t requests;
    /**
     * Requests that were not the first attempt of their batch.
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
    /**
     * Lost events by reason: lost_by_reason[PHC_LOSS_CLOSED].
     */
    uint64_t lost_by_reason[PHC_LOSS_SLOTS];
    /**
     * Captures that did not take an event, by status: refused_by_status[PHC_QUEUE_FULL].
     */
    uint64_t refused_by_status[PHC_STATUS_SLOTS];
    /**
     * Delivered events about which the server said more than a plain "ok". Those with a
     * warning are among them; the others have an "ok" with details, or a result that is not
     * known. The most common details are person_processing_disabled: the distinct_id looks
     * like a placeholder ("anonymous", "null", ...), and the event belongs to no person.
     */
    uint64_t delivered_with_remark;
    /**
     * Events that ended processes, or closed clients, had left on disk (see the setting
     * spool_dir), and that this client has taken over.
     */
    uint64_t recovered;
    /**
     * Events that were left on disk when this client was closed; a later client sends them.
     */
    uint64_t kept;
    /**
     * Pending events that are on disk as the setting spool_safety promises: at power, synced.
     */
    uint64_t spooled;
} phc_stats;

enum {
    /**
     * Success.
     */
    PHC_OK = 0,
    /**
     * An argument is NULL or out of range; phc_last_error() names it.
     */
    PHC_INVALID_ARGUMENT = 1,
    /**
     * The key or the value of a setting is not accepted; phc_last_error() says why.
     */
    PHC_INVALID_SETTING = 2,
    /**
     * The client has an empty project key and sends nothing.
     */
    PHC_DISABLED = 3,
    /**
     * The client was closed.
     */
    PHC_CLOSED = 4,
    /**
     * The queue is full; the event was not taken.
     */
    PHC_QUEUE_FULL = 5,
    /**
     * The time limit passed first; nothing was abandoned.
     */
    PHC_TIMEOUT = 6,
    /**
     * Everything is settled, but some events were lost.
     */
    PHC_LOST_EVENTS = 7,
    /**
     * The function cannot be called from inside this callback.
     */
    PHC_REENTRANT = 8,
    /**
     * A client of this name is open with different settings.
     */
    PHC_CONFLICT = 9,
    /**
     * The JSON text is malformed or has the wrong shape; phc_last_error() says where.
     */
    PHC_INVALID_JSON = 10,
    /**
     * The event name must be text of 1 to 200 bytes.
     */
    PHC_INVALID_EVENT = 11,
    /**
     * The distinct_id must be text of 1 to 200 bytes.
     */
    PHC_INVALID_DISTINCT_ID = 12,
    /**
     * The timestamp must be RFC 3339 with an offset, in a year of four digits.
     */
    PHC_INVALID_TIMESTAMP = 13,
    /**
     * A property has a value that cannot be sent; phc_last_error() names it.
     */
    PHC_INVALID_PROPERTY = 14,
    /**
     * The event is larger than the setting max_event_bytes.
     */
    PHC_EVENT_TOO_LARGE = 15,
    /**
     * The client is opted out; the event was not taken.
     */
    PHC_OPTED_OUT = 16,
    /**
     * The before_send callback discarded the event, or replaced it by one that is refused.
     */
    PHC_BEFORE_SEND = 17,
    /**
     * An internal error in libphc; the event was not taken. Please report it.
     */
    PHC_INTERNAL = 18,
    /**
     * The system refused a thread, a descriptor, memory or randomness; try again later.
     */
    PHC_OUT_OF_RESOURCES = 19,
    /**
     * Some flags have no value without asking the server; the others have theirs.
     */
    PHC_WOULD_WAIT = 20,
    /**
     * The server did not return values or definitions of flags, or a remote config; phc_last_error says why.
     */
    PHC_UNAVAILABLE = 21,
    /**
     * The disk did not take everything, or the client has no spool; phc_last_error() says which.
     */
    PHC_SPOOL = 22,
};

enum {
    /**
     * Events were lost.
     */
    PHC_LOG_ERROR = 1,
    /**
     * Something is wrong and may recover by itself.
     */
    PHC_LOG_WARNING = 2,
    /**
     * Worth knowing once.
     */
    PHC_LOG_INFO = 3,
    /**
     * Every attempt and its result; only with the setting log_level = debug.
     */
    PHC_LOG_DEBUG = 4,
};

enum {
    /**
     * The definitions that the client has are not used: the server evaluates all flags. 0 or 1; 0 unless
     * it is set.
     */
    PHC_FLAGS_REMOTE_ONLY = 1,
    /**
     * The server does not look up where this machine is. 0 or 1; the setting disable_geoip unless it is
     * set.
     */
    PHC_FLAGS_DISABLE_GEOIP = 2,
    /**
     * Reads of the query's snapshots are not captured. 0 or 1; 0 unless it is set.
     */
    PHC_FLAGS_NO_EVENTS = 3,
};

enum {
    /**
     * It has none: it is not in the snapshot, or could not be evaluated.
     */
    PHC_FLAG_ABSENT = 0,
    /**
     * It is off.
     */
    PHC_FLAG_FALSE = 1,
    /**
     * It is on.
     */
    PHC_FLAG_TRUE = 2,
    /**
     * It is on, with a variant.
     */
    PHC_FLAG_VARIANT = 3,
};

enum {
    /**
     * It has no value.
     */
    PHC_FLAG_REASON_NONE = 0,
    /**
     * It is switched off in the project.
     */
    PHC_FLAG_DISABLED = 1,
    /**
     * It is for groups of one type, and the query has no group of that type.
     */
    PHC_FLAG_NO_GROUP_TYPE = 2,
    /**
     * No condition matches.
     */
    PHC_FLAG_NO_CONDITION_MATCH = 3,
    /**
     * A condition matches, and the person is outside of its rollout.
     */
    PHC_FLAG_OUT_OF_ROLLOUT_BOUND = 4,
    /**
     * A condition matches.
     */
    PHC_FLAG_CONDITION_MATCH = 5,
    /**
     * The person is in a holdout.
     */
    PHC_FLAG_HOLDOUT = 6,
    /**
     * The person's enrolment in an early access feature decides.
     */
    PHC_FLAG_SUPER_CONDITION = 7,
    /**
     * A flag that it depends on is missing on the server.
     */
    PHC_FLAG_MISSING_DEPENDENCY = 8,
    /**
     * The server has a reason that this libphc does not know; phc_flags_json has its code.
     */
    PHC_FLAG_REASON_OTHER = 9,
};

enum {
    /**
     * It has a value, or is not in the snapshot.
     */
    PHC_FLAG_RESOLVED = 0,
    /**
     * It keeps the value that a person once had, which only the server knows.
     */
    PHC_FLAG_EXPERIENCE_CONTINUITY = 1,
    /**
     * Something in its definition needs the server, such as a static cohort, or is not known here.
     */
    PHC_FLAG_UNSUPPORTED_DEFINITION = 2,
    /**
     * A flag that it depends on has no value.
     */
    PHC_FLAG_UNRESOLVED_DEPENDENCY = 3,
    /**
     * The query lacks something: a property, the properties of a group, the device or distinct id.
     */
    PHC_FLAG_MISSING_CONTEXT = 4,
    /**
     * The server could not evaluate it, or what it returned is not understood.
     */
    PHC_FLAG_EVALUATION_FAILED = 5,
};

enum {
    /**
     * The event is delivered.
     */
    PHC_LOSS_NONE = 0,
    /**
     * The server dropped it.
     */
    PHC_LOSS_DROPPED = 1,
    /**
     * The server asked for a retry until the budget of attempts was spent.
     */
    PHC_LOSS_RETRY_EXHAUSTED = 2,
    /**
     * An HTTP status ended its batch.
     */
    PHC_LOSS_REJECTED = 3,
    /**
     * The last attempt of its batch got no complete response.
     */
    PHC_LOSS_TRANSPORT = 4,
    /**
     * The response to its batch was not one of Capture v1.
     */
    PHC_LOSS_MALFORMED_RESPONSE = 5,
    /**
     * It made room for newer events (overflow = drop_oldest).
     */
    PHC_LOSS_EVICTED = 6,
    /**
     * The client was closed first.
     */
    PHC_LOSS_CLOSED = 7,
    /**
     * An internal error in libphc.
     */
    PHC_LOSS_INTERNAL = 8,
    /**
     * It was on disk for longer than spool_max_age_ms.
     */
    PHC_LOSS_EXPIRED = 9,
    /**
     * It was on disk, and could not be read any more.
     */
    PHC_LOSS_CORRUPT = 10,
    /**
     * phc_spool_discard has ended it.
     */
    PHC_LOSS_DISCARDED = 11,
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the library, such as "0.1.0". Compare it with PHC_VERSION, the
 * version of the header. Static text. Safe from any thread.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_version(void);

/**
 * Returns the version of the library as a number, in the form of PHC_VERSION_NUMBER: major,
 * minor and patch in a byte each, 0x000100 for 0.1.0. Safe from any thread.
 */
PHC_API uint32_t phc_version_number(void);

/**
 * Returns the version of the binary interface. A program or binding must not use the library
 * if it differs from the PHC_ABI_VERSION of the header that it was built with. Safe from any
 * thread.
 */
PHC_API uint32_t phc_abi_version(void);

/**
 * Returns what a status means and what to do next. Static text, for any number. Safe from
 * any thread.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_status_message(phc_status status);

/**
 * Returns the short name of a status, such as "queue_full". Static text, for any number.
 * Safe from any thread.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_status_name(phc_status status);

/**
 * Returns what exactly was wrong with the last call that failed on this thread: the argument,
 * the key, the byte; at most 1023 bytes. Empty if no call has failed. The text belongs to the
 * thread and is valid until the next call that fails on it.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_last_error(void);

/**
 * Returns the HTTP status of the server's response, such as 401, if that is why the last call that
 * failed on this thread did; 0 if it failed for another reason, or if no call has failed. Only calls
 * for flags, their definitions and remote configs have one. While the server is down and they return
 * without asking it, it is that of its last response. For events, see phc_report_http_status. Safe
 * from any thread.
 */
PHC_API
uint32_t phc_last_http_status(void);

/**
 * Makes settings with all defaults for this project key (phc_…), which is trimmed. With an
 * empty key or NULL the client is disabled: its captures return PHC_DISABLED. Free it with
 * phc_config_free. Returns NULL only after an internal error.
 */
PHC_API PHC_WARN_UNUSED struct phc_config *phc_config_new(const char *api_key);

/**
 * Sets one setting, given as text: phc_config_set(config, "flush_at", "250").
 * docs/settings.md lists all keys. On PHC_INVALID_SETTING the value has not changed, and
 * phc_last_error names the key, the value and what would be accepted. A refusal needs no check
 * here: phc_client_new fails with it, unless an accepted value for the same key follows.
 * phc_config_get returns NULL for a key that this libphc does not have.
 */
PHC_API phc_status phc_config_set(struct phc_config *config, const char *key, const char *value);

/**
 * Returns the present value of a setting as text, in the form that phc_config_set takes, or
 * NULL if there is no such setting. The text belongs to the config and is valid until the next
 * call with it.
 */
PHC_API const char *phc_config_get(struct phc_config *config, const char *key);

/**
 * Frees settings. NULL does nothing.
 */
PHC_API void phc_config_free(struct phc_config *config);

/**
 * Returns how many settings there are, without "header.<Name>", which stands for many. Safe
 * from any thread.
 */
PHC_API size_t phc_setting_count(void);

/**
 * Fills out (size bytes; pass sizeof(phc_setting)) with the setting at this index. Returns
 * PHC_INVALID_ARGUMENT if the index is not below phc_setting_count. Safe from any thread.
 */
PHC_API phc_status phc_setting_at(size_t index, struct phc_setting *out, size_t size);

/**
 * Makes a client with these settings, which are copied. Starts no thread and opens no
 * connection: that happens at the first capture. Returns NULL if a setting is not accepted or
 * a phc_config_set was refused (PHC_INVALID_SETTING), or if config is NULL; the reason is then
 * in status, which may be NULL, and in phc_last_error. Free it with phc_client_free.
 */
PHC_API
PHC_WARN_UNUSED
struct phc_client *phc_client_new(const struct phc_config *config,
                                  phc_status *status);

/**
 * Returns the client of this process with this name: a new one if there is none, the
 * existing one if its settings are the same. For hosts that lose their pointers, as PHP does
 * at the end of each request. Returns NULL like phc_client_new, and with PHC_CONFLICT if a
 * client of this name has different settings. Each success needs one phc_client_free; the
 * last of them ends the client. Callbacks belong to the client, not to the handle: one that
 * is set through one handle replaces one that was set through another.
 */
PHC_API
PHC_WARN_UNUSED
struct phc_client *phc_client_open(const char *name,
                                   const struct phc_config *config,
                                   phc_status *status);

/**
 * Takes no more events, waits like phc_flush for at most timeout_ms, then cancels what is in
 * flight and counts what is left as lost (PHC_LOSS_CLOSED). Returns within timeout_ms plus
 * 50 ms, whatever the server does, and nothing is sent after it. With the setting spool_dir,
 * what is left is kept on disk for a later client, which may take 250 ms more; what the disk
 * does not take is lost. Returns PHC_OK if every event that this process captured with the
 * client was delivered or kept, or if the client was closed before; PHC_LOST_EVENTS if any of
 * them was lost. Reports and stats can be read until the free.
 */
PHC_API phc_status phc_client_close(struct phc_client *client, uint32_t timeout_ms);

/**
 * Closes the client with the setting shutdown_timeout_ms, unless it is closed, and frees it.
 * The reports and log lines that wait still go to the callbacks, which takes at most another
 * shutdown_timeout_ms, or one second if that is longer; a callback that runs is waited for
 * without a limit. After it no callback runs and all user data is freed. NULL does nothing. It
 * must be the last call with this handle, as free(3) is. From inside a callback the free happens
 * once the callback has returned. In a forked child nothing of the parent's is sent.
 */
PHC_API void phc_client_free(struct phc_client *client);

/**
 * Sends what waits, and waits until every event captured before this call is delivered or
 * lost, back-off and Retry-After included; for at most timeout_ms (0: does not wait,
 * PHC_NO_LIMIT: without a limit). Returns PHC_OK if all of them were delivered,
 * PHC_LOST_EVENTS if this flush saw some of them lost, PHC_TIMEOUT if some are still pending
 * (nothing is abandoned), PHC_CLOSED after a close. result (size bytes; NULL is accepted) gets
 * the numbers.
 */
PHC_API
phc_status phc_flush(struct phc_client *client,
                     uint32_t timeout_ms,
                     struct phc_flush_result *result,
                     size_t size);

/**
 * Begins a flush that is waited for in slices, for hosts whose waits must stay interruptible.
 * flush gets its number. Does not wait. The flush ends when phc_flush_wait returns anything
 * but PHC_TIMEOUT, or by phc_flush_end; of more than 100 the oldest is forgotten.
 */
PHC_API phc_status phc_flush_begin(struct phc_client *client, uint64_t *flush);

/**
 * Waits for a flush that was begun, for at most timeout_ms, and returns like phc_flush. After
 * PHC_TIMEOUT the flush goes on and can be waited for again; after anything else it has ended.
 * Returns PHC_INVALID_ARGUMENT if there is no such flush in this process.
 */
PHC_API
phc_status phc_flush_wait(struct phc_client *client,
                          uint64_t flush,
                          uint32_t timeout_ms,
                          struct phc_flush_result *result,
                          size_t size);

/**
 * Forgets a flush that was begun. Its events are still sent. An unknown number is not
 * an error.
 */
PHC_API phc_status phc_flush_end(struct phc_client *client, uint64_t flush);

/**
 * Waits until every event captured before this call is on disk and synced, so that neither the
 * end of the process nor a power cut loses it; for at most timeout_ms (0: does not wait,
 * PHC_NO_LIMIT: without a limit). It needs no network. Events that were delivered in the
 * meantime need not be written. Returns PHC_OK, PHC_TIMEOUT if the disk has not taken all of
 * them yet (nothing is abandoned), PHC_SPOOL if it does not take them, or if the client has no
 * spool (see the setting spool_dir, for which this libphc must be built with the cargo feature
 * spool), PHC_CLOSED after a close.
 */
PHC_API phc_status phc_persist(struct phc_client *client, uint32_t timeout_ms);

/**
 * Ends every pending event without sending it (PHC_LOSS_DISCARDED): in memory, on disk, and
 * what ended processes with the same host and key have left on disk. For an opt-out or a
 * logout; events of other processes that run are left to them. Waits for at most timeout_ms
 * (0: does not wait, PHC_NO_LIMIT: without a limit) until the files are removed. Returns PHC_OK,
 * PHC_TIMEOUT if the files are not removed yet, PHC_SPOOL if the disk does not remove all of them,
 * or if the client has no spool, PHC_CLOSED after a close. discarded (NULL is accepted) gets the
 * number of events that have ended by then, with each of these; what ended processes have left may
 * end later.
 */
PHC_API
phc_status phc_spool_discard(struct phc_client *client,
                             uint32_t timeout_ms,
                             uint64_t *discarded);

/**
 * Sets the error callback in place of the one before; NULL removes it, and the other arguments
 * are not used then. Returns once the one before runs no more; do not hold a lock that it takes.
 * From inside a callback it returns at once. free_user_data (NULL is accepted) is called once,
 * when user_data is not needed any more. While an error or a delivery callback is set, reports
 * go to the callbacks only and phc_poll returns NULL. The callback stays set in a forked child,
 * on a thread of the child's own; there free_user_data is not called for what the parent set.
 */
PHC_API
phc_status phc_set_error_callback(struct phc_client *client,
                                  phc_error_callback callback,
                                  void *user_data,
                                  phc_free_callback free_user_data);

/**
 * Sets the delivery callback in place of the one before, like phc_set_error_callback.
 */
PHC_API
phc_status phc_set_delivery_callback(struct phc_client *client,
                                     phc_delivery_callback callback,
                                     void *user_data,
                                     phc_free_callback free_user_data);

/**
 * Sets the log callback in place of the one before, like phc_set_error_callback. Without one
 * nothing is logged. While no error callback is set, lost events are logged: one line for all
 * of them, at most one a second. A client without a project key logs that at once, on the
 * calling thread.
 */
PHC_API
phc_status phc_set_log_callback(struct phc_client *client,
                                phc_log_callback callback,
                                void *user_data,
                                phc_free_callback free_user_data);

/**
 * Captures an event with properties given as one JSON object (NULL for none). As in every
 * capture, white space around the distinct_id is not sent. Never waits, unless the setting overflow
 * is block or spool_safety is call. With any other status than PHC_OK the event was not taken, and
 * phc_last_error says why.
 */
PHC_API
phc_status phc_capture(struct phc_client *client,
                       const char *distinct_id,
                       const char *event,
                       const char *properties_json);

/**
 * Like phc_capture, and writes the event's uuid into uuid_out (PHC_UUID_SIZE bytes; NULL is
 * accepted).
 */
PHC_API
phc_status phc_capture_get_uuid(struct phc_client *client,
                                const char *distinct_id,
                                const char *event,
                                const char *properties_json,
                                char *uuid_out);

/**
 * Captures a whole event given as one JSON object of len bytes. Its members are event and
 * distinct_id (a string, or a whole number of 64 bits, which is sent as its text) and, where
 * known, properties, timestamp (RFC 3339 with an offset), uuid, $set, $set_once, $unset (a list
 * of names), groups, options, session_id and window_id; any other member is an error. uuid_out
 * (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid. A binding needs no other
 * capture function.
 */
PHC_API
phc_status phc_capture_json(struct phc_client *client,
                            const char *json,
                            size_t len,
                            char *uuid_out);

/**
 * Captures a built event and frees it, whatever the status is: the event must not be used
 * again. uuid_out (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid.
 */
PHC_API
phc_status phc_capture_event(struct phc_client *client,
                             struct phc_event *event,
                             char *uuid_out);

/**
 * Captures $identify, which sets person properties. set_json and set_once_json are JSON objects
 * or NULL. uuid_out (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid.
 */
PHC_API
phc_status phc_identify(struct phc_client *client,
                        const char *distinct_id,
                        const char *set_json,
                        const char *set_once_json,
                        char *uuid_out);

/**
 * Captures $create_alias: from now on alias is the same person as distinct_id, which is the
 * canonical id. An alias is text of 1 to 200 bytes, without the white space around it, as every
 * distinct_id is; for another one it returns PHC_INVALID_ARGUMENT. uuid_out (PHC_UUID_SIZE bytes;
 * NULL is accepted) gets the event's uuid.
 */
PHC_API
phc_status phc_alias(struct phc_client *client,
                     const char *distinct_id,
                     const char *alias,
                     char *uuid_out);

/**
 * Captures $groupidentify, which sets properties of a group. set_json is a JSON object or NULL;
 * if distinct_id is NULL, it is "$<type>_<key>". uuid_out (PHC_UUID_SIZE bytes; NULL is
 * accepted) gets the event's uuid.
 */
PHC_API
phc_status phc_group_identify(struct phc_client *client,
                              const char *group_type,
                              const char *group_key,
                              const char *set_json,
                              const char *distinct_id,
                              char *uuid_out);

/**
 * Adds a property to every event from now on (a super property), in place of an earlier one with
 * that key. value_json is any JSON value. A property of the event itself has precedence. It stays
 * in a forked child.
 */
PHC_API phc_status phc_register(struct phc_client *client, const char *key, const char *value_json);

/**
 * Stops adding a super property. One that was never registered is not an error.
 */
PHC_API phc_status phc_unregister(struct phc_client *client, const char *key);

/**
 * Makes captures refuse events from now on, with PHC_OPTED_OUT. What was captured before is
 * still sent.
 */
PHC_API phc_status phc_opt_out(struct phc_client *client);

/**
 * Makes captures take events again.
 */
PHC_API phc_status phc_opt_in(struct phc_client *client);

/**
 * Begins an event. NULL texts count as empty, which the capture will refuse. Pass it to
 * phc_capture_event or free it with phc_event_free. Returns NULL only without memory for the
 * texts, or after an internal error. Every function that adds to an event returns
 * PHC_OUT_OF_RESOURCES when there is no memory for it, and then changes nothing.
 */
PHC_API PHC_WARN_UNUSED struct phc_event *phc_event_new(const char *distinct_id, const char *event);

/**
 * Begins an event like phc_event_new.
 */
PHC_API
PHC_WARN_UNUSED
struct phc_event *phc_event_new_n(const char *distinct_id,
                                  size_t distinct_id_len,
                                  const char *event,
                                  size_t event_len);

/**
 * Frees an event that was not captured. NULL does nothing.
 */
PHC_API void phc_event_free(struct phc_event *event);

/**
 * Sets a property to text. Bad UTF-8 is replaced by U+FFFD, and counted.
 */
PHC_API
phc_status phc_event_set_string(struct phc_event *event,
                                const char *key,
                                const char *value);

/**
 * Does the same as phc_event_set_string.
 */
PHC_API
phc_status phc_event_set_string_n(struct phc_event *event,
                                  const char *key,
                                  size_t key_len,
                                  const char *value,
                                  size_t value_len);

/**
 * Sets a property to a whole number.
 */
PHC_API phc_status phc_event_set_int(struct phc_event *event, const char *key, int64_t value);

/**
 * Does the same as phc_event_set_int.
 */
PHC_API
phc_status phc_event_set_int_n(struct phc_event *event,
                               const char *key,
                               size_t key_len,
                               int64_t value);

/**
 * Sets a property to a whole number that is not negative.
 */
PHC_API phc_status phc_event_set_uint(struct phc_event *event, const char *key, uint64_t value);

/**
 * Does the same as phc_event_set_uint.
 */
PHC_API
phc_status phc_event_set_uint_n(struct phc_event *event,
                                const char *key,
                                size_t key_len,
                                uint64_t value);

/**
 * Sets a property to a number. NaN and infinities return PHC_INVALID_PROPERTY.
 */
PHC_API phc_status phc_event_set_double(struct phc_event *event, const char *key, double value);

/**
 * Does the same as phc_event_set_double.
 */
PHC_API
phc_status phc_event_set_double_n(struct phc_event *event,
                                  const char *key,
                                  size_t key_len,
                                  double value);

/**
 * Sets a property to false (0) or true (any other value).
 */
PHC_API phc_status phc_event_set_bool(struct phc_event *event, const char *key, int value);

/**
 * Does the same as phc_event_set_bool.
 */
PHC_API
phc_status phc_event_set_bool_n(struct phc_event *event,
                                const char *key,
                                size_t key_len,
                                int value);

/**
 * Sets a property to null.
 */
PHC_API phc_status phc_event_set_null(struct phc_event *event, const char *key);

/**
 * Does the same as phc_event_set_null.
 */
PHC_API phc_status phc_event_set_null_n(struct phc_event *event, const char *key, size_t key_len);

/**
 * Sets a property to a value given as JSON text.
 */
PHC_API phc_status phc_event_set_json(struct phc_event *event, const char *key, const char *json);

/**
 * Does the same as phc_event_set_json.
 */
PHC_API
phc_status phc_event_set_json_n(struct phc_event *event,
                                const char *key,
                                size_t key_len,
                                const char *json,
                                size_t json_len);

/**
 * Begins an object: the properties that are set until the matching phc_event_end are its
 * members.
 */
PHC_API phc_status phc_event_begin_object(struct phc_event *event, const char *key);

/**
 * Does the same as phc_event_begin_object.
 */
PHC_API
phc_status phc_event_begin_object_n(struct phc_event *event,
                                    const char *key,
                                    size_t key_len);

/**
 * Begins an array: the values that are set until the matching phc_event_end, with NULL as the
 * key, are its elements.
 */
PHC_API phc_status phc_event_begin_array(struct phc_event *event, const char *key);

/**
 * Does the same as phc_event_begin_array.
 */
PHC_API
phc_status phc_event_begin_array_n(struct phc_event *event,
                                   const char *key,
                                   size_t key_len);

/**
 * Ends the object or array that was begun last. Returns PHC_INVALID_ARGUMENT if there is none.
 * An event with an object or array that has not ended cannot be captured.
 */
PHC_API phc_status phc_event_end(struct phc_event *event);

/**
 * Adds the event to a group: phc_event_set_group(event, "company", "acme"). If a type is set again,
 * the last key is sent.
 */
PHC_API
phc_status phc_event_set_group(struct phc_event *event,
                               const char *group_type,
                               const char *group_key);

/**
 * Does the same as phc_event_set_group.
 */
PHC_API
phc_status phc_event_set_group_n(struct phc_event *event,
                                 const char *group_type,
                                 size_t group_type_len,
                                 const char *group_key,
                                 size_t group_key_len);

/**
 * Sets the uuid of the event. If it is not a uuid, the capture replaces it by a new one, and
 * counts that.
 */
PHC_API phc_status phc_event_set_uuid(struct phc_event *event, const char *uuid);

/**
 * Sets when the event happened, in milliseconds since 1970 UTC, in the years 0000 to 9999; others
 * return PHC_INVALID_TIMESTAMP. Without it, it is the time of the capture.
 */
PHC_API phc_status phc_event_set_timestamp_ms(struct phc_event *event, int64_t unix_ms);

/**
 * Sets when the event happened, as RFC 3339 text with an offset.
 */
PHC_API phc_status phc_event_set_timestamp(struct phc_event *event, const char *rfc3339);

/**
 * Begins an exception with its type, such as "std::bad_alloc", and its message. NULL texts count
 * as empty; one without a type is called "Error". Pass it to phc_capture_exception or free it
 * with phc_exception_free. Returns NULL only without memory, or after an internal error.
 */
PHC_API
PHC_WARN_UNUSED
struct phc_exception *phc_exception_new(const char *type,
                                        const char *message);

/**
 * Frees an exception that was not captured. NULL does nothing.
 */
PHC_API void phc_exception_free(struct phc_exception *exception);

/**
 * Sets a fact about an exception. Of the whole exception:
 * - "level": "fatal", "error" (the default), "warning", "log", "info" or "debug";
 * - "handled": "true" (the default), or "false" for one that nothing has caught;
 * - "fingerprint": exceptions with the same one become one issue, whatever their stacks are;
 * - "source": what caught it, such as "cpp.terminate_handler";
 * - "release_id": the release of the application.
 *
 * Of the exception itself or, after phc_exception_add_cause, of the latest cause:
 * - "module": the module or namespace of the type;
 * - "thread_id": a whole number;
 * - "mechanism": how it was caught, in place of "generic" ("chained" for a cause);
 * - "synthetic": "true" if the type and the message were made up for an error that has none.
 *
 * Returns PHC_INVALID_ARGUMENT for other names and values.
 */
PHC_API
phc_status phc_exception_set(struct phc_exception *exception,
                             const char *name,
                             const char *value);

/**
 * Adds what caused the exception, or what caused the cause that was added last. Later frames belong
 * to this cause. relation says how it is related to what it caused: "cause" (the default, NULL),
 * "context", "unwrap", "member", "suppressed" or "inner".
 */
PHC_API
phc_status phc_exception_add_cause(struct phc_exception *exception,
                                   const char *type,
                                   const char *message,
                                   const char *relation);

/**
 * Adds the next frame of the stack, the innermost first, where the source is known. file may be
 * NULL; its extension determines the language. line is 0 if it is not known. in_app is 0 for code
 * that is not the application's own, such as that of libraries.
 */
PHC_API
phc_status phc_exception_add_frame(struct phc_exception *exception,
                                   const char *function,
                                   const char *file,
                                   uint32_t line,
                                   int in_app);

/**
 * Adds the next frame of the stack, the innermost first, as a JSON object of len bytes with at
 * least the member platform, such as {"platform":"ruby","function":"save","filename":"app.rb",
 * "lineno":7,"in_app":true}. It is for bindings of other languages, and is sent as it is.
 */
PHC_API
phc_status phc_exception_add_frame_json(struct phc_exception *exception,
                                        const char *json,
                                        size_t len);

/**
 * Adds the next frame of the stack, the innermost first, as a return address, such as backtrace(3)
 * returns. The event gets the build id of the program or library that has the address
 * ($debug_images): where its debug symbols were uploaded, PostHog shows functions, files and
 * lines. The linker writes a build id with -Wl,--build-id. The library that has the address must not
 * be unloaded during the call (dlclose).
 */
PHC_API
phc_status phc_exception_add_address(struct phc_exception *exception,
                                     const void *address);

/**
 * Adds the stack of the calling thread, from the caller of this function outwards, without the
 * first skip frames. It costs some 10 to 100 microseconds, and is not safe in a signal handler. The
 * program needs unwind tables: C++ compilers write them, C compilers do with
 * -fasynchronous-unwind-tables (gcc's default on x86-64 and arm64).
 */
PHC_API phc_status phc_exception_add_stack(struct phc_exception *exception, unsigned int skip);

/**
 * Captures an exception as the event $exception and frees it, whatever the status is: the
 * exception must not be used again. If distinct_id is NULL or empty, the event belongs to no
 * person: it is sent under a random id, with $process_person_profile false. properties_json is a
 * JSON object or NULL; members that the server makes itself, such as $exception_types, are left
 * out. uuid_out (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid.
 */
PHC_API
phc_status phc_capture_exception(struct phc_client *client,
                                 const char *distinct_id,
                                 struct phc_exception *exception,
                                 const char *properties_json,
                                 char *uuid_out);

/**
 * Begins a query for a person. NULL counts as empty: flags that need to know who the person is
 * then have no value. The distinct_id is also the person's property of that name, unless another
 * value is set. Returns NULL only after an internal error.
 */
PHC_API PHC_WARN_UNUSED struct phc_flags_query *phc_flags_query_new(const char *distinct_id);

/**
 * Frees a query. NULL does nothing.
 */
PHC_API void phc_flags_query_free(struct phc_flags_query *query);

/**
 * Sets an option of the query to 0 or 1. Returns PHC_INVALID_ARGUMENT for another value, and for an
 * option that is not known.
 */
PHC_API
phc_status phc_flags_query_set_option(struct phc_flags_query *query,
                                      phc_flags_option option,
                                      int value);

/**
 * Sets a property of the person to a value given as JSON text: "\"pro\"", "42", "true". Filters of
 * flags compare it; a flag with a filter on a property that is not set has no value.
 */
PHC_API
phc_status phc_flags_query_set_person(struct phc_flags_query *query,
                                      const char *key,
                                      const char *value_json);

/**
 * Sets properties of the person, given as one JSON object of len bytes.
 */
PHC_API
phc_status phc_flags_query_set_person_json(struct phc_flags_query *query,
                                           const char *object,
                                           size_t len);

/**
 * Puts the person into a group: phc_flags_query_set_group(query, "company", "acme", "{}"). If a
 * type is set again, the last group counts. properties_json has the properties of the group as one
 * JSON object; with NULL the group has only $group_key. With an empty group_key, conditions for
 * groups of the type do not apply, as for a person who is in none.
 */
PHC_API
phc_status phc_flags_query_set_group(struct phc_flags_query *query,
                                     const char *group_type,
                                     const char *group_key,
                                     const char *properties_json);

/**
 * Sets the device, for flags that put devices and not persons into a rollout. Without it the
 * person's property $device_id counts.
 */
PHC_API
phc_status phc_flags_query_set_device_id(struct phc_flags_query *query,
                                         const char *device_id);

/**
 * Asks for the flag with this key; without any, all flags are evaluated.
 */
PHC_API phc_status phc_flags_query_add_key(struct phc_flags_query *query, const char *key);

/**
 * Adds an evaluation context, such as "web". A flag with contexts then exists only if one of its
 * contexts was added; flags without contexts always exist. Without this call the setting
 * evaluation_contexts counts, and if that is empty, all flags exist.
 */
PHC_API phc_status phc_flags_query_add_context(struct phc_flags_query *query, const char *context);

/**
 * Sets the definitions from which the client evaluates feature flags, in place of all earlier ones:
 * one JSON object of len bytes (at most 32 MiB), as PostHog's endpoint /flags/definitions returns
 * it. They are compiled once, here. Evaluations that run at the same time go on with the old
 * definitions and wait for nothing. Returns PHC_INVALID_JSON if it is not an object with a list
 * "flags"; the old definitions then stay. A flag whose own definition is not understood has no
 * value; the others are not affected. Needs no project key, and works after a close.
 */
PHC_API
phc_status phc_flags_definitions_set(struct phc_client *client,
                                     const char *json,
                                     size_t len);

/**
 * Returns PHC_OK if the client has definitions of feature flags. Otherwise it waits for them, for at
 * most timeout_ms; the first call begins to fetch them, as the first evaluation does, if the client
 * has the setting secret_key. Returns
 * - PHC_WOULD_WAIT with timeout_ms 0, if there are none
 * - PHC_TIMEOUT if none came in time
 * - PHC_UNAVAILABLE if the server refuses them (phc_last_error says why), or if the client fetches
 *   none and phc_flags_definitions_set was not called
 * - PHC_CLOSED and PHC_DISABLED, with a time limit
 */
PHC_API
phc_status phc_flags_ready(const struct phc_client *client,
                           uint32_t timeout_ms);

/**
 * Fetches the definitions of feature flags from the server now, whatever the setting
 * flags_poll_interval_ms says, and waits for that for at most timeout_ms. Definitions that cannot be
 * fetched leave those that are there. Returns PHC_OK if the client has the newest definitions;
 * PHC_UNAVAILABLE if they could not be fetched (phc_last_error says why), or the client has no
 * setting secret_key; PHC_TIMEOUT if the time limit passed first; PHC_WOULD_WAIT with timeout_ms 0,
 * when it has begun; PHC_CLOSED and PHC_DISABLED.
 */
PHC_API
phc_status phc_flags_reload(struct phc_client *client,
                            uint32_t timeout_ms);

/**
 * Evaluates the flags of a query from the definitions that the client has, and writes a snapshot of
 * their values into out, to be freed with phc_flags_free. With timeout_ms 0 it never waits, takes
 * no lock, and sends nothing. Otherwise the server is asked for what has no value then, by one
 * request, which is waited for at most timeout_ms, and never longer than the setting
 * flags_timeout_ms; a value that was evaluated here stays. While the server does not respond, most
 * calls return at once.
 *
 * Returns PHC_OK if every flag that was asked for has a value or does not exist for this query (it
 * is for other evaluation contexts, or for clients only), or if the server has returned what it
 * knows. There is a snapshot, with the values that are known, also with these:
 * - PHC_WOULD_WAIT: with timeout_ms 0 a flag has no value (it has no definition, or
 *   phc_flags_detail says why); also in test_mode, and for an empty distinct_id, which is never
 *   asked about
 * - PHC_TIMEOUT: the time limit passed first
 * - PHC_UNAVAILABLE: the server returned no values, or is known not to respond; phc_last_error and
 *   phc_flags_error say why
 * - PHC_CLOSED and PHC_DISABLED, if the server would have been asked
 * - PHC_OUT_OF_RESOURCES, if the I/O thread could not be started
 *
 * With PHC_INVALID_ARGUMENT and PHC_INTERNAL out is NULL.
 */
PHC_API
phc_status phc_flags_evaluate(const struct phc_client *client,
                              const struct phc_flags_query *query,
                              uint32_t timeout_ms,
                              struct phc_flags **out);

/**
 * Evaluates one flag for a person of whom nothing else is known, and returns 1 if it is on, 0 if it
 * is off, and default_value if it has no value or an argument is NULL. A shorthand of query,
 * phc_flags_evaluate with the time limit 0, and phc_flags_enabled: the server is not asked.
 */
PHC_API
int phc_flag_enabled(const struct phc_client *client,
                     const char *key,
                     const char *distinct_id,
                     int default_value);

/**
 * Returns 1 if the flag is on, with or without a variant, 0 if it is off, and default_value if it
 * has no value. The first read of a flag in a snapshot is captured as $feature_flag_called, unless
 * the same value was read for the same person before, or the setting flags_called_events is false;
 * that never waits, and happens neither inside before_send nor once the client was closed. An event
 * that before_send discards counts as captured: it is not made again.
 */
PHC_API int phc_flags_enabled(struct phc_flags *flags, const char *key, int default_value);

/**
 * Returns what kind of value the flag has, and, like phc_flags_enabled, records and captures that
 * it was read. Writes the variant into variant (NULL is accepted), or NULL if there is none.
 */
PHC_API phc_flag_kind phc_flags_get(struct phc_flags *flags, const char *key, const char **variant);

/**
 * Returns the payload of the flag's value as JSON text, as the project has it; NULL if there
 * is none. len (NULL is accepted) gets its length. It does not count as a read of the value.
 */
PHC_API const char *phc_flags_payload(const struct phc_flags *flags, const char *key, size_t *len);

/**
 * Returns how many flags the snapshot has, those without a value included: first those that were
 * evaluated here, in the order of the definitions, then those of the server, by key.
 */
PHC_API size_t phc_flags_count(const struct phc_flags *flags);

/**
 * Returns the key of the flag at this place; NULL beyond the last one.
 */
PHC_API const char *phc_flags_key(const struct phc_flags *flags, size_t index);

/**
 * Fills out with as much of what is known of the flag as fits into size bytes; pass
 * sizeof(phc_flag_detail). It does not count as a read of the value. Returns PHC_OK also if the flag
 * is not in the snapshot; its kind is then PHC_FLAG_ABSENT, and is_local is 0.
 */
PHC_API
phc_status phc_flags_detail(const struct phc_flags *flags,
                            const char *key,
                            struct phc_flag_detail *out,
                            size_t size);

/**
 * Returns the code of a reason as the server has it, such as "condition_match"; "" for
 * PHC_FLAG_REASON_NONE. Static text, for any number. Safe from any thread.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_flag_reason_name(phc_flag_reason reason);

/**
 * Returns the name of the reason for which a flag has no value, such as "missing_context"; "" for
 * PHC_FLAG_RESOLVED. Static text, for any number. Safe from any thread.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_flag_unresolved_name(phc_flag_unresolved reason);

/**
 * Returns what the snapshot lacks, in the words of the property $feature_flag_error, separated by
 * commas: local_evaluation_inconclusive if a flag has no value, flag_missing if one that was asked
 * for does not exist, evaluation_failed and errors_while_computing_flags if the server says so. If
 * the server was asked in vain, it is one word: timeout, connection_error, api_error_<HTTP status>,
 * quota_limited or unknown_error. Empty if it lacks nothing, and for NULL.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_flags_error(const struct phc_flags *flags);

/**
 * Writes the whole snapshot as one JSON object into a buffer of len bytes, NUL included: under
 * "flags" the flags with a value, by key, in the form of the server's responses; under "unresolved"
 * why the others have none; and "error". Returns the length of the whole text without the NUL, like
 * snprintf; 0 if flags is NULL.
 */
PHC_API size_t phc_flags_json(const struct phc_flags *flags, char *buf, size_t len);

/**
 * Returns a copy of the snapshot that has only the flags with these n keys. Returns NULL if flags,
 * keys or one of the keys is NULL. Free it with phc_flags_free.
 */
PHC_API
PHC_WARN_UNUSED
struct phc_flags *phc_flags_only(const struct phc_flags *flags,
                                 const char *const *keys,
                                 size_t n);

/**
 * Returns a copy of the snapshot that has only the flags whose value was read, by phc_flags_enabled
 * or phc_flags_get. Returns NULL if flags is NULL. Free it with phc_flags_free.
 */
PHC_API PHC_WARN_UNUSED struct phc_flags *phc_flags_only_accessed(const struct phc_flags *flags);

/**
 * Frees a snapshot, and with it the texts that its functions returned. NULL does nothing.
 */
PHC_API void phc_flags_free(struct phc_flags *flags);

/**
 * Adds the flags of a snapshot that have a value to an event, as the properties $feature/<key>, and
 * the keys of those that are on as $active_feature_flags. A property that is set afterwards takes
 * precedence over one of these. Returns PHC_INVALID_EVENT while an object or array of the event is
 * open, and then adds nothing.
 */
PHC_API phc_status phc_event_set_flags(struct phc_event *event, const struct phc_flags *flags);

/**
 * Asks the server for the remote config with this key, decrypted if the client's setting secret_key is
 * a personal key that may read it, and writes it into out, to be freed with phc_remote_config_free.
 * Each call is one request, which PostHog limits to some hundreds a minute for a project: keep the
 * payload. It is waited for at most timeout_ms, and never longer than the setting flags_timeout_ms,
 * retries included (flags_max_retries; after no response, a 502 or a 504). While the server is down,
 * most calls return PHC_UNAVAILABLE at once. A close ends calls that wait.
 *
 * Returns PHC_OK if the server has responded, also if the project has no remote config with this key:
 * phc_remote_config_payload then returns NULL. With every other status out is NULL:
 * - PHC_UNAVAILABLE: no response, a refused key (HTTP 401, 403), used-up or too many requests (402,
 *   429), another error of the server, a response that is not JSON or has more than 8 MiB, a close
 *   meanwhile; or the client has no secret_key, or is in test_mode. phc_last_error says which, and
 *   phc_last_http_status has the HTTP status
 * - PHC_TIMEOUT: the time limit passed first
 * - PHC_WOULD_WAIT: timeout_ms is 0; only the server has remote configs
 * - PHC_INVALID_ARGUMENT: a NULL, or a key that is empty, "." or ".."
 * - PHC_CLOSED, PHC_DISABLED, and PHC_OUT_OF_RESOURCES if the I/O thread could not be started
 *
 * The server treats a key that consists of digits as the id of a flag, not as its key.
 */
PHC_API
phc_status phc_remote_config_fetch(const struct phc_client *client,
                                   const char *key,
                                   uint32_t timeout_ms,
                                   struct phc_remote_config **out);

/**
 * Returns the payload as the project has it: JSON text, unless it was set by other means than
 * PostHog's web application. Empty if the remote config has none; NULL if the project has no remote
 * config with this key, or if config is NULL. len (NULL is accepted) gets its length in bytes, 0
 * with NULL. The text ends in NUL, and lives as long as config does.
 */
PHC_API const char *phc_remote_config_payload(const struct phc_remote_config *config, size_t *len);

/**
 * Frees a remote config, and with it the text that its function returned. NULL does nothing.
 */
PHC_API void phc_remote_config_free(struct phc_remote_config *config);

/**
 * Sets the callback that sees each event before it is taken, in place of the one before, like
 * phc_set_error_callback. It may run on several threads at once. The callback stays set in a
 * forked child.
 */
PHC_API
phc_status phc_set_before_send_callback(struct phc_client *client,
                                        phc_before_send_callback callback,
                                        void *user_data,
                                        phc_free_callback free_user_data);

/**
 * Returns the event as one JSON object, as it would be sent, with a NUL after it; its length
 * is written to len (NULL is accepted). It is valid until the callback returns.
 */
PHC_API PHC_RETURNS_NONNULL
const char *phc_outgoing_json(const struct phc_outgoing *event,
                              size_t *len);

/**
 * Takes this JSON object of len bytes in place of the event, if the callback returns
 * PHC_BEFORE_SEND_KEEP. It is copied. After the callback has returned it is read like that of
 * phc_capture_json; if it is refused, the event is discarded.
 */
PHC_API phc_status phc_outgoing_replace(struct phc_outgoing *event, const char *json, size_t len);

/**
 * Returns the oldest report that waits; if there is none, waits for one for at most timeout_ms.
 * Returns NULL if none came in time, and if the client is closed and every report was read.
 * While an error or a delivery callback is set, the callbacks get the reports and none comes
 * here. Free it with phc_report_free.
 */
PHC_API PHC_WARN_UNUSED struct phc_report *phc_poll(struct phc_client *client, uint32_t timeout_ms);

/**
 * Returns a file descriptor that is readable while reports wait: for poll(2), epoll or an event
 * loop, which then calls phc_poll without a timeout until it returns NULL. Nothing is to be read
 * from it. It belongs to the client and is valid until the free; a forked child must ask again.
 * Returns -1 if none could be created; phc_last_error says why.
 *
 * On Windows it is a SOCKET, for WSAPoll, select or WSAEventSelect: `(SOCKET)phc_poll_fd(client)`.
 */
PHC_API ptrdiff_t phc_poll_fd(struct phc_client *client);

/**
 * Frees a report that phc_poll returned. NULL does nothing.
 */
PHC_API void phc_report_free(struct phc_report *report);

/**
 * Returns the request id of the batch; empty if its events were in no request.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_report_request_id(const struct phc_report *report);

/**
 * Returns the number of the attempt, from 1; 0 without a request.
 */
PHC_API uint32_t phc_report_attempt(const struct phc_report *report);

/**
 * Returns when the attempt began, in milliseconds since 1970 UTC; 0 without a request.
 */
PHC_API int64_t phc_report_sent_at_ms(const struct phc_report *report);

/**
 * Returns the HTTP status; 0 if there was no response.
 */
PHC_API uint32_t phc_report_http_status(const struct phc_report *report);

/**
 * Returns what went wrong with the batch as a whole; empty if nothing did.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_report_error(const struct phc_report *report);

/**
 * Returns how many events ended.
 */
PHC_API size_t phc_report_event_count(const struct phc_report *report);

/**
 * Fills out (size bytes; pass sizeof(phc_event_report)) with the event at this index. Returns
 * PHC_INVALID_ARGUMENT if the index is not below phc_report_event_count.
 */
PHC_API
phc_status phc_report_event(const struct phc_report *report,
                            size_t index,
                            struct phc_event_report *out,
                            size_t size);

/**
 * Returns how many events of the batch are sent again.
 */
PHC_API size_t phc_report_pending_count(const struct phc_report *report);

/**
 * With the setting reports = all: returns the uuid of the event at this index among those that
 * are sent again. Empty if the index is not below phc_report_pending_count, and with other
 * settings.
 */
PHC_API PHC_RETURNS_NONNULL
const char *phc_report_pending_uuid(const struct phc_report *report,
                                    size_t index);

/**
 * Returns how many reports were discarded before this one because they were not read in time.
 */
PHC_API uint64_t phc_report_missed_reports(const struct phc_report *report);

/**
 * Returns how many events those reports had.
 */
PHC_API uint64_t phc_report_missed_events(const struct phc_report *report);

/**
 * Returns the whole report as one JSON object.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_report_json(const struct phc_report *report);

/**
 * Returns the name of a loss reason, such as "retry_exhausted"; "delivered" for PHC_LOSS_NONE.
 * Static text, for any number. Safe from any thread.
 */
PHC_API PHC_RETURNS_NONNULL const char *phc_loss_name(phc_loss loss);

/**
 * Fills out with as many of the counters as fit into size bytes; pass sizeof(phc_stats). It
 * may be called until the free, also from callbacks.
 */
PHC_API
phc_status phc_stats_get(const struct phc_client *client,
                         struct phc_stats *out,
                         size_t size);

/**
 * Writes the counters as one JSON object, with lost and refused by the names of their reasons
 * and statuses, into a buffer of len bytes, NUL included. Returns the length of the whole text
 * without the NUL, like snprintf; 0 if client is NULL.
 */
PHC_API size_t phc_stats_json(const struct phc_client *client, char *buf, size_t len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PHC_H */
