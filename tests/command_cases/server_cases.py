"""Whole databases, configuration, and what the server tells of itself."""

from command_cases import ANY, Case, Error, Range

CASES = [
    Case(
        "dbsize_flush",
        [
            (["MSET", "a", 1, "b", 2], "OK"),
            (["DBSIZE"], 2),
            (["FLUSHDB"], "OK"),
            (["DBSIZE"], 0),
            (["SET", "a", 1], "OK"),
            (["SELECT", 1], "OK"),
            (["SET", "a", 1], "OK"),
            (["FLUSHALL", "ASYNC"], "OK"),
            (["DBSIZE"], 0),
            (["FLUSHDB", "SYNC"], "OK"),
            (["FLUSHALL", "FOO"], Error("ERR syntax error")),
        ],
    ),
    Case(
        "config",
        [
            (["CONFIG", "SET", "slowlog-max-len", 64], "OK"),
            (["CONFIG", "GET", "slowlog-max-l?n"], {b"slowlog-max-len": b"64"}),
            (["CONFIG", "SET", "slowlog-max-len", 128, "hash-max-ziplist-entries", 100], "OK"),
            (
                ["CONFIG", "GET", "hash-max-listpack-entries", "hash-max-ziplist-entries"],
                {b"hash-max-listpack-entries": b"100", b"hash-max-ziplist-entries": b"100"},
            ),
            (["CONFIG", "SET", "hash-max-listpack-entries", 512], "OK"),
            (["CONFIG", "GET", "nosuch*"], {}),
            (["CONFIG", "SET", "nosuch", 1], Error("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'")),
            (
                ["CONFIG", "SET", "timeout", "x"],
                Error(
                    "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer"
                ),
            ),
            (
                ["CONFIG", "SET", "databases", 3],
                Error("ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config"),
            ),
            (
                ["CONFIG", "SET", "timeout", 1, "TIMEOUT", 2],
                Error("ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter"),
            ),
            (["CONFIG", "SET", "maxmemory", "100mb"], "OK"),
            (["CONFIG", "GET", "maxmemory"], {b"maxmemory": b"104857600"}),
            (["CONFIG", "SET", "maxmemory", "0"], "OK"),
            (["CONFIG", "SET", "timeout"], Error("ERR wrong number of arguments for 'config|set' command")),
        ],
    ),
    Case(
        "config_rest",
        [
            (["CONFIG", "RESETSTAT"], "OK"),
            (["CONFIG", "REWRITE"], Error("ERR The server is running without a config file")),
            (["CONFIG", "GET", "key-load-dela?"], {}),
            (["CONFIG", "GET", "KEY-LOAD-DELAY"], {b"key-load-delay": b"0"}),
            (["FUNCTION", "FLUSH"], "OK"),
            (["FUNCTION", "FLUSH", "FOO"], Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
        ],
    ),
    Case("time_info", [(["TIME"], ANY), (["INFO", "server"], ANY), (["INFO", "nosuch"], b"")]),
    Case(
        "command",
        [
            (["COMMAND"], ANY),
            (["COMMAND", "COUNT"], Range(50, 500)),
            (["COMMAND", "INFO", "nosuch", "get"], [None, ANY]),
            (["COMMAND", "DOCS", "nosuch"], {}),
            (
                ["COMMAND", "LIST", "FILTERBY", "PATTERN", "get*"],
                {b"get", b"getdel", b"getbit", b"getex", b"getrange", b"getset"},
            ),
            (["COMMAND", "GETKEYS", "MSET", "a", 1, "b", 2], [b"a", b"b"]),
            (["COMMAND", "GETKEYS", "PING", "x"], Error("ERR The command has no key arguments")),
            (["COMMAND", "GETKEYS", "NOSUCH", "x"], Error("ERR Invalid command specified")),
            (["COMMAND", "GETKEYSANDFLAGS", "GET", "a"], [[b"a", {"RO", "access"}]]),
        ],
    ),
]
