/* base/err.c - the texts of the error list, and the thread's one line of context. */
#include "base/err.h"
#include "base/base.h"

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

__attribute__((format(printf, 1, 0))) static void prepend(const char *format, va_list arguments)
{
    char older[sizeof(context)];
    memcpy(older, context, sizeof(context));
    int length = vsnprintf(context, sizeof(context), format, arguments);
    if (length < 0) length = 0;
    size_t used = MIN_OF((size_t)length, sizeof(context) - 1);
    if (older[0] == '\0' || used + 2 >= sizeof(context)) return;
    memcpy(context + used, ": ", 2);
    size_t kept = MIN_OF(strlen(older), sizeof(context) - 3 - used);
    memcpy(context + used + 2, older, kept);
    context[used + 2 + kept] = '\0';
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
