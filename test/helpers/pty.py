"""Runs argv[1:] on a pseudo-terminal: stdin goes to it, what it prints comes on stdout.

Lines on fd 3: "rows columns" sets the size, "signal NAME" sends a signal to the program.
Last line on fd 4, when the program has ended: JSON with its exit code and the terminal's modes.
"""
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios

master, slave = os.openpty()


def resize(rows, columns):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(24, 80)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.closerange(3, 64)
    os.execvp(sys.argv[1], sys.argv[1:])

sources = [0, 3, master]
pending = b""
status = None
while True:
    ready, _, _ = select.select(sources, [], [], 0.05)
    if 0 in ready:
        typed = os.read(0, 4096)
        if typed:
            os.write(master, typed)
        else:
            sources.remove(0)
    if 3 in ready:
        order = os.read(3, 4096)
        if not order:
            sources.remove(3)
        pending += order
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            words = line.decode().split()
            if words[0] == "signal":
                os.kill(pid, getattr(signal, words[1]))
            else:
                resize(int(words[0]), int(words[1]))
    if master in ready:
        os.write(1, os.read(master, 65536))
        continue
    if status is not None:
        break
    done, code = os.waitpid(pid, os.WNOHANG)
    if done:
        status = code

flags = termios.tcgetattr(slave)[3]
report = {
    "code": os.waitstatus_to_exitcode(status),
    "echo": bool(flags & termios.ECHO),
    "canonical": bool(flags & termios.ICANON),
    "signals": bool(flags & termios.ISIG),
}
os.write(4, (json.dumps(report) + "\n").encode())
