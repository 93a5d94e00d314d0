/* test_t_string.c -- INCR, INCRBYFLOAT, APPEND, SETRANGE as Redis 7 does them (csrc/types/t_string.c). */
#include "../memory/audit.h"

static void set_bytes(const fixture *made, const void *value, uint64_t bytes)
{
    fc_key key = check_key(made, "k");
    if (value == NULL) (void)!fc_delete(made->session, &key);
    else CHECK_OK(fc_set(made->session, &key, value, bytes, NULL, NULL));
}

/* Integers: Redis's idea of one (no plus sign, no leading zero, no space), and nothing changes on an error. */
static void increment_takes_what_redis_takes(void)
{
    static const struct { const char *present; int64_t delta; fc_status status; const char *after; } rows[] = {
        {NULL, 1, FC_OK, "1"}, {NULL, -7, FC_OK, "-7"}, {NULL, 0, FC_OK, "0"}, {NULL, INT64_MIN, FC_OK, "-9223372036854775808"},
        {"0", 5, FC_OK, "5"}, {"10", -10, FC_OK, "0"}, {"-1", 2, FC_OK, "1"}, {"17179869184", 17179869184, FC_OK, "34359738368"},
        {"9223372036854775806", 1, FC_OK, "9223372036854775807"}, {"9223372036854775807", 1, FC_OVERFLOW, "9223372036854775807"},
        {"-9223372036854775808", -1, FC_OVERFLOW, "-9223372036854775808"}, {"-9223372036854775808", 1, FC_OK, "-9223372036854775807"},
        {"9223372036854775807", INT64_MIN, FC_OK, "-1"}, {"9223372036854775808", 0, FC_NOT_INTEGER, "9223372036854775808"},
        {"-9223372036854775809", 0, FC_NOT_INTEGER, "-9223372036854775809"}, {"18446744073709551616", 1, FC_NOT_INTEGER, "18446744073709551616"},
        {"99999999999999999999", 1, FC_NOT_INTEGER, "99999999999999999999"}, {"", 1, FC_NOT_INTEGER, ""}, {" 1", 1, FC_NOT_INTEGER, " 1"},
        {"1 ", 1, FC_NOT_INTEGER, "1 "}, {"+1", 1, FC_NOT_INTEGER, "+1"}, {"01", 1, FC_NOT_INTEGER, "01"}, {"-0", 1, FC_NOT_INTEGER, "-0"}, {"-", 1, FC_NOT_INTEGER, "-"},
        {"--1", 1, FC_NOT_INTEGER, "--1"}, {"1.0", 1, FC_NOT_INTEGER, "1.0"}, {"1e3", 1, FC_NOT_INTEGER, "1e3"}, {"0x10", 1, FC_NOT_INTEGER, "0x10"}, {"abc", 1, FC_NOT_INTEGER, "abc"},
        {"12345678901234567890123456789", 1, FC_NOT_INTEGER, "12345678901234567890123456789"},
    };
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t value = 4242;
        set_bytes(&made, rows[i].present, rows[i].present != NULL ? strlen(rows[i].present) : 0);
        fc_status status = fc_increment(made.session, &key, rows[i].delta, &value);
        if (!CHECK_STATUS(rows[i].status, status) || !CHECK(check_holds(&made, "k", rows[i].after))) fprintf(stderr, "  row %zu\n", i);
        if (status == FC_OK) CHECK_EQUAL(strtoll(rows[i].after, NULL, 10), value);
        else CHECK_EQUAL(4242, value);
    }
    set_bytes(&made, "1\0002", 3); /* a NUL inside is no digit */
    int64_t value;
    CHECK_STATUS(FC_NOT_INTEGER, fc_increment(made.session, &key, 1, &value));
    audit_segment(made.session);
    check_close(&made);
}

/* Floats: text as Redis 7 writes it: 17 digits after the point, no exponent, no trailing zero, no minus zero. */
static void increment_float_writes_what_redis_writes(void)
{
    static const struct { const char *present; const char *delta; fc_status status; const char *after; } rows[] = {
        {NULL, "1", FC_OK, "1"}, {"1", "0.25", FC_OK, "1.25"}, {"1.5", "1.5", FC_OK, "3"}, {"10.50", "0.1", FC_OK, "10.6"}, {"10.6", "-5", FC_OK, "5.6"},
        {"5.0e3", "2.0e2", FC_OK, "5200"}, {"17179869184", "1.5", FC_OK, "17179869185.5"}, {"17179869184", "17179869184", FC_OK, "34359738368"}, {"1", "-1.1", FC_OK, "-0.1"},
        {"3.0", "1.0e-17", FC_OK, "3.00000000000000001"}, {"0", "-0.0", FC_OK, "0"}, {"-0", "0", FC_OK, "0"}, {"1e18", "1", FC_OK, "1000000000000000001"},
        {".5", ".5", FC_OK, "1"}, {"+3", "1", FC_OK, "4"}, {"0x10", "1", FC_OK, "17"}, {"3.", "1", FC_OK, "4"}, {"007", "0", FC_OK, "7"},
        {" 11", "1", FC_NOT_FLOAT, " 11"}, {"11 ", "1", FC_NOT_FLOAT, "11 "}, {" 11 ", "1", FC_NOT_FLOAT, " 11 "}, {"\t11", "1", FC_NOT_FLOAT, "\t11"}, {"\n11", "1", FC_NOT_FLOAT, "\n11"},
        {"", "1", FC_NOT_FLOAT, ""}, {"abc", "1", FC_NOT_FLOAT, "abc"}, {"1.2.3", "1", FC_NOT_FLOAT, "1.2.3"}, {"nan", "1", FC_NOT_FLOAT, "nan"}, {"1e99999", "1", FC_NOT_FLOAT, "1e99999"},
        {"1e-99999", "1", FC_NOT_FLOAT, "1e-99999"}, {"-", "1", FC_NOT_FLOAT, "-"}, {"1", "nan", FC_NOT_FLOAT, "1"}, {"1", "inf", FC_NOT_FLOAT, "1"},
        {"1.1e4932", "1.1e4932", FC_OVERFLOW, "1.1e4932"},
    };
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[FC_FLOAT_TEXT_BYTES] = "untouched";
        set_bytes(&made, rows[i].present, rows[i].present != NULL ? strlen(rows[i].present) : 0);
        fc_status status = fc_increment_float(made.session, &key, strtold(rows[i].delta, NULL), text, sizeof text);
        if (!CHECK_STATUS(rows[i].status, status) || !CHECK(check_holds(&made, "k", rows[i].after))) fprintf(stderr, "  row %zu: '%s'\n", i, text);
        CHECK(strcmp(text, status == FC_OK ? rows[i].after : "untouched") == 0);
    }
    set_bytes(&made, "1\0002", 3);
    char text[FC_FLOAT_TEXT_BYTES];
    CHECK_STATUS(FC_NOT_FLOAT, fc_increment_float(made.session, &key, 1, text, sizeof text));
    set_bytes(&made, "1", 1); /* no negative zero after 1/41 - 1/41 */
    CHECK_OK(fc_increment_float(made.session, &key, 1.0L / 41, text, sizeof text));
    CHECK_OK(fc_increment_float(made.session, &key, -1.0L / 41, text, sizeof text));
    CHECK_OK(fc_increment_float(made.session, &key, -1.0L, text, sizeof text));
    CHECK(strcmp(text, "0") == 0);
    check_close(&made);
}

/* The largest long double fits FC_FLOAT_TEXT_BYTES and can be read back; a text buffer too small changes nothing. */
static void the_largest_float_fits_its_text(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    char text[FC_FLOAT_TEXT_BYTES] = "";
    set_bytes(&made, "1e4932", 6);
    CHECK_OK(fc_increment_float(made.session, &key, 1.0L, text, sizeof text));
    CHECK(strlen(text) == 4933 && check_holds(&made, "k", text));
    CHECK_OK(fc_increment_float(made.session, &key, 1.0L, text, sizeof text));
    char small[8] = "small";
    CHECK_STATUS(FC_BUFFER_SMALL, fc_increment_float(made.session, &key, 1.0L, small, sizeof small));
    CHECK(strcmp(small, "small") == 0 && check_holds(&made, "k", text));
    set_bytes(&made, "1", 1);
    CHECK_OK(fc_increment_float(made.session, &key, 1.5L, small, 4)); /* "2.5" and its end */
    CHECK_STATUS(FC_BUFFER_SMALL, fc_increment_float(made.session, &key, 0.25L, small, 4));
    CHECK(check_holds(&made, "k", "2.5"));
    check_close(&made);
}

/* Increments, appends and overwrites keep the expiry; a dead value counts as none. */
static void read_modify_write_keeps_the_expiry(void)
{
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t deadline = fc_clock_unix_ns() + UINT64_C(60000000000), expires, bytes;
    fc_set_options options = {.expires_unix_ns = deadline};
    char text[FC_FLOAT_TEXT_BYTES];
    int64_t value;
    CHECK_OK(fc_set(made.session, &key, "10", 2, &options, NULL));
    CHECK_OK(fc_increment(made.session, &key, 1, &value));
    CHECK_OK(fc_increment_float(made.session, &key, 1, text, sizeof text));
    CHECK_OK(fc_append(made.session, &key, "3", 1, &bytes));
    CHECK_OK(fc_set_range(made.session, &key, 0, "4", 1, &bytes));
    CHECK_OK(fc_expires(made.session, &key, &expires));
    CHECK_EQUAL(deadline, expires);
    CHECK(check_holds(&made, "k", "423"));
    fc_clock_shift_for_test(INT64_C(61000000000));
    CHECK_OK(fc_increment(made.session, &key, 1, &value));
    CHECK_EQUAL(1, value);
    CHECK_OK(fc_expires(made.session, &key, &expires));
    CHECK_EQUAL(0, expires);
    check_close(&made);
}

/* APPEND grows a value, and creates a missing one, also an empty one. */
static void append_grows_and_creates(void)
{
    fixture made = check_open(8 << 20);
    fc_key key = check_key(&made, "k");
    uint64_t bytes = 99, total = 0;
    CHECK_OK(fc_append(made.session, &key, "", 0, &bytes));
    CHECK_EQUAL(0, bytes);
    CHECK_OK(fc_exists(made.session, &key));
    char *piece = malloc(7000), *expected = malloc(300 * 7000), *got = malloc(300 * 7000);
    for (int i = 0; i < 200; i++) { /* through every class and into chains */
        uint64_t add = (uint64_t)i * 31 % 7000;
        memset(piece, 'a' + i % 26, add);
        memcpy(expected + total, piece, add);
        total += add;
        CHECK_OK(fc_append(made.session, &key, piece, add, &bytes));
        CHECK_EQUAL(total, bytes);
        CHECK_OK(fc_get(made.session, &key, got, 300 * 7000, &bytes));
        CHECK(bytes == total && memcmp(expected, got, total) == 0);
    }
    free(piece);
    free(expected);
    free(got);
    check_delete_all(&made);
    audit_empty(made.session);
    check_close(&made);
}

/* SETRANGE pads with zeroes, overwrites inside, grows past the end; without bytes it changes and creates nothing. */
static void set_range_pads_and_overwrites(void)
{
    static const struct { const char *present; uint64_t offset; const char *data; uint64_t length; const char *after; uint64_t after_bytes; } rows[] = {
        {NULL, 0, "foo", 3, "foo", 3}, {NULL, 0, "", 0, NULL, 0}, {NULL, 3, "foo", 3, "\0\0\0foo", 6}, {"foo", 0, "b", 1, "boo", 3}, {"foo", 0, "", 0, "foo", 3},
        {"foo", 10, "", 0, "foo", 3}, {"foo", 1, "b", 1, "fbo", 3}, {"foo", 4, "bar", 3, "foo\0bar", 7}, {"foo", 2, "xyz", 3, "foxyz", 5}, {"", 0, "a", 1, "a", 1},
        {"Hello World", 6, "Redis", 5, "Hello Redis", 11},
    };
    fixture made = check_open(1 << 20);
    fc_key key = check_key(&made, "k");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t bytes = 99;
        char got[32];
        set_bytes(&made, rows[i].present, rows[i].present != NULL ? strlen(rows[i].present) : 0);
        CHECK_OK(fc_set_range(made.session, &key, rows[i].offset, rows[i].data, rows[i].length, &bytes));
        CHECK_EQUAL(rows[i].after_bytes, bytes);
        fc_status status = fc_get(made.session, &key, got, sizeof got, &bytes);
        if (rows[i].after == NULL) CHECK_STATUS(FC_MISS, status);
        else CHECK(status == FC_OK && bytes == rows[i].after_bytes && memcmp(got, rows[i].after, bytes) == 0);
    }
    check_close(&made);
}

/* A result above value_bytes_max, or an offset that wraps round, is refused and changes nothing. */
static void results_above_the_limit_are_refused(void)
{
    fc_options options = check_options(1 << 20);
    options.value_bytes_max = 100;
    fixture made = check_open_with(&options);
    fc_key key = check_key(&made, "k");
    char data[101] = {0};
    uint64_t bytes = 99;
    CHECK_OK(check_set(&made, "k", "0123456789"));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_append(made.session, &key, data, 91, &bytes));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_set_range(made.session, &key, 100, "x", 1, &bytes));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_set_range(made.session, &key, UINT64_MAX, "x", 1, &bytes));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_set_range(made.session, &key, UINT64_MAX - 1, "xx", 2, &bytes));
    CHECK_STATUS(FC_VALUE_TOO_LONG, fc_append(made.session, &key, data, UINT64_MAX, &bytes));
    CHECK_EQUAL(99, bytes);
    CHECK(check_holds(&made, "k", "0123456789"));
    CHECK_OK(fc_set_range(made.session, &key, 99, "x", 1, &bytes));
    CHECK_EQUAL(100, bytes);
    audit_segment(made.session);
    check_close(&made);
}

/* Numbers that live in a chain (a very long value) are no numbers. */
static void long_values_are_no_numbers(void)
{
    fixture made = check_open(4 << 20);
    fc_key key = check_key(&made, "k");
    char *value = malloc(100000), text[FC_FLOAT_TEXT_BYTES];
    int64_t number;
    memset(value, '1', 100000);
    CHECK_OK(fc_set(made.session, &key, value, 100000, NULL, NULL));
    CHECK_STATUS(FC_NOT_INTEGER, fc_increment(made.session, &key, 1, &number));
    CHECK_STATUS(FC_NOT_FLOAT, fc_increment_float(made.session, &key, 1, text, sizeof text));
    free(value);
    audit_segment(made.session);
    check_close(&made);
}

int main(void)
{
    RUN(increment_takes_what_redis_takes);
    RUN(increment_float_writes_what_redis_writes);
    RUN(the_largest_float_fits_its_text);
    RUN(read_modify_write_keeps_the_expiry);
    RUN(append_grows_and_creates);
    RUN(set_range_pads_and_overwrites);
    RUN(results_above_the_limit_are_refused);
    RUN(long_values_are_no_numbers);
    return check_report();
}
