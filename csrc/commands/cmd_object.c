/* cmd_object.c -- OBJECT and MEMORY: what is known of a value, and of memory as a whole. */
#include "commands/access.h"
#include "commands/number.h"
#include "memory/size_class.h"
#include "table/block.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Redis tells a string of up to so many bytes as "embstr". Here it is one block either way. */
#define EMBEDDED_BYTES_MAX 44u
#define INTEGER_DIGITS_MAX 20u

/* The entry of argument `index`, without its bytes; FC_MISS. */
static fc_status look(fc_context *c, uint32_t index, fc_entry *entry)
{
    fc_key key;
    FC_TRY(fc_context_key(c, index, &key));
    return fc_get_entry(c->session, &key, NULL, 0, entry);
}

fc_status fc_cmd_object_encoding(fc_context *c)
{
    fc_item item;
    uint8_t *data;
    int64_t number;
    FC_TRY(fc_access_look(c, 2, &item));
    if (item.type == FC_TYPE_NONE) {
        fc_reply_null(c->reply);
        return FC_OK;
    }
    const char *encoding = item.value_bytes <= EMBEDDED_BYTES_MAX ? "embstr" : "raw";
    if (item.type == FC_TYPE_STRING && item.value_bytes <= INTEGER_DIGITS_MAX) {
        FC_TRY(fc_access_read(c, 2, &item, &data));
        if (data != NULL && fc_number_parse(data, item.value_bytes, &number)) encoding = "int";
    }
    fc_reply_text(c->reply, encoding);
    return FC_OK;
}

/* Time since the last write: reads leave no time behind, only a mark for eviction. */
fc_status fc_cmd_object_idletime(fc_context *c)
{
    fc_entry entry;
    fc_status status = look(c, 2, &entry);
    if (status == FC_OK) fc_reply_integer(c->reply, (int64_t)(entry.age_ns / 1000000000));
    else if (status == FC_MISS) fc_reply_null(c->reply);
    return status == FC_MISS ? FC_OK : status;
}

fc_status fc_cmd_object_freq(fc_context *c)
{
    fc_entry entry;
    fc_status status = look(c, 2, &entry);
    if (status == FC_MISS) fc_reply_null(c->reply);
    else if (status == FC_OK)
        fc_reply_error(c->reply, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.");
    return status == FC_MISS ? FC_OK : status;
}

/* A published value is in one place, and has one owner: the segment. */
fc_status fc_cmd_object_refcount(fc_context *c)
{
    fc_entry entry;
    fc_status status = look(c, 2, &entry);
    if (status == FC_OK) fc_reply_integer(c->reply, 1);
    else if (status == FC_MISS) fc_reply_null(c->reply);
    return status == FC_MISS ? FC_OK : status;
}

/* ------------------------------------------------------------------ MEMORY */

/* What the allocator gives for a key and value: a block of some class, and whole pages for the rest of a long value. */
static uint64_t bytes_taken(uint64_t key_bytes, const fc_entry *entry)
{
    fc_shape shape;
    fc_block_shape(key_bytes, entry->value_bytes, entry->schema != 0, &shape);
    return fc_class_bytes[fc_class_for(shape.head_bytes)] + shape.node_count * FC_PAGE_BYTES;
}

fc_status fc_cmd_memory_usage(fc_context *c)
{
    fc_entry entry;
    int64_t samples;
    if (c->argument_count == 5 && fc_arg_is(&c->arguments[3], "samples")) {
        if (!fc_arg_integer(c, 4, &samples)) return FC_OK;
        if (samples < 0) {
            fc_reply_error(c->reply, "ERR syntax error");
            return FC_OK;
        }
    } else if (c->argument_count != 3) {
        fc_reply_error(c->reply, "ERR syntax error");
        return FC_OK;
    }
    fc_status status = look(c, 2, &entry);
    if (status == FC_OK) fc_reply_integer(c->reply, (int64_t)bytes_taken(c->arguments[2].bytes, &entry));
    else if (status == FC_MISS) fc_reply_null(c->reply);
    return status == FC_MISS ? FC_OK : status;
}

static void pair(fc_context *c, const char *name, uint64_t number, uint64_t *count)
{
    fc_reply_text(c->reply, name);
    fc_reply_integer(c->reply, (int64_t)number);
    (*count)++;
}

fc_status fc_cmd_memory_stats(fc_context *c)
{
    fc_stats stats;
    fc_cache_info info;
    fc_server_figures figures = {0};
    uint64_t mark = fc_reply_mark(c->reply), count = 0;
    FC_TRY(fc_cache_stats(c->cache, &stats));
    FC_TRY(fc_cache_describe(c->cache, &info));
    if (c->host->hooks.tell_figures != NULL) c->host->hooks.tell_figures(c->host->hooks.server, &figures);
    uint64_t index_bytes = info.size_bytes - info.arena_bytes;
    pair(c, "peak.allocated", info.size_bytes, &count);
    pair(c, "total.allocated", index_bytes + stats.used_bytes + stats.magazine_bytes, &count);
    pair(c, "startup.allocated", index_bytes, &count);
    pair(c, "replication.backlog", 0, &count);
    pair(c, "clients.slaves", 0, &count);
    pair(c, "clients.normal", figures.connection_bytes, &count);
    pair(c, "aof.buffer", 0, &count);
    pair(c, "overhead.total", index_bytes + stats.magazine_bytes, &count);
    pair(c, "keys.count", stats.key_count, &count);
    pair(c, "keys.bytes-per-key", stats.key_count > 0 ? stats.used_bytes / stats.key_count : 0, &count);
    pair(c, "dataset.bytes", stats.used_bytes, &count);
    pair(c, "segment.bytes", info.size_bytes, &count);
    pair(c, "segment.arena-bytes", stats.arena_bytes, &count);
    pair(c, "segment.free-bytes", stats.free_bytes, &count);
    pair(c, "segment.magazine-bytes", stats.magazine_bytes, &count);
    pair(c, "segment.pages-moved", stats.pages_moved, &count);
    fc_reply_insert_header(c->reply, mark, '%', count);
    return FC_OK;
}

fc_status fc_cmd_memory_doctor(fc_context *c)
{
    fc_stats stats;
    char text[512];
    FC_TRY(fc_cache_stats(c->cache, &stats));
    double full = stats.arena_bytes > 0 ? 100.0 * (double)stats.used_bytes / (double)stats.arena_bytes : 0;
    const char *finding = stats.out_of_memory > 0 ? "Writes were refused for want of memory: a larger segment, or another maxmemory-policy, helps."
                          : full > 90             ? "The segment is nearly full; soon keys will be evicted, or writes refused, by maxmemory-policy."
                                                  : "Nothing is wrong.";
    int bytes = snprintf(text, sizeof text, "%.1f%% of the segment's %" PRIu64 " bytes for values are in use, by %" PRIu64 " keys; %" PRIu64 " were evicted. %s\n", full, stats.arena_bytes,
                         stats.key_count, stats.evicted, finding);
    fc_reply_verbatim(c->reply, "txt", text, (uint64_t)bytes);
    return FC_OK;
}

/* There is nothing to give back: the segment was reserved in full when it was made. */
fc_status fc_cmd_memory_purge(fc_context *c)
{
    fc_reply_ok(c->reply);
    return FC_OK;
}

static int32_t tell_class(void *context, const fc_class_info *info)
{
    fc_reply *text = context;
    char line[160];
    static const char *const kinds[] = {"free pages", "values", "long values", "buckets"};
    int bytes = snprintf(line, sizeof line, "%-12s %8u bytes: %8" PRIu64 " pages, %10" PRIu64 " blocks, %10" PRIu64 " free, %8" PRIu64 " in magazines\n",
                         info->kind < sizeof kinds / sizeof kinds[0] ? kinds[info->kind] : "?", info->block_bytes, info->pages, info->blocks, info->free_blocks, info->magazine_blocks);
    fc_reply_raw(text, line, (uint64_t)bytes);
    return 0;
}

fc_status fc_cmd_memory_malloc_stats(fc_context *c)
{
    fc_reply text = {.protocol = 2};
    fc_status status = fc_cache_classes(c->cache, tell_class, &text);
    if (status == FC_OK) fc_reply_verbatim(c->reply, "txt", text.data, text.bytes);
    fc_reply_free(&text);
    return status;
}
