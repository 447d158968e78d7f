//! `header`: templates become header fields.

use std::sync::Arc;

use crate::finalizers::{Effects, Sight, Workshop};
use crate::settings::Fields;
use crate::template::{OnMissing, Text};
use crate::{Failure, Kind, is_token};

/// Sets header fields; each line of a rendered text is a value.
#[derive(Clone)]
pub struct HeaderFinalizer {
    headers: NamedTemplates,
    on_missing: OnMissing,
}

impl HeaderFinalizer {
    pub(super) fn build(mut fields: Fields<'_>, workshop: &Workshop) -> Option<Self> {
        let headers = named_templates(&mut fields, "headers", workshop);
        let on_missing = on_missing(&mut fields);
        fields.close();
        Some(Self {
            headers: headers?,
            on_missing,
        })
    }

    pub(super) fn apply(&self, sight: Sight<'_>, effects: &mut Effects) -> Result<(), Failure> {
        let scope = sight.scope();
        for (name, text) in self.headers.iter() {
            let rendered = text.render_guarded(&scope, self.on_missing)?;
            for value in rendered
                .split('\n')
                .map(|line| line.trim_matches([' ', '\t', '\r']))
            {
                if value.is_empty() {
                    continue;
                }
                if value
                    .bytes()
                    .any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f)
                {
                    return Err(Failure::new(
                        Kind::Internal,
                        format!("value of header `{name}` is no legal header value"),
                    ));
                }
                effects.add_header(name, value);
            }
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| &**name)
    }

    pub(super) fn reads_body(&self) -> bool {
        self.headers.iter().any(|(_, text)| text.reads_body())
    }
}

/// Templates by name, in the order of the file.
pub(super) type NamedTemplates = Arc<[(Arc<str>, Text)]>;

/// A non-empty map of names, each a token, to templates.
pub(super) fn named_templates(
    fields: &mut Fields<'_>,
    key: &'static str,
    workshop: &Workshop,
) -> Option<NamedTemplates> {
    fields.required(key)?;
    let entries = fields.text_map(key)?;
    if entries.is_empty() {
        fields.wrong(key, "is empty");
        return None;
    }
    let mut named = Vec::with_capacity(entries.len());
    for (name, source, line) in entries {
        let at = format!("{}.{name}", fields.at(key));
        if !is_token(name) {
            fields.issues().note(line, &at, "is no legal name");
            continue;
        }
        named.push((
            Arc::from(name),
            Text::parse(&workshop.templates, source, line, &at, fields.issues())?,
        ));
    }
    Some(named.into())
}

pub(super) fn on_missing(fields: &mut Fields<'_>) -> OnMissing {
    match fields.word("on_missing", &["empty", "error"]) {
        Some("error") => OnMissing::Error,
        _ => OnMissing::Empty,
    }
}
