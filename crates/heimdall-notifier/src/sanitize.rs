use serde_json::Value;

// Marks that turn the direction of what follows: with them a name can show a reader other words than it holds.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// The same text on one line, without control characters and direction marks: fit for a header.
pub(crate) fn one_line(text: &str) -> String {
    let kept = text.chars().filter(|c| !turns_direction(*c));
    let spaced: String = kept
        .map(|c| {
            if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
                ' '
            } else {
                c
            }
        })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same text without direction marks and with line feed as its only control character: fit for a body.
pub(crate) fn body(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    unix.chars()
        .filter(|c| !turns_direction(*c) && (*c == '\n' || !c.is_control()))
        .collect()
}

/// [`body`] over every text in `value`.
pub(crate) fn deep(value: &mut Value) {
    match value {
        Value::String(text) => *text = body(text),
        Value::Array(items) => items.iter_mut().for_each(deep),
        Value::Object(members) => members.values_mut().for_each(deep),
        _ => {}
    }
}
