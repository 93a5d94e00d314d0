/* config.h -- the parameters of config.def with their present values.
 *
 * Concurrency  numbers are read without a lock, on the way of every command; texts under the lock. Who changes takes the lock.
 */
#ifndef FC_COMMANDS_CONFIG_H
#define FC_COMMANDS_CONFIG_H

#include "base/atomics.h"
#include "base/status.h"

#include <pthread.h>

enum {
#define FC_CONFIG(ID, ...) FC_CONFIG_##ID,
#define FC_CONFIG_ALIAS(name, ID)
#include "commands/config.def"
#undef FC_CONFIG
#undef FC_CONFIG_ALIAS
    FC_CONFIG_COUNT
};

enum fc_config_kind { FC_KIND_INTEGER, FC_KIND_MEMORY, FC_KIND_BOOLEAN, FC_KIND_OCTAL, FC_KIND_ENUM, FC_KIND_TEXT, FC_KIND_LIMITS };

#define FC_CONFIG_FIXED 1u     /* not by CONFIG SET */
#define FC_CONFIG_KEPT 2u      /* CONFIG SET takes only the present value */
#define FC_CONFIG_HIDDEN 4u    /* CONFIG GET tells it only by its full name */
#define FC_CONFIG_SENSITIVE 8u /* its value is not for logs */

typedef struct fc_config_row {
    const char *name;
    enum fc_config_kind kind;
    const char *initial;
    int64_t minimum;
    int64_t maximum;
    const char *allowed;       /* of an ENUM */
    uint32_t flags;            /* FC_CONFIG_FIXED ... */
    const char *help;          /* "": remembered, without meaning */
    uint32_t id;               /* FC_CONFIG_*, of an alias that of the parameter */
} fc_config_row;

typedef struct fc_config_value {
    uint64_t number;           /* of a TEXT: its length; of an ENUM: the position among the allowed words; of LIMITS: the hard limit of normal clients */
    char *text;                /* as CONFIG GET tells it */
} fc_config_value;

typedef struct fc_config {
    pthread_mutex_t lock;
    fc_config_value values[FC_CONFIG_COUNT];
} fc_config;

FC_MUST_USE fc_status fc_config_init(fc_config *config);
void fc_config_free(fc_config *config);

/* Rows by index, aliases behind the parameters; NULL past the end. */
const fc_config_row *fc_config_at(uint32_t index);
/* The row of a name in any case; NULL. */
const fc_config_row *fc_config_find(const void *name, uint64_t name_bytes);

static inline int64_t fc_config_number(const fc_config *config, uint32_t id) { return (int64_t)fc_load_relaxed(&config->values[id].number); }

/* What a text would become, without changing anything. FC_INVALID_ARGUMENT with Redis's explanation as detail. */
FC_MUST_USE fc_status fc_config_parse(const fc_config_row *row, const void *text, uint64_t text_bytes, fc_config_value *value);
/* Puts a parsed value in place; takes value->text over. LIMITS that name some classes of clients leave those of the others as they are. */
void fc_config_put(fc_config *config, uint32_t id, fc_config_value *value);

/* A copy of the text, to be freed; NULL without memory. */
char *fc_config_text(fc_config *config, uint32_t id);

#endif
