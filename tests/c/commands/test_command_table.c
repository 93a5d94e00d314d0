/* test_command_table.c -- the table is sound, and every name leads to its row. */
#include "check.h"
#include "commands/command.h"

#include <ctype.h>

static const fc_command *find(const fc_command_names *names, const char *name) { return fc_command_find(names, (const uint8_t *)name, strlen(name)); }

static void every_name_is_found_in_any_case(void)
{
    fc_command_names names;
    fc_command_names_init(&names);
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
        const fc_command *row = &fc_command_rows[id];
        char upper[64] = {0};
        CHECK_EQUAL(id, row->id);
        CHECK(strlen(row->name) < sizeof upper);
        for (size_t i = 0; row->name[i] != '\0'; i++) upper[i] = (char)toupper((unsigned char)row->name[i]);
        if (row->parent < 0) {
            CHECK(find(&names, row->name) == row);
            CHECK(find(&names, upper) == row);
        } else {
            CHECK(fc_command_find_sub(&fc_command_rows[row->parent], (const uint8_t *)upper, strlen(upper)) == row);
            CHECK(find(&names, row->full_name) == NULL);
        }
        CHECK(fc_command_find_full(&names, (const uint8_t *)row->full_name, strlen(row->full_name)) == row);
    }
    CHECK(find(&names, "") == NULL);
    CHECK(find(&names, "gett") == NULL);
    CHECK(find(&names, "ge") == NULL);
    CHECK(fc_command_find(&names, (const uint8_t *)"get\0", 4) == NULL);
    CHECK(fc_command_find(&names, (const uint8_t *)"get\0set\0 and more\0\0", 17) == NULL);
    CHECK(fc_command_find_sub(&fc_command_rows[FC_CMD_CONFIG], (const uint8_t *)"get\0set\0", 9) == NULL);
    CHECK(find(&names, "a name that is much longer than any command there is, and then some") == NULL);
}

static void rows_are_sound(void)
{
    for (uint32_t id = 0; id < FC_COMMAND_COUNT; id++) {
        const fc_command *row = &fc_command_rows[id];
        CHECK(row->arity != 0 && row->handler != NULL && row->summary[0] != '\0' && row->since[0] != '\0');
        CHECK((row->handler == fc_cmd_container) <= fc_command_is_container(row));
        CHECK(row->parent < (int32_t)id);
        CHECK((row->flags & FC_COMMAND_WRITE) == 0 || (row->flags & FC_COMMAND_READONLY) == 0);
        CHECK((row->first_key == 0) == (row->last_key == 0) && (row->first_key == 0) == (row->key_step == 0));
        CHECK(row->first_key == 0 || row->first_key < (row->arity < 0 ? -row->arity : row->arity));
    }
}

static void names_can_be_changed_and_taken_out(void)
{
    fc_command_names names;
    fc_command_names_init(&names);
    CHECK_OK(fc_command_names_change(&names, "flushall", "x-flush"));
    CHECK(find(&names, "FLUSHALL") == NULL);
    CHECK(find(&names, "X-FLUSH") == &fc_command_rows[FC_CMD_FLUSHALL]);
    CHECK_OK(fc_command_names_change(&names, "flushdb", ""));
    CHECK(find(&names, "flushdb") == NULL);
    CHECK_STATUS(FC_MISS, fc_command_names_change(&names, "flushdb", "y"));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_command_names_change(&names, "set", "GET"));
    CHECK(find(&names, "set") == &fc_command_rows[FC_CMD_SET]);
}

typedef struct key_collector {
    fc_key_sink sink;          /* first */
    uint32_t indexes[16];
    uint32_t count;
} key_collector;

static fc_status collect(fc_key_sink *sink, uint32_t index, uint32_t database)
{
    key_collector *this = (key_collector *)sink;
    CHECK_EQUAL(3, database);
    this->indexes[this->count++] = index;
    return FC_OK;
}

static key_collector keys_of(uint32_t id, uint32_t argument_count)
{
    fc_arg arguments[7] = {{.data = (const uint8_t *)"x", .bytes = 1}};
    key_collector found = {.sink = {.take = collect}};
    CHECK_OK(fc_command_visit_keys(&fc_command_rows[id], arguments, argument_count, 3, &found.sink));
    return found;
}

static void keys_are_where_the_row_says(void)
{
    key_collector mset = keys_of(FC_CMD_MSET, 7), del = keys_of(FC_CMD_DEL, 3);
    CHECK(mset.count == 3 && mset.indexes[0] == 1 && mset.indexes[1] == 3 && mset.indexes[2] == 5);
    CHECK(del.count == 2 && del.indexes[1] == 2);
    CHECK_EQUAL(1, keys_of(FC_CMD_GET, 2).count);
    CHECK_EQUAL(0, keys_of(FC_CMD_PING, 2).count);
}

int main(void)
{
    RUN(every_name_is_found_in_any_case);
    RUN(rows_are_sound);
    RUN(names_can_be_changed_and_taken_out);
    RUN(keys_are_where_the_row_says);
    return check_report();
}
