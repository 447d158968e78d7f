"""Connections that made one request and then stay silent."""
import socket
import time

COUNT = 10_000
REQUEST = b"GET /anonymous/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def hold(service, count):
    held = []
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", service.port), 10)
        client.sendall(REQUEST)
        left = 1024
        while left > 0:
            got = client.recv(4096)
            if not got:
                raise SystemExit(f"connection {number} was closed")
            left -= len(got)
        held.append(client)
    return held


def measure(world):
    for name, service, wanted in (("nginx", world.nginx, ""), ("heimdall", world.heimdall(), " (wanted 150)")):
        before = service.resident()
        held = hold(service, COUNT)
        time.sleep(0.5)
        print(f"{COUNT:,} idle connections: {name} {service.resident():.1f} MB{wanted}, {before:.1f} MB without", flush=True)
        for client in held:
            client.close()
        del held
