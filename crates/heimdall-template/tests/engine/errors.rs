//! Errors tell where and what.

use heimdall_template::{
    Engine, Error, ErrorKind, FunctionSet, MissingKey, NoValue, RenderOptions,
};
use serde_json::json;

fn error(template: &str) -> Error {
    let data = json!({"name": "x", "list": [1]});
    match Engine::default().parse("page", template) {
        Err(error) => error,
        Ok(template) => template.render_to_string(&data).unwrap_err(),
    }
}

#[test]
fn an_unknown_function_names_the_nearest_one() {
    let error = error("first\n  {{ .name | quot }}");
    assert_eq!(error.kind(), ErrorKind::Parse);
    assert_eq!((error.line(), error.column()), (2, 14));
    assert_eq!(error.nearest(), Some("quote"));
    assert_eq!(
        error.to_string(),
        "page:2:14: function `quot` is not known; did you mean `quote`?"
    );
    assert_eq!(
        error.excerpt(),
        "  |\n2 |   {{ .name | quot }}\n  |              ^^^^"
    );
}

#[test]
fn a_function_that_is_switched_off_says_so() {
    let error = error(r#"{{ bcrypt "x" }}"#);
    assert!(error.message().contains("switched off"), "{error}");
    let engine = Engine::builder().functions(&[]).build();
    assert!(engine.parse("t", "{{ upper `x` }}").is_err());
    assert!(engine.parse("t", "{{ slice `abc` 1 }}").is_ok());
    assert!(
        Engine::builder()
            .functions(&[FunctionSet::Passwords])
            .build()
            .parse("t", "{{ bcrypt `x` }}")
            .is_ok()
    );
}

#[test]
fn an_error_while_rendering_points_at_the_operand() {
    let error = error("{{ range .list }}{{ .missing.deeper }}{{ end }}");
    assert_eq!(error.kind(), ErrorKind::Exec);
    assert_eq!((error.line(), error.column()), (1, 21));
    assert!(
        error.excerpt().ends_with("^^^^^^^^^^^^^^^"),
        "{}",
        error.excerpt()
    );
}

#[test]
fn the_message_of_fail_is_kept() {
    assert!(
        error(r#"{{ fail "no such luck" }}"#)
            .message()
            .ends_with("no such luck")
    );
}

#[test]
fn a_missing_key_does_what_the_engine_says() {
    let render = |missing| {
        let engine = Engine::builder().missing_key(missing).build();
        engine
            .parse("t", "[{{ .nope }}]")
            .unwrap()
            .render_to_string(&json!({}))
    };
    assert_eq!(render(MissingKey::Default).unwrap(), "[<no value>]");
    assert_eq!(render(MissingKey::Zero).unwrap(), "[<no value>]");
    assert_eq!(
        render(MissingKey::Error).unwrap_err().kind(),
        ErrorKind::Exec
    );
}

#[test]
fn an_action_without_a_value_does_what_the_options_say() {
    let template = Engine::default().parse("t", "[{{ .nope }}]").unwrap();
    let render = |no_value| {
        let mut out = String::new();
        template
            .render_with(
                &json!({}),
                &mut out,
                RenderOptions::default().no_value(no_value),
            )
            .map(|()| out)
    };
    assert_eq!(render(NoValue::Go).unwrap(), "[<no value>]");
    assert_eq!(render(NoValue::Nothing).unwrap(), "[]");
    assert_eq!(render(NoValue::Refuse).unwrap_err().kind(), ErrorKind::Exec);
}

#[test]
fn data_brings_no_line_break_where_they_are_guarded() {
    let data = json!({"name": "a\r\nX-Admin: 1", "groups": ["a", "b"]});
    let render = |text: &str| {
        let template = Engine::default().parse("t", text).unwrap();
        let mut out = String::new();
        template
            .render_with(
                &data,
                &mut out,
                RenderOptions::default().guard_newlines(true),
            )
            .map(|()| out)
    };
    assert!(render("{{ .name }}").is_err());
    assert!(render("{{ print .name }}").is_err());
    assert!(render(r#"{{ join "," (list .name) }}"#).is_err());
    assert_eq!(render("{{ quote .name }}").unwrap(), r#""a\r\nX-Admin: 1""#);
    assert_eq!(render(r#"{{ join "\n" .groups }}"#).unwrap(), "a\nb");
    assert!(
        render(r#"{{ join "\n" (list .name) }}"#).is_err(),
        "a literal line feed allows no carriage return"
    );
    assert_eq!(render("{{ .groups | join `,` }}\nx").unwrap(), "a,b\nx");
}
