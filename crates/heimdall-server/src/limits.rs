use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::source::bucket;

/// How often who may ask. `0` switches a limit off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Requests a second from one source. Holders of admin keys are not counted.
    pub per_second: u32,
    /// How many of them may come at once.
    pub burst: u32,
    /// Logins a minute on one account, whether it exists or not.
    pub logins_per_account: u32,
    /// Logins a minute from one source.
    pub logins_per_source: u32,
    /// Requests a second from one source to pages that a mail leads to.
    pub links_per_second: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            per_second: 100,
            burst: 200,
            logins_per_account: 10,
            logins_per_source: 60,
            links_per_second: 60,
        }
    }
}

impl LimitSettings {
    /// No limit at all, for measurements.
    pub fn off() -> Self {
        Self {
            per_second: 0,
            burst: 0,
            logins_per_account: 0,
            logins_per_source: 0,
            links_per_second: 0,
        }
    }
}

struct Keyed<K: Hash + Eq + Clone>(Option<RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>>);

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(quota: Option<Quota>) -> Self {
        Self(quota.map(RateLimiter::keyed))
    }

    fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter
            .check_key(key)
            .map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    fn sweep(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// The counters of one service. Other settings may be put in while it runs.
pub struct Limits(ArcSwap<Counters>);

struct Counters {
    settings: LimitSettings,
    requests: Keyed<IpAddr>,
    account_logins: Keyed<String>,
    source_logins: Keyed<IpAddr>,
    links: Keyed<IpAddr>,
    wrong_keys: Keyed<IpAddr>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits")
    }
}

impl Counters {
    fn new(settings: &LimitSettings) -> Self {
        let second = |n: u32| NonZeroU32::new(n).map(Quota::per_second);
        let minute = |n: u32| NonZeroU32::new(n).map(Quota::per_minute);
        let requests = second(settings.per_second).map(|quota| {
            NonZeroU32::new(settings.burst).map_or(quota, |burst| quota.allow_burst(burst))
        });
        Self {
            settings: settings.clone(),
            requests: Keyed::new(requests),
            account_logins: Keyed::new(minute(settings.logins_per_account)),
            source_logins: Keyed::new(minute(settings.logins_per_source)),
            links: Keyed::new(second(settings.links_per_second)),
            wrong_keys: Keyed::new(second(settings.per_second)),
        }
    }
}

impl Limits {
    /// Counters by these settings.
    pub fn new(settings: &LimitSettings) -> Self {
        Self(ArcSwap::from_pointee(Counters::new(settings)))
    }

    /// Counts by these settings from now on. What was counted is forgotten only if they differ.
    pub fn replace(&self, settings: &LimitSettings) {
        if self.0.load().settings != *settings {
            self.0.store(Counters::new(settings).into());
        }
    }

    /// Counts a request from this source.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn request(&self, source: IpAddr) -> Result<(), Problem> {
        let counters = self.0.load();
        counters
            .requests
            .check(&bucket(source))
            .map_err(Problem::too_many)
    }

    /// Counts a login on `account` (any stable text: App and address) from this source. Call it before looking the
    /// account up, so that known and unknown accounts are alike.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn login(&self, source: IpAddr, account: &str) -> Result<(), Problem> {
        let counters = self.0.load();
        counters
            .source_logins
            .check(&bucket(source))
            .map_err(Problem::too_many)?;
        let account = crate::digest::short_hash(account.as_bytes(), 32);
        counters
            .account_logins
            .check(&account)
            .map_err(Problem::too_many)
    }

    /// Counts a request for a page that a mail leads to.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub fn link(&self, source: IpAddr) -> Result<(), Problem> {
        self.0
            .load()
            .links
            .check(&bucket(source))
            .map_err(Problem::too_many)
    }

    /// Counts a request that showed an admin or API key and was refused, so that a made-up key is no way around
    /// [`Limits::request`]. Answers whether the source may still claim to hold one.
    pub(crate) fn wrong_key(&self, source: IpAddr) -> bool {
        self.0.load().wrong_keys.check(&bucket(source)).is_ok()
    }

    /// Forgets sources and accounts that were not seen lately. Call it about once a minute.
    pub fn sweep(&self) {
        let counters = self.0.load();
        counters.requests.sweep();
        counters.account_logins.sweep();
        counters.source_logins.sweep();
        counters.links.sweep();
        counters.wrong_keys.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_limited_whatever_its_source_and_a_source_whatever_the_account() {
        let limits = Limits::new(&LimitSettings {
            logins_per_account: 2,
            logins_per_source: 4,
            ..Default::default()
        });
        let source = |n: u8| IpAddr::from([192, 0, 2, n]);
        assert!(limits.login(source(1), "a").is_ok());
        assert!(limits.login(source(2), "a").is_ok());
        let refused = limits.login(source(3), "a").unwrap_err();
        assert_eq!(refused.status().as_u16(), 429);
        for account in ["b", "c", "d", "e"] {
            assert!(limits.login(source(4), account).is_ok());
        }
        assert!(limits.login(source(4), "f").is_err());
    }

    #[test]
    fn zero_switches_off_and_one_ipv6_customer_is_one_source() {
        let off = Limits::new(&LimitSettings::off());
        assert!((0..1000).all(|_| off.request(IpAddr::from([1, 1, 1, 1])).is_ok()));
        let tight = Limits::new(&LimitSettings {
            per_second: 1,
            burst: 1,
            ..Default::default()
        });
        assert!(tight.request("2001:db8::1".parse().unwrap()).is_ok());
        assert!(tight.request("2001:db8::2".parse().unwrap()).is_err());
        assert!(tight.request("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn other_settings_count_from_now_on_and_equal_ones_forget_nothing() {
        let tight = LimitSettings {
            per_second: 1,
            burst: 1,
            ..Default::default()
        };
        let limits = Limits::new(&tight);
        let source = IpAddr::from([192, 0, 2, 1]);
        assert!(limits.request(source).is_ok());
        limits.replace(&tight);
        assert!(limits.request(source).is_err());
        limits.replace(&LimitSettings::off());
        assert!((0..100).all(|_| limits.request(source).is_ok()));
    }
}
