"""The demo: one writer process, some readers, one segment, no server; the writer is killed with -9 and no reader notices.

python -m fincache.demo [--readers 3] [--seconds 10] [--chaos] [--data FILE]

top_record.py   what is published: a record that can be checked on its own, and against the recording
writer.py       child: replays order flow into the segment
reader.py       child: reads at full speed and checks every record
supervisor.py   parent: starts, kills and restarts, keeps the counts, judges
view.py         the terminal
"""
