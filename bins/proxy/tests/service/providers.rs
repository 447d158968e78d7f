use super::support::Seen;
use super::world::{Service, Stub, config, nothing, rules, wait_for};

const ANYONE: &str =
    "  authenticators: [{id: anyone, type: anonymous}, {id: nobody, type: unauthorized}]";

fn version(number: u32, upstream: &str) -> String {
    rules(&[(
        &format!("v{number}"),
        &format!("/v{number}"),
        "{authenticator: anyone}",
        "",
    )])
    .replace("{UPSTREAM}", upstream)
}

fn serves(stub: &Stub, tag: &'static str, text: String) {
    stub.answers(move |seen: &Seen| {
        if seen.values("if-none-match") == [tag] {
            return (304, format!("ETag: {tag}\r\n"), String::new());
        }
        (
            200,
            format!("ETag: {tag}\r\nContent-Type: application/yaml\r\n"),
            text.clone(),
        )
    });
}

/// R9: an HTTP endpoint is polled with the validator of its last answer; wrong or missing rules keep the last good ones.
#[test]
fn rules_over_http_are_polled_with_their_etag() {
    let stub = Stub::start(|_| nothing());
    serves(&stub, "\"1\"", version(1, "127.0.0.1:1"));
    let providers = "  http_endpoint: {watch_interval: 50ms, endpoints: [\"{STUB}/rules.yaml\"]}";
    let service = Service::start(&stub, &[("heimdall.yaml", &config(ANYONE, providers))]);
    let upstream = service.upstream.address.to_string();
    assert_eq!(
        (service.get("/v1").status, service.get("/v2").status),
        (502, 404)
    );
    wait_for("the validator is sent", || {
        stub.asked("/rules.yaml")
            .iter()
            .any(|seen| seen.values("if-none-match") == ["\"1\""])
    });
    let reloads = service.metric("rule_reloads_total");
    serves(&stub, "\"2\"", version(2, &upstream));
    wait_for("new rules are in use", || service.get("/v2").status == 200);
    assert_eq!(service.get("/v1").status, 404);
    assert_eq!(
        service.metric("rule_reloads_total"),
        reloads + 1,
        "an unchanged answer is no reload"
    );
    serves(&stub, "\"3\"", "rules: [".to_owned());
    wait_for("health tells of the failure", || {
        service
            .manage("/.well-known/health")
            .contains("last reload failed")
    });
    assert_eq!(service.get("/v2").status, 200);
    assert!(service.metric("failed_rule_reloads_total") > 0);
    assert!(
        service.log().contains("the last good ones stay"),
        "{}",
        service.log()
    );
    serves(&stub, "\"4\"", version(4, &upstream));
    wait_for("the next good rules are in use", || {
        service.get("/v4").status == 200
    });
    assert!(
        !service
            .manage("/.well-known/health")
            .contains("last reload failed")
    );
    stub.answers(|_| nothing());
    wait_for("rules that are gone take no request", || {
        service.get("/v4").status == 404
    });
}

/// SIGHUP reads everything again; what is wrong then changes nothing and is told.
#[test]
fn a_hangup_reads_configuration_and_rules_again() {
    let stub = Stub::start(|_| nothing());
    let providers = "  file_system: {src: \"{DIR}/rules.yaml\"}";
    let first = config(ANYONE, providers);
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &first),
            (
                "rules.yaml",
                &rules(&[("a", "/a", "{authenticator: nobody}", "")]),
            ),
        ],
    );
    assert_eq!(service.get("/a").status, 401);
    service.write(
        "rules.yaml",
        &rules(&[("b", "/b", "{authenticator: nobody}", "")]),
    );
    let coded = first.replace(
        "serve: {",
        "serve: {respond: {with: {authentication_error: {code: 418}}}, ",
    );
    service.write("heimdall.yaml", &coded);
    assert_eq!(service.get("/b").status, 404, "nothing is watched here");
    service.hangup();
    wait_for("both files are read again", || {
        service.get("/b").status == 418
    });
    for broken in [
        "serve: {prt: 1}",
        "serve: [",
        &coded.replace("anonymous", "anonymus"),
    ] {
        let failed = service.metric("failed_rule_reloads_total");
        service.write("heimdall.yaml", broken);
        service.hangup();
        wait_for("the failure is counted", || {
            service.metric("failed_rule_reloads_total") > failed
        });
        assert_eq!(service.get("/b").status, 418, "{broken}");
    }
    let log = service.log();
    assert!(
        log.contains("did you mean `port`?") && log.contains("did you mean `anonymous`?"),
        "{log}"
    );
    assert!(
        service
            .manage("/.well-known/health")
            .contains("last reload failed")
    );
    service.write("heimdall.yaml", &first);
    service.hangup();
    wait_for("a good configuration counts again", || {
        service.get("/b").status == 401
    });
    assert!(
        !service
            .manage("/.well-known/health")
            .contains("last reload failed")
    );
}

/// C22: no rule denies; two rules for the same thing do not load, and both places are named.
#[test]
fn no_rule_denies_and_conflicts_are_refused_with_both_places() {
    let stub = Stub::start(|_| nothing());
    let empty = Service::start(&stub, &[("heimdall.yaml", &config(ANYONE, "  {}"))]);
    assert_eq!(empty.get("/").status, 404);
    drop(empty);
    let service = Service::start(
        &stub,
        &[
            (
                "heimdall.yaml",
                &config(
                    ANYONE,
                    "  file_system: {src: \"{DIR}/rules.yaml\", watch: true}",
                ),
            ),
            (
                "rules.yaml",
                &rules(&[("a", "/a", "{authenticator: anyone}", "")]),
            ),
        ],
    );
    service.write(
        "rules.yaml",
        &rules(&[
            ("a", "/a", "{authenticator: anyone}", ""),
            ("b", "/a", "{authenticator: nobody}", ""),
        ]),
    );
    wait_for("the conflict is counted", || {
        service.metric("failed_rule_reloads_total") > 0
    });
    let log = service.log();
    assert!(
        log.contains("rules.yaml:4") && log.contains("rules.yaml:5"),
        "{log}"
    );
    assert_eq!(service.get("/a").status, 200);
}
