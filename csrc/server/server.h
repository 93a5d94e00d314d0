/* server.h -- server_api.h for C programs. */
#ifndef FC_SERVER_SERVER_H
#define FC_SERVER_SERVER_H

#include "commands/execute.h"

#pragma GCC visibility push(default)
#include "server/server_api.h"
#pragma GCC visibility pop

#endif
