//! What a caller relies on.

use std::collections::BTreeMap;

use heimdall_template::{CallError, Engine, Object, Template, Url, Value};
use serde_json::json;

#[test]
fn a_template_goes_to_any_thread() {
    fn shared<T: Send + Sync>(_: &T) {}
    let template = Engine::default().parse("t", "{{ .n }}").unwrap();
    shared(&template);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let template: Template = template.clone();
            std::thread::spawn(move || template.render_to_string(&json!({ "n": n })).unwrap())
        })
        .collect();
    let outputs: Vec<String> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(outputs, ["0", "1", "2", "3"]);
}

#[test]
fn own_functions_win_and_refuse() {
    let engine = Engine::builder()
        .variadic("upper", |args| {
            Ok(Value::from(format!("own {}", args.len())))
        })
        .variadic("never", |_| Err(CallError::new("refused")))
        .build();
    let text = |template: &str| {
        engine
            .parse("t", template)
            .unwrap()
            .render_to_string(&json!({}))
    };
    assert_eq!(text("{{ upper 1 2 }}").unwrap(), "own 2");
    assert!(
        text("{{ never }}")
            .unwrap_err()
            .message()
            .contains("refused")
    );
}

#[test]
fn own_functions_take_typed_arguments_and_refuse_others() {
    let engine = Engine::builder()
        .function("double", |n: i64| n * 2)
        .function("half", |n: f64| n / 2.0)
        .function("join2", |a: &str, b: String| format!("{a}-{b}"))
        .function("sum", |numbers: Vec<i64>| numbers.iter().sum::<i64>())
        .function("orNothing", |text: Option<&str>| {
            text.map(str::len).map(|n| n as i64)
        })
        .function("words", |text: &str| {
            text.split(' ').map(str::to_owned).collect::<Vec<_>>()
        })
        .function("port", |text: &str| text.parse::<u16>().map(i64::from))
        .function("answer", || 42_i64)
        .build();
    let data = json!({"age": 21, "pi": 3.5, "name": "ann", "list": [1, 2, 3], "nothing": null});
    let render = |text: &str| {
        engine
            .parse("t", text)
            .and_then(|template| template.render_to_string(&data))
    };
    for (text, wanted) in [
        (
            "{{ double 4 }} {{ 4 | double }} {{ double .age }}",
            "8 8 42",
        ),
        ("{{ half .age }} {{ half 3 }}", "10.5 1.5"),
        ("{{ join2 .name `x` }}", "ann-x"),
        ("{{ sum .list }} {{ sum (until 4) }}", "6 6"),
        (
            "{{ orNothing .nothing }} {{ orNothing .missing }} {{ orNothing `abc` }}",
            "<no value> <no value> 3",
        ),
        (
            "{{ words `a b` | len }} {{ typeOf (words `a b`) }}",
            "2 []string",
        ),
        ("{{ port `80` }} {{ answer }}", "80 42"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(wanted), "{text}");
    }
    for text in [
        "{{ double .pi }}",
        "{{ double `4` }}",
        "{{ double }}",
        "{{ double 1 2 }}",
        "{{ join2 1 `x` }}",
        "{{ port `x` }}",
        "{{ sum .name }}",
        "{{ answer 1 }}",
    ] {
        let error = render(text).unwrap_err();
        assert!(error.message().contains("error calling"), "{text}: {error}");
    }
}

#[test]
fn texts_call_one_another_by_name() {
    let engine = Engine::default();
    let sources = [
        ("main", r#"<{{ template "part" .a }}>"#),
        ("part", "{{ . }}{{ . }}"),
    ];
    let template = engine.parse_all(&sources).unwrap();
    assert_eq!(
        template.render_to_string(&json!({"a": "x"})).unwrap(),
        "<xx>"
    );
}

#[test]
fn delimiters_may_be_others() {
    let engine = Engine::builder().delimiters("<<", ">>").build();
    let template = engine.parse("t", "{{ x }} << .a -> >  << print 1 ->>");
    assert!(template.is_err());
    let template = engine.parse("t", "{{ x }} <<- .a ->> !").unwrap();
    assert_eq!(
        template.render_to_string(&json!({"a": 1})).unwrap(),
        "{{ x }}1!"
    );
}

struct Counter;

impl Object for Counter {
    fn type_name(&self) -> &str {
        "*test.Counter"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        (name == "N").then(|| Value::from(7))
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        (name == "Plus").then(|| {
            Ok(Value::from(
                7 + args.iter().filter_map(Value::as_i64).sum::<i64>(),
            ))
        })
    }
}

#[test]
fn objects_show_fields_and_methods_and_nothing_else() {
    let engine = Engine::default();
    let render = |text: &str| engine.parse("t", text).unwrap().render_to_string(&Counter);
    assert_eq!(
        render("{{ .N }} {{ .Plus }} {{ .Plus 1 2 }} {{ 3 | .Plus }}").unwrap(),
        "7 7 10 10"
    );
    assert!(render("{{ .X }}").is_err());
    assert!(render("{{ .N 1 }}").is_err());
}

#[test]
fn a_write_into_a_map_of_the_data_is_seen_in_that_render_only() {
    let data = json!({"m": {"a": 1}});
    let template = Engine::default()
        .parse("t", r#"{{ $_ := set .m "b" 2 }}{{ .m }} {{ len .m }}"#)
        .unwrap();
    for _ in 0..2 {
        assert_eq!(template.render_to_string(&data).unwrap(), "map[a:1 b:2] 2");
    }
    assert_eq!(data, json!({"m": {"a": 1}}));
}

#[test]
fn maps_of_strings_and_urls_can_be_data() {
    let map = BTreeMap::from([("a".to_owned(), "x".to_owned())]);
    let engine = Engine::default();
    let template = engine
        .parse("t", "{{ .a }} {{ typeOf . }} {{ .b }}")
        .unwrap();
    assert_eq!(
        template.render_to_string(Value::mapping(&map)).unwrap(),
        "x map[string]string <no value>"
    );
    let url = Url::parse("https://u:p@h:80/p?a=1&a=2#f").unwrap();
    let template = engine
        .parse(
            "t",
            r#"{{ .Query.Get "a" }} {{ .Port }} {{ .User.Username }} {{ .Redacted }}"#,
        )
        .unwrap();
    assert_eq!(
        template.render_to_string(&url).unwrap(),
        "1 80 u https://u:xxxxx@h:80/p?a=1&a=2#f"
    );
}

#[test]
fn what_a_template_prints_parses_to_what_prints_the_same() {
    let cases = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/template/cases.jsonl"
    ))
    .unwrap();
    let engine = Engine::default();
    let data = json!({"Subject": {"Attributes": {"groups": ["a", "b"]}}});
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = case["template"].as_str().unwrap();
        let Ok(first) = engine.parse("t", text) else {
            continue;
        };
        let printed = first.to_string();
        // A text that defines its own name has two bodies of that name.
        if text.contains("define \"t\"") {
            continue;
        }
        let second = engine
            .parse("t", &printed)
            .unwrap_or_else(|error| panic!("{text:?} {printed:?}: {error}"));
        assert_eq!(printed, second.to_string(), "{text:?}");
        let (before, after) = (
            first.render_to_string(&data),
            second.render_to_string(&data),
        );
        if !text.contains("rand") && !text.contains("uuid") {
            assert_eq!(before.ok(), after.ok(), "{text:?} {printed:?}");
        }
    }
}
