#!/usr/bin/env python3
"""The demo's servers and clients. Each runs in the network namespace of its pod.

A server greets every connection with the line "<its name> <client address>" and echoes what it gets.
"""

import os
import selectors
import signal
import socket
import sys
import time

TIMEOUT = 1.0  # seconds without an answer until a connection counts as dropped


def serve(name, port):
    """Serves until it is killed; several hundred connections at once are fine."""
    selector = selectors.DefaultSelector()
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, int(port)))
        listener.listen(1024)
        selector.register(listener, selectors.EVENT_READ, "listener")
    while True:
        for key, _ in selector.select():
            try:
                if key.data == "listener":
                    connection, peer = key.fileobj.accept()
                    connection.sendall(f"{name} {peer[0]}\n".encode())
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                data = key.fileobj.recv(4096)
                if data:
                    key.fileobj.sendall(data)
                    continue
            except OSError:
                pass
            if key.data != "listener":
                selector.unregister(key.fileobj)
                key.fileobj.close()


def connect(host, port, timeout=TIMEOUT, source=None):
    """One connection, from the address `source` if given: (socket or None, what came of it, the client as
    the server saw it)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    # Closed by a reset: thousands of connections leave no TIME_WAIT behind.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    try:
        if source:
            connection.bind((source, 0))
        connection.connect((host, int(port)))
        greeting = connection.recv(4096).decode().split()
        if len(greeting) == 2:
            return connection, greeting[0], greeting[1]
        outcome = "cut-off"
    except ConnectionRefusedError:
        outcome = "refused"
    except socket.timeout:
        outcome = "dropped"
    except OSError as error:
        outcome = f"failed:{error.strerror.replace(' ', '-')}"
    connection.close()
    return None, outcome, "-"


def ask(host, port, count, client=None):
    """Connects `count` times; prints who answered, in one line. Ends with status 1 when a server saw
    another client address than `client`, if given."""
    names = []
    for _ in range(int(count)):
        connection, name, seen = connect(host, port)
        names.append(name)
        if connection:
            connection.close()
            if client not in (None, seen):
                sys.exit(f"{name}, at {host} port {port}, saw its client as {seen} instead of {client}")
    print(*names)


def once(host, port, source=None, timeout=TIMEOUT):
    """Connects once; prints the outcome, the client as the server saw it, and milliseconds."""
    start = time.monotonic()
    connection, outcome, seen = connect(host, port, float(timeout), source)
    print(outcome, seen, f"{(time.monotonic() - start) * 1000:.1f}")
    if connection:
        connection.close()


def await_server(host, port, seconds, since=None, process=None):
    """Waits until a server answers; prints the milliseconds from `since` (seconds since 1970, or now) to
    then. Ends with status 1 when none does in time, or when the process that should bring it about has
    ended."""
    since = float(since or time.time())
    while time.time() < since + float(seconds):
        connection, outcome, _ = connect(host, port, timeout=0.02)
        if connection:
            connection.close()
            print(f"{(time.time() - since) * 1000:.0f}")
            return
        if process and not os.path.exists(f"/proc/{process}"):
            sys.exit("sluice has ended")
        time.sleep(0.002)
    sys.exit(f"no answer from {host} port {port} within {seconds} s, at last: {outcome}")


def replace(new, old, host, port, name, wanted, rotation):
    """Renames the file `new` over `old`, then connects without a pause until server `name` is `there` or
    `gone`. Prints the milliseconds from the rename to the end of the connection that shows it: the first
    that it answers, or the one that would have been its turn again after `rotation` others."""
    rotation = int(rotation)
    os.rename(new, old)
    start = time.monotonic()
    others, proof = 0, 0.0
    while time.monotonic() < start + 10:
        connection, answer, _ = connect(host, port)
        elapsed = (time.monotonic() - start) * 1000
        if not connection:
            sys.exit(f"a connection was {answer} {elapsed:.1f} ms after the change")
        connection.close()
        if wanted == "there" and answer == name:
            print(f"{elapsed:.1f}")
            return
        others = 0 if answer == name else others + 1
        if others == rotation:
            proof = elapsed
        # Twice as long as needed, so that a late relapse would show.
        if wanted == "gone" and others == 2 * rotation:
            print(f"{proof:.1f}")
            return
    sys.exit(f"{name} is not {wanted} 10 s after the change")


def hold(host, port, name, report):
    """Opens a connection to server `name`, writes `open` to the file `report`, and uses the connection
    every few milliseconds until SIGTERM; then prints how often, and the longest time without an answer."""
    for _ in range(100):
        connection, answer, _ = connect(host, port)
        if answer == name:
            break
        if connection:
            connection.close()
    else:
        sys.exit(f"{name} doesn't answer at {host} port {port}")
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    with open(report, "w") as file:
        file.write("open\n")
    count, longest, last = 0, 0.0, time.monotonic()
    while not stopped:
        line = f"{count}\n".encode()
        try:
            connection.sendall(line)
            if connection.recv(4096) != line:
                sys.exit(f"the connection to {name} was cut off after {count} exchanges")
        except OSError as error:
            sys.exit(f"the connection to {name} broke after {count} exchanges: {error}")
        now = time.monotonic()
        count, longest, last = count + 1, max(longest, now - last), now
        time.sleep(0.002)
    print(count, f"{longest * 1000:.0f}")


def listing():
    """Copies an nft listing of tables, each with its chains, sets and maps in the order of their names, and
    without what differs from kernel to kernel for the same rules: the elements that packets have added,
    and the mark of the process that owns the table."""
    block = []  # the lines of one chain, set or map
    blocks = []  # of one table
    elements = False
    for line in sys.stdin:
        line = line.rstrip()
        text = line.strip()
        if not line.startswith("\t"):  # a table's first or last line, or an empty one within
            if text == "}":
                print("\n".join(line for block in sorted(blocks) for line in block))
                blocks = []
            if text:
                print(line.split(" # progname")[0])
        elif not line.startswith("\t\t") and not block and not text.endswith("{"):
            if not text.startswith("flags "):
                print(line)
        else:
            if text.startswith("elements = ") and any("dynamic" in other for other in block[1:]):
                elements = True
            if not elements:
                block.append(line)
            elif text.endswith("}"):
                elements = False
            if line == "\t}":
                blocks.append(block)
                block = []


COMMANDS = {
    "serve": serve,
    "ask": ask,
    "once": once,
    "await": await_server,
    "replace": replace,
    "hold": hold,
    "listing": listing,
}

if __name__ == "__main__":
    # Ctrl-C ends a client without a traceback. What runs in the background was started to ignore it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
