//! Go's numeric literals: one literal may stand for several types.

use crate::strconv;
use crate::{IntType, Value};

/// What a literal can be.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
    /// The text asks for a float: it has a point or an exponent.
    written_as_float: bool,
}

impl Number {
    /// A character constant.
    pub(crate) fn rune(c: u32) -> Self {
        Self {
            int: Some(c.into()),
            uint: Some(c.into()),
            float: Some(c.into()),
            ..Self::default()
        }
    }

    /// A complex constant.
    pub(crate) fn complex(re: f64, im: f64) -> Self {
        let mut number = Self {
            complex: Some((re, im)),
            ..Self::default()
        };
        if im == 0.0 {
            number.float = Some(re);
            number.int = whole_int(re);
            number.uint = whole_uint(re);
        }
        number
    }

    /// Reads a literal.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(imaginary) = text.strip_suffix('i')
            && let Some(im) = strconv::parse_float(imaginary)
        {
            return Ok(Self::complex(0.0, im));
        }
        let is_hex_int = text.len() > 2
            && (text.starts_with("0x") || text.starts_with("0X"))
            && !text.contains(['p', 'P']);
        let mut number = Self {
            uint: strconv::parse_uint_literal(text),
            int: strconv::parse_int_literal(text),
            written_as_float: !is_hex_int && text.contains(['.', 'e', 'E', 'p', 'P']),
            ..Self::default()
        };
        if number.int == Some(0) {
            number.uint = Some(0);
        }
        if let Some(n) = number.int {
            number.float = Some(n as f64);
        } else if let Some(n) = number.uint {
            number.float = Some(n as f64);
        } else if let Some(f) = strconv::parse_float(text) {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: `{text}`"));
            }
            number.float = Some(f);
            number.int = whole_int(f);
            number.uint = whole_uint(f);
        } else {
            return Err(format!("illegal number syntax: `{text}`"));
        }
        Ok(number)
    }

    /// The constant without a context that asks for a type; `None` when it overflows `int`.
    pub(crate) fn ideal<'a>(&self) -> Option<Value<'a>> {
        if let Some((re, im)) = self.complex {
            return Some(Value::Complex(re, im));
        }
        match (self.float, self.int) {
            (Some(f), _) if self.written_as_float => Some(Value::Float(f)),
            (_, Some(n)) => Some(Value::Int(n, IntType::Int)),
            _ => None,
        }
    }
}

fn whole_int(f: f64) -> Option<i64> {
    let n = f as i64;
    // 2^63 saturates to a neighbour that compares equal as a float.
    (n as f64 == f && f < 9_223_372_036_854_775_808.0).then_some(n)
}

fn whole_uint(f: f64) -> Option<u64> {
    let n = f as u64;
    (n as f64 == f && f < 18_446_744_073_709_551_616.0).then_some(n)
}
