use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_tenant::entity::{AdminKey, App, AppState, CatalogueEntry, Role};
use heimdall_tenant::ports::{AppKey, AppRecord, Apps};
use heimdall_types::{AdminKeyId, Fault, Page, PageRequest};

use super::{parse, parse_all};
use crate::conn::{Conn, JobResult, Scope, query};
use crate::schema::tenant::{admin_keys, apps, permissions, roles};
use crate::store::Store;

pub(super) fn state_name(state: AppState) -> JobResult<String> {
    Ok(serde_json::to_value(state)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[async_trait]
impl Apps for Store {
    async fn app(&self, key: AppKey<'_>) -> Result<Option<AppRecord>, Fault> {
        let (name, id) = match key {
            AppKey::Name(name) => (Some(name.to_owned()), None),
            AppKey::Id(id) => (None, Some(id.clone())),
        };
        self.read(Scope::System, move |c| {
            let row: Option<(String, i64, String)> = query!(c => {
                let mut q = apps::table.into_boxed::<Backend>();
                if let Some(name) = &name {
                    q = q.filter(apps::name.eq(name));
                }
                if let Some(id) = &id {
                    q = q.filter(apps::app_id.eq(id.as_str()));
                }
                q.select((apps::app_id, apps::authority, apps::body)).first(c).optional()
            })?;
            row.map(|(id, authority, body)| record(c, &id, authority, &body))
                .transpose()
        })
        .await
    }

    async fn apps(&self, state: Option<AppState>, page: &PageRequest) -> Result<Page<App>, Fault> {
        let page = page.clone();
        self.read(Scope::System, move |c| {
            let (wanted, archived) = (
                state.map(state_name).transpose()?,
                state_name(AppState::Archived)?,
            );
            let bodies: Vec<String> = query!(c => {
                let mut q = apps::table.into_boxed::<Backend>();
                q = match &wanted {
                    Some(state) => q.filter(apps::state.eq(state)),
                    None => q.filter(apps::state.ne(&archived)),
                };
                if let Some(cursor) = &page.cursor {
                    q = q.filter(apps::name.gt(cursor.key()));
                }
                q.order(apps::name).limit(i64::from(page.limit) + 1).select(apps::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |app: &App| {
                app.name.clone()
            }))
        })
        .await
    }

    async fn admin_key(&self, hash: &str) -> Result<Option<AdminKey>, Fault> {
        let hash = hash.to_owned();
        self.read(Scope::System, move |c| {
            let body: Option<String> = query!(c => admin_keys::table
                .filter(admin_keys::hash.eq(&hash))
                .filter(admin_keys::revoked.eq(false))
                .select(admin_keys::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn admin_key_by_id(&self, id: &AdminKeyId) -> Result<Option<AdminKey>, Fault> {
        let id = id.clone();
        self.read(Scope::System, move |c| {
            let body: Option<String> =
                query!(c => admin_keys::table.find(id.as_str()).select(admin_keys::body).first(c).optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn admin_keys(&self, page: &PageRequest) -> Result<Page<AdminKey>, Fault> {
        let page = page.clone();
        self.read(Scope::System, move |c| {
            let bodies: Vec<String> = query!(c => {
                let mut q = admin_keys::table.into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(admin_keys::id.gt(cursor.key()));
                }
                q.order(admin_keys::id).limit(i64::from(page.limit) + 1).select(admin_keys::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |key: &AdminKey| key.id.to_string()))
        })
        .await
    }
}

fn record(c: &mut Conn<'_>, id: &str, authority: i64, body: &str) -> JobResult<AppRecord> {
    let bodies: Vec<String> = query!(c => roles::table
        .filter(roles::app_id.eq(id))
        .order(roles::name)
        .select(roles::body)
        .load(c))?;
    let catalogue: Vec<(String, String)> = query!(c => permissions::table
        .filter(permissions::app_id.eq(id))
        .order(permissions::permission)
        .select((permissions::permission, permissions::description))
        .load(c))?;
    let entry = |(permission, description)| CatalogueEntry {
        permission,
        description,
        built_in: false,
    };
    Ok(AppRecord {
        app: parse(body)?,
        authority,
        roles: parse_all::<Role>(bodies)?,
        catalogue: catalogue.into_iter().map(entry).collect(),
    })
}
