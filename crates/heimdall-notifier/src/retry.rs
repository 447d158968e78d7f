use std::time::Duration;

use heimdall_types::Rng;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// When a mail is tried again after its n-th failure; after the last it is a dead letter. About two days in all.
pub const MAIL_SCHEDULE: [Duration; 12] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(MINUTE),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(15 * MINUTE),
    Duration::from_secs(HOUR),
    Duration::from_secs(3 * HOUR),
    Duration::from_secs(8 * HOUR),
    Duration::from_secs(12 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// When a webhook delivery is tried again after its n-th failure; the first try is at once.
pub const WEBHOOK_SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];

/// The pause after failure number `failures` (from 1), with up to a tenth of jitter on top so that what failed
/// together does not come back together; `None` when the schedule is used up.
pub fn delay(schedule: &[Duration], failures: u32, rng: &dyn Rng) -> Option<Duration> {
    let index = usize::try_from(failures.checked_sub(1)?).ok()?;
    let base = *schedule.get(index)?;
    let mut byte = [0u8; 1];
    rng.fill(&mut byte);
    let [jitter] = byte;
    Some(base + base.mul_f64(f64::from(jitter) / 2550.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heimdall_types::SeededRng;

    #[test]
    fn a_pause_is_at_least_the_schedules_and_at_most_a_tenth_longer() {
        let rng = SeededRng::new(3);
        for (n, base) in (1..).zip(WEBHOOK_SCHEDULE) {
            let pause = delay(&WEBHOOK_SCHEDULE, n, &rng).unwrap();
            assert!(
                pause >= base && pause <= base.mul_f64(1.1),
                "{n}: {pause:?}"
            );
        }
        assert_eq!(delay(&WEBHOOK_SCHEDULE, 10, &rng), None);
        assert_eq!(delay(&WEBHOOK_SCHEDULE, 0, &rng), None);
    }
}
