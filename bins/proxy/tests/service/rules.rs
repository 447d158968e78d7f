use super::world::{Service, Stub, config, nothing, rules, wait_for};

const MECHANISMS: &str = "  authenticators: [{id: anyone, type: anonymous}, {id: nobody, type: unauthorized}]\n  finalizers: [{id: tag, type: header, config: {headers: {X-Tag: real}}}]";
const FILES: &str = "  file_system: {src: \"{DIR}/rules.yaml\", watch: true}";

/// A shadow rule is judged and counted, and decides nothing.
#[test]
fn a_shadow_rule_denies_only_in_log_and_metrics() {
    let stub = Stub::start(|_| nothing());
    let all = rules(&[
        (
            "real",
            "\"/**\"",
            "{authenticator: anyone}, {finalizer: tag}",
            "",
        ),
        (
            "dark",
            "/new/:x",
            "{authenticator: nobody}",
            ", shadow: true",
        ),
    ]);
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &config(MECHANISMS, FILES)),
            ("rules.yaml", &all),
        ],
    );
    assert_eq!(service.get("/new/1").status, 200);
    let seen = service.upstream.take();
    assert_eq!(
        (seen.len(), seen[0].values("x-tag")),
        (1, vec!["real".to_owned()])
    );
    wait_for("the shadow's verdict is counted", || {
        let metrics = service.manage("/metrics");
        metrics
            .lines()
            .any(|line| line.contains("dark") && line.contains("401") && !line.ends_with(" 0"))
    });
}

/// C15: nothing on the service port is answered without a rule: no health path, no agent name.
#[test]
fn health_is_not_answered_on_the_service_port() {
    let stub = Stub::start(|_| nothing());
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &config(MECHANISMS, FILES)),
            (
                "rules.yaml",
                &rules(&[("a", "/a", "{authenticator: nobody}", "")]),
            ),
        ],
    );
    for path in [
        "/.well-known/health",
        "/healthz",
        "/ping",
        "/metrics",
        "/.well-known/jwks",
    ] {
        assert_eq!(
            service.with(path, "User-Agent: kube-probe/1.30\r\n").status,
            404,
            "{path}"
        );
    }
    assert_eq!(
        service.with("/a", "User-Agent: GoogleHC/1.0\r\n").status,
        401
    );
    assert!(service.upstream.take().is_empty());
}
