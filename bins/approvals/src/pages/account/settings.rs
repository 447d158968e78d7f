use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::accounts::{AccountError, LoggedIn};
use heimdall_server::{Form, Problem, Query};
use heimdall_types::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::activate::wrong_text;
use super::{owner, refused, told};
use crate::account;
use crate::pages::{Desk, PageAnswer, see_other};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/account/settings", web::get().to(home))
        .service(
            web::resource("/account/settings/profile")
                .route(web::get().to(profile))
                .route(web::post().to(change_profile)),
        )
        .service(
            web::resource("/account/settings/password")
                .route(web::get().to(password))
                .route(web::post().to(change_password)),
        )
        .service(
            web::resource("/account/settings/delete")
                .route(web::get().to(delete))
                .route(web::post().to(do_delete)),
        );
}

async fn home() -> HttpResponse {
    see_other(super::HOME)
}

#[derive(Debug, Default, Deserialize)]
struct Note {
    #[serde(default)]
    done: String,
}

struct Tab<'a> {
    name: &'a str,
    template: &'a str,
    note: Option<&'a str>,
    wrong: Option<(&'a str, &'a str)>,
}

async fn tab(desk: &Desk, who: &LoggedIn, tab: Tab<'_>, mut context: Value) -> HttpResponse {
    if let Some(members) = context.as_object_mut() {
        members.insert("tab".to_owned(), tab.name.into());
        members.insert(
            "done".to_owned(),
            json!(tab.note.map(|key| desk.words.t(key))),
        );
        members.insert("problem".to_owned(), wrong_text(desk, tab.wrong));
        members.insert("email".to_owned(), json!(who.account.email));
        let token = desk.deps.csrf.token(&account::subject(who));
        members.insert("csrf".to_owned(), token.into());
        let has = who.account.password.is_some();
        members.insert("has_password".to_owned(), has.into());
    }
    let status = if tab.wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    desk.page(status, tab.template, "", context).await
}

async fn profile(request: HttpRequest, note: Query<Note>) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    let note = match note.0.done.as_str() {
        "saved" => Some("Profile saved."),
        "unlinked" => Some("The log-in is not linked any more."),
        _ => None,
    };
    profile_tab(&desk, &who, note, None).await
}

async fn profile_tab(
    desk: &Desk,
    who: &LoggedIn,
    note: Option<&str>,
    wrong: Option<(&str, &str)>,
) -> PageAnswer {
    let accounts = &desk.deps.accounts;
    let mut logins: Vec<Value> = accounts
        .providers()
        .map(|(id, name)| {
            let known = who.identities.iter().find(|known| known.provider == id);
            json!({
                "id": id, "name": name, "linked": known.is_some(), "subject": known.map(|k| &k.subject),
                "theirs": known.map(|k| &k.name), "email": known.and_then(|k| k.email.as_ref()),
                "since": known.map(|k| desk.words.when(k.since)),
                "href": format!("/account/oauth/{id}/start?next=%2Faccount%2Fsettings%2Fprofile"),
            })
        })
        .collect();
    // A provider that the operator took away can still be unlinked.
    let gone = who
        .identities
        .iter()
        .filter(|known| accounts.providers().all(|(id, _)| id != known.provider));
    logins.extend(gone.map(|known| {
        json!({
            "id": known.provider, "name": known.provider, "linked": true, "subject": known.subject,
            "theirs": known.name, "email": known.email, "since": desk.words.when(known.since),
        })
    }));
    let sessions = accounts.sessions(who).await.map_err(account::problem)?;
    let sessions = sessions.iter().map(|session| {
        json!({
            "agent": session.agent, "since": desk.words.when(session.since),
            "here": session.hash == who.session.hash,
        })
    });
    let context = json!({
        "first_name": who.account.first_name, "last_name": who.account.last_name,
        "logins": logins, "sessions": sessions.collect::<Vec<_>>(),
    });
    let shown = Tab {
        name: "profile",
        template: "account-profile.html",
        note,
        wrong,
    };
    Ok(tab(desk, who, shown, context).await)
}

#[derive(Debug, Deserialize)]
struct ProfileForm {
    csrf: String,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    unlink: Option<String>,
}

async fn change_profile(request: HttpRequest, given: Form<ProfileForm>) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    let given = given.0;
    desk.deps
        .csrf
        .check(&request, &account::subject(&who), &given.csrf)?;
    let accounts = &desk.deps.accounts;
    let (done, note) = match &given.unlink {
        Some(provider) => (accounts.unlink(&who, provider).await, "unlinked"),
        None => (
            accounts
                .rename(&who, &given.first_name, &given.last_name)
                .await,
            "saved",
        ),
    };
    match done {
        Ok(()) => Ok(see_other(&format!("/account/settings/profile?done={note}"))),
        Err(AccountError::Invalid { field, reason }) => {
            profile_tab(&desk, &who, None, Some((field, reason))).await
        }
        Err(error) => refused(&desk, error).await,
    }
}

async fn password(request: HttpRequest, note: Query<Note>) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    let note = match note.0.done.as_str() {
        "changed" => Some("Password changed. You are logged out in all other browsers."),
        "mailed" => Some("A mail with a link is on its way to you."),
        _ => None,
    };
    Ok(password_tab(&desk, &who, note, None).await)
}

async fn password_tab(
    desk: &Desk,
    who: &LoggedIn,
    note: Option<&str>,
    wrong: Option<(&str, &str)>,
) -> HttpResponse {
    let shown = Tab {
        name: "password",
        template: "account-password.html",
        note,
        wrong,
    };
    tab(desk, who, shown, json!({})).await
}

#[derive(Debug, Deserialize)]
struct PasswordForm {
    csrf: String,
    current: Option<Secret>,
    new: Option<Secret>,
    again: Option<Secret>,
}

async fn change_password(request: HttpRequest, given: Form<PasswordForm>) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    let given = given.0;
    desk.deps
        .csrf
        .check(&request, &account::subject(&who), &given.csrf)?;
    let accounts = &desk.deps.accounts;
    let empty = || Secret::new("");
    let (done, note) = if who.account.password.is_none() {
        // There is nothing to prove oneself by but the mailbox.
        (accounts.mail_password_link(&who.account).await, "mailed")
    } else {
        let (current, new) = (
            given.current.unwrap_or_else(empty),
            given.new.unwrap_or_else(empty),
        );
        let again = given.again.unwrap_or_else(empty);
        let changed = accounts.change_password(&who, current, new, &again).await;
        (changed, "changed")
    };
    match done {
        Ok(()) => Ok(see_other(&format!(
            "/account/settings/password?done={note}"
        ))),
        Err(AccountError::Invalid { field, reason }) => {
            Ok(password_tab(&desk, &who, None, Some((field, reason))).await)
        }
        Err(error) => refused(&desk, error).await,
    }
}

async fn delete(request: HttpRequest) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    delete_tab(&desk, &who, None).await
}

async fn delete_tab(desk: &Desk, who: &LoggedIn, wrong: Option<(&str, &str)>) -> PageAnswer {
    let open = desk.deps.accounts.open_steps(who).await;
    let open = open.map_err(account::problem)?;
    let shown = Tab {
        name: "delete",
        template: "account-delete.html",
        note: None,
        wrong,
    };
    Ok(tab(desk, who, shown, json!({ "open": open })).await)
}

#[derive(Debug, Deserialize)]
struct DeleteForm {
    csrf: String,
    password: Option<Secret>,
    sure: Option<String>,
}

async fn do_delete(request: HttpRequest, given: Form<DeleteForm>) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    let given = given.0;
    desk.deps
        .csrf
        .check(&request, &account::subject(&who), &given.csrf)?;
    if given.sure.is_none() {
        let wrong = ("sure", "must be ticked");
        return delete_tab(&desk, &who, Some(wrong)).await;
    }
    let password = given.password.unwrap_or_else(|| Secret::new(""));
    match desk.deps.accounts.delete(&who, password).await {
        Ok(()) => {
            let advice = "Your name and address are removed. The audit keeps your decisions under a pseudonym.";
            let mut answer = told(&desk, StatusCode::OK, "Your account is deleted", advice).await;
            answer
                .add_cookie(&account::no_session(&desk.deps))
                .map_err(Problem::internal)?;
            Ok(answer)
        }
        Err(AccountError::Invalid { field, reason }) => {
            delete_tab(&desk, &who, Some((field, reason))).await
        }
        Err(error) => refused(&desk, error).await,
    }
}
