"""The daemon: serves a segment to redis-cli and every Redis client, and looks after it. `fincache serve` runs it.

configuration
    config_kinds.py    what a value may be: duration, size, switch ...
    config_keys.py     the one table of keys
    config_load.py     command line > environment > file > default, with the line of every mistake
    config_text.py     config.yaml and docs/configuration.md, made from the table
    config_rewrite.py  CONFIG REWRITE: what clients have set, into the file
    parameters.py      which parameter of Redis's CONFIG stands for which key
    reloading.py       SIGHUP: what has changed, and what of it can be applied
the process
    service.py         its life: start, main loop, drain, end
    signal_pipe.py     signals as something to select() on
    structured_log.py  one line for each event
    sd_notify.py       what systemd is told, and the sockets it hands over
    failures.py        what can keep the daemon from serving
one daemon after another
    service_lock.py    one for each segment: a lock, not a pid file
    handover.py        what two daemons of a takeover say to each other
    giving_over.py     the old one's part, and SIGUSR2
clients and segment
    segment_life.py    adopting or creating the segment
    listeners.py       the sockets that clients connect to
    socket_owner.py    who has a port or a path that we wanted
    net_address.py     which addresses other hosts can reach
    server.py          the C server, configured
    client_events.py   what clients ask of the control plane
    self_check.py      whether the server's threads do their work, for the watchdog
    housekeeping.py    expired keys, dead sessions, a segment that was removed

The daemon is optional (P9): strategies create, attach, read and write without it, and do not notice when it is killed.
"""
