/*
 * The layout of every public struct on LP64, which existing programs have compiled in. A FIELD line never
 * changes; a struct that grows at its end gets more of them and another SIZE. tests/abi.sh compiles this.
 */
#include <phc.h>
#include <stddef.h>

#define FIELD(type, field, at, bytes)                                                                        \
    _Static_assert(offsetof(type, field) == (at), #type "." #field " has moved");                            \
    _Static_assert(sizeof(((type *)0)->field) == (bytes), #type "." #field " has another size")
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "this is the layout of LP64");

/* The types of statuses, reasons and levels. */
SIZE(phc_status, 4);
SIZE(phc_loss, 4);
SIZE(phc_log_level, 4);

FIELD(phc_flush_result, settled, 0, 8);
FIELD(phc_flush_result, delivered, 8, 8);
FIELD(phc_flush_result, lost, 16, 8);
FIELD(phc_flush_result, pending, 24, 8);
SIZE(phc_flush_result, 32);

FIELD(phc_event_report, uuid, 0, 8);
FIELD(phc_event_report, verdict, 8, 8);
FIELD(phc_event_report, details, 16, 8);
FIELD(phc_event_report, loss, 24, 4);
FIELD(phc_event_report, maybe_delivered, 28, 4);
SIZE(phc_event_report, 32);

FIELD(phc_setting, key, 0, 8);
FIELD(phc_setting, kind, 8, 8);
FIELD(phc_setting, default_value, 16, 8);
FIELD(phc_setting, accepted, 24, 8);
SIZE(phc_setting, 32);

FIELD(phc_stats, captured, 0, 8);
FIELD(phc_stats, delivered, 8, 8);
FIELD(phc_stats, delivered_with_warning, 16, 8);
FIELD(phc_stats, lost, 24, 8);
FIELD(phc_stats, maybe_delivered, 32, 8);
FIELD(phc_stats, pending_events, 40, 8);
FIELD(phc_stats, pending_bytes, 48, 8);
FIELD(phc_stats, refused, 56, 8);
FIELD(phc_stats, repaired, 64, 8);
FIELD(phc_stats, uuids_replaced, 72, 8);
FIELD(phc_stats, requests, 80, 8);
FIELD(phc_stats, retries, 88, 8);
FIELD(phc_stats, body_bytes, 96, 8);
FIELD(phc_stats, sent_bytes, 104, 8);
/* Indexed by phc_loss and by phc_status. A slot without a number is reserved, and 0. */
_Static_assert(PHC_LOSS_SLOTS == 32 && PHC_STATUS_SLOTS == 64, "the number of slots is part of the layout");
FIELD(phc_stats, lost_by_reason, 112, 256);
FIELD(phc_stats, refused_by_status, 368, 512);
FIELD(phc_stats, delivered_with_remark, 880, 8);
FIELD(phc_stats, recovered, 888, 8);
FIELD(phc_stats, kept, 896, 8);
FIELD(phc_stats, spooled, 904, 8);
SIZE(phc_stats, 912);
