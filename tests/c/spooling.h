/* What the tests of pending events on disk share: clients of one folder, what is in it, and processes of their own. */
#ifndef SPOOLING_H
#define SPOOLING_H

#include "harness.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DOWN "{\"then\":{\"status\":503}}"
/* The server has the third attempt and does not respond, so that it knows of each that was begun. */
#define HOLDS_THE_THIRD "{\"steps\":[{\"status\":503,\"times\":2},{\"status\":503,\"wait_for_script\":true}]}"
/* A close in an outage may cut off an attempt before the server has it: the numbers of the attempts have a gap. */
#define CUT_OFF "attempt-gap"

/* The running test's. */
extern const char *folder;

/* A client of that folder, with these settings: key, value, …, NULL. */
#define SPOOLING(safety, ...) make_client("spool_dir", folder, "spool_safety", safety, __VA_ARGS__)

/* Waits until a client has counted so much: AWAIT(client, spooled, 3) */
typedef struct {
    phc_client *client;
    size_t at;
    uint64_t wanted;
} goal;
int is_reached(void *about);
#define AWAIT(client, counter, n) CHECK(await(is_reached, &(goal){client, offsetof(phc_stats, counter), n}))

/* How many files of the folder hold events. */
int segments(void);
/* They are made and removed by another thread, or process: waits until there are so many. */
void await_segments(int wanted);
/* How many descriptors this process has of the folder. */
int descriptors_of_folder(void);

/* A process of its own: it ends with 0 if no check fails in it, unless the body ends it in another way. */
pid_t begin_process(void (*body)(void));
/* Waits for its end, and returns its status. */
int end_of(pid_t pid);
int in_process(void (*body)(void));
/* Whether a check has failed in this process. */
int has_failed(void);
void kill_itself(void);
/* Checks that a process was killed. */
void killed(int status);
/* A process that leaves two events. */
void leave_two(void);

/* Uuids in memory that processes share. */
typedef char uuid_text[PHC_UUID_SIZE];
uuid_text *shared_uuids(size_t n);
void capture_uuids(phc_client *client, const char *event, uuid_text *uuids, size_t n);

/* The server responds again: the next client takes n events over, and delivers them with one of its own. In all the
 * server has so many events then (one that was sent again after it was stored would break a rule), and nothing is left
 * in the folder. */
void next_delivers(uint64_t n, long long in_all);
/* At the end of a test in which this rule may be broken: all others hold. */
void only_this_rule_is_broken(const char *rule);

#endif
