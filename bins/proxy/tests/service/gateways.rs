//! C9: one table of requests, the same verdicts in every way to run, and behind the gateways that are installed, with
//! the very files of the how-tos.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::{Client, Upstream};
use super::world::{Service, Stub, free, nothing, wait_for};

/// Method, target, host, header lines; what the proxy answers; `X-User` as the upstream sees it.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u16,
    Option<&'static str>,
);

const JOE: &str = "Authorization: Basic am9lOnB3\r\n";

const TABLE: &[Row] = &[
    ("GET", "/open", "app.example", "", 200, Some("anonymous")),
    (
        "GET",
        "/open?a=%3f&b=1",
        "app.example",
        "X-User: root\r\n",
        200,
        Some("anonymous"),
    ),
    ("GET", "/open%3fx", "app.example", "", 404, None),
    ("GET", "/open%3Fa=b", "app.example", "", 404, None),
    ("GET", "/me", "app.example", "", 401, None),
    ("GET", "/me", "app.example", JOE, 200, Some("joe")),
    ("GET", "/me?x=/open", "app.example", JOE, 200, Some("joe")),
    (
        "GET",
        "/me",
        "app.example",
        "Authorization: Basic am9lOnB4\r\n",
        401,
        None,
    ),
    ("POST", "/me", "app.example", JOE, 404, None),
    (
        "GET",
        "/files/a/b.txt",
        "app.example",
        "",
        200,
        Some("anonymous"),
    ),
    ("GET", "/files/a%2Fb", "app.example", "", 400, None),
    ("GET", "/files/%2e%2e/me", "app.example", "", 400, None),
    ("GET", "/staff/list", "app.example", "", 403, None),
    (
        "GET",
        "/staff/list",
        "app.example",
        "X-Forwarded-Uri: /open\r\n",
        403,
        None,
    ),
    (
        "GET",
        "/staff/list",
        "app.example",
        "X-Original-URL: /open\r\nX-Rewrite-URL: /open\r\n",
        403,
        None,
    ),
    (
        "GET",
        "/staff/list",
        "app.example",
        "Forwarded: host=admin.example\r\n",
        403,
        None,
    ),
    (
        "GET",
        "/orders",
        "app.example",
        "X-Forwarded-Method: POST\r\n",
        404,
        None,
    ),
    (
        "POST",
        "/orders",
        "app.example",
        "Content-Length: 0\r\n",
        200,
        Some("anonymous"),
    ),
    (
        "GET",
        "/admin",
        "app.example",
        "X-Forwarded-Host: admin.example\r\n",
        404,
        None,
    ),
    ("GET", "/admin", "admin.example", "", 200, Some("anonymous")),
    ("GET", "/nowhere", "app.example", "", 404, None),
];

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/howto/files")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Runs the service with the files of the how-tos.
fn service(mode: &str) -> Service {
    let stub = Stub::start(|_| nothing());
    let config = document("heimdall.yaml")
        .replace("4456", "{SERVICE}")
        .replace("4457", "{MANAGEMENT}")
        .replace("/etc/heimdall", "{DIR}");
    // Clients are no gateways.
    let config = match mode {
        "proxy" => config.replace(
            "trusted_proxies: [127.0.0.1]",
            "trusted_proxies: [192.0.2.1]",
        ),
        _ => config,
    };
    let rules = document("rules.yaml").replace("127.0.0.1:9000", "{UPSTREAM}");
    Service::run(
        mode,
        &stub,
        &[("heimdall.yaml", &config), ("rules.yaml", &rules)],
    )
}

fn ask(address: SocketAddr, row: &Row) -> u16 {
    let (method, target, host, lines, ..) = row;
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    Client::to(address)
        .send(head)
        .answer()
        .unwrap_or_else(|| panic!("no answer to {row:?}"))
        .status
}

fn user(upstream: &Upstream) -> Option<String> {
    let seen = upstream.take();
    assert!(seen.len() < 2, "{seen:?}");
    seen.first().map(|seen| {
        let users = seen.values("x-user");
        assert_eq!(users.len(), 1, "{}", seen.head);
        users[0].clone()
    })
}

#[test]
fn the_proxy_answers_as_the_table_says() {
    let service = service("proxy");
    for row in TABLE {
        assert_eq!(
            (
                ask(service.address, row),
                user(&service.upstream).as_deref()
            ),
            (row.4, row.5),
            "{row:?}"
        );
    }
}

#[test]
fn the_decision_service_answers_as_the_proxy() {
    let service = service("decision");
    for row in TABLE {
        // A gateway sends what its client asked for; the client's own forwarding fields are not among it.
        let (method, target, host, lines, status, user) = row;
        let lines = lines
            .lines()
            .filter(|line| !line.starts_with("X-Forwarded") && !line.starts_with("Forwarded"));
        let lines = lines.map(|line| format!("{line}\r\n")).collect::<String>();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Method: {method}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Uri: {target}\r\nX-Forwarded-For: 127.0.0.1\r\n{lines}\r\n"
        );
        let answer = Client::to(service.address).send(head).answer().unwrap();
        let told = (answer.status == 200).then(|| answer.header("x-user").unwrap().to_owned());
        assert_eq!(
            (answer.status, told.as_deref()),
            (*status, *user),
            "{row:?}"
        );
    }
}

#[cfg(feature = "envoy-grpc")]
#[test]
fn envoy_is_told_what_the_proxy_answers() {
    use envoy_types::ext_authz::v3::pb::{CheckRequest, HttpResponse};
    use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
    use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
    use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;

    let service = service("decision --envoy-grpc");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut client = AuthorizationClient::connect(format!("http://{}", service.address))
            .await
            .unwrap();
        for row in TABLE {
            let (method, target, host, lines, status, user) = row;
            let headers = lines
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
            let http = HttpRequest {
                method: (*method).into(),
                path: (*target).into(),
                host: (*host).into(),
                scheme: "http".into(),
                headers: headers.collect(),
                ..HttpRequest::default()
            };
            let attributes = AttributeContext {
                request: Some(Request {
                    http: Some(http),
                    ..Request::default()
                }),
                ..AttributeContext::default()
            };
            let response = client
                .check(CheckRequest {
                    attributes: Some(attributes),
                })
                .await
                .unwrap()
                .into_inner();
            let passes = response.status.as_ref().unwrap().code == 0;
            let told = match response.http_response.unwrap() {
                HttpResponse::OkResponse(ok) => {
                    let option = ok
                        .headers
                        .iter()
                        .filter_map(|option| option.header.as_ref())
                        .find(|header| header.key.eq_ignore_ascii_case("x-user"));
                    (200, option.map(|header| header.value.clone()))
                }
                HttpResponse::DeniedResponse(denied) => (denied.status.unwrap().code, None),
                HttpResponse::ErrorResponse(_) => (500, None),
            };
            assert_eq!(
                (passes, told.0, told.1.as_deref()),
                (*status == 200, i32::from(*status), *user),
                "{row:?}"
            );
        }
    });
}

/// A gateway that runs until the test is over.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn installed(program: &str, flag: &str) -> bool {
    let found = Command::new(program)
        .arg(flag)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Starts a gateway in front of a decision service; `files` are those of its how-to, the first its configuration.
fn gateway(
    service: &Service,
    files: &[(&str, String)],
    command: &mut Command,
) -> (Gateway, SocketAddr) {
    let front = free();
    for (name, text) in files {
        let text = text
            .replace("127.0.0.1:4456", &service.address.to_string())
            .replace("127.0.0.1:9000", &service.upstream.address.to_string())
            .replace("127.0.0.1:8000", &front.to_string())
            .replace(":8000", &format!(":{}", front.port()))
            .replace("/etc/haproxy", "{DIR}");
        service.write(name, &text);
    }
    let log = std::fs::File::create(service.folder.join("gateway.log")).unwrap();
    let child = command
        .current_dir(&service.folder)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut gateway = Gateway(child);
    wait_for("the gateway accepts", || {
        let log = std::fs::read_to_string(service.folder.join("gateway.log")).unwrap();
        assert!(gateway.0.try_wait().unwrap().is_none(), "{log}");
        std::net::TcpStream::connect(front).is_ok()
    });
    (gateway, front)
}

/// What a gateway lets through is what the proxy lets through, with our headers and nobody else's; `same` says which
/// statuses of denials it passes on as they are.
fn agrees(service: &Service, front: SocketAddr, same: fn(u16) -> bool) {
    service.upstream.take();
    for row in TABLE {
        let status = ask(front, row);
        let told = user(&service.upstream);
        assert_eq!(told.as_deref(), row.5, "{row:?}: {status}");
        if same(row.4) {
            assert_eq!(status, row.4, "{row:?}");
        } else {
            assert!(status >= 400, "{row:?}: {status}");
        }
    }
}

#[test]
fn nginx_agrees_with_the_proxy() {
    if !installed("nginx", "-v") {
        return;
    }
    let service = service("decision");
    let main = "worker_processes 1;\nerror_log stderr;\npid {DIR}/nginx.pid;\nevents {}\nhttp {\n  access_log off;\n  client_body_temp_path {DIR}/b;\n  proxy_temp_path {DIR}/p;\n  fastcgi_temp_path {DIR}/f;\n  uwsgi_temp_path {DIR}/u;\n  scgi_temp_path {DIR}/s;\n  include {DIR}/site.conf;\n}\n";
    let files = [
        ("main.conf", main.to_owned()),
        ("site.conf", document("nginx.conf")),
    ];
    let mut command = Command::new("nginx");
    command
        .args(["-g", "daemon off;", "-p"])
        .arg(&service.folder)
        .arg("-c")
        .arg(service.folder.join("main.conf"));
    let (_gateway, front) = gateway(&service, &files, &mut command);
    // nginx knows 401 and 403; every other answer of the service is 500 to the client.
    agrees(&service, front, |status| matches!(status, 200 | 401 | 403));
}

#[test]
fn haproxy_agrees_with_the_proxy() {
    if !installed("haproxy", "-v") {
        return;
    }
    let service = service("decision");
    let files = [
        ("haproxy.cfg", document("haproxy.cfg")),
        ("heimdall.lua", document("heimdall.lua")),
    ];
    let mut command = Command::new("haproxy");
    command
        .arg("-db")
        .arg("-f")
        .arg(service.folder.join("haproxy.cfg"));
    let (_gateway, front) = gateway(&service, &files, &mut command);
    agrees(&service, front, |_| true);
}

#[test]
fn caddy_agrees_with_the_proxy() {
    if !installed("caddy", "version") {
        return;
    }
    let service = service("decision");
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(service.folder.join("Caddyfile"));
    command
        .env("HOME", &service.folder)
        .env("XDG_DATA_HOME", &service.folder)
        .env("XDG_CONFIG_HOME", &service.folder);
    let (_gateway, front) = gateway(
        &service,
        &[("Caddyfile", document("Caddyfile"))],
        &mut command,
    );
    agrees(&service, front, |_| true);
}
