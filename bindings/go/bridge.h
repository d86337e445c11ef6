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

/* phc_capture_json that also copies phc_last_error into error (size bytes). Both happen in one
 * call because the text belongs to the thread. It never calls into Go. */
static inline phc_status bridge_capture(phc_client *client, const char *json, size_t len, char *uuid,
                                        char *error, size_t size) {
    phc_status status = phc_capture_json(client, json, len, uuid);
    if (status != PHC_OK) {
        const char *text = phc_last_error();
        size_t i = 0;
        for (; i + 1 < size && text[i] != '\0'; i++) error[i] = text[i];
        error[i] = '\0';
    }
    return status;
}

/* Set a callback that calls into Go with this handle. The handle is released by phcGoRelease when
 * the callback is not used any more, and also if the call fails. */
phc_status bridge_set_error_callback(phc_client *client, uintptr_t handle);
phc_status bridge_set_delivery_callback(phc_client *client, uintptr_t handle);
phc_status bridge_set_log_callback(phc_client *client, uintptr_t handle);

#endif
