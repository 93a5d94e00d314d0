"""The life of the daemon's process: start, serve, reload, hand over, drain, end.

    segment -> service lock -> listeners -> C server -> control socket -> ready -> [main loop] -> drain -> end
                    |  held by another daemon: refuse, or --takeover (handover.py)

The main thread runs one loop over signals, the server's events, the control socket and timers; clients are served by the C
server's threads and never pass through here. What the loop must not do is wait: draining, which does, has a thread of its own,
so that a second signal is heard and the watchdog is fed meanwhile.

Ends   SIGTERM, SIGINT, SHUTDOWN   drain for server.shutdown_grace at most, leave the segment (or remove it, if told), exit code 0
       a second SIGTERM or SIGINT  at once: exit code 128 + its number. Sessions are settled by others, as after kill -9
       taken over                  drain, leave segment, sockets and paths to the new daemon, exit code 0
       segment removed             drain, exit code 11, so that systemd starts a new one
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import fincache
from fincache._core.serving import Server
from fincache.daemon import handover
from fincache.daemon.client_events import ClientEvents
from fincache.daemon.config_kinds import format_size
from fincache.daemon.config_load import Configuration
from fincache.daemon.failures import ConfigurationError, HandoverFailed, SegmentServed
from fincache.daemon.giving_over import GivingOver
from fincache.daemon.housekeeping import TICK_SECONDS, Housekeeper
from fincache.daemon.listeners import OwnedPath, adopt_listeners, open_listeners, text_of, warn_of_other_addresses
from fincache.daemon.parameters import PARAMETERS, level_of_redis
from fincache.daemon.reloading import changed_redis, changes_of, merged
from fincache.daemon.sd_notify import Notifier, sockets_from_manager
from fincache.daemon.segment_life import obtain_segment, set_policy
from fincache.daemon.self_check import SelfCheck
from fincache.daemon.server import apply, apply_redis, configure, tell_of_start
from fincache.daemon.service_lock import ServiceLock, is_gone
from fincache.daemon.signal_pipe import SignalPipe
from fincache.daemon.structured_log import StructuredLog

STATUS_SECONDS = 5.0
DRAIN_TURN_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_SEGMENT_REMOVED = 11  # "the system, or FinCache itself, failed": a new start mends it

# Of this very process; the successor gets its own, or none.
_NOT_INHERITED = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID")


@dataclass(frozen=True)
class Invocation:
    """How the daemon was called.

    Attributes:
        takeover: take a running daemon's place.
        reload: reads the configuration again. Raises ConfigurationError.
        rewrite: writes a configuration file for CONFIG REWRITE, from parameters by name; an error, or "".
        successor_command: starts this program again, to take over (SIGUSR2).
    """

    takeover: bool
    reload: Callable[[], Configuration]
    rewrite: Callable[[Mapping[str, str]], str]
    successor_command: Sequence[str]


class Service:
    """One daemon. `run` is its life; an object serves once."""

    def __init__(
        self, configuration: Configuration, invocation: Invocation, log: StructuredLog, environment: Mapping[str, str]
    ) -> None:
        self._configuration = configuration
        self._invocation = invocation
        self._log = log
        self._environment = dict(environment)  # before the notifier takes its variables out
        self._notifier = Notifier()
        self._selector = selectors.DefaultSelector()
        self._predecessor: handover.Successor | None = None  # the daemon whose place we take
        self._paths: list[OwnedPath] = []
        self._set_by_clients: dict[str, str] = {}
        self._is_stopping = False
        self._is_taken_over = False
        self._is_hurried = False
        self._exit_code = 0

    def run(self) -> int:
        """Serves until somebody ends it; the exit code.

        Raises:
            FinCacheError, DaemonError, OSError: it could not start. Nothing is left behind but a segment that was created.
        """
        with contextlib.ExitStack() as stack:
            self._start(stack)
            while not self._is_stopping:
                self._turn(min(self._timers.values()) - time.monotonic())
            self._drain()
            if self._configuration.settings.server.remove_segment and not self._is_taken_over and not self._exit_code:
                fincache.unlink(self._cache.name)
                self._log.info("segment removed", segment=self._cache.name)
        self._log.info("ended", exit_code=self._exit_code)
        return self._exit_code

    # ------------------------------------------------------------------ start

    def _start(self, stack: contextlib.ExitStack) -> None:
        """Everything up to READY. What was opened is closed by `stack`, in reverse order."""
        settings = self._configuration.settings
        stack.callback(self._notifier.close)
        self._log.info("starting", version=fincache.__version__, pid=os.getpid(), segment=settings.server.segment)
        for path in self._configuration.asks_for_later_parts():
            self._log.warning("not used yet", key=path, set_by=str(self._configuration.origins[path]))
        self._signals = stack.enter_context(SignalPipe([*STOP_SIGNALS, signal.SIGHUP, signal.SIGUSR2]))
        stack.callback(self._selector.close)
        self._cache = cache = obtain_segment(self._configuration, self._log)
        stack.callback(cache.close)
        segment_id = cache.info().segment_id
        self._lock = self._take_lock(segment_id)
        stack.callback(self._lock.close)
        stack.callback(self._leave_predecessor)
        self._server = server = Server(cache._attachment)
        stack.callback(server.close)
        configure(server, self._configuration, self._log)
        self._open_listeners()
        tell_of_start(server, cache.info().size_bytes, settings.server.unixsocket_mode)
        server.start(settings.server.threads)
        if self._predecessor is None:
            control = handover.listen(cache.name, segment_id)
        else:
            control = handover.adopt_control(self._predecessor.offer.control_fd)
            self._confirm(self._predecessor)
            self._lock.claim()
            self._log.info("place taken", of_pid=self._predecessor.offer.pid, of_version=self._predecessor.offer.version)
        self._giving_over = GivingOver(control, self._selector, self._log, self._offer, self._taken_over)
        stack.callback(self._giving_over.close)
        self._housekeeper = Housekeeper(cache, self._log, self._lock.fileno(), settings.store.ttl_enabled)
        self._events = ClientEvents(server, self._log, self._parameter_set, self._rewrite)
        self._self_check = SelfCheck(server)
        self._watch()
        self._log_serving()
        self._notifier.ready(self._status())

    def _take_lock(self, segment_id: int) -> ServiceLock:
        name = self._cache.name
        taken = ServiceLock.acquire(name, segment_id)
        if isinstance(taken, ServiceLock):
            if self._invocation.takeover:
                self._log.info("nobody to take over from", segment=name)
            return taken
        if not self._invocation.takeover:
            raise SegmentServed(
                f"segment {name} is served by another daemon, pid {taken}: stop that one, or take its place with --takeover",
                taken,
            )
        self._predecessor = handover.Successor.ask(name, segment_id)
        return ServiceLock(self._predecessor.offer.lock_fd)

    def _confirm(self, predecessor: handover.Successor) -> None:
        """Tells the old daemon that its place is taken. One that died meanwhile has left everything to us as well."""
        try:
            predecessor.confirm()
        except HandoverFailed:
            if not is_gone(predecessor.offer.pid):
                raise
            self._log.warning("the daemon before died while it handed over", of_pid=predecessor.offer.pid)

    def _open_listeners(self) -> None:
        sockets = sockets_from_manager() if self._predecessor is None else []
        if self._predecessor is not None:
            for fd in self._predecessor.offer.listener_fds:
                self._server.listen_fd(fd)
            self._paths = [OwnedPath(path) for path in self._predecessor.offer.paths]
            warn_of_other_addresses(self._server, self._configuration, self._log)
        elif sockets:
            adopt_listeners(self._server, sockets)
            self._log.info("sockets come from the service manager", count=len(sockets))
            warn_of_other_addresses(self._server, self._configuration, self._log)
        else:
            open_listeners(self._server, self._configuration.settings.server, self._environment)
            self._paths = [OwnedPath(item.address) for item in self._server.listeners() if not item.port]

    def _watch(self) -> None:
        """The descriptors and timers of the main loop."""
        self._selector.register(self._signals, selectors.EVENT_READ, self._hear_signals)
        self._selector.register(self._server.event_fd(), selectors.EVENT_READ, self._hear_events)
        if self._predecessor is not None:
            self._selector.register(self._predecessor, selectors.EVENT_READ, self._hear_predecessor)
        self._periods: dict[Callable[[], None], float] = {self._tick: TICK_SECONDS}
        if self._notifier.is_listening:
            self._periods[self._tell_status] = STATUS_SECONDS
        if self._notifier.watchdog_seconds:
            self._periods[self._feed_watchdog] = self._notifier.watchdog_seconds / 2
        now_mono = time.monotonic()
        self._timers = dict.fromkeys(self._periods, now_mono)

    def _log_serving(self) -> None:
        info, server = self._cache.info(), self._server
        self._log.info(
            "serving",
            version=fincache.__version__,
            pid=os.getpid(),
            segment=info.name,
            segment_size=format_size(info.size_bytes),
            policy=info.policy,
            keys=self._cache.stats().key_count,
            threads=server.stats().threads,
            max_connections=server.config_text("maxclients"),
            listening=text_of(server.listeners()),
        )

    # ------------------------------------------------------------------ main loop

    def _turn(self, timeout_seconds: float) -> None:
        """Waits for something and does it; then whatever timer is due."""
        for key, _mask in self._selector.select(max(0.0, timeout_seconds)):
            if key.fd in self._selector.get_map():  # not forgotten by an earlier one of this turn
                key.data()
        now_mono = time.monotonic()
        for timer, due_mono in list(self._timers.items()):
            if due_mono <= now_mono:
                self._timers[timer] = now_mono + self._periods[timer]
                timer()

    def _tick(self) -> None:
        if self._is_stopping:
            return
        if self._housekeeper.segment_is_removed():
            self._log.error("segment was removed by somebody", segment=self._cache.name)
            self._stop("segment removed", EXIT_SEGMENT_REMOVED)
            return
        self._housekeeper.tick()

    def _feed_watchdog(self) -> None:
        if self._is_stopping or self._self_check.is_alive():  # draining ends by itself
            self._notifier.watchdog()
        else:
            self._log.error("the server does not answer: no sign of life for the watchdog")

    def _tell_status(self) -> None:
        if not self._is_stopping:
            self._notifier.status(self._status())

    def _status(self) -> str:
        server, cache = self._server.stats(), self._cache.stats()
        return (
            f"serving segment {self._cache.name}: {server.connections} connections, {cache.key_count} keys, "
            f"{cache.used_bytes * 100 // max(1, cache.arena_bytes)} % of memory used"
        )

    # ------------------------------------------------------------------ what the loop hears

    def _hear_signals(self) -> None:
        for number in self._signals.take():
            if number in STOP_SIGNALS:
                if self._is_stopping:
                    self._stop_at_once(number)
                self._stop(number.name)
            elif self._is_stopping:
                self._log.info("signal without effect: the daemon is stopping", signal=number.name)
            elif number == signal.SIGHUP:
                self._reload()
            else:
                environment = {name: value for name, value in self._environment.items() if name not in _NOT_INHERITED}
                self._giving_over.start_successor(self._invocation.successor_command, environment)

    def _hear_events(self) -> None:
        reason = self._events.take()
        if reason is not None:
            self._is_hurried = reason.endswith("NOW")
            self._stop(reason)

    def _parameter_set(self, name: str, value: str) -> None:
        """CONFIG SET by a client; the server has it in force already. What concerns the rest of the daemon is applied here."""
        self._set_by_clients[name] = value
        if name == "loglevel":
            self._log.configure(level_of_redis(value), self._configuration.settings.server.log_format)

    def _rewrite(self) -> str:
        return self._invocation.rewrite(self._set_by_clients)

    def _reload(self) -> None:
        """SIGHUP. A configuration that is wrong changes nothing."""
        self._notifier.reloading()
        try:
            read = self._invocation.reload()
            changed = changes_of(self._configuration, read)
            redis = changed_redis(self._configuration, read)
            self._configuration = merged(self._configuration, read, changed.applied)
            for path in changed.applied:
                self._apply(path)
            for name, given in redis.items():
                apply_redis(self._server, name, given)
        except ConfigurationError as error:
            for problem in error.problems:
                self._log.error("configuration not reloaded", problem=problem)
        else:
            for path in changed.waiting:
                self._log.warning("changed, and waits for the next start", key=path)
            self._log.info("configuration reloaded", applied=",".join([*changed.applied, *redis]) or None)
        self._notifier.ready(self._status())

    def _apply(self, path: str) -> None:
        settings = self._configuration.settings
        if path in ("server.log_level", "server.log_format"):
            self._log.configure(settings.server.log_level, settings.server.log_format)
        elif path == "store.eviction_policy":
            set_policy(self._cache, settings.store.eviction_policy)
        elif path == "store.ttl_enabled":
            self._housekeeper.sweeps = settings.store.ttl_enabled
        if path in PARAMETERS:
            apply(self._server, self._configuration, path, self._log)

    # ------------------------------------------------------------------ handing over

    def _offer(self, asking: handover.Predecessor) -> None:
        listeners = self._server.listeners()
        paths = [item.path for item in self._paths]
        asking.offer(self._lock.fileno(), self._giving_over.control.fileno(), [item.fd for item in listeners], paths)

    def _taken_over(self, pid: int, is_ours: bool) -> None:
        self._is_taken_over = True
        self._log.info("place given up", to_pid=pid)
        if is_ours:
            self._notifier.main_pid(pid)
            self._notifier.close()  # systemd listens to the new one alone
        self._stop("takeover")

    def _hear_predecessor(self) -> None:
        """The daemon before us is gone."""
        if self._predecessor is not None:
            self._log.info("the daemon before is gone", of_pid=self._predecessor.offer.pid)
            self._selector.unregister(self._predecessor)
            self._leave_predecessor()
            self._notifier.ready(self._status())  # again: only now may systemd listen to us

    def _leave_predecessor(self) -> None:
        if self._predecessor is not None:
            self._predecessor.close()
            self._predecessor = None

    # ------------------------------------------------------------------ the end

    def _stop(self, reason: str, exit_code: int = 0) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        self._exit_code = exit_code
        self._log.info(
            "stopping", reason=reason, grace_seconds=self._grace_seconds(), connections=self._server.stats().connections
        )
        self._notifier.stopping(f"draining: {reason}")

    def _grace_seconds(self) -> float:
        return 0.0 if self._is_hurried else self._configuration.settings.server.shutdown_grace.total_seconds()

    def _drain(self) -> None:
        """Lets clients finish, on a thread of its own, while the loop goes on."""
        dropped: list[int] = []
        failed: list[BaseException] = []
        ended_fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._selector.register(ended_fd, selectors.EVENT_READ, lambda: None)

        def drain() -> None:
            try:
                timeout_ns = round(self._grace_seconds() * 1e9)
                dropped.append(self._server.drain(timeout_ns, keep_listeners=self._is_taken_over))
            except BaseException as error:  # noqa: BLE001 -- it is raised again, on the main thread
                failed.append(error)
            os.eventfd_write(ended_fd, 1)

        began_mono = time.monotonic()
        thread = threading.Thread(target=drain, name="drain")
        thread.start()
        while not dropped and not failed:
            self._turn(DRAIN_TURN_SECONDS)
        thread.join()
        self._selector.unregister(ended_fd)
        os.close(ended_fd)
        if failed:
            raise failed[0]
        self._hear_events()  # the last lines of the server's log
        if not self._is_taken_over:
            self._remove_paths()
        self._log.info("drained", seconds=time.monotonic() - began_mono, dropped=dropped[0])

    def _stop_at_once(self, number: signal.Signals) -> None:
        """The second signal. Nothing is waited for; what is left is settled by others, as after kill -9."""
        self._log.warning("stopped at once", signal=number.name)
        if not self._is_taken_over:
            self._remove_paths()
        os._exit(128 + number)

    def _remove_paths(self) -> None:
        for path in self._paths:
            path.remove()
