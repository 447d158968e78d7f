use diesel::prelude::*;
use heimdall_tenant::change::{Change, Transition};
use heimdall_tenant::entity::{
    AdminKey, App, Credential, Invite, InviteState, Role, Session, User, Webhook,
};
use heimdall_types::{AppId, Fault, InviteId, RoleId, Timestamp, UserId};

use super::registry::invite_state;
use super::{apps, authority, directory, parse, parse_all, proofs};
use crate::conn::{Conn, JobResult, Named, Scope, one, query};
use crate::journal;
use crate::schema::approval::{approvals, grants, notification_configs, requests};
use crate::schema::foundation::{outbox, webhook_deliveries, webhooks};
use crate::schema::tenant::{
    admin_keys, apps as app_rows, credential_roles, credentials, denied_tokens, invites,
    permissions, roles, sessions, user_roles, users,
};

/// One App's affair runs in that App's scope; the operator's runs across Apps.
pub(super) fn scope_of(transition: &Transition) -> Scope {
    let mut of_changes = transition.changes.iter().map(app_of);
    let of_audit = transition
        .journal
        .audit
        .iter()
        .map(|entry| entry.app_id.clone());
    let first = of_changes
        .next()
        .or_else(|| of_audit.clone().next())
        .flatten();
    let same = of_changes.chain(of_audit).all(|app| app == first);
    match first {
        Some(app) if same => Scope::App(app),
        _ => Scope::System,
    }
}

// `None` for what crosses Apps.
fn app_of(change: &Change) -> Option<AppId> {
    match change {
        Change::App(app) => Some(app.id.clone()),
        Change::Role(role) => Some(role.app_id.clone()),
        Change::User(user) => Some(user.app_id.clone()),
        Change::Credential(credential) => Some(credential.app_id.clone()),
        Change::Session(session) => Some(session.app_id.clone()),
        Change::Invite(invite) => Some(invite.app_id.clone()),
        Change::SecondFactors(factors) => Some(factors.app_id.clone()),
        Change::PasswordReset(reset) => Some(reset.app_id.clone()),
        Change::Webhook(webhook) => Some(webhook.app_id.clone()),
        Change::Authority { app_id, .. }
        | Change::DropRole { app_id, .. }
        | Change::Permission { app_id, .. }
        | Change::DropPermission { app_id, .. }
        | Change::EraseUser { app_id, .. }
        | Change::Assign { app_id, .. }
        | Change::Unassign { app_id, .. }
        | Change::DropCredential { app_id, .. }
        | Change::RevokeSessions { app_id, .. }
        | Change::DenyToken { app_id, .. }
        | Change::UseInvite { app_id, .. }
        | Change::UsePasswordReset { app_id, .. }
        | Change::DropWebhook { app_id, .. } => Some(app_id.clone()),
        _ => None,
    }
}

/// Everything of a transition, in this transaction.
pub(super) fn apply(c: &mut Conn<'_>, transition: &Transition) -> JobResult<()> {
    for change in &transition.changes {
        apply_one(c, change)?;
    }
    for note in &transition.notes {
        authority::note(c, note)?;
    }
    for (app, role, at) in &transition.holders_of {
        authority::note_holders(c, app, role, *at)?;
    }
    journal::write(c, &transition.journal)
}

fn apply_one(c: &mut Conn<'_>, change: &Change) -> JobResult<()> {
    match change {
        Change::App(app) => put_app(c, app),
        Change::EraseApp(id) => erase_app(c, id),
        Change::Authority { app_id, expected } => {
            let rows = query!(c => diesel::update(
                app_rows::table.find(app_id.as_str()).filter(app_rows::authority.eq(*expected)),
            )
            .set(app_rows::authority.eq(*expected + 1))
            .execute(c))?;
            one(rows)
        }
        Change::Role(role) => put_role(c, role),
        Change::DropRole {
            app_id,
            id,
            version,
        } => drop_role(c, app_id, id, *version),
        Change::Permission {
            app_id,
            permission,
            description,
        } => put_permission(c, app_id, permission, description.as_deref()),
        Change::DropPermission { app_id, permission } => {
            query!(c => diesel::delete(permissions::table.find((app_id.as_str(), permission))).execute(c))?;
            Ok(())
        }
        Change::User(user) => put_user(c, user),
        Change::EraseUser { app_id, id } => erase_user(c, app_id, id),
        Change::Assign {
            app_id,
            user_id,
            role_id,
            at,
        } => assign(c, app_id, user_id, role_id, *at),
        Change::Unassign {
            app_id,
            user_id,
            role_id,
        } => {
            let key = (app_id.as_str(), user_id.as_str(), role_id.as_str());
            query!(c => diesel::delete(user_roles::table.find(key)).execute(c))?;
            Ok(())
        }
        Change::Credential(credential) => put_credential(c, credential),
        Change::DropCredential { app_id, id } => {
            query!(c => diesel::delete(credentials::table.find((app_id.as_str(), id.as_str()))).execute(c))?;
            Ok(())
        }
        Change::Session(session) => put_session(c, session),
        Change::RevokeSessions {
            app_id,
            user_id,
            at,
        } => revoke_sessions(c, app_id, user_id, *at),
        Change::DenyToken { app_id, id, until } => {
            query!(c => diesel::insert_into(denied_tokens::table)
                .values((
                    denied_tokens::app_id.eq(app_id.as_str()),
                    denied_tokens::id.eq(id.as_str()),
                    denied_tokens::until.eq(until.millis()),
                ))
                .on_conflict_do_nothing()
                .execute(c))?;
            Ok(())
        }
        Change::SecondFactors(factors) => proofs::put_factors(c, factors),
        Change::PasswordReset(reset) => proofs::put_reset(c, reset),
        Change::UsePasswordReset {
            app_id,
            user_id,
            token_hash,
        } => proofs::use_reset(c, app_id, user_id, token_hash),
        Change::Invite(invite) => put_invite(c, invite),
        Change::UseInvite { app_id, id, at } => use_invite(c, app_id, id, *at),
        Change::Webhook(webhook) => put_webhook(c, webhook),
        Change::DropWebhook { app_id, id } => {
            query!(c => diesel::delete(webhooks::table.find((app_id.as_str(), id.as_str()))).execute(c))?;
            Ok(())
        }
        Change::AdminKey(key) => put_admin_key(c, key),
        // A change that this store does not know must not look applied.
        _ => Err(Fault::Corrupt("an unknown kind of change".to_owned()).into()),
    }
}

/// The body with the version that the row gets.
macro_rules! body {
    ($entity:expr) => {{
        let mut next = $entity.clone();
        next.version += 1;
        (serde_json::to_string(&next)?, next.version)
    }};
}

fn put_app(c: &mut Conn<'_>, app: &App) -> JobResult<()> {
    let ((body, version), state) = (body!(app), apps::state_name(app.state)?);
    if app.version == 0 {
        query!(c => diesel::insert_into(app_rows::table)
            .values((
                app_rows::app_id.eq(app.id.as_str()),
                app_rows::name.eq(&app.name),
                app_rows::state.eq(&state),
                app_rows::version.eq(version),
                app_rows::authority.eq(0),
                app_rows::last_note.eq(0),
                app_rows::body.eq(&body),
            ))
            .execute(c))
        .unique("name")?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(app_rows::table.find(app.id.as_str()).filter(app_rows::version.eq(app.version)))
        .set((
            app_rows::name.eq(&app.name),
            app_rows::state.eq(&state),
            app_rows::version.eq(version),
            app_rows::body.eq(&body),
        ))
        .execute(c))
    .unique("name")?;
    one(rows)
}

// Audit and feed stay: they are the record of what was.
fn erase_app(c: &mut Conn<'_>, id: &AppId) -> JobResult<()> {
    let app = id.as_str();
    query!(c => diesel::delete(grants::table.filter(grants::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(requests::table.filter(requests::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(approvals::table.filter(approvals::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(notification_configs::table.filter(notification_configs::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(webhook_deliveries::table.filter(webhook_deliveries::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(webhooks::table.filter(webhooks::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(outbox::table.filter(outbox::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(user_roles::table.filter(user_roles::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(credential_roles::table.filter(credential_roles::app_id.eq(app))).execute(c))?;
    query!(c => diesel::delete(app_rows::table.find(app)).execute(c))?;
    c.touched.of(Some(id)).everything = true;
    Ok(())
}

fn put_role(c: &mut Conn<'_>, role: &Role) -> JobResult<()> {
    let (body, version) = body!(role);
    let (app, id) = (role.app_id.as_str(), role.id.as_str());
    if role.version == 0 {
        query!(c => diesel::insert_into(roles::table)
            .values((
                roles::app_id.eq(app),
                roles::id.eq(id),
                roles::name.eq(&role.name),
                roles::version.eq(version),
                roles::body.eq(&body),
            ))
            .execute(c))
        .unique("name")?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(roles::table.find((app, id)).filter(roles::version.eq(role.version)))
        .set((roles::name.eq(&role.name), roles::version.eq(version), roles::body.eq(&body)))
        .execute(c))
    .unique("name")?;
    one(rows)
}

fn drop_role(c: &mut Conn<'_>, app: &AppId, id: &RoleId, version: i64) -> JobResult<()> {
    let key = (app.as_str(), id.as_str());
    let name: Option<String> =
        query!(c => roles::table.find(key).select(roles::name).first(c).optional())?;
    let Some(name) = name else {
        return Err(Fault::Conflict.into());
    };
    let granted: i64 = query!(c => grants::table
        .filter(grants::app_id.eq(app.as_str()))
        .filter(grants::role.eq(&name))
        .filter(grants::live.eq(true))
        .count()
        .get_result(c))?;
    if granted > 0 {
        return Err(Fault::Reference("role").into());
    }
    let rows = query!(c => diesel::delete(roles::table.find(key).filter(roles::version.eq(version))).execute(c))
        .reference("role")?;
    one(rows)
}

fn put_permission(
    c: &mut Conn<'_>,
    app: &AppId,
    permission: &str,
    description: Option<&str>,
) -> JobResult<()> {
    query!(c => diesel::insert_into(permissions::table)
        .values((
            permissions::app_id.eq(app.as_str()),
            permissions::permission.eq(permission),
            permissions::description.eq(description.unwrap_or_default()),
        ))
        .on_conflict_do_nothing()
        .execute(c))?;
    if let Some(description) = description {
        query!(c => diesel::update(permissions::table.find((app.as_str(), permission)))
            .set(permissions::description.eq(description))
            .execute(c))?;
    }
    Ok(())
}

fn put_user(c: &mut Conn<'_>, user: &User) -> JobResult<()> {
    let ((body, version), state) = (body!(user), directory::state_name(user.state)?);
    let (app, id) = (user.app_id.as_str(), user.id.as_str());
    if user.version == 0 {
        query!(c => diesel::insert_into(users::table)
            .values((
                users::app_id.eq(app),
                users::id.eq(id),
                users::email.eq(user.email.as_str()),
                users::state.eq(&state),
                users::version.eq(version),
                users::body.eq(&body),
            ))
            .execute(c))
        .unique("email")?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(users::table.find((app, id)).filter(users::version.eq(user.version)))
        .set((
            users::email.eq(user.email.as_str()),
            users::state.eq(&state),
            users::version.eq(version),
            users::body.eq(&body),
        ))
        .execute(c))
    .unique("email")?;
    one(rows)
}

fn erase_user(c: &mut Conn<'_>, app: &AppId, id: &UserId) -> JobResult<()> {
    let (own, user) = (app.as_str(), id.as_str());
    query!(c => diesel::delete(grants::table.filter(grants::app_id.eq(own)).filter(grants::user_id.eq(user)))
        .execute(c))?;
    query!(c => diesel::delete(requests::table.filter(requests::app_id.eq(own)).filter(requests::requester_id.eq(user)))
        .execute(c))?;
    query!(c => diesel::delete(users::table.find((own, user))).execute(c))?;
    Ok(())
}

fn assign(
    c: &mut Conn<'_>,
    app: &AppId,
    user: &UserId,
    role: &RoleId,
    at: Timestamp,
) -> JobResult<()> {
    query!(c => diesel::insert_into(user_roles::table)
        .values((
            user_roles::app_id.eq(app.as_str()),
            user_roles::user_id.eq(user.as_str()),
            user_roles::role_id.eq(role.as_str()),
            user_roles::at.eq(at.millis()),
        ))
        .on_conflict_do_nothing()
        .execute(c))
    .reference("role")?;
    Ok(())
}

fn put_credential(c: &mut Conn<'_>, credential: &Credential) -> JobResult<()> {
    let (body, version) = body!(credential);
    let (app, id) = (credential.app_id.as_str(), credential.id.as_str());
    if credential.version == 0 {
        query!(c => diesel::insert_into(credentials::table)
            .values((
                credentials::app_id.eq(app),
                credentials::id.eq(id),
                credentials::name.eq(&credential.name),
                credentials::version.eq(version),
                credentials::body.eq(&body),
            ))
            .execute(c))
        .unique("name")?;
    } else {
        let rows = query!(c => diesel::update(
            credentials::table.find((app, id)).filter(credentials::version.eq(credential.version)),
        )
        .set((
            credentials::name.eq(&credential.name),
            credentials::version.eq(version),
            credentials::body.eq(&body),
        ))
        .execute(c))
        .unique("name")?;
        one(rows)?;
    }
    query!(c => diesel::delete(
        credential_roles::table
            .filter(credential_roles::app_id.eq(app))
            .filter(credential_roles::credential_id.eq(id)),
    )
    .execute(c))?;
    for role in &credential.roles {
        query!(c => diesel::insert_into(credential_roles::table)
            .values((
                credential_roles::app_id.eq(app),
                credential_roles::credential_id.eq(id),
                credential_roles::role_id.eq(role.as_str()),
            ))
            .on_conflict_do_nothing()
            .execute(c))
        .reference("role")?;
    }
    Ok(())
}

fn put_session(c: &mut Conn<'_>, session: &Session) -> JobResult<()> {
    let (body, version) = body!(session);
    let (app, id) = (session.app_id.as_str(), session.id.as_str());
    let (revoked, expires_at) = (session.revoked_at.is_some(), session.expires_at.millis());
    if session.version == 0 {
        query!(c => diesel::insert_into(sessions::table)
            .values((
                sessions::app_id.eq(app),
                sessions::id.eq(id),
                sessions::user_id.eq(session.user_id.as_str()),
                sessions::revoked.eq(revoked),
                sessions::expires_at.eq(expires_at),
                sessions::version.eq(version),
                sessions::body.eq(&body),
            ))
            .execute(c))
        .reference("user")?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(
        sessions::table.find((app, id)).filter(sessions::version.eq(session.version)),
    )
    .set((
        sessions::revoked.eq(revoked),
        sessions::expires_at.eq(expires_at),
        sessions::version.eq(version),
        sessions::body.eq(&body),
    ))
    .execute(c))?;
    one(rows)
}

fn revoke_sessions(c: &mut Conn<'_>, app: &AppId, user: &UserId, at: Timestamp) -> JobResult<()> {
    let bodies: Vec<String> = query!(c => sessions::table
        .filter(sessions::app_id.eq(app.as_str()))
        .filter(sessions::user_id.eq(user.as_str()))
        .filter(sessions::revoked.eq(false))
        .select(sessions::body)
        .load(c))?;
    for mut session in parse_all::<Session>(bodies)? {
        session.revoked_at = Some(at);
        put_session(c, &session)?;
        c.touched.of(Some(app)).targets.push(session.id.to_string());
    }
    Ok(())
}

fn put_invite(c: &mut Conn<'_>, invite: &Invite) -> JobResult<()> {
    let ((body, version), state) = (body!(invite), invite_state(invite.state)?);
    let (app, id) = (invite.app_id.as_str(), invite.id.as_str());
    let mutable = (
        invites::token_hash.eq(&invite.token_hash),
        invites::state.eq(&state),
        invites::expires_at.eq(invite.expires_at.millis()),
        invites::version.eq(version),
        invites::uses.eq(invite.uses),
        invites::max_uses.eq(invite.max_uses),
        invites::body.eq(&body),
    );
    if invite.version == 0 {
        query!(c => diesel::insert_into(invites::table)
            .values((invites::app_id.eq(app), invites::id.eq(id), mutable))
            .execute(c))?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(invites::table.find((app, id)).filter(invites::version.eq(invite.version)))
        .set(mutable)
        .execute(c))?;
    one(rows)
}

fn use_invite(c: &mut Conn<'_>, app: &AppId, id: &InviteId, at: Timestamp) -> JobResult<()> {
    let body: Option<String> = query!(c => invites::table
        .find((app.as_str(), id.as_str()))
        .select(invites::body)
        .first(c)
        .optional())?;
    let Some(body) = body else {
        return Err(Fault::Conflict.into());
    };
    let mut invite: Invite = parse(&body)?;
    let usable = invite.state == InviteState::Open
        && invite.uses < invite.max_uses
        && invite.expires_at > at;
    if !usable {
        return Err(Fault::Conflict.into());
    }
    invite.uses += 1;
    put_invite(c, &invite)
}

fn put_webhook(c: &mut Conn<'_>, webhook: &Webhook) -> JobResult<()> {
    let (body, version) = body!(webhook);
    let (app, id) = (webhook.app_id.as_str(), webhook.id.as_str());
    // What deliveries read: `[]` means every event.
    let all = webhook.events.iter().any(|event| event == "*");
    let events = serde_json::to_string(if all { &[][..] } else { &webhook.events[..] })?;
    let secrets = serde_json::to_string(&webhook.secrets)?;
    let mutable = (
        webhooks::version.eq(version),
        webhooks::url.eq(&webhook.url),
        webhooks::events.eq(&events),
        webhooks::enabled.eq(webhook.enabled),
        webhooks::secrets.eq(&secrets),
        webhooks::body.eq(&body),
    );
    if webhook.version == 0 {
        query!(c => diesel::insert_into(webhooks::table)
            .values((webhooks::app_id.eq(app), webhooks::id.eq(id), mutable))
            .execute(c))?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(
        webhooks::table.find((app, id)).filter(webhooks::version.eq(webhook.version)),
    )
    .set(mutable)
    .execute(c))?;
    one(rows)
}

fn put_admin_key(c: &mut Conn<'_>, key: &AdminKey) -> JobResult<()> {
    let ((body, version), revoked) = (body!(key), key.revoked_at.is_some());
    if key.version == 0 {
        query!(c => diesel::insert_into(admin_keys::table)
            .values((
                admin_keys::id.eq(key.id.as_str()),
                admin_keys::hash.eq(&key.hash),
                admin_keys::revoked.eq(revoked),
                admin_keys::version.eq(version),
                admin_keys::body.eq(&body),
            ))
            .execute(c))?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(admin_keys::table.find(key.id.as_str()).filter(admin_keys::version.eq(key.version)))
        .set((
            admin_keys::revoked.eq(revoked),
            admin_keys::version.eq(version),
            admin_keys::body.eq(&body),
        ))
        .execute(c))?;
    one(rows)
}
