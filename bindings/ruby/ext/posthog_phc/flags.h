/* Extension.flag and Extension.evaluate: feature flags, straight from the arguments of the client's methods, in one
 * call; and Extension::Snapshot, their values. */
#ifndef POSTHOG_PHC_FLAGS_H
#define POSTHOG_PHC_FLAGS_H

#include <ruby.h>

void flags_init(VALUE extension);

#endif
