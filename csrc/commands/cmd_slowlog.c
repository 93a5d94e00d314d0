/* cmd_slowlog.c -- SLOWLOG over slow_log.h. */
#include "commands/context.h"
#include "commands/number.h"

fc_status fc_cmd_slowlog_len(fc_context *c)
{
    pthread_mutex_lock(&c->host->slow_log.lock);
    uint64_t count = c->host->slow_log.count;
    pthread_mutex_unlock(&c->host->slow_log.lock);
    fc_reply_integer(c->reply, (int64_t)count);
    return FC_OK;
}

fc_status fc_cmd_slowlog_reset(fc_context *c)
{
    fc_slow_log_reset(&c->host->slow_log);
    fc_reply_ok(c->reply);
    return FC_OK;
}

static void reply_entry(fc_reply *reply, const fc_slow_entry *entry)
{
    fc_reply_array(reply, 6);
    fc_reply_integer(reply, (int64_t)entry->id);
    fc_reply_integer(reply, (int64_t)entry->at_unix_s);
    fc_reply_integer(reply, (int64_t)entry->duration_us);
    fc_reply_array(reply, entry->argument_count);
    for (uint32_t i = 0; i < entry->argument_count; i++) fc_reply_bulk(reply, entry->arguments[i].data, entry->arguments[i].bytes);
    fc_reply_text(reply, entry->address);
    fc_reply_text(reply, entry->name);
}

fc_status fc_cmd_slowlog_get(fc_context *c)
{
    fc_slow_log *log = &c->host->slow_log;
    int64_t wanted = 10;
    if (c->argument_count == 3 && (!fc_number_parse(c->arguments[2].data, c->arguments[2].bytes, &wanted) || wanted < -1)) {
        fc_reply_error(c->reply, "ERR count should be greater than or equal to -1");
        return FC_OK;
    }
    pthread_mutex_lock(&log->lock);
    uint64_t count = wanted == -1 || (uint64_t)wanted > log->count ? log->count : (uint64_t)wanted;
    fc_reply_array(c->reply, count);
    for (const fc_slow_entry *entry = log->newest; count > 0; entry = entry->next, count--) reply_entry(c->reply, entry);
    pthread_mutex_unlock(&log->lock);
    return FC_OK;
}
