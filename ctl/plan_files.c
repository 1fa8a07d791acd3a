/* ctl/plan_files.c - see ctl/plan_files.h. */
#include "ctl/plan_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

err_t plan_files_load(struct plan_files *files, const uint64_t *seed)
{
    files->plans = calloc(files->count + 1, sizeof(*files->plans));
    CHECK(files->plans != NULL);
    for (size_t i = 0; i < files->count; i++) {
        struct parse_error error;
        err_t err = plan_load(files->paths[i], &files->plans[i], &error);
        if (err != ERR_OK) return err;
        if (seed != NULL) files->plans[i].seed = *seed;
    }
    return ERR_OK;
}

void plan_files_free(struct plan_files *files)
{
    for (size_t i = 0; files->plans != NULL && i < files->count; i++) plan_free(&files->plans[i]);
    free(files->plans);
    files->plans = NULL;
}

err_t log_open(const char *path, const char *command, FILE **log)
{
    if (path == NULL) return ERR_OK;
    *log = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (*log != NULL) return ERR_OK;
    return err_begin(ERR_INPUT, "ringside %s: --log %s: %s", command, path, strerror(errno));
}
