/* assert.h -- what must hold.
 *
 * FC_ASSERT aborts; it is on in every test build (FC_ASSERTIONS) and absent from the release hot path.
 * FC_CHECK stays on in release, at attach, allocation and repair: it returns FC_INTERNAL with the place, because an attached
 * trading process is not ours to kill. Neither is for bytes another process controls, nor for user input.
 */
#ifndef FC_BASE_ASSERT_H
#define FC_BASE_ASSERT_H

#include "base/status.h"

#ifdef FC_ASSERTIONS
#include <stdio.h>
#include <stdlib.h>
#define FC_ASSERT(condition)                                                                  \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                          \
        }                                                                                     \
    } while (0)
#else
#define FC_ASSERT(condition) ((void)sizeof(condition))
#endif

#define FC_CHECK(condition)                                                                             \
    do {                                                                                                \
        if (!(condition)) return fc_fail(FC_INTERNAL, "%s:%d: %s", __FILE__, __LINE__, #condition);     \
    } while (0)

#endif
