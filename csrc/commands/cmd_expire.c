/* cmd_expire.c -- EXPIRE and its kin: when a key dies. Deadlines are wall-clock nanoseconds; a deadline that has come deletes. */
#include "commands/access.h"
#include "commands/number.h"

#define EXPIRE_NX 1u
#define EXPIRE_XX 2u
#define EXPIRE_GT 4u
#define EXPIRE_LT 8u

/* 0 after an error reply. */
static int parse_conditions(fc_context *c, uint32_t *conditions)
{
    static const struct { const char *word; uint32_t condition; } words[] = {{"nx", EXPIRE_NX}, {"xx", EXPIRE_XX}, {"gt", EXPIRE_GT}, {"lt", EXPIRE_LT}};
    *conditions = 0;
    for (uint32_t i = 3; i < c->argument_count; i++) {
        uint32_t condition = 0;
        for (size_t j = 0; j < sizeof words / sizeof words[0]; j++)
            if (fc_arg_is(&c->arguments[i], words[j].word)) condition = words[j].condition;
        if (condition == 0) {
            fc_reply_error(c->reply, "ERR Unsupported option %.*s", c->arguments[i].bytes < 128 ? (int)c->arguments[i].bytes : 128, (const char *)c->arguments[i].data);
            return 0;
        }
        *conditions |= condition;
    }
    if ((*conditions & EXPIRE_NX) != 0 && *conditions != EXPIRE_NX) {
        fc_reply_error(c->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return 0;
    }
    if ((*conditions & (EXPIRE_GT | EXPIRE_LT)) == (EXPIRE_GT | EXPIRE_LT)) {
        fc_reply_error(c->reply, "ERR GT and LT options at the same time are not compatible");
        return 0;
    }
    return 1;
}

/* A key without expiry counts as one that never dies. */
static int conditions_hold(uint64_t present, uint64_t wanted, uint32_t conditions)
{
    if ((conditions & EXPIRE_NX) != 0 && present != 0) return 0;
    if ((conditions & EXPIRE_XX) != 0 && present == 0) return 0;
    if ((conditions & EXPIRE_GT) != 0 && (present == 0 || wanted <= present)) return 0;
    if ((conditions & EXPIRE_LT) != 0 && present != 0 && wanted >= present) return 0;
    return 1;
}

static fc_status expire(fc_context *c, enum fc_time_unit unit, int is_absolute)
{
    fc_item item;
    uint32_t conditions;
    uint64_t expires_unix_ns;
    if (!parse_conditions(c, &conditions) || !fc_arg_deadline(c, 2, unit, is_absolute, 0, &expires_unix_ns)) return FC_OK;
    FC_TRY(fc_item_open(c, 1, &item));
    int changes = item.type != FC_TYPE_NONE && conditions_hold(item.expires_unix_ns, expires_unix_ns, conditions);
    FC_TRY(fc_item_close(c, &item, changes ? fc_item_expire(c, &item, expires_unix_ns) : FC_OK));
    fc_reply_integer(c->reply, changes);
    return FC_OK;
}

fc_status fc_cmd_expire(fc_context *c) { return expire(c, FC_TIME_SECONDS, 0); }
fc_status fc_cmd_pexpire(fc_context *c) { return expire(c, FC_TIME_MILLISECONDS, 0); }
fc_status fc_cmd_expireat(fc_context *c) { return expire(c, FC_TIME_SECONDS, 1); }
fc_status fc_cmd_pexpireat(fc_context *c) { return expire(c, FC_TIME_MILLISECONDS, 1); }

fc_status fc_cmd_persist(fc_context *c)
{
    fc_item item;
    FC_TRY(fc_item_open(c, 1, &item));
    int changes = item.type != FC_TYPE_NONE && item.expires_unix_ns != 0;
    FC_TRY(fc_item_close(c, &item, changes ? fc_item_expire(c, &item, 0) : FC_OK));
    fc_reply_integer(c->reply, changes);
    return FC_OK;
}

/* ------------------------------------------------------------------ asking */

/* -2 for a missing key, -1 for one that never dies, else milliseconds: until then, or since 1970. */
static fc_status deadline_ms(fc_context *c, int is_absolute, int64_t *milliseconds)
{
    fc_item item;
    FC_TRY(fc_access_look(c, 1, &item));
    if (item.type == FC_TYPE_NONE) *milliseconds = -2;
    else if (item.expires_unix_ns == 0) *milliseconds = -1;
    else if (is_absolute) *milliseconds = (int64_t)(item.expires_unix_ns / 1000000);
    else {
        uint64_t now_unix_ns = fc_clock_unix_ns();
        *milliseconds = item.expires_unix_ns <= now_unix_ns ? 0 : (int64_t)((item.expires_unix_ns - now_unix_ns + 999999) / 1000000);
    }
    return FC_OK;
}

static fc_status reply_deadline(fc_context *c, int is_absolute, int64_t unit_ms)
{
    int64_t milliseconds = 0;
    FC_TRY(deadline_ms(c, is_absolute, &milliseconds));
    if (milliseconds >= 0) milliseconds = (milliseconds + unit_ms / 2) / unit_ms;
    fc_reply_integer(c->reply, milliseconds);
    return FC_OK;
}

fc_status fc_cmd_ttl(fc_context *c) { return reply_deadline(c, 0, 1000); }
fc_status fc_cmd_pttl(fc_context *c) { return reply_deadline(c, 0, 1); }
fc_status fc_cmd_expiretime(fc_context *c) { return reply_deadline(c, 1, 1000); }
fc_status fc_cmd_pexpiretime(fc_context *c) { return reply_deadline(c, 1, 1); }
