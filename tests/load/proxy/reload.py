"""Rules that change under load: in place, by a slow writer, by rename, in a folder, by SIGHUP."""
import http.client
import signal
import threading
import time

COUNT = 1_000


def document(world, version, first=0, count=COUNT, prefix="r"):
    lines = ['version: "1alpha4"', f"name: {prefix}{first}", "rules:"]
    for number in range(first, first + count):
        lines.append(
            f"  - {{id: {prefix}{number}, match: {{routes: [{{path: '/{prefix}{number}/:any'}}]}}, "
            f"forward_to: {{host: '127.0.0.1:{world.upstream}'}}, execute: [{{authenticator: anyone}}]}}")
    lines.append(
        f"  - {{id: {prefix}{first}-version, match: {{routes: [{{path: '/{prefix}{first}-version/{version}'}}]}}, "
        f"forward_to: {{host: '127.0.0.1:{world.upstream}'}}, execute: [{{authenticator: anyone}}]}}")
    return "\n".join(lines) + "\n"


class Load(threading.Thread):
    """Asks for one path without a pause, on one connection, and keeps count."""

    def __init__(self, service, path):
        super().__init__(daemon=True)
        self.service, self.path = service, path
        self.requests, self.failed, self.slowest, self.ending = 0, 0, 0.0, False

    def run(self):
        client = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
        while not self.ending:
            begun = time.monotonic()
            try:
                client.request("GET", self.path)
                answer = client.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except OSError:
                self.failed += 1
                client.close()
            self.requests += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)


def status(service, path):
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    client.request("GET", path)
    code = client.getresponse().status
    client.close()
    return code


def wait_for(service, path):
    begun = time.monotonic()
    while status(service, path) != 200:
        if time.monotonic() - begun > 20:
            raise SystemExit(f"{path} never came into effect")
        time.sleep(0.002)
    return (time.monotonic() - begun) * 1000


def in_place(path, text):
    path.write_text(text)


def slowly(path, text):
    with path.open("w") as out:
        for start in range(0, len(text), len(text) // 20):
            out.write(text[start:start + len(text) // 20])
            out.flush()
            time.sleep(0.02)


def renamed(path, text):
    following = path.with_suffix(".next")
    following.write_text(text)
    following.rename(path)


def under_load(service, name, marker, path, changes):
    load = [Load(service, path) for _ in range(4)]
    for one in load:
        one.start()
    taken = []
    for number, change in enumerate(changes):
        change()
        taken.append(wait_for(service, marker(number)))
    for one in load:
        one.ending = True
    for one in load:
        one.join()
    print(
        f"{name}: {len(changes)} changes, {sum(one.requests for one in load):,} requests, {sum(one.failed for one in load)} failed "
        f"(wanted 0), in effect after {max(taken):.0f} ms, slowest request {max(one.slowest for one in load) * 1000:.0f} ms", flush=True)


def measure(world):
    path = world.data / "changing.yaml"
    path.write_text(document(world, "start"))
    service = world.heimdall(rules=path, watch=True)
    for name, write in (("rewritten in place", in_place), ("a slow writer", slowly), ("atomic rename", renamed)):
        key = name.replace(" ", "-")
        changes = [lambda n=n: write(path, document(world, f"{key}-{n}")) for n in range(5)]
        under_load(service, f"{COUNT:,} rules, {name}", lambda n: f"/r0-version/{key}-{n}", "/r500/x", changes)

    folder = world.data / "folder"
    folder.mkdir()
    files = [folder / f"{number}.yaml" for number in range(COUNT)]
    for number, file in enumerate(files):
        file.write_text(document(world, "start", number, 1, "f"))
    service = world.heimdall(rules=folder, watch=True)
    changes = [lambda n=n: renamed(files[7], document(world, f"v{n}", 7, 1, "f")) for n in range(5)]
    under_load(service, f"one file of {COUNT:,}", lambda n: f"/f7-version/v{n}", "/f500/x", changes)

    path = world.data / "signalled.yaml"
    path.write_text(document(world, "start"))
    service = world.heimdall(rules=path)

    def signalled(n):
        path.write_text(document(world, f"v{n}"))
        service.process.send_signal(signal.SIGHUP)

    under_load(service, f"{COUNT:,} rules, SIGHUP", lambda n: f"/r0-version/v{n}", "/r500/x", [lambda n=n: signalled(n) for n in range(5)])
