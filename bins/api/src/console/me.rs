//! `console/me`: the signed-in user's own password and second factors.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use heimdall_server::Edge;
use heimdall_tenant::TenantError;
use heimdall_tenant::input::NewPasskey;
use heimdall_types::Secret;
use serde_json::json;

use super::desk::{Desk, Step, steps};
use super::fields::Fields;
use crate::qr;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/me")
            .route(web::get().to(show))
            .route(web::post().to(change)),
    );
}

async fn show(request: HttpRequest) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let app = home(&desk)?;
        let factors = desk
            .deps
            .tenants
            .my_factors(&desk.caller, &app)
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "me.html",
            "me",
            None,
            json!({"factors": factors, "home": app}),
        ))
    })
}

// Operators have no account: their key is all there is.
fn home(desk: &Desk) -> Step<String> {
    let home = desk.home().map(str::to_owned);
    home.ok_or_else(|| desk.refused(TenantError::NotFound))
}

async fn change(request: HttpRequest, edge: web::Data<Edge>, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let app = home(&desk)?;
        let user = desk.caller.user().map_or("", |user| user.as_str());
        let account = format!("{app}/me/{user}");
        if edge
            .counters()
            .login(edge.source_of(&request), &account)
            .is_err()
        {
            return Err(desk.message(
                StatusCode::TOO_MANY_REQUESTS,
                "Nothing was changed",
                "Too many attempts. Wait a minute.",
                "/console/me",
            ));
        }
        let action = fields.get("action").unwrap_or_default();
        act(&desk, &app, action, &fields)
            .await
            .map_err(|error| desk.refused(error))
    })
}

async fn act(
    desk: &Desk,
    app: &str,
    action: &str,
    fields: &Fields,
) -> Result<HttpResponse, TenantError> {
    let (tenants, caller) = (&desk.deps.tenants, &desk.caller);
    let password = || Secret::new(fields.raw("password"));
    match action {
        "password" => {
            let new = Secret::new(fields.raw("new"));
            tenants
                .change_password(caller, app, password(), new)
                .await?;
        }
        "totp" => {
            let offer = tenants.offer_totp(caller, app, password()).await?;
            return Ok(totp(
                desk,
                StatusCode::OK,
                &offer.secret,
                &offer.otpauth_uri,
                false,
            ));
        }
        "confirm" => {
            let code = fields.get("code").unwrap_or_default();
            match tenants.confirm_totp(caller, app, Secret::new(code)).await {
                Ok(made) => return Ok(codes(desk, &made.recovery_codes)),
                Err(TenantError::Invalid { field: "code", .. }) => {
                    let text = |name| fields.get(name).unwrap_or_default();
                    let status = StatusCode::UNPROCESSABLE_ENTITY;
                    return Ok(totp(desk, status, text("secret"), text("uri"), true));
                }
                Err(error) => return Err(error),
            }
        }
        "remove-totp" => tenants.remove_totp(caller, app, password()).await?,
        "passkey" => {
            let offer = tenants.offer_passkey(caller, app, password()).await?;
            let context = json!({
                "options": offer.options.to_string(), "passkey_token": offer.passkey_token,
            });
            return Ok(desk.page("passkey-new.html", "me", None, context));
        }
        "add-passkey" => {
            let made = tenants.add_passkey(caller, app, answered(fields)?).await?;
            return Ok(codes(desk, &made.recovery_codes));
        }
        "remove-passkey" => {
            let id = fields.get("passkey").unwrap_or_default();
            tenants.remove_passkey(caller, app, id, password()).await?;
        }
        "codes" => {
            let made = tenants.new_recovery_codes(caller, app, password()).await?;
            return Ok(codes(desk, &made.recovery_codes));
        }
        _ => {}
    }
    Ok(desk.to("/me"))
}

fn answered(fields: &Fields) -> Result<NewPasskey, TenantError> {
    let answer = fields.get("answer").unwrap_or_default();
    let passkey = serde_json::from_str(answer)
        .map_err(|_| TenantError::invalid("passkey", "was not made"))?;
    Ok(NewPasskey {
        name: fields.get("name").unwrap_or_default().to_owned(),
        passkey_token: Secret::new(fields.get("passkey_token").unwrap_or_default()),
        passkey,
    })
}

fn totp(desk: &Desk, status: StatusCode, secret: &str, uri: &str, wrong: bool) -> HttpResponse {
    let context = json!({"secret": secret, "uri": uri, "qr": qr::svg(uri), "wrong": wrong});
    desk.answer(status, "totp-new.html", "me", None, context)
}

// Only the first factor, and new codes, come with codes.
fn codes(desk: &Desk, codes: &[String]) -> HttpResponse {
    if codes.is_empty() {
        return desk.to("/me");
    }
    let shown: Vec<(&str, &str)> = codes.iter().map(|code| ("", code.as_str())).collect();
    desk.once(
        None,
        "Your recovery codes",
        &shown,
        "Each works once in place of the second factor. Print them or keep them with your passwords.",
        "/console/me",
    )
}
