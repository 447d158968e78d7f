//! What a client is told when a request does not pass.

use heimdall_finalizer::{Failure, Kind};
use serde_json::json;

use crate::config::RespondCodes;
use crate::{HeaderView, Hints, Respond, RuleName, denial};

impl RespondCodes {
    /// Status and name of a failure. The first kind in this order decides: who is not known is told so, whatever else
    /// went wrong on the way.
    pub(crate) fn of(&self, failure: &Failure) -> (u16, &'static str) {
        let order = [
            (
                Kind::Authentication,
                self.authentication,
                "authentication_error",
            ),
            (
                Kind::Authorization,
                self.authorization,
                "authorization_error",
            ),
            (
                Kind::Communication,
                self.communication,
                "communication_error",
            ),
            (Kind::Timeout, self.communication, "communication_error"),
            (Kind::Argument, self.precondition, "precondition_error"),
            (Kind::NoRule, self.no_rule, "no_rule_error"),
        ];
        order
            .into_iter()
            .find(|(kind, _, _)| failure.is(*kind))
            .map_or((self.internal, "internal_error"), |(_, status, name)| {
                (status, name)
            })
    }

    /// The answer to a failure.
    pub(crate) fn answer(
        &self,
        failure: &Failure,
        rule: Option<RuleName>,
        headers: &dyn HeaderView,
    ) -> Respond {
        let (status, kind) = self.of(failure);
        let mut respond = Respond {
            rule,
            status,
            headers: Vec::new(),
            body: String::new(),
            reason: failure.to_string(),
            kind,
            close: false,
        };
        if self.verbose
            && let Some((media, body)) = verbose(failure, headers)
        {
            respond.headers.push(("Content-Type".into(), media.into()));
            respond
                .headers
                .push(("X-Content-Type-Options".into(), "nosniff".into()));
            respond.body = body;
        }
        respond
    }
}

const MEDIA: [&str; 4] = [
    "text/html",
    "application/json",
    "text/plain",
    "application/xml",
];

fn verbose(failure: &Failure, headers: &dyn HeaderView) -> Option<(&'static str, String)> {
    let media = acceptable(headers, &MEDIA)?;
    let code = camel(failure.first().text());
    let message = failure.message();
    let body = match media {
        "application/json" => json!({ "code": code, "message": message }).to_string(),
        "application/xml" => {
            format!(
                "<error><code>{}</code><message>{}</message></error>",
                escaped(&code),
                escaped(message)
            )
        }
        "text/plain" => format!("{}: {message}", failure.first().text()),
        _ => format!("<p>{}</p>", escaped(&failure.to_string())),
    };
    Some((media, body))
}

fn camel(text: &str) -> String {
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut out, word| {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
        out
    })
}

/// Text that stays text in HTML and XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The media type that `Accept` prefers (RFC 9110 §12.5.1); `None` when none is acceptable. Without the field, the
/// first.
pub(crate) fn acceptable<'m>(headers: &dyn HeaderView, offered: &[&'m str]) -> Option<&'m str> {
    let lines = headers.values("accept");
    let ranges = |line: &[u8]| -> Option<Vec<(String, f32)>> {
        String::from_utf8_lossy(line)
            .split(',')
            .map(range)
            .collect()
    };
    if lines.is_empty() {
        return offered.first().copied();
    }
    let accept = lines.join(&b","[..]);
    // A broken line does not take the first one with it.
    let ranges = ranges(&accept).or_else(|| ranges(lines.first()?))?;
    let mut best: Option<(&str, f32, usize)> = None;
    for media in offered {
        let (kind, _) = media.split_once('/').unwrap_or((media, ""));
        let fits = |range: &str| match range {
            "*/*" => Some(0),
            range if range.strip_suffix("/*") == Some(kind) => Some(1),
            range if range == *media => Some(2),
            _ => None,
        };
        let chosen = ranges
            .iter()
            .enumerate()
            .filter_map(|(place, (range, weight))| Some((fits(range)?, place, *weight)))
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, place, weight)) = chosen.filter(|(_, _, weight)| *weight > 0.0) else {
            continue;
        };
        if best.is_none_or(|(_, known, at)| weight > known || (weight == known && place < at)) {
            best = Some((media, weight, place));
        }
    }
    best.map(|(media, _, _)| media)
}

/// A media range without parameters and its weight; `None` when it is none.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (kind, subtype) = media.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let mut weight = 1.0;
    for part in parts {
        if let Some(value) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
            weight = value
                .trim()
                .parse::<f32>()
                .ok()
                .filter(|weight| (0.0..=1.0).contains(weight))?;
        }
    }
    Some((media, weight))
}

/// What our own authorizers say: which permission or role is missing, and where to ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) permission: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) hints: Hints,
}

impl Missing {
    /// 403, whatever `respond` says.
    pub(crate) fn answer(
        &self,
        failure: &Failure,
        rule: Option<RuleName>,
        headers: &dyn HeaderView,
    ) -> Respond {
        let request_url = self.request_url();
        let media = acceptable(
            headers,
            &["application/problem+json", "application/json", "text/html"],
        );
        let (media, body) = if media == Some("text/html") {
            (
                "text/html; charset=utf-8",
                denial::page(self, request_url.as_deref()),
            )
        } else {
            let mut problem = json!({
                "type": "about:blank",
                "title": "Forbidden",
                "status": 403,
                "detail": self.detail(),
                "requestable_roles": self.hints.requestable_roles,
            });
            if let Some(members) = problem.as_object_mut() {
                if let Some(permission) = &self.permission {
                    members.insert("missing_permission".to_owned(), json!(permission));
                }
                if let Some(role) = &self.role {
                    members.insert("missing_role".to_owned(), json!(role));
                }
                members.insert("request_url".to_owned(), json!(request_url));
            }
            ("application/problem+json", problem.to_string())
        };
        Respond {
            rule,
            status: 403,
            headers: vec![
                ("Content-Type".into(), media.into()),
                ("X-Content-Type-Options".into(), "nosniff".into()),
                ("Cache-Control".into(), "no-store".into()),
                ("Content-Security-Policy".into(), denial::POLICY.into()),
                ("Referrer-Policy".into(), "no-referrer".into()),
                ("X-Frame-Options".into(), "DENY".into()),
            ],
            body,
            reason: failure.to_string(),
            kind: "authorization_error",
            close: false,
        }
    }

    fn detail(&self) -> String {
        match (&self.permission, &self.role) {
            (Some(permission), _) => format!("the permission `{permission}` is missing"),
            (None, Some(role)) => format!("a live grant of the role `{role}` is missing"),
            (None, None) => "not allowed".to_owned(),
        }
    }

    fn request_url(&self) -> Option<String> {
        use heimdall_finalizer::url::{Place, escape};
        let host = self.hints.portal_host.as_deref()?;
        let role = self.hints.requestable_roles.first()?;
        Some(format!(
            "{host}/requests/new?role={}",
            escape(role.as_bytes(), Place::Query)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &str) -> Option<&'static str> {
        acceptable(&vec![("accept".to_owned(), value.to_owned())], &MEDIA)
    }

    #[test]
    fn the_preferred_media_type_wins() {
        assert_eq!(acceptable(&Vec::new(), &MEDIA), Some("text/html"));
        assert_eq!(accepts("*/*"), Some("text/html"));
        assert_eq!(accepts("application/*"), Some("application/json"));
        assert_eq!(
            accepts("text/plain;q=0.5, application/xml"),
            Some("application/xml")
        );
        assert_eq!(
            accepts("application/json;q=0.5, text/html;q=0.4"),
            Some("application/json")
        );
        assert_eq!(accepts("image/png"), None);
        assert_eq!(
            accepts("text/html;q=0, */*;q=0.1"),
            Some("application/json")
        );
    }

    #[test]
    fn a_denial_names_the_role_and_where_to_ask() {
        let missing = Missing {
            permission: Some("billing:write".into()),
            role: None,
            hints: Hints {
                requestable_roles: vec!["billing admin".into()],
                portal_host: Some("https://p.example".into()),
            },
        };
        let failure = Failure::new(Kind::Authorization, "no");
        let answer = missing.answer(&failure, None, &Vec::new());
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer.status, 403);
        assert_eq!(body["missing_permission"], "billing:write");
        assert_eq!(
            body["request_url"],
            "https://p.example/requests/new?role=billing+admin"
        );
        let page = missing.answer(
            &failure,
            None,
            &vec![("accept".to_owned(), "text/html".to_owned())],
        );
        assert!(
            page.body
                .contains("href=\"https://p.example/requests/new?role=billing+admin\"")
        );
    }

    #[test]
    fn who_is_not_known_is_told_so_first() {
        let failure =
            Failure::new(Kind::Internal, "a").caused_by(&Failure::new(Kind::Authentication, "b"));
        assert_eq!(RespondCodes::default().of(&failure).0, 401);
        let failure =
            Failure::new(Kind::Internal, "a").caused_by(&Failure::new(Kind::Timeout, "b"));
        assert_eq!(RespondCodes::default().of(&failure).0, 502);
    }
}
