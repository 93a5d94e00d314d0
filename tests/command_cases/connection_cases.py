"""Who speaks, how, and to which database."""

from command_cases import ANY, Case, Error, Range

CASES = [
    Case(
        "ping_echo",
        [
            (["PING"], "PONG"),
            (["PING", "hi"], b"hi"),
            (["ECHO", "x"], b"x"),
            (["PING", 1, 2], Error("ERR wrong number of arguments for 'ping' command")),
        ],
    ),
    Case(
        "select",
        [
            (["SELECT", 1], "OK"),
            (["SET", "k", "one"], "OK"),
            (["SELECT", 0], "OK"),
            (["GET", "k"], None),
            (["SELECT", 99], Error("ERR DB index is out of range")),
            (["SELECT", -1], Error("ERR DB index is out of range")),
            (["SELECT", "x"], ANY),
        ],
    ),
    Case(
        "client",
        [
            (["CLIENT", "ID"], Range(1, 10**9)),
            (["CLIENT", "GETNAME"], None),
            (["CLIENT", "SETNAME", "me"], "OK"),
            (["CLIENT", "GETNAME"], b"me"),
            (["CLIENT", "SETNAME", "a b"], Error("ERR Client names cannot contain spaces, newlines or special characters.")),
            (["CLIENT", "SETNAME", ""], "OK"),
            (["CLIENT", "GETNAME"], None),
            (["CLIENT", "SETINFO", "LIB-NAME", "lib"], "OK"),
            (["CLIENT", "SETINFO", "lib-ver", "1.2"], "OK"),
            (["CLIENT", "SETINFO", "foo", "x"], Error("ERR Unrecognized option 'foo'")),
            (["CLIENT", "NOSUCH"], Error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")),
            (["CLIENT"], Error("ERR wrong number of arguments for 'client' command")),
        ],
    ),
    Case(
        "auth_without_a_password",
        [
            (
                ["AUTH", "x"],
                Error(
                    "ERR AUTH <password> called without any password configured for the default user. "
                    "Are you sure your configuration is correct?"
                ),
            ),
            (["AUTH", "default", "x"], "OK"),
            (["AUTH", "nobody", "x"], Error("WRONGPASS invalid username-password pair or user is disabled.")),
            (["AUTH", "a", "b", "c"], Error("ERR syntax error")),
        ],
    ),
    Case(
        "reset_and_quit", [(["MULTI"], "OK"), (["RESET"], "RESET"), (["EXEC"], Error("ERR EXEC without MULTI")), (["QUIT"], "OK")]
    ),
    Case(
        "hello",
        [
            (["HELLO", 9], Error("NOPROTO unsupported protocol version")),
            (["HELLO", "x"], Error("ERR Protocol version is not an integer or out of range")),
            (["HELLO", 3, "FOO"], Error("ERR Syntax error in HELLO option 'FOO'")),
            (["HELLO", 2, "SETNAME", "n"], ANY),
            (["CLIENT", "GETNAME"], b"n"),
        ],
    ),
]
