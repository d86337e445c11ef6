/* Pending events on disk: what a host asks for, what cannot be sent any more, and folders and disks that cannot be used. */
#include "spooling.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- what a host asks for */

static void persist_returns_what_is_true(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_persist(client, 1000), PHC_SPOOL);
    CHECK_HAS(phc_last_error(), "set spool_dir");
    finish(client);
    folder = new_folder();
    client = SPOOLING("exit", NULL);
    /* There is nothing to write. */
    CHECK_EQ(phc_persist(client, 0), PHC_OK);
    capture_n(client, 5);
    CHECK_EQ(stats_of(client).spooled, 0);
    CHECK_EQ(phc_persist(client, PHC_NO_LIMIT), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 5);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    /* Without time it does not wait for a disk that takes milliseconds. */
    phc_status status = PHC_OK;
    for (int i = 0; i < 1000 && status == PHC_OK; i++) {
        capture(client, "a");
        status = phc_persist(client, 0);
    }
    CHECK_EQ(status, PHC_TIMEOUT);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, stats_of(client).captured);
    CHECK_EQ(phc_client_close(client, 20000), PHC_OK);
    CHECK_EQ(phc_persist(client, 20000), PHC_CLOSED);
    CHECK_EQ(phc_spool_discard(client, 20000, NULL), PHC_CLOSED);
    finish(client);
    client = SPOOLING("crash", "test_mode", "true", NULL);
    CHECK_EQ(phc_persist(client, 0), PHC_SPOOL);
    finish(client);
}

static uuid_text *left_uuids;

static void leave_these(void) {
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_uuids(client, "left", left_uuids, 5);
    finish(client);
}

static void a_discard_ends_everything_that_is_pending(void) {
    folder = new_folder();
    script(DOWN);
    left_uuids = shared_uuids(5);
    phc_client *neighbour = SPOOLING("crash", NULL);
    capture_n(neighbour, 2);
    AWAIT(neighbour, spooled, 2);
    CHECK_EQ(in_process(leave_these), 0);
    phc_client *client =
        SPOOLING("exit", "flush_at", "4", "max_batch_events", "4", "reports", "losses", NULL);
    uuid_text own[6];
    capture_uuids(client, "own", own, 4);
    wait_for("requests=4");
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    capture_uuids(client, "own", own + 4, 2);
    CHECK_EQ(segments(), 3);
    uint64_t discarded = 0;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 11);
    /* That of the neighbour, which lives. */
    CHECK_EQ(segments(), 1);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.recovered, 5);
    CHECK_EQ(stats.lost, 11);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_DISCARDED], 11);
    CHECK_EQ(stats.pending_events, 0);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"discarded\""), 11);
    for (int i = 0; i < 6; i++) CHECK_HAS(reports, own[i]);
    for (int i = 0; i < 5; i++) CHECK_HAS(reports, left_uuids[i]);
    free(reports);
    respond_now();
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 0);
    capture(client, "afterwards");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flush(neighbour, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(neighbour).delivered, 2);
    CHECK_EQ(phc_client_close(client, 20000), PHC_LOST_EVENTS);
    finish(client);
    finish(neighbour);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 3);
    munmap(left_uuids, 5 * sizeof(uuid_text));
}

static void what_is_captured_during_a_discard_is_written(void) {
    const char *levels[] = {"exit", "crash", "call"};
    for (size_t i = 0; i < 3; i++) {
        folder = new_folder();
        phc_client *client = SPOOLING(levels[i], NULL);
        int missing = 0;
        for (int round = 0; round < 50; round++) {
            capture_n(client, 2);
            if (round % 3 == 0) CHECK_EQ(phc_persist(client, 20000), PHC_OK);
            phc_status status = phc_spool_discard(client, 0, NULL);
            CHECK(status == PHC_OK || status == PHC_TIMEOUT);
            capture_n(client, 3);
            CHECK_EQ(phc_persist(client, 20000), PHC_OK);
            phc_stats stats = stats_of(client);
            CHECK_EQ(stats.pending_events, 3);
            missing += (int)(stats.pending_events - stats.spooled);
            uint64_t discarded = 0;
            CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
            CHECK_EQ(discarded, 3);
        }
        CHECK_EQ(missing, 0);
        /* At `call` there may be a file for the next events. */
        CHECK(segments() <= (i == 2));
        finish(client);
        CHECK_EQ(segments(), 0);
    }
    CHECK_EQ(summary("requests"), 0);
}

static void a_discard_needs_no_capture_before(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_two), 0);
    phc_client *client = SPOOLING("crash", NULL);
    uint64_t discarded = 0;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 2);
    CHECK_EQ(segments(), 0);
    finish(client);
    CHECK_EQ(summary("requests"), 0);
}

static void a_discard_counts_also_what_has_ended_when_it_fails(void) {
    /* The number is there also where the files are not removed: without time it does not wait for that. */
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", NULL);
    phc_status status = PHC_OK;
    uint64_t discarded, lost = 0;
    for (int i = 0; i < 1000 && status == PHC_OK; i++) {
        capture_n(client, 3);
        discarded = 77;
        status = phc_spool_discard(client, 0, &discarded);
        CHECK_EQ(discarded, 3);
        lost += 3;
    }
    CHECK_EQ(status, PHC_TIMEOUT);
    CHECK_EQ(stats_of(client).lost_by_reason[PHC_LOSS_DISCARDED], lost);
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 0);
    CHECK_EQ(phc_client_close(client, 20000), PHC_LOST_EVENTS);
    discarded = 77;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_CLOSED);
    CHECK_EQ(discarded, 0);
    finish(client);
    /* A file is where the folder was. */
    client = SPOOLING("crash", NULL);
    char command[200];
    snprintf(command, sizeof command, "rm -r '%s' && touch '%s'", folder, folder);
    CHECK_EQ(system(command), 0);
    capture_n(client, 4);
    discarded = 77;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_SPOOL);
    CHECK_HAS(phc_last_error(), "did not remove everything");
    CHECK_EQ(discarded, 4);
    finish(client);
    /* Without a spool there is nothing to discard. */
    client = make_client(NULL, NULL);
    capture(client, "a");
    discarded = 77;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_SPOOL);
    CHECK_EQ(discarded, 0);
    finish(client);
}

/* -- what cannot be sent any more */

static void what_is_too_old_is_lost_and_reported(void) {
    folder = new_folder();
    left_uuids = shared_uuids(5);
    CHECK_EQ(in_process(leave_these), 0);
    /* A client looks two seconds after its first capture. */
    phc_client *client = SPOOLING("crash", "spool_max_age_ms", "1000", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 5);
    AWAIT(client, lost, 5);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_EXPIRED], 5);
    CHECK_EQ(stats.delivered, 1);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"expired\""), 5);
    for (int i = 0; i < 5; i++) CHECK_HAS(reports, left_uuids[i]);
    free(reports);
    CHECK_EQ(phc_client_close(client, 20000), PHC_LOST_EVENTS);
    finish(client);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 1);
    munmap(left_uuids, 5 * sizeof(uuid_text));
}

static const char *wanted_text;
static int damage_one(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)where;
    if (kind != FTW_F || strstr(path, ".phs") == NULL) return 0;
    int fd = open(path, O_RDWR);
    char *bytes = malloc((size_t)stat->st_size);
    CHECK_EQ(read(fd, bytes, (size_t)stat->st_size), stat->st_size);
    char *at = memmem(bytes, (size_t)stat->st_size, wanted_text, strlen(wanted_text));
    CHECK(at != NULL);
    if (at != NULL) CHECK_EQ(pwrite(fd, "?", 1, at - bytes), 1);
    free(bytes);
    close(fd);
    return 0;
}

static void a_damaged_event_costs_no_other(void) {
    folder = new_folder();
    left_uuids = shared_uuids(5);
    CHECK_EQ(in_process(leave_these), 0);
    wanted_text = "{\"n\":2}";
    nftw(folder, damage_one, 16, FTW_PHYS);
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 5);
    AWAIT(client, delivered, 4);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 5);
    CHECK_EQ(stats.lost, 1);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_CORRUPT], 1);
    char *reports = reports_of(client), *accepted = sink_get("_accepted");
    CHECK_HAS(reports, "\"missed_events\":1");
    for (int i = 0; i < 5; i++) CHECK_EQ(strstr(accepted, left_uuids[i]) == NULL, i == 2);
    free(reports);
    free(accepted);
    finish(client);
    CHECK_EQ(segments(), 0);
    munmap(left_uuids, 5 * sizeof(uuid_text));
}

/* -- folders and disks that cannot be used */

static void write_file(const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static int entries_of(const char *path) {
    int found = 0;
    DIR *list = opendir(path);
    if (list == NULL) return -1;
    for (struct dirent *one; (one = readdir(list)) != NULL;) found += one->d_name[0] != '.';
    closedir(list);
    return found;
}

/* No client is made with this folder, and the error has both texts. */
static void check_refused_folder(const char *path, const char *why, const char *more) {
    phc_config *config = phc_config_new("phc_blackbox_key");
    phc_config_set(config, "host", namespace_host());
    CHECK_EQ(phc_config_set(config, "spool_dir", path), PHC_OK);
    phc_status status = PHC_OK;
    phc_client *client = phc_client_new(config, &status);
    check_at(client == NULL, __FILE__, __LINE__, "%s is accepted, and should not be: %s", path, why);
    CHECK_EQ(status, PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "spool_dir");
    CHECK_HAS(phc_last_error(), path);
    CHECK_HAS(phc_last_error(), why);
    CHECK_HAS(phc_last_error(), more);
    phc_client_free(client);
    phc_config_free(config);
}

static void a_folder_that_is_not_ours_is_refused(void) {
    /* Somebody's files. */
    folder = new_folder();
    write_file("notes.txt", "mine");
    check_refused_folder(folder, "notes.txt", "name a folder that is empty or new");
    CHECK_EQ(entries_of(folder), 1);
    /* Another program's marker. */
    folder = new_folder();
    write_file("phc-spool", "phc-spool 2\n");
    check_refused_folder(folder, "phc-spool", "version");
    CHECK_EQ(entries_of(folder), 1);
    /* A link, which someone may have prepared in /tmp, to a folder that would do. */
    folder = new_folder();
    char link[200], target[200], file[200], missing[200];
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    CHECK_EQ(mkdir(target, 0700), 0);
    CHECK_EQ(symlink(target, link), 0);
    check_refused_folder(link, "link", "");
    CHECK_EQ(entries_of(target), 0);
    /* Not a folder, or none that could be made. */
    write_file("file", "");
    snprintf(file, sizeof file, "%s/file", folder);
    check_refused_folder(file, "Not a directory", "");
    snprintf(missing, sizeof missing, "%s/missing/spool", folder);
    check_refused_folder(missing, "No such file or directory", "");
    /* A folder in which others may put things. */
    const mode_t modes[] = {0770, 0702, 0777, 01777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_EQ(chmod(target, modes[i]), 0);
        check_refused_folder(target, "others may write to it", "name a new folder inside of it");
        CHECK_EQ(entries_of(target), 0);
    }
    CHECK_EQ(chmod(target, 0700), 0);
    if (geteuid() == 0) {
        CHECK_EQ(chown(target, 65534, 65534), 0);
        check_refused_folder(target, "it belongs to user 65534", "user 0");
        CHECK_EQ(entries_of(target), 0);
    } else {
        check_refused_folder("/", "it belongs to user 0", "");
    }
}

static void a_new_folder_is_made_for_this_user_alone(void) {
    folder = new_folder();
    char path[200];
    snprintf(path, sizeof path, "%s/new", folder);
    mode_t before = umask(0);
    phc_client *client = make_client("spool_dir", path, "shutdown_timeout_ms", "0", NULL);
    capture(client, "a");
    AWAIT(client, spooled, 1);
    umask(before);
    struct stat made;
    CHECK_EQ(stat(path, &made), 0);
    CHECK_EQ(made.st_mode & 07777, 0700);
    finish(client);
    CHECK_EQ(segments(), 1);
}

/* What a host names before it becomes a daemon, whose folder is another one. */
static void leave_in_a_relative_folder(void) {
    CHECK_EQ(chdir(folder), 0);
    phc_client *client = make_client("spool_dir", "relative", "shutdown_timeout_ms", "0", NULL);
    CHECK_EQ(mkdir("elsewhere", 0700), 0);
    CHECK_EQ(chdir("elsewhere"), 0);
    capture_n(client, 2);
    finish(client);
    CHECK_EQ(entries_of("."), 0);
}

static void a_relative_folder_stays_where_it_was_named(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_in_a_relative_folder), 0);
    char path[200];
    snprintf(path, sizeof path, "%s/relative", folder);
    folder = path;
    CHECK_EQ(segments(), 1);
    next_delivers(2, 3);
}

static int warnings, recoveries;
static const char *warning_text;
static void note_disk(phc_log_level level, const char *line, void *user_data) {
    (void)user_data;
    if (level == PHC_LOG_WARNING && strstr(line, "in memory only") != NULL &&
        strstr(line, warning_text) != NULL)
        add_to(&warnings, 1);
    if (strstr(line, "the spool works again") != NULL) add_to(&recoveries, 1);
}

static void a_disk_without_free_space_is_said_once_and_loses_nothing(void) {
    folder = new_folder();
    script(DOWN);
    warnings = recoveries = 0;
    warning_text = "spool_min_free_bytes";
    phc_client *client = SPOOLING("crash", "spool_min_free_bytes", "1099511627776", "flush_at", "5", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    capture_n(client, 10);
    CHECK_EQ(reaches(&warnings, 1), 1);
    CHECK_EQ(phc_persist(client, 20000), PHC_SPOOL);
    CHECK_HAS(phc_last_error(), "still in memory");
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.spooled, 0);
    CHECK_EQ(stats.pending_events, 10);
    CHECK_EQ(segments(), 0);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 10);
    CHECK_EQ(warnings, 1);
    finish(client);
}

/* At `call` a disk that takes nothing holds up no capture. */
static void captures_do_not_wait_for_a_disk_that_takes_nothing(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("call", "spool_min_free_bytes", "1099511627776", NULL);
    moment begun = begin();
    capture_n(client, 100);
    /* Each would wait a second. */
    CHECK(ms_had_since(begun) < SOON_MS);
    CHECK_EQ(stats_of(client).pending_events, 100);
    CHECK_EQ(phc_client_close(client, 100), PHC_LOST_EVENTS);
    CHECK_EQ(stats_of(client).lost_by_reason[PHC_LOSS_CLOSED], 100);
    finish(client);
}

static void without_descriptors_events_stay_in_memory(void) {
    folder = new_folder();
    warnings = recoveries = 0;
    warning_text = strerror(EMFILE);
    phc_client *client = SPOOLING("crash", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    capture(client, "a");
    AWAIT(client, spooled, 1);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    await_segments(0);
    struct rlimit before, few;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    few = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    close(next);
    next = open("/dev/null", O_RDONLY); /* the last one */
    capture_n(client, 5);
    phc_status status = phc_persist(client, 20000);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(next);
    CHECK_EQ(status, PHC_SPOOL);
    CHECK_EQ(reaches(&warnings, 1), 1);
    CHECK_EQ(stats_of(client).pending_events, 5);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 5);
    CHECK_EQ(reaches(&recoveries, 1), 1);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 6);
    finish(client);
}

static void fill_the_disk(void) {
    warnings = recoveries = 0;
    warning_text = "";
    phc_client *client =
        SPOOLING("crash", "spool_min_free_bytes", "0", "flush_at", "10", "max_batch_events", "10", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    char properties[2048] = "{\"a\":\"";
    memset(properties + 6, 'x', 2000);
    strcpy(properties + 2006, "\"}");
    for (int i = 0; i < 1000; i++) CHECK_EQ(phc_capture(client, "user", "large", properties), PHC_OK);
    CHECK_EQ(reaches(&warnings, 1), 1);
    CHECK_EQ(phc_persist(client, 20000), PHC_SPOOL);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost, 0);
    CHECK_EQ(stats.pending_events, 1000);
    CHECK(stats.spooled < 1000);
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    await_segments(0);
    /* There is space again. */
    capture_n(client, 3);
    AWAIT(client, spooled, 3);
    CHECK_EQ(reaches(&recoveries, 1), 1);
    CHECK_EQ(warnings, 1);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 3);
    finish(client);
    next_delivers(3, 1004);
}

static void on_a_small_disk(void) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=1m,mode=700") != 0) {
        printf("NOT RUN: a disk of its own: %s; this test needs root\n", strerror(errno));
        return;
    }
    fill_the_disk();
}

static void a_full_disk_loses_nothing_and_recovers(void) {
    folder = new_folder();
    script(DOWN);
    CHECK_EQ(in_process(on_a_small_disk), 0);
    only_this_rule_is_broken(CUT_OFF);
}

static void a_folder_that_goes_away_costs_nothing(void) {
    folder = new_folder();
    script(DOWN);
    warnings = recoveries = 0;
    warning_text = "";
    phc_client *client = SPOOLING("crash", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
    capture_n(client, 5);
    /* A call looks again at once: the folder is made anew. */
    phc_status status = phc_persist(client, 20000);
    CHECK(status == PHC_OK || status == PHC_SPOOL);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 10);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 10);
    finish(client);
}

static void the_quota_bounds_what_is_on_disk(void) {
    const char *overflows[] = {"drop_newest", "drop_oldest"};
    for (size_t i = 0; i < 2; i++) {
        folder = new_folder();
        script(DOWN);
        sink_post("_clear", "{}");
        warnings = recoveries = 0;
        warning_text = "spool_max_bytes";
        phc_client *client = SPOOLING("crash", "spool_max_bytes", "65536", "overflow", overflows[i],
                                      "flush_at", "10", "max_batch_events", "10", NULL);
        CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
        char properties[2048] = "{\"a\":\"";
        memset(properties + 6, 'x', 2000);
        strcpy(properties + 2006, "\"}");
        for (int n = 0; n < 100; n++) CHECK_EQ(phc_capture(client, "user", "large", properties), PHC_OK);
        CHECK_EQ(reaches(&warnings, 1), 1);
        /* Of what is in memory nothing is lost, whichever process makes room on disk. */
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.lost, 0);
        CHECK(stats.spooled < 40);
        respond_now();
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, 100);
        finish(client);
        CHECK_EQ(segments(), 0);
    }
}

/* -- threads */

static void the_disk_has_a_thread_only_where_there_is_a_spool(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(thread_count("phc-disk"), 0);
    finish(client);
    folder = new_folder();
    client = SPOOLING("crash", NULL);
    CHECK_EQ(thread_count("phc-disk"), 0);
    CHECK_EQ(entries_of(folder), 1);
    capture(client, "a");
    CHECK_EQ(thread_appears("phc-disk"), 1);
    finish(client);
    CHECK_EQ(threads_fall_to(0, "phc-disk"), 0);
    CHECK_EQ(descriptors_of_folder(), 0);
}

/* Whether the number is that of something in the folder. */
static int is_of_the_folder(int descriptor) {
    char path[64], target[4096] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return readlink(path, target, sizeof target - 1) > 0 && strncmp(target, folder, strlen(folder)) == 0;
}

/* Each number that the host closes is the lowest one, which the next file gets. */
static void close_standard_descriptors(void) {
    static const char *const safeties[] = {"call", "crash"};
    for (int i = 0; i < 2; i++) {
        for (int standard = 0; standard < 3; standard++) close(standard);
        phc_client *client = SPOOLING(safeties[i], "flush_at", "10", "retry_initial_ms", "60000",
                                      "retry_max_ms", "60000", "shutdown_timeout_ms", "0", NULL);
        for (unsigned failures = 1; failures <= 3; failures++) {
            capture_n(client, 10);
            AWAIT(client, requests, failures);
        }
        /* After three failures it makes no connections for a minute. */
        usleep(200000);
        await_sleep(thread_id("phc-io"));
        for (int round = 0; round < 200; round++) {
            for (int standard = 0; standard < 3; standard++) {
                if (is_of_the_folder(standard)) _exit(2 + i);
                close(standard);
            }
            for (int j = 0; j < 15; j++)
                if (phc_capture(client, "user", "event", NULL) != PHC_OK) _exit(4);
            usleep(500);
        }
        if (phc_persist(client, 20000) != PHC_OK) _exit(5);
        phc_client_free(client);
    }
}

static void no_file_of_the_spool_is_a_standard_descriptor(void) {
    script(DOWN);
    folder = new_folder();
    CHECK_EQ(in_process(close_standard_descriptors), 0);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(persist_returns_what_is_true),
        TEST(a_discard_ends_everything_that_is_pending),
        TEST(what_is_captured_during_a_discard_is_written),
        TEST(a_discard_needs_no_capture_before),
        TEST(a_discard_counts_also_what_has_ended_when_it_fails),
        TEST(what_is_too_old_is_lost_and_reported),
        TEST(a_damaged_event_costs_no_other),
        TEST(a_folder_that_is_not_ours_is_refused),
        TEST(a_new_folder_is_made_for_this_user_alone),
        TEST(a_relative_folder_stays_where_it_was_named),
        TEST(a_disk_without_free_space_is_said_once_and_loses_nothing),
        TEST(captures_do_not_wait_for_a_disk_that_takes_nothing),
        TEST(without_descriptors_events_stay_in_memory),
        TEST(no_file_of_the_spool_is_a_standard_descriptor),
        TEST(a_full_disk_loses_nothing_and_recovers),
        TEST(a_folder_that_goes_away_costs_nothing),
        TEST(the_quota_bounds_what_is_on_disk),
        TEST(the_disk_has_a_thread_only_where_there_is_a_spool),
    };
    return RUN_TESTS(tests);
}
