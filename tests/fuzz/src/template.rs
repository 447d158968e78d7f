//! The template engine: any text as template, any data.

use std::fmt::Write as _;
use std::sync::LazyLock;

use heimdall_template::{Engine, ErrorKind, Limits};
use serde_json::{Value, json};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut limits = Limits::default();
    limits.fuel = 20_000;
    limits.output = 64 * 1024;
    limits.built = 256 * 1024;
    Engine::builder().limits(limits).build()
});

static DATA: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "a": "text", "n": 7, "f": 2.5, "t": true, "z": null, "l": [1, "x", null, [2]], "m": {"k": "v", "d": {"e": 1}},
        "u": "Grüße 🚀"
    })
});

/// Parses bytes as text. An error has its place inside the text.
pub fn parse(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = ENGINE.parse("fuzz", &text) {
        assert_eq!(error.kind(), ErrorKind::Parse);
        assert!(error.line() >= 1 && error.line() <= text.matches('\n').count() + 1);
        assert!(!error.excerpt().is_empty());
    }
}

/// Renders bytes as text, twice: the second render gives what the first gave.
pub fn render(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(template) = ENGINE.parse("fuzz", &text) else { return };
    let first = template.render_to_string(&*DATA);
    assert_eq!(first, template.render_to_string(&*DATA));
}

/// Builds a template that parses out of the bytes, and renders it.
pub fn render_built(data: &[u8]) {
    render(build(data).as_bytes());
}

const OPERANDS: [&str; 20] = [
    ".", ".a", ".n", ".f", ".t", ".z", ".l", ".m", ".m.d.e", ".u", ".none", "$", "0", "-1", "3.5", "\"x\"", "\"%v|%T\"", "true", "nil",
    "(list 1 \"a\" nil)",
];

const FUNCTIONS: [&str; 60] = [
    "upper", "quote", "toJson", "printf", "print", "len", "index", "slice", "list", "dict", "set", "merge", "mergeOverwrite",
    "first", "rest", "last", "append", "concat", "chunk", "uniq", "without", "has", "sortAlpha", "join", "split",
    "splitn", "regexMatch", "regexReplaceAll", "regexFindAll", "regexSplit", "trunc", "substr", "abbrev", "wrap",
    "repeat", "indent", "add", "mul", "div", "mod", "addf", "divf", "round", "until", "untilStep", "seq", "default",
    "coalesce", "ternary", "fromJson", "typeOf", "deepCopy", "dig", "pick", "omit", "urlParse", "semverCompare",
    "toDate", "date", "eq",
];

fn build(data: &[u8]) -> String {
    let mut bytes = data.iter().copied();
    let mut text = String::new();
    let mut open = 0;
    while let Some(byte) = bytes.next() {
        match byte % 8 {
            0 if open < 8 => {
                open += 1;
                let keyword = ["if", "with", "range"][usize::from(byte / 8) % 3];
                let _ = write!(text, "{{{{ {keyword} {} }}}}", operand(bytes.next()));
            }
            1 if open > 0 => {
                open -= 1;
                text.push_str("{{ end }}");
            }
            2 => text.push_str(" x\n"),
            3 => {
                let _ = write!(text, "{{{{- $v := {} -}}}}{{{{ $v }}}}", operand(bytes.next()));
            }
            _ => {
                let name = FUNCTIONS[usize::from(bytes.next().unwrap_or_default()) % FUNCTIONS.len()];
                let _ = write!(text, "{{{{ {name}");
                for _ in 0..byte / 8 % 4 {
                    let _ = write!(text, " {}", operand(bytes.next()));
                }
                text.push_str(" }}");
            }
        }
    }
    text.push_str(&"{{ end }}".repeat(open));
    text
}

fn operand(byte: Option<u8>) -> &'static str {
    OPERANDS[usize::from(byte.unwrap_or_default()) % OPERANDS.len()]
}
