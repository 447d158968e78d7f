use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::time::Instant;

use super::pool::Lease;
use crate::alarm::Patience;
use crate::guard::Running;

/// When the upstream last took a piece of a request's body.
pub(super) type Pulse = Rc<Cell<Instant>>;

/// The body of a request on its way to an upstream. Trailers of clients do not go on: nobody judged them.
pub(crate) enum Outgoing {
    /// None.
    Empty,
    /// Read before the verdict, because a step looked at it.
    Full(Option<Bytes>),
    /// Streamed from the client.
    Stream(Incoming, Pulse),
}

impl Outgoing {
    /// Passes on what the client sends.
    pub(crate) fn stream(body: Incoming) -> Self {
        Self::Stream(body, Rc::new(Cell::new(Instant::now())))
    }

    /// Whether it has to be sent in chunks, because nobody knows how long it will be.
    pub(crate) fn is_open_ended(&self) -> bool {
        !self.is_end_stream() && self.size_hint().exact().is_none()
    }

    pub(super) fn pulse(&self) -> Option<Pulse> {
        match self {
            Self::Stream(_, pulse) => Some(pulse.clone()),
            Self::Empty | Self::Full(_) => None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(body, pulse) => {
                let polled = Pin::new(body).poll_frame(cx);
                // Polled means that there is room for more, so what was given before is on its way.
                pulse.set(Instant::now());
                match polled {
                    Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => Poll::Ready(None),
                    other => other,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(body, _) => body.size_hint(),
        }
    }
}

/// The answer broke off.
#[derive(Debug, Error)]
pub(crate) enum ReplyError {
    #[error("the upstream broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the upstream said nothing for too long")]
    Stalled,
}

/// The body of an answer to the client.
#[derive(Default)]
pub(crate) struct Reply {
    source: Source,
    running: Option<Running>,
}

#[derive(Default)]
enum Source {
    #[default]
    Empty,
    Full(Bytes),
    Upstream(Box<Stream>),
}

/// An answer that is still coming.
struct Stream {
    body: Incoming,
    lease: Option<Lease>,
    limit: Option<Duration>,
    patience: Patience,
}

impl Reply {
    /// A text of our own.
    pub(crate) fn full(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let source = if text.is_empty() {
            Source::Empty
        } else {
            Source::Full(text)
        };
        Self {
            source,
            ..Self::default()
        }
    }

    /// Passes on what an upstream sends; no longer than `limit` without a piece of it.
    pub(super) fn upstream(body: Incoming, lease: Lease, limit: Option<Duration>) -> Self {
        if body.is_end_stream() {
            lease.finish();
            return Self::default();
        }
        let stream = Stream {
            body,
            lease: Some(lease),
            limit,
            patience: Patience::default(),
        };
        Self {
            source: Source::Upstream(Box::new(stream)),
            running: None,
        }
    }

    /// Counts the request as running until this body is gone.
    #[must_use]
    pub(crate) fn counted(mut self, running: Running) -> Self {
        self.running = Some(running);
        self
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return match self.limit {
                Some(limit) => self.patience.poll_over(cx, limit).map(|()| {
                    self.lease = None;
                    Some(Err(ReplyError::Stalled))
                }),
                None => Poll::Pending,
            };
        };
        self.patience.progress();
        match frame {
            Some(Err(error)) => {
                self.lease = None;
                return Poll::Ready(Some(Err(error.into())));
            }
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            _ => {
                if let Some(lease) = self.lease.take() {
                    lease.finish();
                }
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(ReplyError::Broken)))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        match &mut self.get_mut().source {
            Source::Empty => Poll::Ready(None),
            source @ Source::Full(_) => match std::mem::take(source) {
                Source::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
            Source::Upstream(stream) => stream.poll(cx).map(|frame| {
                if let Some(Err(error)) = &frame {
                    tracing::warn!(%error, "an answer was cut short");
                }
                frame
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Upstream(stream) => stream.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Upstream(stream) => stream.body.size_hint(),
        }
    }
}
