/* What the C side of this package offers to its Go side. */
#ifndef POSTHOG_BRIDGE_H
#define POSTHOG_BRIDGE_H

#include "phc.h"

/* phc_capture_json; what was wrong goes into why (size bytes) on the thread on
 * which it is known. Calls nothing of Go. */
static inline phc_status bridge_capture(phc_client *client, const char *json, size_t len, char *uuid,
                                        char *why, size_t size) {
    phc_status status = phc_capture_json(client, json, len, uuid);
    if (status != PHC_OK) {
        const char *text = phc_last_error();
        size_t i = 0;
        for (; i + 1 < size && text[i] != '\0'; i++) why[i] = text[i];
        why[i] = '\0';
    }
    return status;
}

/* Let a client tell Go what it has to tell. A handle is given back to Go when it
 * is needed no more, also if the call fails. */
phc_status bridge_set_callback(phc_client *client, uintptr_t handle);
phc_status bridge_set_logger(phc_client *client, uintptr_t handle);

#endif
