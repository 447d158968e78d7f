"""Measures the proxy beside nginx; see ../proxy.sh."""
import argparse
import os
import re
import statistics
import subprocess
import time

import idle
import reload
from world import HERE, World

MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}


def wrk(url, seconds, script=()):
    """Requests a second, p50 and p99 in ms, number of requests."""
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency"]
    if script:
        command += ["-s", str(HERE / "bearer.lua"), url, "--", *map(str, script)]
    else:
        command.append(url)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", text)
    if bad:
        raise SystemExit(f"{url}: {bad.group(0)}")
    late = {mark: float(number) * MILLISECONDS[unit] for mark, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(\w+)", text)}
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return rate, late["50"], late["99"], int(re.search(r"(\d+) requests in", text).group(1))


class Row:
    """One thing that is measured, a figure a round, each beside nginx right before and after it."""

    def __init__(self, name, service, path, wanted=None, tokens=None):
        self.name, self.service, self.path, self.wanted, self.tokens = name, service, path, wanted, tokens
        self.runs = []

    def run(self, world, seconds, turn):
        script = ()
        if self.tokens == "returning":
            script = (world.data / "returning.txt", self.path)
        elif self.tokens == "unseen":
            script = (world.data / f"unseen-{turn}.txt", self.path, "once")
        return wrk(self.service.url(self.path), seconds, script)

    def report(self):
        rate, late = (statistics.median(run[at] for run in self.runs) for at in (0, 1))
        ratio, late_ratio = (statistics.median(run[at] for run in self.runs) for at in (2, 3))
        spread = f"{min(run[2] for run in self.runs):.2f}-{max(run[2] for run in self.runs):.2f}"
        wanted = "" if self.wanted is None else f"  wanted {self.wanted:.2f}"
        print(f"{self.name:52} {rate:9,.0f}/s  ratio {ratio:.2f} [{spread}]{wanted}  p99 {late:.2f} ms, ratio {late_ratio:.2f}", flush=True)


def rates(world, rounds, seconds, peer):
    unseen = 2 * rounds if peer else rounds
    world.mint(unseen, int(30000 * seconds), 1000)
    proxy, decision, logging = world.heimdall(), world.heimdall("decision"), world.heimdall(access=True)
    rows = [
        Row("anonymous, cached jwt, header", proxy, "/whole/x", 0.80),
        Row("the same, with an access log", logging, "/whole/x"),
        Row("anonymous", proxy, "/anonymous/x"),
        Row("jwt authenticator, returning tokens", proxy, "/jwt/x", 0.60, "returning"),
        Row("jwt authenticator, tokens never seen", proxy, "/jwt/x", 0.25, "unseen"),
        Row("a fresh EdDSA JWT each", proxy, "/fresh/x", 0.45),
        Row("decision, anonymous", decision, "/anonymous/x", 1.6),
        Row("decision, jwt authenticator, returning tokens", decision, "/jwt/x", 1.2, "returning"),
    ]
    if peer:
        theirs, decides = world.heimdall(binary=peer, fresh="es256"), world.heimdall("decision", binary=peer, fresh="es256")
        rows += [
            Row("peer: anonymous, cached jwt, header", theirs, "/whole/x"),
            Row("peer: jwt authenticator, returning tokens", theirs, "/jwt/x", None, "returning"),
            Row("peer: a fresh ES256 JWT each", theirs, "/fresh/x"),
            Row("peer: decision, anonymous", decides, "/anonymous/x"),
            Row("peer: decision, jwt authenticator, returning", decides, "/jwt/x", None, "returning"),
        ]
    rows[0].run(world, seconds, 0)
    resident = proxy.resident()
    for row in rows:
        if row.tokens != "unseen":
            row.run(world, 1, 0)
    base = []
    for turn in range(rounds):
        before = wrk(world.nginx.url(), seconds)
        for row in rows:
            mine = row.run(world, seconds, turn)
            after = wrk(world.nginx.url(), seconds)
            near = [(before[at] + after[at]) / 2 for at in (0, 2)]
            row.runs.append((mine[0], mine[2], mine[0] / near[0], mine[2] / near[1]))
            base.append(after)
            before = after
            if row.tokens == "unseen" and mine[3] + 64 > int(30000 * seconds):
                raise SystemExit(f"{row.name}: {mine[3]} requests are more than there were tokens")
    nginx = [statistics.median(run[at] for run in base) for at in (0, 2)]
    print(f"{'nginx, plain proxy':52} {nginx[0]:9,.0f}/s  ratio 1.00  p99 {nginx[1]:.2f} ms")
    for row in rows:
        row.report()
    print(
        f"resident: proxy after the first row {resident:.1f} MB (wanted 25), after all {proxy.resident():.1f} MB, "
        f"decision {decision.resident():.1f} MB, nginx {world.nginx.resident():.1f} MB")
    if peer:
        print(f"resident after this: peer proxy {theirs.resident():.1f} MB, peer decision {decides.resident():.1f} MB")
    for service in world.services[1:]:
        service.stop()
    del world.services[1:]


def many(world, count):
    """A file of `count` rules."""
    path = world.data / f"{count}.yaml"
    with path.open("w") as out:
        out.write('version: "1alpha4"\nname: many\nrules:\n')
        for number in range(count):
            out.write(
                f"  - {{id: r{number}, match: {{routes: [{{path: /tenants/t{number % 97}/items{number}/:id}}]}}, "
                f"forward_to: {{host: '127.0.0.1:{world.upstream}'}}, execute: [{{authenticator: anyone}}]}}\n")
    return path


def rules(world, rounds, seconds):
    counts = (10, 1_000, 100_000)
    services = {count: world.heimdall(rules=many(world, count)) for count in counts}
    print(f"100,000 rules: ready in {services[100_000].ready:.2f} s (wanted 2), {services[100_000].resident():.0f} MB")
    seen = {count: [] for count in counts}
    for _ in range(rounds):
        for count, service in services.items():
            number = count // 2
            run = wrk(service.url(f"/tenants/t{number % 97}/items{number}/42"), seconds)
            seen[count].append(run)
    middle = {count: statistics.median(run[1] for run in runs) for count, runs in seen.items()}
    text = ", ".join(f"{count:,} rules {value:.3f} ms" for count, value in middle.items())
    print(f"p50: {text}: {max(middle.values()) / min(middle.values()):.2f} between the ends (wanted 1.20)", flush=True)
    for service in services.values():
        service.stop()
        world.services.remove(service)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="rates,rules,idle,reload")
    options = parser.parse_args()
    parts = options.only.split(",")
    print(f"load before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    world = World(options.binary)
    seconds = int(options.seconds) if options.seconds.is_integer() else options.seconds
    try:
        if "rates" in parts:
            rates(world, options.rounds, seconds, os.environ.get("PEER_HEIMDALL"))
        if "rules" in parts:
            rules(world, options.rounds, seconds)
        if "idle" in parts:
            idle.measure(world)
        if "reload" in parts:
            reload.measure(world)
    finally:
        world.close()


main()
