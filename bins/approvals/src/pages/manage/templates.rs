use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use heimdall_approval::workflows::{JitTemplate, TemplateChange, TemplateKind};
use heimdall_approval::{ApprovalError, Approver, DataSchema, FieldKind};
use heimdall_server::{Form, Query};
use heimdall_types::Fault;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Wrong, approvers_text, lines, managing, page, refused};
use crate::listing::wanted;
use crate::pages::{Desk, PageAnswer, see_other};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/manage/templates", web::get().to(list))
        .service(
            web::resource("/manage/new-template")
                .route(web::get().to(blank))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/manage/templates/{key}")
                .route(web::get().to(show))
                .route(web::post().to(change)),
        )
        .route("/manage/templates/{key}/switch", web::post().to(switch));
}

#[derive(Debug, Default, Deserialize)]
struct At {
    cursor: Option<String>,
}

async fn list(request: HttpRequest, at: Query<At>) -> PageAnswer {
    let desk = managing!(&request);
    let page_wanted = wanted(None, at.0.cursor.as_deref())?;
    let app = &desk.viewer()?.app_id;
    let found = desk.deps.workflows.templates(app, &page_wanted).await;
    let found = found.map_err(problem)?;
    let rows = found.data.iter().map(|template| {
        let fields = DataSchema::read(&template.data_schema).map_or(0, |schema| schema.fields.len());
        json!({
            "key": template.key, "name": template.name, "sign": template.kind == TemplateKind::SignAndApprove,
            "approvers": approvers_text(&template.approvers), "fields": fields, "on": template.enabled,
            "version": template.version,
        })
    });
    let context = json!({ "rows": rows.collect::<Vec<_>>(), "next": found.next_cursor });
    Ok(page(
        &desk,
        StatusCode::OK,
        "manage-templates.html",
        "templates",
        context,
    )
    .await)
}

/// The form, as it is filled in and as it comes back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Filled {
    csrf: String,
    key: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    title: String,
    approvers: String,
    groups: String,
    pass: String,
    fail: String,
    deadline_hours: String,
    data_schema: String,
    metadata: String,
}

impl Filled {
    fn of(template: &JitTemplate) -> Self {
        let number = |given: Option<u32>, usual: u32| given.unwrap_or(usual).to_string();
        let (mut people, mut groups) = (Vec::new(), Vec::new());
        for approver in &template.approvers {
            match approver {
                Approver::Group(group) => groups.push(group.clone()),
                Approver::Email(email) => people.push(email.to_string()),
                Approver::Account(account) => people.push(account.clone()),
            }
        }
        Self {
            csrf: String::new(),
            key: template.key.clone(),
            kind: kind_name(template.kind).to_owned(),
            name: template.name.clone(),
            title: template.title.clone(),
            approvers: people.join("\n"),
            groups: groups.join("\n"),
            pass: number(template.pass, 1),
            fail: number(template.fail, 1),
            deadline_hours: template.hours().to_string(),
            data_schema: pretty(&template.data_schema),
            metadata: metadata_text(&template.metadata),
        }
    }

    fn read(&self, new: bool) -> Result<TemplateChange, Wrong> {
        let mut wrong = Vec::new();
        let mut approvers = Vec::new();
        for (index, line) in lines(&self.approvers).enumerate() {
            match line.parse() {
                Ok(email) => approvers.push(Approver::Email(email)),
                // An account of a provider has no `@`, a mistyped address has one.
                Err(_) if !line.contains('@') => approvers.push(Approver::Account(line.to_owned())),
                Err(_) => wrong.push((
                    "approvers".to_owned(),
                    format!("approvers, line {}: `{line}` is no address", index + 1),
                )),
            }
        }
        approvers.extend(lines(&self.groups).map(|group| Approver::Group(group.to_owned())));
        let mut number = |name: &str, text: &str| match text.trim() {
            "" => None,
            text => match text.parse::<u32>() {
                Ok(number) if number > 0 => Some(number),
                _ => {
                    wrong.push((
                        name.to_owned(),
                        format!("{name}: must be a whole number from 1"),
                    ));
                    None
                }
            },
        };
        let (pass, fail) = (number("pass", &self.pass), number("fail", &self.fail));
        let deadline_hours = number("deadline_hours", &self.deadline_hours);
        let data_schema = match self.data_schema.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| {
                wrong.push((
                    "data_schema".to_owned(),
                    format!("data_schema: is no JSON: {error}"),
                ));
                Value::Null
            }),
        };
        let metadata = metadata_of(&self.metadata).unwrap_or_else(|reason| {
            wrong.push(("metadata".to_owned(), reason));
            Value::Null
        });
        if !wrong.is_empty() {
            return Err(Wrong(wrong));
        }
        Ok(TemplateChange {
            key: new.then(|| self.key.trim().to_owned()),
            name: Some(self.name.clone()),
            title: Some(self.title.clone()),
            kind: new.then(|| kind_of(&self.kind)),
            data_schema: Some(data_schema),
            metadata: Some(metadata),
            approvers: Some(approvers),
            pass,
            fail,
            deadline_hours,
            enabled: None,
        })
    }

    fn context(&self, wrong: &Wrong, saved: Option<&JitTemplate>) -> Value {
        let schema: Value = serde_json::from_str(&self.data_schema).unwrap_or_default();
        let fields = DataSchema::read(&schema).unwrap_or_default().fields;
        let fields = fields.iter().map(|field| {
            let kind = match (field.kind, field.format.as_deref()) {
                (FieldKind::Number | FieldKind::Integer, _) => "number",
                (FieldKind::Boolean, _) => "checkbox",
                (_, Some("date")) => "date",
                _ => "text",
            };
            json!({ "name": field.name, "title": field.title, "kind": kind, "required": field.required, "choices": field.choices })
        });
        json!({
            "new": saved.is_none(), "on": saved.is_some_and(|template| template.enabled),
            "revision": saved.map_or(0, |template| template.version), "sign": kind_of(&self.kind) == TemplateKind::SignAndApprove,
            "key": self.key, "name": self.name, "title": self.title, "approvers": self.approvers, "groups": self.groups,
            "pass": self.pass, "fail": self.fail, "deadline_hours": self.deadline_hours, "data_schema": self.data_schema,
            "metadata": self.metadata, "fields": fields.collect::<Vec<_>>(), "errors": wrong.shown(),
        })
    }
}

fn kind_of(text: &str) -> TemplateKind {
    match text {
        "sign_and_approve" => TemplateKind::SignAndApprove,
        _ => TemplateKind::Approve,
    }
}

fn kind_name(kind: TemplateKind) -> &'static str {
    match kind {
        TemplateKind::Approve => "approve",
        TemplateKind::SignAndApprove => "sign_and_approve",
    }
}

fn pretty(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => format!("{value:#}"),
    }
}

// `name = value` a line where that says all of it, else JSON.
fn metadata_text(metadata: &Value) -> String {
    let plain = |members: &Map<String, Value>| {
        let line = |(name, value): (&String, &Value)| Some(format!("{name} = {}", value.as_str()?));
        members.iter().map(line).collect::<Option<Vec<_>>>()
    };
    match metadata.as_object().and_then(plain) {
        Some(all) => all.join("\n"),
        None => pretty(metadata),
    }
}

fn metadata_of(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|error| format!("metadata: is no JSON: {error}"));
    }
    let mut members = Map::new();
    for (index, line) in lines(text).enumerate() {
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!(
                "metadata, line {}: write `name = value`",
                index + 1
            ));
        };
        members.insert(name.trim().to_owned(), value.trim().into());
    }
    Ok(Value::Object(members))
}

#[derive(Debug, Default, Deserialize)]
struct Sort {
    #[serde(default, rename = "type")]
    kind: String,
}

async fn blank(request: HttpRequest, sort: Query<Sort>) -> PageAnswer {
    let desk = managing!(&request);
    let filled = Filled {
        kind: kind_name(kind_of(&sort.0.kind)).to_owned(),
        pass: "1".to_owned(),
        fail: "1".to_owned(),
        deadline_hours: "24".to_owned(),
        ..Filled::default()
    };
    form(&desk, &filled, Wrong::default(), None).await
}

async fn form(
    desk: &Desk,
    filled: &Filled,
    wrong: Wrong,
    saved: Option<&JitTemplate>,
) -> PageAnswer {
    let context = filled.context(&wrong, saved);
    Ok(page(
        desk,
        wrong.status(),
        "manage-template.html",
        "templates",
        context,
    )
    .await)
}

async fn create(request: HttpRequest, given: Form<Filled>) -> PageAnswer {
    let desk = managing!(&request);
    save(&request, &desk, given.0, None).await
}

async fn found(desk: &Desk, key: &str) -> Result<JitTemplate, ApprovalError> {
    let viewer = desk.viewer().map_err(|_| ApprovalError::Forbidden)?;
    desk.deps.workflows.template(&viewer.app_id, key).await
}

async fn show(request: HttpRequest, key: web::Path<String>) -> PageAnswer {
    let desk = managing!(&request);
    match found(&desk, &key).await {
        Ok(template) => {
            form(
                &desk,
                &Filled::of(&template),
                Wrong::default(),
                Some(&template),
            )
            .await
        }
        Err(error) => refused(&desk, error).await,
    }
}

async fn change(request: HttpRequest, key: web::Path<String>, given: Form<Filled>) -> PageAnswer {
    let desk = managing!(&request);
    match found(&desk, &key).await {
        Ok(template) => save(&request, &desk, given.0, Some(template)).await,
        Err(error) => refused(&desk, error).await,
    }
}

async fn save(
    request: &HttpRequest,
    desk: &Desk,
    filled: Filled,
    saved: Option<JitTemplate>,
) -> PageAnswer {
    desk.check(request, &filled.csrf)?;
    let filled = match &saved {
        // What cannot be changed is shown as it is.
        Some(template) => Filled {
            key: template.key.clone(),
            kind: kind_name(template.kind).to_owned(),
            ..filled
        },
        None => filled,
    };
    let change = match filled.read(saved.is_none()) {
        Ok(change) => change,
        Err(wrong) => return form(desk, &filled, wrong, saved.as_ref()).await,
    };
    let viewer = desk.viewer()?;
    let key = saved.as_ref().map(|template| template.key.as_str());
    let outcome = desk
        .deps
        .workflows
        .save_template(&viewer.app_id, &viewer.actor(), key, change)
        .await;
    match outcome {
        Ok(_) => Ok(see_other("/manage/templates")),
        // Only the key is unique in an App.
        Err(ApprovalError::Fault(Fault::Duplicate(_))) => {
            let wrong = Wrong::at("key", "key: is taken already");
            form(desk, &filled, wrong, saved.as_ref()).await
        }
        Err(error) => match Wrong::of(error) {
            Ok(wrong) => form(desk, &filled, wrong, saved.as_ref()).await,
            Err(error) => refused(desk, error).await,
        },
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    csrf: String,
    on: bool,
}

async fn switch(request: HttpRequest, key: web::Path<String>, given: Form<Switch>) -> PageAnswer {
    let desk = managing!(&request);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let change = TemplateChange {
        enabled: Some(given.0.on),
        ..TemplateChange::default()
    };
    let outcome = desk
        .deps
        .workflows
        .save_template(&viewer.app_id, &viewer.actor(), Some(&key), change)
        .await;
    match outcome {
        Ok(_) => Ok(see_other("/manage/templates")),
        Err(error) => refused(&desk, error).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_written_and_read_as_lines() {
        let both = json!({ "cost_centre": "4410", "team": "a = b" });
        assert_eq!(metadata_of(&metadata_text(&both)).unwrap(), both);
        let deep = json!({ "a": { "b": 1 } });
        assert_eq!(metadata_of(&metadata_text(&deep)).unwrap(), deep);
        assert!(metadata_of("nothing").unwrap_err().contains("line 1"));
        assert_eq!(metadata_of(" ").unwrap(), Value::Null);
    }
}
