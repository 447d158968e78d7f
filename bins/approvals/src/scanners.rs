use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use heimdall_types::Timestamp;

/// Both answers of a step opened by one source within this time: a program that follows every link of a mail.
const WITHIN: Duration = Duration::from_secs(10);
const MOST: usize = 10_000;

/// Remembers who opened which link lately, so that programs that open all of them decide nothing by themselves.
#[derive(Debug, Default)]
pub(crate) struct Scanners(Mutex<HashMap<(IpAddr, String), (String, Timestamp)>>);

impl Scanners {
    /// Notes that a link was opened; `true` when the same source opened another answer of the same step just before.
    pub(crate) fn opened(&self, source: IpAddr, step: &str, action: &str, now: Timestamp) -> bool {
        let Ok(mut seen) = self.0.lock() else {
            return true;
        };
        if seen.len() >= MOST {
            seen.retain(|_, (_, at)| now.since(*at) < WITHIN);
        }
        if seen.len() >= MOST {
            return true;
        }
        let before = seen.insert((source, step.to_owned()), (action.to_owned(), now));
        before.is_some_and(|(other, at)| other != action && now.since(at) < WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_answer_within_seconds_marks_a_scanner() {
        let (scanners, source) = (Scanners::default(), IpAddr::from([10, 0, 0, 1]));
        let at = Timestamp::from_seconds;
        assert!(!scanners.opened(source, "s", "approve", at(1)));
        assert!(!scanners.opened(source, "s", "approve", at(2)));
        assert!(scanners.opened(source, "s", "reject", at(3)));
        assert!(!scanners.opened(source, "t", "approve", at(4)));
        assert!(!scanners.opened(source, "s", "approve", at(60)));
    }
}
