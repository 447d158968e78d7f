//! The edge: raw parts become one canonical request, or are refused.

mod authority;
mod forwarded;
mod path;
mod proxies;

use std::borrow::Cow;
use std::net::IpAddr;

use heimdall_finalizer::is_token;

pub(crate) use proxies::{Network, TrustedProxies};

use crate::{HeaderView, Request};

/// The parts of a request as the listener got them.
#[derive(Clone, Copy)]
pub struct RawHead<'a> {
    /// Method.
    pub method: &'a str,
    /// Request target: origin form, or absolute form.
    pub target: &'a str,
    /// `Host` field or `:authority`.
    pub authority: Option<&'a str>,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Address of the connection.
    pub peer: IpAddr,
    /// Header fields.
    pub headers: &'a (dyn HeaderView + 'a),
}

/// Why a head was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 413, 417, 431 or 501; the connection is to be closed.
    pub status: u16,
    /// For the log.
    pub reason: String,
}

impl Refusal {
    /// 400.
    pub fn bad(reason: impl Into<String>) -> Self {
        Self {
            status: 400,
            reason: reason.into(),
        }
    }
}

/// Knows the trusted proxies and makes canonical requests.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    trusted: TrustedProxies,
}

impl Gate {
    pub(crate) fn new(trusted: TrustedProxies) -> Self {
        Self { trusted }
    }

    /// Whether an address is one of the trusted proxies.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.contains(peer)
    }

    /// The canonical form of `raw`.
    ///
    /// # Errors
    /// [`Refusal`] for what has no single meaning.
    pub fn admit<'a>(&self, raw: RawHead<'a>) -> Result<Request<'a>, Refusal> {
        if !is_token(raw.method) || raw.method == "CONNECT" {
            return Err(Refusal::bad("method can not be used"));
        }
        let (target, absolute) = path::split_absolute(raw.target)?;
        let own_scheme = if raw.tls { "https" } else { "http" };
        let given = raw.authority.ok_or_else(|| Refusal::bad("no host"))?;
        let own_host = authority::canonical(given, own_scheme)?;
        if let Some(absolute) = absolute
            && authority::canonical(absolute, own_scheme)? != own_host
        {
            return Err(Refusal::bad("target and host differ"));
        }
        let trusted = self.trusted.contains(raw.peer);
        let mut request = Request {
            method: Cow::Borrowed(raw.method),
            scheme: Cow::Borrowed(own_scheme),
            host: own_host.clone(),
            own_host,
            path: Cow::Borrowed(""),
            query: None,
            client_ips: Vec::new(),
            peer: raw.peer,
            tls: raw.tls,
            trusted,
            headers: raw.headers,
        };
        let mut target = Cow::Borrowed(target);
        if trusted {
            forwarded::apply(&mut request, &mut target)?;
        }
        let (path, query) = match target {
            Cow::Borrowed(target) => {
                let (path, query) = path::split_query(target);
                (path::canonical(path)?, query.map(Cow::Borrowed))
            }
            Cow::Owned(target) => {
                let (path, query) = path::split_query(&target);
                (
                    Cow::Owned(path::canonical(path)?.into_owned()),
                    query.map(|query| Cow::Owned(query.to_owned())),
                )
            }
        };
        request.path = path;
        request.query = query;
        request.client_ips.push(raw.peer.to_canonical().to_string());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(target: &str, host: &str) -> Result<(String, String, Option<String>), u16> {
        let headers: Vec<(String, String)> = Vec::new();
        let raw = RawHead {
            method: "GET",
            target,
            authority: Some(host),
            tls: false,
            peer: IpAddr::from([127, 0, 0, 1]),
            headers: &headers,
        };
        match Gate::default().admit(raw) {
            Ok(request) => Ok((
                request.host.into_owned(),
                request.path.into_owned(),
                request.query.map(Cow::into_owned),
            )),
            Err(refusal) => Err(refusal.status),
        }
    }

    #[test]
    fn one_form_for_what_means_the_same() {
        for (target, path) in [
            ("/public/../admin/x", "/admin/x"),
            ("/public/./x", "/public/x"),
            ("//public///x", "/public/x"),
            ("/public/a/..", "/public"),
            ("/public/a/../", "/public/"),
            ("/../../exact", "/exact"),
            ("/public/.../x", "/public/.../x"),
            ("/p/%c3%a4", "/p/%C3%A4"),
            ("/", "/"),
            ("/a/", "/a/"),
            ("/a;x/b;..", "/a;x/b;.."),
        ] {
            assert_eq!(
                admit(target, "app.example").map(|seen| seen.1),
                Ok(path.to_owned()),
                "{target}"
            );
        }
        assert_eq!(
            admit("/x?", "A.example:80").unwrap(),
            ("a.example".into(), "/x".into(), None)
        );
        assert_eq!(
            admit("/x?a=//../b", "a.example.").unwrap(),
            ("a.example".into(), "/x".into(), Some("a=//../b".into()))
        );
        assert_eq!(admit("http://A.example/x", "a.example").unwrap().1, "/x");
    }

    #[test]
    fn what_has_two_meanings_is_refused() {
        for target in [
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/a/%2e/b",
            "/a/..%2fb",
            "/a/..%5Cb",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/.;/b",
            "/a/%2E.;",
            "/a/..%3b/b",
            "/a%zz",
            "/a%2",
            "*",
            "a",
            "",
            "/a%00",
            "/a\\b",
            "/a#b",
            "http://b.example/x",
        ] {
            assert_eq!(admit(target, "a.example"), Err(400), "{target}");
        }
        for host in [
            "", "bad host", "a/b", "a,b", "a@b", "-x", "a:99999", "a:0", "a:", "[::1", "[::1]x",
        ] {
            assert_eq!(admit("/x", host), Err(400), "{host}");
        }
    }
}
