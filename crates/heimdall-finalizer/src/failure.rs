//! Why a step failed.

use std::fmt;
use std::sync::Arc;

/// A kind of failure. One failure can be of several kinds: an authenticator that could not reach its endpoint failed to
/// communicate *and* to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Nobody could be made out.
    Authentication = 1,
    /// Not allowed.
    Authorization = 2,
    /// An endpoint could not be reached or answered nonsense.
    Communication = 4,
    /// An endpoint did not answer in time.
    Timeout = 8,
    /// The request is wrong.
    Argument = 16,
    /// No rule takes the request.
    NoRule = 32,
    /// We are wrong.
    Internal = 64,
    /// The configuration is wrong, found at run time.
    Configuration = 128,
}

/// Why a step failed. The text is for logs and for verbose answers; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Report>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    first: Kind,
    kinds: u8,
    message: String,
    source: Option<(Arc<str>, Arc<str>)>,
    credential_absent: bool,
}

impl Failure {
    /// A failure of one kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Report {
            first: kind,
            kinds: kind as u8,
            message: message.into(),
            source: None,
            credential_absent: false,
        }))
    }

    /// Of another kind too.
    #[must_use]
    pub fn and(mut self, kind: Kind) -> Self {
        self.0.kinds |= kind as u8;
        self
    }

    /// A failure that `cause` led to: it is of all kinds of both.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self) -> Self {
        self.0.kinds |= cause.0.kinds;
        self.0.message = format!("{}: {}", self.0.message, cause.0.message);
        self
    }

    /// Names the mechanism and the step that failed, unless one is named already.
    #[must_use]
    pub fn by(mut self, name: &Arc<str>, step: &Arc<str>) -> Self {
        if self.0.source.is_none() {
            self.0.source = Some((name.clone(), step.clone()));
        }
        self
    }

    /// Nothing was sent to authenticate with.
    #[must_use]
    pub fn for_absent_credential(mut self) -> Self {
        self.0.credential_absent = true;
        self
    }

    /// Whether nothing was sent to authenticate with.
    pub fn credential_is_absent(&self) -> bool {
        self.0.credential_absent
    }

    /// Whether it is of this kind, too.
    pub fn is(&self, kind: Kind) -> bool {
        self.0.kinds & kind as u8 != 0
    }

    /// The kind it began with.
    pub fn first(&self) -> Kind {
        self.0.first
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Name of the mechanism that failed.
    pub fn source_name(&self) -> &str {
        self.0.source.as_ref().map_or("", |(name, _)| name)
    }

    /// Step that failed.
    pub fn step(&self) -> &str {
        self.0.source.as_ref().map_or("", |(_, step)| step)
    }
}

impl Kind {
    /// How Go names it in messages.
    pub fn text(self) -> &'static str {
        match self {
            Self::Authentication => "authentication error",
            Self::Authorization => "authorization error",
            Self::Communication => "communication error",
            Self::Timeout => "communication timeout error",
            Self::Argument => "argument error",
            Self::NoRule => "no rule found",
            Self::Internal => "internal error",
            Self::Configuration => "configuration error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.first.text(), self.0.message)
    }
}

impl std::error::Error for Failure {}
