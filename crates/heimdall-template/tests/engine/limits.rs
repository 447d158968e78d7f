//! Whatever a template asks for ends at a limit: no hang, no abort, no heap of memory.

use heimdall_template::{Engine, ErrorKind, FunctionSet, Limit, Limits};
use serde_json::json;

fn outcome(template: &str) -> Result<usize, ErrorKind> {
    let engine = Engine::builder().functions(&FunctionSet::ALL).build();
    let template = engine.parse("t", template).map_err(|error| error.kind())?;
    let data = json!({"deep": {"a": [1, 2, 3]}, "text": "x"});
    template
        .render_to_string(&data)
        .map(|output| output.len())
        .map_err(|error| error.kind())
}

fn limit(template: &str) -> Limit {
    match outcome(template) {
        Err(ErrorKind::Limit(limit)) => limit,
        other => panic!("{template}: {other:?}"),
    }
}

#[test]
fn work_without_end_runs_out_of_fuel() {
    assert_eq!(limit("{{ range 1000000000 }}{{ end }}"), Limit::Fuel);
    assert_eq!(
        limit("{{ range 1000000000 }}{{ continue }}{{ end }}"),
        Limit::Fuel
    );
    assert_eq!(
        limit("{{ range 10000 }}{{ range 10000 }}{{ end }}{{ end }}"),
        Limit::Fuel
    );
}

#[test]
fn a_template_that_calls_itself_ends_at_the_depth() {
    assert_eq!(
        limit(r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#),
        Limit::Depth
    );
    let nested = r#"{{ define "a" }}{{ if true }}{{ with . }}{{ range 2 }}{{ template "a" . }}{{ end }}{{ end }}{{ end }}{{ end }}{{ template "a" 1 }}"#;
    assert!(matches!(limit(nested), Limit::Depth | Limit::Fuel));
}

#[test]
fn every_function_that_builds_something_large_meets_a_limit() {
    for template in [
        r#"{{ repeat 100000000 "x" }}"#,
        r#"{{ repeat 9223372036854775807 "xyz" }}"#,
        r#"{{ $x := repeat 100000000 "x" }}"#,
        r#"{{ indent 100000000 "x" }}"#,
        r#"{{ nindent 100000000 "x" }}"#,
        r#"{{ until 50000000 }}"#,
        r#"{{ $x := untilStep 0 9223372036854775807 1 }}"#,
        r#"{{ $x := seq 1 100000000 }}"#,
        r#"{{ $x := printf "%1000000d%1000000d%1000000d%1000000d%1000000d" 1 1 1 1 1 }}"#,
        r#"{{ $x := repeat 4000000 "x" }}{{ $y := repeat 4000000 "x" }}"#,
        r#"{{ $x := "x" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}"#,
        r#"{{ $x := "x" }}{{ range 64 }}{{ $x = cat $x $x }}{{ end }}"#,
        r#"{{ $x := "a" }}{{ range 64 }}{{ $x = replace "a" "aa" $x }}{{ end }}"#,
        r#"{{ $x := "a" }}{{ range 64 }}{{ $x = regexReplaceAll "a" $x "aa" }}{{ end }}"#,
        r#"{{ $x := "\"" }}{{ range 64 }}{{ $x = quote $x }}{{ end }}"#,
        r#"{{ $x := "\"" }}{{ range 64 }}{{ $x = toJson $x }}{{ end }}"#,
        r#"{{ $x := "&" }}{{ range 1000 }}{{ $x = html $x $x }}{{ end }}"#,
        r#"{{ $x := list 1 }}{{ range 64 }}{{ $x = concat $x $x }}{{ end }}"#,
        r#"{{ $x := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ end }}{{ $x }}"#,
        r#"{{ $x := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}"#,
        r#"{{ $x := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ end }}{{ deepCopy $x }}"#,
        r#"{{ $x := wrapWith 1 (repeat 4000 "y") (repeat 4000 "x") }}"#,
        r#"{{ $x := join (repeat 4000 "y") (until 4000) }}"#,
        r#"{{ $x := randAlphaNum 100000000 }}"#,
        r#"{{ $x := b64enc (repeat 4000000 "x") }}"#,
        r#"{{ $x := splitList "" (repeat 1000000 "x") }}"#,
        r#"{{ $x := 9.9 }}{{ range 100000 }}{{ $x = mulf $x 1.1 1.1 1.1 }}{{ end }}"#,
    ] {
        let outcome = outcome(template);
        assert!(
            !matches!(outcome, Ok(length) if length > 0),
            "{template}: {outcome:?}"
        );
    }
}

#[test]
fn nested_repetition_in_a_pattern_meets_the_size_limit() {
    for template in [
        r#"{{ regexMatch "((((a{100}){100}){100}){100})" "a" }}"#,
        r#"{{ mustRegexMatch .text (repeat 10 "a") }}{{ mustRegexMatch "(((((a{90}){90}){90}){90}){90})" "a" }}"#,
    ] {
        assert!(
            !matches!(outcome(template), Err(ErrorKind::Parse)),
            "{template}"
        );
    }
    assert_eq!(
        limit(r#"{{ mustRegexMatch "(((((a{90}){90}){90}){90}){90})" "a" }}"#),
        Limit::Regex
    );
}

#[test]
fn nesting_without_end_is_refused_and_not_recursed_into() {
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(outcome(&parens), Err(ErrorKind::Parse));
    let blocks = format!(
        "{}{}",
        "{{ if true }}".repeat(100_000),
        "{{ end }}".repeat(100_000)
    );
    assert_eq!(outcome(&blocks), Err(ErrorKind::Parse));
    let list = "{{ $x := list }}{{ range 200000 }}{{ $x = list $x }}{{ end }}";
    assert!(outcome(list).is_err());
    let dict = r#"{{ $x := dict }}{{ range 20000 }}{{ $y := dict }}{{ $_ := set $x "a" $y }}{{ $x = $y }}{{ end }}"#;
    assert!(outcome(dict).is_ok_and(|length| length == 0) || outcome(dict).is_err());
}

#[test]
fn a_dictionary_in_itself_is_refused_when_it_is_shown() {
    for show in [
        "{{ $d }}",
        "{{ toJson $d }}",
        "{{ deepCopy $d }}",
        "{{ deepEqual $d (deepCopy (dict)) }}",
    ] {
        let template = format!(r#"{{{{ $d := dict }}}}{{{{ $_ := set $d "self" $d }}}}{show}"#);
        // What it gives is not the point: it ends.
        let _ = outcome(&template);
    }
}

#[test]
fn output_ends_at_its_limit() {
    let mut limits = Limits::default();
    limits.output = 10;
    let engine = Engine::builder().limits(limits).build();
    let fits = engine
        .parse("t", "0123456789")
        .unwrap()
        .render_to_string(&json!({}))
        .unwrap();
    assert_eq!(fits, "0123456789");
    let error = engine
        .parse("t", "0123456789{{ 1 }}")
        .unwrap()
        .render_to_string(&json!({}))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(Limit::Output));
}

#[test]
fn every_function_that_gives_text_counts_what_it_builds() {
    for call in [
        "print $x $x",
        "println $x $x",
        "printf `%s%s` $x $x",
        "printf `%q` (print $x $x)",
        "printf `%x` $x",
        "printf `%1000000s` $x | print $x",
        "cat $x $x",
        "quote $x $x",
        "squote $x $x",
        "html $x $x `<`",
        "js $x $x `<`",
        "urlquery $x $x `/`",
        "urlenc (print $x $x)",
        "repeat 2 $x",
        "indent 2 (print $x $x)",
        "nindent 2 (print $x $x)",
        "replace `a` `aa` $x",
        "replace `` `b` $x",
        "join $x (list 1 2 3)",
        "regexReplaceAll `a` $x `aa`",
        "regexReplaceAllLiteral `a` $x `aa`",
        "regexQuoteMeta (print `.` $x $x)",
        "b64enc (print $x $x)",
        "b32enc (print $x $x)",
        "toJson (list $x $x)",
        "toPrettyJson (list $x $x)",
        "toRawJson (list $x $x)",
        "mustToJson (list $x $x)",
        "toString (list $x $x)",
        "snakecase (print $x $x)",
        "kebabcase (print $x $x)",
        "camelcase (print $x $x)",
        "upper (print $x $x)",
        "lower (print $x $x)",
        "title (print $x $x)",
        "untitle (print $x $x)",
        "swapcase (print $x $x)",
        "nospace (print $x $x)",
        "trim (print $x $x)",
        "wrap 1 (print $x ` ` $x)",
        "wrapWith 1 `--` (print $x $x)",
        "abbrev 1000000000 (print $x $x)",
        "abbrevboth 1 1000000000 (print $x $x)",
        "trunc 1000000000 (print $x $x)",
        "substr 0 1000000000 (print $x $x)",
        "urlJoin (dict `path` (print $x $x))",
        "default (print $x $x) nil",
        "ternary (print $x $x) 1 true",
        "first (list (print $x $x))",
        "index (dict `k` (print $x $x)) `k`",
        "get (set (dict) `k` (print $x $x)) `k`",
        "last (splitList `,` (print $x $x))",
    ] {
        let template =
            format!("{{{{ $x := `a` }}}}{{{{ range 64 }}}}{{{{ $x = {call} }}}}{{{{ end }}}}");
        limit(&template);
        let template = format!(
            "{{{{ $x := repeat 1000000 `a` }}}}{{{{ range 64 }}}}{{{{ {call} }}}}{{{{ end }}}}"
        );
        limit(&template);
    }
}

#[test]
fn every_function_that_gives_a_list_or_map_counts_what_it_builds() {
    for call in [
        "concat $x $x",
        "concat (append $x 1) $x",
        "concat (push $x 1) (prepend $x 2)",
        "reverse (concat $x $x)",
        "compact (concat $x $x)",
        "without (concat $x $x) 3",
        "initial (concat $x $x $x)",
        "rest (concat $x $x $x)",
        "slice (concat $x $x) 0",
        "toStrings (concat $x $x)",
        "sortAlpha (concat $x $x)",
        "deepCopy (concat $x $x)",
        "values (dict `a` (concat $x $x)) | first",
        "index (chunk 1000000000 (concat $x $x)) 0",
        "pluck `a` (dict `a` (concat $x $x)) | first",
        "dig `a` nil (dict `a` (concat $x $x))",
        "fromJson (toJson (concat $x $x))",
        "uniq (concat $x $x) | concat $x $x",
    ] {
        limit(&format!(
            "{{{{ $x := list 1 2 }}}}{{{{ range 64 }}}}{{{{ $x = {call} }}}}{{{{ end }}}}"
        ));
    }
    for template in [
        "{{ $x := until 500000 }}",
        "{{ $x := untilStep 0 9223372036854775807 1 }}",
        "{{ $x := untilStep 0 -9223372036854775807 -1 }}",
        "{{ $x := seq 1 100000000 }}",
        "{{ $x := regexFindAll `.` (repeat 4000000 `x`) -1 }}",
        "{{ $x := regexSplit `x` (repeat 4000000 `x`) -1 }}",
        "{{ $x := split `x` (repeat 4000000 `x`) }}",
        "{{ $x := splitn `x` 1000000000 (repeat 4000000 `x`) }}",
        "{{ $x := chunk 1 (until 40000) }}{{ $y := chunk 1 (until 40000) }}{{ range 64 }}{{ $y = concat $y $x }}{{ end }}",
        "{{ $d := dict }}{{ range 1000000 }}{{ $_ := set $d (print .) . }}{{ end }}",
        "{{ $d := dict }}{{ range 1000000 }}{{ $d = merge (dict (print .) 1) $d }}{{ end }}",
        "{{ $d := dict }}{{ range 1000000 }}{{ $d = mergeOverwrite $d (dict (print .) 1) }}{{ end }}",
        "{{ $d := dict `a` 1 }}{{ range 1000000 }}{{ $d = deepCopy $d }}{{ $_ := set $d (print .) 1 }}{{ end }}",
        "{{ $x := fromJson (print `[` (repeat 2000000 `1,`) `1]`) }}",
        "{{ range 1000000 }}{{ $x := uniq (until 1000) }}{{ end }}",
        "{{ range 1000000 }}{{ $x := has 5000 (until 1000) }}{{ end }}",
        "{{ range 1000000 }}{{ $x := deepEqual (until 1000) (until 1000) }}{{ end }}",
    ] {
        limit(template);
    }
}
