/* The C side of this package, as its Go side calls it. */
#ifndef POSTHOG_BRIDGE_H
#define POSTHOG_BRIDGE_H

/* In the archive for musl every function has another name, so that both archives can be linked
 * and the C compiler decides which of them is used: only it knows its libc. */
#ifdef PHC_ARCHIVES
#include <features.h>
#ifndef __GLIBC__
#include "phc_musl.h"
#endif
#endif
#include "phc_binding.h"

/* Copies phc_last_error, which belongs to the thread, into error (size bytes). */
static inline void bridge_copy_last_error(char *error, size_t size) {
    const char *text = phc_last_error();
    size_t i = 0;
    for (; i + 1 < size && text[i] != '\0'; i++) error[i] = text[i];
    error[i] = '\0';
}

/* phc_capture_json that also copies phc_last_error into error (size bytes). Both happen in one
 * call because the text belongs to the thread. It never calls into Go. */
static inline phc_status bridge_capture(phc_client *client, const char *json, size_t len, char *uuid,
                                        char *error, size_t size) {
    phc_status status = phc_capture_json(client, json, len, uuid);
    if (status != PHC_OK) bridge_copy_last_error(error, size);
    return status;
}

/* Set a callback that calls into Go with this handle. The handle is released by phcGoRelease when
 * the callback is not used any more, and also if the call fails. */
phc_status bridge_set_error_callback(phc_client *client, uintptr_t handle);
phc_status bridge_set_delivery_callback(phc_client *client, uintptr_t handle);
phc_status bridge_set_log_callback(phc_client *client, uintptr_t handle);
/* Like the setters above. Of a client with a BeforeSend it is called for reads of flags: the other events
 * have passed BeforeSend before libphc gets them. Without one it is called for reads in a context. */
phc_status bridge_set_before_send_callback(phc_client *client, uintptr_t handle);

/* What a query is about, beside its texts. Those follow each other, each with a NUL after it: the distinct id; the
 * device id; the person's properties as one JSON object; type, key and properties (one JSON object) of each group;
 * the keys of the flags; the evaluation contexts. Of a device id and of properties an empty text stands for none. */
typedef struct bridge_query {
    uint32_t groups, keys, contexts;
    uint32_t timeout_ms;
    /* 0 or 1 each; disable_geoip is -1 if the client's setting counts. */
    int32_t is_silent, is_remote_only, disable_geoip;
    /* 1 if the flag is read also where it has no value yet, but could get one from the server. */
    int32_t is_final;
} bridge_query;

/* What came of it. */
typedef struct bridge_evaluation {
    phc_flags *flags;  /* to be freed; NULL if there is no snapshot, or nothing of it is needed any more */
    const char *error; /* phc_flags_error */
    /* Of bridge_evaluate_flag. The texts belong to flags; NULL for none. */
    const char *variant, *payload;
    size_t payload_len;
    phc_flag_kind kind;
    const char *unresolved; /* static */
} bridge_evaluation;

/* Evaluates a query in one call; like bridge_capture it copies phc_last_error, and never calls into Go. */
phc_status bridge_evaluate(phc_client *client, const char *texts, const bridge_query *query,
                           bridge_evaluation *out, char *error, size_t size);

/* The same for one flag, which is read. bridge_evaluate_flag_calling may call BeforeSend for the read. */
phc_status bridge_evaluate_flag(phc_client *client, const char *texts, const bridge_query *query,
                                bridge_evaluation *out, char *error, size_t size);
phc_status bridge_evaluate_flag_calling(phc_client *client, const char *texts, const bridge_query *query,
                                        bridge_evaluation *out, char *error, size_t size);

/* Reads a flag. bridge_read_flag_calling calls into Go if the read is captured: for BeforeSend, and for the context that
 * around is a handle of, which is 0 for none. */
phc_flag_kind bridge_read_flag(phc_flags *flags, const char *key, const char **variant);
phc_flag_kind bridge_read_flag_calling(phc_flags *flags, const char *key, uintptr_t around,
                                       const char **variant);

/* Writes the flags that have a value into buf (len bytes): "1", "0" or "v", the key and the variant, each of the two
 * with a NUL after it. Returns the number of bytes of all of them, even if they do not fit. It does not note that they
 * were read. */
size_t bridge_flags_values(const phc_flags *flags, char *buf, size_t len);

/* phc_flags_only with n keys, each with a NUL after it. */
phc_flags *bridge_flags_only(const phc_flags *flags, const char *keys, size_t n);

#endif
