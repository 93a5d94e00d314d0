/* request_parser.h -- cuts a client's bytes into requests: RESP arrays of bulk strings, and inline commands.
 *
 * Incremental  a request that is not complete leaves the parser where it stopped; the next call goes on there, so that no byte is looked at
 *              twice however the network cuts it, but for the line (64 KiB at most) in which it stopped.
 * No copies    arguments are slices of the buffer. When the buffer moves, fc_parser_rebase moves them. Only inline commands with quotes are
 *              unpacked, into memory of the parser.
 * Errors       Redis 7's texts; the connection is closed behind them. A length announced is believed as far as the limit goes, and costs
 *              nothing until the bytes come.
 */
#ifndef FC_SERVER_REQUEST_PARSER_H
#define FC_SERVER_REQUEST_PARSER_H

#include "commands/command.h"

#define FC_LINE_BYTES_MAX 65536u              /* of an inline command, or of a length */
#define FC_ARGUMENTS_MAX 1048576              /* FC_COMMAND_ARGUMENTS_MAX */
#define FC_UNAUTHENTICATED_ARGUMENTS_MAX 10
#define FC_UNAUTHENTICATED_BULK_BYTES_MAX 16384

enum fc_parse { FC_PARSE_COMPLETE, FC_PARSE_MORE, FC_PARSE_ERROR };

typedef struct fc_parse_limits {
    int64_t bulk_bytes_max;
    int is_authenticated;
} fc_parse_limits;

typedef struct fc_parser {
    uint64_t at;               /* offset of the next byte from the request's beginning; of a complete request, its length */
    uint64_t wanted;           /* with FC_PARSE_MORE: bytes that the request has at least, counted from its beginning */
    int64_t arguments_left;    /* of a RESP array; 0 between requests */
    int64_t bulk_bytes;        /* of the bulk string that is awaited; -1: its length is */
    fc_arg *arguments;
    uint32_t argument_count;   /* 0 in a complete request: an empty one, to be passed over */
    uint32_t argument_room;
    uint8_t *unpacked;         /* of an inline command */
    char error[96];            /* with FC_PARSE_ERROR: "Protocol error: ..." */
} fc_parser;

void fc_parser_init(fc_parser *parser);
void fc_parser_free(fc_parser *parser);

/* Forgets the request that was complete, keeping the memory. */
static inline void fc_parser_next(fc_parser *parser)
{
    parser->at = parser->wanted = 0;
    parser->arguments_left = 0;
    parser->bulk_bytes = -1;
    parser->argument_count = 0;
}

/* Goes on with the request that begins at `data`. Without memory it is FC_PARSE_ERROR as well. */
enum fc_parse fc_parser_run(fc_parser *parser, const uint8_t *data, uint64_t bytes, const fc_parse_limits *limits);

/* The request's bytes are at `to` now, and no more at `from`. NULL for offsets, while the bytes have no fixed place. */
void fc_parser_rebase(fc_parser *parser, const uint8_t *from, const uint8_t *to);

#endif
