use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use heimdall_notifier::{DeadLetter, Outbox};
use heimdall_server::{Form, Query};
use heimdall_types::{AppId, AuditEntry, Journal, PageRequest};
use serde::Deserialize;
use serde_json::json;

use super::{managing, page};
use crate::listing::wanted;
use crate::pages::{Desk, PageAnswer, see_other};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/manage/undelivered", web::get().to(list))
        .route("/manage/undelivered/resend", web::post().to(resend));
}

#[derive(Debug, Default, Deserialize)]
struct At {
    cursor: Option<String>,
    #[serde(default)]
    sent: String,
}

async fn list(request: HttpRequest, at: Query<At>) -> PageAnswer {
    let desk = managing!(&request);
    let outbox: &dyn Outbox = desk.deps.store.as_ref();
    let found = outbox
        .dead(
            Some(&desk.viewer()?.app_id),
            &wanted(None, at.0.cursor.as_deref())?,
        )
        .await?;
    let rows = found.data.iter().map(|letter| {
        json!({
            "id": letter.notice.id, "kind": letter.notice.kind, "recipient": letter.notice.recipient,
            "attempts": letter.attempts, "error": letter.error, "at": desk.words.when(letter.at),
            "at_exact": letter.at.to_rfc3339(),
        })
    });
    let note = (!at.0.sent.is_empty())
        .then(|| json!({ "tone": "ok", "text": desk.words.t("It is on its way again.") }));
    let context =
        json!({ "rows": rows.collect::<Vec<_>>(), "next": found.next_cursor, "note": note });
    Ok(page(
        &desk,
        StatusCode::OK,
        "manage-undelivered.html",
        "undelivered",
        context,
    )
    .await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    csrf: String,
    id: String,
}

async fn resend(request: HttpRequest, given: Form<Named>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let Some(letter) = own(&desk, &viewer.app_id, &given.0.id).await? else {
        return Ok(desk.not_found().await);
    };
    let (deps, id) = (&desk.deps, &letter.notice.id);
    let outbox: &dyn Outbox = deps.store.as_ref();
    if outbox.resend(id, deps.clock.now()).await? {
        let entry = AuditEntry {
            app_id: Some(viewer.app_id.clone()),
            at: deps.clock.now(),
            actor: viewer.actor(),
            action: "notice.resent".to_owned(),
            target: id.to_string(),
            data: json!({ "kind": letter.notice.kind }),
        };
        deps.store
            .record(Journal {
                audit: vec![entry],
                ..Journal::default()
            })
            .await?;
    }
    Ok(see_other("/manage/undelivered?sent=1"))
}

// One of the App's own; another App's is as unknown as any.
async fn own(
    desk: &Desk,
    app: &AppId,
    id: &str,
) -> Result<Option<DeadLetter>, heimdall_types::Fault> {
    let outbox: &dyn Outbox = desk.deps.store.as_ref();
    let mut page = PageRequest {
        limit: PageRequest::MAX_LIMIT,
        cursor: None,
    };
    loop {
        let found = outbox.dead(Some(app), &page).await?;
        if let Some(letter) = found
            .data
            .into_iter()
            .find(|letter| letter.notice.id.as_str() == id)
        {
            return Ok(Some(letter));
        }
        page.cursor = found
            .next_cursor
            .and_then(|text| heimdall_types::Cursor::decode(&text).ok());
        if page.cursor.is_none() {
            return Ok(None);
        }
    }
}
