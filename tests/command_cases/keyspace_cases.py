"""Keys that are looked through, and values that change their key."""

from command_cases import Case, Error, Range

NO_SUCH_KEY = Error("ERR no such key")
SAME = Error("ERR source and destination objects are the same")
SYNTAX = Error("ERR syntax error")
OUT_OF_RANGE = Error("ERR DB index is out of range")

CASES = [
    Case(
        "keys_and_randomkey",
        [
            (["KEYS", "*"], []),
            (["RANDOMKEY"], None),
            (["SET", "hello", 1], "OK"),
            (["RANDOMKEY"], b"hello"),
            (["KEYS", "*"], [b"hello"]),
            (["KEYS", "h?llo"], [b"hello"]),
            (["KEYS", "h[^e]llo"], []),
            (["KEYS", "h*o"], [b"hello"]),
            (["KEYS", ""], []),
            (["KEYS"], Error("ERR wrong number of arguments for 'keys' command")),
        ],
    ),
    Case(
        "scan",
        [
            (["SCAN", 0], [b"0", []]),
            (["SET", "key:1", 1], "OK"),
            (["SCAN", 0, "COUNT", 1000], [b"0", [b"key:1"]]),
            (["SCAN", 0, "MATCH", "key:*", "COUNT", 1000], [b"0", [b"key:1"]]),
            (["SCAN", 0, "MATCH", "other", "COUNT", 1000], [b"0", []]),
            (["SCAN", 0, "TYPE", "STRING", "COUNT", 1000], [b"0", [b"key:1"]]),
            (["SCAN", 0, "TYPE", "list", "COUNT", 1000], [b"0", []]),
            (["SCAN", "x"], Error("ERR invalid cursor")),
            (["SCAN", "-1"], Error("ERR invalid cursor")),
            (["SCAN", ""], Error("ERR invalid cursor")),
            (["SCAN", 0, "COUNT", 0], SYNTAX),
            (["SCAN", 0, "COUNT", "x"], Error("ERR value is not an integer or out of range")),
            (["SCAN", 0, "COUNT"], SYNTAX),
            (["SCAN", 0, "MISMATCH", "x"], SYNTAX),
        ],
    ),
    Case(
        "rename",
        [
            (["RENAME", "a", "b"], NO_SUCH_KEY),
            (["RENAME", "a", "a"], NO_SUCH_KEY),
            (["RENAMENX", "a", "b"], NO_SUCH_KEY),
            (["SET", "a", "value", "EX", 100], "OK"),
            (["RENAME", "a", "b"], "OK"),
            (["TTL", "b"], Range(99, 100)),
            (["EXISTS", "a", "b"], 1),
            (["RENAME", "b", "b"], "OK"),
            (["RENAMENX", "b", "b"], 0),
            (["SET", "c", "other"], "OK"),
            (["RENAMENX", "b", "c"], 0),
            (["RENAME", "b", "c"], "OK"),
            (["GET", "c"], b"value"),
            (["RENAMENX", "c", "d"], 1),
            (["GET", "d"], b"value"),
        ],
    ),
    Case(
        "copy",
        [
            (["COPY", "a", "b"], 0),
            (["SET", "a", "value", "EX", 100], "OK"),
            (["COPY", "a", "b"], 1),
            (["TTL", "b"], Range(99, 100)),
            (["COPY", "a", "b"], 0),
            (["SET", "a", "newer"], "OK"),
            (["COPY", "a", "b", "REPLACE"], 1),
            (["GET", "b"], b"newer"),
            (["TTL", "b"], -1),
            (["COPY", "a", "a"], SAME),
            (["COPY", "a", "a", "DB", 0], SAME),
            (["COPY", "a", "a", "DB", 3], 1),
            (["COPY", "a", "b", "DB", "x"], Error("ERR value is not an integer or out of range")),
            (["COPY", "a", "b", "DB", 99], OUT_OF_RANGE),
            (["COPY", "a", "b", "INTO"], SYNTAX),
            (["SELECT", 3], "OK"),
            (["GET", "a"], b"newer"),
            (["SELECT", 0], "OK"),
        ],
    ),
    Case(
        "move",
        [
            (["MOVE", "a", 1], 0),
            (["SET", "a", "value", "EX", 100], "OK"),
            (["MOVE", "a", 0], SAME),
            (["MOVE", "a", 99], OUT_OF_RANGE),
            (["MOVE", "a", "x"], Error("ERR value is not an integer or out of range")),
            (["MOVE", "a", 1], 1),
            (["EXISTS", "a"], 0),
            (["SET", "a", "another"], "OK"),
            (["MOVE", "a", 1], 0),
            (["SELECT", 1], "OK"),
            (["GET", "a"], b"value"),
            (["TTL", "a"], Range(99, 100)),
            (["SELECT", 0], "OK"),
        ],
    ),
    Case(
        "transfers_in_a_transaction",
        [
            (["SET", "a", "1"], "OK"),
            (["MULTI"], "OK"),
            (["RENAME", "a", "b"], "QUEUED"),
            (["COPY", "b", "c"], "QUEUED"),
            (["INCR", "c"], "QUEUED"),
            (["MOVE", "c", 1], "QUEUED"),
            (["EXISTS", "a", "b", "c"], "QUEUED"),
            (["TOUCH", "a", "b"], "QUEUED"),
            (["EXEC"], ["OK", 1, 2, 1, 1, 1]),
            (["SELECT", 1], "OK"),
            (["GET", "c"], b"2"),
            (["SELECT", 0], "OK"),
        ],
    ),
    Case(
        "touch",
        [
            (["MSET", "a", 1, "b", 2], "OK"),
            (["TOUCH", "a", "b", "none", "a"], 3),
        ],
    ),
    Case(
        "keys_of_transfers",
        [
            (["COMMAND", "GETKEYS", "COPY", "a", "b", "DB", 1], [b"a", b"b"]),
            (["COMMAND", "GETKEYS", "MOVE", "a", 1], [b"a"]),
            (["COMMAND", "GETKEYS", "RENAME", "a", "b"], [b"a", b"b"]),
        ],
    ),
]
