//! Decimal arithmetic without loss, for sprig's `addf` and its like.

use crate::CallError;
use crate::context::Context;

/// `±digits · 10^exponent`; the digits stand in the order of their weight, the least first.
#[derive(Debug, Clone)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

/// Places behind the point that a quotient is rounded to.
const QUOTIENT_PLACES: i32 = 16;

impl Decimal {
    /// The shortest decimal that reads back as this float.
    pub(crate) fn from_float(f: f64) -> Result<Self, CallError> {
        if !f.is_finite() {
            return Err(CallError::new(format!("cannot create a Decimal from {f}")));
        }
        let text = format!("{:e}", f.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let places = mantissa
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len() as i32);
        let digits = mantissa
            .bytes()
            .rev()
            .filter(u8::is_ascii_digit)
            .map(|b| b - b'0')
            .collect();
        let exponent: i32 = exponent.parse().unwrap_or_default();
        Ok(Self {
            negative: f < 0.0,
            digits,
            exponent: exponent - places,
        }
        .trimmed())
    }

    /// The nearest float.
    pub(crate) fn to_float(&self) -> f64 {
        let digits: String = self
            .digits
            .iter()
            .rev()
            .map(|d| char::from(b'0' + d))
            .collect();
        let sign = if self.negative && !self.is_zero() {
            "-"
        } else {
            ""
        };
        let digits = if digits.is_empty() { "0" } else { &digits };
        format!("{sign}{digits}e{}", self.exponent)
            .parse()
            .unwrap_or(f64::NAN)
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Without zeros in front.
    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        self
    }

    /// The digits when the last of them has the weight `10^exponent`, which is not more than the own.
    fn scaled(&self, exponent: i32) -> Vec<u8> {
        let zeros = (self.exponent - exponent).max(0) as usize;
        let mut digits = vec![0; zeros];
        digits.extend_from_slice(&self.digits);
        digits
    }

    pub(crate) fn negated(mut self) -> Self {
        self.negative = !self.negative;
        self
    }

    pub(crate) fn add(&self, cx: &mut Context<'_>, other: &Self) -> Result<Self, CallError> {
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.scaled(exponent), other.scaled(exponent));
        cx.charge((a.len() + b.len()) / 32)?;
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, plus(&a, &b))
        } else if less(&a, &b) {
            (other.negative, minus(&b, &a))
        } else {
            (self.negative, minus(&a, &b))
        };
        Ok(Self {
            negative,
            digits,
            exponent,
        }
        .trimmed())
    }

    pub(crate) fn multiply(&self, cx: &mut Context<'_>, other: &Self) -> Result<Self, CallError> {
        cx.charge(self.digits.len() * other.digits.len() / 32)?;
        let mut sums = vec![0u32; self.digits.len() + other.digits.len() + 1];
        for (i, a) in self.digits.iter().enumerate() {
            let mut carry = 0;
            for (place, b) in sums
                .iter_mut()
                .skip(i)
                .zip(other.digits.iter().chain(std::iter::repeat(&0)))
            {
                let sum = *place + u32::from(*a) * u32::from(*b) + carry;
                *place = sum % 10;
                carry = sum / 10;
            }
        }
        let digits = sums.into_iter().map(|d| d as u8).collect();
        let exponent = self.exponent.saturating_add(other.exponent);
        Ok(Self {
            negative: self.negative != other.negative,
            digits,
            exponent,
        }
        .trimmed())
    }

    /// The quotient, rounded half away from zero.
    pub(crate) fn divide(&self, cx: &mut Context<'_>, other: &Self) -> Result<Self, CallError> {
        if other.is_zero() {
            return Err("decimal division by 0".into());
        }
        // One place more than is shown decides about rounding up: what follows it can not change that.
        let wanted = -(QUOTIENT_PLACES + 1);
        let shift = self.exponent - other.exponent - wanted;
        let mut dividend = self.digits.clone();
        let mut divisor = other.digits.clone();
        if shift >= 0 {
            dividend.splice(0..0, vec![0; shift as usize]);
        } else {
            divisor.splice(0..0, vec![0; shift.unsigned_abs() as usize]);
        }
        cx.charge(dividend.len() * divisor.len() / 8)?;
        let mut quotient = vec![0; dividend.len()];
        let mut rest: Vec<u8> = Vec::new();
        for (digit, place) in dividend.iter().rev().zip(quotient.iter_mut().rev()) {
            rest.insert(0, *digit);
            while rest.last() == Some(&0) {
                rest.pop();
            }
            while !less(&rest, &divisor) {
                rest = minus(&rest, &divisor);
                while rest.last() == Some(&0) {
                    rest.pop();
                }
                *place += 1;
            }
        }
        let round_up = quotient.first().is_some_and(|last| *last >= 5);
        let kept = quotient.get(1..).unwrap_or_default();
        let digits = if round_up {
            plus(kept, &[1])
        } else {
            kept.to_vec()
        };
        Ok(Self {
            negative: self.negative != other.negative,
            digits,
            exponent: -QUOTIENT_PLACES,
        }
        .trimmed())
    }
}

fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut sum = Vec::with_capacity(a.len().max(b.len()) + 1);
    for i in 0..a.len().max(b.len()) {
        let digit = a.get(i).unwrap_or(&0) + b.get(i).unwrap_or(&0) + carry;
        sum.push(digit % 10);
        carry = digit / 10;
    }
    sum.push(carry);
    sum
}

/// `a - b`, where `b` is not more than `a`.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    a.iter()
        .enumerate()
        .map(|(i, digit)| {
            let taken = b.get(i).unwrap_or(&0) + borrow;
            borrow = u8::from(taken > *digit);
            digit + borrow * 10 - taken
        })
        .collect()
}

fn less(a: &[u8], b: &[u8]) -> bool {
    let length = |digits: &[u8]| digits.iter().rposition(|d| *d != 0).map_or(0, |i| i + 1);
    let (a_length, b_length) = (length(a), length(b));
    if a_length != b_length {
        return a_length < b_length;
    }
    a.iter()
        .take(a_length)
        .rev()
        .lt(b.iter().take(b_length).rev())
}
