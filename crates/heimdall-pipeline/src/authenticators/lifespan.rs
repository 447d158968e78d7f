//! How long a session lasts, as its endpoint tells.

use std::time::Duration;

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{Failure, KeyParts, Kind};
use heimdall_types::Timestamp;
use serde_json::Value;

use crate::authenticators::path::pick;
use crate::authenticators::pick::as_text;

const DEFAULT_LEEWAY: Duration = Duration::from_secs(10);

/// Where an answer tells how long the session lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LifespanPaths {
    active: String,
    issued_at: String,
    not_before: String,
    not_after: String,
    format: String,
    leeway: Duration,
}

impl LifespanPaths {
    pub(super) fn read(mut fields: Fields<'_>) -> Self {
        let mut text = |key| fields.text(key).unwrap_or_default().to_owned();
        let (active, issued_at) = (text("active"), text("issued_at"));
        let (not_before, not_after) = (text("not_before"), text("not_after"));
        let format = text("time_format");
        let leeway = fields
            .duration("validity_leeway")
            .filter(|leeway| !leeway.is_zero())
            .unwrap_or(DEFAULT_LEEWAY);
        fields.close();
        Self {
            active,
            issued_at,
            not_before,
            not_after,
            format,
            leeway,
        }
    }

    pub(super) fn add_to(&self, key: &mut KeyParts) {
        let parts = [
            &self.active,
            &self.issued_at,
            &self.not_before,
            &self.not_after,
            &self.format,
        ];
        key.add_all(parts.map(String::as_str).into_iter());
        key.add(&self.leeway.as_nanos().to_le_bytes());
    }

    /// Refuses a session that is not alive; gives the moment it ends, where one is told.
    pub(super) fn check(
        &self,
        answer: &Value,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Failure> {
        let refused = |message: &str| {
            Failure::new(
                Kind::Authentication,
                format!("session validity error: {message}"),
            )
        };
        if pick(answer, &self.active).is_some_and(|active| !truth(&active)) {
            return Err(refused("not active"));
        }
        let issued = self.time(answer, &self.issued_at, "issued_at")?;
        let from = self.time(answer, &self.not_before, "not_before")?;
        let until = self.time(answer, &self.not_after, "not_after")?;
        if from.is_some_and(|from| {
            from.seconds() > 0 && now.plus(self.leeway).seconds() < from.seconds()
        }) {
            return Err(refused("not yet valid"));
        }
        if until.is_some_and(|until| {
            until.seconds() > 0 && now.minus(self.leeway).seconds() >= until.seconds()
        }) {
            return Err(refused("expired"));
        }
        if issued.is_some_and(|issued| now.plus(self.leeway) < issued) {
            return Err(refused("issued in the future"));
        }
        Ok(until)
    }

    fn time(&self, answer: &Value, path: &str, field: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(found) = pick(answer, path) else {
            return Ok(None);
        };
        let text = as_text(&found);
        let time = if self.format.is_empty() {
            text.parse::<i64>().ok().map(Timestamp::from_seconds)
        } else {
            layout::parse(&self.format, &text)
        };
        time.map(Some).ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                format!("session lifespan parse error: failed parsing {field} field"),
            )
        })
    }
}

/// `gjson` takes numbers and some words for truth.
fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true"),
        _ => false,
    }
}

/// Times by Go's layouts, which spell the reference time `Mon Jan 2 15:04:05 MST 2006`.
mod layout {
    use heimdall_types::Timestamp;

    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    /// Longer ones first, where one begins with another.
    const TOKENS: [&str; 25] = [
        "January", "Monday", "2006", "Z07:00", "-07:00", "Z0700", "-0700", "Jan", "Mon", "MST",
        "01", "02", "03", "04", "05", "06", "15", "PM", "pm", "_2", "-07", "1", "2", "3", "Z07",
    ];

    #[derive(Default)]
    struct Parts {
        year: i64,
        month: usize,
        day: i64,
        hour: i64,
        minute: i64,
        second: i64,
        nanos: i64,
        offset: i64,
        afternoon: Option<bool>,
    }

    pub(super) fn parse(layout: &str, text: &str) -> Option<Timestamp> {
        let mut parts = Parts {
            month: 1,
            day: 1,
            ..Parts::default()
        };
        let (mut layout, mut text) = (layout, text);
        while !layout.is_empty() {
            if let Some(token) = TOKENS.iter().find(|token| layout.starts_with(**token)) {
                text = read(token, text, &mut parts)?;
                layout = layout.strip_prefix(token)?;
                if *token == "05" {
                    // a fraction is taken behind the seconds, whether the layout spells one or not
                    let spelt = layout
                        .bytes()
                        .skip(1)
                        .take_while(|byte| matches!(byte, b'0' | b'9'))
                        .count();
                    if spelt > 0 && layout.starts_with(['.', ',']) {
                        layout = layout.get(1 + spelt..)?;
                    }
                    text = fraction(text, &mut parts);
                }
                continue;
            }
            let c = layout.chars().next()?;
            layout = layout.strip_prefix(c)?;
            text = text.strip_prefix(c)?;
        }
        text.is_empty().then_some(())?;
        parts.moment()
    }

    fn fraction<'t>(text: &'t str, parts: &mut Parts) -> &'t str {
        let Some(rest) = text.strip_prefix(['.', ',']) else {
            return text;
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let nanos = rest
            .bytes()
            .take(digits.min(9))
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        parts.nanos = nanos * 10_i64.pow(9 - u32::try_from(digits.min(9)).unwrap_or(9));
        if digits == 0 {
            text
        } else {
            rest.get(digits..).unwrap_or_default()
        }
    }

    fn number(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
        let digits = text
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        (digits >= least).then_some(())?;
        let (number, rest) = text.split_at_checked(digits)?;
        Some((number.parse().ok()?, rest))
    }

    fn name<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(usize, &'t str)> {
        names.iter().enumerate().find_map(|(place, name)| {
            let name = if short { name.get(..3)? } else { name };
            let (start, rest) = text.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name).then_some((place, rest))
        })
    }

    fn read<'t>(token: &str, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
        let into = |into: &mut i64, least, most| {
            let (number, rest) = number(text, least, most)?;
            *into = number;
            Some(rest)
        };
        match token {
            "2006" => into(&mut parts.year, 4, 4),
            "06" => {
                let (year, rest) = number(text, 2, 2)?;
                parts.year = if year >= 69 { 1900 + year } else { 2000 + year };
                Some(rest)
            }
            "January" | "Jan" => {
                let (place, rest) = name(text, &MONTHS, token == "Jan")?;
                parts.month = place + 1;
                Some(rest)
            }
            "Monday" | "Mon" => name(text, &DAYS, token == "Mon").map(|(_, rest)| rest),
            "01" | "1" => {
                let (month, rest) = number(text, token.len(), 2)?;
                parts.month = usize::try_from(month).ok()?;
                Some(rest)
            }
            "02" => into(&mut parts.day, 2, 2),
            "2" => into(&mut parts.day, 1, 2),
            "_2" => {
                let (day, rest) = number(text.strip_prefix(' ').unwrap_or(text), 1, 2)?;
                parts.day = day;
                Some(rest)
            }
            "15" => into(&mut parts.hour, 2, 2),
            "03" | "3" => into(&mut parts.hour, token.len(), 2),
            "04" => into(&mut parts.minute, 2, 2),
            "05" => into(&mut parts.second, 2, 2),
            "PM" | "pm" => {
                let (mark, rest) = text.split_at_checked(2)?;
                parts.afternoon = Some(mark.eq_ignore_ascii_case("pm"));
                Some(rest)
            }
            "MST" => {
                let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
                (3..=5).contains(&letters).then_some(())?;
                text.get(letters..)
            }
            zone => offset(zone, text, parts),
        }
    }

    fn offset<'t>(zone: &str, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
        if let (true, Some(rest)) = (zone.starts_with('Z'), text.strip_prefix('Z')) {
            return Some(rest);
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let (hours, rest) = number(text.strip_prefix(['+', '-'])?, 2, 2)?;
        let rest = if zone.contains(':') {
            rest.strip_prefix(':')?
        } else {
            rest
        };
        let (minutes, rest) = if zone.len() > 3 {
            number(rest, 2, 2)?
        } else {
            (0, rest)
        };
        parts.offset = sign * (hours * 3600 + minutes * 60);
        Some(rest)
    }

    impl Parts {
        fn moment(&self) -> Option<Timestamp> {
            let hour = match self.afternoon {
                Some(true) if self.hour < 12 => self.hour + 12,
                Some(false) if self.hour == 12 => 0,
                _ => self.hour,
            };
            let text = format!(
                "{:04}-{:02}-{:02}T{hour:02}:{:02}:{:02}.{:09}Z",
                self.year, self.month, self.day, self.minute, self.second, self.nanos
            );
            let at = Timestamp::parse_rfc3339(&text)?;
            Some(Timestamp::from_millis(at.millis() - self.offset * 1000))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layouts_of_go_are_read() {
        for (layout, text) in [
            ("2006-01-02T15:04:05Z07:00", "2024-02-29T14:14:15+01:00"),
            ("2006-01-02T15:04:05Z07:00", "2024-02-29T13:14:15.000Z"),
            (
                "Mon, 02 Jan 2006 15:04:05 MST",
                "Thu, 29 Feb 2024 13:14:15 UTC",
            ),
            ("Jan _2 2006 03:04:05PM", "Feb 29 2024 01:14:15PM"),
            (
                "2006-01-02 15:04:05.999999999 -0700",
                "2024-02-29 13:14:15.000 +0000",
            ),
        ] {
            assert_eq!(
                layout::parse(layout, text).map(Timestamp::seconds),
                Some(1_709_212_455),
                "{layout}"
            );
        }
        assert_eq!(layout::parse("2006-01-02", "2024-13-01"), None);
        assert_eq!(layout::parse("2006-01-02", "soon"), None);
    }

    #[test]
    fn a_session_lives_between_its_times() {
        let paths = LifespanPaths {
            active: "on".into(),
            issued_at: String::new(),
            not_before: "from".into(),
            not_after: "to".into(),
            format: String::new(),
            leeway: DEFAULT_LEEWAY,
        };
        let now = Timestamp::from_seconds(1_000);
        let check = |answer: Value| paths.check(&answer, now);
        assert_eq!(
            check(json!({"on": true, "from": 1_005, "to": 995}))
                .unwrap()
                .map(Timestamp::seconds),
            Some(995)
        );
        assert!(
            check(json!({"on": false}))
                .unwrap_err()
                .is(Kind::Authentication)
        );
        assert!(check(json!({"from": 1_011})).is_err() && check(json!({"to": 990})).is_err());
        assert!(check(json!({"to": "soon"})).unwrap_err().is(Kind::Internal));
        assert_eq!(check(json!({})), Ok(None));
    }
}
