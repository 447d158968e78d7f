use thiserror::Error;

use crate::command::Action;
use crate::state::ApprovalState;

/// Why a command is not carried out. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The approval has ended.
    #[error("the approval is closed")]
    Closed(ApprovalState),
    /// The step exists but is not active.
    #[error("the step is not active")]
    NotActive,
    /// There is no such step.
    #[error("there is no such step")]
    UnknownStep,
    /// The command belongs to an earlier activation or epoch.
    #[error("this belongs to an earlier round")]
    Stale,
    /// This person already voted here; what they voted.
    #[error("you have voted already")]
    AlreadyVoted(Action),
    /// The seat was used by somebody else: a delegate or the one they stand in for.
    #[error("the seat is taken")]
    SeatTaken,
    /// Nobody decides about their own request.
    #[error("nobody decides about their own request")]
    FourEyes,
    /// This person has no seat here.
    #[error("you have no seat here")]
    NotEligible,
    /// The step does not know this action.
    #[error("this step does not take that action")]
    WrongAction,
    /// A comment is needed: 1 to 1000 characters.
    #[error("a comment of 1 to 1000 characters is needed")]
    CommentRequired,
    /// The comment is longer than 1000 characters, or none is wanted.
    #[error("a comment has at most 1000 characters, and none where comments are off")]
    CommentRefused,
    /// A signature is needed.
    #[error("a signature is needed")]
    SignatureRequired,
    /// The chosen options are not those of the poll.
    #[error("choose at least one of the options")]
    BadOptions,
    /// An approval that was never opened, or one that was opened already.
    #[error("the approval cannot be opened like this")]
    NotOpen,
}

impl Refusal {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::NotActive => "step_not_active",
            Self::UnknownStep => "unknown_step",
            Self::Stale => "stale",
            Self::AlreadyVoted(_) => "already_voted",
            Self::SeatTaken => "seat_taken",
            Self::FourEyes => "four_eyes",
            Self::NotEligible => "not_eligible",
            Self::WrongAction => "wrong_action",
            Self::CommentRequired => "comment_required",
            Self::CommentRefused => "comment_refused",
            Self::SignatureRequired => "signature_required",
            Self::BadOptions => "bad_options",
            Self::NotOpen => "not_open",
        }
    }
}
