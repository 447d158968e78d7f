use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An e-mail address in its one stored form: lower case, ASCII, no display name, no comment, no quoting.
///
/// The local part is at most 64 octets and the whole at most 254 (RFC 5321 §4.5.3.1). Letters outside ASCII are
/// refused, so that a Cyrillic `а` never stands for a Latin one; a domain in another script is written in its
/// `xn--` form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(Box<str>);

/// Why a text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmailError {
    /// There is no `@`, or nothing beside it.
    #[error("an e-mail address is `name@domain`")]
    Shape,
    /// A part or the whole is too long.
    #[error("an e-mail address has at most 64 characters before the `@` and 254 in all")]
    Length,
    /// A character that no address of ours carries.
    #[error(
        "an e-mail address has only ASCII letters, digits and `.!#$%&'*+/=?^_{{|}}~-` before the `@`, and a host name behind it"
    )]
    Character,
}

impl Email {
    /// The address in its stored form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&c)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Shape)?;
        if local.is_empty() || domain.is_empty() {
            return Err(EmailError::Shape);
        }
        if local.len() > 64 || text.len() > 254 {
            return Err(EmailError::Length);
        }
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        if dots || !local.bytes().all(is_local) || !domain.split('.').all(is_label) {
            return Err(EmailError::Character);
        }
        Ok(Self(text.to_ascii_lowercase().into_boxed_str()))
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0.into()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form_is_kept() {
        assert_eq!(
            "A.b+c@X.Example".parse::<Email>().map(String::from),
            Ok("a.b+c@x.example".to_owned())
        );
    }

    #[test]
    fn addresses_that_could_hide_another_are_refused() {
        let long = format!("{}@x.com", "a".repeat(65));
        for bad in [
            "",
            "a",
            "@x.com",
            "a@",
            "a@x.com\r\nBcc: b@y",
            "\u{430}@x.com",
            "a@x..com",
            ".a@x.com",
            "a..b@x.com",
            "a b@x.com",
            "a@x.com,b@y.com",
            "e\u{301}@x.com",
            "a\u{200b}@x.com",
            "\"a\"@x.com",
            "a@-x.com",
            &long,
            "a@b@c,d",
            "<a@x.com>",
            "a@x.com\n",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
