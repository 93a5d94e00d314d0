/* fincache.h -- the public header of libfincache. See fincache_api.h for the manual. */
#ifndef FINCACHE_H
#define FINCACHE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The statuses, from the one table. */
enum {
#define FC_STATUS(number, NAME, resp_prefix, python_class, message, hint) FC_##NAME = number,
#include "base/status.def"
#undef FC_STATUS
};

#pragma GCC visibility push(default)
#include "fincache_api.h"
#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
