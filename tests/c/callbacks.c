/*
 * How callbacks are set, replaced and freed, and on which threads they run. What the reports in
 * them contain is in reports.c; what may be called from inside them in reentrancy.c.
 */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct probe probe;

/* Each kind of callback, and an event after which it is called. */
typedef struct {
    const char *name, *event;
    phc_status (*set)(phc_client *client, probe *own);
    phc_status (*remove)(phc_client *client, probe *unused);
    int on_own_thread; /* not that of the capture */
} kind;

/* The user data of a callback: what it is to do, and what became of it. */
struct probe {
    void (*act)(probe *own);
    /* For act: a callback that it sets. */
    const kind *it;
    phc_client *client;
    probe *replacement;
    pthread_t thread;
    char thread_name[16];
    int calls, left, leave, freed;
};

static void called(probe *own) {
    CHECK_EQ(own->freed, 0);
    own->thread = pthread_self();
    pthread_getname_np(own->thread, own->thread_name, sizeof own->thread_name);
    add_to(&own->calls, 1);
    if (own->act != NULL) own->act(own);
    add_to(&own->left, 1);
}

static void free_probe(void *user_data) { add_to(&((probe *)user_data)->freed, 1); }

static void on_report(const phc_report *report, void *user_data) {
    CHECK(phc_report_event_count(report) > 0);
    called(user_data);
}

static void on_log(phc_log_level level, const char *message, void *user_data) {
    CHECK(level >= PHC_LOG_ERROR && level <= PHC_LOG_DEBUG && message[0] != '\0');
    called(user_data);
}

static int32_t before_send(phc_outgoing *event, void *user_data) {
    CHECK(phc_outgoing_json(event, NULL)[0] == '{');
    called(user_data);
    return PHC_BEFORE_SEND_KEEP;
}

static phc_status set_error(phc_client *client, probe *own) {
    return phc_set_error_callback(client, on_report, own, free_probe);
}
static phc_status set_delivery(phc_client *client, probe *own) {
    return phc_set_delivery_callback(client, on_report, own, free_probe);
}
static phc_status set_log(phc_client *client, probe *own) {
    return phc_set_log_callback(client, on_log, own, free_probe);
}
static phc_status set_before_send(phc_client *client, probe *own) {
    return phc_set_before_send_callback(client, before_send, own, free_probe);
}

/* These remove it, with user data that is not used. */
static phc_status remove_error(phc_client *client, probe *unused) {
    return phc_set_error_callback(client, NULL, unused, free_probe);
}
static phc_status remove_delivery(phc_client *client, probe *unused) {
    return phc_set_delivery_callback(client, NULL, unused, free_probe);
}
static phc_status remove_log(phc_client *client, probe *unused) {
    return phc_set_log_callback(client, NULL, unused, free_probe);
}
static phc_status remove_before_send(phc_client *client, probe *unused) {
    return phc_set_before_send_callback(client, NULL, unused, free_probe);
}

enum { ERROR, DELIVERY, LOG, BEFORE_SEND, KINDS };
static const kind KIND[KINDS] = {
    [ERROR] = {"error", "lost", set_error, remove_error, 1},
    [DELIVERY] = {"delivery", "delivered", set_delivery, remove_delivery, 1},
    [LOG] = {"log", "delivered", set_log, remove_log, 1},
    [BEFORE_SEND] = {"before_send", "delivered", set_before_send, remove_before_send, 0},
};
#define SCRIPT "{\"then\":{\"verdicts\":{\"lost\":\"drop\",\"*\":\"ok\"}}}"

static phc_client *client_for_all_kinds(void) {
    script(SCRIPT);
    /* The log has a line for every attempt. */
    return make_client("reports", "losses", "flush_at", "1", "log_level", "debug", NULL);
}

static void *capture_event(void *argument) {
    void **both = argument;
    capture(both[0], both[1]);
    free(both);
    return NULL;
}

/* Has the callback called. On a thread of its own, for before_send runs on it. */
static pthread_t fire(const kind *it, phc_client *client) {
    void **both = malloc(2 * sizeof *both);
    both[0] = client;
    both[1] = (void *)(uintptr_t)it->event;
    pthread_t thread;
    pthread_create(&thread, NULL, capture_event, both);
    return thread;
}

/* The event that is lost may be lost before the flush begins. */
static void settle(phc_client *client) {
    phc_status status = phc_flush(client, 20000, NULL, 0);
    CHECK(status == PHC_OK || status == PHC_LOST_EVENTS);
}

static void fire_and_settle(const kind *it, phc_client *client) {
    pthread_join(fire(it, client), NULL);
    settle(client);
}

static void callbacks_run_on_a_thread_of_their_own(void) {
    phc_client *client = client_for_all_kinds();
    probe own[KINDS];
    memset(own, 0, sizeof own);
    for (int k = 0; k < KINDS; k++) CHECK_EQ(KIND[k].set(client, &own[k]), PHC_OK);
    CHECK_EQ(thread_count("phc-callback"), 0);
    capture(client, "lost");
    CHECK_EQ(thread_appears("phc-callback"), 1);
    capture(client, "delivered");
    settle(client);
    for (int k = 0; k < KINDS; k++) {
        reaches(&own[k].left, 1);
        CHECK_EQ(pthread_equal(own[k].thread, pthread_self()) == 0, KIND[k].on_own_thread);
        CHECK_EQ(pthread_equal(own[k].thread, own[ERROR].thread) != 0, KIND[k].on_own_thread);
        CHECK_EQ(strcmp(own[k].thread_name, "phc-callback") == 0, KIND[k].on_own_thread);
    }
    /* It stays when there is nothing left to call. */
    for (int k = 0; k < KINDS; k++) CHECK_EQ(KIND[k].remove(client, NULL), PHC_OK);
    CHECK_EQ(thread_count("phc-callback"), 1);
    finish(client);
    CHECK_EQ(thread_count("phc-"), 0);
}

static void stay(probe *own) { CHECK_EQ(reaches(&own->leave, 1), 1); }

/* A call of a setter on a thread of its own. */
typedef struct {
    const kind *it;
    phc_client *client;
    probe *old, *new;
    int thread, returned;
} setting;

static void *set_and_check(void *argument) {
    setting *own = argument;
    __atomic_store_n(&own->thread, gettid(), __ATOMIC_SEQ_CST);
    phc_status status =
        own->new == NULL ? own->it->remove(own->client, NULL) : own->it->set(own->client, own->new);
    CHECK_EQ(status, PHC_OK);
    /* From here on the user data could be gone. */
    CHECK_EQ(own->old->left, 1);
    CHECK_EQ(own->old->freed, 1);
    add_to(&own->returned, 1);
    return NULL;
}

static void a_replaced_callback_runs_no_more_when_the_setter_returns(void) {
    for (int k = 0; k < 2 * KINDS; k++) {
        const kind *it = &KIND[k / 2];
        phc_client *client = client_for_all_kinds();
        probe old = {.act = stay}, new = {0};
        CHECK_EQ(it->set(client, &old), PHC_OK);
        pthread_t capturer = fire(it, client);
        CHECK_EQ(reaches(&old.calls, 1), 1);
        /* Replaced by another one, or removed. */
        setting call = {.it = it, .client = client, .old = &old, .new = k % 2 ? NULL : &new};
        pthread_t setter;
        pthread_create(&setter, NULL, set_and_check, &call);
        reaches(&call.thread, 1);
        await_sleep(call.thread);
        CHECK_EQ(call.returned, 0);
        CHECK_EQ(old.freed, 0);
        add_to(&old.leave, 1);
        pthread_join(setter, NULL);
        pthread_join(capturer, NULL);
        fire_and_settle(it, client);
        finish(client);
        CHECK_EQ(old.calls, 1);
        CHECK_EQ(old.freed, 1);
        check_at((new.calls > 0) == !(k % 2), __FILE__, __LINE__, "%s: the new callback had %d calls",
                 it->name, new.calls);
        CHECK_EQ(new.freed, !(k % 2));
    }
}

static void replace_itself(probe *own) {
    CHECK_EQ(own->it->set(own->client, own->replacement), PHC_OK);
    CHECK_EQ(own->freed, 0);
}

static void a_callback_may_replace_itself(void) {
    for (int k = 0; k < KINDS; k++) {
        phc_client *client = client_for_all_kinds();
        probe new = {0};
        probe old = {.act = replace_itself, .it = &KIND[k], .client = client, .replacement = &new};
        CHECK_EQ(KIND[k].set(client, &old), PHC_OK);
        fire_and_settle(&KIND[k], client);
        CHECK_EQ(reaches(&old.freed, 1), 1); /* once it has returned */
        fire_and_settle(&KIND[k], client);
        CHECK(reaches(&new.left, 1) >= 1);
        finish(client);
        CHECK_EQ(old.calls, 1);
        CHECK_EQ(old.freed, 1);
        CHECK_EQ(new.freed, 1);
    }
}

static int inside, returned;

static void replace_the_other(probe *own) {
    add_to(&inside, 1);
    CHECK_EQ(reaches(&inside, 2), 2);
    CHECK_EQ(own->it->set(own->client, own->replacement), PHC_OK);
    add_to(&returned, 1);
}

static void callbacks_of_two_clients_may_replace_each_other(void) {
    const int pairs[][2] = {
        {ERROR, ERROR},       {DELIVERY, DELIVERY}, {LOG, LOG},        {BEFORE_SEND, BEFORE_SEND},
        {ERROR, BEFORE_SEND}, {BEFORE_SEND, LOG},   {DELIVERY, ERROR},
    };
    /* Static, since a setter that never returns would go on using them. */
    static probe old[2], new[2];
    for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
        const kind *kinds[2] = {&KIND[pairs[p][0]], &KIND[pairs[p][1]]};
        inside = returned = 0;
        phc_client *clients[2] = {client_for_all_kinds(), client_for_all_kinds()};
        pthread_t capturers[2];
        for (int i = 0; i < 2; i++) {
            new[i] = (probe){0};
            old[i] = (probe){
                .act = replace_the_other, .it = kinds[!i], .client = clients[!i], .replacement = &new[!i]};
            CHECK_EQ(kinds[i]->set(clients[i], &old[i]), PHC_OK);
        }
        for (int i = 0; i < 2; i++) capturers[i] = fire(kinds[i], clients[i]);
        if (reaches(&returned, 2) != 2) {
            check_at(0, __FILE__, __LINE__, "pair %zu: %d of 2 setters have returned", p, returned);
            return; /* the clients cannot be freed */
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(capturers[i], NULL);
            CHECK_EQ(reaches(&old[i].freed, 1), 1);
            fire_and_settle(kinds[i], clients[i]);
        }
        for (int i = 0; i < 2; i++) {
            finish(clients[i]);
            CHECK_EQ(old[i].calls, 1);
            CHECK(new[i].calls >= 1);
            CHECK_EQ(new[i].freed, 1);
        }
    }
}

static int outside;
static void remove_while_another_thread_does(probe *own) {
    CHECK(reaches(&outside, 1) >= 1);
    await_sleep(outside);
    CHECK_EQ(own->it->remove(own->client, NULL), PHC_OK);
}

static void a_callback_may_be_replaced_from_inside_and_outside_at_once(void) {
    for (int k = 0; k < KINDS; k++) {
        phc_client *client = client_for_all_kinds();
        probe own = {.act = remove_while_another_thread_does, .it = &KIND[k], .client = client};
        outside = 0;
        CHECK_EQ(KIND[k].set(client, &own), PHC_OK);
        pthread_t capturer = fire(&KIND[k], client);
        CHECK_EQ(reaches(&own.calls, 1), 1);
        __atomic_store_n(&outside, gettid(), __ATOMIC_SEQ_CST);
        CHECK_EQ(KIND[k].remove(client, NULL), PHC_OK);
        CHECK_EQ(own.left, 1);
        CHECK_EQ(own.freed, 1);
        pthread_join(capturer, NULL);
        fire_and_settle(&KIND[k], client);
        finish(client);
        CHECK_EQ(own.calls, 1);
        CHECK_EQ(own.freed, 1);
    }
}

static void free_the_client(probe *own) {
    phc_client_free(own->client);
    /* It is freed once the callback has returned; the code that called it may still use it. */
    CHECK_EQ(own->freed, 0);
}

static void a_free_inside_a_callback_happens_after_it(void) {
    for (int k = 0; k < KINDS; k++) {
        phc_client *client = client_for_all_kinds();
        probe own = {.act = free_the_client, .client = client};
        CHECK_EQ(KIND[k].set(client, &own), PHC_OK);
        pthread_join(fire(&KIND[k], client), NULL);
        CHECK_EQ(reaches(&own.freed, 1), 1);
        CHECK_EQ(threads_fall_to(0, "phc-"), 0);
        CHECK_EQ(own.calls, 1);
        CHECK_EQ(own.freed, 1);
    }
}

static void user_data_is_freed_once_however_it_ends(void) {
    for (int k = 0; k < KINDS; k++) {
        phc_client *client = client_for_all_kinds();
        probe replaced = {0}, removed = {0}, last = {0}, never_set = {0}, unused = {0};
        CHECK_EQ(KIND[k].set(client, &replaced), PHC_OK);
        CHECK_EQ(KIND[k].set(client, &removed), PHC_OK);
        CHECK_EQ(replaced.freed, 1);
        CHECK_EQ(removed.freed, 0);
        CHECK_EQ(KIND[k].remove(client, NULL), PHC_OK);
        CHECK_EQ(removed.freed, 1);
        CHECK_EQ(KIND[k].remove(client, &unused), PHC_OK);
        CHECK_EQ(KIND[k].set(client, &last), PHC_OK);
        CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
        CHECK_EQ(last.freed, 0);
        phc_client_free(client);
        CHECK_EQ(KIND[k].set(NULL, &never_set), PHC_INVALID_ARGUMENT);
        CHECK_EQ(replaced.freed + removed.freed + last.freed + never_set.freed, 4);
        CHECK_EQ(unused.freed, 0);
    }
}

static void *free_client(void *argument) {
    setting *own = argument;
    __atomic_store_n(&own->thread, gettid(), __ATOMIC_SEQ_CST);
    phc_client_free(own->client);
    /* From here on nothing of the callback may be used. */
    CHECK_EQ(own->old->freed, 1);
    CHECK_EQ(own->old->left, own->old->calls);
    add_to(&own->returned, 1);
    return NULL;
}

static void a_free_passes_on_what_waits_and_waits_for_the_callback(void) {
    for (int k = 0; k < KINDS; k++) {
        if (!KIND[k].on_own_thread) continue;
        phc_client *client = client_for_all_kinds();
        probe own = {.act = stay};
        CHECK_EQ(KIND[k].set(client, &own), PHC_OK);
        enum { EVENTS = 20 };
        for (int i = 0; i < EVENTS; i++) {
            pthread_join(fire(&KIND[k], client), NULL);
            phc_flush(client, 20000, NULL, 0); /* so that each has a report and a line of its own */
        }
        CHECK_EQ(reaches(&own.calls, 1), 1); /* and the others wait */
        setting call = {.client = client, .old = &own};
        pthread_t freer;
        pthread_create(&freer, NULL, free_client, &call);
        CHECK(reaches(&call.thread, 1) >= 1);
        await_sleep(call.thread);
        CHECK_EQ(call.returned, 0);
        CHECK_EQ(own.freed, 0);
        add_to(&own.leave, 1);
        pthread_join(freer, NULL);
        check_at(own.calls == EVENTS, __FILE__, __LINE__, "%s: %d calls", KIND[k].name, own.calls);
    }
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(callbacks_run_on_a_thread_of_their_own),
        TEST(a_replaced_callback_runs_no_more_when_the_setter_returns),
        TEST(a_callback_may_replace_itself),
        TEST(callbacks_of_two_clients_may_replace_each_other),
        TEST(a_callback_may_be_replaced_from_inside_and_outside_at_once),
        TEST(a_free_inside_a_callback_happens_after_it),
        TEST(user_data_is_freed_once_however_it_ends),
        TEST(a_free_passes_on_what_waits_and_waits_for_the_callback),
    };
    return RUN_TESTS(tests);
}
