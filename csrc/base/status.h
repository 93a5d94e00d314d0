/* status.h -- outcomes, and the text that goes with the last failure of a thread.
 *
 * A fallible function returns fc_status; FC_TRY forwards a failure. The detail text belongs to the thread and is written where
 * the failure is first seen, because only there the errno, the path or the owner of a lock are known.
 */
#ifndef FC_BASE_STATUS_H
#define FC_BASE_STATUS_H

#include "fincache.h"

/* Forwards anything but FC_OK to the caller. */
#define FC_TRY(expression)                                     \
    do {                                                       \
        fc_status fc_try_status = (expression);                \
        if (fc_try_status != FC_OK) return fc_try_status;      \
    } while (0)

#define FC_MUST_USE __attribute__((warn_unused_result))
#define FC_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define FC_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Sets the thread's detail text and returns `status`. */
fc_status fc_fail(fc_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with errno's text behind it; call it on the line of the system call. */
fc_status fc_fail_errno(fc_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
