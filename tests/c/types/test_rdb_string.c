/* test_rdb_string.c -- strings in RDB's clothes: each encoding, and bytes that are none. */
#include "types/rdb_string.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

/* Dumps, checks, finds and reads; 1 if the same bytes come back and nothing is left over. */
static int survives(const uint8_t *data, uint64_t bytes)
{
    fc_rdb_string found;
    uint64_t used;
    uint8_t *payload = malloc(bytes + FC_RDB_PAYLOAD_EXTRA_BYTES), *back = malloc(bytes + 1);
    uint64_t payload_bytes = fc_rdb_string_dump(data, bytes, payload);
    int is_same = fc_rdb_payload_is_whole(payload, payload_bytes) && payload[0] == FC_RDB_TYPE_STRING &&
                  fc_rdb_string_find(payload + 1, payload_bytes - 1 - FC_RDB_FOOTER_BYTES, &found, &used) && used == payload_bytes - 1 - FC_RDB_FOOTER_BYTES &&
                  found.bytes == bytes && fc_rdb_string_read(&found, back) && memcmp(back, data, bytes) == 0;
    free(payload);
    free(back);
    return is_same;
}

static void strings_of_every_length_come_back(void)
{
    static const uint64_t lengths[] = {0, 1, 11, 12, 63, 64, 65, 16383, 16384, 16385, 100000};
    uint8_t *data = malloc(100000);
    for (uint32_t i = 0; i < 100000; i++) data[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) CHECK(survives(data, lengths[i]));
    free(data);
}

static void integers_are_stored_as_such(void)
{
    static const struct { const char *text; uint64_t stored_bytes; } rows[] = {
        {"0", 2}, {"-1", 2}, {"127", 2}, {"-128", 2}, {"128", 3}, {"-129", 3}, {"32767", 3}, {"-32768", 3}, {"32768", 5}, {"2147483647", 5}, {"-2147483648", 5},
        {"2147483648", 11}, {"-2147483649", 12}, {"007", 4}, {"-0", 3}, {"-", 2}, {"+1", 3}, {" 1", 3}, {"1 ", 3}, {"00", 3}, {"99999999999", 12},
    };
    uint8_t payload[64];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t bytes = strlen(rows[i].text);
        CHECK_EQUAL(rows[i].stored_bytes, fc_rdb_string_dump((const uint8_t *)rows[i].text, bytes, payload) - 1 - FC_RDB_FOOTER_BYTES);
        CHECK(survives((const uint8_t *)rows[i].text, bytes));
    }
}

/* A payload of redis-server 7.0.15: SET k <30 times "ab">, DUMP k. */
static void what_redis_compressed_is_read(void)
{
    static const uint8_t payload[] = {0x00, 0xc3, 0x0a, 0x3c, 0x02, 0x61, 0x62, 0x61, 0xe0, 0x2e, 0x01, 0x01, 0x61, 0x62, 0x0a, 0x00, 0xbb, 0x16, 0xd3, 0xeb, 0xae, 0x6f, 0xc5, 0x74};
    fc_rdb_string found;
    uint64_t used;
    uint8_t back[60];
    CHECK(fc_rdb_payload_is_whole(payload, sizeof payload));
    CHECK(fc_rdb_string_find(payload + 1, sizeof payload - 1 - FC_RDB_FOOTER_BYTES, &found, &used));
    CHECK(found.is_compressed);
    CHECK_EQUAL(60, found.bytes);
    CHECK(fc_rdb_string_read(&found, back));
    for (int i = 0; i < 60; i++) CHECK(back[i] == "ab"[i % 2]);
}

/* Every byte and every length of random bodies may be wrong: none is believed beyond its end (valgrind and ASan look on). */
static void noise_is_refused_or_read_within_its_bounds(void)
{
    uint64_t seed = 1;
    uint32_t found_count = 0, refused_count = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        uint64_t bytes = round % 40, used;
        uint8_t *data = malloc(bytes + 1);
        fc_rdb_string found;
        for (uint64_t i = 0; i < bytes; i++) data[i] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
        if (bytes > 0 && round % 3 == 0) data[0] = 0xC3;
        if (bytes > 2 && round % 3 == 0) data[1] &= 0x1F, data[2] &= 0x3F;
        uint8_t *exact = malloc(bytes == 0 ? 1 : bytes);
        memcpy(exact, data, bytes);
        if (fc_rdb_string_find(exact, bytes, &found, &used)) {
            CHECK(used <= bytes);
            CHECK(found.bytes <= bytes * 88 + 87);
            uint8_t *back = malloc(found.bytes == 0 ? 1 : found.bytes);
            found_count += fc_rdb_string_read(&found, back) != 0;
            free(back);
        } else {
            refused_count++;
        }
        free(exact);
        free(data);
    }
    CHECK(found_count > 100);
    CHECK(refused_count > 100);
}

static void a_changed_payload_is_not_whole(void)
{
    uint8_t payload[64];
    uint64_t bytes = fc_rdb_string_dump((const uint8_t *)"value", 5, payload);
    for (uint64_t i = 0; i < bytes * 8; i++) {
        payload[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK(!fc_rdb_payload_is_whole(payload, bytes));
        payload[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (uint64_t i = 0; i < bytes; i++) CHECK(!fc_rdb_payload_is_whole(payload, i));
    CHECK(fc_rdb_payload_is_whole(payload, bytes));
}

static void types_have_names(void)
{
    CHECK(strcmp(fc_rdb_type_name(0), "string") == 0);
    CHECK(strcmp(fc_rdb_type_name(18), "list") == 0);
    CHECK(strcmp(fc_rdb_type_name(21), "stream") == 0);
    CHECK(fc_rdb_type_name(8) == NULL);
    CHECK(fc_rdb_type_name(22) == NULL);
}

int main(void)
{
    RUN(strings_of_every_length_come_back);
    RUN(integers_are_stored_as_such);
    RUN(what_redis_compressed_is_read);
    RUN(noise_is_refused_or_read_within_its_bounds);
    RUN(a_changed_payload_is_not_whole);
    RUN(types_have_names);
    return check_report();
}
