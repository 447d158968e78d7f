use super::head::is_token;
use super::{Framing, MAX_HEAD};

/// Most digits of a chunk size: 2^60 is enough for everybody and cannot overflow.
const MAX_SIZE_DIGITS: usize = 15;
/// Most bytes of chunk extensions in one line; nobody uses them but attackers.
const MAX_EXTENSION: usize = 256;

/// Where in a body the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing is left.
    Done,
    /// So many bytes are left.
    Length(u64),
    /// Inside the line that gives a chunk's size: digits seen, the size so far.
    Size { digits: usize, size: u64 },
    /// Inside an extension of a size line.
    Extension { size: u64, seen: usize },
    /// Behind the CR of a size line.
    SizeLf { size: u64 },
    /// So many bytes of a chunk are left.
    Data(u64),
    /// Behind a chunk's data.
    DataCr,
    /// Behind the CR behind a chunk's data.
    DataLf,
    /// Inside the trailer section: bytes of it, bytes of this line, whether the name is complete.
    Trailer {
        total: usize,
        line: usize,
        named: bool,
    },
    /// Behind a CR in the trailer section.
    TrailerLf { total: usize, empty: bool },
}

/// The framing of a body is broken; the connection cannot be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl From<Framing> for Body {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Size { digits: 0, size: 0 },
        }
    }
}

impl Body {
    /// Goes through `bytes` up to the end of the body; tells how many of them belong to it.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() && *self != Self::Done {
            at += match self {
                Self::Length(left) | Self::Data(left) => {
                    let here = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len() - at);
                    *left -= here as u64;
                    match self {
                        Self::Length(0) => *self = Self::Done,
                        Self::Data(0) => *self = Self::DataCr,
                        _ => {}
                    }
                    here
                }
                _ => {
                    let byte = bytes.get(at).copied().ok_or(Broken)?;
                    *self = self.step(byte)?;
                    1
                }
            };
        }
        Ok(at)
    }

    fn step(self, byte: u8) -> Result<Self, Broken> {
        Ok(match (self, byte) {
            (Self::Size { digits, size }, _)
                if byte.is_ascii_hexdigit() && digits < MAX_SIZE_DIGITS =>
            {
                let digit = char::from(byte).to_digit(16).ok_or(Broken)?;
                Self::Size {
                    digits: digits + 1,
                    size: size << 4 | u64::from(digit),
                }
            }
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeLf { size },
            (Self::Size { digits: 1.., size }, b';') => Self::Extension { size, seen: 0 },
            (Self::Extension { size, .. }, b'\r') => Self::SizeLf { size },
            (Self::Extension { size, seen }, b' '..=b'~') if seen < MAX_EXTENSION => {
                Self::Extension {
                    size,
                    seen: seen + 1,
                }
            }
            (Self::SizeLf { size: 0 }, b'\n') => Self::Trailer {
                total: 0,
                line: 0,
                named: false,
            },
            (Self::SizeLf { size }, b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { digits: 0, size: 0 },
            (Self::Trailer { total, line, named }, b'\r') if named || line == 0 => {
                Self::TrailerLf {
                    total,
                    empty: line == 0,
                }
            }
            (Self::Trailer { total, line, named }, _) if total < MAX_HEAD => {
                trailer(total, line, named, byte)?
            }
            (Self::TrailerLf { empty: true, .. }, b'\n') => Self::Done,
            (
                Self::TrailerLf {
                    total,
                    empty: false,
                },
                b'\n',
            ) => Self::Trailer {
                total,
                line: 0,
                named: false,
            },
            _ => return Err(Broken),
        })
    }
}

fn trailer(total: usize, line: usize, named: bool, byte: u8) -> Result<Body, Broken> {
    let legal = if named {
        byte == b'\t' || byte >= b' ' && byte != 0x7f
    } else {
        is_token(byte) || byte == b':' && line > 0
    };
    if !legal {
        return Err(Broken);
    }
    Ok(Body::Trailer {
        total: total + 1,
        line: line + 1,
        named: named || byte == b':',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8], piece: usize) -> Result<(usize, Body), Broken> {
        let (mut body, mut total) = (Body::from(Framing::Chunked), 0);
        for part in bytes.chunks(piece) {
            total += body.advance(part)?;
        }
        Ok((total, body))
    }

    #[test]
    fn a_chunked_body_ends_where_it_ends_however_it_is_cut() {
        let bytes = b"5;a=b\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\nGET /";
        for piece in 1..bytes.len() {
            assert_eq!(
                run(bytes, piece),
                Ok((bytes.len() - 5, Body::Done)),
                "{piece}"
            );
        }
    }

    #[test]
    fn sizes_that_others_read_differently_break_the_connection() {
        for bytes in [
            "0x3\r\nabc\r\n",
            "+3\r\nabc\r\n",
            " 3\r\nabc\r\n",
            "3 \r\nabc\r\n",
            "10000000000000000\r\n",
            "\r\n",
            ";a\r\n",
            "3\nabc\r\n",
            "3;a\nb\r\nabc\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "0\r\n X: 1\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX: 1\n\r\n",
            "-1\r\n",
            "3\rabc",
        ] {
            assert_eq!(run(bytes.as_bytes(), 64), Err(Broken), "{bytes:?}");
        }
    }

    #[test]
    fn a_length_counts_bytes() {
        let mut body = Body::from(Framing::Length(5));
        assert_eq!(body.advance(b"abc"), Ok(3));
        assert_eq!(body.advance(b"defg"), Ok(2));
        assert_eq!(body, Body::Done);
    }
}
