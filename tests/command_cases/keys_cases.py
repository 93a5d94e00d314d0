"""Keys whatever they hold, and when they die."""

from command_cases import Case, Error, Range

FAR_S = 4102444800  # 2100-01-01

CASES = [
    Case(
        "del_unlink_exists_type",
        [
            (["MSET", "a", 1, "b", 2, "c", 3, "d", 4], "OK"),
            (["EXISTS", "a", "b", "none", "a"], 3),
            (["TYPE", "a"], "string"),
            (["TYPE", "none"], "none"),
            (["DEL", "a"], 1),
            (["DEL", "a", "b", "b", "none"], 1),
            (["UNLINK", "c", "d"], 2),
            (["EXISTS", "a", "b", "c", "d"], 0),
            (["DEL"], Error("ERR wrong number of arguments for 'del' command")),
        ],
    ),
    Case(
        "expire",
        [
            (["EXPIRE", "none", 10], 0),
            (["SET", "k", "v"], "OK"),
            (["EXPIRE", "k", 100], 1),
            (["TTL", "k"], Range(99, 100)),
            (["PTTL", "k"], Range(90000, 100000)),
            (["PEXPIRE", "k", 50000], 1),
            (["TTL", "k"], Range(49, 50)),
            (["EXPIREAT", "k", FAR_S], 1),
            (["EXPIRETIME", "k"], FAR_S),
            (["PEXPIREAT", "k", FAR_S * 1000 + 1], 1),
            (["PEXPIRETIME", "k"], FAR_S * 1000 + 1),
            (["PERSIST", "k"], 1),
            (["PERSIST", "k"], 0),
            (["PERSIST", "none"], 0),
            (["TTL", "k"], -1),
            (["TTL", "none"], -2),
            (["EXPIRETIME", "k"], -1),
            (["PEXPIRETIME", "none"], -2),
            (["GET", "k"], b"v"),
            (["EXPIRE", "k", -1], 1),
            (["EXISTS", "k"], 0),
            (["EXPIRE", "k", "x"], Error("ERR value is not an integer or out of range")),
            (["EXPIRE", "k", 9223372036854775807], Error("ERR invalid expire time in 'expire' command")),
        ],
    ),
    Case(
        "expire_conditions",
        [
            (["SET", "k", "v"], "OK"),
            (["EXPIRE", "k", 100, "XX"], 0),
            (["EXPIRE", "k", 100, "GT"], 0),
            (["EXPIRE", "k", 100, "LT"], 1),
            (["EXPIRE", "k", 200, "NX"], 0),
            (["EXPIRE", "k", 200, "LT"], 0),
            (["EXPIRE", "k", 200, "GT"], 1),
            (["EXPIRE", "k", 50, "XX", "LT"], 1),
            (["PERSIST", "k"], 1),
            (["EXPIRE", "k", 100, "NX"], 1),
            (["EXPIRE", "k", 1, "NX", "XX"], Error("ERR NX and XX, GT or LT options at the same time are not compatible")),
            (["EXPIRE", "k", 1, "GT", "LT"], Error("ERR GT and LT options at the same time are not compatible")),
            (["EXPIRE", "k", 1, "FOO"], Error("ERR Unsupported option FOO")),
        ],
    ),
]
