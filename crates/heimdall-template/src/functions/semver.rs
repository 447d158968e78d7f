//! `semver` and `semverCompare`, with the rules of the library behind sprig's.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

use super::convert;
use crate::context::Context;
use crate::methods::{expect_args, str_arg};
use crate::native::Native;
use crate::{CallError, UintType, Value};

/// A semantic version; minor and patch may have been left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(hidden)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    prerelease: String,
    metadata: String,
    original: String,
    /// A `semver.Version` and not a pointer to one: fewer methods.
    by_value: bool,
}

const TAIL: &str =
    r"(-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?";

/// The patterns below are literals, so that they always compile; without one nothing would match.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static VERSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(&format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{TAIL}$")));

const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

fn constraint_version() -> String {
    format!(r"v?([0-9|xX*]+)(\.[0-9|xX*]+)?(\.[0-9|xX*]+)?{TAIL}")
}

static CONSTRAINT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(&format!(
        r"^\s*({OPERATORS})\s*({})\s*$",
        constraint_version()
    ))
});

static FIND_CONSTRAINT: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(&format!(r"({OPERATORS})\s*({})", constraint_version())));

static VALID_CONSTRAINTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let one = constraint_version();
    pattern(&format!(
        r"^(\s*({OPERATORS})\s*({one})\s*)((?:\s+|,\s*)({OPERATORS})\s*({one})\s*)*$"
    ))
});

static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let one = constraint_version();
    pattern(&format!(r"\s*(?P<from>{one})\s+-\s+(?P<to>{one})\s*"))
});

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Version {
    fn parse(text: &str) -> Result<Self, CallError> {
        let captures = VERSION
            .as_ref()
            .and_then(|regex| regex.captures(text))
            .ok_or("Invalid Semantic Version")?;
        let group = |index| captures.get(index).map_or("", |group| group.as_str());
        let number = |index| match group(index).trim_start_matches('.') {
            "" => Ok(0),
            digits => digits
                .parse::<u64>()
                .map_err(|error| CallError::new(format!("Error parsing version segment: {error}"))),
        };
        let prerelease = group(5);
        let leading_zero = |part: &str| {
            part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
        };
        if prerelease.split('.').any(leading_zero) {
            return Err("Version segment starts with 0".into());
        }
        Ok(Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            prerelease: prerelease.to_owned(),
            metadata: group(7).to_owned(),
            original: text.to_owned(),
            by_value: false,
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_prereleases(&self.prerelease, &other.prerelease))
    }

    pub(crate) fn fields(&self) -> Vec<(&'static str, Value<'static>)> {
        let number = |n| Value::Uint(n, UintType::Uint64);
        vec![
            ("major", number(self.major)),
            ("minor", number(self.minor)),
            ("patch", number(self.patch)),
            ("pre", Value::from(self.prerelease.clone())),
            ("metadata", Value::from(self.metadata.clone())),
            ("original", Value::from(self.original.clone())),
        ]
    }

    pub(crate) fn type_name(&self) -> &'static str {
        if self.by_value {
            "semver.Version"
        } else {
            "*semver.Version"
        }
    }

    /// This version with another prerelease or other metadata.
    fn with<'a>(&self, name: &str, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
        expect_args(name, args, 1)?;
        let part = str_arg(name, args, 0)?;
        let mut version = Self::plain(self.major, self.minor, self.patch, &self.original);
        version.prerelease.clone_from(&self.prerelease);
        version.metadata.clone_from(&self.metadata);
        let (place, mark) = if name == "SetPrerelease" {
            (&mut version.prerelease, '-')
        } else {
            (&mut version.metadata, '+')
        };
        part.clone_into(place);
        if !part.is_empty() && Self::parse(&format!("0.0.0{mark}{part}")).is_err() {
            return Err(CallError::new(format!(
                "Invalid {} string",
                name.trim_start_matches("Set")
            )));
        }
        let prefix = if self.original.starts_with('v') {
            "v"
        } else {
            ""
        };
        version.original = format!("{prefix}{version}");
        Ok(version.shared())
    }

    fn shared<'a>(self) -> Value<'a> {
        Value::Native(Native::Version(Rc::new(self)))
    }

    /// `1.2.3` after `1.2.3-rc`, else one patch more.
    fn next_patch(&self) -> Self {
        let patch = if self.prerelease.is_empty() {
            self.patch.wrapping_add(1)
        } else {
            self.patch
        };
        Self::plain(self.major, self.minor, patch, &self.original)
    }

    fn plain(major: u64, minor: u64, patch: u64, before: &str) -> Self {
        let prefix = if before.starts_with('v') { "v" } else { "" };
        Self {
            major,
            minor,
            patch,
            prerelease: String::new(),
            metadata: String::new(),
            original: format!("{prefix}{major}.{minor}.{patch}"),
            by_value: true,
        }
    }

    pub(crate) fn method<'a>(
        &self,
        name: &str,
        args: &[Value<'a>],
    ) -> Option<Result<Value<'a>, CallError>> {
        let number = |n| Value::Uint(n, UintType::Uint64);
        let answer = match name {
            "Major" => number(self.major),
            "Minor" => number(self.minor),
            "Patch" => number(self.patch),
            "Prerelease" => Value::from(self.prerelease.clone()),
            "Metadata" => Value::from(self.metadata.clone()),
            "Original" | "Compare" | "Equal" | "LessThan" | "GreaterThan" | "LessThanEqual"
            | "GreaterThanEqual"
                if self.by_value =>
            {
                return None;
            }
            "SetPrerelease" | "SetMetadata" => return Some(self.with(name, args)),
            "Original" => Value::from(self.original.clone()),
            "String" => Value::from(self.to_string()),
            "IncMajor" => Self::plain(self.major.wrapping_add(1), 0, 0, &self.original).shared(),
            "IncMinor" => {
                Self::plain(self.major, self.minor.wrapping_add(1), 0, &self.original).shared()
            }
            "IncPatch" => self.next_patch().shared(),
            "Compare" | "Equal" | "LessThan" | "GreaterThan" | "LessThanEqual"
            | "GreaterThanEqual" => {
                return Some(expect_args(name, args, 1).and_then(|()| self.compared(name, args)));
            }
            _ => return None,
        };
        Some(expect_args(name, args, 0).map(|()| answer))
    }

    fn compared<'a>(&self, name: &str, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
        let Some(Value::Native(Native::Version(other))) = args.first() else {
            return Err(CallError::new(format!(
                "wrong type for the argument of {name}; expected *semver.Version"
            )));
        };
        let order = self.compare(other);
        Ok(match name {
            "Compare" => Value::int(order as i64),
            "Equal" => Value::Bool(order.is_eq()),
            "LessThan" => Value::Bool(order.is_lt()),
            "GreaterThan" => Value::Bool(order.is_gt()),
            "LessThanEqual" => Value::Bool(order.is_le()),
            _ => Value::Bool(order.is_ge()),
        })
    }
}

/// A release comes after its prereleases; numbers before words.
fn compare_prereleases(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// One condition; a part that was left out or is an `x` is not looked at.
struct Constraint {
    operator: Operator,
    version: Version,
    /// Some part was left out: all, the minor one, or the patch.
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

impl Constraint {
    fn parse(text: &str) -> Result<Self, CallError> {
        let improper = || CallError::new(format!("improper constraint: {text}"));
        let captures = CONSTRAINT
            .as_ref()
            .and_then(|regex| regex.captures(text))
            .ok_or_else(improper)?;
        let group = |index| captures.get(index).map_or("", |group| group.as_str());
        let operator = match group(1) {
            "" | "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterEqual,
            "<=" | "=<" => Operator::LessEqual,
            "^" => Operator::Caret,
            _ => Operator::Tilde,
        };
        let left_out = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, patch, prerelease) = (group(3), group(4), group(5), group(6));
        let mut constraint = Self {
            operator,
            version: Version::plain(0, 0, 0, ""),
            dirty: left_out(major) || left_out(minor) || left_out(patch),
            minor_dirty: !left_out(major) && left_out(minor),
            patch_dirty: !left_out(major) && !left_out(minor) && left_out(patch),
        };
        let version = if left_out(major) {
            format!("0.0.0{prerelease}")
        } else if constraint.minor_dirty {
            format!("{major}.0.0{prerelease}")
        } else if constraint.patch_dirty {
            format!("{major}{minor}.0{prerelease}")
        } else {
            group(2).to_owned()
        };
        constraint.version =
            Version::parse(&version).map_err(|_| CallError::new("constraint Parser Error"))?;
        Ok(constraint)
    }

    fn holds(&self, version: &Version) -> bool {
        let wanted = &self.version;
        let only_releases = !version.prerelease.is_empty() && wanted.prerelease.is_empty();
        if let Operator::NotEqual = self.operator {
            return self.differs(version, only_releases);
        }
        if only_releases {
            return false;
        }
        let order = version.compare(wanted);
        match self.operator {
            Operator::Equal if !self.dirty => order.is_eq(),
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::Greater if !self.dirty => order.is_gt(),
            Operator::Greater => {
                if version.major != wanted.major {
                    version.major > wanted.major
                } else if self.minor_dirty {
                    false
                } else if self.patch_dirty {
                    version.minor > wanted.minor
                } else {
                    order.is_gt()
                }
            }
            Operator::Less => order.is_lt(),
            Operator::GreaterEqual => order.is_ge(),
            Operator::LessEqual if !self.dirty => order.is_le(),
            Operator::LessEqual => {
                version.major < wanted.major
                    || (version.major == wanted.major
                        && (version.minor <= wanted.minor || self.minor_dirty))
            }
            Operator::Caret => order.is_ge() && self.caret(version),
            Operator::NotEqual => false,
        }
    }

    fn differs(&self, version: &Version, only_releases: bool) -> bool {
        let wanted = &self.version;
        if self.dirty {
            if only_releases {
                return false;
            }
            if wanted.major != version.major || (wanted.minor != version.minor && !self.minor_dirty)
            {
                return true;
            }
            if self.minor_dirty {
                return false;
            }
            if wanted.patch != version.patch && !self.patch_dirty {
                return true;
            }
            if self.patch_dirty {
                return compare_prereleases(&version.prerelease, &wanted.prerelease).is_ne();
            }
        }
        version.compare(wanted).is_ne()
    }

    fn tilde(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version.compare(wanted).is_lt() {
            return false;
        }
        let anything = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0)
            && !self.minor_dirty
            && !self.patch_dirty;
        anything
            || (version.major == wanted.major
                && (version.minor == wanted.minor || self.minor_dirty))
    }

    /// The leftmost part that is not zero may not change.
    fn caret(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if wanted.major > 0 || self.minor_dirty {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.patch_dirty {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}

/// `1.2 - 1.4` as two conditions.
fn without_ranges(text: &str) -> String {
    let Some(range) = RANGE.as_ref() else {
        return text.to_owned();
    };
    range.replace_all(text, ">= $from, <= $to ").into_owned()
}

fn satisfies(constraint: &str, version: &Version) -> Result<bool, CallError> {
    let text = without_ranges(constraint);
    let mut holds = false;
    for alternative in text.split("||") {
        if !VALID_CONSTRAINTS
            .as_ref()
            .is_some_and(|regex| regex.is_match(alternative))
        {
            return Err(CallError::new(format!(
                "improper constraint: {alternative}"
            )));
        }
        let Some(find) = FIND_CONSTRAINT.as_ref() else {
            return Ok(false);
        };
        let mut all = true;
        for found in find.find_iter(alternative) {
            all &= Constraint::parse(found.as_str())?.holds(version);
        }
        holds |= all;
    }
    Ok(holds)
}

pub(super) fn semver<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Version::parse(&convert::text(args, 0).to_lossy())?.shared())
}

/// `semverCompare constraint version`
pub(super) fn compare<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let (constraint, text) = (
        convert::text(args, 0).to_lossy(),
        convert::text(args, 1).to_lossy(),
    );
    cx.charge(constraint.len() + text.len())?;
    // The constraint is wrong or right whatever the version is.
    satisfies(&constraint, &Version::plain(0, 0, 0, ""))?;
    satisfies(&constraint, &Version::parse(&text)?).map(Value::Bool)
}
