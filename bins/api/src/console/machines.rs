use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use heimdall_tenant::TenantError;
use heimdall_tenant::input::{NewCredential, NewInvite, NewWebhook};
use serde_json::json;

use super::desk::{Desk, rows, steps};
use super::fields::Fields;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/credentials")
                .route(web::get().to(credentials))
                .route(web::post().to(change_credentials)),
        )
        .service(
            web::resource("/apps/{app}/invites")
                .route(web::get().to(invites))
                .route(web::post().to(change_invites)),
        )
        .service(
            web::resource("/apps/{app}/webhooks")
                .route(web::get().to(webhooks))
                .route(web::post().to(change_webhooks)),
        );
}

async fn credentials(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let page = desk
            .deps
            .tenants
            .credentials(&desk.caller, &app, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "credentials.html",
            "credentials",
            Some(&app),
            json!({"list": rows(page)}),
        ))
    })
}

async fn change_credentials(
    request: HttpRequest,
    app: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let (tenants, caller) = (&desk.deps.tenants, &desk.caller);
        let (id, back) = (
            fields.get("id").unwrap_or_default(),
            format!("/console/apps/{app}/credentials"),
        );
        let once = |id: &str, secret: &str| {
            let shown = [("Client id", id), ("Client secret", secret)];
            desk.once(
                Some(&app),
                "New secret",
                &shown,
                "Copy it now. It is not shown again.",
                &back,
            )
        };
        match fields.get("action") {
            Some("create") => {
                let new = NewCredential {
                    name: fields.get("name").unwrap_or_default().to_owned(),
                    roles: fields.words("roles"),
                    ..NewCredential::default()
                };
                let made = tenants
                    .create_credential(caller, &app, new)
                    .await
                    .map_err(|e| desk.refused(e))?;
                return Ok(once(
                    made.credential.client_id.as_str(),
                    &made.client_secret,
                ));
            }
            Some("secret") => {
                let made = tenants
                    .add_secret(caller, &app, id)
                    .await
                    .map_err(|e| desk.refused(e))?;
                return Ok(once(id, &made.client_secret));
            }
            Some("end") => {
                let secret = fields.get("secret").unwrap_or_default();
                tenants
                    .delete_secret(caller, &app, id, secret)
                    .await
                    .map_err(|e| desk.refused(e))?;
            }
            Some("delete") => tenants
                .delete_credential(caller, &app, id, None)
                .await
                .map_err(|e| desk.refused(e))?,
            _ => {}
        }
        Ok(desk.to(&format!("/apps/{app}/credentials")))
    })
}

async fn invites(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let page = desk
            .deps
            .tenants
            .invites(&desk.caller, &app, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "invites.html",
            "invites",
            Some(&app),
            json!({"list": rows(page)}),
        ))
    })
}

async fn change_invites(request: HttpRequest, app: web::Path<String>, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let (tenants, caller) = (&desk.deps.tenants, &desk.caller);
        let back = format!("/console/apps/{app}/invites");
        let advice = "Copy it now. It is not shown again. Whoever has it can join.";
        match fields.get("action") {
            Some("create") => {
                let number = |name: &'static str| match fields.get(name) {
                    None => Ok(None),
                    Some(text) => text
                        .parse()
                        .map(Some)
                        .map_err(|_| TenantError::malformed(name, "must be a number")),
                };
                let new = NewInvite {
                    email: fields.get("email").map(str::to_owned),
                    role: None,
                    roles: fields.words("roles"),
                    expires_in_hours: number("expires_in_hours").map_err(|e| desk.refused(e))?,
                    max_uses: number("max_uses").map_err(|e| desk.refused(e))?,
                    send_email: fields.get("send_email").is_some(),
                };
                let made = tenants
                    .create_invite(caller, &app, new)
                    .await
                    .map_err(|e| desk.refused(e))?;
                return Ok(desk.once(
                    Some(&app),
                    "New invite",
                    &[("Address", &made.invite_url)],
                    advice,
                    &back,
                ));
            }
            Some("resend") => {
                let id = fields.get("id").unwrap_or_default();
                let made = tenants
                    .resend_invite(caller, &app, id)
                    .await
                    .map_err(|e| desk.refused(e))?;
                return Ok(desk.once(
                    Some(&app),
                    "New address of the invite",
                    &[("Address", &made.invite_url)],
                    advice,
                    &back,
                ));
            }
            Some("revoke") => {
                let id = fields.get("id").unwrap_or_default();
                tenants
                    .revoke_invite(caller, &app, id)
                    .await
                    .map_err(|e| desk.refused(e))?;
            }
            _ => {}
        }
        Ok(desk.to(&format!("/apps/{app}/invites")))
    })
}

async fn webhooks(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let page = desk
            .deps
            .tenants
            .webhooks(&desk.caller, &app, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "webhooks.html",
            "webhooks",
            Some(&app),
            json!({"list": rows(page)}),
        ))
    })
}

async fn change_webhooks(
    request: HttpRequest,
    app: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let (tenants, caller) = (&desk.deps.tenants, &desk.caller);
        let (id, back) = (
            fields.get("id").unwrap_or_default(),
            format!("/console/apps/{app}/webhooks"),
        );
        match fields.get("action") {
            Some("create") => {
                let new = NewWebhook {
                    url: fields.get("url").unwrap_or_default().to_owned(),
                    events: fields.words("events"),
                };
                let made = tenants
                    .create_webhook(caller, &app, new)
                    .await
                    .map_err(|e| desk.refused(e))?;
                let advice = "Copy it now. It is not shown again.";
                return Ok(desk.once(
                    Some(&app),
                    "Secret of the new webhook",
                    &[("Secret", &made.secret)],
                    advice,
                    &back,
                ));
            }
            Some("rotate") => {
                let made = tenants
                    .rotate_webhook_secret(caller, &app, id)
                    .await
                    .map_err(|e| desk.refused(e))?;
                let advice =
                    "Copy it now. It is not shown again. The secret before it signs too for a day.";
                return Ok(desk.once(
                    Some(&app),
                    "New secret of the webhook",
                    &[("Secret", &made.secret)],
                    advice,
                    &back,
                ));
            }
            Some("enable") => {
                tenants
                    .enable_webhook(caller, &app, id)
                    .await
                    .map_err(|e| desk.refused(e))?;
            }
            Some("delete") => tenants
                .delete_webhook(caller, &app, id, None)
                .await
                .map_err(|e| desk.refused(e))?,
            _ => {
                return Err(desk.message(
                    StatusCode::BAD_REQUEST,
                    "Nothing was changed",
                    "The form is not known.",
                    &back,
                ));
            }
        }
        Ok(desk.to(&format!("/apps/{app}/webhooks")))
    })
}
