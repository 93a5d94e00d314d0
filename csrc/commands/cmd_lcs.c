/* cmd_lcs.c -- LCS: what two strings have in common, in order. The search is csrc/types/common_subsequence.c's. */
#include "commands/access.h"
#include "commands/number.h"
#include "types/common_subsequence.h"

typedef struct lcs_options {
    int wants_length;
    int wants_indexes;
    int wants_match_lengths;
    int64_t match_bytes_min;
} lcs_options;

/* The two values, and where the answer is put together. */
typedef struct lcs_task {
    fc_context *c;
    lcs_options options;
    const uint8_t *a, *b;
    uint64_t a_bytes, b_bytes;
    uint64_t length;           /* of the common subsequence */
    uint8_t *text;             /* LCS itself: filled from its end */
    uint64_t text_left;
    uint64_t match_count;      /* IDX */
} lcs_task;

/* 0 after an error reply. */
static int parse_options(fc_context *c, lcs_options *options)
{
    *options = (lcs_options){.match_bytes_min = 0};
    for (uint32_t i = 3; i < c->argument_count; i++) {
        const fc_arg *argument = &c->arguments[i];
        if (fc_arg_is(argument, "idx")) options->wants_indexes = 1;
        else if (fc_arg_is(argument, "len")) options->wants_length = 1;
        else if (fc_arg_is(argument, "withmatchlen")) options->wants_match_lengths = 1;
        else if (fc_arg_is(argument, "minmatchlen") && i + 1 < c->argument_count) {
            if (!fc_arg_integer(c, ++i, &options->match_bytes_min)) return 0;
        } else {
            fc_reply_error(c->reply, "ERR syntax error");
            return 0;
        }
    }
    if (!options->wants_indexes || !options->wants_length) return 1;
    fc_reply_error(c->reply, "ERR If you want both the length and indexes, please just use IDX.");
    return 0;
}

/* Both values at one instant; a missing key is an empty one. FC_WRONG_TYPE. */
static fc_status read_values(fc_context *c, lcs_task *task)
{
    if (c->transaction != NULL) {
        fc_item item;
        uint8_t *data;
        FC_TRY(fc_access_read(c, 1, &item, &data));
        task->a = data;
        task->a_bytes = item.type == FC_TYPE_NONE ? 0 : item.value_bytes;
        FC_TRY(fc_access_read(c, 2, &item, &data));
        task->b = data;
        task->b_bytes = item.type == FC_TYPE_NONE ? 0 : item.value_bytes;
        return FC_OK;
    }
    fc_read *reads;
    FC_TRY(fc_access_read_cut(c, 1, 2, &reads));
    for (uint32_t i = 0; i < 2; i++) if (reads[i].status != FC_OK && reads[i].status != FC_MISS) return reads[i].status;
    task->a = reads[0].buffer;
    task->b = reads[1].buffer;
    task->a_bytes = reads[0].status == FC_OK ? reads[0].value_bytes : 0;
    task->b_bytes = reads[1].status == FC_OK ? reads[1].value_bytes : 0;
    return FC_OK;
}

static void take_text(void *context, const fc_subsequence_part *part)
{
    lcs_task *task = context;
    task->text_left -= part->bytes;
    memcpy(task->text + task->text_left, task->a + part->a_first, part->bytes);
}

static void reply_place(fc_reply *reply, uint64_t first, uint64_t bytes)
{
    fc_reply_array(reply, 2);
    fc_reply_integer(reply, (int64_t)first);
    fc_reply_integer(reply, (int64_t)(first + bytes) - 1);
}

static void take_match(void *context, const fc_subsequence_part *part)
{
    lcs_task *task = context;
    fc_reply *reply = task->c->reply;
    if ((int64_t)part->bytes < task->options.match_bytes_min) return;
    task->match_count++;
    fc_reply_array(reply, task->options.wants_match_lengths ? 3 : 2);
    reply_place(reply, part->a_first, part->bytes);
    reply_place(reply, part->b_first, part->bytes);
    if (task->options.wants_match_lengths) fc_reply_integer(reply, (int64_t)part->bytes);
}

/* Memory for the search is limited as values are. */
static fc_status search(lcs_task *task, fc_subsequence_visit visit)
{
    uint64_t memory_bytes_max = (uint64_t)fc_config_number(&task->c->host->config, FC_CONFIG_PROTO_MAX_BULK_LEN);
    return fc_common_subsequence(task->a, task->a_bytes, task->b, task->b_bytes, memory_bytes_max, visit, task, &task->length);
}

static fc_status reply_indexes(lcs_task *task)
{
    fc_reply *reply = task->c->reply;
    fc_reply_map(reply, 2);
    fc_reply_text(reply, "matches");
    uint64_t mark = fc_reply_mark(reply);
    FC_TRY(search(task, take_match));
    fc_reply_insert_header(reply, mark, '*', task->match_count);
    fc_reply_text(reply, "len");
    fc_reply_integer(reply, (int64_t)task->length);
    return FC_OK;
}

static fc_status reply_text(lcs_task *task)
{
    uint64_t bytes_max = task->a_bytes < task->b_bytes ? task->a_bytes : task->b_bytes;
    task->text = fc_context_scratch(task->c, bytes_max + 1);
    if (task->text == NULL) return fc_fail(FC_SYSTEM, "no memory for %llu bytes", (unsigned long long)bytes_max);
    task->text_left = bytes_max;
    FC_TRY(search(task, take_text));
    fc_reply_bulk(task->c->reply, task->text + task->text_left, task->length);
    return FC_OK;
}

static fc_status reply_length(lcs_task *task)
{
    FC_TRY(search(task, NULL));
    fc_reply_integer(task->c->reply, (int64_t)task->length);
    return FC_OK;
}

fc_status fc_cmd_lcs(fc_context *c)
{
    lcs_task task = {.c = c};
    uint64_t mark = fc_reply_mark(c->reply);
    fc_status status = read_values(c, &task);
    if (status == FC_WRONG_TYPE) {
        fc_reply_error(c->reply, "ERR The specified keys must contain string values");
        return FC_OK;
    }
    FC_TRY(status);
    if (!parse_options(c, &task.options)) return FC_OK;
    status = task.options.wants_indexes ? reply_indexes(&task) : task.options.wants_length ? reply_length(&task) : reply_text(&task);
    if (status != FC_SYSTEM) return status;
    fc_reply_truncate(c->reply, mark);
    fc_reply_error(c->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
    return FC_OK;
}
