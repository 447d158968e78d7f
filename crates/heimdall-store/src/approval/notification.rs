use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::NotificationConfig;
use heimdall_approval::ports::NotificationBook;
use heimdall_types::{AppId, Fault, Journal, NotificationConfigId, Page, PageRequest};

use crate::conn::{JobResult, Named, one, query};
use crate::journal;
use crate::schema::approval::notification_configs as rows;
use crate::store::Store;

fn parse_all(bodies: Vec<String>) -> JobResult<Vec<NotificationConfig>> {
    bodies
        .iter()
        .map(|body| Ok(serde_json::from_str(body)?))
        .collect()
}

#[async_trait]
impl NotificationBook for Store {
    async fn config(
        &self,
        app: &AppId,
        id: &NotificationConfigId,
    ) -> Result<Option<NotificationConfig>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let body: Option<String> =
                query!(c => rows::table.find((own.as_str(), id.as_str())).select(rows::body).first(c).optional())?;
            body.map(|body| Ok(serde_json::from_str(&body)?)).transpose()
        })
        .await
    }

    async fn configs(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<NotificationConfig>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        self.read(app, move |c| {
            let bodies: Vec<String> = query!(c => {
                let mut q = rows::table.filter(rows::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(rows::id.gt(cursor.key()));
                }
                q.order(rows::id).limit(i64::from(page.limit) + 1).select(rows::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |config| config.id.to_string()))
        })
        .await
    }

    async fn configs_of(
        &self,
        app: &AppId,
        ids: &[String],
    ) -> Result<Vec<NotificationConfig>, Fault> {
        let (own, ids) = (app.clone(), ids.to_vec());
        self.read(app, move |c| {
            let bodies: Vec<String> = query!(c => rows::table
                .filter(rows::app_id.eq(own.as_str()))
                .filter(rows::id.eq_any(&ids))
                .order(rows::id)
                .select(rows::body)
                .load(c))?;
            parse_all(bodies)
        })
        .await
    }

    async fn put_config(&self, config: &NotificationConfig, journal: Journal) -> Result<(), Fault> {
        let config = config.clone();
        self.write(&config.app_id.clone(), move |c| {
            let next = NotificationConfig { version: config.version + 1, ..config.clone() };
            let body = serde_json::to_string(&next)?;
            let (app, id) = (config.app_id.as_str(), config.id.as_str());
            let mutable = (rows::version.eq(next.version), rows::name.eq(&config.name), rows::body.eq(&body));
            if config.version == 0 {
                query!(c => diesel::insert_into(rows::table)
                    .values((rows::app_id.eq(app), rows::id.eq(id), mutable))
                    .execute(c))
                .unique("name")?;
            } else {
                let hit = query!(c => diesel::update(rows::table.find((app, id)).filter(rows::version.eq(config.version)))
                    .set(mutable)
                    .execute(c))
                .unique("name")?;
                one(hit)?;
            }
            journal::write(c, &journal)
        })
        .await
    }

    async fn drop_config(
        &self,
        app: &AppId,
        id: &NotificationConfigId,
        journal: Journal,
    ) -> Result<(), Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.write(app, move |c| {
            query!(c => diesel::delete(rows::table.find((own.as_str(), id.as_str()))).execute(c))?;
            journal::write(c, &journal)
        })
        .await
    }
}

#[async_trait]
impl heimdall_tenant::ports::NotificationConfigs for Store {
    async fn missing(&self, app: &AppId, ids: &[String]) -> Result<Vec<String>, Fault> {
        let found = self.configs_of(app, ids).await?;
        let absent = |id: &&String| !found.iter().any(|config| config.id.as_str() == *id);
        Ok(ids.iter().filter(absent).cloned().collect())
    }
}
