/* Exceptions: what is sent of each function, and native stacks with the ids of their images. */
#include "harness.h"

#include <link.h>
#include <phc_binding.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static phc_client *client;

/* AddressSanitizer puts local variables of an instrumented library beside the stack, and by their addresses the library
   knows where its own frames end. They are then sent as well. */
#if defined(__SANITIZE_ADDRESS__)
#define WITH_OWN_FRAMES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_OWN_FRAMES 1
#endif
#endif
#ifndef WITH_OWN_FRAMES
#define WITH_OWN_FRAMES 0
#endif

static void in_test_mode(void) { client = make_client("test_mode", "true", NULL); }

/* The event as it is sent; the exception is consumed. */
static const char *sent(const char *distinct_id, phc_exception *exception, const char *properties) {
    static char text[1 << 20];
    phc_status status = phc_capture_exception(client, distinct_id, exception, properties, NULL);
    check_at(status == PHC_OK, __FILE__, __LINE__, "the capture returned %s: %s", phc_status_name(status),
             phc_last_error());
    size_t size = phc_binding_next_test_event(client, text, sizeof text);
    CHECK(size > 0 && size < sizeof text);
    return text;
}

static void an_exception_with_a_cause(void) {
    in_test_mode();
    phc_exception *exception = phc_exception_new("save_error", "cannot save \"slot 1\"");
    CHECK_EQ(phc_exception_set(exception, "level", "fatal"), PHC_OK);
    CHECK_EQ(phc_exception_set(exception, "handled", "false"), PHC_OK);
    CHECK_EQ(phc_exception_add_frame(exception, "save", "src/save.cpp", 42, 1), PHC_OK);
    CHECK_EQ(phc_exception_add_frame(exception, "main", NULL, 0, 0), PHC_OK);
    CHECK_EQ(phc_exception_add_cause(exception, "io_error", NULL, NULL), PHC_OK);
    CHECK_EQ(phc_exception_add_frame_json(exception, "{\"platform\":\"ruby\",\"lineno\":7}#", 30), PHC_OK);
    const char *text = sent("user", exception, "{\"level\":3,\"$exception_handled\":true}");
    CHECK_HAS(text, "\"event\":\"$exception\"");
    CHECK_HAS(text, "\"distinct_id\":\"user\"");
    CHECK_HAS(
        text,
        "\"properties\":{\"level\":3,\"$exception_level\":\"fatal\",\"$exception_list\":["
        "{\"type\":\"save_error\",\"value\":\"cannot save \\\"slot 1\\\"\","
        "\"mechanism\":{\"type\":\"generic\",\"handled\":false,\"exception_id\":0},"
        "\"stacktrace\":{\"type\":\"raw\",\"frames\":["
        "{\"platform\":\"custom\",\"lang\":\"c\",\"function\":\"main\",\"in_app\":false,\"resolved\":true},"
        "{\"platform\":\"custom\",\"lang\":\"cpp\",\"function\":\"save\",\"filename\":\"src/save.cpp\","
        "\"lineno\":42,\"in_app\":true,\"resolved\":true}]}},"
        "{\"type\":\"io_error\",\"value\":\"\","
        "\"mechanism\":{\"type\":\"chained\",\"handled\":false,\"exception_id\":1,\"source\":\"cause\",\"parent_id\":0},"
        "\"stacktrace\":{\"type\":\"raw\",\"frames\":[{\"platform\":\"ruby\",\"lineno\":7}]}}]}");
    finish(client);
}

static void without_an_id_no_person_is_made(void) {
    in_test_mode();
    char first[37], second[37];
    const char *const marker = "\"distinct_id\":\"";
    const char *ids[] = {NULL, ""};
    for (int i = 0; i < 2; i++) {
        const char *text = sent(ids[i], phc_exception_new("Error", "message"), NULL);
        CHECK_HAS(text, "\"process_person_profile\":false");
        const char *id = strstr(text, marker);
        CHECK(id != NULL);
        snprintf(i ? second : first, 37, "%s", id ? id + strlen(marker) : "");
    }
    CHECK_EQ(strlen(first), 36);
    CHECK(strcmp(first, second) != 0);
    finish(client);
}

static void bad_arguments_are_refused_with_words(void) {
    in_test_mode();
    phc_exception *exception = phc_exception_new("Error", "message");
    CHECK_EQ(phc_exception_set(exception, "levle", "error"), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "did you mean \"level\"?");
    CHECK_EQ(phc_exception_set(exception, "level", "loud"), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "expected fatal, error, warning, log, info, debug");
    CHECK_EQ(phc_exception_add_frame_json(exception, "{\"function\":\"f\"}", 16), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "`platform` is missing");
    CHECK_EQ(phc_exception_add_frame_json(exception, "{\"platform\":", 12), PHC_INVALID_JSON);
    CHECK_EQ(phc_capture_exception(client, "user", exception, "{\"a\":", NULL), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "properties");
    /* Each refused capture is counted, whatever refused it. */
    CHECK_EQ(phc_capture_exception(client, "user", NULL, NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(stats_of(client).captured, 0);
    CHECK_EQ(stats_of(client).refused, 2);
    finish(client);
}

static void a_uuid_is_written_and_the_event_arrives(void) {
    phc_client *sending = make_client(NULL, NULL);
    char uuid[PHC_UUID_SIZE];
    phc_exception *exception = phc_exception_new("Error", "it arrives");
    CHECK_EQ(phc_exception_add_stack(exception, 0), PHC_OK);
    CHECK_EQ(phc_capture_exception(sending, NULL, exception, NULL, uuid), PHC_OK);
    CHECK_EQ(phc_flush(sending, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(sending).delivered, 1);
    char *events = sink_get("_events");
    CHECK_HAS(events, uuid);
    CHECK_HAS(events, "it arrives");
    free(events);
    finish(sending);
}

/* Not inlined, and no tail calls: each has a frame of its own. */
__attribute__((noinline)) static void level_3(phc_exception *exception, unsigned skip) {
    CHECK_EQ(phc_exception_add_stack(exception, skip), PHC_OK);
    __asm__ volatile("");
}
__attribute__((noinline)) static void level_2(phc_exception *exception, unsigned skip) {
    level_3(exception, skip);
    __asm__ volatile("");
}

typedef void (*level)(phc_exception *, unsigned);

static int is_in(const char *frame, level function) {
    const char *at = strstr(frame, "\"instruction_addr\":\"0x");
    unsigned long long address = at ? strtoull(at + 22, NULL, 16) : 0,
                       start = (unsigned long long)(size_t)function;
    return address > start && address < start + 400;
}

/* The innermost frame, which is sent last, is in this function. */
static void check_innermost(const char *text, level function) {
    const char *innermost = "", *end = strstr(text, "}]}}]"); /* of the frames */
    int found = 0;
    for (const char *at = text; (at = strstr(at, "{\"platform\":\"native\"")) && (!end || at < end); at++) {
        innermost = at;
        found |= is_in(at, function);
    }
    if (!WITH_OWN_FRAMES) found = is_in(innermost, function);
    check_at(found, __FILE__, __LINE__, "it is not in %p: %.300s", (void *)(size_t)function, innermost);
}

typedef struct {
    char build_id[129];
    size_t start;
} program;

static int read_program(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    program *found = data;
    size_t lowest = (size_t)-1;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && header->p_vaddr < lowest) lowest = header->p_vaddr;
        if (header->p_type != PT_NOTE) continue;
        const unsigned char *note = (const unsigned char *)(info->dlpi_addr + header->p_vaddr);
        const unsigned char *end = note + header->p_memsz;
        while (note + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *head = (const ElfW(Nhdr) *)note;
            const unsigned char *name = note + sizeof *head, *content = name + ((head->n_namesz + 3) & ~3u);
            if (head->n_type == NT_GNU_BUILD_ID && memcmp(name, "GNU", 4) == 0)
                for (unsigned j = 0; j < head->n_descsz && j < 64; j++)
                    sprintf(found->build_id + 2 * j, "%02x", content[j]);
            note = content + ((head->n_descsz + 3) & ~3u);
        }
    }
    found->start = info->dlpi_addr + lowest;
    return 1; /* the program comes first */
}

static void a_stack_begins_at_the_caller_and_names_its_image(void) {
    in_test_mode();
    phc_exception *exception = phc_exception_new("Error", "message");
    level_2(exception, 0);
    const char *text = sent("user", exception, NULL);
    check_innermost(text, level_3);
    CHECK_HAS(text, "\"in_app\":true");
    exception = phc_exception_new("Error", "message");
    level_2(exception, 1);
    check_innermost(sent("user", exception, NULL), level_2);

    program own = {0};
    dl_iterate_phdr(read_program, &own);
    char expected[256];
    snprintf(expected, sizeof expected, "\"image_addr\":\"0x%zx\"", own.start);
    CHECK_HAS(text, expected);
    snprintf(expected, sizeof expected, "\"code_id\":\"%s\",\"image_addr\":\"0x%zx\"", own.build_id,
             own.start);
    /* A program that was linked without a build id has no image. */
    check_at((strstr(text, expected) != NULL) == (own.build_id[0] != '\0'), __FILE__, __LINE__, "%s: %s",
             expected, text);
    finish(client);
}

static void addresses_of_nothing_are_sent_as_they_are(void) {
    in_test_mode();
    phc_exception *exception = phc_exception_new("Error", "message");
    CHECK_EQ(phc_exception_add_address(exception, NULL), PHC_OK);
    CHECK_EQ(phc_exception_add_address(exception, (const void *)(size_t)-1), PHC_OK);
    const char *text = sent("user", exception, NULL);
    CHECK_HAS(text, "\"frames\":[{\"platform\":\"native\",\"instruction_addr\":\"0xffffffffffffffff\"},"
                    "{\"platform\":\"native\",\"instruction_addr\":\"0x0\"}]");
    CHECK(strstr(text, "$debug_images") == NULL);
    finish(client);
}

static void more_than_fits_is_left_out(void) {
    in_test_mode();
    enum { LONG = 100000 };
    char *text = malloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    phc_exception *exception = phc_exception_new(text, text);
    for (int cause = 0; cause < 200; cause++) {
        for (int frame = 0; frame < 100; frame++)
            CHECK_EQ(phc_exception_add_frame(exception, "function", "file.c", 1, 1), PHC_OK);
        CHECK_EQ(phc_exception_add_cause(exception, text, text, text), PHC_OK);
    }
    const char *event = sent("user", exception, NULL);
    CHECK(strlen(event) < 900 * 1024);
    /* The server takes no entry without a type. */
    CHECK(strstr(event, "\"exception_id\":5") != NULL && strstr(event, "\"exception_id\":49") == NULL);
    CHECK(strstr(event, "\"type\":\"\"") == NULL);
    free(text);
    exception = phc_exception_new("type", NULL);
    for (int cause = 1; cause < 200; cause++) {
        CHECK_EQ(phc_exception_add_cause(exception, "type", NULL, NULL), PHC_OK);
        char function[20];
        snprintf(function, sizeof function, "f%d", cause);
        CHECK_EQ(phc_exception_add_frame(exception, function, "file.c", 1, 1), PHC_OK);
    }
    event = sent("user", exception, NULL);
    CHECK(strstr(event, "\"exception_id\":49") != NULL && strstr(event, "\"exception_id\":50") == NULL);
    /* Frames of causes that were left out do not become those of another. */
    CHECK(strstr(event, "\"f49\"") != NULL && strstr(event, "\"f50\"") == NULL);
    finish(client);
}

static int begun[2], let_go[2];

/* glibc holds the lock of its list meanwhile. */
static int while_one_file_is_looked_at(struct dl_phdr_info *info, size_t size, void *data) {
    (void)info, (void)size, (void)data;
    char byte;
    CHECK_EQ(write(begun[1], "x", 1), 1);
    CHECK_EQ(read(let_go[0], &byte, 1), 1);
    return 1;
}

static void *list_files(void *unused) {
    dl_iterate_phdr(while_one_file_is_looked_at, NULL);
    return unused;
}

/* The lock of the list stays locked in the child, for ever. */
static void a_child_that_was_forked_while_files_were_listed_goes_on(void) {
    in_test_mode();
    char byte;
    pthread_t lister;
    CHECK(pipe(begun) == 0 && pipe(let_go) == 0);
    CHECK_EQ(pthread_create(&lister, NULL, list_files, NULL), 0);
    CHECK_EQ(read(begun[0], &byte, 1), 1);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        phc_exception *exception = phc_exception_new("Error", "in a child");
        int failed = phc_exception_add_stack(exception, 0) != PHC_OK;
        failed |= phc_exception_add_address(exception, (const void *)(size_t)list_files) != PHC_OK;
        failed |= phc_capture_exception(client, "user", exception, NULL, NULL) != PHC_OK;
        /* What it has inherited is a leak to valgrind, if it ends by itself. */
        if (!failed) kill(getpid(), SIGKILL);
        _exit(failed);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_EQ(write(let_go[1], "x", 1), 1);
    pthread_join(lister, NULL);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_exception_with_a_cause),
        TEST(without_an_id_no_person_is_made),
        TEST(bad_arguments_are_refused_with_words),
        TEST(a_uuid_is_written_and_the_event_arrives),
        TEST(a_stack_begins_at_the_caller_and_names_its_image),
        TEST(addresses_of_nothing_are_sent_as_they_are),
        TEST(more_than_fits_is_left_out),
        TEST(a_child_that_was_forked_while_files_were_listed_goes_on),
    };
    return RUN_TESTS(tests);
}
