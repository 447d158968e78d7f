use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use heimdall_tenant::entity::Requestable;
use heimdall_tenant::input::{NewRole, RolePatch};
use heimdall_tenant::view::{PermissionView, RoleView};
use heimdall_tenant::{Caller, TenantError};
use heimdall_types::PageRequest;
use serde_json::{Value, json};

use super::desk::{Desk, rows, steps};
use super::fields::Fields;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/roles")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/apps/{app}/roles/{role}")
                .route(web::get().to(show))
                .route(web::post().to(change)),
        );
}

async fn list(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let page = desk
            .deps
            .tenants
            .roles(&desk.caller, &app, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "roles.html",
            "roles",
            Some(&app),
            json!({"list": rows(page)}),
        ))
    })
}

async fn create(request: HttpRequest, app: web::Path<String>, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let new = NewRole {
            name: fields.get("name").unwrap_or_default().to_owned(),
            display_name: fields.get("display_name").map(str::to_owned),
            permissions: fields.words("permissions"),
            ..NewRole::default()
        };
        let role = desk
            .deps
            .tenants
            .create_role(&desk.caller, &app, new)
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.to(&format!("/apps/{app}/roles/{}", role.name)))
    })
}

async fn show(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let (app, name) = path.into_inner();
        let role = desk
            .deps
            .tenants
            .role(&desk.caller, &app, &name)
            .await
            .map_err(|e| desk.refused(e))?;
        let first = PageRequest {
            limit: PageRequest::MAX_LIMIT,
            cursor: None,
        };
        let catalogue = desk
            .deps
            .tenants
            .permissions(&desk.caller, &app, &first)
            .await
            .map_err(|e| desk.refused(e))?
            .data;
        Ok(desk.page(
            "role.html",
            "roles",
            Some(&app),
            context(&desk.caller, &role, &catalogue, Value::Null),
        ))
    })
}

async fn change(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: Bytes,
) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let (app, name) = path.into_inner();
        let tenants = &desk.deps.tenants;
        if fields.get("action") == Some("delete") {
            tenants
                .delete_role(&desk.caller, &app, &name, None)
                .await
                .map_err(|e| desk.refused(e))?;
            return Ok(desk.to(&format!("/apps/{app}/roles")));
        }
        let stored = tenants
            .role(&desk.caller, &app, &name)
            .await
            .map_err(|e| desk.refused(e))?;
        let mut permissions: BTreeSet<String> =
            fields.all("permissions").map(str::to_owned).collect();
        permissions.extend(fields.words("more"));
        let removed: Vec<&String> = stored
            .permissions
            .iter()
            .filter(|held| !permissions.contains(*held))
            .collect();
        if !removed.is_empty() && fields.get("sure") != Some("yes") {
            // What takes something from people is shown once more before it is saved.
            let first = PageRequest {
                limit: PageRequest::MAX_LIMIT,
                cursor: None,
            };
            let catalogue = tenants
                .permissions(&desk.caller, &app, &first)
                .await
                .map_err(|e| desk.refused(e))?
                .data;
            let asked = RoleView {
                permissions: permissions.iter().cloned().collect(),
                ..stored.clone()
            };
            return Ok(desk.page(
                "role.html",
                "roles",
                Some(&app),
                context(&desk.caller, &asked, &catalogue, json!(removed)),
            ));
        }
        let patch = patch(&stored, &fields, permissions).map_err(|e| desk.refused(e))?;
        tenants
            .update_role(&desk.caller, &app, &name, patch, None)
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.to(&format!("/apps/{app}/roles/{name}")))
    })
}

fn patch(
    stored: &RoleView,
    fields: &Fields,
    permissions: BTreeSet<String>,
) -> Result<RolePatch, TenantError> {
    let requestable = match (fields.get("requestable"), fields.get("max_minutes")) {
        (None, _) => None,
        (Some(_), minutes) => Some(Requestable {
            max_minutes: minutes
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| TenantError::malformed("max_minutes", "must be a number"))?,
            approval: stored
                .requestable
                .as_ref()
                .and_then(|known| known.approval.clone()),
        }),
    };
    let configs = fields.words("notification_configs");
    Ok(RolePatch {
        display_name: fields.get("display_name").map(str::to_owned),
        description: Some(fields.get("description").unwrap_or_default().to_owned()),
        permissions: Some(permissions.into_iter().collect()),
        includes: Some(fields.words("includes")),
        requestable: (requestable != stored.requestable).then_some(requestable),
        notification_configs: (configs != stored.notification_configs).then_some(configs),
    })
}

/// Areas down, actions across; what does not fit into the table stands below it as text.
fn context(
    caller: &Caller,
    role: &RoleView,
    catalogue: &[PermissionView],
    removed: Value,
) -> Value {
    let mine = |permission: &str| match caller {
        Caller::Principal(principal) => principal.may(permission),
        _ => true,
    };
    let known: BTreeMap<(&str, &str), &PermissionView> = catalogue
        .iter()
        .filter_map(|entry| Some((entry.permission.split_once(':')?, entry)))
        .filter(|((_, action), _)| !action.contains(':'))
        .collect();
    let areas: BTreeSet<&str> = known.keys().map(|(area, _)| *area).collect();
    let actions: BTreeSet<&str> = known.keys().map(|(_, action)| *action).collect();
    let own = |permission: &str| role.permissions.iter().any(|held| held == permission);
    let cell = |area: &str, action: &str| {
        let permission = format!("{area}:{action}");
        let exists = known.contains_key(&(area, action));
        let via = !own(&permission) && role.effective_permissions.contains(&permission);
        json!({"permission": permission, "exists": exists, "own": own(&permission), "via": via, "locked": !mine(&permission)})
    };
    let lines: Vec<Value> = areas
        .iter()
        .map(|area| {
            let cells: Vec<Value> = actions.iter().map(|action| cell(area, action)).collect();
            json!({"area": area, "cells": cells, "all": {"permission": format!("{area}:*"), "own": own(&format!("{area}:*"))}})
        })
        .collect();
    let drawn = |held: &str| {
        held.split_once(':').is_some_and(|(area, action)| {
            areas.contains(area) && (action == "*" || known.contains_key(&(area, action)))
        })
    };
    let more: Vec<&String> = role
        .permissions
        .iter()
        .filter(|held| !drawn(held))
        .collect();
    json!({"role": role, "actions": actions, "lines": lines, "more": more, "removed": removed})
}
