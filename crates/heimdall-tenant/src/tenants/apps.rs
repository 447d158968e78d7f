use heimdall_types::{AppId, Page, PageRequest};
use serde_json::json;

use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::{App, AppState};
use crate::error::TenantError;
use crate::input::{AppPatch, NewApp, SettingsPatch};
use crate::name;
use crate::settings::AppSettings;
use crate::tenants::{Tenants, again, expect};
use crate::view::AppView;

impl Tenants {
    /// Makes an App. For the operator.
    ///
    /// # Errors
    /// A bad or taken name.
    pub async fn create_app(&self, caller: &Caller, new: NewApp) -> Result<AppView, TenantError> {
        self.operator(caller)?;
        name::app_name("name", &new.name)?;
        let display_name = new.display_name.unwrap_or_else(|| new.name.clone());
        name::line("display_name", &display_name, name::MAX_DISPLAY_NAME)?;
        let now = self.now();
        let app = App {
            id: AppId::generate(now, self.rng()),
            name: new.name,
            display_name,
            state: AppState::Active,
            settings: AppSettings::default(),
            created_at: now,
            updated_at: now,
            version: 0,
        };
        self.put_app(caller, &app, "app.created").await?;
        Ok(AppView {
            version: 1,
            ..AppView::from(&app)
        })
    }

    /// Apps by name. For the operator.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn apps(
        &self,
        caller: &Caller,
        state: Option<AppState>,
        page: &PageRequest,
    ) -> Result<Page<AppView>, TenantError> {
        self.operator(caller)?;
        Ok(self
            .ports()
            .apps
            .apps(state, page)
            .await?
            .map(|app| AppView::from(&app)))
    }

    /// One App. For the operator.
    ///
    /// # Errors
    /// [`TenantError::NotFound`].
    pub async fn app(&self, caller: &Caller, app: &str) -> Result<AppView, TenantError> {
        Ok(AppView::from(self.governed(caller, app).await?.app()))
    }

    /// Changes an App's display name. For the operator.
    ///
    /// # Errors
    /// A bad value, or another version than `expected`.
    pub async fn update_app(
        &self,
        caller: &Caller,
        app: &str,
        patch: AppPatch,
        expected: Option<i64>,
    ) -> Result<AppView, TenantError> {
        if let Some(display_name) = &patch.display_name {
            name::line("display_name", display_name, name::MAX_DISPLAY_NAME)?;
        }
        self.change_app(caller, app, "app.updated", expected, |app| {
            if let Some(display_name) = &patch.display_name {
                app.display_name.clone_from(display_name);
            }
            Ok(())
        })
        .await
    }

    /// Stops an App: it issues no tokens, and those it issued are refused. For the operator.
    ///
    /// # Errors
    /// [`TenantError::State`] when it is archived.
    pub async fn suspend_app(&self, caller: &Caller, app: &str) -> Result<AppView, TenantError> {
        self.change_app(caller, app, "app.suspended", None, |app| match app.state {
            AppState::Archived => Err(TenantError::State("the App is archived")),
            _ => {
                app.state = AppState::Suspended;
                Ok(())
            }
        })
        .await
    }

    /// Sets a suspended or archived App to work again. For the operator.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn restore_app(&self, caller: &Caller, app: &str) -> Result<AppView, TenantError> {
        self.change_app(caller, app, "app.restored", None, |app| {
            app.state = AppState::Active;
            Ok(())
        })
        .await
    }

    /// Deletes an App so that it can be restored, or with `purge` erases it with everything in it but its audit. For
    /// the operator.
    ///
    /// # Errors
    /// [`TenantError::NotFound`]; another version than `expected`.
    pub async fn delete_app(
        &self,
        caller: &Caller,
        app: &str,
        purge: bool,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        if purge {
            return self.purge_app(caller, app, expected).await;
        }
        let archived = self.change_app(caller, app, "app.archived", expected, |app| {
            app.state = AppState::Archived;
            Ok(())
        });
        archived.await.map(|_| ())
    }

    async fn purge_app(
        &self,
        caller: &Caller,
        app: &str,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        let entered = self.governed(caller, app).await?;
        let id = entered.id();
        expect(self.fresh(id).await?.app.version, expected)?;
        let mut transition = Transition::of([Change::EraseApp(id.clone())]);
        let data = json!({"name": entered.app().name});
        transition.journal.audit.push(self.audit(
            Some(id),
            caller,
            "app.purged",
            id.as_str(),
            data,
        ));
        Ok(self.apply(transition).await?)
    }

    /// The settings of an App and their version.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `settings:read`.
    pub async fn app_settings(
        &self,
        caller: &Caller,
        app: &str,
    ) -> Result<(AppSettings, i64), TenantError> {
        let entered = self.enter(caller, app, "settings:read").await?;
        Ok((entered.app().settings.clone(), entered.app().version))
    }

    /// Changes the settings of an App.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `settings:write`; a figure out of its range.
    pub async fn update_app_settings(
        &self,
        caller: &Caller,
        app: &str,
        patch: SettingsPatch,
        expected: Option<i64>,
    ) -> Result<(AppSettings, i64), TenantError> {
        let entered = self.enter(caller, app, "settings:write").await?;
        let algorithm = patch.wanted_algorithm()?;
        if let Some(Some(wanted)) = algorithm
            && self.ports().keys.signer_for(wanted).is_none()
        {
            return Err(TenantError::invalid(
                "algorithm",
                "has no key that signs yet: make one first and wait until it is active",
            ));
        }
        again!({
            let mut app = self.fresh(entered.id()).await?.app.clone();
            expect(app.version, expected)?;
            patch.clone().onto(&mut app.settings);
            if let Some(algorithm) = algorithm {
                app.settings.algorithm = algorithm;
            }
            app.settings.check()?;
            app.updated_at = self.now();
            self.put_app(caller, &app, "app.settings_changed").await?;
            Ok((app.settings, app.version + 1))
        })
    }

    // A foreign App first: whether there is one is nobody else's business.
    async fn governed(&self, caller: &Caller, app: &str) -> Result<super::Entered, TenantError> {
        self.belongs(caller, app)?;
        self.operator(caller)?;
        self.visit(caller, app).await
    }

    async fn change_app(
        &self,
        caller: &Caller,
        app: &str,
        action: &str,
        expected: Option<i64>,
        change: impl Fn(&mut App) -> Result<(), TenantError>,
    ) -> Result<AppView, TenantError> {
        let entered = self.governed(caller, app).await?;
        again!({
            let mut app = self.fresh(entered.id()).await?.app.clone();
            expect(app.version, expected)?;
            change(&mut app)?;
            app.updated_at = self.now();
            self.put_app(caller, &app, action).await?;
            Ok(AppView {
                version: app.version + 1,
                ..AppView::from(&app)
            })
        })
    }

    async fn put_app(&self, caller: &Caller, app: &App, action: &str) -> Result<(), TenantError> {
        let mut transition = Transition::of([Change::App(Box::new(app.clone()))]);
        if app.version > 0 {
            transition.app_note(&app.id, self.now());
        }
        let data = json!({"name": app.name, "state": app.state});
        self.record(
            &mut transition.journal,
            &app.id,
            caller,
            action,
            app.id.as_str(),
            data,
        );
        Ok(self.apply(transition).await?)
    }
}
