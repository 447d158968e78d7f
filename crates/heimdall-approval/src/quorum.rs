use serde::{Deserialize, Serialize};

use crate::definition::{AbstainMode, Pass};

/// How the seats of a step stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Approve-class votes: approve, consent.
    pub approvals: u32,
    /// Rejections.
    pub rejections: u32,
    /// Abstentions.
    pub abstentions: u32,
    /// Seats without a vote.
    pub open: u32,
}

impl Tally {
    /// All seats.
    pub fn seats(self) -> u32 {
        self.approvals + self.rejections + self.abstentions + self.open
    }
}

/// What votes decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Passed.
    Approved,
    /// Failed.
    Rejected,
    /// Failed because nobody was left who could vote.
    NoVoters,
}

/// The rule by which votes resolve a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// P: votes to pass.
    pub pass: Pass,
    /// F: votes to fail.
    pub fail: Pass,
    /// What an abstention means.
    pub abstain: AbstainMode,
    /// Approve-class votes there must be even if abstentions would carry it.
    pub min_explicit: u32,
    /// Q of `presence`: votes of any kind before it can pass.
    pub presence: u32,
}

impl Default for Quorum {
    fn default() -> Self {
        Self {
            pass: Pass::All,
            fail: Pass::Count(1),
            abstain: AbstainMode::Silent,
            min_explicit: 1,
            presence: 0,
        }
    }
}

impl Quorum {
    /// Judges a tally; `None` while more votes are needed.
    pub fn judge(&self, tally: Tally) -> Option<Verdict> {
        match self.abstain {
            AbstainMode::Recuse => self.judge_recused(tally),
            AbstainMode::Silent => self.judge_silent(tally, 0),
            AbstainMode::Presence => self.judge_silent(tally, self.presence),
        }
    }

    fn judge_silent(&self, tally: Tally, presence: u32) -> Option<Verdict> {
        let (pass, fail) = (self.pass.of(tally.seats()), self.fail.of(tally.seats()));
        if tally.seats() == 0 {
            return Some(Verdict::NoVoters);
        }
        if tally.rejections >= fail {
            return Some(Verdict::Rejected);
        }
        let present = tally.approvals + tally.rejections + tally.abstentions >= presence;
        if tally.approvals >= pass && present {
            return Some(Verdict::Approved);
        }
        if tally.open > 0 {
            return None;
        }
        let carried = tally.approvals + tally.abstentions >= pass;
        if carried && present && tally.approvals >= self.min_explicit {
            Some(Verdict::Approved)
        } else {
            Some(Verdict::Rejected)
        }
    }

    fn judge_recused(&self, tally: Tally) -> Option<Verdict> {
        let voters = tally.seats() - tally.abstentions;
        if voters == 0 {
            return Some(Verdict::NoVoters);
        }
        let (pass, fail) = (self.pass.of(voters), self.fail.of(voters));
        if tally.rejections >= fail || voters.saturating_sub(tally.rejections) < pass {
            Some(Verdict::Rejected)
        } else if tally.approvals >= pass {
            Some(Verdict::Approved)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(mode: AbstainMode, pass: u32, fail: u32, min: u32, t: [u32; 4]) -> Option<Verdict> {
        let quorum = Quorum {
            pass: Pass::Count(pass),
            fail: Pass::Count(fail),
            abstain: mode,
            min_explicit: min,
            presence: 2,
        };
        let [approvals, rejections, abstentions, open] = t;
        quorum.judge(Tally {
            approvals,
            rejections,
            abstentions,
            open,
        })
    }

    #[test]
    fn the_golden_table_holds() {
        use AbstainMode::{Presence, Recuse, Silent};
        use Verdict::{Approved, NoVoters, Rejected};
        assert_eq!(judge(Silent, 2, 2, 1, [1, 1, 1, 0]), Some(Approved));
        assert_eq!(judge(Silent, 3, 2, 1, [1, 1, 1, 0]), Some(Rejected));
        assert_eq!(judge(Silent, 2, 2, 1, [0, 0, 3, 0]), Some(Rejected));
        assert_eq!(judge(Silent, 2, 2, 0, [0, 0, 3, 0]), Some(Approved));
        assert_eq!(judge(Silent, 2, 1, 1, [1, 0, 0, 2]), None);
        assert_eq!(judge(Recuse, 2, 1, 1, [1, 0, 2, 0]), Some(Rejected));
        assert_eq!(judge(Recuse, 1, 1, 1, [1, 0, 2, 0]), Some(Approved));
        assert_eq!(judge(Recuse, 1, 1, 1, [0, 0, 3, 0]), Some(NoVoters));
        assert_eq!(judge(Presence, 1, 2, 1, [1, 0, 0, 2]), None);
        assert_eq!(judge(Presence, 1, 2, 1, [1, 0, 1, 1]), Some(Approved));
    }

    #[test]
    fn percentages_and_all_are_recomputed_without_the_recused() {
        let quorum = Quorum {
            pass: Pass::Percent(51),
            abstain: AbstainMode::Recuse,
            fail: Pass::Count(9),
            ..Quorum::default()
        };
        let tally = |approvals, abstentions, open| Tally {
            approvals,
            abstentions,
            open,
            rejections: 0,
        };
        assert_eq!(quorum.judge(tally(2, 0, 2)), None);
        assert_eq!(quorum.judge(tally(2, 1, 1)), Some(Verdict::Approved));
    }

    #[test]
    fn another_approval_never_turns_approved_into_rejected() {
        for mode in [
            AbstainMode::Silent,
            AbstainMode::Recuse,
            AbstainMode::Presence,
        ] {
            for pass in 1..=4 {
                for fail in 1..=3 {
                    for [a, r, b, o] in tallies(4) {
                        let before = judge(mode, pass, fail, 1, [a, r, b, o]);
                        if before == Some(Verdict::Approved) && o > 0 {
                            let after = judge(mode, pass, fail, 1, [a + 1, r, b, o - 1]);
                            assert_eq!(after, before, "{mode:?} {pass} {fail} {a}{r}{b}{o}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_full_table_always_gives_a_verdict() {
        for mode in [
            AbstainMode::Silent,
            AbstainMode::Recuse,
            AbstainMode::Presence,
        ] {
            for [a, r, b, o] in tallies(5) {
                if o == 0 {
                    assert!(
                        judge(mode, 2, 2, 1, [a, r, b, 0]).is_some(),
                        "{mode:?} {a}{r}{b}"
                    );
                }
            }
        }
    }

    fn tallies(seats: u32) -> impl Iterator<Item = [u32; 4]> {
        (0..=seats).flat_map(move |a| {
            (0..=seats - a)
                .flat_map(move |r| (0..=seats - a - r).map(move |b| [a, r, b, seats - a - r - b]))
        })
    }
}
