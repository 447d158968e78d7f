use actix_web::{HttpRequest, web};
use heimdall_server::{Form, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Wrong, managing, page, refused};
use crate::listing::wanted;
use crate::pages::{Desk, PageAnswer, see_other};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/manage/applications")
                .route(web::get().to(list))
                .route(web::post().to(make_key)),
        )
        .route("/manage/applications/end-key", web::post().to(end_key))
        .route("/manage/applications/end", web::post().to(end));
}

#[derive(Debug, Default, Deserialize)]
struct At {
    cursor: Option<String>,
}

async fn list(request: HttpRequest, at: Query<At>) -> PageAnswer {
    let desk = managing!(&request);
    show(
        &desk,
        at.0.cursor.as_deref(),
        &Wrong::default(),
        "",
        Value::Null,
    )
    .await
}

async fn show(
    desk: &Desk,
    cursor: Option<&str>,
    wrong: &Wrong,
    iss: &str,
    made: Value,
) -> PageAnswer {
    let found = desk
        .deps
        .workflows
        .applications(&desk.viewer()?.app_id, &wanted(None, cursor)?)
        .await
        .map_err(problem)?;
    let rows = found.data.iter().map(|application| {
        let newest = application.keys.len().saturating_sub(1);
        let keys = application.keys.iter().enumerate().rev().map(|(index, key)| {
            json!({
                "id": key.id, "newest": index == newest, "since": desk.words.when(key.created_at),
                "since_at": key.created_at.to_rfc3339(),
            })
        });
        json!({ "iss": application.iss, "keys": keys.collect::<Vec<_>>() })
    });
    let context = json!({
        "rows": rows.collect::<Vec<_>>(), "next": found.next_cursor, "made": made, "iss": iss,
        "errors": wrong.shown(), "audience": desk.deps.base_url,
    });
    Ok(page(
        desk,
        wrong.status(),
        "manage-applications.html",
        "applications",
        context,
    )
    .await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    csrf: String,
    iss: String,
    #[serde(default)]
    key: String,
}

// The answer of the POST shows the key: it is nowhere else, so there is no page to go on to.
async fn make_key(request: HttpRequest, given: Form<Given>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let iss = given.0.iss.trim();
    let outcome = desk
        .deps
        .workflows
        .application_key(&viewer.app_id, &viewer.actor(), iss)
        .await;
    match outcome {
        Ok((id, key)) => {
            let made = json!({ "iss": iss, "id": id, "key": key.expose() });
            show(&desk, None, &Wrong::default(), "", made).await
        }
        Err(error) => match Wrong::of(error) {
            Ok(wrong) => show(&desk, None, &wrong, iss, Value::Null).await,
            Err(error) => refused(&desk, error).await,
        },
    }
}

async fn end_key(request: HttpRequest, given: Form<Given>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let (iss, key) = (&given.0.iss, &given.0.key);
    let outcome = desk
        .deps
        .workflows
        .drop_application_key(&viewer.app_id, &viewer.actor(), iss, key)
        .await;
    match outcome {
        Ok(()) => Ok(see_other("/manage/applications")),
        Err(error) => refused(&desk, error).await,
    }
}

async fn end(request: HttpRequest, given: Form<Given>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let outcome = desk
        .deps
        .workflows
        .drop_application(&viewer.app_id, &viewer.actor(), &given.0.iss)
        .await;
    match outcome {
        Ok(()) => Ok(see_other("/manage/applications")),
        Err(error) => refused(&desk, error).await,
    }
}
