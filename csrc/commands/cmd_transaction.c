/* cmd_transaction.c -- MULTI, EXEC, DISCARD, WATCH, UNWATCH. What they promise: transaction.h. */
#include "commands/transaction.h"

#include "table/lookup.h"

fc_status fc_cmd_multi(fc_context *c)
{
    if ((c->client->flags & FC_CLIENT_MULTI) != 0) {
        fc_reply_error(c->reply, "ERR MULTI calls can not be nested");
        return FC_OK;
    }
    if (fc_multi_queue_of(c->client) == NULL) return fc_fail(FC_SYSTEM, "no memory for a transaction");
    c->client->flags |= FC_CLIENT_MULTI;
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_discard(fc_context *c)
{
    if ((c->client->flags & FC_CLIENT_MULTI) == 0) {
        fc_reply_error(c->reply, "ERR DISCARD without MULTI");
        return FC_OK;
    }
    fc_transaction_forget(c->client);
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_exec(fc_context *c)
{
    fc_client *client = c->client;
    if ((client->flags & FC_CLIENT_MULTI) == 0) {
        fc_reply_error(c->reply, "ERR EXEC without MULTI");
        return FC_OK;
    }
    if ((client->flags & FC_CLIENT_DIRTY_EXEC) != 0) {
        fc_reply_error(c->reply, "EXECABORT Transaction discarded because of previous errors.");
        fc_transaction_forget(client);
        return FC_OK;
    }
    client->flags &= ~(uint64_t)FC_CLIENT_MULTI;
    fc_status status = fc_transaction_run_queue(c, client->queue);
    if (status == FC_BUSY) {
        client->flags |= FC_CLIENT_MULTI;
        return status;
    }
    fc_transaction_forget(client);
    return status;
}

fc_status fc_cmd_watch(fc_context *c)
{
    if ((c->client->flags & FC_CLIENT_MULTI) != 0) {
        fc_reply_error(c->reply, "ERR WATCH inside MULTI is not allowed");
        return FC_OK;
    }
    fc_multi_queue *queue = fc_multi_queue_of(c->client);
    for (uint32_t i = 1; queue != NULL && i < c->argument_count; i++) {
        fc_key key;
        fc_item item;
        FC_TRY(fc_context_key(c, i, &key));
        uint64_t home_version = fc_load_acquire(&fc_home_of(c->session, key.hash)->version); /* [bucket.version] */
        FC_TRY(fc_access_look(c, i, &item));
        if (!fc_multi_queue_watches(queue, &key) && !fc_multi_queue_watch(queue, &key, item.version, home_version)) queue = NULL;
    }
    if (queue == NULL) return fc_fail(FC_SYSTEM, "no memory for watched keys");
    fc_reply_ok(c->reply);
    return FC_OK;
}

fc_status fc_cmd_unwatch(fc_context *c)
{
    /* Run by EXEC it changes nothing: EXEC forgets what is watched in any case, and still reads it. */
    if (c->request != NULL) fc_multi_queue_drop_watched(c->client->queue);
    fc_reply_ok(c->reply);
    return FC_OK;
}
