//! Counting votes.

use crate::definition::{Abstain, StepSpec};

/// The votes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Seats in all.
    pub seats: u32,
    /// Yes.
    pub approve: u32,
    /// No.
    pub reject: u32,
    /// Neither.
    pub abstain: u32,
}

impl Tally {
    fn open(self) -> u32 {
        self.seats
            .saturating_sub(self.approve + self.reject + self.abstain)
    }
}

/// What a count comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Not decided.
    Open,
    /// Passed.
    Passed,
    /// Failed.
    Failed,
    /// Failed, because nobody is left who would vote.
    NoVoters,
}

/// Counts the votes of a step by its thresholds and its mode of abstention.
pub fn count(spec: &StepSpec, tally: Tally) -> Count {
    if tally.seats == 0 {
        return Count::NoVoters;
    }
    match spec.abstain {
        Abstain::Recuse => recuse(spec, tally),
        Abstain::Off | Abstain::Silent => silent(spec, tally, 0),
        Abstain::Presence(quorum) => silent(spec, tally, quorum),
    }
}

fn silent(spec: &StepSpec, tally: Tally, presence: u32) -> Count {
    let (pass, fail) = (spec.pass_of(tally.seats), spec.fail_of(tally.seats));
    let present = tally.approve + tally.reject + tally.abstain >= presence;
    if tally.reject >= fail {
        Count::Failed
    } else if tally.approve >= pass && present {
        Count::Passed
    } else if tally.open() > 0 {
        Count::Open
    } else if present && tally.approve + tally.abstain >= pass && tally.approve >= spec.min_explicit
    {
        Count::Passed
    } else {
        Count::Failed
    }
}

fn recuse(spec: &StepSpec, tally: Tally) -> Count {
    let remaining = tally.seats.saturating_sub(tally.abstain);
    if remaining == 0 {
        return Count::NoVoters;
    }
    let pass = spec.pass_of_remaining(tally.seats, remaining);
    if tally.reject >= spec.fail_of(remaining) || remaining.saturating_sub(tally.reject) < pass {
        Count::Failed
    } else if tally.approve >= pass {
        Count::Passed
    } else {
        Count::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{StepKind, Threshold};

    fn group(pass: u32, fail: u32, abstain: Abstain, min_explicit: u32) -> StepSpec {
        let mut spec = StepSpec::new("g", StepKind::Group);
        spec.pass = Some(Threshold::Count(pass));
        spec.fail = Some(Threshold::Count(fail));
        spec.abstain = abstain;
        spec.min_explicit = min_explicit;
        spec
    }

    #[test]
    fn the_golden_table_of_one_yes_one_no_one_abstention() {
        let one_each = Tally {
            seats: 3,
            approve: 1,
            reject: 1,
            abstain: 1,
        };
        assert_eq!(
            count(&group(2, 2, Abstain::Silent, 1), one_each),
            Count::Passed
        );
        assert_eq!(
            count(&group(3, 2, Abstain::Silent, 1), one_each),
            Count::Failed
        );
        let all_abstain = Tally {
            seats: 3,
            abstain: 3,
            ..Tally::default()
        };
        assert_eq!(
            count(&group(2, 2, Abstain::Silent, 1), all_abstain),
            Count::Failed
        );
        assert_eq!(
            count(&group(2, 2, Abstain::Silent, 0), all_abstain),
            Count::Passed
        );
        assert_eq!(
            count(&group(2, 2, Abstain::Recuse, 1), all_abstain),
            Count::NoVoters
        );
    }

    #[test]
    fn whoever_recuses_leaves_the_circle_and_an_absolute_threshold_stays() {
        let mut all = group(1, 1, Abstain::Recuse, 1);
        all.pass = None;
        assert_eq!(
            count(
                &all,
                Tally {
                    seats: 3,
                    approve: 2,
                    abstain: 1,
                    reject: 0
                }
            ),
            Count::Passed
        );
        assert_eq!(
            count(
                &group(3, 2, Abstain::Recuse, 1),
                Tally {
                    seats: 3,
                    approve: 2,
                    abstain: 1,
                    reject: 0
                }
            ),
            Count::Failed
        );
    }

    #[test]
    fn presence_waits_for_its_quorum() {
        let spec = group(1, 3, Abstain::Presence(2), 1);
        assert_eq!(
            count(
                &spec,
                Tally {
                    seats: 3,
                    approve: 1,
                    ..Tally::default()
                }
            ),
            Count::Open
        );
        assert_eq!(
            count(
                &spec,
                Tally {
                    seats: 3,
                    approve: 1,
                    abstain: 1,
                    reject: 0
                }
            ),
            Count::Passed
        );
    }

    #[test]
    fn one_more_yes_never_turns_a_pass_into_a_failure() {
        for abstain_mode in [Abstain::Silent, Abstain::Recuse, Abstain::Presence(2)] {
            for (seats, pass, fail) in
                (1..6u32).flat_map(|n| (1..=n).flat_map(move |p| (1..=n).map(move |f| (n, p, f))))
            {
                let spec = group(pass, fail, abstain_mode, 1);
                for (a, r, b) in (0..seats)
                    .flat_map(|a| (0..seats).flat_map(move |r| (0..seats).map(move |b| (a, r, b))))
                {
                    if a + r + b >= seats {
                        continue;
                    }
                    let before = count(
                        &spec,
                        Tally {
                            seats,
                            approve: a,
                            reject: r,
                            abstain: b,
                        },
                    );
                    let after = count(
                        &spec,
                        Tally {
                            seats,
                            approve: a + 1,
                            reject: r,
                            abstain: b,
                        },
                    );
                    assert!(
                        before != Count::Passed || after == Count::Passed,
                        "{spec:?} {a} {r} {b}"
                    );
                }
            }
        }
    }
}
