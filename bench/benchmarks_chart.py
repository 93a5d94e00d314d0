"""Draws docs/benchmarks.png: what FinCache and its peers took for a few operations, as dots on a logarithmic axis.

Dots and not bars: on a logarithmic axis the length of a bar says nothing. Each dot is labelled with its time and with how many
times FinCache's that is. The picture has its own light background, so that it can be read on a dark page as on a light one.
FinCache and the floor are told from the others by shape and by weight, not by colour alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

Row = dict[str, Any]

MARKDOWN = "![What one operation takes in FinCache and in its peers, on a logarithmic axis](benchmarks.png)"
PANELS = (
    ("operations", "get, bytes key, 32 B", "get (16-byte key, 32-byte value)"),
    ("operations", "set, bytes key, 32 B", "set"),
    ("array_reads", "500 records of 64 bytes into an array", "500 records of 64 bytes into one numpy array"),
)
README_SIDES = (
    "fincache",
    "py-lmdb, open txn",
    "py-lmdb, txn per call",
    "UltraDict",
    "Manager().dict()",
    "redis-py",
    "pymemcache",
)
LEFT_OUT = {"empty loop"}
OUR_LOOP = "a get for each"
INK, SOFT, ACCENT, PAPER, GRID = "#1f2328", "#59636e", "#0b57d0", "#f6f8fa", "#d1d9e0"
ROW_INCHES = 0.27


def rows_of(results: Row, bench: str, operation: str) -> list[Row]:
    """The figures of a panel, the fastest on top; of several ways that a peer has, each."""
    found = [row for row in results["figures"] if row["bench"] == bench and row.get("operation") == operation]
    kept = [row for row in found if row["side"] not in LEFT_OUT and not row["side"].endswith(("no array", OUR_LOOP))]
    kept += [row for row in found if row["side"].endswith(OUR_LOOP) and not row["side"].startswith("fincache")]
    return sorted(kept, key=lambda row: float(row["p50"]))


def time_label(ns: float) -> str:
    """A time as people write it."""
    for unit, factor in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if ns < 999.5 * factor:
            value = ns / factor
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{ns / 1e9:.1f} s"


def ratio_label(row: Row) -> str:
    """How many times FinCache's time, for the others."""
    ratio = row.get("ratio")
    if ratio is None or row["side"] == "fincache":
        return ""
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 1 else f"{ratio:.2f}x"


def draw(results: Row, path: Path) -> None:
    """Writes the picture; without matplotlib it says so and leaves the old one."""
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError as error:
        print(f"no chart: {error} (pip extra `bench`)")
        return
    panels = [(title, rows_of(results, bench, operation)) for bench, operation, title in PANELS]
    panels = [(title, rows) for title, rows in panels if rows]
    heights = [len(rows) + 1.6 for _, rows in panels]
    with plt.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.labelcolor": SOFT}):
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(9, sum(heights) * ROW_INCHES + 1.1),
            height_ratios=heights,
            sharex=True,
            squeeze=False,
            facecolor=PAPER,
        )
        times = [float(row["p50"]) for _, rows in panels for row in rows]
        for axis, (title, rows) in zip(axes[:, 0], panels, strict=True):
            panel(axis, title, rows)
            axis.set_xlim(min(times) / 1.6, max(times) * 9)
        axes[-1, 0].set_xlabel("time of one operation on a logarithmic axis, and how many times FinCache's that is; medians")
        axes[-1, 0].xaxis.set_major_formatter(lambda value, _: time_label(value).replace(".0", ""))
        length = "" if results["size"] == "full" else f" ({results['size']} run)"
        figure.text(
            0.012, 0.008, f"{results['machine']}; {results['begun'][:10]}, {results['commit']}{length}", fontsize=7, color=SOFT
        )
        figure.tight_layout(rect=(0, 0.02, 1, 1))
        figure.savefig(path, dpi=160, facecolor=PAPER, metadata={"Software": None})
        plt.close(figure)


def panel(axis: Any, title: str, rows: list[Row]) -> None:
    """One operation: a line for each side."""
    axis.set_facecolor(PAPER)
    axis.set_xscale("log")
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)
    axis.grid(axis="x", color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(range(len(rows)))
    axis.set_yticklabels([row["side"] for row in rows])
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.tick_params(which="both", length=0, colors=INK)
    axis.tick_params(axis="x", colors=SOFT)
    for place, row in enumerate(rows):
        time_ns = float(row["p50"])
        is_ours, is_floor = row["side"].startswith("fincache"), "floor" in row["side"]
        color = ACCENT if is_ours else SOFT
        axis.plot(
            [time_ns],
            [place],
            marker="D" if is_ours else "o",
            markersize=7,
            color=color,
            markerfacecolor=PAPER if is_floor else color,
        )
        label = "   ".join(text for text in (time_label(time_ns), ratio_label(row)) if text)
        axis.annotate(label, (time_ns, place), xytext=(9, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK)
        axis.get_yticklabels()[place].set_color(ACCENT if is_ours else INK)
        axis.get_yticklabels()[place].set_fontweight("bold" if is_ours else "normal")
