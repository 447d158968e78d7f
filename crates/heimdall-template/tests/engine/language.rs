//! Corners of the language and of the functions that the vectors do not reach. What is wanted here was printed by Go 1.26
//! with sprig 3.3.

use heimdall_template::{Engine, Error};
use serde_json::json;

fn render(template: &str) -> Result<String, Error> {
    let data = json!({
        "name": "Ann", "age": 37, "list": ["a", "b"],
        "deep": {"a": {"b": 1}, "nothing": null}
    });
    Engine::default()
        .parse("t", template)?
        .render_to_string(&data)
}

fn gives(cases: &[(&str, &str)]) {
    for (template, wanted) in cases {
        match render(template) {
            Ok(output) => assert_eq!(output, *wanted, "{template}"),
            Err(error) => panic!("{template}: {error}"),
        }
    }
}

fn refused(templates: &[&str]) {
    for template in templates {
        assert!(
            render(template).is_err(),
            "{template}: {:?}",
            render(template)
        );
    }
}

#[test]
fn a_variable_declared_anew_is_computed_from_the_outer_one() {
    gives(&[
        ("{{ $x := 1 }}{{ $x := add $x 1 }}{{ $x }}", "2"),
        (
            "{{ $x := 1 }}{{ $x := $x | printf `%d-%d` $x }}{{ $x }}",
            "1-1",
        ),
        (
            "{{ $x := 1 }}{{ range $x := list $x 2 }}{{ $x }}{{ end }}{{ $x }}",
            "121",
        ),
        (
            "{{ with $x := 5 }}{{ with $x := add $x $x }}{{ $x }}{{ end }}{{ $x }}{{ end }}",
            "105",
        ),
        (
            "{{ $x := 1 }}{{ if $x := add $x 1 }}{{ $x }}{{ end }}{{ $x }}",
            "21",
        ),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x = 4 }}{{ end }}{{ $x }}",
            "2",
        ),
    ]);
    refused(&["{{ $x := $x }}", "{{ $x := (add ($x) 1) }}", "{{ $y }}"]);
}

#[test]
fn repetitions_of_repetitions_are_no_patterns() {
    refused(&[
        "{{ regexFind `a**` `aa` }}",
        "{{ mustRegexMatch `a{2}{3}` `aa` }}",
        "{{ regexSplit `a+*` `aa` -1 }}",
        "{{ regexReplaceAll `a??*` `aa` `` }}",
        "{{ regexFindAll `a{1001}` `a` -1 }}",
    ]);
    gives(&[
        ("{{ regexMatch `a**` `aa` }}", "false"),
        (
            "{{ regexFind `a+?` `aa` }}|{{ regexFind `a{1,2}?` `aa` }}|{{ regexFind `(?:a)*` `aa` }}",
            "a|a|aa",
        ),
        (
            "{{ regexFind `[*+?]+` `x*+?` }}|{{ regexFind `\\*\\+` `*+` }}|{{ regexFind `{a}` `{a}` }}",
            "*+?|*+|{a}",
        ),
    ]);
}

#[test]
fn times_show_the_offset_of_a_zone_without_a_name() {
    gives(&[
        (
            "{{ toDate `2006-01-02T15:04:05Z07:00` `2024-02-29T13:14:15+02:00` }}",
            "2024-02-29 13:14:15 +0200 +0200",
        ),
        (
            "{{ dateInZone `15:04 MST` (toDate `2006-01-02` `2024-02-29`) `America/Sao_Paulo` }}",
            "21:00 -03",
        ),
        (
            "{{ dateInZone `15:04 MST -0700` (toDate `2006-01-02` `2024-02-29`) `Europe/Berlin` }}",
            "01:00 CET +0100",
        ),
        (
            "{{ printf `%d` (toDate `2006-01-02` `2024-02-29`) }}",
            "{0 63844761600 0}",
        ),
        (
            "{{ printf `%t` (toDate `2006-01-02` `2024-02-29`) }}",
            "{%!t(uint64=0) %!t(int64=63844761600) %!t(*time.Location=<nil>)}",
        ),
    ]);
}

#[test]
fn infinite_numbers_have_no_digits_in_any_base() {
    gives(&[
        (
            "{{ printf `%X|%x|%9X` (float64 `Inf`) (float64 `-Inf`) (float64 `-Inf`) }}",
            "+Inf|-Inf|     -Inf",
        ),
        (
            "{{ printf `%v|%08.2f|%+e` (float64 `NaN`) (float64 `+Inf`) (float64 `-Inf`) }}",
            "NaN|    +Inf|-Inf",
        ),
    ]);
}

#[test]
fn words_are_cut_where_the_library_cuts_them() {
    gives(&[
        (
            "{{ camelcase `  ` }}|{{ camelcase `_` }}|{{ camelcase `a_` }}",
            "   |__|A_",
        ),
        (
            "{{ snakecase `FirstName2nd` }}|{{ kebabcase `HTTPStatusCode` }}|{{ camelcase `http_server` }}",
            "first_name_2nd|http-status-code|HttpServer",
        ),
        ("{{ kebabcase `a�B` }}", "a-�b"),
    ]);
}

#[test]
fn chunks_of_negative_sizes_are_counted_as_sprig_counts_them() {
    gives(&[
        (
            "{{ chunk -42 (list 1 2 3) }}|{{ chunk -1 (list 1 2) }}|{{ chunk 2 (list 1 2 3) }}",
            "[]|[]|[[1 2] [3]]",
        ),
        ("{{ chunk 5 (list) | len }}", "0"),
    ]);
    refused(&[
        "{{ chunk 0 (list 1) }}",
        "{{ chunk -1 (list 1 2 3) }}",
        "{{ chunk -2 (list) }}",
    ]);
}

#[test]
fn floats_print_shortest_and_with_an_exponent_only_where_go_has_one() {
    gives(&[
        (
            "{{ 0.1 }} {{ 12.5 }} {{ 0.0001 }} {{ 0.00001 }} {{ 999999.5 }} {{ 1234567.5 }}",
            "0.1 12.5 0.0001 1e-05 999999.5 1.2345675e+06",
        ),
        (
            "{{ print 1e6 1e5 -0.25 100000.25 }}",
            "1e+06 100000 -0.25 100000.25",
        ),
    ]);
}

#[test]
fn formats_that_are_literals_do_what_computed_ones_do() {
    for format in [
        "%d",
        "%5d|%-5d|%05d",
        "%x %X %o %b %c %q %U",
        "%s",
        "%q",
        "%#q",
        "%+q",
        "%v",
        "%+v",
        "%#v",
        "%T",
        "%t",
        "%e %g %8.3f",
        "100%% %s",
        "%",
        "%!",
        "%z",
        "%.2s|%10.3s|%-10s|",
        "%[1]s %[1]s",
        "%*d",
        "%.*f",
        "%s %s",
        "",
        "x",
        "%6.",
        "%.",
        "%é",
        "% d",
    ] {
        for args in [
            "", "7", "`a\"b`", "7 `x`", "1.5", "nil", ".list", ".deep", "true 2 3",
        ] {
            let literal = render(&format!("{{{{ printf {format:?} {args} }}}}"));
            let computed = render(&format!(
                "{{{{ $f := print {format:?} }}}}{{{{ printf $f {args} }}}}"
            ));
            assert_eq!(literal.ok(), computed.ok(), "{format} {args}");
            let kept = render(&format!("{{{{ printf {format:?} {args} | print }}}}"));
            let computed = render(&format!(
                "{{{{ $f := print {format:?} }}}}{{{{ printf $f {args} | print }}}}"
            ));
            assert_eq!(kept.ok(), computed.ok(), "{format} {args}");
        }
    }
}

#[test]
fn a_render_writes_what_came_before_an_error_and_long_texts_whole() {
    let engine = Engine::default();
    let template = engine
        .parse("t", "before {{ index .list 9 }} after")
        .unwrap();
    let mut out = String::new();
    assert!(template.render(&json!({"list": []}), &mut out).is_err());
    assert_eq!(out, "before ");
    for length in [0, 1, 255, 256, 257, 600, 5000] {
        let long = "ü".repeat(length);
        let template = engine.parse("t", "a{{ . }}b{{ . }}c").unwrap();
        let data = json!(long);
        assert_eq!(
            template.render_to_string(&data).unwrap(),
            format!("a{long}b{long}c")
        );
    }
}
