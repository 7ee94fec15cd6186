"""gevent's sockets."""

import os
import socket
import struct
import sys
import threading

from gevent.server import StreamServer

from peer import answer, usage

ECHO_BUFFERS = {"echo": 1024, "echo-large": 16 * 1024}
# The same bytes as `pattern` makes in benches/src/server.rs.
CHUNK = bytes((index * 7 + index // 256) % 256 for index in range(64 * 1024))


def serve(service):
    """Serves until stdin closes."""
    size = ECHO_BUFFERS.get(service)
    if size is None and service != "stream":
        sys.exit(f"no service {service}")

    def handle(connection, _address):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if size is None:
                stream(connection)
            else:
                echo(connection, size)
        except OSError:
            # A connection's error is its end, and the load generator's to notice.
            pass

    server = StreamServer(("127.0.0.1", 0), handle, backlog=1024)
    server.start()
    answer({"port": server.server_port})
    # An OS thread: it sleeps in a read while the server is measured.
    threading.Thread(target=answer_commands, daemon=True).start()
    server.serve_forever()


def echo(connection, size):
    buffer = memoryview(bytearray(size))
    while count := connection.recv_into(buffer):
        connection.sendall(buffer[:count])


def stream(connection):
    chunk = memoryview(CHUNK)
    while len(request := connection.recv(8, socket.MSG_WAITALL)) == 8:
        (left,) = struct.unpack("<Q", request)
        while left > 0:
            part = min(left, len(chunk))
            connection.sendall(chunk[:part])
            left -= part


def answer_commands():
    """Answers each line of stdin with the usage; there is no other command."""
    for _ in sys.stdin:
        answer(usage())
    os._exit(0)
