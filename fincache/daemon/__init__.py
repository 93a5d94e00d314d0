"""The daemon: serves a segment to redis-cli and every Redis client, and looks after it. `fincache serve` runs it.

config_kinds.py    what a configuration value may be: duration, size, switch ...
config_keys.py     the one table of keys
config_load.py     command line > environment > file > default, with the line of every mistake
config_text.py     config.yaml and docs/configuration.md, made from the table
failures.py        what can keep the daemon from serving, and the exit code of each
structured_log.py  one line for each event
sd_notify.py       what systemd is told, and the sockets it hands over
service_lock.py    one daemon for each segment: a lock, not a pid file
listeners.py       the sockets that clients connect to
socket_owner.py    who has a port or a socket that we wanted
handover.py        listening sockets from the old daemon to the new one
server.py          the C server, as the daemon uses it
housekeeping.py    what is done from time to time
service.py         the life of the process

The daemon is optional (P9): strategies create, attach, read and write without it, and do not notice when it is killed.
"""
