use actix_web::{HttpRequest, web};
use heimdall_approval::{NotificationConfig, NotificationConfigs, NotificationInput};
use heimdall_server::{Form, Query};
use serde::Deserialize;
use serde_json::json;

use super::{Wrong, lines, managing, page, refused};
use crate::listing::wanted;
use crate::pages::{Desk, PageAnswer, home, see_other};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/manage/notifications")
                .route(web::get().to(list))
                .route(web::post().to(save)),
        )
        .route("/manage/notifications/delete", web::post().to(delete));
}

#[derive(Debug, Default, Deserialize)]
struct At {
    cursor: Option<String>,
    #[serde(default)]
    edit: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Filled {
    csrf: String,
    id: String,
    name: String,
    recipients: String,
    use_for_external_approvals: String,
}

impl Filled {
    fn of(config: &NotificationConfig) -> Self {
        let addresses: Vec<String> = config.recipients.iter().map(ToString::to_string).collect();
        Self {
            csrf: String::new(),
            id: config.id.to_string(),
            name: config.name.clone(),
            recipients: addresses.join("\n"),
            use_for_external_approvals: if config.use_for_external_approvals {
                "on"
            } else {
                ""
            }
            .to_owned(),
        }
    }
}

fn configs(desk: &Desk) -> NotificationConfigs {
    let deps = &desk.deps;
    NotificationConfigs::new(deps.store.clone(), deps.clock.clone(), deps.rng.clone())
}

async fn list(request: HttpRequest, at: Query<At>) -> PageAnswer {
    let desk = managing!(&request);
    let filled = if at.0.edit.is_empty() {
        Filled::default()
    } else {
        match configs(&desk)
            .config(&desk.viewer()?.app_id, &at.0.edit)
            .await
        {
            Ok(config) => Filled::of(&config),
            Err(error) => return refused(&desk, error).await,
        }
    };
    show(&desk, at.0.cursor.as_deref(), &filled, &Wrong::default()).await
}

async fn show(desk: &Desk, cursor: Option<&str>, filled: &Filled, wrong: &Wrong) -> PageAnswer {
    let found = configs(desk)
        .configs(&desk.viewer()?.app_id, &wanted(None, cursor)?)
        .await
        .map_err(problem)?;
    let roles = home::roles(desk).await?;
    let rows = found.data.iter().map(|config| {
        let carry = |role: &&heimdall_tenant::view::RoleView| {
            role.notification_configs.iter().any(|id| *id == config.id.to_string())
        };
        let carrying: Vec<&str> = roles.iter().filter(carry).map(|role| role.name.as_str()).collect();
        json!({
            "id": config.id, "name": config.name, "external": config.use_for_external_approvals, "roles": carrying,
            "recipients": config.recipients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        })
    });
    // A role that can be asked for and that nobody decides: its requests are refused.
    let silent = roles.iter().filter(|role| {
        let asked = role.requestable.as_ref();
        asked.is_some_and(|asked| asked.approval.is_none()) && role.notification_configs.is_empty()
    });
    let context = json!({
        "rows": rows.collect::<Vec<_>>(), "next": found.next_cursor, "id": filled.id, "name": filled.name,
        "recipients": filled.recipients, "external": !filled.use_for_external_approvals.is_empty(),
        "silent": silent.map(|role| &role.name).collect::<Vec<_>>(), "errors": wrong.shown(),
    });
    Ok(page(
        desk,
        wrong.status(),
        "manage-notifications.html",
        "notifications",
        context,
    )
    .await)
}

async fn save(request: HttpRequest, given: Form<Filled>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let (filled, viewer) = (given.0, desk.viewer()?);
    let input = NotificationInput {
        name: Some(filled.name.clone()),
        recipients: Some(lines(&filled.recipients).map(str::to_owned).collect()),
        use_for_external_approvals: Some(!filled.use_for_external_approvals.is_empty()),
    };
    let (app, actor) = (&viewer.app_id, viewer.actor());
    let outcome = if filled.id.is_empty() {
        configs(&desk).create(app, &actor, &input).await
    } else {
        configs(&desk).change(app, &actor, &filled.id, &input).await
    };
    match outcome {
        Ok(_) => Ok(see_other("/manage/notifications")),
        Err(error) => match Wrong::of(error) {
            Ok(wrong) => show(&desk, None, &filled, &by_line(wrong)).await,
            Err(error) => refused(&desk, error).await,
        },
    }
}

// `recipients.1` is what a program calls the second line.
fn by_line(wrong: Wrong) -> Wrong {
    let said = wrong.0.into_iter().map(|(anchor, text)| {
        let index = text
            .strip_prefix("recipients.")
            .and_then(|rest| rest.split_once(": "));
        let line = index.and_then(|(index, reason)| Some((index.parse::<usize>().ok()?, reason)));
        match line {
            Some((index, reason)) => (anchor, format!("recipients, line {}: {reason}", index + 1)),
            None => (anchor, text),
        }
    });
    Wrong(said.collect())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    csrf: String,
    id: String,
}

async fn delete(request: HttpRequest, given: Form<Named>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    match configs(&desk)
        .delete(&viewer.app_id, &viewer.actor(), &given.0.id)
        .await
    {
        Ok(()) => Ok(see_other("/manage/notifications")),
        Err(error) => refused(&desk, error).await,
    }
}
