//! Numbers by one verb.

use super::value::Printer;
use crate::strconv::{self, FloatFormat};
use crate::{CallError, Value, unicode};

impl Printer<'_> {
    pub(super) fn integer(
        &mut self,
        n: u64,
        negative: bool,
        verb: char,
        value: &Value<'_>,
        signed: bool,
    ) -> Result<(), CallError> {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(n, false, 16, 'v')?;
                self.flags.sharp = sharp;
                Ok(())
            }
            'v' | 'd' => self.digits(n, negative, 10, verb),
            'b' => self.digits(n, negative, 2, verb),
            'o' | 'O' => self.digits(n, negative, 8, verb),
            'x' | 'X' => self.digits(n, negative, 16, verb),
            'c' | 'q' | 'U' => {
                let code = if negative { n.wrapping_neg() } else { n };
                match verb {
                    'c' => self.pad(char_of(code).encode_utf8(&mut [0; 4])),
                    'q' => {
                        let mut quoted = String::new();
                        strconv::quote_char(Some(char_of(code)), self.flags.plus, &mut quoted);
                        self.pad(&quoted)
                    }
                    _ => self.unicode(code),
                }
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn unicode(&mut self, code: u64) -> Result<(), CallError> {
        let precision = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{code:0precision$X}");
        let shown = u32::try_from(code)
            .ok()
            .and_then(char::from_u32)
            .filter(|c| unicode::is_print(*c));
        if let (true, Some(c)) = (self.flags.sharp, shown) {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_with_blanks(&text)
    }

    pub(super) fn digits(
        &mut self,
        n: u64,
        negative: bool,
        base: u32,
        verb: char,
    ) -> Result<(), CallError> {
        if n == 0 && self.flags.precision == Some(0) {
            let zero = std::mem::replace(&mut self.flags.zero, false);
            self.padding(self.flags.width.unwrap_or(0))?;
            self.flags.zero = zero;
            return Ok(());
        }
        let digits = match (base, verb) {
            (2, _) => format!("{n:b}"),
            (8, _) => format!("{n:o}"),
            (16, 'X') => format!("{n:X}"),
            (16, _) => format!("{n:x}"),
            _ => n.to_string(),
        };
        let sign = if negative {
            "-"
        } else if self.flags.plus {
            "+"
        } else if self.flags.space {
            " "
        } else {
            ""
        };
        let least = match (self.flags.precision, self.flags.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width - sign.len().min(width)
            }
            _ => 0,
        };
        let zeros = least.saturating_sub(digits.len());
        let prefix = match (self.flags.sharp, base, verb) {
            (_, _, 'O') => "0o",
            (true, 2, _) => "0b",
            (true, 8, _) if zeros == 0 && !digits.starts_with('0') => "0",
            (true, 16, 'X') => "0X",
            (true, 16, _) => "0x",
            _ => "",
        };
        // `%#O` has octal's own leading zero besides.
        let octal = if verb == 'O' && self.flags.sharp && zeros == 0 && !digits.starts_with('0') {
            "0"
        } else {
            ""
        };
        if zeros == 0 && self.flags.width.is_none() {
            self.out.put(sign)?;
            self.out.put(prefix)?;
            self.out.put(octal)?;
            return self.out.put(&digits);
        }
        let text = format!("{sign}{prefix}{octal}{}{digits}", "0".repeat(zeros));
        self.pad_with_blanks(&text)
    }

    pub(super) fn float_verb(
        &mut self,
        f: f64,
        verb: char,
        value: &Value<'_>,
    ) -> Result<(), CallError> {
        match verb {
            'v' => self.float(f, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float(f, verb, None),
            'f' | 'F' | 'e' | 'E' => self.float(f, verb, Some(6)),
            _ => self.bad_verb(value, verb),
        }
    }

    pub(super) fn complex(
        &mut self,
        re: f64,
        im: f64,
        verb: char,
        value: &Value<'_>,
    ) -> Result<(), CallError> {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            return self.bad_verb(value, verb);
        }
        self.out.put("(")?;
        self.float_verb(re, verb, value)?;
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float_verb(im, verb, value)?;
        self.flags.plus = plus;
        self.out.put("i)")
    }

    fn float(&mut self, f: f64, verb: char, default: Option<usize>) -> Result<(), CallError> {
        let precision = self.flags.precision.or(default);
        let mut number = String::new();
        match verb {
            'X' if f.is_finite() => strconv::hex_float(f, precision, true, &mut number),
            'E' | 'G' => {
                let format = if verb == 'E' {
                    FloatFormat::Exponent
                } else {
                    FloatFormat::General
                };
                strconv::format_float(f, format, precision, &mut number);
                if f.is_finite() {
                    number.make_ascii_uppercase();
                }
            }
            _ => strconv::format_float(f, float_format(verb), precision, &mut number),
        }
        let (mut sign, digits) = match number.as_bytes().first() {
            Some(b'-') => ("-", number.get(1..).unwrap_or_default()),
            Some(b'+') => ("+", number.get(1..).unwrap_or_default()),
            _ => ("+", number.as_str()),
        };
        if self.flags.space && sign == "+" && !self.flags.plus {
            sign = " ";
        }
        if !f.is_finite() {
            let shown = if f.is_nan() && !self.flags.space && !self.flags.plus {
                ""
            } else {
                sign
            };
            let shown = if f.is_infinite() && sign == "+" && !self.flags.plus {
                "+"
            } else {
                shown
            };
            return self.pad_with_blanks(&format!("{shown}{digits}"));
        }
        let marked;
        let digits = if self.flags.sharp && verb != 'b' {
            marked = with_point(digits, verb, precision);
            marked.as_str()
        } else {
            digits
        };
        if !self.flags.plus && sign == "+" {
            return self.pad(digits);
        }
        let length = sign.len() + digits.len();
        if let Some(width) = self.flags.width
            && self.flags.zero
            && !self.flags.minus
            && width > length
        {
            self.out.put(sign)?;
            self.padding(width - length)?;
            return self.out.put(digits);
        }
        self.pad(&format!("{sign}{digits}"))
    }
}

fn char_of(code: u64) -> char {
    u32::try_from(code)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn float_format(verb: char) -> FloatFormat {
    match verb {
        'e' => FloatFormat::Exponent,
        'f' | 'F' => FloatFormat::Fixed,
        'b' => FloatFormat::Binary,
        'x' => FloatFormat::Hex,
        _ => FloatFormat::General,
    }
}

/// The `#` flag: always a decimal point, and for `%g` the zeros that the shortest form drops.
fn with_point(number: &str, verb: char, precision: Option<usize>) -> String {
    let mut missing: i64 = match verb {
        'g' | 'G' | 'x' => precision.map_or(6, |p| p as i64),
        _ => 0,
    };
    let tail_start = number
        .find(|c| matches!(c, 'p' | 'P') || (matches!(c, 'e' | 'E') && !matches!(verb, 'x' | 'X')))
        .unwrap_or(number.len());
    let (head, tail) = number.split_at(tail_start);
    let mut saw_nonzero = false;
    for c in head.chars().filter(|c| *c != '.') {
        saw_nonzero |= c != '0';
        missing -= i64::from(saw_nonzero);
    }
    let mut text = head.to_owned();
    if !head.contains('.') {
        missing -= i64::from(head == "0");
        text.push('.');
    }
    (0..missing).for_each(|_| text.push('0'));
    text.push_str(tail);
    text
}
