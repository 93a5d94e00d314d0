/* number.h -- numbers in arguments and values, by Redis's rules. */
#ifndef FC_COMMANDS_NUMBER_H
#define FC_COMMANDS_NUMBER_H

#include "commands/command.h"

/* A decimal 64-bit integer: no sign but '-', no leading zero, no space. 1 if it is one. */
int fc_number_parse(const uint8_t *text, uint64_t bytes, int64_t *number);
/* A number of any form that strtold takes, infinity included, without space around it. */
int fc_number_parse_float(const uint8_t *text, uint64_t bytes, long double *number);
/* 17 digits behind the point without trailing zeroes, no exponent: what INCRBYFLOAT writes. 0 if it does not fit. */
int fc_number_format_float(long double number, char *text, uint64_t text_bytes);

/* The same for an argument; 0 after the reply "ERR value is not an integer or out of range". */
int fc_arg_integer(fc_context *c, uint32_t index, int64_t *number);
/* Beyond [minimum, maximum] the reply is the same. */
int fc_arg_integer_in(fc_context *c, uint32_t index, int64_t minimum, int64_t maximum, int64_t *number);

/* A point in time from an argument of EXPIRE, SET EX and their like. */
enum fc_time_unit { FC_TIME_SECONDS, FC_TIME_MILLISECONDS };
/* *expires_unix_ns is never 0. `must_be_positive`: SET and its like refuse 0 and less; EXPIRE takes them (the past). 0 after the reply "ERR
 * invalid expire time in '<command>' command" or that it is no integer. */
int fc_arg_deadline(fc_context *c, uint32_t index, enum fc_time_unit unit, int is_absolute, int must_be_positive, uint64_t *expires_unix_ns);

#endif
