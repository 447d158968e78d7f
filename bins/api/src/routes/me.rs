//! `…/me/password`, `…/me/factors`: what people do about their own account.

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Edge, Json, Problem};
use heimdall_tenant::input::{Code, NewPasskey, OwnPassword, PresentPassword};
use heimdall_tenant::view::TotpOffer;
use serde::Serialize;

use crate::answer::done;
use crate::qr;
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let post = |path: &str| web::resource(format!("/apps/{{app}}/me{path}"));
    config
        .service(post("/password").route(web::post().to(change_password)))
        .service(post("/factors").route(web::get().to(factors)))
        .service(post("/factors/totp").route(web::post().to(offer_totp)))
        .service(post("/factors/totp/confirm").route(web::post().to(confirm_totp)))
        .service(post("/factors/totp/remove").route(web::post().to(remove_totp)))
        .service(post("/factors/passkeys/options").route(web::post().to(offer_passkey)))
        .service(post("/factors/passkeys").route(web::post().to(add_passkey)))
        .service(post("/factors/passkeys/{passkey}/remove").route(web::post().to(remove_passkey)))
        .service(post("/factors/recovery-codes").route(web::post().to(recovery_codes)));
}

type InApp = web::Path<String>;

// These check a password or a code: they are counted as logins are, by the account that the token names.
fn counted(edge: &Edge, request: &HttpRequest, who: &Who, app: &str) -> Result<(), Problem> {
    let user = who.0.user().map_or("", |user| user.as_str());
    edge.counters()
        .login(edge.source_of(request), &format!("{app}/me/{user}"))
}

async fn change_password(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    app: InApp,
    body: Json<OwnPassword>,
) -> Answer {
    counted(&edge, &request, &who, &app)?;
    deps.tenants
        .change_password(&who.0, &app, body.0.present_password, body.0.password)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn factors(deps: With, who: Who, app: InApp) -> Answer {
    let factors = deps
        .tenants
        .my_factors(&who.0, &app)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(factors))
}

#[derive(Serialize)]
struct DrawnOffer {
    #[serde(flatten)]
    offer: TotpOffer,
    qr_svg: Option<String>,
}

async fn offer_totp(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    app: InApp,
    body: Json<PresentPassword>,
) -> Answer {
    counted(&edge, &request, &who, &app)?;
    let offer = deps
        .tenants
        .offer_totp(&who.0, &app, body.0.password)
        .await
        .map_err(problem)?;
    let qr_svg = qr::svg(&offer.otpauth_uri);
    Ok(HttpResponse::Created().json(DrawnOffer { offer, qr_svg }))
}

async fn confirm_totp(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    app: InApp,
    body: Json<Code>,
) -> Answer {
    counted(&edge, &request, &who, &app)?;
    let codes = deps
        .tenants
        .confirm_totp(&who.0, &app, body.0.code)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(codes))
}

async fn remove_totp(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    app: InApp,
    body: Json<PresentPassword>,
) -> Answer {
    counted(&edge, &request, &who, &app)?;
    deps.tenants
        .remove_totp(&who.0, &app, body.0.password)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn offer_passkey(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    app: InApp,
    body: Json<PresentPassword>,
) -> Answer {
    counted(&edge, &request, &who, &app)?;
    let offer = deps
        .tenants
        .offer_passkey(&who.0, &app, body.0.password)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(offer))
}

async fn add_passkey(deps: With, who: Who, app: InApp, body: Json<NewPasskey>) -> Answer {
    let made = deps
        .tenants
        .add_passkey(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(made))
}

async fn remove_passkey(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    path: web::Path<(String, String)>,
    body: Json<PresentPassword>,
) -> Answer {
    counted(&edge, &request, &who, &path.0)?;
    deps.tenants
        .remove_passkey(&who.0, &path.0, &path.1, body.0.password)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn recovery_codes(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    who: Who,
    app: InApp,
    body: Json<PresentPassword>,
) -> Answer {
    counted(&edge, &request, &who, &app)?;
    let codes = deps
        .tenants
        .new_recovery_codes(&who.0, &app, body.0.password)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(codes))
}
