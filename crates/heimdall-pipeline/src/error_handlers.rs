//! What becomes of a failure.

use std::sync::Arc;

use heimdall_finalizer::settings::{Fields, Issues, Node, Strictness};
use heimdall_finalizer::{Failure, Kind, Scene, Scope, Text, is_token};

use crate::config::RespondCodes;
use crate::tools::Tools;
use crate::{Respond, RuleName};

/// An error handler of the catalogue, or one with a rule's overrides.
#[derive(Clone)]
pub(crate) enum ErrorHandler {
    /// Answers as `respond` says.
    Default,
    /// Sends the client elsewhere.
    Redirect { to: Text, code: u16 },
    /// Asks for a password.
    WwwAuthenticate { realm: Arc<str> },
    /// Answers with what templates give.
    Generic(Arc<Generic>),
}

pub(crate) const TYPES: [&str; 4] = ["default", "redirect", "www_authenticate", "generic"];

/// `generic`: status, headers and body of the answer.
#[derive(Clone)]
pub(crate) struct Generic {
    code: Option<u16>,
    headers: Vec<(Arc<str>, Text)>,
    body: Option<Text>,
}

impl ErrorHandler {
    pub(crate) fn build(
        kind: &str,
        config: Option<&Node>,
        line: usize,
        path: &str,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        if kind == "default" {
            if let Some(config) = config {
                issues.note(
                    config.line,
                    path,
                    "a `default` error handler takes no configuration",
                );
            }
            return Some(Self::Default);
        }
        if !TYPES.contains(&kind) {
            issues.unknown(line, path, kind, TYPES);
            return None;
        }
        let Some(config) = config else {
            issues.note(
                line,
                path,
                format!("an error handler `{kind}` needs a configuration"),
            );
            return None;
        };
        let mut fields = Fields::open(config, path, Strictness::CATALOGUE, issues)?;
        match kind {
            "redirect" => Self::redirect(fields, tools),
            "www_authenticate" => {
                let realm = fields
                    .text("realm")
                    .filter(|realm| !realm.is_empty())
                    .unwrap_or("Please authenticate")
                    .into();
                fields.close();
                Some(Self::WwwAuthenticate { realm })
            }
            _ => Generic::build(fields, tools).map(|generic| Self::Generic(Arc::new(generic))),
        }
    }

    fn redirect(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let given = fields.required_text("to");
        if !tools.relaxed.egress_tls && given.is_some_and(|to| !to.starts_with("https://")) {
            fields.wrong("to", "scheme must be https");
        }
        let to = tools.text(&mut fields, "to");
        let code = match fields.integer("code") {
            None => 302,
            Some(301) => 301,
            Some(302) => 302,
            Some(_) => {
                fields.wrong("code", "is neither 301 nor 302");
                302
            }
        };
        fields.close();
        Some(Self::Redirect { to: to?, code })
    }

    pub(crate) fn overridden(
        &self,
        config: &Node,
        path: &str,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        match self {
            Self::Default | Self::Redirect { .. } => {
                issues.note(
                    config.line,
                    path,
                    "this error handler can not be reconfigured",
                );
                None
            }
            Self::WwwAuthenticate { .. } => {
                let mut fields = Fields::open(config, path, Strictness::RULES, issues)?;
                let realm = fields.required_text("realm").map(Arc::from);
                fields.close();
                Some(Self::WwwAuthenticate { realm: realm? })
            }
            Self::Generic(_) => {
                let fields = Fields::open(config, path, Strictness::RULES, issues)?;
                Generic::build(fields, tools).map(|generic| Self::Generic(Arc::new(generic)))
            }
        }
    }

    /// The answer to a failure.
    pub(crate) fn answer(
        &self,
        failure: &Failure,
        rule: RuleName,
        scene: &Scene<'_>,
        codes: &RespondCodes,
    ) -> Result<Respond, Failure> {
        let scope = Scope {
            request: Some(scene),
            ..Scope::default()
        };
        match self {
            Self::Default => Ok(codes.answer(failure, Some(rule), scene.request.headers)),
            Self::Redirect { to, code } => {
                let target = to.render(&scope)?;
                if target.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
                    return Err(Failure::new(
                        Kind::Internal,
                        "target of the redirect holds control characters",
                    ));
                }
                Ok(Respond {
                    rule: Some(rule),
                    status: *code,
                    headers: vec![("Location".into(), target.into())],
                    body: String::new(),
                    reason: failure.to_string(),
                    kind: "redirect",
                    close: false,
                })
            }
            Self::WwwAuthenticate { realm } => {
                let challenge = Failure::new(Kind::Authentication, failure.message());
                let mut respond = codes.answer(&challenge, Some(rule), scene.request.headers);
                let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
                respond.headers.push((
                    "WWW-Authenticate".into(),
                    format!("Basic realm=\"{realm}\"").into(),
                ));
                Ok(respond)
            }
            Self::Generic(generic) => generic.answer(failure, rule, scene, &scope, codes),
        }
    }

    /// Whether it may look at the body of the request.
    pub(crate) fn reads_body(&self) -> bool {
        match self {
            Self::Redirect { to, .. } => to.reads_body(),
            Self::Generic(generic) => {
                generic.body.as_ref().is_some_and(Text::reads_body)
                    || generic.headers.iter().any(|(_, text)| text.reads_body())
            }
            Self::Default | Self::WwwAuthenticate { .. } => false,
        }
    }
}

impl Generic {
    fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let code = fields
            .integer("code")
            .and_then(|code| match u16::try_from(code) {
                Ok(code) if (300..600).contains(&code) => Some(code),
                _ => {
                    fields.wrong("code", "is no status of a refusal");
                    None
                }
            });
        let mut headers = Vec::new();
        for (name, source, line) in fields.text_map("headers").unwrap_or_default() {
            let at = format!("{}.{name}", fields.at("headers"));
            if !is_token(name) {
                fields.issues().note(line, &at, "is no legal header name");
            }
            headers.extend(
                tools
                    .parse(source, line, &at, fields.issues())
                    .map(|text| (Arc::from(name), text)),
            );
        }
        let body = tools.text(&mut fields, "body");
        fields.close();
        Some(Self {
            code,
            headers,
            body,
        })
    }

    fn answer(
        &self,
        failure: &Failure,
        rule: RuleName,
        scene: &Scene<'_>,
        scope: &Scope<'_>,
        codes: &RespondCodes,
    ) -> Result<Respond, Failure> {
        let mut respond = codes.answer(failure, Some(rule), scene.request.headers);
        respond.status = self.code.unwrap_or(respond.status);
        for (name, text) in &self.headers {
            let value = text.render(scope)?;
            if value
                .bytes()
                .any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f)
            {
                return Err(Failure::new(
                    Kind::Internal,
                    format!("value of header `{name}` is no legal header value"),
                ));
            }
            respond
                .headers
                .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            respond.headers.push((name.clone(), value.into()));
        }
        if let Some(body) = &self.body {
            respond.body = body.render(scope)?;
        }
        Ok(respond)
    }
}
