//! Durations as Go writes them.

use std::time::Duration;

/// Which durations are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// One whole number and one unit: `90s`. What the configuration file's schema takes.
    OneUnit,
    /// Everything that Go's `time.ParseDuration` takes, without a minus: `1m30s`, `1.5h`.
    Go,
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration.
///
/// # Errors
/// A sentence for the operator.
pub fn parse_duration(text: &str, grammar: Grammar) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration like `5s`");
    if grammar == Grammar::OneUnit {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = text.get(digits..).unwrap_or_default();
        if digits == 0 || !matches!(unit, "ns" | "us" | "ms" | "s" | "m" | "h") {
            return Err(wrong());
        }
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.starts_with('-') {
        return Err(format!("`{text}` is negative"));
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanos = 0.0_f64;
    while !rest.is_empty() {
        let number = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let value: f64 = rest
            .get(..number)
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(wrong)?;
        rest = rest.get(number..).unwrap_or_default();
        let letters: usize = rest
            .chars()
            .take_while(|c| !c.is_ascii_digit() && *c != '.')
            .map(char::len_utf8)
            .sum();
        let unit = rest.get(..letters).unwrap_or_default();
        let scale = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale)
            .ok_or_else(wrong)?;
        nanos += value * scale as f64;
        rest = rest.get(letters..).unwrap_or_default();
    }
    if nanos > i64::MAX as f64 {
        return Err(format!("`{text}` is too long"));
    }
    Ok(Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_takes_one_unit_and_rules_take_several() {
        assert_eq!(
            parse_duration("90s", Grammar::OneUnit),
            Ok(Duration::from_secs(90))
        );
        for wrong in ["1m30s", "5 s", "-5s", "1d", "", "s", "1.5s", "300"] {
            assert!(parse_duration(wrong, Grammar::OneUnit).is_err(), "{wrong}");
        }
        assert_eq!(
            parse_duration("1h30m", Grammar::Go),
            Ok(Duration::from_secs(5400))
        );
        assert_eq!(
            parse_duration("1.5s", Grammar::Go),
            Ok(Duration::from_millis(1500))
        );
        assert_eq!(parse_duration("0", Grammar::Go), Ok(Duration::ZERO));
        for wrong in ["long", "-5s", "1", "1x", "."] {
            assert!(parse_duration(wrong, Grammar::Go).is_err(), "{wrong}");
        }
    }
}
