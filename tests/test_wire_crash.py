"""P5 over the wire: the server is killed in the middle of EXECs and MSETs, and in-process readers never see half of one.

Clients write pairs of equal values over RESP, by MULTI/EXEC and by MSET, while a reader of this process checks them by mget, and
after each kill by plain gets as well (a commit that was half swept in would show there). The server gets SIGKILL at a random
moment, the reader goes on, the next server adopts the segment.
"""

from __future__ import annotations

import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from conftest import SEED
from server_process import SERVER

import fincache

KILLS = 30
PAIRS = 4
WRITERS = 2
ALIVE_SECONDS_MAX = 0.05


@contextmanager
def killed_server(segment: str, dice: random.Random) -> Iterator[int]:
    """A server's port; killed in the end."""
    server = subprocess.Popen([str(SERVER), "--segment", segment, "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline().split()[1])
        time.sleep(dice.random() * ALIVE_SECONDS_MAX)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def request(*words: str) -> bytes:
    return b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)])


def write_until_it_dies(port: int, writer: int, number: int) -> None:
    """Pipelined EXECs and MSETs of pairs, until the connection breaks."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        while True:
            number += 1
            value = f"{writer}:{number}:" + "x" * (number % 300)
            left, right = f"left{number % PAIRS}", f"right{number % PAIRS}"
            together = request("MSET", left, value, right, value)
            queued = request("MULTI") + request("SET", left, value) + request("SET", right, value) + request("EXEC")
            wire.sendall((together + queued) * 20)
            if not wire.recv(1 << 16):
                return


class Reader(threading.Thread):
    """Checks pairs until it is told to stop."""

    def __init__(self, segment: str) -> None:
        super().__init__()
        self.segment = segment
        self.ends = threading.Event()
        self.broken: list[tuple[object, ...]] = []
        self.seen: set[bytes | None] = set()

    def run(self) -> None:
        with fincache.attach(self.segment, readonly=True) as cache:
            while not self.ends.is_set() and not self.broken:
                for pair in range(PAIRS):
                    left, right = cache.mget(f"left{pair}", f"right{pair}")
                    self.seen.add(left)
                    if left != right:
                        self.broken.append((pair, left, right))


def test_a_killed_server_leaves_no_half_of_a_transaction(name: str) -> None:
    """After each kill and at any time in between, both keys of a pair hold the same."""
    dice = random.Random(SEED)
    with fincache.open(name, size="16MB") as cache:
        reader = Reader(name)
        reader.start()
        changed = 0
        try:
            for kill in range(KILLS):
                before = cache.mget("left0", "left1")
                with killed_server(name, dice) as port:
                    writers = [
                        threading.Thread(target=write_until_it_dies, args=(port, i, kill * 100_000)) for i in range(WRITERS)
                    ]
                    for writer in writers:
                        writer.start()
                for writer in writers:
                    writer.join()
                changed += cache.mget("left0", "left1") != before
                for pair in range(PAIRS):  # plain gets: nobody writes now
                    assert cache.get(f"left{pair}") == cache.get(f"right{pair}")
                cache.mset({"left0": f"strategy{kill}", "right0": f"strategy{kill}"})  # the dead hold no lock
        finally:
            reader.ends.set()
            reader.join()
        assert reader.broken == []
        assert len(reader.seen) > KILLS
        assert changed > KILLS // 2  # the kills came in the middle of writing
        assert cache.reap() >= 0
        assert not [session for session in cache.sessions() if not session.live]
