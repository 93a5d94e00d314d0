/* cmd_bit.c -- strings as arrays of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.
 *
 * The work on bits is csrc/types/bits.c's. Reading takes out of the segment only the bytes that the answer needs. Writing publishes a new
 * value, as all writing does: SETBIT costs a copy of the value, and nothing if the bit is as it was asked for.
 * BITOP is flagged ATOMIC: sources and destination at one instant, in a transaction.
 */
#include "commands/access.h"
#include "commands/bit_offset.h"
#include "commands/number.h"
#include "types/bits.h"

static fc_status refuse(fc_context *c, const char *text)
{
    fc_reply_error(c->reply, "ERR %s", text);
    return FC_OK;
}

int fc_arg_bit_offset(fc_context *c, uint32_t index, uint32_t width, uint64_t *offset)
{
    const fc_arg *argument = &c->arguments[index];
    uint64_t skipped = width != 0 && argument->bytes > 0 && argument->data[0] == '#';
    int64_t number;
    int64_t bytes_max = fc_config_number(&c->host->config, FC_CONFIG_PROTO_MAX_BULK_LEN);
    if (!fc_number_parse(argument->data + skipped, argument->bytes - skipped, &number) || (skipped && __builtin_mul_overflow(number, (int64_t)width, &number)) ||
        number < 0 || number / 8 >= bytes_max) {
        fc_reply_error(c->reply, "ERR bit offset is not an integer or out of range");
        return 0;
    }
    *offset = (uint64_t)number;
    return 1;
}

/* ------------------------------------------------------------------ one bit */

static int bit_of(const uint8_t *byte, uint64_t offset) { return *byte >> (7 - offset % 8) & 1; }

static fc_status set_bit(fc_context *c, fc_item *item, uint64_t offset, int bit, int *old_bit)
{
    uint8_t *room, byte = 0;
    FC_TRY(fc_item_want_string(item));
    int is_inside = offset / 8 < item->value_bytes;
    if (is_inside) FC_TRY(fc_item_copy(c, item, offset / 8, &byte, 1));
    *old_bit = bit_of(&byte, offset);
    if (is_inside && *old_bit == bit) return item->schema == 0 ? FC_OK : fc_fail(FC_SCHEMA_MISMATCH, "the key holds a record, the write is one of text");
    FC_TRY(fc_item_edit(c, item, is_inside ? item->value_bytes : offset / 8 + 1, &room));
    room[offset / 8] = (uint8_t)(bit ? byte | 0x80 >> offset % 8 : byte & ~(0x80 >> offset % 8));
    return FC_OK;
}

fc_status fc_cmd_setbit(fc_context *c)
{
    fc_item item;
    uint64_t offset;
    int64_t bit;
    int old_bit = 0;
    if (!fc_arg_bit_offset(c, 2, 0, &offset)) return FC_OK;
    if (!fc_number_parse(c->arguments[3].data, c->arguments[3].bytes, &bit) || (bit & ~INT64_C(1)) != 0) return refuse(c, "bit is not an integer or out of range");
    FC_TRY(fc_item_open(c, 1, &item));
    FC_TRY(fc_item_close(c, &item, set_bit(c, &item, offset, (int)bit, &old_bit)));
    fc_reply_integer(c->reply, old_bit);
    return FC_OK;
}

fc_status fc_cmd_getbit(fc_context *c)
{
    fc_item item;
    fc_item_part part;
    uint64_t offset;
    if (!fc_arg_bit_offset(c, 2, 0, &offset)) return FC_OK;
    int64_t byte = (int64_t)(offset / 8);
    FC_TRY(fc_access_read_part(c, 1, byte, byte, &item, &part));
    fc_reply_integer(c->reply, part.bytes == 1 ? bit_of(part.data, offset) : 0);
    return FC_OK;
}

/* ------------------------------------------------------------------ ranges */

/* A range of bytes or bits in the arguments, and then the bits of the value that it means. */
typedef struct bit_range {
    int64_t first, last;
    int is_in_bits;
    fc_item item;
    fc_item_part part;
    uint64_t first_bit, last_bit; /* counted from the part's beginning */
} bit_range;

static int parse_unit(fc_context *c, uint32_t index, int *is_in_bits)
{
    *is_in_bits = fc_arg_is(&c->arguments[index], "bit");
    return *is_in_bits || fc_arg_is(&c->arguments[index], "byte");
}

/* Reads the value's part. *is_empty: no bit of the value is in the range. */
static fc_status read_range(fc_context *c, bit_range *range, int *is_empty)
{
    int64_t first = range->first, last = range->last;
    int unit_bits = range->is_in_bits ? 1 : 8;
    /* Rounding down is right for negative offsets, too, because a value ends with a whole byte. */
    FC_TRY(fc_access_read_part(c, 1, range->is_in_bits ? first >> 3 : first, range->is_in_bits ? last >> 3 : last, &range->item, &range->part));
    *is_empty = !fc_access_clip((int64_t)range->item.value_bytes * 8 / unit_bits, &first, &last) || range->part.bytes == 0;
    if (*is_empty) return FC_OK;
    range->first_bit = (uint64_t)(first * unit_bits) - range->part.first * 8;
    range->last_bit = (uint64_t)(last * unit_bits + unit_bits - 1) - range->part.first * 8;
    return FC_OK;
}

fc_status fc_cmd_bitcount(fc_context *c)
{
    bit_range range = {.last = -1};
    int is_empty;
    if (c->argument_count == 3 || c->argument_count > 5) return refuse(c, "syntax error");
    if (c->argument_count > 3) {
        if (!fc_arg_integer(c, 2, &range.first) || !fc_arg_integer(c, 3, &range.last)) return FC_OK;
        if (c->argument_count == 5 && !parse_unit(c, 4, &range.is_in_bits)) return refuse(c, "syntax error");
    }
    FC_TRY(read_range(c, &range, &is_empty));
    fc_reply_integer(c->reply, is_empty ? 0 : (int64_t)fc_bits_count_range(range.part.data, range.first_bit, range.last_bit));
    return FC_OK;
}

/* What BITPOS answers. A missing key is an endless row of zeroes, and so is what lies behind a value whose end was not named. */
static int64_t find_bit(const bit_range *range, int bit, int is_empty, int is_end_named)
{
    if (range->item.type == FC_TYPE_NONE) return bit ? -1 : 0;
    if (is_empty) return -1;
    uint64_t found = fc_bits_find(range->part.data, range->first_bit, range->last_bit, bit);
    if (found != FC_BITS_NOT_FOUND) return (int64_t)(range->part.first * 8 + found);
    return bit || is_end_named ? -1 : (int64_t)range->item.value_bytes * 8;
}

fc_status fc_cmd_bitpos(fc_context *c)
{
    bit_range range = {.last = -1};
    int64_t bit;
    int is_empty;
    if (!fc_arg_integer(c, 2, &bit)) return FC_OK;
    if ((bit & ~INT64_C(1)) != 0) return refuse(c, "The bit argument must be 1 or 0.");
    if (c->argument_count > 6) return refuse(c, "syntax error");
    if (c->argument_count > 3 && !fc_arg_integer(c, 3, &range.first)) return FC_OK;
    if (c->argument_count == 6 && !parse_unit(c, 5, &range.is_in_bits)) return refuse(c, "syntax error");
    if (c->argument_count > 4 && !fc_arg_integer(c, 4, &range.last)) return FC_OK;
    /* An end before the start is no range, unless both lie before the value: then it is the value's first byte or bit. */
    int is_crossed = range.first < 0 && range.last < 0 && range.first > range.last;
    if (is_crossed) range.last = range.first;
    FC_TRY(read_range(c, &range, &is_empty));
    is_empty |= is_crossed && (range.part.first > 0 || range.first_bit > 0);
    fc_reply_integer(c->reply, find_bit(&range, (int)bit, is_empty, c->argument_count > 4));
    return FC_OK;
}

/* ------------------------------------------------------------------ BITOP */

static int parse_operation(const fc_arg *argument, enum fc_bits_operation *operation)
{
    static const char *const names[] = {[FC_BITS_AND] = "and", [FC_BITS_OR] = "or", [FC_BITS_XOR] = "xor", [FC_BITS_NOT] = "not"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *operation = (enum fc_bits_operation)i;
        if (fc_arg_is(argument, names[i])) return 1;
    }
    return 0;
}

#define FIRST_SOURCE 3u

/* Length of the longest source. */
static fc_status measure_sources(fc_context *c, uint64_t *bytes)
{
    *bytes = 0;
    for (uint32_t i = FIRST_SOURCE; i < c->argument_count; i++) {
        fc_item item;
        FC_TRY(fc_access_look(c, i, &item));
        FC_TRY(fc_item_want_string(&item));
        if (item.value_bytes > *bytes) *bytes = item.value_bytes;
    }
    return FC_OK;
}

/* Lays the sources over each other, each padded with zeroes to `bytes`. `room` is twice as long: result, and source at hand. */
static fc_status combine_sources(fc_context *c, enum fc_bits_operation operation, uint8_t *room, uint64_t bytes)
{
    uint8_t *source = room + bytes;
    for (uint32_t i = FIRST_SOURCE; i < c->argument_count; i++) {
        fc_item item;
        uint8_t *target = i == FIRST_SOURCE ? room : source;
        FC_TRY(fc_access_look(c, i, &item));
        FC_TRY(fc_item_copy(c, &item, 0, target, item.value_bytes));
        memset(target + item.value_bytes, 0, bytes - item.value_bytes);
        if (operation == FC_BITS_NOT) fc_bits_combine(operation, room, room, bytes);
        else if (target == source) fc_bits_combine(operation, room, source, bytes);
    }
    return FC_OK;
}

fc_status fc_cmd_bitop(fc_context *c)
{
    enum fc_bits_operation operation;
    fc_item target;
    uint64_t bytes;
    if (!parse_operation(&c->arguments[1], &operation)) return refuse(c, "syntax error");
    if (operation == FC_BITS_NOT && c->argument_count != FIRST_SOURCE + 1) return refuse(c, "BITOP NOT must be called with a single source key.");
    FC_TRY(measure_sources(c, &bytes));
    FC_TRY(fc_item_open(c, 2, &target));
    if (bytes == 0) {
        fc_item_delete(c, &target);
    } else {
        uint8_t *room = fc_context_scratch(c, 2 * bytes);
        if (room == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)(2 * bytes));
        FC_TRY(combine_sources(c, operation, room, bytes));
        FC_TRY(fc_item_write(c, &target, room, bytes, 0));
    }
    FC_TRY(fc_item_close(c, &target, FC_OK));
    fc_reply_integer(c->reply, (int64_t)bytes);
    return FC_OK;
}
