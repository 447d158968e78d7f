//! A private HTTP cache (RFC 9111).

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::{Deadlined, Key, KeyParts};
use heimdall_types::{Clock, Timestamp};

use crate::{HttpRequest, HttpResponse};

const ENTRIES: u64 = 2_000;
/// Nothing is fresh for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Answers by request; where they vary, by the fields they vary with.
pub(super) struct HttpCache {
    /// Which request fields the answers to a URL vary with.
    varies: Deadlined<Arc<[String]>>,
    answers: Deadlined<Arc<HttpResponse>>,
    clock: Arc<dyn Clock>,
}

impl HttpCache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            varies: Deadlined::new(ENTRIES, clock.clone()),
            answers: Deadlined::new(ENTRIES, clock.clone()),
            clock,
        }
    }

    pub(super) fn get(&self, request: &HttpRequest) -> Option<Arc<HttpResponse>> {
        let varies = self.varies.get(&primary(request))?;
        self.answers.get(&secondary(request, &varies))
    }

    pub(super) fn put(
        &self,
        request: &HttpRequest,
        answer: &Arc<HttpResponse>,
        default_ttl: Duration,
    ) {
        let Some(until) = fresh_until(request, answer, default_ttl, self.clock.now()) else {
            return;
        };
        let mut varies: Vec<String> = values(answer, "vary")
            .map(|name| name.to_ascii_lowercase())
            .collect();
        if varies.iter().any(|name| name == "*") {
            return;
        }
        varies.sort_unstable();
        varies.dedup();
        let varies: Arc<[String]> = varies.into();
        self.answers
            .put(secondary(request, &varies), answer.clone(), until);
        self.varies.put(primary(request), varies, until);
    }
}

/// Method, URL, body, and the credential: an answer made for one caller is for no other.
fn primary(request: &HttpRequest) -> Key {
    base(request).digest()
}

fn base(request: &HttpRequest) -> KeyParts {
    let credential = field(request, "authorization");
    KeyParts::new("http")
        .part(request.method.as_bytes())
        .part(request.url.as_bytes())
        .part(&request.body)
        .part(credential.unwrap_or_default().as_bytes())
}

fn secondary(request: &HttpRequest, varies: &[String]) -> Key {
    let mut key = base(request);
    for name in varies {
        key.add(name.as_bytes());
        match field(request, name) {
            Some(value) => key.add(value.as_bytes()),
            None => key.add_all([].into_iter()),
        }
    }
    key.digest()
}

fn field<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request
        .headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn values<'r>(answer: &'r HttpResponse, name: &str) -> impl Iterator<Item = &'r str> {
    let lines = answer
        .headers
        .iter()
        .filter(move |(known, _)| known == name);
    lines
        .flat_map(|(_, value)| value.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// Until when an answer may be given again; `None` when never.
fn fresh_until(
    request: &HttpRequest,
    answer: &HttpResponse,
    default_ttl: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let directives: Vec<(String, String)> = values(answer, "cache-control")
        .map(|directive| {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            (
                name.trim().to_ascii_lowercase(),
                value.trim().trim_matches('"').to_owned(),
            )
        })
        .collect();
    let has = |name: &str| directives.iter().any(|(known, _)| known == name);
    if has("no-store")
        || has("no-cache")
        || !(200..600).contains(&answer.status)
        || answer.status == 206
    {
        return None;
    }
    let explicit = match directives.iter().find(|(name, _)| name == "max-age") {
        Some((_, seconds)) => Some(Duration::from_secs(seconds.parse().ok()?)),
        None => answer.header("expires").map(|expires| {
            let date = answer.header("date").and_then(http_date).unwrap_or(now);
            http_date(expires).map_or(Duration::ZERO, |until| until.since(date))
        }),
    };
    let default_status = matches!(
        answer.status,
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    );
    let safe = matches!(request.method.as_str(), "GET" | "HEAD");
    let life = match explicit {
        Some(life) => life,
        None if default_status && safe => default_ttl,
        None => return None,
    };
    let age = answer
        .header("age")
        .and_then(|age| age.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    let left = life.min(LONGEST).saturating_sub(age);
    (!left.is_zero()).then(|| now.plus(left))
}

/// An IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|known| *known == month)? + 1;
    (zone == "GMT").then_some(())?;
    Timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use heimdall_types::ManualClock;

    use super::*;

    fn request(url: &str, header: Option<(&str, &str)>) -> HttpRequest {
        HttpRequest {
            method: "GET".into(),
            url: url.into(),
            headers: header
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            body: Vec::new(),
            timeout: Duration::from_secs(1),
            max_body: 1,
        }
    }

    fn answer(headers: &[(&str, &str)]) -> Arc<HttpResponse> {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Arc::new(HttpResponse {
            status: 200,
            headers,
            body: Vec::new(),
        })
    }

    #[test]
    fn an_answer_is_given_again_while_it_is_fresh() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)));
        let cache = HttpCache::new(clock.clone());
        let asked = request("http://a/", None);
        cache.put(
            &asked,
            &answer(&[("cache-control", "private, max-age=60"), ("age", "10")]),
            Duration::ZERO,
        );
        assert!(cache.get(&asked).is_some());
        assert!(
            cache
                .get(&request("http://a/", Some(("Authorization", "Bearer x"))))
                .is_none()
        );
        clock.advance(Duration::from_secs(50));
        assert!(cache.get(&asked).is_none());
        for never in ["no-store", "no-cache", "max-age=0", "max-age=x"] {
            cache.put(
                &asked,
                &answer(&[("cache-control", never)]),
                Duration::from_secs(60),
            );
            assert!(cache.get(&asked).is_none(), "{never}");
        }
        cache.put(&asked, &answer(&[]), Duration::from_secs(60));
        assert!(cache.get(&asked).is_some());
    }

    #[test]
    fn an_answer_that_varies_is_for_the_same_fields_only() {
        let cache = HttpCache::new(Arc::new(ManualClock::at(Timestamp::from_seconds(1_000))));
        cache.put(
            &request("http://a/", Some(("X-Sub", "ann"))),
            &answer(&[("vary", "X-Sub"), ("cache-control", "max-age=9")]),
            Duration::ZERO,
        );
        assert!(
            cache
                .get(&request("http://a/", Some(("x-sub", "ann"))))
                .is_some()
        );
        assert!(
            cache
                .get(&request("http://a/", Some(("x-sub", "bob"))))
                .is_none()
        );
        assert!(cache.get(&request("http://a/", None)).is_none());
    }

    #[test]
    fn dates_are_read() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT")
                .unwrap()
                .seconds(),
            784_111_777
        );
        assert!(http_date("0").is_none());
    }
}
