/* ctl/kept.c - see ctl/kept.h. */
#include "ctl/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FILE *kept_open(const char *what, const char *suffix, char *path, size_t size)
{
    const char *directory = getenv("TMPDIR");
    if (directory == NULL || directory[0] == '\0') directory = "/tmp";
    snprintf(path, size, "%s/ringside-%s-XXXXXX%s", directory, what, suffix);
    int fd = mkostemps(path, (int)strlen(suffix), O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file != NULL) return file;
    int why = errno;
    if (fd >= 0) close(fd);
    snprintf(path, size, "none could be written: %s", strerror(why));
    return NULL;
}

void kept_close(FILE *file, char *path, size_t size)
{
    bool whole = ferror(file) == 0;
    whole &= fclose(file) == 0;
    size_t length = strlen(path);
    if (!whole) snprintf(path + length, size - length, " (not whole: %s)", strerror(errno));
}
