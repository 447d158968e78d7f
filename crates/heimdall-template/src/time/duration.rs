//! `time.Duration` to and from text.

const SECOND: u64 = 1_000_000_000;

/// What `String` gives: `1h2m3.5s`, `1.5ms`, `0s`.
pub(crate) fn duration_text(nanos: i64) -> String {
    let total = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    if total == 0 {
        return "0s".into();
    }
    if total < SECOND {
        let (unit, name) = match total {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(total, unit));
    }
    let (hours, minutes) = (total / (3600 * SECOND), total / (60 * SECOND) % 60);
    let seconds = decimal(total % (60 * SECOND), SECOND);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `n / unit` with the decimals that are there.
fn decimal(n: u64, unit: u64) -> String {
    let places = unit.ilog10() as usize;
    let fraction = format!("{:0places$}", n % unit);
    let fraction = if unit == 1 {
        ""
    } else {
        fraction.trim_end_matches('0')
    };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}", n / unit)
}

/// Reads `1h30m`, `-1.5s`, `0`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = quantity(rest)?;
        total = total.checked_add(part).filter(|total| *total <= 1 << 63)?;
        rest = after;
    }
    if negative {
        0i64.checked_sub_unsigned(total)
    } else {
        i64::try_from(total).ok()
    }
}

fn quantity(text: &str) -> Option<(u64, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit).filter(|nanos| *nanos <= 1 << 63)?;
    if !fraction.is_empty() {
        // More digits than a float keeps say nothing any more.
        let kept = fraction.get(..fraction.len().min(18))?;
        let numerator: u64 = kept.parse().ok()?;
        nanos = nanos.checked_add(
            (numerator as f64 * (unit as f64 / 10f64.powi(kept.len() as i32))) as u64,
        )?;
    }
    Some((nanos, rest))
}

/// Rounds to a unit, half away from zero.
pub(crate) fn round_duration(nanos: i64, unit: i64) -> i64 {
    let rest = nanos % unit;
    let cut = nanos - rest;
    if rest.unsigned_abs() * 2 < unit.unsigned_abs() {
        cut
    } else {
        cut.saturating_add(unit * nanos.signum())
    }
}
