/* tests/harness/arena.c - folders, children, adopted children (A1..A3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/arena.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATHS = 4, DYING_LOOKS = 200 };
static const uint64_t LEAVING_NS =
    10 * NS_PER_S; /* a loaded machine takes its time to end a process */
static const uint64_t LOOK_NS = 5 * NS_PER_MS;

static char root[64];

static void sleep_ns(uint64_t ns)
{
    struct timespec time = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
    while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

/* ---- folders ---- */

const char *arena_path(const char *name)
{
    static char paths[PATHS][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_MAX, "%s/%s", root, name);
    return path;
}

void arena_open(void)
{
    if (root[0] != '\0') arena_end(0); /* a setup failed: there was no teardown for it */
    /* in memory where that is possible: a busy disk can keep even an unsynced write for seconds */
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(root, sizeof(root), "%s/ringside-test-XXXXXX", place);
    CHECK(mkdtemp(root) != NULL);
    CHECK(mkdir(arena_path("run"), 0700) == 0);
    CHECK(mkdir(arena_path("tmp"), 0700) == 0);
    setenv("XDG_RUNTIME_DIR", arena_path("run"), 1);
    setenv("TMPDIR", arena_path("tmp"), 1);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* A1 */
}

/* ThreadSanitizer makes such a file as it starts and removes it at once; a program that is killed
 * in between cannot. It is none of Ringside's. */
static bool is_sanitizers(const char *name)
{
    return strncmp(name, "tsan.rodata.", strlen("tsan.rodata.")) == 0;
}

bool arena_is_empty(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) return false;
    int entries = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (!is_sanitizers(entry->d_name)) entries++;
    closedir(directory);
    return entries == 2; /* . and .. */
}

static int files_left;

static int tell_file(const char *path, const struct stat *status, int type, struct FTW *at)
{
    UNUSED(status);
    UNUSED(type);
    if (at->level == 0 || is_sanitizers(path + at->base)) return 0;
    print_error("left behind: %s\n", path);
    files_left++;
    return 0;
}

static int remove_file(const char *path, const struct stat *status, int type, struct FTW *at)
{
    UNUSED(status);
    UNUSED(type);
    UNUSED(at);
    return remove(path);
}

/* ---- descendants ---- */

static int bury_ended(void)
{
    pid_t pid;
    do {
        pid = waitpid(-1, NULL, WNOHANG);
    } while (pid > 0);
    return pid == 0 || errno != ECHILD;
}

/* Parent and name of a process; false when it is not there. */
static bool process_read(pid_t pid, pid_t *parent, char *name, size_t size)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0) return false;
    text[got] = '\0';
    char *open_at = strchr(text, '('), *close_at = strrchr(text, ')');
    if (open_at == NULL || close_at == NULL) return false;
    snprintf(name, size, "%.*s", (int)(close_at - open_at - 1), open_at + 1);
    int above;
    if (sscanf(close_at + 1, " %*c %d", &above) != 1) return false;
    *parent = above;
    return true;
}

/* Visit the children of this process; with `end`, tell of them and kill them. */
static int visit_children(bool end)
{
    int count = 0;
    DIR *directory = opendir("/proc");
    if (directory == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char name[64];
        pid_t parent, pid = atoi(entry->d_name);
        if (pid <= 0 || !process_read(pid, &parent, name, sizeof(name)) || parent != getpid())
            continue;
        count++;
        if (!end) continue;
        print_error("left behind: process %d (%s)\n", (int)pid, name);
        kill(pid, SIGKILL);
    }
    closedir(directory);
    return count;
}

pid_t process_child(pid_t parent, const char *name)
{
    pid_t found = 0;
    DIR *directory = opendir("/proc");
    CHECK(directory != NULL);
    for (struct dirent *entry; found == 0 && (entry = readdir(directory)) != NULL;) {
        char its_name[64];
        pid_t its_parent, pid = atoi(entry->d_name);
        if (pid <= 0 || !process_read(pid, &its_parent, its_name, sizeof(its_name))) continue;
        if (its_parent == parent && strcmp(its_name, name) == 0) found = pid;
    }
    closedir(directory);
    return found;
}

int arena_children(void)
{
    bury_ended();
    return visit_children(false);
}

int arena_close(void)
{
    return arena_end(LEAVING_NS);
}

int arena_end(uint64_t patience_ns)
{
    int left = 0;
    uint64_t end_ns = real_now_ns() + patience_ns;
    if (root[0] == '\0') return 0;
    while (bury_ended() && real_now_ns() < end_ns) sleep_ns(LOOK_NS);
    while (bury_ended()) { /* killing one may hand over its children */
        left += visit_children(true);
        for (int i = 0; i < DYING_LOOKS && bury_ended(); i++) sleep_ns(LOOK_NS);
    }
    files_left = 0;
    nftw(arena_path("run"), tell_file, 16, FTW_PHYS);
    nftw(arena_path("tmp"), tell_file, 16, FTW_PHYS);
    nftw(root, remove_file, 16, FTW_PHYS | FTW_DEPTH);
    root[0] = '\0';
    return left + files_left;
}

/* ---- one program ---- */

/* build/release/tests/x_test -> build/release/ringside */
const char *program_path(void)
{
    static char path[PATH_MAX];
    const char *named = getenv("RINGSIDE");
    if (named != NULL) return named;
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 16);
    CHECK(length > 0);
    path[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        CHECK(slash != NULL);
        *slash = '\0';
    }
    strcat(path, "/ringside");
    return path;
}

void program_start(struct program *program, const char *const *words)
{
    const char *argv[WORDS_MAX + 2] = { program_path() };
    for (size_t i = 0; words[i] != NULL; i++) {
        CHECK(i < WORDS_MAX);
        argv[i + 1] = words[i];
    }
    if (access(argv[0], X_OK) != 0) fail_msg("%s is missing: build it first (make)", argv[0]);
    program->out = memfd_create("out", MFD_CLOEXEC);
    program->err = memfd_create("err", MFD_CLOEXEC);
    pid_t parent = getpid();
    fflush(NULL);
    program->pid = fork();
    CHECK(program->pid >= 0);
    if (program->pid > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* A3 */
    if (getppid() != parent) _exit(0);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(program->out, 1) < 0 ||
        dup2(program->err, 2) < 0)
        _exit(126);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

bool program_ended(const struct program *program)
{
    siginfo_t info = { 0 };
    if (program->pid == 0) return true;
    return waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

int program_wait(struct program *program)
{
    int status = 0, pidfd = pidfd_open(program->pid, 0);
    struct pollfd ready = { .fd = pidfd, .events = POLLIN };
    int ended = poll(&ready, 1, (int)(PATIENCE_NS / NS_PER_MS));
    close(pidfd);
    if (ended != 1) fail_msg("the program does not end");
    waitpid(program->pid, &status, 0);
    program->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

char *program_text(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    CHECK(size >= 0);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text != NULL);
    ssize_t got = pread(fd, text, (size_t)size, 0);
    CHECK(got == size);
    return text;
}

void program_close(struct program *program)
{
    if (program->out > 0) close(program->out);
    if (program->err > 0) close(program->err);
    *program = (struct program){ 0 };
}

/* ---- patience ---- */

struct patience patience_begin(void)
{
    return (struct patience){ real_now_ns() + PATIENCE_NS };
}

void patience_wait(const struct patience *patience, const char *what, const char *file, int line)
{
    if (real_now_ns() >= patience->end_ns) {
        print_error("waited %llu s in vain for: %s\n", PATIENCE_NS / NS_PER_S, what);
        _fail(file, line);
    }
    sleep_ns(LOOK_NS);
}
