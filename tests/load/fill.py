"""Fills an api with Apps, users and one credential an App, through its own routes: fill.py API KEY APPS USERS FILE."""

import json
import sys
import threading
import urllib.request

api, key, apps, users, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]


def post(path, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{api}/v1{path}", data, {"Authorization": f"Bearer {key}", "Content-Type": kind})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read())


credentials = []
numbers = iter(range(apps))
lock = threading.Lock()


def work():
    while True:
        with lock:
            n = next(numbers, None)
        if n is None:
            return
        name = f"app-{n}"
        post("/apps", {"name": name})
        post(f"/apps/{name}/roles", {"name": "member", "permissions": ["docs:read", "docs:write"]})
        credential = post(f"/apps/{name}/credentials", {"name": "svc", "roles": ["member"]})
        lines = "".join(json.dumps({"email": f"u{u}@{name}.example", "roles": ["member"]}) + "\n" for u in range(users))
        if users:
            post(f"/apps/{name}/users:import", lines.encode(), "application/x-ndjson")
        with lock:
            credentials.append(credential)


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(credentials) == apps, f"only {len(credentials)} Apps were made"
with open(out, "w") as file:
    json.dump(credentials, file)
