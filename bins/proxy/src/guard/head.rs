use memchr::memchr;

use super::{MAX_HEADERS, Refusal};

/// How the body of a request is framed. There is no other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// Exactly so many bytes, at least one.
    Length(u64),
    /// `Transfer-Encoding: chunked`, alone.
    Chunked,
}

/// What the guard has to know of a head it let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The framing of the body behind it.
    pub framing: Framing,
    /// Whether the client asks to leave HTTP. The bytes behind such a request are held back until it is clear
    /// whether they belong to a tunnel; they are never taken for another request (CVE-2026-2833).
    pub upgrade: bool,
}

/// Reads one complete head, with the empty line at its end.
///
/// # Errors
/// Everything that two programs could read in two ways: bare LF or CR, folded lines, blanks around a name, any
/// `Transfer-Encoding` but `chunked`, several lengths, no `Host` or two, a target that is neither a path nor a URL
/// of this very host.
pub fn check(head: &[u8]) -> Result<Head, Refusal> {
    let mut lines = Lines(head);
    let first = lines.next().ok_or(Refusal::bad("no request line"))??;
    let line = RequestLine::parse(first)?;
    let mut seen = Seen::default();
    for (count, header) in lines.by_ref().enumerate() {
        let header = header?;
        if header.is_empty() {
            break;
        }
        if count >= MAX_HEADERS {
            return Err(Refusal {
                status: 431,
                reason: "too many header lines",
            });
        }
        seen.header(header)?;
    }
    seen.conclude(&line)
}

/// The lines of a head, without their CR LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(end) = memchr(b'\n', self.0) else {
            return Some(Err(Refusal::bad("a line has no end")));
        };
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        // A bare CR inside is refused with the other control bytes.
        Some(match line.split_last() {
            Some((b'\r', line)) => Ok(line),
            _ => Err(Refusal::bad("bare LF")),
        })
    }
}

struct RequestLine<'a> {
    target: &'a [u8],
    old: bool,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::bad("the request line is not three words"));
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::bad("the method is no token"));
        }
        if method == b"CONNECT" {
            return Err(Refusal::bad("CONNECT"));
        }
        let old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Refusal::bad("unknown version")),
        };
        if !target
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'))
        {
            return Err(Refusal::bad("a byte that no target may have"));
        }
        Ok(Self { target, old })
    }

    /// The authority of an absolute target; `None` for a path.
    fn authority(&self) -> Result<Option<&'a [u8]>, Refusal> {
        if self.target.first() == Some(&b'/') {
            return Ok(None);
        }
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| strip_prefix_ignoring_case(self.target, scheme.as_bytes()))
            .ok_or(Refusal::bad("the target is neither a path nor a URL"))?;
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(rest.len());
        Ok(rest.get(..end))
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What the headers said so far about framing and host.
#[derive(Default)]
struct Seen<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    expects: bool,
}

impl<'a> Seen<'a> {
    fn header(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refusal::bad("folded line"));
        }
        let colon = memchr(b':', line).ok_or(Refusal::bad("a header without colon"))?;
        let (name, value) = line.split_at(colon);
        let value = trim(value.get(1..).unwrap_or_default());
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::bad("a header name is no token"));
        }
        if has_control_byte(value) {
            return Err(Refusal::bad("a control byte in a header"));
        }
        self.notice(name, value)
    }

    fn notice(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Refusal> {
        // `Transfer_Encoding` is another header to us and the same one to a server that maps names to variables.
        if name.contains(&b'_')
            && ["transfer_encoding", "content_length", "host"]
                .iter()
                .any(|n| same(name, n))
        {
            return Err(Refusal::bad("a framing header in another spelling"));
        }
        match name.len() {
            4 if same(name, "host") => match self.host.replace(value) {
                None if is_authority(value) => Ok(()),
                None => Err(Refusal::bad("the host is no host")),
                Some(_) => Err(Refusal::bad("two hosts")),
            },
            6 if same(name, "expect") => {
                self.expects = true;
                if same(value, "100-continue") {
                    Ok(())
                } else {
                    Err(Refusal {
                        status: 417,
                        reason: "an unknown expectation",
                    })
                }
            }
            7 if same(name, "upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if same(name, "content-length") => match self.length.replace(length(value)?) {
                None => Ok(()),
                Some(_) => Err(Refusal::bad("two lengths")),
            },
            17 if same(name, "transfer-encoding") => {
                if self.chunked || !same(value, "chunked") {
                    return Err(Refusal::bad(
                        "a transfer coding that is not `chunked` alone",
                    ));
                }
                self.chunked = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn conclude(&self, line: &RequestLine<'_>) -> Result<Head, Refusal> {
        let host = self.host.ok_or(Refusal::bad("no host"))?;
        if line
            .authority()?
            .is_some_and(|authority| !authority.eq_ignore_ascii_case(host))
        {
            return Err(Refusal::bad("the target names another host"));
        }
        let framing = match (self.chunked, self.length) {
            (true, Some(_)) => return Err(Refusal::bad("a transfer coding and a length")),
            (true, None) if line.old => return Err(Refusal::bad("a transfer coding in HTTP/1.0")),
            (true, None) => Framing::Chunked,
            (false, None | Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
        };
        Ok(Head {
            framing,
            upgrade: self.upgrade,
        })
    }
}

/// Looks at every byte whatever it finds, so that it can look at many at once.
fn has_control_byte(value: &[u8]) -> bool {
    value.iter().fold(false, |found, byte| {
        found | (*byte < b' ') & (*byte != b'\t') | (*byte == 0x7f)
    })
}

fn same(text: &[u8], other: &str) -> bool {
    text.eq_ignore_ascii_case(other.as_bytes())
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110 §8.6: digits alone. Nothing with more than 18 of them is a length that anybody sends.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::bad("the length is no number"));
    }
    Ok(value
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Whether a `Host` consists of bytes that hosts consist of; the canonical form is found later.
fn is_authority(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'~')
        })
}

/// RFC 9110 §5.6.2, as a table: every byte of every header name is looked up.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while let Some(entry) = table.split_at_mut(byte as usize).1.first_mut() {
        *entry = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

pub(super) fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(head: &str) -> bool {
        check(head.as_bytes()).is_err()
    }

    fn with(headers: &str) -> String {
        format!("POST /x HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n")
    }

    #[test]
    fn a_plain_head_passes_with_its_framing() {
        assert_eq!(
            check(with("").as_bytes()),
            Ok(Head {
                framing: Framing::None,
                upgrade: false
            })
        );
        assert_eq!(
            check(with("Content-Length: 3\r\n").as_bytes())
                .unwrap()
                .framing,
            Framing::Length(3)
        );
        assert_eq!(
            check(with("transfer-encoding: Chunked \r\n").as_bytes())
                .unwrap()
                .framing,
            Framing::Chunked
        );
        assert!(
            check(with("Upgrade: websocket\r\nConnection: upgrade\r\n").as_bytes())
                .unwrap()
                .upgrade
        );
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer_Encoding: chunked\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: 0x3\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: -1\r\n",
            "Content-Length:\r\n",
        ] {
            assert!(refused(&with(headers)), "{headers:?}");
        }
        assert!(refused(
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
    }

    #[test]
    fn odd_bytes_are_refused() {
        for headers in [
            "X-A: b\n",
            "X-A : b\r\n",
            "X-A: b\r\n c\r\n",
            "X-A: b\0c\r\n",
            ": b\r\n",
            "X-A\r\n",
            "X\u{1}Y: b\r\n",
            "X-A: b\rc\r\n",
            " X-A: b\r\n",
            "X-A: \u{7f}\r\n",
            "Host: b\r\n",
        ] {
            assert!(refused(&with(headers)), "{headers:?}");
        }
        for line in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.2",
            "GET /",
            "G@T / HTTP/1.1",
            "GET x HTTP/1.1",
            "GET /\\x HTTP/1.1",
            "GET /#a HTTP/1.1",
            "GET /ä HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
            "GET http://b.example/ HTTP/1.1",
            " GET / HTTP/1.1",
        ] {
            assert!(
                refused(&format!("{line}\r\nHost: a.example\r\n\r\n")),
                "{line:?}"
            );
        }
        for host in ["", "a,b", "a/b@c", "a b", "a@b", "\u{e4}"] {
            assert!(
                refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
                "{host:?}"
            );
        }
        assert!(refused("GET / HTTP/1.1\r\n\r\n"));
        assert!(!refused(
            "GET http://A.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n"
        ));
    }

    #[test]
    fn expectations_and_masses_have_their_own_status() {
        assert_eq!(
            check(with("Expect: 200-ok\r\n").as_bytes())
                .unwrap_err()
                .status,
            417
        );
        assert_eq!(
            check(with(&"A: b\r\n".repeat(MAX_HEADERS)).as_bytes())
                .unwrap_err()
                .status,
            431
        );
    }
}
