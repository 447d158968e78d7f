use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_tenant::change::{ChangeNote, Subject};
use heimdall_tenant::entity::User;
use heimdall_tenant::ports::{Authority, NumberedNote, StandingRow, Window};
use heimdall_types::{AppId, Fault, RoleId, SessionId, Timestamp, TokenId, UserId};

use super::parse;
use crate::conn::{Conn, JobResult, Scope, query};
use crate::schema::approval::grants;
use crate::schema::tenant::{
    apps, change_notes, credential_roles, denied_tokens, roles, sessions, user_roles, users,
};
use crate::store::Store;

#[async_trait]
impl Authority for Store {
    async fn standing(
        &self,
        app: &AppId,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<StandingRow>, Fault> {
        let (own, user) = (app.clone(), user.clone());
        self.read(app, move |c| standing(c, own.as_str(), user.as_str(), now))
            .await
    }

    async fn session_live(
        &self,
        app: &AppId,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let found: Option<String> = query!(c => sessions::table
                .find((own.as_str(), id.as_str()))
                .filter(sessions::revoked.eq(false))
                .filter(sessions::expires_at.gt(now.millis()))
                .select(sessions::id)
                .first(c)
                .optional())?;
            Ok(found.is_some())
        })
        .await
    }

    async fn denied(&self, app: &AppId, now: Timestamp) -> Result<Vec<TokenId>, Fault> {
        let own = app.clone();
        self.read(app, move |c| {
            let ids: Vec<String> = query!(c => denied_tokens::table
                .filter(denied_tokens::app_id.eq(own.as_str()))
                .filter(denied_tokens::until.gt(now.millis()))
                .select(denied_tokens::id)
                .load(c))?;
            ids.iter().map(|id| Ok(id.parse()?)).collect()
        })
        .await
    }

    async fn notes(&self, app: &AppId, since: i64, limit: u32) -> Result<Vec<NumberedNote>, Fault> {
        let own = app.clone();
        self.read(app, move |c| {
            let rows: Vec<(String, String, i64, i64)> = query!(c => change_notes::table
                .filter(change_notes::app_id.eq(own.as_str()))
                .filter(change_notes::seq.gt(since))
                .order(change_notes::seq)
                .limit(i64::from(limit))
                .select((change_notes::kind, change_notes::subject, change_notes::seq, change_notes::at))
                .load(c))?;
            let note = |(kind, subject, seq, at): (String, String, i64, i64)| {
                let subject = Subject::from_parts(&kind, &subject)
                    .ok_or_else(|| Fault::Corrupt(format!("change note about `{kind}`")))?;
                let note = ChangeNote { app_id: own.clone(), subject, at: Timestamp::from_millis(at) };
                Ok(NumberedNote { seq, note })
            };
            rows.into_iter().map(note).collect()
        })
        .await
    }

    async fn prune(&self, before: Timestamp) -> Result<(), Fault> {
        self.write(Scope::System, move |c| {
            query!(c => diesel::delete(change_notes::table.filter(change_notes::at.lt(before.millis()))).execute(c))?;
            query!(c => diesel::delete(denied_tokens::table.filter(denied_tokens::until.lt(before.millis())))
                .execute(c))?;
            super::proofs::prune(c, before)
        })
        .await
    }
}

fn standing(
    c: &mut Conn<'_>,
    app: &str,
    user: &str,
    now: Timestamp,
) -> JobResult<Option<StandingRow>> {
    let body: Option<String> =
        query!(c => users::table.find((app, user)).select(users::body).first(c).optional())?;
    let Some(body) = body else { return Ok(None) };
    let person: User = parse(&body)?;
    let roles: Vec<String> = query!(c => user_roles::table
        .filter(user_roles::app_id.eq(app))
        .filter(user_roles::user_id.eq(user))
        .order(user_roles::role_id)
        .select(user_roles::role_id)
        .load(c))?;
    let windows: Vec<(String, i64, i64)> = query!(c => grants::table
        .filter(grants::app_id.eq(app))
        .filter(grants::user_id.eq(user))
        .filter(grants::live.eq(true))
        .filter(grants::ends_at.gt(now.millis()))
        .order(grants::id)
        .select((grants::role, grants::starts_at, grants::ends_at))
        .load(c))?;
    let changed: Option<(i64, i64)> = query!(c => change_notes::table
        .find((app, "user", user))
        .select((change_notes::seq, change_notes::at))
        .first(c)
        .optional())?;
    let (changed_seq, changed_at) = changed.unwrap_or_default();
    let window = |(role, starts_at, ends_at)| Window {
        role,
        starts_at: Timestamp::from_millis(starts_at),
        ends_at: Timestamp::from_millis(ends_at),
    };
    Ok(Some(StandingRow {
        state: person.state,
        tokens_after: person.tokens_after,
        roles: roles
            .iter()
            .map(|id| Ok(id.parse()?))
            .collect::<JobResult<_>>()?,
        windows: windows.into_iter().map(window).collect(),
        changed_seq,
        changed_at: Timestamp::from_millis(changed_at),
    }))
}

/// Notes that somebody's authority changed, with the App's next number.
pub(super) fn note(c: &mut Conn<'_>, note: &ChangeNote) -> JobResult<()> {
    let app = note.app_id.as_str();
    let rows = query!(c => diesel::update(apps::table.find(app))
        .set(apps::last_note.eq(apps::last_note + 1))
        .execute(c))?;
    if rows == 0 {
        // The App was erased in this very transaction: nobody is left to be told.
        return Ok(());
    }
    let seq: i64 = query!(c => apps::table.find(app).select(apps::last_note).first(c))?;
    let (kind, subject) = note.subject.parts();
    let at = note.at.millis();
    query!(c => diesel::insert_into(change_notes::table)
        .values((
            change_notes::app_id.eq(app),
            change_notes::kind.eq(kind),
            change_notes::subject.eq(subject),
            change_notes::seq.eq(seq),
            change_notes::at.eq(at),
        ))
        .on_conflict((change_notes::app_id, change_notes::kind, change_notes::subject))
        .do_update()
        .set((change_notes::seq.eq(seq), change_notes::at.eq(at)))
        .execute(c))?;
    let told = c.touched.of(Some(&note.app_id));
    match &note.subject {
        Subject::User(id) => told.users.push(id.clone()),
        Subject::App => told.targets.push(note.app_id.to_string()),
        _ => told.targets.push(subject.to_owned()),
    }
    Ok(())
}

/// Notes everybody who has a role, for good or for a time: what it holds has changed.
pub(super) fn note_holders(
    c: &mut Conn<'_>,
    app: &AppId,
    role: &RoleId,
    at: Timestamp,
) -> JobResult<()> {
    let own = app.as_str();
    let mut users: Vec<String> = query!(c => user_roles::table
        .filter(user_roles::app_id.eq(own).and(user_roles::role_id.eq(role.as_str())))
        .select(user_roles::user_id)
        .load(c))?;
    let name: Option<String> = query!(c => roles::table.find((own, role.as_str())).select(roles::name).first(c).optional())?;
    if let Some(name) = name {
        let granted: Vec<String> = query!(c => grants::table
            .filter(grants::app_id.eq(own).and(grants::role.eq(&name)).and(grants::live.eq(true)))
            .select(grants::user_id)
            .load(c))?;
        users.extend(granted);
    }
    users.sort_unstable();
    users.dedup();
    let clients: Vec<String> = query!(c => credential_roles::table
        .filter(credential_roles::app_id.eq(own).and(credential_roles::role_id.eq(role.as_str())))
        .select(credential_roles::credential_id)
        .load(c))?;
    for user in users {
        note(
            c,
            &ChangeNote {
                app_id: app.clone(),
                subject: Subject::User(user.parse()?),
                at,
            },
        )?;
    }
    for client in clients {
        note(
            c,
            &ChangeNote {
                app_id: app.clone(),
                subject: Subject::Client(client.parse()?),
                at,
            },
        )?;
    }
    Ok(())
}

/// As [`note`], for other slices that change what a user may do.
pub(crate) fn note_user(
    c: &mut Conn<'_>,
    app: &AppId,
    user: &UserId,
    at: Timestamp,
) -> JobResult<()> {
    note(
        c,
        &ChangeNote {
            app_id: app.clone(),
            subject: Subject::User(user.clone()),
            at,
        },
    )
}
