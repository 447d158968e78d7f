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

/// Renders a template, written in the bytes or built out of them, twice: the second render gives what the first gave.
pub fn render(data: &[u8]) {
    rendered(&String::from_utf8_lossy(data));
    rendered(&build(data));
}

fn rendered(text: &str) {
    let Ok(template) = ENGINE.parse("fuzz", text) else { return };
    let first = template.render_to_string(&*DATA);
    assert_eq!(first, template.render_to_string(&*DATA));
}

/// Prints a template and parses what was printed: that prints and renders the same.
pub fn roundtrip(data: &[u8]) {
    printed(&String::from_utf8_lossy(data));
    printed(&build(data));
}

fn printed(text: &str) {
    let Ok(first) = ENGINE.parse("fuzz", text) else { return };
    // A text that defines a body of its own name has two of them; an escape may spell that name.
    if text.contains("\"fuzz\"") || text.contains("`fuzz`") || text.contains('\\') {
        return;
    }
    let printed = first.to_string();
    let second = ENGINE.parse("fuzz", &printed).unwrap_or_else(|error| panic!("{text:?} prints {printed:?}: {error}"));
    assert_eq!(printed, second.to_string(), "{text:?}");
    let (before, after) = (first.render_to_string(&*DATA), second.render_to_string(&*DATA));
    assert_eq!(before.ok(), after.ok(), "{text:?} prints {printed:?}");
}

const OPERANDS: [&str; 44] = [
    ".", ".a", ".n", ".f", ".t", ".z", ".l", ".m", ".m.d.e", ".u", ".none", ".none.deeper", "$", "$v", "0", "1", "-1",
    "3", "100", "'a'", "3.5", "1e9", "0x1f", "2i", "\"x\"", "\"\"", "\"a,b c\"", "\"%v|%T\"", "\"%5.2f%-8q%+d%#x\"",
    "\"%[2]*.[1]*f\"", "\"(a|b)+\"", "\"[a-z]{2}\"", "\"2006-01-02\"", "\"1.2.3-rc.1\"", "\"\\xff\\n\"", "true", "nil",
    "(list 1 \"a\" nil)", "(list)", "(dict \"k\" 1)", "(until 4)", "(print .m .l)", "(index .l 0)", "(toDate \"2006\" \"2024\")",
];

const FUNCTIONS: [&str; 206] = [
    "abbrev", "abbrevboth", "add", "add1", "add1f", "addf", "adler32sum", "all", "any", "append", "atIndex", "atoi",
    "b32dec", "b32enc", "b64dec", "b64enc", "base", "biggest", "camelcase", "cat", "ceil", "chunk", "clean",
    "coalesce", "compact", "concat", "contains", "date", "dateInZone", "dateModify", "date_in_zone", "date_modify",
    "decryptAES", "deepCopy", "deepEqual", "default", "dict", "dig", "dir", "div", "divf", "duration",
    "durationRound", "empty", "ext", "fail", "first", "float64", "floor", "fromJson", "get", "has", "hasKey",
    "hasPrefix", "hasSuffix", "hello", "htmlDate", "htmlDateInZone", "indent", "initial", "initials", "int", "int64",
    "isAbs", "join", "kebabcase", "keys", "kindIs", "kindOf", "last", "list", "lower", "max", "maxf", "merge",
    "mergeOverwrite", "min", "minf", "mod", "mul", "mulf", "mustAppend", "mustChunk", "mustCompact", "mustDateModify",
    "mustDeepCopy", "mustFirst", "mustFromJson", "mustHas", "mustInitial", "mustLast", "mustMerge",
    "mustMergeOverwrite", "mustPrepend", "mustPush", "mustRegexFind", "mustRegexFindAll", "mustRegexMatch",
    "mustRegexReplaceAll", "mustRegexReplaceAllLiteral", "mustRegexSplit", "mustRest", "mustReverse", "mustSlice",
    "mustToDate", "mustToJson", "mustToPrettyJson", "mustToRawJson", "mustUniq", "mustWithout", "must_date_modify",
    "nindent", "nospace", "omit", "osBase", "osClean", "osDir", "osExt", "osIsAbs", "pick", "pluck", "plural",
    "prepend", "push", "quote", "regexFind", "regexFindAll", "regexMatch", "regexQuoteMeta", "regexReplaceAll",
    "regexReplaceAllLiteral", "regexSplit", "repeat", "replace", "rest", "reverse", "round", "semver",
    "semverCompare", "seq", "set", "sha1sum", "sha256sum", "sha512sum", "slice", "snakecase", "sortAlpha", "split",
    "splitList", "splitn", "squote", "sub", "subf", "substr", "swapcase", "ternary", "title", "toDate", "toDecimal",
    "toJson", "toPrettyJson", "toRawJson", "toString", "toStrings", "trim", "trimAll", "trimPrefix", "trimSuffix",
    "trimall", "trunc", "tuple", "typeIs", "typeIsLike", "typeOf", "uniq", "unixEpoch", "unset", "until", "untilStep",
    "untitle", "upper", "urlJoin", "urlParse", "urlenc", "values", "without", "wrap", "wrapWith", "and", "or", "not",
    "index", "html", "js", "len", "print", "println", "printf", "urlquery", "eq", "ne", "lt", "le", "gt", "ge",
    "call",
];

/// A template out of bytes: each chooses what comes next, so that most of them parse.
fn build(data: &[u8]) -> String {
    let mut bytes = data.iter().copied();
    let mut text = String::from("{{ $v := 1 }}");
    let mut open = 0;
    while let Some(byte) = bytes.next() {
        let rest = byte / 12;
        match byte % 12 {
            0 if open < 8 => {
                open += 1;
                let keyword = ["if", "with", "range", "range $i, $v :=", "with $v :="][usize::from(rest) % 5];
                let _ = write!(text, "{{{{ {keyword} {} }}}}", operand(bytes.next()));
            }
            1 if open > 0 => {
                open -= 1;
                text.push_str("{{ end }}");
            }
            2 => text.push_str([" x\n", "{", "é", "}}", " ", "{{- /* c */ -}}"][usize::from(rest) % 6]),
            3 => {
                let _ = write!(text, "{{{{- $v := {} -}}}}{{{{ $v }}}}", operand(bytes.next()));
            }
            4 => {
                let _ = write!(text, "{{{{ $v = {} }}}}", call(&mut bytes, rest));
            }
            5 => {
                let _ = write!(text, "{{{{ {} | {} }}}}", call(&mut bytes, rest), call(&mut bytes, 1));
            }
            6 => {
                let (at, argument) = (text.len(), operand(bytes.next()));
                let _ = write!(text, "{{{{ block \"b{at}\" {argument} }}}}{{{{ . }}}}{{{{ end }}}}");
            }
            7 => {
                let _ = write!(text, "{{{{ {} ({}) }}}}", function(bytes.next()), call(&mut bytes, rest));
            }
            _ => {
                let _ = write!(text, "{{{{ {} }}}}", call(&mut bytes, rest));
            }
        }
    }
    text.push_str(&"{{ end }}".repeat(open));
    text
}

/// A function and up to three operands.
fn call(bytes: &mut impl Iterator<Item = u8>, count: u8) -> String {
    let mut text = function(bytes.next()).to_owned();
    for _ in 0..count % 4 {
        let _ = write!(text, " {}", operand(bytes.next()));
    }
    text
}

fn function(byte: Option<u8>) -> &'static str {
    FUNCTIONS[usize::from(byte.unwrap_or_default()) % FUNCTIONS.len()]
}

fn operand(byte: Option<u8>) -> &'static str {
    OPERANDS[usize::from(byte.unwrap_or_default()) % OPERANDS.len()]
}
