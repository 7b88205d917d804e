"""Types into a command on a terminal of its own, and waits for what it must show: `word` is typed, `?word` awaited.

python3 exec_terminal.py COMMAND WORD…
"""

import os
import pty
import select
import signal
import sys

pid, terminal = pty.fork()
if pid == 0:
    # Whoever runs the tests may ignore what keys send, as the jobs of a script do.
    for key in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(key, signal.SIG_DFL)
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
shown = b""
for word in sys.argv[2:]:
    if not word.startswith("?"):
        os.write(terminal, word.encode().decode("unicode_escape").encode())
        continue
    while word[1:].encode() not in shown:
        ready, _, _ = select.select([terminal], [], [], 15)
        if not ready:
            sys.exit(f"waited in vain for {word[1:]!r}; shown was {shown!r}")
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            sys.exit(f"it ended without {word[1:]!r}; shown was {shown!r}")
    shown = shown.split(word[1:].encode(), 1)[1]
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
