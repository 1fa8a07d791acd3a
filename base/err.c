/* base/err.c - the texts of the error list, and the thread's one line of context. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char context[1024];

const char *err_text(err_t err)
{
    static const char *const texts[] = {
#define ERR_STRING(name, text) text,
        ERR_LIST(ERR_STRING)
#undef ERR_STRING
    };
    return (unsigned)err < sizeof(texts) / sizeof(texts[0]) ? texts[err] : "unknown error";
}

static void prepend(const char *format, va_list arguments)
{
    char joined[sizeof(context)];
    int used = vsnprintf(joined, sizeof(joined), format, arguments);
    if (used < 0) return;
    if ((size_t)used < sizeof(joined) && context[0] != '\0')
        snprintf(joined + used, sizeof(joined) - (size_t)used, ": %s", context);
    memcpy(context, joined, sizeof(context));
}

err_t err_note(err_t err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    prepend(format, arguments);
    va_end(arguments);
    return err;
}

err_t err_begin(err_t err, const char *format, ...)
{
    va_list arguments;
    context[0] = '\0';
    va_start(arguments, format);
    prepend(format, arguments);
    va_end(arguments);
    return err;
}

const char *err_context(void)
{
    return context;
}
