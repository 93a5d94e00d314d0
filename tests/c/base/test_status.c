/* test_status.c -- the table of outcomes and the detail text of csrc/base/status.c. */
#include "../check.h"
#include "base/status.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>

/* Numbers and names are unique, numbers ascend, every text that is shown is there. */
static void every_row_is_complete_and_unique(void)
{
    const fc_status_row *row;
    uint32_t count = 0;
    for (; (row = fc_status_at(count)) != NULL; count++) {
        const fc_status_row *before = count > 0 ? fc_status_at(count - 1) : NULL;
        CHECK(before == NULL || before->status < row->status);
        CHECK(row->name[0] != '\0' && row->message[0] != '\0');
        for (const char *c = row->name; *c != '\0'; c++) CHECK(isupper((unsigned char)*c) || *c == '_');
        for (uint32_t i = 0; i < count; i++) CHECK(strcmp(fc_status_at(i)->name, row->name) != 0);
        CHECK(row->python_class[0] == '-' || isupper((unsigned char)row->python_class[0]));
        for (const char *c = row->resp_prefix; *c != '\0'; c++) CHECK(isupper((unsigned char)*c));
        CHECK(fc_status_find(row->status) == row);
    }
    CHECK(count > 30);
    CHECK(fc_status_at(count + 1) == NULL && fc_status_at(UINT32_MAX) == NULL);
}

/* Python classes are unique: an exception says which status it was. */
static void every_exception_has_one_status(void)
{
    for (uint32_t i = 0; fc_status_at(i) != NULL; i++)
        for (uint32_t j = 0; j < i; j++)
            CHECK(fc_status_at(i)->python_class[0] == '-' || strcmp(fc_status_at(i)->python_class, fc_status_at(j)->python_class) != 0);
}

/* Numbers that users may have stored never change. */
static void numbers_are_the_recorded_ones(void)
{
    static const struct { fc_status status; fc_status number; } rows[] = {
        {FC_OK, 0}, {FC_MISS, 1}, {FC_NOT_STORED, 2}, {FC_VERSION_MISMATCH, 3}, {FC_BUFFER_SMALL, 4}, {FC_INVALID_ARGUMENT, 10}, {FC_INVALID_NAME, 11},
        {FC_KEY_TOO_LONG, 12}, {FC_VALUE_TOO_LONG, 13}, {FC_NOT_INTEGER, 14}, {FC_NOT_FLOAT, 15}, {FC_OVERFLOW, 16}, {FC_WRONG_TYPE, 17},
        {FC_SCHEMA_MISMATCH, 18}, {FC_TOO_MANY_KEYS, 19}, {FC_CLOSED, 30}, {FC_FORKED, 31}, {FC_WRONG_THREAD, 32}, {FC_REENTERED, 33}, {FC_READ_ONLY, 34},
        {FC_OUT_OF_MEMORY, 40}, {FC_NO_SPACE, 41}, {FC_SESSIONS_FULL, 42}, {FC_BUSY, 43}, {FC_CONTENDED, 44}, {FC_MEMLOCK, 45}, {FC_EXHAUSTED, 46},
        {FC_SEGMENT_MISSING, 60}, {FC_SEGMENT_EXISTS, 61}, {FC_PERMISSION, 62}, {FC_FOREIGN_SEGMENT, 63}, {FC_TRUNCATED_SEGMENT, 64}, {FC_LAYOUT_NEWER, 65},
        {FC_LAYOUT_OLDER, 66}, {FC_SEGMENT_RETIRED, 67}, {FC_CORRUPT, 68}, {FC_SIZE_TOO_SMALL, 69}, {FC_SYSTEM, 80}, {FC_INTERNAL, 81},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) CHECK_EQUAL(rows[i].number, rows[i].status);
}

/* A number that is not in the table reads as FC_INTERNAL, never as NULL. */
static void an_unknown_number_is_an_internal_error(void)
{
    static const fc_status unknown[] = {-1, 5, 99, 1000000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) CHECK_EQUAL(FC_INTERNAL, fc_status_find(unknown[i])->status);
}

/* The detail belongs to the status it was given for: asked about another one it is empty. */
static void the_detail_belongs_to_its_status(void)
{
    CHECK_STATUS(FC_BUSY, fc_fail(FC_BUSY, "pid %d", 7));
    CHECK(strcmp(fc_error_detail(FC_BUSY), "pid 7") == 0);
    CHECK(strcmp(fc_error_detail(FC_MISS), "") == 0);
    errno = ENOENT;
    CHECK_STATUS(FC_SYSTEM, fc_fail_errno(FC_SYSTEM, "open %s", "x"));
    CHECK(strstr(fc_error_detail(FC_SYSTEM), "open x") != NULL && strstr(fc_error_detail(FC_SYSTEM), "(errno 2)") != NULL);
    CHECK(strcmp(fc_error_detail(FC_BUSY), "") == 0);
}

/* A detail longer than its room is cut, not written behind it. */
static void a_long_detail_is_cut(void)
{
    char text[2000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    CHECK_STATUS(FC_BUSY, fc_fail(FC_BUSY, "%s", text));
    CHECK(strlen(fc_error_detail(FC_BUSY)) < 1000 && strlen(fc_error_detail(FC_BUSY)) > 100);
    errno = EACCES;
    CHECK_STATUS(FC_SYSTEM, fc_fail_errno(FC_SYSTEM, "%s", text));
    CHECK(strlen(fc_error_detail(FC_SYSTEM)) < 1000);
}

static void *fail_in_thread(void *unused)
{
    (void)unused;
    CHECK(strcmp(fc_error_detail(FC_BUSY), "") == 0);
    (void)fc_fail(FC_BUSY, "the thread's");
    return NULL;
}

/* Each thread has its own detail. */
static void the_detail_belongs_to_its_thread(void)
{
    pthread_t thread;
    (void)fc_fail(FC_BUSY, "mine");
    REQUIRE(pthread_create(&thread, NULL, fail_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(strcmp(fc_error_detail(FC_BUSY), "mine") == 0);
}

/* The version has three numbers. */
static void the_version_has_three_numbers(void)
{
    int major, minor, patch, end = 0;
    CHECK(sscanf(fc_version(), "%d.%d.%d%n", &major, &minor, &patch, &end) == 3 && end > 0);
}

int main(void)
{
    RUN(every_row_is_complete_and_unique);
    RUN(every_exception_has_one_status);
    RUN(numbers_are_the_recorded_ones);
    RUN(an_unknown_number_is_an_internal_error);
    RUN(the_detail_belongs_to_its_status);
    RUN(a_long_detail_is_cut);
    RUN(the_detail_belongs_to_its_thread);
    RUN(the_version_has_three_numbers);
    return check_report();
}
