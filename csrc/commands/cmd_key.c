/* cmd_key.c -- keys whatever they hold: DEL, EXISTS, TYPE. */
#include "commands/access.h"

/* Several keys make it a transaction (flag ATOMIC): all of them are there or gone at one instant. */
fc_status fc_cmd_del(fc_context *c)
{
    int64_t deleted_count = 0;
    for (uint32_t i = 1; i < c->argument_count; i++) {
        fc_item item;
        FC_TRY(fc_item_open(c, i, &item));
        int exists = item.type != FC_TYPE_NONE;
        if (exists) fc_item_delete(c, &item);
        FC_TRY(fc_item_close(c, &item, FC_OK));
        deleted_count += exists;
    }
    fc_reply_integer(c->reply, deleted_count);
    return FC_OK;
}

/* Which of the keys are there at one instant: a cut that copies nothing. */
static fc_status count_in_cut(fc_context *c, uint32_t count, int64_t *found_count)
{
    fc_key *keys = fc_context_scratch(c, count * (sizeof *keys + sizeof(fc_read)));
    if (keys == NULL) return fc_fail(FC_SYSTEM, "no memory for %u keys", count);
    fc_read *reads = (fc_read *)(keys + count);
    memset(reads, 0, count * sizeof *reads);
    for (uint32_t i = 0; i < count; i++) FC_TRY(fc_context_key(c, i + 1, &keys[i]));
    FC_TRY(fc_get_cut(c->session, keys, reads, count));
    for (uint32_t i = 0; i < count; i++) *found_count += reads[i].status != FC_MISS;
    return FC_OK;
}

fc_status fc_cmd_exists(fc_context *c)
{
    uint32_t count = c->argument_count - 1;
    int64_t found_count = 0;
    if (count > 1 && c->transaction == NULL) FC_TRY(count_in_cut(c, count, &found_count));
    else
        for (uint32_t i = 1; i <= count; i++) {
            fc_item item;
            FC_TRY(fc_access_look(c, i, &item));
            found_count += item.type != FC_TYPE_NONE;
        }
    fc_reply_integer(c->reply, found_count);
    return FC_OK;
}

fc_status fc_cmd_type(fc_context *c)
{
    fc_item item;
    FC_TRY(fc_access_look(c, 1, &item));
    fc_reply_simple(c->reply, item.type == FC_TYPE_STRING ? "string" : "none");
    return FC_OK;
}
