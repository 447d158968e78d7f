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

/// Metrics tell by rule and step what happened, and go on counting when the rules are loaded again.
#[test]
fn steps_are_counted_by_rule() {
    let stub = Stub::start(|_| nothing());
    let steps = "{authenticator: nobody}, {authenticator: anyone}, {finalizer: tag, id: mine, if: \"Request.Method == 'POST'\"}";
    let text = rules(&[("one", "/one", steps, "")]);
    let files = [
        ("heimdall.yaml", config(MECHANISMS, FILES)),
        ("rules.yaml", text.clone()),
    ];
    let service = Service::start(
        &stub,
        &[(files[0].0, &files[0].1), (files[1].0, &files[1].1)],
    );
    assert_eq!(service.get("/one").status, 200);
    let counted = |stage: &str, step: &str, outcome: &str, times: u32| {
        let line = format!(
            "heimdall_proxy_steps_total{{rule=\"one\",stage=\"{stage}\",step=\"{step}\",outcome=\"{outcome}\"}} {times}\n"
        );
        let metrics = service.manage("/metrics");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    };
    counted("authenticator", "nobody", "failed", 1);
    counted("authenticator", "anyone", "passed", 1);
    counted("finalizer", "mine", "skipped", 1);
    let reloads = service.metric("rule_reloads_total");
    service.write("rules.yaml", &format!("{text}# changed\n"));
    wait_for("the rules are loaded again", || {
        service.metric("rule_reloads_total") > reloads
    });
    assert_eq!(service.get("/one").status, 200);
    counted("authenticator", "anyone", "passed", 2);
}
