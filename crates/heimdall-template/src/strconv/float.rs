//! Floating-point numbers to and from text.

use std::fmt::Write as _;

/// Go's float formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatFormat {
    /// `e`: always an exponent.
    Exponent,
    /// `f`: never an exponent.
    Fixed,
    /// `g`: whichever is shorter.
    General,
    /// `b`: mantissa and power of two as integers.
    Binary,
    /// `x`: hexadecimal.
    Hex,
}

/// Reads a number as Go's `ParseFloat` does; `None` when it is none or overflows.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let plain;
    let digits = if text.contains('_') {
        if !super::underscores_fit(text) {
            return None;
        }
        plain = text.replace('_', "");
        plain.as_str()
    } else {
        text
    };
    let unsigned = digits.trim_start_matches(['+', '-']);
    if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        return parse_hex(digits);
    }
    let number: f64 = digits.parse().ok()?;
    let spelled = unsigned.starts_with(['i', 'I']);
    (number.is_finite() || number.is_nan() || spelled).then_some(number)
}

fn parse_hex(text: &str) -> Option<f64> {
    let (negative, rest) = super::sign(text);
    let (mantissa, exponent) = rest.get(2..)?.split_once(['p', 'P'])?;
    let exponent: i64 = if exponent.trim_start_matches(['+', '-']).is_empty() {
        return None;
    } else {
        exponent.parse().ok()?
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: u128 = 0;
    let mut scale = exponent;
    for (digit, after_point) in whole
        .chars()
        .map(|c| (c, false))
        .chain(fraction.chars().map(|c| (c, true)))
    {
        let digit = digit.to_digit(16)?;
        if value >> 120 == 0 {
            value = value << 4 | u128::from(digit);
            scale -= if after_point { 4 } else { 0 };
        } else {
            // Beyond 120 bits only "something is left" matters for rounding.
            value |= u128::from(digit != 0);
            scale += if after_point { 0 } else { 4 };
        }
    }
    let magnitude = scale_exactly(value, scale);
    magnitude
        .is_finite()
        .then_some(if negative { -magnitude } else { magnitude })
}

/// `value · 2^scale`, rounded once, half to even.
fn scale_exactly(value: u128, scale: i64) -> f64 {
    if value == 0 {
        return 0.0;
    }
    let bits = 128 - i64::from(value.leading_zeros());
    let top = bits + scale;
    if top > 1024 {
        return f64::INFINITY;
    }
    // A denormal keeps fewer bits.
    let keep = (top + 1074).min(53);
    if keep < 0 {
        return 0.0;
    }
    let drop = bits - keep;
    let (mut kept, mut exponent) = (value, scale);
    if drop > 0 {
        let half = 1u128 << (drop - 1);
        let rest = value & ((half << 1) - 1);
        kept = if drop >= 128 { 0 } else { value >> drop };
        exponent += drop;
        if rest > half || (rest == half && kept & 1 == 1) {
            kept += 1;
        }
    }
    let mut result = kept as f64;
    let mut left = exponent;
    while left != 0 && result != 0.0 && result.is_finite() {
        let step = left.clamp(-1000, 1000);
        result *= 2f64.powi(step as i32);
        left -= step;
    }
    result
}

/// Writes a number; a precision of `None` is the shortest that reads back.
pub(crate) fn format_float(
    value: f64,
    format: FloatFormat,
    precision: Option<usize>,
    out: &mut String,
) {
    if value.is_nan() {
        out.push_str("NaN");
        return;
    }
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        return;
    }
    match format {
        FloatFormat::Binary => return binary(value, out),
        FloatFormat::Hex => return hex_float(value, precision, false, out),
        FloatFormat::Fixed => {
            match precision {
                Some(precision) => put(out, format_args!("{value:.precision$}")),
                None => put(out, format_args!("{value}")),
            }
            return;
        }
        FloatFormat::Exponent | FloatFormat::General => {}
    }
    // Whole numbers of ordinary size are by far the most frequent.
    if format == FloatFormat::General
        && precision.is_none()
        && value.fract() == 0.0
        && value.abs() < 1e6
    {
        if value == 0.0 && value.is_sign_negative() {
            out.push('-');
        }
        put(out, format_args!("{}", value as i64));
        return;
    }
    let start = out.len();
    match (format, precision) {
        (_, None) => put(out, format_args!("{value:e}")),
        (FloatFormat::Exponent, Some(precision)) => put(out, format_args!("{value:.precision$e}")),
        (_, Some(precision)) => {
            let digits = precision.max(1) - 1;
            put(out, format_args!("{value:.digits$e}"));
        }
    }
    let written = out.split_off(start);
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if format == FloatFormat::Exponent {
        with_exponent(mantissa, exponent, out);
    } else {
        general(mantissa, exponent, precision, out);
    }
}

/// The `%e` spelling of the exponent has a sign and two digits at least.
fn with_exponent(mantissa: &str, exponent: i32, out: &mut String) {
    out.push_str(mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    put(out, format_args!("e{sign}{:02}", exponent.unsigned_abs()));
}

/// `%g`: an exponent when it is less than -4, or not less than the digits shown (6 for the shortest form).
fn general(mantissa: &str, exponent: i32, precision: Option<usize>, out: &mut String) {
    let (negative, digits) = super::sign(mantissa);
    let mut digits: String = digits.chars().filter(|c| *c != '.').collect();
    if precision.is_some() {
        let kept = digits.trim_end_matches('0').len().max(1);
        digits.truncate(kept);
    }
    let threshold = match precision {
        None => 6,
        Some(precision) => {
            let wanted = precision.max(1);
            if wanted > digits.len() && digits.len() as i32 > exponent {
                digits.len()
            } else {
                wanted
            }
        }
    };
    if negative {
        out.push('-');
    }
    let count = digits.len() as i32;
    if exponent < -4 || exponent >= threshold as i32 {
        let (first, rest) = digits.split_at(1);
        let mantissa = if rest.is_empty() {
            first.to_owned()
        } else {
            format!("{first}.{rest}")
        };
        with_exponent(&mantissa, exponent, out);
    } else if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(&digits);
    } else if count <= exponent + 1 {
        out.push_str(&digits);
        (count..=exponent).for_each(|_| out.push('0'));
    } else {
        let (whole, fraction) = digits.split_at((exponent + 1) as usize);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    }
}

/// Mantissa and binary exponent such that `value = mantissa · 2^exponent`.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let biased = ((bits >> 52) & 0x7ff) as i32;
    if biased == 0 {
        (mantissa, -1074)
    } else {
        (mantissa | 1 << 52, biased - 1075)
    }
}

fn binary(value: f64, out: &mut String) {
    let (mantissa, exponent) = parts(value);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    put(out, format_args!("{sign}{mantissa}p{exponent:+}"));
}

/// `%x`: `-0x1.yyyyyyyyp±ddd`.
pub(crate) fn hex_float(value: f64, precision: Option<usize>, upper: bool, out: &mut String) {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The leading one stands at bit 60, so that it may carry into bit 61.
        let shift = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= shift;
        exponent += 60 - shift;
    }
    if let Some(precision) = precision.filter(|p| *p < 15) {
        let drop = 60 - precision * 4;
        let half = 1u64 << (drop - 1);
        let rest = mantissa & ((1 << drop) - 1);
        mantissa >>= drop;
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= drop;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let shown = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => format!("{fraction:0<precision$}")
            .chars()
            .take(precision)
            .collect(),
    };
    let point = if shown.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let text = format!(
        "{sign}0x{}{point}{shown}p{exponent_sign}{:02}",
        mantissa >> 60,
        exponent.unsigned_abs()
    );
    out.push_str(&if upper { text.to_uppercase() } else { text });
}

fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    let _ = out.write_fmt(args);
}
