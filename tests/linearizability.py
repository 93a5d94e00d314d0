"""Decides whether a recorded history could have come from operations that took effect one at a time (P4, P5).

The search is Wing and Gong's ("Testing and Verifying Concurrent Objects", J. Parallel and Distributed Computing 17, 1993) with
Lowe's memory of what was tried ("Testing for Linearizability", CCPE 29(4), 2017): a set of (which operations are done, state). It
walks over a linked list of calls and returns ordered by time, as Porcupine does: a call may be taken next if no
unfinished one returned before it was made. Linearizability is local, so histories of single keys are judged key by key; keys
that are written together are judged together, as one object.

An operation without a return time was under way when its process was killed: it may have happened at any time since, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)

INT64_MAX = 2**63 - 1


@dataclass(frozen=True)
class Operation:
    """One line of a history. Times are nanoseconds; returned_ns and status are None for an operation that never returned."""

    process: int
    name: str
    keys: tuple[str, ...]
    argument: str | None
    invoked_ns: int
    returned_ns: int | None
    status: str | None
    result: str | None = None
    version: int = 0

    @property
    def is_pending(self) -> bool:
        """Did it not return?"""
        return self.returned_ns is None


@dataclass(frozen=True)
class Model(Generic[State]):
    """A sequential object: `step` gives the state after an operation, or None if its outcome cannot be from this state."""

    initial: State
    step: Callable[[State, Operation], State | None]


def parse(lines: Iterable[str]) -> list[Operation]:
    """Reads what record_history wrote."""
    operations = []
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        process, name, keys, argument, invoked, returned, status, result, version = line.split()
        operations.append(
            Operation(
                process=int(process),
                name=name,
                keys=tuple(keys.split(",")),
                argument=None if argument == "-" else argument,
                invoked_ns=int(invoked),
                returned_ns=None if returned == "-" else int(returned),
                status=None if status == "-" else status,
                result=None if result == "-" else result,
                version=0 if version == "-" else int(version),
            )
        )
    return operations


def read(path: Path) -> list[Operation]:
    """Reads a history from a file."""
    return parse(path.read_text().splitlines())


# -------------------------------------------------------------------------------------------------------------- the search


def find_order(operations: list[Operation], model: Model[State]) -> tuple[list[Operation], bool]:
    """An order in which the operations could have happened, and True; or the longest one that was tried, and False."""
    count = len(operations)
    # Entry i < count is the call of operation i, entry count + i its return. Of equal times calls come first: that judges mildly.
    events = [(operation.invoked_ns, 0, i) for i, operation in enumerate(operations)]
    events += [
        (operation.returned_ns, 1, count + i) for i, operation in enumerate(operations) if operation.returned_ns is not None
    ]
    events.sort()
    head = end = 2 * count
    after, before = [end] * (end + 1), [head] * (end + 1)
    previous = head
    for _, _, entry in events:
        after[previous], before[entry] = entry, previous
        previous = entry
    after[previous], before[head] = end, previous

    def lift(i: int) -> None:
        for entry in (i, count + i) if not operations[i].is_pending else (i,):
            after[before[entry]] = after[entry]
            before[after[entry]] = before[entry]

    def put_back(i: int) -> None:
        for entry in (count + i, i) if not operations[i].is_pending else (i,):
            after[before[entry]] = entry
            before[after[entry]] = entry

    unfinished = sum(not operation.is_pending for operation in operations)
    state, done = model.initial, 0
    tried: set[tuple[int, State]] = set()
    taken: list[tuple[int, State]] = []
    longest: list[int] = []
    entry = after[head]
    while unfinished:
        if entry < count:
            reached = model.step(state, operations[entry])
            if reached is not None and (done | 1 << entry, reached) not in tried:
                tried.add((done | 1 << entry, reached))
                taken.append((entry, state))
                state, done = reached, done | 1 << entry
                unfinished -= not operations[entry].is_pending
                lift(entry)
                entry = after[head]
            else:
                entry = after[entry]
            continue
        # The return of an operation that could not be taken before it, or the end of the list.
        if len(taken) > len(longest):
            longest = [i for i, _ in taken]
        if not taken:
            return [operations[i] for i in longest], False
        i, state = taken.pop()
        done &= ~(1 << i)
        unfinished += not operations[i].is_pending
        put_back(i)
        entry = after[i]
    return [operations[i] for i, _ in taken], True


# ---------------------------------------------------------------------------------------------------------------- the models

Value = str | None
Versioned = tuple[Value, int | None]
"""A key's value and version; the version is None as long as no operation has told it."""


def parse_integer(text: str) -> int | None:
    """The integer that a value is, by Redis's rules: no sign but '-', no leading zero; None if it is none."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and text != "0"):
        return None
    number = int(text)
    return number if -INT64_MAX - 1 <= number <= INT64_MAX else None


def _increment(value: Value, delta: int) -> tuple[str, Value]:
    present = 0 if value is None else parse_integer(value)
    if present is None:
        return "NOT_INTEGER", None
    if not -INT64_MAX - 1 <= present + delta <= INT64_MAX:
        return "OVERFLOW", None
    return "OK", str(present + delta)


def _set_outcome(value: Value, version: int | None, operation: Operation) -> str:
    """What a set of some kind must answer in this state; "OK" also where the state leaves it open and the history says OK."""
    if operation.name == "setnx":
        return "OK" if value is None else "NOT_STORED"
    if operation.name == "setxx":
        return "NOT_STORED" if value is None else "OK"
    if operation.name != "cas":
        return "OK"
    assert operation.argument is not None
    wanted = int(operation.argument.split(",")[1])
    if value is None:
        return "OK" if wanted == 0 else "VERSION_MISMATCH"
    if version is None and wanted != 0:
        return operation.status or "OK"
    return "OK" if version == wanted else "VERSION_MISMATCH"


def _step_set(state: Versioned, operation: Operation) -> Versioned | None:
    value, version = state
    assert operation.argument is not None
    outcome = _set_outcome(value, version, operation)
    if not operation.is_pending and operation.status != outcome:
        return None
    if operation.name == "setget" and not operation.is_pending and operation.result != value:
        return None
    if outcome != "OK":
        return state
    return operation.argument.split(",")[0], operation.version or None


def _step_get(state: Versioned, operation: Operation) -> Versioned | None:
    value, version = state
    if operation.is_pending:
        return state
    if operation.status == "MISS":
        return state if value is None else None
    if operation.status != "OK" or value is None or operation.result != value or version not in (None, operation.version):
        return None
    return value, operation.version


def _step_key(state: Versioned, operation: Operation) -> Versioned | None:
    """One key of a cache."""
    value, _ = state
    if operation.name in ("set", "setnx", "setxx", "setget", "cas"):
        return _step_set(state, operation)
    if operation.name == "get":
        return _step_get(state, operation)
    expected, result, reached = "OK" if value is not None else "MISS", operation.result, state
    if operation.name in ("delete", "getdel"):
        reached = (None, None)
        if operation.name == "getdel":
            result = value
    elif operation.name == "flush":
        expected, reached = "OK", (None, None)
    elif operation.name == "expire":
        reached = (value, None)
    elif operation.name == "append":
        reached = ((value or "") + (operation.argument or ""), None)
        expected, result = "OK", str(len(reached[0] or ""))
    elif operation.name == "incr":
        expected, result = _increment(value, int(operation.argument or "0"))
        reached = (result, None) if expected == "OK" else state
    else:
        raise ValueError(f"no model of {operation.name}")
    if operation.is_pending:
        return reached
    return reached if (operation.status, operation.result) == (expected, result) else None


KEY: Model[Versioned] = Model((None, None), _step_key)


def group_model(keys: tuple[str, ...]) -> Model[tuple[Value, ...]]:
    """Several keys that are written and read together, as one object. Versions are not looked at."""

    def step(state: tuple[Value, ...], operation: Operation) -> tuple[Value, ...] | None:
        values = dict(zip(keys, state, strict=True))
        expected, result = "OK", operation.result
        if operation.name == "mset":
            parts = (operation.argument or "").split(",")
            values.update((key, None if part == "-" else part) for key, part in zip(operation.keys, parts, strict=True))
        elif operation.name == "mget":
            result = ",".join(values[key] or "-" for key in operation.keys)
        elif operation.name == "flush":
            values = dict.fromkeys(keys)
        elif operation.name in ("rename", "copy"):
            source, target = operation.keys
            if values[source] is None:
                expected = "MISS"
            else:
                values[target] = values[source]
                if operation.name == "rename":
                    values[source] = None
        elif operation.name == "set":
            values[operation.keys[0]] = operation.argument
        elif operation.name == "delete":
            expected = "MISS" if values[operation.keys[0]] is None else "OK"
            values[operation.keys[0]] = None
        elif operation.name == "get":
            result = values[operation.keys[0]]
            expected = "MISS" if result is None else "OK"
        else:
            raise ValueError(f"no model of {operation.name} for several keys")
        if not operation.is_pending and (operation.status, operation.result) != (expected, result):
            return None
        return tuple(values[key] for key in keys)

    return Model((None,) * len(keys), step)


# ---------------------------------------------------------------------------------------------------------------- judgements

_NO_ANSWER = frozenset({"CONTENDED", "BUSY", "OUT_OF_MEMORY"})
"""An operation that ended so changed nothing and told nothing."""


def _relevant(operations: Iterable[Operation]) -> list[Operation]:
    reads = ("get", "mget")
    return [o for o in operations if o.status not in _NO_ANSWER and not (o.is_pending and o.name in reads)]


def explain(operations: list[Operation], order: list[Operation]) -> str:
    """What shows a person where the search got stuck: the last operations of the best order, and those that fit nowhere."""
    done = {id(operation) for operation in order}
    left = sorted((o for o in operations if id(o) not in done), key=lambda o: o.invoked_ns)
    start = operations[0].invoked_ns if operations else 0

    def show(operation: Operation) -> str:
        keys = ",".join(operation.keys)
        returned = "never" if operation.returned_ns is None else str(operation.returned_ns - start)
        return (
            f"  [{operation.invoked_ns - start} .. {returned}] process {operation.process}: {operation.name} {keys}"
            f" {operation.argument} -> {operation.status} {operation.result} version {operation.version}"
        )

    lines = [f"{len(order)} of {len(operations)} operations could be ordered; the last of them:"]
    lines += [show(operation) for operation in order[-8:]]
    lines += ["then none of these fits:"]
    lines += [show(operation) for operation in left[:8]]
    return "\n".join(lines)


def violations_by_key(operations: list[Operation]) -> dict[str, str]:
    """Judges each key by itself; a flush is an operation on every key. An explanation for each key that is not linearizable."""
    keys = sorted({key for operation in operations for key in operation.keys if key != "*"})
    found = {}
    for key in keys:
        of_key = _relevant(o for o in operations if key in o.keys or "*" in o.keys)
        order, is_linearizable = find_order(of_key, KEY)
        if not is_linearizable:
            found[key] = explain(of_key, order)
    return found


def group_violation(operations: list[Operation], keys: tuple[str, ...]) -> str | None:
    """Judges the keys together. An explanation, or None if the history is linearizable."""
    relevant = _relevant(operations)
    order, is_linearizable = find_order(relevant, group_model(keys))
    return None if is_linearizable else explain(relevant, order)
