use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;

use super::Lease;
use crate::guard::Running;

/// The body of a request on its way to an upstream. Trailers of clients do not go on: nobody judged them.
pub(crate) enum Outgoing {
    /// None.
    Empty,
    /// Read before the verdict, because a step looked at it.
    Full(Option<Bytes>),
    /// Streamed from the client.
    Stream(Incoming),
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
            Self::Stream(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(None),
                other => Poll::Ready(other),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// The answer broke off.
#[derive(Debug, Error)]
#[error("the upstream broke off: {0}")]
pub(crate) struct ReplyError(#[from] hyper::Error);

/// The body of an answer to the client.
#[derive(Default)]
pub(crate) struct Reply {
    source: Source,
    lease: Option<Lease>,
    running: Option<Running>,
}

#[derive(Default)]
enum Source {
    #[default]
    Empty,
    Full(Bytes),
    Upstream(Incoming),
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

    pub(super) fn upstream(body: Incoming, lease: Option<Lease>) -> Self {
        if body.is_end_stream() {
            if let Some(lease) = lease {
                lease.finish();
            }
            return Self::default();
        }
        Self {
            source: Source::Upstream(body),
            lease,
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

impl Body for Reply {
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let me = self.get_mut();
        match &mut me.source {
            Source::Empty => Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                me.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Upstream(body) => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                let ended = match &frame {
                    None => true,
                    Some(Ok(_)) => body.is_end_stream(),
                    Some(Err(_)) => {
                        me.lease = None;
                        false
                    }
                };
                if ended && let Some(lease) = me.lease.take() {
                    lease.finish();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(ReplyError)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Upstream(body) => body.size_hint(),
        }
    }
}
