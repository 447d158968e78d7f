//! Globs, as expressions of a linear engine.

/// The expression for a glob. `*` and `?` stop at the separator, `**` does not; `[a-c]`, `[!x]` and `{a,b}` are
/// classes and alternatives; a backslash takes a special meaning away.
pub(crate) fn to_regex(glob: &str, separator: char) -> Option<String> {
    let inside = format!("[^{}]", regex::escape(&separator.to_string()));
    let mut out = String::from(r"(?s)\A(?:");
    let mut chars = glob.chars().peekable();
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => out.push_str(".*"),
            '*' => {
                out.push_str(&inside);
                out.push('*');
            }
            '?' => out.push_str(&inside),
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '[' => {
                out.push('[');
                if chars.next_if_eq(&'!').is_some() {
                    out.push('^');
                }
                let mut closed = false;
                let mut empty = true;
                for c in chars.by_ref() {
                    match c {
                        ']' => {
                            closed = true;
                            break;
                        }
                        '-' => out.push('-'),
                        _ => out.push_str(&regex::escape(&c.to_string())),
                    }
                    empty = false;
                }
                if !closed || empty {
                    return None;
                }
                out.push(']');
            }
            '\\' => out.push_str(&regex::escape(&chars.next()?.to_string())),
            _ => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    if depth > 0 {
        return None;
    }
    out.push_str(r")\z");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_mean_what_they_mean_there() {
        let takes = |glob: &str, separator, text: &str| {
            regex::Regex::new(&to_regex(glob, separator).unwrap())
                .unwrap()
                .is_match(text)
        };
        assert!(takes("{a,b}*.glob.example", '.', "b1.glob.example"));
        assert!(!takes("{a,b}*.glob.example", '.', "a.b.glob.example"));
        assert!(takes("[a-c]*", '/', "cx") && !takes("[a-c]*", '/', "dx"));
        assert!(takes("*.txt", '/', "x.txt") && !takes("*.txt", '/', "a/x.txt"));
        assert!(takes("**/x.txt", '/', "a/b/x.txt"));
        assert!(takes("a?[!b]", '/', "axc") && !takes("a?[!b]", '/', "axb"));
        assert!(to_regex("[", '/').is_none() && to_regex("{a", '/').is_none());
    }
}
