//! The session cookie: host-bound, out of reach of scripts, not sent along from other sites.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};

/// The cookie's name: with the prefix `__Host-` where the page came over TLS, so that no sibling host can set it.
pub fn name(base: &str, encrypted: bool) -> String {
    if encrypted {
        format!("__Host-{base}")
    } else {
        base.to_owned()
    }
}

/// A cookie that holds `value` for this browser session, or for `seconds` when given.
///
/// `SameSite=Lax`: a link in a mail must find the session, a form of another site must not.
pub fn session(
    base: &str,
    value: String,
    encrypted: bool,
    seconds: Option<i64>,
) -> Cookie<'static> {
    let mut cookie = Cookie::build(name(base, encrypted), value)
        .path("/")
        .http_only(true)
        .secure(encrypted)
        .same_site(SameSite::Lax)
        .finish();
    if let Some(seconds) = seconds {
        cookie.set_max_age(Duration::seconds(seconds));
    }
    cookie
}

/// A cookie that makes the browser forget [`session`].
pub fn forget(base: &str, encrypted: bool) -> Cookie<'static> {
    session(base, String::new(), encrypted, Some(0))
}

/// The value of the session cookie, if there is exactly one of this name.
pub fn read(request: &HttpRequest, base: &str, encrypted: bool) -> Option<String> {
    let wanted = name(base, encrypted);
    let all = request.cookies().ok()?;
    let mut same = all.iter().filter(|cookie| cookie.name() == wanted);
    let value = same.next()?.value().to_owned();
    same.next().is_none().then_some(value)
}
