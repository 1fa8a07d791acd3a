/* tests/store_crash_test.c - the store when its process is killed, its disk is full, a write fails:
 * what was acknowledged is there (S2), what was refused is not (S3).
 *
 * Writes fail because this program has its own pwrite, writev and fdatasync, which LMDB then calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tests/harness/group.h"
#include "tests/harness/place.h"
#include "tests/harness/saves.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- writes that fail on demand ---- */

enum failure {
    FAIL_NOT,
    FAIL_BEFORE, /* nothing is written */
    FAIL_SHORT,  /* half is written */
    FAIL_AFTER,  /* all is written */
    FAIL_LIE     /* the first is written, the others are not */
};
static struct {
    enum failure how;
    long countdown; /* writes before the first that fails */
    long width;     /* how many fail from there on */
    long seen;      /* writes since it was set */
} fault;

/* What becomes of the write that comes now. */
static enum failure next_failure(void)
{
    long nth = fault.seen++;
    bool hit = nth >= fault.countdown && nth - fault.countdown < fault.width;
    if (!hit) return FAIL_NOT;
    if (fault.how != FAIL_LIE) return fault.how;
    return nth == fault.countdown ? FAIL_AFTER : FAIL_BEFORE;
}

static ssize_t judged(enum failure how, ssize_t written)
{
    if (how == FAIL_NOT || how == FAIL_SHORT) return written;
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    enum failure how = next_failure();
    size_t whole = how == FAIL_SHORT ? bytes / 2 : bytes;
    return judged(how, how == FAIL_BEFORE ? -1 : syscall(SYS_pwrite64, fd, data, whole, offset));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    enum failure how = next_failure();
    int whole = how == FAIL_SHORT ? count / 2 : count;
    if (how == FAIL_SHORT && whole == 0) return 0;
    return judged(how, how == FAIL_BEFORE ? -1 : syscall(SYS_writev, fd, parts, whole));
}

int fdatasync(int fd)
{
    enum failure how = next_failure();
    if (how == FAIL_SHORT) how = FAIL_BEFORE;
    return (int)judged(how, how == FAIL_BEFORE ? -1 : syscall(SYS_fdatasync, fd));
}

static void fail_writes(enum failure how, long countdown, long width)
{
    fault.how = how;
    fault.countdown = countdown;
    fault.width = width;
    fault.seen = 0;
}

static struct failure_row {
    const char *name;
    enum failure how;
    long width;
} failure_rows[] = {
    { "one write fails", FAIL_BEFORE, 1 },
    { "one write is cut short", FAIL_SHORT, 1 },
    { "one write is done but fails", FAIL_AFTER, 1 },
    { "all writes fail from one on", FAIL_BEFORE, 1000000 },
    { "all writes are cut short from one on", FAIL_SHORT, 1000000 },
    { "all writes are done but fail from one on", FAIL_AFTER, 1000000 },
};

/* Fail at the first write of a save, then at the second, ... until it succeeds; many saves. */
static const char *failures_leave_nothing(const struct mode *mode, const struct failure_row *row)
{
    struct place place;
    struct disk_found found;
    struct saves saves;
    place_open(&place, mode);
    saves_open(&saves, 11);
    struct disk disk = place_disk(&place, &found);
    uint64_t refused = 0;
    for (int step = 0; step < 25; step++) {
        for (long nth = 0;; nth++) {
            int why = 0;
            fail_writes(row->how, nth, row->width);
            err_t err = disk.commit(disk.state, saves_next(&saves), &why);
            bool reached = fault.seen > nth;
            fail_writes(FAIL_NOT, 0, 0);
            if (err == ERR_OK) {
                TRY(!reached);
                break;
            }
            refused++;
            TRY(err == ERR_STORAGE && why == EIO);
            const char *difference = saves_differ(&saves, &disk);
            if (difference != NULL) return difference;
        }
        saves_done(&saves);
        const char *difference = saves_differ(&saves, &disk);
        if (difference != NULL) return difference;
        if (step % 10 != 9) continue;
        disk.close(disk.state);
        disk = place_disk(&place, &found);
        TRY(saves_found_differ(&saves, &found) == NULL);
    }
    TRY(refused >= 50);
    disk.close(disk.state);
    saves_close(&saves);
    place_close(&place);
    return NULL;
}

static void failure_row_holds(void **state)
{
    for (size_t i = 0; i < PLACE_MODES; i++) {
        const char *failure = failures_leave_nothing(&place_modes[i], *state);
        if (failure != NULL) fail_msg("%s: %s", place_modes[i].name, failure);
    }
}

/* The worst disk: it takes the page that makes a save valid, says that it did not, and refuses to
 * take it back. Then the store has to stop: whatever it answered could turn out wrong. */
static void lying_disk_stops_the_store(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    struct saves saves;
    int why = 0;
    place_open(&place, &place_modes[0]);
    saves_open(&saves, 5);
    struct disk disk = place_disk(&place, &found);
    place_save(&disk, saves_next(&saves));
    saves_done(&saves);
    disk.close(disk.state);
    disk = place_disk(&place, &found);

    for (long nth = 0;; nth++) {
        fail_writes(FAIL_LIE, nth, 1000000);
        assert_int_equal(disk.commit(disk.state, saves_next(&saves), &why), ERR_STORAGE);
        assert_true(fault.seen > nth);
        fail_writes(FAIL_NOT, 0, 0);
        if (saves_differ(&saves, &disk) != NULL) break;
    }
    assert_int_equal(disk.commit(disk.state, saves_next(&saves), &why), ERR_STORAGE);
    assert_int_equal(why, EIO);
    assert_int_equal(disk.read(disk.state, 1, 1, NULL, NULL), ERR_STORAGE);
    disk.close(disk.state);

    disk = place_disk(&place, &found); /* a crash in the middle of a save may leave all of it */
    saves_done(&saves);
    assert_null(saves_found_differ(&saves, &found));
    assert_null(saves_differ(&saves, &disk));
    disk.close(disk.state);
    saves_close(&saves);
    place_close(&place);
}

/* After a failure LMDB opens its file again: that must be ours, not a new one of that name. */
static void name_of_an_open_file_does_not_matter(void **state)
{
    UNUSED(state);
    struct place place;
    struct disk_found found;
    struct saves saves;
    char path[128];
    int why;
    place_open(&place, &place_modes[0]);
    saves_open(&saves, 6);
    struct disk disk = place_disk(&place, &found);
    for (int i = 0; i < 20; i++) {
        place_save(&disk, saves_next(&saves));
        saves_done(&saves);
    }
    snprintf(path, sizeof(path), "%s/raft.mdb", place.directory);
    assert_int_equal(unlink(path), 0);
    fail_writes(FAIL_BEFORE, 0, 1);
    assert_int_equal(disk.commit(disk.state, saves_next(&saves), &why), ERR_STORAGE);
    fail_writes(FAIL_NOT, 0, 0);
    place_save(&disk, saves_next(&saves));
    saves_done(&saves);
    assert_null(saves_differ(&saves, &disk));
    assert_int_not_equal(access(path, F_OK), 0);
    disk.close(disk.state);
    saves_close(&saves);
    place_close(&place);
}

/* ---- kill -9 ---- */

struct writer {
    struct place *place;
    struct saves *saves;
    int acknowledge;
    uint64_t honest_steps; /* planted fault: from this step on it acknowledges without saving */
};

static const char *write_for_ever(void *context)
{
    struct writer *w = context;
    struct disk_found found;
    struct disk disk = place_disk(w->place, &found);
    for (;;) {
        if (w->saves->step < w->honest_steps) place_save(&disk, saves_next(w->saves));
        saves_done(w->saves);
        TRY(write(w->acknowledge, &w->saves->step, sizeof(uint64_t)) == sizeof(uint64_t));
    }
}

/* Let a child write, kill it after `acknowledged` saves and some time. Its last step we know of. */
static uint64_t write_and_die(struct writer *w, uint64_t acknowledged, uint64_t later_ns)
{
    int ends[2];
    uint64_t step = w->saves->step, target = step + acknowledged;
    CHECK(pipe(ends) == 0);
    w->acknowledge = ends[1];
    pid_t pid = child_start(write_for_ever, w);
    close(ends[1]);
    while (step < target && read(ends[0], &step, sizeof(step)) == sizeof(step)) continue;
    uint64_t until_ns = real_now_ns() + later_ns;
    while (real_now_ns() < until_ns) continue;
    CHECK(child_kill(pid));
    while (read(ends[0], &step, sizeof(step)) == sizeof(step)) continue;
    close(ends[0]);
    return step;
}

/* The disk holds what was acknowledged, or that and the save under way; the model moves there. */
static const char *survived(struct writer *w, uint64_t acknowledged, uint64_t *under_way)
{
    struct disk_found found;
    while (w->saves->step < acknowledged) saves_done(w->saves);
    struct disk disk = place_disk(w->place, &found);
    const char *difference = saves_found_differ(w->saves, &found);
    if (difference == NULL) difference = saves_differ(w->saves, &disk);
    if (difference != NULL) {
        saves_done(w->saves);
        (*under_way)++;
        difference = saves_found_differ(w->saves, &found);
        if (difference == NULL) difference = saves_differ(w->saves, &disk);
    }
    disk.close(disk.state);
    return difference;
}

static void acknowledged_saves_survive_kills(void **state)
{
    const struct mode *mode = *state;
    struct place place;
    struct saves saves;
    struct rng rng;
    uint64_t under_way = 0;
    place_open(&place, mode);
    saves_open(&saves, 21);
    rng_seed(&rng, 21, mode->durable, mode->unnamed);
    struct writer w = { &place, &saves, -1, UINT64_MAX };
    for (int life = 0; life < 30; life++) {
        uint64_t acknowledged = rng_range(&rng, 1, mode->durable ? 20 : 100);
        acknowledged = write_and_die(&w, acknowledged, rng_range(&rng, 0, 300 * NS_PER_US));
        const char *difference = survived(&w, acknowledged, &under_way);
        if (difference != NULL) fail_msg("life %d: %s differs", life, difference);
    }
    assert_true(saves.step >= 30);
    saves_close(&saves);
    place_close(&place);
}

static void lost_saves_are_noticed(void **state)
{
    UNUSED(state);
    struct place place;
    struct saves saves;
    uint64_t under_way = 0;
    place_open(&place, &place_modes[0]);
    saves_open(&saves, 22);
    struct writer w = { &place, &saves, -1, 20 };
    uint64_t acknowledged = write_and_die(&w, 40, 0);
    assert_non_null(survived(&w, acknowledged, &under_way));
    saves_close(&saves);
    place_close(&place);
}

/* ---- a full disk ---- */

static bool file_has(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

/* A small file system on `directory` that nobody else sees and that goes with this process. */
static bool small_disk(const char *directory)
{
    char map[32];
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
        if (!file_has("/proc/self/setgroups", "deny")) return false;
        snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
        if (!file_has("/proc/self/uid_map", map)) return false;
        snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
        if (!file_has("/proc/self/gid_map", map)) return false;
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    return mount("tmpfs", directory, "tmpfs", 0, "size=2m,mode=0700") == 0;
}

/* Fill the disk but for `left` bytes. False when it is too full for that. */
static bool ballast(const char *path, off_t left)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool done = fd >= 0 && posix_fallocate(fd, 0, (2 << 20) - left) == 0;
    close(fd);
    return done;
}

static const char *save_until_full(struct saves *saves, const struct disk *disk, uint64_t *saved)
{
    int why = 0;
    char context[256];
    *saved = 0;
    while (disk->commit(disk->state, saves_next(saves), &why) == ERR_OK) {
        saves_done(saves);
        ++*saved;
    }
    snprintf(context, sizeof(context), "%s", err_context());
    TRY(strstr(context, ": cannot save: No space left on device") != NULL);
    for (int i = 0; i < 3; i++) {
        TRY(why == ENOSPC);
        const char *difference = saves_differ(saves, disk);
        if (difference != NULL) return difference;
        TRY(disk->commit(disk->state, saves_next(saves), &why) == ERR_STORAGE);
    }
    return NULL;
}

static const char *full_disk(void *context)
{
    struct place *place = context;
    struct saves saves;
    struct disk disk;
    struct disk_found found;
    char path[128];
    uint64_t saved;
    if (!small_disk(place->directory)) return child_skip;
    if (place->config.directory == NULL) {
        place->config.file_fd = open(place->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        TRY(place->config.file_fd >= 0);
    }
    snprintf(path, sizeof(path), "%s/ballast", place->directory);
    TRY(ballast(path, 4096)); /* not even room for an empty log */
    TRY(store_open(&place->config, &disk) == ERR_STORAGE);
    TRY(strstr(err_context(), ": No space left on device") != NULL);
    TRY(unlink(path) == 0 && ballast(path, 1 << 20));
    saves_open(&saves, 31);
    disk = place_disk(place, &found);
    const char *failure = save_until_full(&saves, &disk, &saved);
    if (failure != NULL) return failure;
    TRY(saved > 10);
    TRY(unlink(path) == 0); /* now there is room again */
    failure = save_until_full(&saves, &disk, &saved);
    if (failure != NULL) return failure;
    TRY(saved > 10);
    disk.close(disk.state);
    disk = place_disk(place, &found);
    if ((failure = saves_found_differ(&saves, &found)) != NULL) return failure;
    if ((failure = saves_differ(&saves, &disk)) != NULL) return failure;
    disk.close(disk.state);
    saves_close(&saves);
    return NULL;
}

static void full_disk_is_survived(void **state)
{
    struct place place;
    place_open(&place, *state);
    const char *failure = child_run(full_disk, &place);
    place_close(&place);
    if (failure == child_skip) {
        print_message("may not mount a file system here\n");
        skip();
    }
    if (failure != NULL) fail_msg("%s", failure);
}

int main(void)
{
    for (size_t i = 0; i < COUNT(failure_rows); i++)
        group_add(failure_rows[i].name, failure_row_holds, &failure_rows[i]);
    group_add("a lying disk stops the store", lying_disk_stops_the_store, NULL);
    group_add("the name of an open file does not matter", name_of_an_open_file_does_not_matter,
              NULL);
    group_add_in_modes("acknowledged saves survive kills", acknowledged_saves_survive_kills);
    group_add("lost saves are noticed", lost_saves_are_noticed, NULL);
    group_add_in_modes("a full disk is survived", full_disk_is_survived);
    return group_run("store crashes");
}
