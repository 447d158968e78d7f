//! What is printed: aligned columns for people, JSON for programs.

use serde_json::Value;

/// How an answer is shown to people.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A list, by these members.
    Rows(&'static [&'static str]),
    /// One thing, member by member.
    One,
    /// Nothing but that it is done.
    Done,
}

/// The answer as it came.
pub(crate) fn json(answer: &Value) -> String {
    match answer {
        Value::Null => String::new(),
        other => format!("{other:#}\n"),
    }
}

/// The answer for people.
pub(crate) fn words(shape: Shape, answer: &Value) -> String {
    match (shape, answer) {
        (Shape::Rows(columns), Value::Array(rows)) => rows_of(columns, rows),
        (_, Value::Null) => "done\n".to_owned(),
        (_, Value::Object(members)) => {
            let lines: Vec<Vec<String>> = members
                .iter()
                .map(|(name, value)| vec![name.clone(), cell(value)])
                .collect();
            aligned(&lines)
        }
        (_, other) => json(other),
    }
}

fn rows_of(columns: &[&str], rows: &[Value]) -> String {
    if rows.is_empty() {
        return "none\n".to_owned();
    }
    let head = columns
        .iter()
        .map(|name| name.replace(['_', '.'], " ").to_uppercase())
        .collect();
    let mut lines: Vec<Vec<String>> = vec![head];
    lines.extend(
        rows.iter()
            .map(|row| columns.iter().map(|name| cell(member(row, name))).collect()),
    );
    aligned(&lines)
}

fn member<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .try_fold(row, |at, name| at.get(name))
        .unwrap_or(&Value::Null)
}

// What a tenant wrote must not move the cursor or colour the terminal of an operator.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name}={}", cell(value)))
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn aligned(lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        for (at, text) in line.iter().enumerate() {
            let width = text.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for line in lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text:<width$}"))
            .collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_aligned_and_say_when_they_are_empty() {
        let rows = json!([{"name": "a", "roles": ["x", "y"], "at": {"end": null}}, {"name": "longer", "roles": []}]);
        let text = words(Shape::Rows(&["name", "roles", "at.end"]), &rows);
        assert_eq!(
            text,
            "NAME    ROLES  AT END\na       x, y   -\nlonger  -      -\n"
        );
        assert_eq!(words(Shape::Rows(&["name"]), &json!([])), "none\n");
    }

    #[test]
    fn what_a_tenant_wrote_does_not_reach_the_terminal_as_a_command() {
        let text = words(Shape::Rows(&["name"]), &json!([{"name": "\u{1b}[2Jx\ny"}]));
        assert_eq!(text, "NAME\n\u{fffd}[2Jx\u{fffd}y\n");
    }
}
