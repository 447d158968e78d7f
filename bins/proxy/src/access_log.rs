//! One line a request, off the path of the request: workers collect lines and hand them on in pieces to a thread that
//! writes.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use heimdall_server::telemetry::LogFormat;
use heimdall_server::{RequestId, redact_path};
use heimdall_types::{Clock, Timestamp};
use http::{Method, Uri};

/// A piece is handed on when it is this long, or this old.
const PIECE: usize = 32 * 1024;
const AGE: Duration = Duration::from_millis(100);
/// Pieces that may wait for a slow reader of the log; beyond that lines are lost rather than requests held up.
const WAITING: usize = 64;

/// Writes what the workers hand in to standard error, where the rest of the log goes.
#[derive(Debug)]
pub(crate) struct AccessLog {
    form: LogFormat,
    pieces: SyncSender<Vec<u8>>,
    writing: JoinHandle<()>,
}

impl AccessLog {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(crate) fn start(form: LogFormat) -> std::io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(WAITING);
        let write = move || {
            for piece in waiting {
                // Nobody is left to tell when standard error is closed.
                let _ = std::io::stderr().write_all(&piece);
            }
        };
        let writing = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(write)?;
        Ok(Self {
            form,
            pieces,
            writing,
        })
    }

    /// The end that one worker writes to.
    pub(crate) fn lines(&self, clock: Arc<dyn Clock>) -> Rc<Lines> {
        Rc::new_cyclic(|me| Lines {
            me: me.clone(),
            form: self.form,
            clock,
            pieces: self.pieces.clone(),
            piece: RefCell::default(),
            stamp: RefCell::default(),
            lost: Cell::new(0),
        })
    }

    /// Writes what is left, once all [`Lines`] are gone.
    pub(crate) fn finish(self) {
        drop(self.pieces);
        let _ = self.writing.join();
    }
}

/// What a line says.
pub(crate) struct Entry<'a> {
    pub(crate) method: &'a Method,
    /// Its query is left out: it may hold tokens.
    pub(crate) uri: &'a Uri,
    pub(crate) status: u16,
    pub(crate) rule: &'a str,
    pub(crate) source: IpAddr,
    pub(crate) took: Duration,
    /// Why it was refused; empty when it was not.
    pub(crate) reason: &'a str,
}

impl Entry<'_> {
    /// Hands it to whatever log the embedding program has.
    pub(crate) fn trace(&self) {
        let id = RequestId::generate();
        tracing::info!(
            target: "access", service = "proxy", request_id = id.as_str(), source = %self.source, method = %self.method,
            path = &*redact_path(self.uri.path()), status = self.status, rule = self.rule,
            micros = self.took.as_micros(), reason = self.reason, "request"
        );
    }
}

/// The lines of one worker.
pub(crate) struct Lines {
    me: Weak<Self>,
    form: LogFormat,
    clock: Arc<dyn Clock>,
    pieces: SyncSender<Vec<u8>>,
    piece: RefCell<Vec<u8>>,
    /// The present millisecond, as it is written.
    stamp: RefCell<(Option<Timestamp>, String)>,
    lost: Cell<u64>,
}

impl Lines {
    /// Writes a line down.
    pub(crate) fn note(&self, entry: &Entry<'_>) {
        let mut piece = self.piece.borrow_mut();
        let fresh = piece.is_empty();
        self.write(&mut piece, entry);
        if piece.len() >= PIECE {
            self.hand_on(&mut piece);
        } else if fresh && let Some(me) = self.me.upgrade() {
            tokio::task::spawn_local(async move {
                tokio::time::sleep(AGE).await;
                me.hand_on(&mut me.piece.borrow_mut());
            });
        }
    }

    fn hand_on(&self, piece: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        let full = std::mem::replace(piece, Vec::with_capacity(PIECE + 1024));
        let lines = full.iter().filter(|byte| **byte == b'\n').count() as u64;
        match self.pieces.try_send(full) {
            Ok(()) => {
                if let lost @ 1.. = self.lost.take() {
                    tracing::warn!(lost, "the reader of the access log is too slow");
                }
            }
            Err(_) => self.lost.set(self.lost.get() + lines),
        }
    }

    fn write(&self, out: &mut Vec<u8>, entry: &Entry<'_>) {
        let now = self.clock.now();
        let mut stamp = self.stamp.borrow_mut();
        if stamp.0 != Some(now) {
            *stamp = (Some(now), now.to_rfc3339());
        }
        let Entry {
            method,
            uri,
            status,
            rule,
            source,
            took,
            reason,
        } = entry;
        let id = RequestId::generate();
        let (at, id, path, micros) = (
            &stamp.1,
            id.as_str(),
            redact_path(uri.path()),
            took.as_micros(),
        );
        // Writing into memory does not fail.
        let _ = match self.form {
            LogFormat::Text => writeln!(
                out,
                "{at}  INFO access: request service=\"proxy\" request_id={id:?} source={source} method={method} path={path:?} status={status} rule={rule:?} micros={micros} reason={reason:?}"
            ),
            LogFormat::Json => writeln!(
                out,
                "{{\"timestamp\":\"{at}\",\"level\":\"INFO\",\"message\":\"request\",\"service\":\"proxy\",\"request_id\":\"{id}\",\"source\":\"{source}\",\"method\":\"{method}\",\"path\":{},\"status\":{status},\"rule\":{},\"micros\":{micros},\"reason\":{},\"target\":\"access\"}}",
                Quoted(&path),
                Quoted(rule),
                Quoted(reason),
            ),
        };
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let piece = std::mem::take(self.piece.get_mut());
        if !piece.is_empty() {
            // The last lines are worth waiting for.
            let _ = self.pieces.send(piece);
        }
    }
}

/// A text as JSON.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use heimdall_types::ManualClock;

    use super::*;

    fn line(form: LogFormat) -> String {
        let log = AccessLog::start(form).unwrap();
        let lines = log.lines(Arc::new(ManualClock::at(Timestamp::from_seconds(0))));
        let mut out = Vec::new();
        lines.write(
            &mut out,
            &Entry {
                method: &Method::GET,
                uri: &"/a?token=secret".parse().unwrap(),
                status: 403,
                rule: "r\"1",
                source: [127, 0, 0, 1].into(),
                took: Duration::from_micros(7),
                reason: "no\nway",
            },
        );
        drop(lines);
        log.finish();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_one_line_and_holds_no_query() {
        let text = line(LogFormat::Text);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(
            text.contains("path=\"/a\" status=403 rule=\"r\\\"1\""),
            "{text}"
        );
        assert!(!text.contains("secret"));
        let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(json["reason"], "no\nway");
        assert_eq!(
            (json["path"].as_str(), json["status"].as_u64()),
            (Some("/a"), Some(403))
        );
    }
}
