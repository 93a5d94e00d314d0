"""DUMP, RESTORE. The payloads are those of redis-server 7.0.15."""

from command_cases import Case, Error, Range

BAR = b"\x00\x03bar\n\x00\xe6\xbeI`\xeef\xfd\x17"
NUMBER = b"\x00\xc190\n\x00\x9d\x94\xea'\x93\xfc\x08\xb9"
LIST = b"\x12\x01\x02\n\n\x00\x00\x00\x01\x00\x81a\x02\xff\n\x00\t\xb9\xed\xf5\x94\xde\xd9\x95"
COMPRESSED = b"\x00\xc3\n<\x02aba\xe0.\x01\x01ab\n\x00\xbb\x16\xd3\xeb\xaeo\xc5t"  # 30 times "ab"
# Wrong inside, with the right checksum: a length beyond the end; LZF that refers to before its beginning; a type that never was.
TOO_LONG = b"\x00\x04bar\n\x00\x9c`$(\xf4P\x9c\xeb"
BAD_LZF = b"\x00\xc3\x03  \x00\x01\n\x00J\xad[\x97-\x13\x02j"
NO_TYPE = b"\x08\x03bar\n\x00\xcbt\xe6\x91,\xe3\\\x7f"
NEWER = b"\x00\x03bar\x0c\x00-\xc8}\xa0\x14Lc^"

CHECKSUM = Error("ERR DUMP payload version or checksum are wrong")
BUSY_KEY = Error("BUSYKEY Target key name already exists.")
SYNTAX = Error("ERR syntax error")
NOT_INTEGER = Error("ERR value is not an integer or out of range")

CASES = [
    Case(
        "payloads_are_those_of_redis",
        [
            (["DUMP", "none"], None),
            (["SET", "k", "bar"], "OK"),
            (["DUMP", "k"], BAR),
            (["SET", "k", 12345], "OK"),
            (["DUMP", "k"], NUMBER),
            (["RESTORE", "a", 0, BAR], "OK"),
            (["RESTORE", "b", 0, NUMBER], "OK"),
            (["RESTORE", "c", 0, COMPRESSED], "OK"),
            (["MGET", "a", "b", "c"], [b"bar", b"12345", b"ab" * 30]),
            (["TTL", "a"], -1),
        ],
    ),
    Case(
        "times",
        [
            (["RESTORE", "k", 5000, BAR], "OK"),
            (["PTTL", "k"], Range(3000, 5000)),
            (["RESTORE", "k", 4102444800000, BAR, "ABSTTL", "REPLACE"], "OK"),
            (["PEXPIRETIME", "k"], 4102444800000),
            (["RESTORE", "k", 0, BAR, "replace"], "OK"),
            (["PTTL", "k"], -1),
            (["RESTORE", "k", 1, BAR, "ABSTTL", "REPLACE"], "OK"),
            (["EXISTS", "k"], 0),
            (["RESTORE", "k", 9223372036854775807, BAR], "OK"),
            (["GET", "k"], b"bar"),
        ],
    ),
    Case(
        "options",
        [
            (["RESTORE", "k", 0, BAR, "IDLETIME", 1000], "OK"),
            (["RESTORE", "k", 0, BAR, "REPLACE", "FREQ", 100], "OK"),
            (["RESTORE", "k", 0, BAR, "IDLETIME", -1], Error("ERR Invalid IDLETIME value, must be >= 0")),
            (["RESTORE", "k", 0, BAR, "FREQ", 256], Error("ERR Invalid FREQ value, must be >= 0 and <= 255")),
            (["RESTORE", "k", 0, BAR, "FREQ", "x"], NOT_INTEGER),
            (["RESTORE", "k", 0, BAR, "FREQ", 1, "IDLETIME", 1], SYNTAX),
            (["RESTORE", "k", 0, BAR, "IDLETIME"], SYNTAX),
            (["RESTORE", "k", 0, BAR, "invalid-option"], SYNTAX),
            (["RESTORE", "k", 0], Error("ERR wrong number of arguments for 'restore' command")),
        ],
    ),
    Case(
        "refusals",
        [
            (["SET", "k", "kept"], "OK"),
            (["RESTORE", "k", 0, "..."], BUSY_KEY),
            (["RESTORE", "k", "x", BAR], BUSY_KEY),
            (["RESTORE", "k", "x", BAR, "REPLACE"], NOT_INTEGER),
            (["RESTORE", "k", -1, BAR, "REPLACE"], Error("ERR Invalid TTL value, must be >= 0")),
            (["RESTORE", "k", 0, "...", "REPLACE"], CHECKSUM),
            (["RESTORE", "n", 0, ""], CHECKSUM),
            (["RESTORE", "n", 0, BAR[:-1]], CHECKSUM),
            (["RESTORE", "n", 0, b"\x01" + BAR[1:]], CHECKSUM),
            (["RESTORE", "n", 0, NEWER], CHECKSUM),
            (["RESTORE", "n", 0, TOO_LONG], Error("ERR Bad data format")),
            (["RESTORE", "n", 0, BAD_LZF], Error("ERR Bad data format")),
            (["RESTORE", "n", 0, NO_TYPE], Error("ERR Bad data format")),
            (["RESTORE", "n", 0, LIST], Error("ERR the payload holds a value of type list; FinCache restores strings only")),
            (["GET", "k"], b"kept"),
            (["EXISTS", "n"], 0),
        ],
    ),
    Case(
        "in_a_transaction",
        [
            (["MULTI"], "OK"),
            (["SET", "k", "bar"], "QUEUED"),
            (["DUMP", "k"], "QUEUED"),
            (["RESTORE", "l", 0, NUMBER], "QUEUED"),
            (["INCR", "l"], "QUEUED"),
            (["RESTORE", "k", 0, NUMBER], "QUEUED"),
            (["EXEC"], ["OK", BAR, "OK", 12346, BUSY_KEY]),
        ],
    ),
]
