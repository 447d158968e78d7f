//! `cookie`: templates become cookies.

use crate::Failure;
use crate::finalizers::header::{NamedTemplates, named_templates, on_missing};
use crate::finalizers::{Effects, Sight, Workshop};
use crate::settings::Fields;
use crate::template::OnMissing;

/// Sets cookies, one value a name.
#[derive(Clone)]
pub struct CookieFinalizer {
    cookies: NamedTemplates,
    on_missing: OnMissing,
}

impl CookieFinalizer {
    pub(super) fn build(mut fields: Fields<'_>, workshop: &Workshop) -> Option<Self> {
        let cookies = named_templates(&mut fields, "cookies", workshop);
        let on_missing = on_missing(&mut fields);
        fields.close();
        Some(Self {
            cookies: cookies?,
            on_missing,
        })
    }

    pub(super) fn apply(&self, sight: Sight<'_>, effects: &mut Effects) -> Result<(), Failure> {
        let scope = sight.scope();
        for (name, text) in self.cookies.iter() {
            let value = text.render_with_missing(&scope, self.on_missing)?;
            effects.set_cookie(name, cookie_value(&value));
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.cookies.iter().map(|(name, _)| &**name)
    }

    pub(super) fn reads_body(&self) -> bool {
        self.cookies.iter().any(|(_, text)| text.reads_body())
    }
}

/// A text as a cookie value: what may not stand in one is dropped, and blanks or commas put quotes around it.
pub(crate) fn cookie_value(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| (' '..='~').contains(c) && !matches!(c, '"' | ';' | '\\'))
        .collect();
    if kept.contains([' ', ',']) {
        format!("\"{kept}\"")
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_not_leave_its_cookie() {
        assert_eq!(cookie_value("a; admin=1"), "\"a admin=1\"");
        assert_eq!(cookie_value("one\r\ntwo\"\\ü"), "onetwo");
        assert_eq!(cookie_value("k=v="), "k=v=");
    }
}
