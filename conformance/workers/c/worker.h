/* What the files of the worker share: the one client, and responses. */
#ifndef PHC_WORKER_H
#define PHC_WORKER_H

#include <phc.h>

#include "json.h"

extern phc_client *client;

/* A call of the protocol. It writes one line to standard output. */
typedef void call_function(slice with, const char *form);

/* Responds that C cannot express the call, and why. */
void respond_unsupported(const char *reason);

/* Responds with a status and, if the status is PHC_OK, the event's uuid (may be
 * NULL or empty). Must directly follow the call, whose error text it reports. */
void respond(phc_status status, const char *uuid);

/* Writes the beginning of a response, to which members and "}" may be added. */
void begin_response(phc_status status);

call_function capture, capture_text, capture_hex;
call_function get_feature_flag, reload_definitions;

#endif
