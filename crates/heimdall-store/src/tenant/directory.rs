use std::collections::HashMap;

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_tenant::entity::{Session, User, UserState};
use heimdall_tenant::ports::{Directory, Sessions, UserFilter};
use heimdall_types::{
    AppId, Email, Fault, Page, PageRequest, RoleId, SessionId, Timestamp, UserId,
};

use super::{parse, parse_all};
use crate::conn::{JobResult, Scope, query};
use crate::schema::tenant::{sessions, user_roles, users};
use crate::store::Store;

pub(super) fn state_name(state: UserState) -> JobResult<String> {
    Ok(serde_json::to_value(state)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[async_trait]
impl Directory for Store {
    async fn user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => users::table
                .find((own.as_str(), id.as_str()))
                .select(users::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn user_by_email(&self, app: &AppId, email: &Email) -> Result<Option<User>, Fault> {
        let (own, email) = (app.clone(), email.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => users::table
                .filter(users::app_id.eq(own.as_str()))
                .filter(users::email.eq(email.as_str()))
                .select(users::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn users(
        &self,
        app: &AppId,
        filter: &UserFilter,
        page: &PageRequest,
    ) -> Result<Page<User>, Fault> {
        let (own, filter, page) = (app.clone(), filter.clone(), page.clone());
        self.read(app, move |c| {
            let state = filter.state.map(state_name).transpose()?;
            let prefix = filter.email_prefix.as_deref().map(|text| (text.to_owned(), format!("{text}\u{7f}")));
            let bodies: Vec<String> = query!(c => {
                let mut q = users::table.filter(users::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(state) = &state {
                    q = q.filter(users::state.eq(state));
                }
                if let Some(role) = &filter.role {
                    q = q.filter(users::id.eq_any(
                        user_roles::table
                            .filter(user_roles::app_id.eq(own.as_str()))
                            .filter(user_roles::role_id.eq(role.as_str()))
                            .select(user_roles::user_id),
                    ));
                }
                if let Some((from, until)) = &prefix {
                    // A range instead of LIKE: nothing in it is a wildcard, and the index serves it.
                    q = q.filter(users::email.ge(from)).filter(users::email.lt(until));
                }
                if let Some(cursor) = &page.cursor {
                    q = q.filter(users::id.gt(cursor.key()));
                }
                q.order(users::id).limit(i64::from(page.limit) + 1).select(users::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |user: &User| user.id.to_string()))
        })
        .await
    }

    async fn holders(
        &self,
        app: &AppId,
        roles: &[RoleId],
        except: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<UserId>, Fault> {
        let (own, except) = (
            app.clone(),
            except.map(ToString::to_string).unwrap_or_default(),
        );
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        self.read(app, move |c| {
            let active = state_name(UserState::Active)?;
            let ids: Vec<String> = query!(c => users::table
                .filter(users::app_id.eq(own.as_str()))
                .filter(users::state.eq(&active))
                .filter(users::id.ne(&except))
                .filter(users::id.eq_any(
                    user_roles::table
                        .filter(user_roles::app_id.eq(own.as_str()))
                        .filter(user_roles::role_id.eq_any(&roles))
                        .select(user_roles::user_id),
                ))
                .order(users::id)
                .limit(i64::from(limit))
                .select(users::id)
                .load(c))?;
            ids.iter().map(|id| Ok(id.parse()?)).collect()
        })
        .await
    }

    async fn roles_of(&self, app: &AppId, wanted: &[UserId]) -> Result<Vec<Vec<RoleId>>, Fault> {
        let own = app.clone();
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        self.read(app, move |c| {
            let rows: Vec<(String, String)> = query!(c => user_roles::table
                .filter(user_roles::app_id.eq(own.as_str()))
                .filter(user_roles::user_id.eq_any(&wanted))
                .order((user_roles::user_id, user_roles::role_id))
                .select((user_roles::user_id, user_roles::role_id))
                .load(c))?;
            let mut by_user: HashMap<String, Vec<RoleId>> = HashMap::new();
            for (user, role) in rows {
                by_user.entry(user).or_default().push(role.parse()?);
            }
            Ok(wanted
                .iter()
                .map(|user| by_user.remove(user).unwrap_or_default())
                .collect())
        })
        .await
    }
}

#[async_trait]
impl Sessions for Store {
    async fn session(&self, app: &AppId, id: &SessionId) -> Result<Option<Session>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => sessions::table
                .find((own.as_str(), id.as_str()))
                .select(sessions::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn session_anywhere(&self, id: &SessionId) -> Result<Option<Session>, Fault> {
        let id = id.clone();
        self.read(Scope::System, move |c| {
            let body: Option<String> = query!(c => sessions::table
                .filter(sessions::id.eq(id.as_str()))
                .select(sessions::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn sessions(
        &self,
        app: &AppId,
        user: &UserId,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Session>, Fault> {
        let (own, user, page) = (app.clone(), user.clone(), page.clone());
        self.read(app, move |c| {
            let bodies: Vec<String> = query!(c => {
                let mut q = sessions::table
                    .filter(sessions::app_id.eq(own.as_str()))
                    .filter(sessions::user_id.eq(user.as_str()))
                    .filter(sessions::revoked.eq(false))
                    .filter(sessions::expires_at.gt(now.millis()))
                    .into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(sessions::id.gt(cursor.key()));
                }
                q.order(sessions::id).limit(i64::from(page.limit) + 1).select(sessions::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |session: &Session| session.id.to_string()))
        })
        .await
    }
}
