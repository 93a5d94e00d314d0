"""The segment as the daemon meets it: adopts one that exists, creates one otherwise."""

from __future__ import annotations

from typing import cast

import fincache
from fincache._reports import Policy
from fincache.daemon.config_kinds import format_size
from fincache.daemon.config_load import Configuration
from fincache.daemon.structured_log import StructuredLog


def obtain_segment(configuration: Configuration, log: StructuredLog) -> fincache.Cache:
    """Attaches to the configured segment; creates it if there is none and the configuration allows that.

    A segment that exists keeps what it was made with; what the configuration says differently is logged. Its policy is changed
    if somebody set the key.

    Raises:
        FinCacheError: SegmentMissing, and whatever fincache.open raises.
    """
    server, store = configuration.settings.server, configuration.settings.store
    if server.create_segment:
        cache = fincache.open(
            server.segment,
            store.max_memory,
            item_bytes=store.item_bytes,
            databases=store.databases,
            sessions_max=store.sessions_max or None,
            policy=_policy(store.eviction_policy),
            mode=store.mode,
            group=_group(store.group),
            huge_pages=store.huge_pages,
            prefault=store.prefault,
            lock_memory=store.lock_memory,
            value_bytes_max=store.value_bytes_max,
        )
    else:
        cache = fincache.attach(
            server.segment, huge_pages=store.huge_pages, prefault=store.prefault, lock_memory=store.lock_memory
        )
    try:
        _compare(cache, configuration, log)
    except BaseException:
        cache.close()
        raise
    return cache


def set_policy(cache: fincache.Cache, name: str) -> None:
    """Changes what a full segment does, for everybody."""
    cache.set_policy(_policy(name))


def _policy(name: str) -> Policy:
    return cast("Policy", name)  # its kind has checked it against the engine's names


def _group(text: str) -> str | int | None:
    return int(text) if text.isdecimal() else text or None


def _compare(cache: fincache.Cache, configuration: Configuration, log: StructuredLog) -> None:
    """Logs what an adopted segment has differently from the configuration, and sets its policy."""
    store = configuration.settings.store
    info = cache.info()
    if configuration.is_set("store.eviction_policy") and info.policy != store.eviction_policy:
        set_policy(cache, store.eviction_policy)
        log.info("policy changed", segment=cache.name, policy_before=info.policy, policy=store.eviction_policy)
    kept = {
        "store.max_memory": (info.size_bytes, -(-store.max_memory // _ROUNDING_BYTES) * _ROUNDING_BYTES),
        "store.databases": (info.databases, store.databases),
        "store.mode": (info.mode, store.mode),
        "store.value_bytes_max": (info.value_bytes_max, min(store.value_bytes_max, info.value_bytes_max)),
        "store.sessions_max": (info.sessions_max, store.sessions_max or info.sessions_max),
    }
    for path, (has, wanted) in kept.items():
        if configuration.is_set(path) and has != wanted:
            name = path.partition(".")[2]
            shown = format_size(has) if "memory" in name or "bytes" in name else f"{has:04o}" if name == "mode" else str(has)
            log.warning(
                "segment keeps what it was created with", key=path, configured=configuration.text(path), segment_has=shown
            )


_ROUNDING_BYTES = 32 << 10  # fc_options.size_bytes is rounded up to this
