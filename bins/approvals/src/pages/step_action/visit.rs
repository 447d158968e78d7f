use std::net::IpAddr;

use actix_web::cookie::Cookie;
use actix_web::{HttpRequest, web};
use heimdall_approval::accounts::{LoggedIn, Visitor};
use heimdall_approval::workflows::Ready;
use heimdall_server::{Edge, Problem, cookie};

use crate::pages::Desk;
use crate::who::Viewer;
use crate::{account, opaque};

const KNOWN: &str = "heimdall_known";
const PURPOSE: &str = "known-approvers";
const KNOWN_SECONDS: i64 = 180 * 24 * 3600;
/// So many approvers one browser is known for.
const MOST_KNOWN: usize = 20;

/// Who opens a link, as far as the browser says.
pub(super) struct Visit {
    /// The account that is logged in.
    pub(super) who: Option<LoggedIn>,
    /// A user of a portal who is signed in; belongs to no provider.
    viewer: Option<Viewer>,
    /// What parked links are bound to.
    pub(super) browser: Option<String>,
    /// The approvers who decided in this browser before, by their opaque ids.
    known: Vec<String>,
}

impl Visit {
    pub(super) async fn of(desk: &Desk, http: &HttpRequest) -> Result<Self, Problem> {
        let who = account::logged_in(&desk.deps, http).await?;
        let viewer = match who {
            Some(_) => None,
            None => Viewer::of(http).await?,
        };
        let known = cookie::read(http, KNOWN, encrypted(desk))
            .and_then(|text| opaque::open(&desk.deps.root_key, PURPOSE, &text));
        Ok(Self {
            browser: account::browser(&desk.deps, http),
            known: known.unwrap_or_default(),
            who,
            viewer,
        })
    }

    /// The person, for the judgement. Whoever is signed in at a portal is somebody, but linked with nothing.
    pub(super) fn visitor(&self) -> Option<Visitor> {
        let account = self.who.as_ref().map(LoggedIn::visitor);
        account.or_else(|| {
            self.viewer.as_ref().map(|viewer| Visitor {
                person: viewer.person(),
                linked: false,
            })
        })
    }

    /// Whether the very person who would vote is logged in, with a linked account.
    pub(super) fn is(&self, ready: &Ready) -> bool {
        let visitor = self.who.as_ref().map(LoggedIn::visitor);
        visitor.is_some_and(|visitor| visitor.linked && visitor.person.same_as(&ready.person))
    }

    /// Whether the approver of this mail link decided in this browser before.
    pub(super) fn knows(&self, ready: &Ready) -> bool {
        let sub = ready.link.sub.as_ref();
        sub.is_some_and(|sub| self.known.contains(sub)) || self.is(ready)
    }

    /// The cookie by which this browser is known for the approver too.
    pub(super) fn learned(&self, desk: &Desk, ready: &Ready) -> Cookie<'static> {
        let sub = ready.link.sub.clone().unwrap_or_default();
        let before = self.known.iter().filter(|known| **known != sub).cloned();
        let all: Vec<String> = std::iter::once(sub.clone())
            .chain(before)
            .take(MOST_KNOWN)
            .collect();
        let text = opaque::seal(&desk.deps.root_key, PURPOSE, &all, desk.deps.rng.as_ref());
        cookie::session(KNOWN, text, encrypted(desk), Some(KNOWN_SECONDS))
    }
}

fn encrypted(desk: &Desk) -> bool {
    desk.deps.base_url.starts_with("https://")
}

/// Programs that look at links for people: what they send is not a decision.
const LOOKERS: [&str; 14] = [
    "bot",
    "preview",
    "crawler",
    "spider",
    "scanner",
    "facebookexternalhit",
    "whatsapp",
    "slack",
    "skypeuripreview",
    "googleimageproxy",
    "mimecast",
    "barracuda",
    "proofpoint",
    "safelinks",
];

fn field<'a>(http: &'a HttpRequest, name: &str) -> &'a str {
    http.headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

pub(super) fn only_looks(http: &HttpRequest) -> bool {
    let ahead = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| {
            let value = field(http, name);
            value.contains("prefetch") || value.contains("preview") || value.contains("prerender")
        });
    let agent = field(http, "user-agent").to_ascii_lowercase();
    ahead || LOOKERS.iter().any(|looker| agent.contains(looker))
}

/// A browser that goes to a page. Whatever does not say so gets a button to press.
pub(super) fn is_navigation(http: &HttpRequest) -> bool {
    field(http, "sec-fetch-mode") == "navigate" && field(http, "sec-fetch-dest") == "document"
}

/// A navigation that a person made, or that came from a page of ours: not one that another site's script made.
pub(super) fn was_asked_for(http: &HttpRequest) -> bool {
    let own = matches!(field(http, "sec-fetch-site"), "same-origin" | "none");
    is_navigation(http) && (own || by_hand(http))
}

/// A person clicked, touched or typed (Fetch Metadata, `Sec-Fetch-User`).
pub(super) fn by_hand(http: &HttpRequest) -> bool {
    field(http, "sec-fetch-user") == "?1"
}

pub(super) fn source_of(http: &HttpRequest) -> Option<IpAddr> {
    let edge = http.app_data::<web::Data<Edge>>();
    edge.map(|edge| edge.source_of(http))
        .or_else(|| http.peer_addr().map(|peer| peer.ip()))
}
