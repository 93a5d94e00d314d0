"""Addresses as people write them, and whether other hosts can reach them."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this host can reach it. A name counts as loopback only if it is localhost: names lead anywhere."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def endpoint(host: str, port: int) -> str:
    """127.0.0.1:6379, [::1]:6379."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
