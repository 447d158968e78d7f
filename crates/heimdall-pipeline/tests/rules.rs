//! Rule sets as operators write them, through the public surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a failing double or set-up ends the run"
)]

mod support;

use heimdall_pipeline::{Mode, Relaxed, Verdict};
use support::{Bench, header, set};

const CONFIG: &str = "
mechanisms:
  authenticators:
    - {id: anyone, type: anonymous}
    - {id: nobody, type: unauthorized}
    - {id: login, type: basic_auth, config: {user_id: joe, password: pw}}
  authorizers:
    - {id: shut, type: deny}
    - {id: get-only, type: cel, config: {expressions: [{expression: 'Request.Method == \"GET\"', message: read only}]}}
  finalizers:
    - {id: tag, type: header, config: {headers: {X-User: fixed, X-Role: one}}}
    - {id: jar, type: cookie, config: {cookies: {sid: ours}}}
  error_handlers:
    - {id: ask, type: www_authenticate, config: {realm: here}}
";

fn rule(id: &str, path: &str, rest: &str) -> String {
    format!(
        "  - id: {id}\n    match: {{routes: [{{path: \"{path}\"}}]}}\n    forward_to: {{host: up.example}}\n{rest}"
    )
}

fn open(id: &str, path: &str) -> String {
    rule(id, path, "    execute: [{authenticator: anyone}]\n")
}

#[test]
fn names_that_finalizers_could_set_never_come_from_the_client() {
    let steps = "    execute: [{authenticator: anyone}, {finalizer: tag, if: 'Request.Method == \"PUT\"'}, {finalizer: jar}]\n";
    let live = Bench::default().snapshot(CONFIG, &rule("a", "/a", steps));
    let headers = [
        ("connection", "close, X-Hop"),
        ("cookie", "sid=theirs; theme=dark"),
    ];
    let Verdict::Forward(forward) = live.judge("/a", &headers) else {
        panic!("not forwarded")
    };
    for dropped in [
        "x-user",
        "x_user",
        "x-role",
        "x-hop",
        "host",
        "te",
        "x-forwarded-for",
        "cookie",
        "upgrade",
    ] {
        assert!(!forward.keeps(dropped), "{dropped}");
    }
    assert!(forward.keeps("accept") && forward.keeps("x-userx"));
    let verdict = Verdict::Forward(forward);
    assert_eq!(header(&verdict, "cookie"), ["theme=dark; sid=ours"]);
    assert_eq!(header(&verdict, "x-user"), Vec::<String>::new());
}

#[test]
fn a_gateway_is_told_owned_names_with_empty_values() {
    let bench = Bench {
        mode: Mode::Decision,
        ..Bench::default()
    };
    let steps = "    execute: [{authenticator: anyone}, {finalizer: tag, if: 'Request.Method == \"PUT\"'}]\n";
    let live = bench.snapshot(CONFIG, &rule("a", "/a", steps));
    let verdict = live.judge("/a", &[]);
    assert_eq!(header(&verdict, "x-user"), [""]);
    let Verdict::Accept(accept) = verdict else {
        panic!("not accepted")
    };
    assert_eq!(&*accept.remove, ["x-role", "x-user"]);
}

#[test]
fn a_fallback_on_absence_is_no_fallback_on_refusal() {
    let steps = "    execute: [{authenticator: login}, {authenticator: anyone, on: absent}]\n";
    let live = Bench::default().snapshot(CONFIG, &rule("a", "/a", steps));
    assert_eq!(live.status("/a", &[]), 200);
    assert_eq!(
        live.status("/a", &[("authorization", "Basic am9lOm5v")]),
        401
    );
    let chain = "    execute: [{authenticator: login}, {authenticator: anyone}]\n";
    let live = Bench::default().snapshot(CONFIG, &rule("a", "/a", chain));
    assert_eq!(
        live.status("/a", &[("authorization", "Basic am9lOm5v")]),
        200
    );
}

#[test]
fn no_rule_no_set_and_no_default_deny() {
    let bench = Bench::default();
    let engine = bench.engine(CONFIG).unwrap();
    let snapshot = engine.snapshot(&[]).unwrap();
    let live = support::Live { engine, snapshot };
    assert_eq!(live.status("/a", &[]), 404);
    assert_eq!(live.status("/%2e%2e/a", &[]), 400);
}

#[test]
fn a_shadow_rule_has_a_verdict_and_no_effect() {
    let shadow = rule(
        "strict",
        "/a",
        "    shadow: true\n    execute: [{authenticator: nobody}]\n",
    );
    let live = Bench::default().snapshot(CONFIG, &format!("{shadow}{}", open("a", "/a")));
    assert_eq!(live.status("/a", &[]), 200);
    let headers: Vec<(String, String)> = Vec::new();
    let raw = heimdall_pipeline::RawHead {
        method: "GET",
        target: "/a",
        authority: Some("app.example"),
        tls: false,
        peer: [192, 0, 2, 1].into(),
        headers: &headers,
    };
    let request = live.engine.gate().admit(raw).unwrap();
    let route = live.snapshot.find(&request);
    let shadow = route.shadow().expect("a shadow stands beside");
    assert_eq!(&*shadow.rule().unwrap().id, "strict");
    let (_, explanation) = support::block_on(route.explain(&request, None));
    assert!(explanation.shadow.unwrap().contains("401"));
    assert_eq!(explanation.steps[0].outcome, "ok: anonymous");
}

#[test]
fn conflicts_name_both_places() {
    let engine = Bench::default().engine(CONFIG).unwrap();
    let one = engine
        .compile(&set("one.yaml", &open("mine", "/a/**")))
        .unwrap();
    let two = engine
        .compile(&set("two.yaml", &open("theirs", "/a/b")))
        .unwrap();
    let text = engine
        .snapshot(&[one.clone(), two])
        .err()
        .expect("refused")
        .to_string();
    assert!(
        text.contains("two.yaml:3") && text.contains("`mine` (one.yaml:3)"),
        "{text}"
    );
    let apart = engine
        .compile(&set("two.yaml", &open("theirs", "/b/b")))
        .unwrap();
    assert_eq!(engine.snapshot(&[one, apart]).unwrap().len(), 2);
    let dead = engine
        .compile(&set(
            "one.yaml",
            &format!("{}{}", open("first", "/a"), open("second", "/a")),
        ))
        .unwrap();
    let text = engine.snapshot(&[dead]).err().expect("refused").to_string();
    assert!(
        text.contains("`second`") && text.contains("`first` (one.yaml:3)"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_is_named_with_line_key_and_nearest_name() {
    let engine = Bench::default().engine(CONFIG).unwrap();
    let wrong = |rules: &str| {
        engine
            .compile(&set("r.yaml", rules))
            .err()
            .expect("refused")
            .0
    };
    let errors = wrong(&rule(
        "a",
        "/a",
        "    execute: [{authenticator: anyon}]\n    execut: 1\n",
    ));
    assert_eq!(
        (errors[0].line, errors[0].nearest.as_deref()),
        (6, Some("anyone"))
    );
    let errors = wrong(&rule(
        "a",
        "/a",
        "    execute: [{authenticator: anyone}]\n    shado: true\n",
    ));
    assert_eq!(
        (errors[0].line, errors[0].key.as_str()),
        (7, "rules[0].shado")
    );
    assert_eq!(errors[0].nearest.as_deref(), Some("shadow"));
    let errors = Bench::default()
        .engine(&format!("{CONFIG}serve: {{prt: 1}}\n"))
        .err()
        .expect("refused")
        .0;
    assert_eq!(
        (errors[0].key.as_str(), errors[0].nearest.as_deref()),
        ("serve.prt", Some("port"))
    );
}

#[test]
fn secure_is_the_default() {
    let bench = Bench {
        relaxed: Relaxed::default(),
        ..Bench::default()
    };
    let text = bench.engine(CONFIG).err().expect("refused").to_string();
    assert!(
        text.contains("serve.tls") && text.contains("management.tls"),
        "{text}"
    );
    let open = format!(
        "{CONFIG}default_rule: {{execute: [{{authenticator: nobody}}, {{authenticator: anyone}}]}}\n"
    );
    assert!(
        bench
            .engine(&open)
            .err()
            .expect("refused")
            .to_string()
            .contains("lets anybody in")
    );
    let everybody = format!("{CONFIG}serve: {{trusted_proxies: [0.0.0.0/0]}}\n");
    assert!(
        bench
            .engine(&everybody)
            .err()
            .expect("refused")
            .to_string()
            .contains("trusts everybody")
    );
}

#[test]
fn error_handlers_answer_and_a_later_kind_of_failure_does_not_hide_the_first() {
    let steps = "    execute: [{authenticator: login}]\n    on_error: [{error_handler: ask, if: type(Error) == precondition_error}]\n";
    let live = Bench::default().snapshot(CONFIG, &rule("a", "/a", steps));
    let verdict = live.judge("/a", &[]);
    assert_eq!(
        header(&verdict, "www-authenticate"),
        ["Basic realm=\"here\""]
    );
    let steps = "    execute: [{authenticator: anyone}, {authorizer: shut}]\n    on_error: [{error_handler: ask, if: 'Error.Source == \"other\"'}]\n";
    let live = Bench::default().snapshot(CONFIG, &rule("a", "/a", steps));
    assert_eq!(live.status("/a", &[]), 403);
}

#[test]
fn forwarding_fields_of_strangers_are_rebuilt() {
    let live = Bench::default().snapshot(CONFIG, &open("a", "/a"));
    let spoofed = [
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-uri", "/b"),
        ("x-forwarded-method", "PUT"),
    ];
    let verdict = live.judge("/a", &spoofed);
    assert_eq!(header(&verdict, "x-forwarded-for"), ["192.0.2.1"]);
    assert_eq!(
        header(&verdict, "forwarded"),
        ["for=192.0.2.1;host=\"app.example\";proto=http"]
    );
    let Verdict::Forward(forward) = verdict else {
        panic!("not forwarded")
    };
    assert_eq!(
        (forward.method.as_str(), forward.target.as_str()),
        ("GET", "/a")
    );
}
