use std::collections::BTreeMap;

use heimdall_types::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, State};
use thiserror::Error;

use crate::sanitize;

/// The languages that messages are embedded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// The BCP 47 tag, also the name of the template file.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language with this tag (`de`, `de-AT`); English for any other.
    pub fn from_tag(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("de") {
            Self::German
        } else {
            Self::English
        }
    }
}

/// Why a message could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// There is no template for this kind of message.
    #[error("no message of kind `{0}`")]
    Unknown(String),
    /// The template is wrong or the context lacks what it needs.
    #[error("message template: {0}")]
    Template(#[from] minijinja::Error),
}

/// A rendered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The text part, at most 72 columns where words allow it.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

macro_rules! embedded {
    ($($kind:literal),* $(,)?) => {
        &[$(
            (concat!($kind, "/en"), include_str!(concat!("../templates/", $kind, "/en.jinja"))),
            (concat!($kind, "/de"), include_str!(concat!("../templates/", $kind, "/de.jinja"))),
        )*]
    };
}

const MESSAGES: &[(&str, &str)] = embedded![
    "approval-requested",
    "challenge",
    "closed",
    "confirm-address",
    "decided",
    "denied",
    "escalated",
    "grant-expiring",
    "invite",
    "password-reset",
    "reminder",
    "test",
];

/// Every message text, embedded and overridden, ready to render.
///
/// A message is one template a language, `<kind>/<language>.jinja`, with the blocks `subject`, `kicker`, `ask`,
/// `outcome`, `facts`, `actions` and `why`. It is rendered twice: for HTML, escaped, over `layout.html` and
/// `parts.html`; for text over `layout.txt` and `parts.txt`. An operator overrides any of these by a file of the
/// same name.
#[derive(Debug)]
pub struct Messages {
    html: Environment<'static>,
    text: Environment<'static>,
    language: Language,
    host: String,
}

impl Messages {
    /// The embedded messages in `language`. `host` is the right side of Message-IDs.
    pub fn new(language: Language, host: impl Into<String>) -> Result<Self, MessageError> {
        Self::with_overrides(language, host, &BTreeMap::new())
    }

    /// The embedded messages, with some files replaced: `overrides` maps names such as `denied/en.jinja` or
    /// `layout.html` to texts.
    pub fn with_overrides(
        language: Language,
        host: impl Into<String>,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, MessageError> {
        let pick = |name: &str, embedded: &str| {
            overrides
                .get(name)
                .cloned()
                .unwrap_or_else(|| embedded.to_owned())
        };
        let mut html = environment(AutoEscape::Html)?;
        let mut text = environment(AutoEscape::None)?;
        html.add_template_owned(
            "layout",
            pick("layout.html", include_str!("../templates/layout.html")),
        )?;
        html.add_template_owned(
            "parts",
            pick("parts.html", include_str!("../templates/parts.html")),
        )?;
        text.add_template_owned(
            "layout",
            pick("layout.txt", include_str!("../templates/layout.txt")),
        )?;
        text.add_template_owned(
            "parts",
            pick("parts.txt", include_str!("../templates/parts.txt")),
        )?;
        for (name, embedded) in MESSAGES {
            let source = pick(&format!("{name}.jinja"), embedded);
            html.add_template_owned(*name, source.clone())?;
            text.add_template_owned(*name, source)?;
        }
        Ok(Self {
            html,
            text,
            language,
            host: host.into(),
        })
    }

    /// The kinds of message there are.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        MESSAGES
            .iter()
            .filter_map(|(name, _)| name.strip_suffix("/en"))
    }

    /// Renders one message. The context's member `lang` chooses another language than the default.
    pub fn render(
        &self,
        kind: &str,
        mut context: serde_json::Value,
    ) -> Result<Rendered, MessageError> {
        sanitize::deep(&mut context);
        let language = context
            .get("lang")
            .and_then(|tag| tag.as_str())
            .map_or(self.language, Language::from_tag);
        if let Some(members) = context.as_object_mut() {
            members.insert("lang".to_owned(), language.tag().into());
        }
        let name = format!("{kind}/{}", language.tag());
        let context = Value::from(Serde(&context));
        let unknown = |_| MessageError::Unknown(kind.to_owned());
        let html = self
            .html
            .get_template(&name)
            .map_err(unknown)?
            .render(&context)?;
        let template = self.text.get_template(&name).map_err(unknown)?;
        let mut captured = template.render_captured(&context)?;
        let text = captured.output().to_owned();
        let subject = captured.with_state_mut(|state| state.render_block("subject"))?;
        Ok(Rendered {
            subject: sanitize::one_line(&subject),
            text,
            html,
        })
    }

    /// The Message-ID that follows from a notice's id: the same at every try (RFC 5322 §3.6.4).
    pub fn message_id(&self, notice: &str) -> String {
        format!("<{notice}@{}>", self.host)
    }
}

fn environment(escape: AutoEscape) -> Result<Environment<'static>, MessageError> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    let mut env = Environment::new();
    env.set_syntax(syntax);
    env.set_auto_escape_callback(move |_| escape.clone());
    env.add_filter("names", names);
    env.add_filter("described", described);
    env.add_filter("duration", duration);
    env.add_filter("when", when);
    env.add_filter("split_lines", |text: String| {
        text.split('\n').map(str::to_owned).collect::<Vec<_>>()
    });
    env.add_filter("href", href);
    env.add_filter("wrap", |text: String, indent: Option<usize>| {
        wrap(&text, indent.unwrap_or(0))
    });
    env.add_filter("tidy", |text: String| tidy(&text));
    Ok(env)
}

// The engine's escape also turns `/` into a reference, which is right but unreadable for whoever searches a raw mail
// for its link. Everything that could end an attribute or open a tag is still escaped.
fn href(url: String) -> Value {
    let plain = url
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    Value::from_safe_string(plain.replace('"', "&quot;").replace('\'', "&#x27;"))
}

fn is_german(state: &State<'_, '_>) -> bool {
    state
        .lookup("lang")
        .is_some_and(|lang| lang.as_str() == Some("de"))
}

fn names(roles: Value) -> Result<String, minijinja::Error> {
    let mut all = Vec::new();
    for role in roles.try_iter()? {
        all.push(role.get_attr("name")?.to_string());
    }
    Ok(match all.split_first() {
        None => String::new(),
        Some((one, [])) => one.clone(),
        Some((one, [other])) => format!("{one}, {other}"),
        Some((one, more)) => format!("{one} + {}", more.len()),
    })
}

fn described(roles: Value) -> Result<String, minijinja::Error> {
    let mut lines = Vec::new();
    for role in roles.try_iter()? {
        let name = role.get_attr("name")?;
        let description = role.get_attr("description")?;
        lines.push(match description.as_str() {
            Some(text) if !text.is_empty() => format!("{name}: {text}"),
            _ => name.to_string(),
        });
    }
    Ok(lines.join("\n"))
}

fn duration(state: &State<'_, '_>, minutes: i64) -> String {
    let german = is_german(state);
    let (count, one, many) = match minutes {
        m if m % 1440 == 0 && m > 0 => (m / 1440, ["day", "Tag"], ["days", "Tage"]),
        m if m % 60 == 0 && m > 0 => (m / 60, ["hour", "Stunde"], ["hours", "Stunden"]),
        m => (m, ["minute", "Minute"], ["minutes", "Minuten"]),
    };
    let [english, german_word] = if count == 1 { one } else { many };
    format!("{count} {}", if german { german_word } else { english })
}

// `3 Mar 2026, 14:12 (UTC)`: mails carry the zone behind each time (design.md, Wording).
fn when(state: &State<'_, '_>, moment: Value) -> String {
    const ENGLISH: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    const GERMAN: [&str; 12] = [
        "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.",
        "Dez.",
    ];
    let german = is_german(state);
    let Some(at) = moment.as_str().and_then(Timestamp::parse_rfc3339) else {
        return moment.to_string();
    };
    let text = at.to_rfc3339();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().unwrap_or(1).saturating_sub(1);
    let day = part(8..10).trim_start_matches('0');
    let name = if german { GERMAN } else { ENGLISH }
        .get(month)
        .copied()
        .unwrap_or_default();
    let dot = if german { "." } else { "" };
    format!("{day}{dot} {name} {}, {} (UTC)", part(0..4), part(11..16))
}

// Breaks at blanks so that lines stay within 72 columns; a word longer than that stands alone.
fn wrap(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut out = Vec::new();
    for paragraph in text.trim().split('\n') {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let needed =
                line.chars().count() + usize::from(!line.is_empty()) + word.chars().count();
            if !line.is_empty() && indent + needed > 72 {
                out.push(format!("{margin}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push(format!("{margin}{line}"));
    }
    out.join("\n")
}

// At most one empty line in a row, none at the ends.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines() {
        let line = line.trim_end();
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn context() -> serde_json::Value {
        json!({
            "requester": {"name": "Mara Lindqvist", "email": "mara@acme.example"},
            "roles": [{"name": "payments-refund", "description": "pay money back"}],
            "minutes": 240, "number": 48213, "asked_at": "2026-03-03T14:12:00.000Z",
            "decide_until": "2026-03-04T14:28:00.000Z", "justification": "INC-2291: charged twice.",
            "link": "https://access.acme.example/external-approval?token=abc", "recipient": "ines@acme.example",
            "ends_at": "2026-03-03T18:31:00.000Z", "starts_at": "2026-03-03T14:31:00.000Z", "decided_by": "Jonas",
            "reason": "Use the replica.", "state_text": "Cancelled", "app_name": "Acme", "inviter": "Mara",
            "expires_at": "2026-03-04T14:28:00.000Z", "code": "123456", "sent_at": "2026-03-03T14:31:00.000Z",
        })
    }

    #[test]
    fn the_request_mail_says_who_wants_what_for_how_long_and_why() {
        let mail = Messages::new(Language::English, "acme.example")
            .unwrap()
            .render("approval-requested", context())
            .unwrap();
        assert_eq!(
            mail.subject,
            "Mara Lindqvist asks for payments-refund for 4 hours"
        );
        for part in [
            "INC-2291: charged twice.",
            "https://access.acme.example/external-approval?token=abc",
            "48213",
        ] {
            assert!(
                mail.text.contains(part) && mail.html.contains(part),
                "{part}\n{}",
                mail.text
            );
        }
        assert!(
            mail.text.contains("4 Mar 2026, 14:28 (UTC)"),
            "{}",
            mail.text
        );
        let link = mail
            .text
            .lines()
            .find(|line| line.contains("https://"))
            .unwrap();
        assert!(
            link.starts_with("https://") && !link.contains(' '),
            "the link stands alone: {link}"
        );
    }

    #[test]
    fn every_message_renders_in_every_language() {
        let messages = Messages::new(Language::English, "acme.example").unwrap();
        for kind in Messages::kinds() {
            for lang in ["en", "de"] {
                let mut with_lang = context();
                with_lang["lang"] = lang.into();
                let mail = messages
                    .render(kind, with_lang)
                    .unwrap_or_else(|e| panic!("{kind} {lang}: {e:?}"));
                assert!(
                    !mail.subject.is_empty() && mail.html.contains("</html>"),
                    "{kind} {lang}"
                );
                assert!(
                    mail.text.lines().count() > 4,
                    "{kind} {lang}: {}",
                    mail.text
                );
                assert!(
                    !mail.text.contains("<") && !mail.text.contains("&"),
                    "{kind} {lang}: {}",
                    mail.text
                );
                assert!(mail.html.contains(&format!("lang=\"{lang}\"")));
            }
        }
    }

    #[test]
    fn markup_templates_and_direction_marks_in_names_stay_inert() {
        let mut evil = context();
        evil["requester"]["name"] =
            "<img src=x onerror=alert(1)>{{7*7}}\u{202e}\r\nBcc: b@y".into();
        evil["justification"] = "\"><script>x</script>".into();
        let mail = Messages::new(Language::English, "h")
            .unwrap()
            .render("approval-requested", evil)
            .unwrap();
        assert!(
            !mail.html.contains("<img") && !mail.html.contains("<script"),
            "{}",
            mail.html
        );
        assert!(mail.html.contains("{{7*7}}") && mail.text.contains("{{7*7}}"));
        assert!(
            !mail.subject.contains(['\r', '\n', '\u{202e}']),
            "{:?}",
            mail.subject
        );
        assert!(!mail.text.contains('\u{202e}') && !mail.text.contains('\r'));
    }

    #[test]
    fn an_override_replaces_one_file_and_a_broken_one_is_refused() {
        let one = BTreeMap::from([(
            "test/en.jinja".to_owned(),
            "{% extends \"layout\" %}{% block subject %}Hello {{ recipient }}{% endblock %}"
                .to_owned(),
        )]);
        let messages = Messages::with_overrides(Language::English, "h", &one).unwrap();
        assert_eq!(
            messages.render("test", context()).unwrap().subject,
            "Hello ines@acme.example"
        );
        let broken = BTreeMap::from([("test/en.jinja".to_owned(), "{% block".to_owned())]);
        assert!(Messages::with_overrides(Language::English, "h", &broken).is_err());
        assert!(matches!(
            messages.render("nope", context()),
            Err(MessageError::Unknown(_))
        ));
    }
}
