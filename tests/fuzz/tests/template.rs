//! The targets of the template engine, for a while.

use heimdall_fuzz::template::{parse, render, roundtrip};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_parse_or_are_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        parse(&data);
    }

    #[test]
    fn text_of_the_language_parses_or_is_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{{-", "-}}", " ", "(", ")", "|", ".a", "$x", ":=", "=", ",", "if", "else", "end", "range", "define",
            "template", "block", "\"x\"", "`r`", "'c'", "1", "0x", "1e9", "upper", "nil", "/*", "*/", "\n", "é", "break",
        ]), 0..40)
    ) {
        let text = pieces.concat();
        parse(text.as_bytes());
        render(text.as_bytes());
        roundtrip(text.as_bytes());
    }

    #[test]
    fn built_templates_render_or_are_refused(data in prop::collection::vec(any::<u8>(), 0..60)) {
        render(&data);
        roundtrip(&data);
    }
}

#[test]
fn the_corpus_holds() {
    for entry in std::fs::read_dir("corpus/template").expect("the corpus is here") {
        let data = std::fs::read(entry.expect("an entry").path()).expect("a file");
        parse(&data);
        render(&data);
        roundtrip(&data);
    }
}
