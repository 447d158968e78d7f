//! Server-sent events.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Where a reader resumes (`Last-Event-ID`).
    pub id: Option<String>,
    /// The kind; `None` is `message`, the one `EventSource.onmessage` hears.
    pub kind: Option<String>,
    /// The data, one or more lines.
    pub data: String,
}

impl Event {
    /// An event with this data and nothing else.
    pub fn data(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    fn encode(&self) -> Bytes {
        let mut text = String::with_capacity(self.data.len() + 16);
        // A line break inside a field would begin a field of the writer's choice.
        let mut field = |name: &str, value: &str| {
            for line in value.split(['\n', '\r']) {
                text.push_str(name);
                text.push_str(": ");
                text.push_str(line);
                text.push('\n');
            }
        };
        if let Some(id) = &self.id {
            field("id", &id.replace(['\n', '\r'], ""));
        }
        if let Some(kind) = &self.kind {
            field("event", &kind.replace(['\n', '\r'], ""));
        }
        field("data", &self.data);
        text.push('\n');
        Bytes::from(text)
    }
}

const HEARTBEAT: Duration = Duration::from_secs(15);

/// An answer that sends the events as they come, and a comment every 15 seconds so that a dead reader is noticed.
/// It ends when `events` ends.
pub fn answer(events: impl Stream<Item = Event> + 'static) -> HttpResponse {
    let beats = stream::unfold((), |()| async {
        tokio::time::sleep(HEARTBEAT).await;
        Some((None, ()))
    });
    // The end of `events` must end the answer although the heartbeat never ends.
    let events = events
        .map(|event| Some(Some(event)))
        .chain(stream::once(async { None }));
    let merged = stream::select(Box::pin(events), Box::pin(beats.map(Some)))
        .take_while(|item| std::future::ready(item.is_some()))
        .filter_map(std::future::ready)
        .map(|event: Option<Event>| {
            Ok::<_, actix_web::Error>(
                event.map_or_else(|| Bytes::from_static(b": still here\n\n"), |e| e.encode()),
            )
        });
    let opening = stream::once(async { Ok(Bytes::from_static(b": open\n\n")) });
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(opening.chain(merged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_never_begins_a_new_field() {
        let event = Event {
            id: Some("7\nevent: x".into()),
            kind: None,
            data: "a\nevent: b\r\nc".into(),
        };
        let text = String::from_utf8(event.encode().to_vec()).unwrap();
        assert!(
            text.lines().all(|line| line.starts_with("id: ")
                || line.starts_with("data: ")
                || line.is_empty())
        );
    }

    #[actix_web::test]
    async fn the_answer_ends_with_its_events() {
        let body = answer(stream::iter([Event::data("one")])).into_body();
        let all = actix_web::body::to_bytes(body).await.unwrap();
        assert_eq!(all, ": open\n\ndata: one\n\n");
    }
}
