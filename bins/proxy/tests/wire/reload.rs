use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::{Proxy, Setup, Upstream, fine};

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// However rules are replaced, not one request fails, and the new ones count afterwards.
#[test]
fn rules_are_replaced_under_load_without_a_failing_request() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(upstream.address, &Setup::default());
    let before = std::fs::read_to_string(&proxy.rules).unwrap();
    let with = |path: &str| {
        format!(
            "{before}  - id: more\n    match: {{routes: [{{path: {path}}}], methods: [DELETE]}}\n    forward_to: {{host: \"{}\"}}\n    execute: [{{authenticator: nobody}}]\n",
            upstream.address
        )
    };
    let (stop, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let denied = |path: &str| {
        proxy
            .client()
            .send(format!("DELETE {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .answer()
            .is_some_and(|answer| answer.status == 401)
    };
    /// Ends the load also when an assertion fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let ending = Stop(&stop);
        scope.spawn(|| {
            let mut client = proxy.client();
            while !stop.load(Ordering::Relaxed) {
                if client.get("/x").status != 200 {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // In place: the file is empty for a moment.
        std::fs::write(&proxy.rules, with("/in-place")).unwrap();
        wait_for("rewritten in place", || denied("/in-place"));
        // A slow writer: half a rule set lies there for long.
        let mut file = std::fs::File::create(&proxy.rules).unwrap();
        let text = with("/slow");
        for part in text.as_bytes().chunks(text.len() / 6 + 1) {
            file.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(60));
        }
        drop(file);
        wait_for("written slowly", || denied("/slow"));
        // By rename, twice: the watch must follow the name, not the file.
        for path in ["/renamed", "/renamed-again"] {
            let next = proxy.rules.with_extension("next");
            std::fs::write(&next, with(path)).unwrap();
            std::fs::rename(&next, &proxy.rules).unwrap();
            wait_for(path, || denied(path));
        }
        // Nonsense: the last good rules stay, and metrics say so.
        std::fs::write(&proxy.rules, "rules: [").unwrap();
        let metrics = || {
            let mut client = super::support::Client::to(proxy.management);
            String::from_utf8(client.get("/metrics").body).unwrap()
        };
        wait_for("a failed reload is counted", || {
            !metrics().contains("heimdall_proxy_failed_rule_reloads_total 0")
        });
        assert!(denied("/renamed-again"));
        drop(ending);
    });
    assert_eq!(failed.load(Ordering::Relaxed), 0);
}
