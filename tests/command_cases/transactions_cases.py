"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from command_cases import Case, Error

ABORTED = Error("EXECABORT Transaction discarded because of previous errors.")

CASES = [
    Case(
        "exec",
        [
            (["MULTI"], "OK"),
            (["SET", "k", "1"], "QUEUED"),
            (["INCR", "k"], "QUEUED"),
            (["GET", "k"], "QUEUED"),
            (["APPEND", "k", "x"], "QUEUED"),
            (["INCR", "k"], "QUEUED"),
            (["MGET", "k", "none"], "QUEUED"),
            (["MSETNX", "k", 1, "m", 2], "QUEUED"),
            (["DEL", "k", "none"], "QUEUED"),
            (["EXISTS", "k"], "QUEUED"),
            (["EXEC"], ["OK", 2, b"2", 2, Error("ERR value is not an integer or out of range"), [b"2x", None], 0, 1, 0]),
            (["EXISTS", "k", "m"], 0),
        ],
    ),
    Case(
        "exec_with_a_database_that_is_not_there",
        [
            (["SET", "a", "1"], "OK"),
            (["MULTI"], "OK"),
            (["COPY", "a", "b", "DB", 40], "QUEUED"),
            (["INCR", "a"], "QUEUED"),
            (["EXEC"], [Error("ERR DB index is out of range"), 2]),
        ],
    ),
    Case("empty", [(["MULTI"], "OK"), (["EXEC"], []), (["EXEC"], Error("ERR EXEC without MULTI"))]),
    Case(
        "discard",
        [
            (["DISCARD"], Error("ERR DISCARD without MULTI")),
            (["MULTI"], "OK"),
            (["SET", "k", 1], "QUEUED"),
            (["DISCARD"], "OK"),
            (["GET", "k"], None),
        ],
    ),
    Case(
        "refused_while_queueing",
        [
            (["MULTI"], "OK"),
            (["SET", "k"], Error("ERR wrong number of arguments for 'set' command")),
            (["SET", "k", 1], "QUEUED"),
            (["EXEC"], ABORTED),
            (["GET", "k"], None),
            (["MULTI"], "OK"),
            (["NOSUCH", "a"], Error("ERR unknown command 'NOSUCH', with args beginning with: 'a' ")),
            (["EXEC"], ABORTED),
        ],
    ),
    Case(
        "nesting",
        [
            (["MULTI"], "OK"),
            (["MULTI"], Error("ERR MULTI calls can not be nested")),
            (["WATCH", "k"], Error("ERR WATCH inside MULTI is not allowed")),
            (["UNWATCH"], "QUEUED"),
            (["EXEC"], ["OK"]),
        ],
    ),
    Case(
        "watch",
        [
            (["WATCH", "k", "l"], "OK"),
            (["SET", "l", "1"], "OK"),
            (["MULTI"], "OK"),
            (["SET", "k", "1"], "QUEUED"),
            (["EXEC"], None),
            (["GET", "k"], None),
            (["WATCH", "k"], "OK"),
            (["SET", "k", "1"], "OK"),
            (["UNWATCH"], "OK"),
            (["MULTI"], "OK"),
            (["SET", "k", "2"], "QUEUED"),
            (["EXEC"], ["OK"]),
            (["WATCH", "k"], "OK"),
            (["MULTI"], "OK"),
            (["INCR", "k"], "QUEUED"),
            (["EXEC"], [3]),
        ],
    ),
    Case(
        "watch_of_a_missing_key",
        [
            (["WATCH", "k"], "OK"),
            (["SET", "k", "1"], "OK"),
            (["DEL", "k"], 1),
            (["MULTI"], "OK"),
            (["PING"], "QUEUED"),
            (["EXEC"], None),
            (["WATCH", "k"], "OK"),
            (["MULTI"], "OK"),
            (["EXISTS", "k"], "QUEUED"),
            (["EXEC"], [0]),
            (["WATCH", "k"], "OK"),
            (["MULTI"], "OK"),
            (["SET", "k", "1"], "QUEUED"),
            (["EXEC"], ["OK"]),
        ],
    ),
    Case(
        "whole_databases_and_select",
        [
            (["MULTI"], "OK"),
            (["SET", "k", "1"], "QUEUED"),
            (["DBSIZE"], "QUEUED"),
            (["SELECT", 1], "QUEUED"),
            (["SET", "k", "one"], "QUEUED"),
            (["FLUSHDB"], "QUEUED"),
            (["GET", "k"], "QUEUED"),
            (["SELECT", 0], "QUEUED"),
            (["GET", "k"], "QUEUED"),
            (["EXEC"], ["OK", 1, "OK", "OK", "OK", None, "OK", b"1"]),
        ],
    ),
]
