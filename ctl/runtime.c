/* ctl/runtime.c - directories, the listening socket and the janitor. */
#include "ctl/runtime.h"

#include "base/base.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 512, BACKLOG = 64, LOCK_AGAIN_MS = 2, FAILURES_MAX = 5 };
static const uint64_t LOCK_NS = 5 * NS_PER_S;

err_t runtime_name_check(const char *name)
{
    size_t length = strlen(name);
    bool good = length >= 1 && length <= NAME_LENGTH_MAX;
    for (size_t i = 0; i < length && good; i++)
        good = isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '_';
    if (good) return ERR_OK;
    return err_begin(ERR_INPUT, "'%.64s' is no cluster name; use 1 to %d letters, digits, - or _",
                     name, NAME_LENGTH_MAX);
}

/* The directory of all clusters of this user. */
static void base_path(char *path, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/') snprintf(path, size, "%s/ringside", runtime);
    else snprintf(path, size, "/tmp/ringside-%u", (unsigned)getuid());
}

static err_t directory_path(const char *name, char *path, size_t size)
{
    char base[PATH_SIZE];
    err_t err = runtime_name_check(name);
    if (err != ERR_OK) return err;
    base_path(base, sizeof(base));
    int length = snprintf(path, size, "%s/%s", base, name);
    if (length < 0 || (size_t)length >= size)
        return err_begin(ERR_INPUT, "%s: path is too long", base);
    return ERR_OK;
}

err_t runtime_socket_path(const char *name, char *path, size_t size)
{
    char directory[PATH_SIZE];
    err_t err = directory_path(name, directory, sizeof(directory));
    if (err != ERR_OK) return err;
    int length = snprintf(path, size, "%s/control", directory);
    size_t most = MIN_OF(size, sizeof(((struct sockaddr_un *)0)->sun_path));
    if (length < 0 || (size_t)length >= most)
        return err_begin(ERR_INPUT,
                         "%s: path is too long for a socket; set XDG_RUNTIME_DIR to a shorter one",
                         path);
    return ERR_OK;
}

static err_t connect_path(const char *path, int *fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) return err_begin(ERR_SYSTEM, "socket: %s", strerror(errno));
    if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) == 0) return ERR_OK;
    err_t err = err_begin(ERR_INPUT, "%s: %s", path, strerror(errno));
    close(*fd);
    *fd = -1;
    return err;
}

/* " one two": names with a socket that answers. */
static void list_running(char *text, size_t size)
{
    char base[PATH_SIZE];
    size_t used = 0;
    text[0] = '\0';
    base_path(base, sizeof(base));
    DIR *directory = opendir(base);
    if (directory == NULL) return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[PATH_SIZE];
        int fd;
        if (entry->d_name[0] == '.' || strlen(entry->d_name) > NAME_LENGTH_MAX) continue;
        if (runtime_socket_path(entry->d_name, path, sizeof(path)) != ERR_OK) continue;
        if (connect_path(path, &fd) != ERR_OK) continue;
        close(fd);
        int more = snprintf(text + used, size - used, " %s", entry->d_name);
        if (more > 0 && used + (size_t)more < size) used += (size_t)more;
    }
    closedir(directory);
}

err_t runtime_connect(const char *name, int *fd)
{
    char path[PATH_SIZE], running[PATH_SIZE];
    err_t err = runtime_socket_path(name, path, sizeof(path));
    if (err != ERR_OK) return err;
    if (connect_path(path, fd) == ERR_OK) return ERR_OK;
    list_running(running, sizeof(running));
    if (running[0] == '\0')
        return err_begin(ERR_INPUT, "no cluster '%s' is running; start one with: ringside up",
                         name);
    return err_begin(ERR_INPUT, "no cluster '%s' is running; these are:%s (choose with --name)",
                     name, running);
}

static void remove_directory(const char *name)
{
    char path[PATH_SIZE], base[PATH_SIZE];
    if (runtime_socket_path(name, path, sizeof(path)) == ERR_OK) unlink(path);
    if (directory_path(name, path, sizeof(path)) == ERR_OK) rmdir(path);
    base_path(base, sizeof(base));
    rmdir(base); /* only when it was the last one */
}

static err_t make_directory(const char *path)
{
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_begin(ERR_SYSTEM, "%s: cannot make the directory: %s", path, strerror(errno));
    if (lstat(path, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != getuid())
        return err_begin(ERR_SYSTEM, "%s: is not a directory of this user", path);
    chmod(path, 0700);
    return ERR_OK;
}

/* True when `fd` is the directory that `path` names now. */
static bool names_still(const char *path, int fd)
{
    struct stat by_path, by_fd;
    if (stat(path, &by_path) != 0 || fstat(fd, &by_fd) != 0) return false;
    return by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

/* Make the directory and lock it (R1). Locked already: a live cluster answers at its socket; else
 * one is just beginning, or the janitor of a dead one is at work, and a moment later all is
 * clear. */
static err_t lock_directory(const char *name, const char *socket_path, int *lock_fd)
{
    char base[PATH_SIZE], path[PATH_SIZE];
    int fd, failures = 0;
    uint64_t end_ns = real_now_ns() + LOCK_NS;
    err_t err = directory_path(name, path, sizeof(path));
    if (err != ERR_OK) return err;
    base_path(base, sizeof(base));
    do {
        if ((err = make_directory(base)) == ERR_OK) err = make_directory(path);
        if (err != ERR_OK && ++failures == FAILURES_MAX)
            return err; /* once: perhaps it is just going away */
        *lock_fd = err == ERR_OK ? open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (*lock_fd >= 0 && flock(*lock_fd, LOCK_EX | LOCK_NB) == 0 && names_still(path, *lock_fd))
            return ERR_OK;
        if (*lock_fd >= 0) close(*lock_fd);
        if (connect_path(socket_path, &fd) == ERR_OK) {
            close(fd);
            break;
        }
        poll(NULL, 0, LOCK_AGAIN_MS);
    } while (real_now_ns() < end_ns);
    return err_begin(ERR_INPUT,
                     "a cluster '%s' is running already; use another --name, or: ringside down %s",
                     name, name);
}

/* Wait until the supervisor has closed its end of the pipe, however it ended, then clean up after
 * it. It shares the supervisor's lock, so that nobody takes the directory over before that is
 * done. */
static pid_t start_janitor(const char *name, int lock_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        prctl(PR_SET_NAME, "ringside-janitor");
        for (int number = 1; number < NSIG; number++) signal(number, SIG_IGN);
        char byte;
        lock_fd = fcntl(lock_fd, F_DUPFD, 10); /* out of the way of the next two */
        dup2(ends[0], 0);
        dup2(lock_fd, 1);
        close_range(2, ~0u, 0);
        while (read(0, &byte, 1) < 0 && errno == EINTR) continue;
        remove_directory(name);
        _exit(0);
    }
    close(ends[0]);
    /* ends[1] stays open for the life of this process; children close it with all that is not
     * theirs */
    return pid < 0 ? 0 : pid;
}

err_t runtime_listen(const char *name, struct runtime *runtime)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int lock_fd = -1;
    err_t err = runtime_socket_path(name, address.sun_path, sizeof(address.sun_path));
    if (err == ERR_OK) err = lock_directory(name, address.sun_path, &lock_fd);
    if (err != ERR_OK) return err;
    unlink(address.sun_path); /* R2 */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        err = err_begin(ERR_SYSTEM, "%s: %s", address.sun_path, strerror(errno));
        if (fd >= 0) close(fd);
        remove_directory(name);
        close(lock_fd);
        return err;
    }
    *runtime = (struct runtime){ fd, lock_fd, start_janitor(name, lock_fd) };
    return ERR_OK;
}

void runtime_leave(const char *name, const struct runtime *runtime)
{
    close(runtime->listen_fd);
    if (runtime->janitor > 0) {
        kill(runtime->janitor, SIGKILL);
        while (waitpid(runtime->janitor, NULL, 0) < 0 && errno == EINTR) continue;
    }
    remove_directory(name);
    close(runtime->lock_fd); /* last: now somebody else may have the name */
}
