"""What the measurements stand on: an nginx upstream, an nginx proxy, and heimdall in its modes."""
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent

NGINX = """
worker_processes 2; daemon off; pid {data}/nginx.pid; error_log {data}/error.log crit; worker_rlimit_nofile 60000;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {data}/b; proxy_temp_path {data}/p; fastcgi_temp_path {data}/f; uwsgi_temp_path {data}/u; scgi_temp_path {data}/s;
  server {{ listen 127.0.0.1:{upstream} backlog=8192;
    location / {{ default_type text/plain; return 200 "{body}"; }}
    location = /jwks {{ default_type application/json; alias {data}/jwks.json; }} }}
  upstream back {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{nginx} backlog=8192;
    location / {{ proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""

CONFIG = """
serve: {{host: 127.0.0.1, port: {port}, timeout: {{idle: 10m}}}}
management: {{host: 127.0.0.1, port: {management}}}
metrics: {{enabled: false}}
tracing: {{enabled: false}}
log: {{level: error, access_log_enabled: {access}}}
mechanisms:
  authenticators:
    - {{id: anyone, type: anonymous}}
    - id: token
      type: jwt
      config:
        jwks_endpoint: {{url: "http://127.0.0.1:{upstream}/jwks"}}
        assertions: {{issuers: [load], audience: [load], allowed_algorithms: [ES256]}}
  finalizers:
    - {{id: who, type: header, config: {{headers: {{X-User: '{{{{ .Subject.ID }}}}'}}}}}}
    - {{id: signed, type: jwt, config: {{signer: {{key_store: {{path: {data}/es256.pem}}}}}}}}
    - {{id: fresh, type: jwt, config: {{ttl: 2s, signer: {{key_store: {{path: {data}/{fresh}.pem}}}}}}}}
providers: {{file_system: {{src: {rules}, watch: {watch}}}}}
"""

RULES = """
version: "1alpha4"
name: load
rules:
  - id: whole
    match: {{routes: [{{path: "/whole/**"}}]}}
    forward_to: {{host: "127.0.0.1:{upstream}"}}
    execute: [{{authenticator: anyone}}, {{finalizer: signed}}, {{finalizer: who}}]
  - id: anonymous
    match: {{routes: [{{path: "/anonymous/**"}}]}}
    forward_to: {{host: "127.0.0.1:{upstream}"}}
    execute: [{{authenticator: anyone}}]
  - id: token
    match: {{routes: [{{path: "/jwt/**"}}]}}
    forward_to: {{host: "127.0.0.1:{upstream}"}}
    execute: [{{authenticator: token}}, {{finalizer: signed}}, {{finalizer: who}}]
  - id: fresh
    match: {{routes: [{{path: "/fresh/**"}}]}}
    forward_to: {{host: "127.0.0.1:{upstream}"}}
    execute: [{{authenticator: anyone}}, {{finalizer: fresh}}]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """A process that listens."""

    def __init__(self, process, port, ready):
        self.process, self.port, self.ready = process, port, ready

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def resident(self):
        """MB, of all its processes."""
        pids = [self.process.pid, *children(self.process.pid)]
        return sum(status(pid) for pid in pids) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


class World:
    def __init__(self, binary):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 60000), hard))
        self.binary = binary
        self.data = Path(tempfile.mkdtemp(prefix="load-"))
        self.data.chmod(0o755)
        self.services = []
        for name, kind in (("es256", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("eddsa", ["ED25519"])):
            subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", self.data / f"{name}.pem"], check=True, capture_output=True)
        self.upstream = free_port()
        nginx_port = free_port()
        text = NGINX.format(data=self.data, upstream=self.upstream, nginx=nginx_port, body="x" * 1024)
        (self.data / "nginx.conf").write_text(text)
        (self.data / "jwks.json").write_text('{"keys":[]}')
        command = ["nginx", "-c", self.data / "nginx.conf", "-p", self.data]
        self.nginx = self.run(command, nginx_port)
        self.rules = self.data / "rules.yaml"
        self.rules.write_text(RULES.format(upstream=self.upstream))

    def mint(self, files, each, returning):
        command = ["node", HERE / "tokens.mjs", self.data, files, each, returning]
        subprocess.run([str(word) for word in command], check=True)

    def run(self, command, port, errors=None):
        started = time.monotonic()
        # Where an access log is on, it is written and read by nobody, as with a file.
        process = subprocess.Popen([str(word) for word in command], stderr=errors)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended with {process.returncode}")
                if time.monotonic() - started > 120:
                    raise SystemExit(f"{command[0]} does not listen")
                time.sleep(0.005)
        service = Service(process, port, time.monotonic() - started)
        self.services.append(service)
        return service

    def heimdall(self, mode="proxy", rules=None, watch=False, binary=None, fresh="eddsa", access=False):
        port, management = free_port(), free_port()
        path = self.data / f"{port}.yaml"
        path.write_text(CONFIG.format(
            port=port, management=management, data=self.data, upstream=self.upstream, rules=rules or self.rules,
            watch="true" if watch else "false", fresh=fresh, access="true" if access else "false"))
        command = [binary or self.binary, "serve", mode, "-c", path, "--insecure"]
        return self.run(command, port, subprocess.DEVNULL if access else None)

    def close(self):
        for service in self.services:
            service.process.terminate()
        for service in self.services:
            service.process.wait()
        shutil.rmtree(self.data, ignore_errors=True)
