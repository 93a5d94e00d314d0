"""What the Python benches share, beside bench.h of the C ones: parameters, samples, figures, targets, and how they are printed.

Method       All sides of a question take turns within one run: every round asks each side once, beginning with another one each
             time, so that a noisy neighbour meets all of them. A sample is what one round of one side gave, per operation; a
             figure is the median over the rounds with p99, p99.9, maximum and minimum beside it. The ratio of two sides is the
             median over the rounds of the ratio within a round, which is steadier than the ratio of two medians. Processor time
             of the caller and of a server behind it are told apart, beside the time on the wall.
Parameters   --NAME VALUE for each row of a bench's table; --quick and --tiny for its second and third column (the test suite
             runs the third); --peers WORD,WORD leaves out peers whose name has none of the words; --json for one JSON object a
             line, in the form of the C benches: a header with question, machine and command, figures, notes, what was left out
             and why, a checksum.
Honesty      Loops are timed as they are: what the interpreter takes for the loop itself is inside every figure, and is one of
             the figures of bench_operations.py. Nothing is subtracted.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

Relation = Literal["<=", ">="]
Size = Literal["full", "quick", "tiny"]


@dataclass(frozen=True)
class Parameter:
    """A named number of a bench, for its three lengths."""

    name: str
    full: int
    quick: int
    tiny: int
    help: str


@dataclass(frozen=True)
class Target:
    """What a figure was promised to be, and which of its numbers is held against it."""

    relation: Relation
    value: float
    judged: Literal["p50", "p99"] = "p50"

    def is_met(self, measured: float) -> bool:
        """Whether a measured number keeps the promise."""
        return measured <= self.value if self.relation == "<=" else measured >= self.value


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """The value at a fraction of sorted samples, as bench_quantile in bench.h takes it."""
    return ordered[int(fraction * (len(ordered) - 1) + 0.5)]


def ratio_of_rounds(samples: Sequence[float], reference: Sequence[float]) -> float:
    """How many times the reference's samples these are: the median of the rounds' own ratios."""
    return statistics.median(mine / theirs for mine, theirs in zip(samples, reference, strict=True))


def machine_line() -> str:
    """Processor, cores, kernel and load, in the words of bench.h."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    kernel = platform.uname()
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {kernel.system} {kernel.release}, Python {platform.python_version()}, load {load:.1f}"
    )


class Bench:
    """One run of one question: its parameters as the command line gave them, and the printing of what was found."""

    def __init__(self, name: str, question: str, parameters: Iterable[Parameter], arguments: Sequence[str]) -> None:
        self.name = name
        self.question = question
        self._table = tuple(parameters)
        self._arguments = list(arguments)
        self.is_json = "--json" in arguments
        self.size: Size = "tiny" if "--tiny" in arguments else "quick" if "--quick" in arguments else "full"
        self._peers: tuple[str, ...] | None = None
        self._values = {row.name: getattr(row, self.size) for row in self._table}
        self._parse()
        self._begin()

    def __getitem__(self, parameter: str) -> int:
        """A parameter's number."""
        value = self._values[parameter]
        assert isinstance(value, int)
        return value

    def _parse(self) -> None:
        words = [word for word in self._arguments if word not in {"--tiny", "--quick", "--json"}]
        while words:
            name = words.pop(0).removeprefix("--")
            if name == "peers" and words:
                self._peers = tuple(word for word in words.pop(0).split(",") if word)
                continue
            if name not in self._values or not words or not words[0].isdecimal():
                self._usage(0 if name in {"help", "-h"} else 2)
            self._values[name] = int(words.pop(0))

    def takes(self, side: str) -> bool:
        """Whether a side is to take part: FinCache and what has no name of a product always do."""
        is_peer = side not in {"fincache", "fincache, cffi", "empty loop", "dict (floor)"}
        return self._peers is None or not is_peer or any(word in side for word in self._peers)

    def _usage(self, code: int) -> NoReturn:
        print(
            f"{self.question}\n\nusage: bench/bench_{self.name}.py [--quick | --tiny] [--json] [--peers WORDS] [--NAME VALUE ...]"
        )
        for row in self._table:
            print(f"  --{row.name:<16} {row.help} (default {row.full}, quick {row.quick}, tiny {row.tiny})")
        print(f"  --{'peers':<16} only peers whose name has one of these words, with commas between (default all)")
        sys.exit(code)

    # ------------------------------------------------------------------ printing

    def _emit(self, **fields: object) -> None:
        print(json.dumps({"bench": self.name, **fields}), flush=True)

    def _begin(self) -> None:
        command = " ".join(["python", f"bench/bench_{self.name}.py", *self._arguments])
        if self.is_json:
            self._emit(
                question=self.question,
                machine=machine_line(),
                command=command,
                size=self.size,
                parameters=self._values,
                pid=os.getpid(),
            )
        else:
            parameters = " ".join(f"{name} {value}" for name, value in self._values.items())
            print(f"{self.question}\n  {machine_line()}\n  {command}; {parameters}", flush=True)

    def figure(
        self,
        figure: str,
        unit: str,
        samples: Sequence[float],
        *,
        side: str = "fincache",
        operation: str | None = None,
        target: Target | None = None,
        ratio: float | None = None,
        cpu: float | None = None,
        server_cpu: float | None = None,
        doubt: str | None = None,
    ) -> None:
        """Prints one figure.

        Args:
            figure: what was measured, in words.
            unit: of samples, cpu and server_cpu, such as "ns".
            samples: one for each round, or for each operation timed by itself.
            side: who was measured.
            operation: what groups the figures of several sides; None: `figure` itself.
            target: what it was promised to be.
            ratio: how many times the reference's number this is (ratio_of_rounds).
            cpu: processor time of the caller for one operation.
            server_cpu: processor time of the server's side for one operation; None if there is no server.
            doubt: why the figure says less than it should, in this run.
        """
        ordered = sorted(samples)
        numbers = {
            "min": ordered[0],
            "p50": statistics.median(ordered),
            "p99": quantile(ordered, 0.99),
            "p99.9": quantile(ordered, 0.999),
            "max": ordered[-1],
        }
        self.quantiles(
            figure,
            unit,
            numbers,
            len(ordered),
            side=side,
            operation=operation,
            target=target,
            ratio=ratio,
            cpu=cpu,
            server_cpu=server_cpu,
            doubt=doubt,
        )

    def quantiles(
        self,
        figure: str,
        unit: str,
        numbers: Mapping[str, float],
        count: int,
        *,
        side: str = "fincache",
        operation: str | None = None,
        target: Target | None = None,
        ratio: float | None = None,
        cpu: float | None = None,
        server_cpu: float | None = None,
        doubt: str | None = None,
    ) -> None:
        """Prints one figure whose quantiles are known already. Arguments as for `figure`; `count` samples are behind them."""
        optional: dict[str, object] = {"ratio": ratio, "cpu": cpu, "server_cpu": server_cpu, "doubt": doubt}
        if target is not None:
            met = target.is_met(numbers[target.judged])
            optional |= {"judged": target.judged, "relation": target.relation, "target": target.value, "met": met}
        given = {name: value for name, value in optional.items() if value is not None}
        rounded = {name: round(value, 3) for name, value in numbers.items()}
        if self.is_json:
            self._emit(figure=figure, side=side, operation=operation or figure, unit=unit, **rounded, samples=count, **given)
            return
        words = [f"  {figure:<64} p50 {numbers['p50']:>12,.1f} {unit:<5} max {numbers['max']:>12,.1f}"]
        if ratio is not None:
            words.append(f"{ratio:>9,.2f} x")
        if cpu is not None:
            words.append(f"cpu {cpu:>11,.1f}")
        if server_cpu is not None:
            words.append(f"server {server_cpu:>11,.1f}")
        if target is not None:
            words.append(f"{target.relation} {target.value:g}: {'met' if given['met'] else 'missed'}")
        if doubt is not None:
            words.append(f"({doubt})")
        print("  ".join(words), flush=True)

    def side(self, name: str, settings: str) -> None:
        """Says with which version and settings a side takes part."""
        if self.is_json:
            self._emit(side=name, settings=settings)
        else:
            print(f"  {name}: {settings}", flush=True)

    def skip(self, what: str, reason: str) -> None:
        """Says what was left out, and why."""
        if self.is_json:
            self._emit(skipped=what, reason=reason)
        else:
            print(f"  skipped: {what}: {reason}", flush=True)

    def note(self, text: str) -> None:
        """A remark that belongs to the figures."""
        if self.is_json:
            self._emit(note=text)
        else:
            print(f"  {text}", flush=True)

    def end(self, checksum: int) -> None:
        """Closes the output with the checksum of everything that was read."""
        if self.is_json:
            self._emit(checksum=f"{checksum & 0xFFFFFFFFFFFFFFFF:016x}")
        else:
            print(f"  checksum {checksum & 0xFFFFFFFFFFFFFFFF:016x}", flush=True)
