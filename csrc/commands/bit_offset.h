/* bit_offset.h -- what the commands about bits share: the place of a bit in an argument. */
#ifndef FC_COMMANDS_BIT_OFFSET_H
#define FC_COMMANDS_BIT_OFFSET_H

#include "commands/context.h"

/* A bit's offset; with `width` other than 0 "#n" is n times that, too. The byte it is in is one that a value may have. 0 after the reply
 * "ERR bit offset is not an integer or out of range". */
int fc_arg_bit_offset(fc_context *c, uint32_t index, uint32_t width, uint64_t *offset);

#endif
