/* test_schema.c -- record layouts known by their hash (csrc/table/schema.c). */
#include "../memory/audit.h"

/* One text, one id, in every segment; another text another id; the text comes back; unknown ids are missing. */
static void a_text_has_one_id_everywhere(void)
{
    fixture one = check_open(1 << 20), two = check_open(1 << 20);
    uint64_t a = 0, b = 0, c = 0, bytes = 99;
    char text[64];
    CHECK_OK(fc_schema_register(one.session, "[('bid','<f8')]", 15, &a));
    CHECK_OK(fc_schema_register(one.session, "[('bid','<f8')]", 15, &b));
    CHECK_OK(fc_schema_register(two.session, "[('bid','<f8')]", 15, &c));
    CHECK(a != 0 && a == b && a == c);
    CHECK_OK(fc_schema_register(one.session, "[('ask','<f8')]", 15, &b));
    CHECK(a != b);
    CHECK_OK(fc_schema_id("[('ask','<f8')]", 15, &c));
    CHECK_EQUAL(b, c);
    CHECK_OK(fc_schema_text(one.session, a, text, sizeof text, &bytes));
    CHECK(bytes == 15 && memcmp(text, "[('bid','<f8')]", 15) == 0);
    CHECK_STATUS(FC_BUFFER_SMALL, fc_schema_text(one.session, a, text, 14, &bytes));
    CHECK_STATUS(FC_MISS, fc_schema_text(two.session, b, text, sizeof text, &bytes));
    CHECK_STATUS(FC_MISS, fc_schema_text(two.session, 0, text, sizeof text, &bytes));
    check_close(&one);
    check_close(&two);
}

/* Texts of 1 to FC_SCHEMA_BYTES_MAX bytes; no others. */
static void texts_have_a_length(void)
{
    fixture made = check_open(1 << 20);
    static char text[FC_SCHEMA_BYTES_MAX + 1];
    uint64_t id = 77;
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_register(made.session, text, 0, &id));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_register(made.session, text, FC_SCHEMA_BYTES_MAX + 1, &id));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_register(made.session, NULL, 5, &id));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_register(made.session, text, 5, NULL));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_id(text, 0, &id));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_id(text, FC_SCHEMA_BYTES_MAX + 1, &id));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_id(NULL, 5, &id));
    CHECK_STATUS(FC_INVALID_ARGUMENT, fc_schema_id(text, 5, NULL));
    CHECK_EQUAL(77, id);
    CHECK_OK(fc_schema_register(made.session, text, 1, &id));
    CHECK_OK(fc_schema_register(made.session, text, FC_SCHEMA_BYTES_MAX, &id));
    check_close(&made);
}

/* Schemas are no keys: flush_all leaves them, counts and scans do not show them. */
static void schemas_are_no_keys(void)
{
    fixture made = check_open(1 << 20);
    uint64_t id, bytes, cursor = 0;
    char text[16];
    struct { const fixture *made; uint32_t database; } nothing = {&made, 0};
    CHECK_OK(fc_schema_register(made.session, "text", 4, &id));
    CHECK_OK(fc_flush_all(made.session));
    CHECK_OK(fc_schema_text(made.session, id, text, sizeof text, &bytes));
    CHECK_EQUAL(0, check_stats(&made).key_count);
    CHECK_OK(fc_scan(made.session, 0, &cursor, 1000, check_delete_visited, &nothing));
    CHECK_OK(fc_schema_text(made.session, id, text, sizeof text, &bytes));
    check_close(&made);
}

/* A record may be replaced by one of its own schema, or by bytes; not by a record of another one. */
static void a_record_keeps_its_schema(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t one, two;
    fc_entry entry;
    CHECK_OK(fc_schema_register(made.session, "one", 3, &one));
    CHECK_OK(fc_schema_register(made.session, "two", 3, &two));
    fc_set_options as_one = {.flags = FC_SET_SCHEMA, .schema = one}, as_two = {.flags = FC_SET_SCHEMA, .schema = two};
    CHECK_OK(fc_set(made.session, &key, "1", 1, NULL, NULL));
    CHECK_OK(fc_set(made.session, &key, "2", 1, &as_one, NULL));
    CHECK_OK(fc_set(made.session, &key, "3", 1, &as_one, NULL));
    CHECK_STATUS(FC_SCHEMA_MISMATCH, fc_set(made.session, &key, "4", 1, &as_two, NULL));
    CHECK(check_holds(&made, "k", "3"));
    CHECK_OK(fc_expire(made.session, &key, UINT64_MAX, 0));
    CHECK_OK(fc_get_entry(made.session, &key, NULL, 0, &entry));
    CHECK_EQUAL(one, entry.schema);
    CHECK_OK(fc_set(made.session, &key, "5", 1, NULL, NULL));
    CHECK_OK(fc_set(made.session, &key, "6", 1, &as_two, NULL));
    check_close(&made);
}

int main(void)
{
    RUN(a_text_has_one_id_everywhere);
    RUN(texts_have_a_length);
    RUN(schemas_are_no_keys);
    RUN(a_record_keeps_its_schema);
    return check_report();
}
