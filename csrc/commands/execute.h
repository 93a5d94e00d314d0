/* execute.h -- execute_api.h for C programs. */
#ifndef FC_COMMANDS_EXECUTE_H
#define FC_COMMANDS_EXECUTE_H

#include "fincache.h"

#pragma GCC visibility push(default)
#include "commands/execute_api.h"
#pragma GCC visibility pop

#endif
