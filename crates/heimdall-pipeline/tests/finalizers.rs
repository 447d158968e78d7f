//! What finalizers hand to the upstream service, through the public surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    reason = "a failing double or set-up ends the run"
)]

mod support;

use heimdall_pipeline::{Request, Route, Verdict};
use support::{Bench, Live, header};

const CONFIG: &str = r#"
mechanisms:
  authenticators:
    - {id: anyone, type: anonymous}
    - id: session
      type: generic
      config:
        identity_info_endpoint: http://idp.example/me
        authentication_data_source: [{header: X-Session}]
        subject: {id: sub}
  finalizers:
    - id: header
      type: header
      config: {headers: {X-None: ""}}
    - {id: strict, type: header, config: {on_missing: error, headers: {X-Team: "{{ .Subject.Attributes.team }}"}}}
    - {id: cookie, type: cookie, config: {cookies: {name: "{{ .Subject.Attributes.name }}"}}}
"#;

fn live(me: &str, steps: &str) -> Live {
    let bench = Bench::default();
    bench.http.answer("http://idp.example/me", 200, me);
    let rule = format!(
        "  - id: r\n    match: {{routes: [{{path: /a}}]}}\n    forward_to: {{host: up.example}}\n    execute:\n      - authenticator: session\n{steps}"
    );
    bench.snapshot(CONFIG, &rule)
}

fn verdict(me: &str, steps: &str) -> Verdict {
    live(me, steps).judge("/a", &[("x-session", "s")])
}

fn lines(me: &str, template: &str) -> Verdict {
    let step = format!(
        "      - finalizer: header\n        config: {{headers: {{X-Groups: {}}}}}\n",
        serde_json::to_string(template).unwrap()
    );
    verdict(me, &step)
}

fn refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Respond(respond) if respond.status == 500)
}

#[test]
fn a_line_is_a_value() {
    let me = r#"{"sub": "joe", "groups": ["a", " b\t", "", "c"]}"#;
    let join = r#"{{ join "\n" .Subject.Attributes.groups }}"#;
    assert_eq!(header(&lines(me, join), "x-groups"), ["a", "b", "c"]);
    let range = "{{ range .Subject.Attributes.groups }}{{ . }}\r\n{{ end }}";
    assert_eq!(header(&lines(me, range), "x-groups"), ["a", "b", "c"]);
    assert!(header(&lines(me, " \n \r\n"), "x-groups").is_empty());
}

#[test]
fn an_attribute_makes_no_value_of_its_own() {
    let me = r#"{"sub": "joe\nroot", "groups": ["a\nadmin"]}"#;
    assert!(refused(&lines(me, "{{ .Subject.ID }}")));
    assert!(refused(&lines(
        me,
        "{{ index .Subject.Attributes.groups 0 }}"
    )));
    assert_eq!(
        header(&lines(me, "{{ quote .Subject.ID }}"), "x-groups"),
        [r#""joe\nroot""#]
    );
    assert_eq!(
        header(
            &lines(me, "{{ toJson .Subject.Attributes.groups }}"),
            "x-groups"
        ),
        [r#"["a\nadmin"]"#]
    );
}

#[test]
fn what_is_missing_is_nothing_or_a_refusal() {
    let me = r#"{"sub": "joe"}"#;
    let empty = lines(me, "{{ .Subject.Attributes.team }}");
    assert!(matches!(empty, Verdict::Forward(_)) && header(&empty, "x-groups").is_empty());
    let part = lines(me, "t-{{ .Subject.Attributes.team }}");
    assert_eq!(header(&part, "x-groups"), ["t-"]);
    assert!(refused(&verdict(me, "      - finalizer: strict\n")));
    let known = r#"{"sub": "joe", "team": "blue"}"#;
    assert_eq!(
        header(&verdict(known, "      - finalizer: strict\n"), "x-team"),
        ["blue"]
    );
}

#[test]
fn an_illegal_value_is_refused() {
    let me = r#"{"sub": "joe\u0000x"}"#;
    assert!(refused(&lines(me, "{{ .Subject.ID }}")));
}

#[test]
fn a_cookie_is_one_cookie() {
    let me = r#"{"sub": "joe", "name": "a; admin=1\r\nX-Role: root"}"#;
    let jar = header(&verdict(me, "      - finalizer: cookie\n"), "cookie");
    assert_eq!(jar, ["name=\"a admin=1X-Role: root\""]);
}

#[test]
fn a_judgement_may_move_between_threads() {
    fn sendable<'a>(route: &'a Route, request: &'a Request<'a>) -> impl Send + 'a {
        route.judge(request, None)
    }
    let _: for<'a> fn(&'a Route, &'a Request<'a>) -> _ =
        |route, request| drop(sendable(route, request));
}
