//! The mails of a first look: only where they are written to a folder, and only for this machine.

use std::path::{Path, PathBuf};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Problem, Query};
use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Desk, PageAnswer};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/mailbox", web::get().to(show))
        .route("/mailbox/{name}", web::get().to(source));
}

#[derive(Debug, Default, Deserialize)]
struct Choice {
    mail: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Letter {
    name: String,
    subject: String,
    from: String,
    to: String,
    message_id: String,
    when: String,
    text: String,
    link: Option<String>,
}

async fn show(request: HttpRequest, choice: Query<Choice>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    let Some(folder) = allowed(&desk, &request) else {
        return Ok(desk.not_found().await);
    };
    let (words, wanted) = (desk.words.clone(), choice.0.mail);
    let mails = web::block(move || letters(&folder, &words))
        .await
        .map_err(Problem::internal)?;
    let open = mails
        .iter()
        .find(|mail| Some(&mail.name) == wanted.as_ref())
        .or(mails.first())
        .cloned();
    Ok(desk
        .page(
            StatusCode::OK,
            "mailbox.html",
            "",
            json!({"mails": mails, "open": open}),
        )
        .await)
}

async fn source(request: HttpRequest, name: web::Path<String>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && name.ends_with(".eml");
    let folder = allowed(&desk, &request).filter(|_| plain && !name.contains(".."));
    let Some(folder) = folder else {
        return Ok(desk.not_found().await);
    };
    let path = folder.join(name.as_str());
    match web::block(move || std::fs::read(path))
        .await
        .map_err(Problem::internal)?
    {
        Ok(bytes) => Ok(HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .body(bytes)),
        Err(_) => Ok(desk.not_found().await),
    }
}

fn allowed(desk: &Desk, request: &HttpRequest) -> Option<PathBuf> {
    let local = request
        .peer_addr()
        .is_some_and(|peer| peer.ip().is_loopback());
    desk.deps.mailbox.clone().filter(|_| local)
}

fn letters(folder: &Path, words: &super::Wording) -> Vec<Letter> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<(std::time::SystemTime, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let at = entry.metadata().ok()?.modified().ok()?;
            name.ends_with(".eml").then_some((at, name))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    let recent = found.into_iter().take(50);
    recent
        .filter_map(|(at, name)| letter(folder, at, name, words))
        .collect()
}

fn letter(
    folder: &Path,
    at: std::time::SystemTime,
    name: String,
    words: &super::Wording,
) -> Option<Letter> {
    let raw = std::fs::read_to_string(folder.join(&name)).ok()?;
    let millis = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    let read = heimdall_transport::read_mail(&raw)?;
    let link = read
        .text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("http"))
        .map(str::to_owned);
    Some(Letter {
        name,
        subject: read.subject,
        from: read.from,
        to: read.to,
        message_id: read.message_id,
        when: words.when(Timestamp::from_millis(i64::try_from(millis).ok()?)),
        text: read.text,
        link,
    })
}
