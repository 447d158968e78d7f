use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use arc_swap::ArcSwap;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value};
use thiserror::Error;

use crate::{PAGE_POLICY, Problem, assets};

type Messages = BTreeMap<String, BTreeMap<String, String>>;

/// Why pages cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PagesError {
    /// A template is wrong.
    #[error("template `{name}`: {cause}")]
    Template {
        /// Its name.
        name: String,
        /// What is wrong with it.
        cause: minijinja::Error,
    },
    /// A file with messages is wrong.
    #[error("messages `{name}`: {cause}")]
    Messages {
        /// The language or the file.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of the folder cannot be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
}

/// HTML pages: escaped by default, defaults embedded, operators may replace a template or add a language.
///
/// In templates: `t("key", name=value)` is a message in the page's language, `asset("heimdall.css")` the address of
/// an embedded file, `lang` the language. A name that was not given is an error, so a page never shows a gap.
///
/// Clones share what [`Pages::reload`] reads anew.
#[derive(Clone)]
pub struct Pages {
    read: Arc<ArcSwap<Read>>,
    source: Arc<PagesBuilder>,
}

/// Everything as it was read at one moment: one answer sees one state.
struct Read {
    templates: Environment<'static>,
    messages: Arc<Messages>,
    default_language: Arc<str>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("languages", &self.read.load().messages.keys())
            .finish_non_exhaustive()
    }
}

/// Collects what [`Pages`] are made of.
#[derive(Debug, Default)]
pub struct PagesBuilder {
    templates: Vec<(String, String)>,
    messages: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

impl PagesBuilder {
    /// An embedded template. Names that end in `.txt` are not escaped.
    #[must_use]
    pub fn template(mut self, name: &str, source: &str) -> Self {
        self.templates.push((name.to_owned(), source.to_owned()));
        self
    }

    /// Embedded messages of a language: YAML of one level, `key: text with {name}`. The first language is the default.
    #[must_use]
    pub fn messages(mut self, language: &str, yaml: &str) -> Self {
        self.messages.push((language.to_owned(), yaml.to_owned()));
        self
    }

    /// A folder that wins over what is embedded: `templates/<name>`, `messages/<language>.yaml`.
    #[must_use]
    pub fn folder(mut self, folder: Option<PathBuf>) -> Self {
        self.folder = folder;
        self
    }

    /// Reads the folder and parses everything.
    ///
    /// # Errors
    /// A template or a message file that is wrong or cannot be read.
    pub fn build(self) -> Result<Pages, PagesError> {
        let read = self.read()?;
        Ok(Pages {
            read: Arc::new(ArcSwap::from_pointee(read)),
            source: Arc::new(self),
        })
    }

    fn read(&self) -> Result<Read, PagesError> {
        let default_language: Arc<str> = self
            .messages
            .first()
            .map_or("en", |(language, _)| language)
            .into();
        let mut texts = self.templates.clone();
        let mut files = self.messages.clone();
        if let Some(folder) = &self.folder {
            texts.extend(files_of(&folder.join("templates"))?);
            let own = files_of(&folder.join("messages"))?;
            files.extend(
                own.into_iter().filter_map(|(name, text)| {
                    Some((name.strip_suffix(".yaml")?.to_owned(), text))
                }),
            );
        }
        let messages = Arc::new(parse_messages(files)?);
        let templates = environment(texts, &messages, &default_language)?;
        Ok(Read {
            templates,
            messages,
            default_language,
        })
    }
}

fn files_of(folder: &Path) -> Result<Vec<(String, String)>, PagesError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |cause| PagesError::File { path, cause }
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name().and_then(|n| n.to_str())) {
            all.push((
                name.to_owned(),
                std::fs::read_to_string(&path).map_err(unreadable(&path))?,
            ));
        }
    }
    all.sort();
    Ok(all)
}

fn parse_messages(files: Vec<(String, String)>) -> Result<Messages, PagesError> {
    let mut all = Messages::new();
    for (name, yaml) in files {
        let read: BTreeMap<String, String> =
            serde_saphyr::from_str(&yaml).map_err(|e| PagesError::Messages {
                name: name.clone(),
                cause: e.to_string(),
            })?;
        all.entry(name).or_default().extend(read);
    }
    Ok(all)
}

fn environment(
    texts: Vec<(String, String)>,
    messages: &Arc<Messages>,
    default_language: &Arc<str>,
) -> Result<Environment<'static>, PagesError> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    env.set_auto_escape_callback(|name| {
        if name.ends_with(".txt") {
            AutoEscape::None
        } else {
            AutoEscape::Html
        }
    });
    for (name, text) in texts {
        env.add_template_owned(name.clone(), text)
            .map_err(|cause| PagesError::Template { name, cause })?;
    }
    env.add_function("asset", |name: &str| {
        Value::from_safe_string(assets::url(name))
    });
    let (messages, default) = (Arc::clone(messages), Arc::clone(default_language));
    env.add_function(
        "t",
        move |state: &State<'_, '_>, key: &str, values: Kwargs| {
            let language = state
                .lookup("lang")
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default();
            message(&messages, &[&language, &default], key, &values)
        },
    );
    Ok(env)
}

// The text is a template of ours, the values are data: values go in as they are and are escaped with the whole by
// the engine, and a `{` inside a value is never looked at again.
fn message(
    messages: &Messages,
    languages: &[&str],
    key: &str,
    values: &Kwargs,
) -> Result<String, minijinja::Error> {
    let missing = || {
        minijinja::Error::new(
            minijinja::ErrorKind::UndefinedError,
            format!("there is no message `{key}`"),
        )
    };
    let text = languages
        .iter()
        .find_map(|l| messages.get(*l)?.get(key))
        .ok_or_else(missing)?;
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        let value: Value = values.get(name)?;
        if value.is_undefined() {
            return Err(minijinja::Error::new(
                minijinja::ErrorKind::UndefinedError,
                format!("message `{key}` needs `{name}`"),
            ));
        }
        out.push_str(&value.to_string());
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

impl Pages {
    /// Begins a collection.
    pub fn builder() -> PagesBuilder {
        PagesBuilder::default()
    }

    /// Reads the operator's folder again.
    ///
    /// # Errors
    /// As [`PagesBuilder::build`]; what was read before stays in use.
    pub fn reload(&self) -> Result<(), PagesError> {
        self.read.store(Arc::new(self.source.read()?));
        Ok(())
    }

    /// The language of ours that the browser likes best (`Accept-Language`), else the default.
    pub fn language(&self, request: &HttpRequest) -> String {
        let wanted = request
            .headers()
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        self.best_language(wanted)
    }

    /// As [`Pages::language`], from the header's text or a stored preference such as `de-AT`.
    pub fn best_language(&self, wanted: &str) -> String {
        let read = self.read.load();
        let mut ranked: Vec<(f32, &str)> = wanted
            .split(',')
            .take(16)
            .filter_map(|part| {
                let (tag, q) = part.split_once(';').unwrap_or((part, "q=1"));
                let q = q.trim().strip_prefix("q=")?.parse::<f32>().ok()?;
                let primary = tag.trim().split('-').next()?;
                (q > 0.0 && read.messages.contains_key(primary)).then_some((q, primary))
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.first().map_or_else(
            || read.default_language.to_string(),
            |(_, primary)| (*primary).to_owned(),
        )
    }

    /// A message in `language` with these values; the key itself where there is no such message, so that a missing
    /// translation is seen and not hidden.
    pub fn message(&self, language: &str, key: &str, values: &[(&str, &str)]) -> String {
        let read = self.read.load();
        let known = [language, &read.default_language];
        let text = known
            .iter()
            .find_map(|l| read.messages.get(*l)?.get(key))
            .map_or(key, String::as_str);
        values.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replacen(&format!("{{{name}}}"), value, 1)
        })
    }

    /// Renders a template to text. `context` is anything that serialises to an object; add `lang` by passing it here.
    ///
    /// # Errors
    /// When the template does not exist, names what was not given, or a message is missing.
    pub fn render(
        &self,
        name: &str,
        language: &str,
        context: impl serde::Serialize,
    ) -> Result<String, minijinja::Error> {
        let base = minijinja::context! { lang => language };
        let given = Value::from(minijinja::value::Serde(context));
        let read = self.read.load();
        read.templates
            .get_template(name)?
            .render(minijinja::context! { ..given, ..base })
    }

    /// Renders a page as an answer with the page policy, `no-store` and no referrer. A page that fails to render is
    /// logged and answered with a bare 500.
    pub fn answer(
        &self,
        status: StatusCode,
        name: &str,
        language: &str,
        context: impl serde::Serialize,
    ) -> HttpResponse {
        match self.render(name, language, context) {
            Ok(html) => HttpResponse::build(status)
                .insert_header((
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/html; charset=utf-8"),
                ))
                .insert_header((
                    header::CONTENT_SECURITY_POLICY,
                    HeaderValue::from_static(PAGE_POLICY),
                ))
                .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
                .insert_header((header::CONTENT_LANGUAGE, language.to_owned()))
                .body(html),
            Err(error) => {
                HttpResponse::from_error(Problem::internal(format!("page `{name}`: {error:#}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Pages {
        Pages::builder()
            .template(
                "page.html",
                r#"<p>{{ t("hello", name=name) }}</p><link href="{{ asset("heimdall.css") }}">"#,
            )
            .template("mail.txt", "{{ name }}")
            .messages("en", "hello: Hello {name}")
            .messages("de", "hello: Hallo {name}")
            .build()
            .unwrap()
    }

    #[test]
    fn a_folder_is_read_again_and_a_broken_one_leaves_what_was() {
        let folder = std::env::temp_dir().join(format!("heimdall-pages-{}", std::process::id()));
        let templates = folder.join("templates");
        std::fs::create_dir_all(&templates).unwrap();
        let pages = Pages::builder()
            .template("mail.txt", "ours")
            .messages("en", "{}")
            .folder(Some(folder.clone()))
            .build()
            .unwrap();
        let shown = || {
            pages
                .clone()
                .render("mail.txt", "en", serde_json::json!({}))
                .unwrap()
        };
        assert_eq!(shown(), "ours");
        std::fs::write(templates.join("mail.txt"), "theirs").unwrap();
        pages.reload().unwrap();
        assert_eq!(shown(), "theirs");
        std::fs::write(templates.join("mail.txt"), "{% if %}").unwrap();
        assert!(
            matches!(pages.reload(), Err(PagesError::Template { name, .. }) if name == "mail.txt")
        );
        assert_eq!(shown(), "theirs");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_people_type_is_inert_in_a_page() {
        let html = pages()
            .render(
                "page.html",
                "de",
                minijinja::context! { name => "<img onerror=x>{{7*7}}{name}" },
            )
            .unwrap();
        assert!(
            html.starts_with("<p>Hallo &lt;img onerror=x&gt;{{7*7}}{name}</p>"),
            "{html}"
        );
        assert!(html.contains("/assets/heimdall.css?v="), "{html}");
        assert_eq!(
            pages()
                .render("mail.txt", "en", minijinja::context! { name => "a<b" })
                .unwrap(),
            "a<b"
        );
    }

    #[test]
    fn a_gap_is_an_error_and_a_missing_translation_falls_back() {
        assert!(pages().render("page.html", "en", ()).is_err());
        assert!(
            pages()
                .render("page.html", "fr", minijinja::context! { name => "x" })
                .unwrap()
                .contains("Hello x")
        );
    }

    #[test]
    fn the_best_liked_language_that_we_have_wins() {
        let pages = pages();
        assert_eq!(pages.best_language("fr, de-AT;q=0.8, en;q=0.5"), "de");
        assert_eq!(pages.best_language("de;q=0, en"), "en");
        assert_eq!(pages.best_language(""), "en");
    }
}
