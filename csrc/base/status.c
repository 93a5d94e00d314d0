/* status.c -- the strings behind status.def, and the per-thread detail of the last failure. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const fc_status_row status_rows[] = {
#define FC_STATUS(number, NAME, resp_prefix, python_class, message, hint) \
    {number, #NAME, resp_prefix, python_class, message, hint},
#include "base/status.def"
#undef FC_STATUS
};

#define STATUS_COUNT (sizeof status_rows / sizeof status_rows[0])

static __thread char detail_text[512];
static __thread fc_status detail_status;

const fc_status_row *fc_status_at(uint32_t index)
{
    return index < STATUS_COUNT ? &status_rows[index] : NULL;
}

const fc_status_row *fc_status_find(fc_status status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (status_rows[i].status == status) return &status_rows[i];
    return &status_rows[STATUS_COUNT - 1];
}

const char *fc_error_detail(fc_status status)
{
    return status == detail_status ? detail_text : "";
}

const char *fc_version(void)
{
    return FC_VERSION_STRING;
}

fc_status fc_fail(fc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail_text, sizeof detail_text, format, arguments);
    va_end(arguments);
    detail_status = status;
    return status;
}

fc_status fc_fail_errno(fc_status status, const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    detail_status = status;
    int length = vsnprintf(detail_text, sizeof detail_text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof detail_text)
        snprintf(detail_text + length, sizeof detail_text - (size_t)length, ": %s (errno %d)", strerror(error), error);
    return status;
}
