/* config.c -- see config.h. */
#include "commands/config.h"

#include "commands/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define INTEGER FC_KIND_INTEGER
#define MEMORY FC_KIND_MEMORY
#define BOOLEAN FC_KIND_BOOLEAN
#define OCTAL FC_KIND_OCTAL
#define ENUM FC_KIND_ENUM
#define TEXT FC_KIND_TEXT
#define LIMITS FC_KIND_LIMITS
#define FIXED FC_CONFIG_FIXED
#define KEPT FC_CONFIG_KEPT
#define HIDDEN FC_CONFIG_HIDDEN
#define SENSITIVE FC_CONFIG_SENSITIVE

static const fc_config_row config_rows[] = {
#define FC_CONFIG(ID, name, kind, initial, minimum, maximum, allowed, flags, help) {name, kind, initial, minimum, maximum, allowed, flags, help, FC_CONFIG_##ID},
#define FC_CONFIG_ALIAS(name, ID)
#include "commands/config.def"
#undef FC_CONFIG
#undef FC_CONFIG_ALIAS
#define FC_CONFIG(ID, ...)
#define FC_CONFIG_ALIAS(name, ID) {name, FC_KIND_TEXT, "", 0, 0, "", 0, "", FC_CONFIG_##ID},
#include "commands/config.def"
#undef FC_CONFIG
#undef FC_CONFIG_ALIAS
};

#define ROW_COUNT (sizeof config_rows / sizeof config_rows[0])

const fc_config_row *fc_config_at(uint32_t index) { return index < ROW_COUNT ? &config_rows[index] : NULL; }

const fc_config_row *fc_config_find(const void *name, uint64_t name_bytes)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strlen(config_rows[i].name) == name_bytes && strncasecmp(config_rows[i].name, name, name_bytes) == 0) return &config_rows[i];
    return NULL;
}

/* ------------------------------------------------------------------ reading a value */

static fc_status parse_memory(const char *text, uint64_t bytes, int64_t *number)
{
    static const struct { const char *suffix; int64_t factor; } units[] = {
        {"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1024}, {"m", 1000000}, {"mb", 1048576}, {"g", 1000000000}, {"gb", 1073741824},
    };
    uint64_t digits = 0;
    while (digits < bytes && text[digits] >= '0' && text[digits] <= '9') digits++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i].suffix) == bytes - digits && strncasecmp(units[i].suffix, text + digits, bytes - digits) == 0)
            if (fc_number_parse((const uint8_t *)text, digits, number) && !__builtin_mul_overflow(*number, units[i].factor, number)) return FC_OK;
    return fc_fail(FC_INVALID_ARGUMENT, "argument must be a memory value");
}

static fc_status parse_enum(const fc_config_row *row, const char *text, uint64_t bytes, int64_t *number)
{
    int64_t position = 0;
    char allowed[256];
    uint64_t used = 0;
    for (const char *word = row->allowed; word != NULL; position++) {
        const char *end = strchr(word, '|');
        uint64_t length = end != NULL ? (uint64_t)(end - word) : strlen(word);
        if (length == bytes && strncasecmp(word, text, bytes) == 0) {
            *number = position;
            return FC_OK;
        }
        used += (uint64_t)snprintf(allowed + used, sizeof allowed - used, "%s%.*s", position > 0 ? ", " : "", (int)length, word);
        if (used >= sizeof allowed) used = sizeof allowed - 1;
        word = end != NULL ? end + 1 : NULL;
    }
    return fc_fail(FC_INVALID_ARGUMENT, "argument(s) must be one of the following: %s", allowed);
}

/* ------------------------------------------------------------------ client-output-buffer-limit */

#define CLASS_COUNT 3
/* Of three classes with a name of at most 6 letters and three numbers. */
#define LIMITS_TEXT_BYTES (CLASS_COUNT * (7 + 3 * 20) + 1)

static const char *const class_names[CLASS_COUNT] = {"normal", "slave", "pubsub"};

typedef struct class_limits {
    int64_t numbers[CLASS_COUNT][3]; /* hard, soft, seconds */
    int is_given[CLASS_COUNT];
} class_limits;

/* The next word of `*text`, which it is cut off; 0: there is none. */
static uint64_t next_word(const char **text, uint64_t *bytes, const char **word)
{
    while (*bytes > 0 && **text == ' ') (*text)++, (*bytes)--;
    *word = *text;
    while (*bytes > 0 && **text != ' ') (*text)++, (*bytes)--;
    return (uint64_t)(*text - *word);
}

static int class_of(const char *word, uint64_t bytes)
{
    if (bytes == 7 && strncasecmp(word, "replica", 7) == 0) return 1;
    for (int i = 0; i < CLASS_COUNT; i++)
        if (strlen(class_names[i]) == bytes && strncasecmp(word, class_names[i], bytes) == 0) return i;
    return -1;
}

/* Lays what the text says over `limits`. */
static fc_status parse_limits(const char *text, uint64_t bytes, class_limits *limits)
{
    const char *word;
    for (uint64_t word_bytes; (word_bytes = next_word(&text, &bytes, &word)) > 0;) {
        int class = class_of(word, word_bytes);
        if (class < 0) return fc_fail(FC_INVALID_ARGUMENT, "Invalid client class specified in buffer limit configuration.");
        limits->is_given[class] = 1;
        for (int i = 0; i < 3; i++) {
            int64_t *number = &limits->numbers[class][i];
            if ((word_bytes = next_word(&text, &bytes, &word)) == 0) return fc_fail(FC_INVALID_ARGUMENT, "Wrong number of arguments in buffer limit configuration.");
            fc_status status = i < 2 ? parse_memory(word, word_bytes, number) : fc_number_parse((const uint8_t *)word, word_bytes, number) ? FC_OK : FC_INVALID_ARGUMENT;
            if (status != FC_OK || *number < 0) return fc_fail(FC_INVALID_ARGUMENT, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        }
    }
    return FC_OK;
}

static void write_limits(const class_limits *limits, char text[LIMITS_TEXT_BYTES])
{
    int used = 0;
    text[0] = '\0';
    for (int i = 0; i < CLASS_COUNT; i++)
        if (limits->is_given[i])
            used += snprintf(text + used, LIMITS_TEXT_BYTES - (size_t)used, "%s%s %" PRId64 " %" PRId64 " %" PRId64, used > 0 ? " " : "", class_names[i], limits->numbers[i][0],
                             limits->numbers[i][1], limits->numbers[i][2]);
}

static fc_status parse_limits_value(const char *text, uint64_t bytes, fc_config_value *value)
{
    class_limits limits = {0};
    FC_TRY(parse_limits(text, bytes, &limits));
    char *normal = malloc(LIMITS_TEXT_BYTES);
    if (normal == NULL) return fc_fail(FC_SYSTEM, "no memory");
    write_limits(&limits, normal);
    *value = (fc_config_value){.number = (uint64_t)limits.numbers[0][0], .text = normal};
    return FC_OK;
}

/* Completes new limits by the present ones; both were parsed before. */
static void merge_limits(const char *present, fc_config_value *value)
{
    class_limits limits = {0};
    if (parse_limits(present, strlen(present), &limits) != FC_OK || parse_limits(value->text, strlen(value->text), &limits) != FC_OK) return;
    write_limits(&limits, value->text);
    value->number = (uint64_t)limits.numbers[0][0];
}

/* ------------------------------------------------------------------ any kind */

static fc_status parse_number(const fc_config_row *row, const char *text, uint64_t bytes, int64_t *number)
{
    switch (row->kind) {
    case FC_KIND_LIMITS:
    case FC_KIND_TEXT: *number = (int64_t)bytes; return FC_OK;
    case FC_KIND_ENUM: return parse_enum(row, text, bytes, number);
    case FC_KIND_BOOLEAN:
        *number = bytes == 3 && strncasecmp(text, "yes", 3) == 0;
        if (*number || (bytes == 2 && strncasecmp(text, "no", 2) == 0)) return FC_OK;
        return fc_fail(FC_INVALID_ARGUMENT, "argument must be 'yes' or 'no'");
    case FC_KIND_MEMORY: FC_TRY(parse_memory(text, bytes, number)); break;
    case FC_KIND_OCTAL: {
        char *end;
        char copy[16] = {0};
        if (bytes == 0 || bytes >= sizeof copy) return fc_fail(FC_INVALID_ARGUMENT, "argument must be an octal number");
        memcpy(copy, text, bytes);
        *number = strtol(copy, &end, 8);
        if (*end != '\0') return fc_fail(FC_INVALID_ARGUMENT, "argument must be an octal number");
        break;
    }
    case FC_KIND_INTEGER:
        if (!fc_number_parse((const uint8_t *)text, bytes, number)) return fc_fail(FC_INVALID_ARGUMENT, "argument couldn't be parsed into an integer");
        break;
    }
    if (*number < row->minimum || *number > row->maximum)
        return fc_fail(FC_INVALID_ARGUMENT, "argument must be between %" PRId64 " and %" PRId64 " inclusive", row->minimum, row->maximum);
    return FC_OK;
}

static char *normal_text(const fc_config_row *row, const char *text, uint64_t bytes, int64_t number)
{
    char *normal = malloc(bytes > 24 ? bytes + 1 : 25);
    if (normal == NULL) return NULL;
    if (row->kind == FC_KIND_INTEGER || row->kind == FC_KIND_MEMORY) snprintf(normal, 25, "%" PRId64, number);
    else if (row->kind == FC_KIND_OCTAL) snprintf(normal, 25, "%" PRIo64, (uint64_t)number);
    else {
        memcpy(normal, text, bytes);
        normal[bytes] = '\0';
        for (uint64_t i = 0; row->kind != FC_KIND_TEXT && i < bytes; i++)
            if (normal[i] >= 'A' && normal[i] <= 'Z') normal[i] = (char)(normal[i] | 0x20);
    }
    return normal;
}

/* ------------------------------------------------------------------ texts with a form of their own */

/* Numbers from 0 to 100 behind each other; `normal` gets them as short as they can be written. */
static fc_status parse_percentiles(const char *text, char **normal)
{
    char *made = calloc(1, (strlen(text) / 2 + 1) * 25);
    /* 24 characters and a space at most for each, and each took two at least. */
    if (made == NULL) return fc_fail(FC_SYSTEM, "no memory");
    for (const char *at = text; *at != '\0';) {
        char *end;
        double percent = strtod(at, &end);
        if (end == at || (*end != ' ' && *end != '\0') || !(percent >= 0 && percent <= 100)) {
            free(made);
            return fc_fail(FC_INVALID_ARGUMENT, "latency-tracking-info-percentiles should contain numbers between 0.0 and 100.0 percentiles");
        }
        sprintf(made + strlen(made), "%s%.15g", made[0] != '\0' ? " " : "", percent);
        for (at = end; *at == ' ';) at++;
    }
    *normal = made;
    return FC_OK;
}

/* Bytes, or a part of maxmemory: "30%". */
static fc_status parse_memory_or_percent(const char *text, char **normal)
{
    int64_t number;
    uint64_t bytes = strlen(text);
    *normal = malloc(32);
    if (*normal == NULL) return fc_fail(FC_SYSTEM, "no memory");
    fc_status status = FC_OK;
    if (bytes > 1 && text[bytes - 1] == '%') {
        if (!fc_number_parse((const uint8_t *)text, bytes - 1, &number) || number < 0) status = fc_fail(FC_INVALID_ARGUMENT, "argument must be a memory or percent value");
        else if (number > 100) status = fc_fail(FC_INVALID_ARGUMENT, "percentage argument must be less or equal to 100");
        else snprintf(*normal, 32, "%" PRId64 "%%", number);
    } else if (parse_memory(text, bytes, &number) != FC_OK) {
        status = fc_fail(FC_INVALID_ARGUMENT, "argument must be a memory or percent value");
    } else {
        snprintf(*normal, 32, "%" PRId64, number);
    }
    if (status == FC_OK) return FC_OK;
    free(*normal);
    return status;
}

/* Pairs of seconds and changes. */
static fc_status check_save(const char *text)
{
    uint32_t count = 0;
    for (const char *at = text; *at != '\0'; count++) {
        char *end;
        long number = strtol(at, &end, 10);
        if (end == at || (*end != ' ' && *end != '\0') || number < (count % 2 == 0)) return fc_fail(FC_INVALID_ARGUMENT, "Invalid save parameters");
        for (at = end; *at == ' ';) at++;
    }
    return count % 2 == 0 ? FC_OK : fc_fail(FC_INVALID_ARGUMENT, "Invalid save parameters");
}

static fc_status parse_form(uint32_t id, char **normal)
{
    char *other = NULL;
    if (id == FC_CONFIG_SAVE) return check_save(*normal);
    if (id == FC_CONFIG_LATENCY_TRACKING_INFO_PERCENTILES) FC_TRY(parse_percentiles(*normal, &other));
    else if (id == FC_CONFIG_MAXMEMORY_CLIENTS) FC_TRY(parse_memory_or_percent(*normal, &other));
    else return FC_OK;
    free(*normal);
    *normal = other;
    return FC_OK;
}

fc_status fc_config_parse(const fc_config_row *row, const void *text, uint64_t text_bytes, fc_config_value *value)
{
    int64_t number = 0;
    row = &config_rows[row->id];
    if (memchr(text, '\0', text_bytes) != NULL) return fc_fail(FC_INVALID_ARGUMENT, "argument holds a zero byte");
    if (row->kind == FC_KIND_LIMITS) return parse_limits_value(text, text_bytes, value);
    FC_TRY(parse_number(row, text, text_bytes, &number));
    char *normal = normal_text(row, text, text_bytes, number);
    if (normal == NULL) return fc_fail(FC_SYSTEM, "no memory");
    fc_status status = parse_form(row->id, &normal);
    if (status != FC_OK) {
        free(normal);
        return status;
    }
    *value = (fc_config_value){.number = (uint64_t)number, .text = normal};
    return FC_OK;
}

/* ------------------------------------------------------------------ keeping it */

fc_status fc_config_init(fc_config *config)
{
    memset(config, 0, sizeof *config);
    if (pthread_mutex_init(&config->lock, NULL) != 0) return fc_fail(FC_SYSTEM, "no mutex");
    for (uint32_t id = 0; id < FC_CONFIG_COUNT; id++) FC_TRY(fc_config_parse(&config_rows[id], config_rows[id].initial, strlen(config_rows[id].initial), &config->values[id]));
    return FC_OK;
}

void fc_config_free(fc_config *config)
{
    for (uint32_t id = 0; id < FC_CONFIG_COUNT; id++) free(config->values[id].text);
    pthread_mutex_destroy(&config->lock);
}

void fc_config_put(fc_config *config, uint32_t id, fc_config_value *value)
{
    pthread_mutex_lock(&config->lock);
    char *old = config->values[id].text;
    if (config_rows[id].kind == FC_KIND_LIMITS) merge_limits(old, value);
    config->values[id].text = value->text;
    fc_store_relaxed(&config->values[id].number, value->number);
    pthread_mutex_unlock(&config->lock);
    value->text = NULL;
    free(old);
}

char *fc_config_text(fc_config *config, uint32_t id)
{
    pthread_mutex_lock(&config->lock);
    char *copy = strdup(config->values[id].text);
    pthread_mutex_unlock(&config->lock);
    return copy;
}
