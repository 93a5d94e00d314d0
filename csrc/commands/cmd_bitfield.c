/* cmd_bitfield.c -- integers of any width inside a string: BITFIELD, BITFIELD_RO.
 *
 * All subcommands of a call are read first, so that an error in one leaves the value as it was. A call that only reads takes no lock, and
 * of the segment only the bytes from its first field to its last. One that writes makes the value long enough for its last field, and
 * publishes it once, with all that its subcommands did.
 */
#include "commands/access.h"
#include "commands/bit_offset.h"
#include "commands/number.h"
#include "types/bits.h"

typedef struct field_step {
    enum { FIELD_GET, FIELD_SET, FIELD_INCRBY } kind;
    enum fc_bits_overflow overflow;
    fc_bits_field field;
    int64_t number;            /* of SET and INCRBY */
} field_step;

typedef struct field_program {
    field_step *steps;
    uint32_t step_count;
    uint64_t first_byte, end_byte; /* of all fields */
    uint64_t written_bytes;    /* how long the value must be for what is written; 0: nothing is */
} field_program;

/* ------------------------------------------------------------------ arguments */

/* i1 to i64, u1 to u63; 0 after an error reply. */
static int parse_type(fc_context *c, uint32_t index, fc_bits_field *field)
{
    const fc_arg *argument = &c->arguments[index];
    int64_t width;
    int is_signed = argument->bytes > 0 && argument->data[0] == 'i';
    if ((is_signed || (argument->bytes > 0 && argument->data[0] == 'u')) && fc_number_parse(argument->data + 1, argument->bytes - 1, &width) && width >= 1 &&
        width <= (is_signed ? 64 : 63)) {
        field->width = (uint32_t)width;
        field->is_signed = (uint32_t)is_signed;
        return 1;
    }
    fc_reply_error(c->reply, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
    return 0;
}

static int parse_overflow(fc_context *c, uint32_t index, enum fc_bits_overflow *overflow)
{
    const fc_arg *argument = &c->arguments[index];
    if (fc_arg_is(argument, "wrap")) *overflow = FC_BITS_WRAP;
    else if (fc_arg_is(argument, "sat")) *overflow = FC_BITS_SATURATE;
    else if (fc_arg_is(argument, "fail")) *overflow = FC_BITS_FAIL;
    else {
        fc_reply_error(c->reply, "ERR Invalid OVERFLOW type specified");
        return 0;
    }
    return 1;
}

static void add_step(field_program *program, const field_step *step)
{
    uint64_t first = fc_bits_field_byte(&step->field), end = first + fc_bits_field_bytes(&step->field);
    if (program->step_count == 0 || first < program->first_byte) program->first_byte = first;
    if (end > program->end_byte) program->end_byte = end;
    if (step->kind != FIELD_GET && end > program->written_bytes) program->written_bytes = end;
    program->steps[program->step_count++] = *step;
}

/* The step whose name is argument `index`; 0 after an error reply. *used: arguments it takes. */
static int parse_step(fc_context *c, uint32_t index, field_step *step, uint32_t *used)
{
    uint32_t left = c->argument_count - index - 1;
    if (left >= 2 && fc_arg_is(&c->arguments[index], "get")) step->kind = FIELD_GET;
    else if (left >= 3 && fc_arg_is(&c->arguments[index], "set")) step->kind = FIELD_SET;
    else if (left >= 3 && fc_arg_is(&c->arguments[index], "incrby")) step->kind = FIELD_INCRBY;
    else {
        fc_reply_error(c->reply, "ERR syntax error");
        return 0;
    }
    *used = step->kind == FIELD_GET ? 3 : 4;
    return parse_type(c, index + 1, &step->field) && fc_arg_bit_offset(c, index + 2, step->field.width, &step->field.first_bit) &&
           (step->kind == FIELD_GET || fc_arg_integer(c, index + 3, &step->number));
}

/* 0 after an error reply. */
static int parse_program(fc_context *c, int may_write, field_program *program)
{
    field_step step = {.overflow = FC_BITS_WRAP};
    for (uint32_t i = 2, used; i < c->argument_count; i += used) {
        if (fc_arg_is(&c->arguments[i], "overflow") && i + 1 < c->argument_count) {
            if (!parse_overflow(c, i + 1, &step.overflow)) return 0;
            used = 2;
            continue;
        }
        if (!parse_step(c, i, &step, &used)) return 0;
        add_step(program, &step);
    }
    if (may_write || program->written_bytes == 0) return 1;
    fc_reply_error(c->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    return 0;
}

/* ------------------------------------------------------------------ steps */

/* The field, of which `bytes` bytes are there from byte `first` on; what is not there is zero. */
static int64_t get_field(const fc_bits_field *field, const uint8_t *data, uint64_t first, uint64_t bytes)
{
    uint8_t window[FC_BITS_FIELD_BYTES_MAX] = {0};
    uint64_t at = fc_bits_field_byte(field) - first, wanted = fc_bits_field_bytes(field);
    uint64_t there = at >= bytes ? 0 : bytes - at < wanted ? bytes - at : wanted;
    if (there > 0) memcpy(window, data + at, there);
    return fc_bits_field_get(window, field);
}

static fc_status read_fields(fc_context *c, const field_program *program)
{
    fc_item item;
    fc_item_part part = {.bytes = 0};
    int64_t last = program->end_byte > 0 ? (int64_t)program->end_byte - 1 : 0;
    FC_TRY(fc_access_read_part(c, 1, (int64_t)program->first_byte, last, &item, &part));
    fc_reply_array(c->reply, program->step_count);
    for (uint32_t i = 0; i < program->step_count; i++) fc_reply_integer(c->reply, get_field(&program->steps[i].field, part.data, program->first_byte, part.bytes));
    return FC_OK;
}

/* Runs one step on the value, and replies. 1 if it changed something; an addition that succeeds does, as in Redis. */
static int run_step(fc_context *c, const field_step *step, uint8_t *data, uint64_t bytes)
{
    const fc_bits_field *field = &step->field;
    int64_t present = get_field(field, data, 0, bytes), next;
    if (step->kind == FIELD_GET) {
        fc_reply_integer(c->reply, present);
        return 0;
    }
    fc_status status = step->kind == FIELD_SET ? fc_bits_field_add(field, step->number, 0, step->overflow, &next) : fc_bits_field_add(field, present, step->number, step->overflow, &next);
    if (status != FC_OK) {
        fc_reply_null(c->reply);
        return 0;
    }
    fc_bits_field_set(data + fc_bits_field_byte(field), field, next);
    fc_reply_integer(c->reply, step->kind == FIELD_SET ? present : next);
    return step->kind == FIELD_INCRBY || next != present;
}

static fc_status edit_fields(fc_context *c, fc_item *item, const field_program *program)
{
    uint8_t *room;
    FC_TRY(fc_item_want_string(item));
    int is_changed = program->written_bytes > item->value_bytes;
    uint64_t bytes = program->written_bytes > item->value_bytes ? program->written_bytes : item->value_bytes;
    FC_TRY(fc_item_edit(c, item, bytes, &room));
    for (uint32_t i = 0; i < program->step_count; i++) is_changed |= run_step(c, &program->steps[i], room, bytes);
    if (!is_changed) fc_item_keep(item);
    return FC_OK;
}

static fc_status write_fields(fc_context *c, const field_program *program)
{
    fc_item item;
    FC_TRY(fc_item_open(c, 1, &item));
    fc_reply_array(c->reply, program->step_count); /* with what follows it is dropped, if the value cannot be published */
    return fc_item_close(c, &item, edit_fields(c, &item, program));
}

static fc_status run_program(fc_context *c, int may_write)
{
    field_program program = {.steps = fc_context_scratch(c, c->argument_count * sizeof(field_step))};
    if (program.steps == NULL) return fc_fail(FC_SYSTEM, "no memory for %u arguments", c->argument_count);
    if (!parse_program(c, may_write, &program)) return FC_OK;
    return program.written_bytes > 0 ? write_fields(c, &program) : read_fields(c, &program);
}

fc_status fc_cmd_bitfield(fc_context *c) { return run_program(c, 1); }
fc_status fc_cmd_bitfield_ro(fc_context *c) { return run_program(c, 0); }
