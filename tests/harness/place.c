/* tests/harness/place.c - temporary directories, unnamed files, children that report by pipe. */
#include "tests/harness/place.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct mode place_modes[PLACE_MODES] = {
    { "process, directory", false, false },
    { "process, unnamed file", true, false },
    { "disk, directory", false, true },
    { "disk, unnamed file", true, true },
};

static int entry_remove(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    UNUSED(status), UNUSED(flag), UNUSED(walk);
    return remove(path);
}

static void directory_remove(const char *path)
{
    nftw(path, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Directories of places that are open: a test that fails does not come to its place_close. */
static char directories[32][64];

static void directories_remove(void)
{
    for (size_t i = 0; i < COUNT(directories); i++)
        if (directories[i][0] != '\0') directory_remove(directories[i]);
}

static char *directory_slot(const char *name)
{
    size_t i = 0;
    while (i < COUNT(directories) && strcmp(directories[i], name) != 0) i++;
    CHECK(i < COUNT(directories));
    return directories[i];
}

void place_open(struct place *place, const struct mode *mode)
{
    static bool registered;
    if (!registered) CHECK(atexit(directories_remove) == 0);
    registered = true;
    *place = (struct place){
        .directory = "/tmp/ringside-store-XXXXXX",
        .config = { .file_fd = -1, .durable = mode->durable, .peer = 1, .peers = 3 },
    };
    CHECK(mkdtemp(place->directory) != NULL);
    strcpy(directory_slot(""), place->directory);
    if (mode->unnamed) {
        place->config.file_fd = open(place->directory, O_TMPFILE | O_RDWR, 0600);
        CHECK(place->config.file_fd >= 0);
    } else {
        place->config.directory = place->directory;
    }
}

void place_close(struct place *place)
{
    if (place->config.file_fd >= 0) close(place->config.file_fd);
    directory_remove(place->directory);
    directory_slot(place->directory)[0] = '\0';
}

static void must(err_t err)
{
    if (err != ERR_OK) fprintf(stderr, "%s: %s\n", err_text(err), err_context());
    CHECK(err == ERR_OK);
}

struct disk place_disk(const struct place *place, struct disk_found *found)
{
    struct disk disk;
    must(store_open(&place->config, &disk));
    must(disk.load(disk.state, found));
    return disk;
}

void place_save(const struct disk *disk, const struct disk_save *save)
{
    int why;
    must(disk->commit(disk->state, save, &why));
}

void place_fill(const struct disk *disk, uint64_t first, uint64_t last, uint64_t term,
                uint32_t bytes)
{
    enum { BATCH = 4096 };
    uint8_t *data = calloc(1, bytes + 1);
    struct entry *entries = calloc(BATCH, sizeof(*entries));
    CHECK(data != NULL && entries != NULL);
    memset(data, 'x', bytes);
    for (size_t i = 0; i < BATCH; i++)
        entries[i] = (struct entry){ term, ENTRY_COMMAND, bytes, data };
    while (first <= last) {
        uint32_t count = (uint32_t)MIN_OF(last - first + 1, BATCH);
        place_save(disk, &(struct disk_save){ .hard = true,
                                              .term = term,
                                              .voted_for = 2,
                                              .first_index = first,
                                              .entries = entries,
                                              .count = count });
        first += count;
    }
    free(entries);
    free(data);
}

const char *const child_skip = "cannot be done on this machine";

static pid_t start(const char *(*body)(void *context), void *context, int report)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    CHECK(pid >= 0);
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    if (getppid() != parent) _exit(2);
    const char *failure = body(context);
    if (failure != NULL) dprintf(report, "%s", failure);
    _exit(failure != NULL);
}

const char *child_run(const char *(*body)(void *context), void *context)
{
    static char report[512];
    int ends[2], status;
    CHECK(pipe(ends) == 0);
    pid_t pid = start(body, context, ends[1]);
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used + 1 < sizeof(report) &&
           (got = read(ends[0], report + used, sizeof(report) - 1 - used)) > 0)
        used += (size_t)got;
    report[used] = '\0';
    close(ends[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status)) {
        snprintf(report, sizeof(report), "killed by signal %d", WTERMSIG(status));
        return report;
    }
    if (WEXITSTATUS(status) == 0) return NULL;
    return strcmp(report, child_skip) == 0 ? child_skip : report;
}

pid_t child_start(const char *(*body)(void *context), void *context)
{
    return start(body, context, STDERR_FILENO);
}

bool child_kill(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
