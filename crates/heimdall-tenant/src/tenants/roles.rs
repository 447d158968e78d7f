use std::collections::BTreeSet;

use heimdall_types::{AppId, Journal, Page, PageRequest, RoleId, UserId};
use serde_json::json;

use crate::authority::{IncludeError, Model};
use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::{CatalogueEntry, Requestable, Role, UserState};
use crate::error::TenantError;
use crate::input::{NewPermission, NewRole, RolePatch};
use crate::name;
use crate::permission::{BUILT_IN, Pattern, Permission};
use crate::tenants::{Entered, Tenants, again, expect};
use crate::view::{self, PermissionView, RoleView, UserView};

/// Most roles in an App.
const MAX_ROLES: usize = 1_000;
/// Most permissions in a role.
const MAX_ROLE_PERMISSIONS: usize = 500;
/// Most entries of a catalogue.
const MAX_CATALOGUE: usize = 5_000;

/// The permission whose last holder stays.
pub(crate) const ASSIGN: &str = "roles:assign";

impl Tenants {
    /// Makes a role. Permissions it names enter the catalogue.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:write`, or when the caller lacks what the role would hold.
    pub async fn create_role(
        &self,
        caller: &Caller,
        app: &str,
        new: NewRole,
    ) -> Result<RoleView, TenantError> {
        let entered = self.enter(caller, app, "roles:write").await?;
        name::role_name("name", &new.name)?;
        let now = self.now();
        let blank = Role {
            app_id: entered.id().clone(),
            id: RoleId::generate(now, self.rng()),
            display_name: new.name.clone(),
            name: new.name,
            description: String::new(),
            permissions: Vec::new(),
            includes: Vec::new(),
            requestable: None,
            notification_configs: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 0,
        };
        let patch = RolePatch {
            display_name: new.display_name,
            description: Some(new.description),
            permissions: Some(new.permissions),
            includes: Some(new.includes),
            requestable: Some(new.requestable),
            notification_configs: Some(new.notification_configs),
        };
        again!({
            let model = self.fresh(entered.id()).await?;
            if model.roles().count() >= MAX_ROLES {
                return Err(TenantError::State("an App has at most 1000 roles"));
            }
            self.write_role(
                caller,
                &entered,
                &model,
                blank.clone(),
                &patch,
                "role.created",
            )
            .await
        })
    }

    /// Every role, by name.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:read`.
    pub async fn roles(
        &self,
        caller: &Caller,
        app: &str,
        page: &PageRequest,
    ) -> Result<Page<RoleView>, TenantError> {
        let entered = self.enter(caller, app, "roles:read").await?;
        let rows = entered
            .model
            .roles()
            .map(|role| &role.role)
            .filter(|role| behind(page, &role.name));
        let mut rows: Vec<&Role> = rows.collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows.truncate(page.limit as usize + 1);
        Ok(Page::cut(rows, page.limit, |role| role.name.clone())
            .map(|role| view::role(&entered.model, role)))
    }

    /// One role.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:read`.
    pub async fn role(
        &self,
        caller: &Caller,
        app: &str,
        role: &str,
    ) -> Result<RoleView, TenantError> {
        let entered = self.enter(caller, app, "roles:read").await?;
        let role = entered.model.role(role).ok_or(TenantError::NotFound)?;
        Ok(view::role(&entered.model, &role.role))
    }

    /// Changes a role.
    ///
    /// # Errors
    /// As [`Tenants::create_role`]; [`TenantError::LastHolder`]; another version than `expected`.
    pub async fn update_role(
        &self,
        caller: &Caller,
        app: &str,
        role: &str,
        patch: RolePatch,
        expected: Option<i64>,
    ) -> Result<RoleView, TenantError> {
        let entered = self.enter(caller, app, "roles:write").await?;
        again!({
            let model = self.fresh(entered.id()).await?;
            let stored = model.role(role).ok_or(TenantError::NotFound)?.role.clone();
            expect(stored.version, expected)?;
            self.write_role(caller, &entered, &model, stored, &patch, "role.updated")
                .await
        })
    }

    /// Sets a role's whole list of permissions.
    ///
    /// # Errors
    /// As [`Tenants::update_role`].
    pub async fn set_role_permissions(
        &self,
        caller: &Caller,
        app: &str,
        role: &str,
        permissions: Vec<String>,
        expected: Option<i64>,
    ) -> Result<RoleView, TenantError> {
        let patch = RolePatch {
            permissions: Some(permissions),
            ..RolePatch::default()
        };
        self.update_role(caller, app, role, patch, expected).await
    }

    /// Deletes a role that nobody has.
    ///
    /// # Errors
    /// [`TenantError::InUse`] while a user, a credential or a role has it.
    pub async fn delete_role(
        &self,
        caller: &Caller,
        app: &str,
        role: &str,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "roles:write").await?;
        again!({
            let model = self.fresh(entered.id()).await?;
            let stored = &model.role(role).ok_or(TenantError::NotFound)?.role;
            expect(stored.version, expected)?;
            if model
                .roles()
                .any(|other| other.role.includes.contains(&stored.id))
            {
                return Err(TenantError::InUse);
            }
            let drop = Change::DropRole {
                app_id: entered.id().clone(),
                id: stored.id.clone(),
                version: stored.version,
            };
            let mut transition = Transition::of([drop]);
            transition.app_note(entered.id(), self.now());
            let data = json!({"role_id": stored.id, "role": stored.name});
            self.record(
                &mut transition.journal,
                entered.id(),
                caller,
                "role.deleted",
                stored.id.as_str(),
                data,
            );
            Ok(self.apply(transition).await?)
        })
    }

    /// The catalogue, built-in permissions included, sorted.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:read`.
    pub async fn permissions(
        &self,
        caller: &Caller,
        app: &str,
        page: &PageRequest,
    ) -> Result<Page<PermissionView>, TenantError> {
        let entered = self.enter(caller, app, "roles:read").await?;
        let rows = entered
            .model
            .catalogue()
            .iter()
            .filter(|entry| behind(page, &entry.permission));
        let rows = rows.take(page.limit as usize + 1).collect();
        Ok(Page::cut(rows, page.limit, |entry: &&CatalogueEntry| {
            entry.permission.clone()
        })
        .map(|entry| PermissionView {
            permission: entry.permission.clone(),
            description: entry.description.clone(),
            built_in: entry.built_in,
        }))
    }

    /// Adds a permission to the catalogue, or describes it anew.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:write`.
    pub async fn add_permission(
        &self,
        caller: &Caller,
        app: &str,
        new: NewPermission,
    ) -> Result<PermissionView, TenantError> {
        let entered = self.enter(caller, app, "roles:write").await?;
        let permission: Permission = new
            .permission
            .parse()
            .map_err(|error| refused("permission", error))?;
        name::description("description", &new.description, name::MAX_DESCRIPTION)?;
        if is_built_in(permission.as_str()) {
            return Err(TenantError::Taken("permission"));
        }
        if entered.model.catalogue().len() >= MAX_CATALOGUE {
            return Err(TenantError::State(
                "a catalogue has at most 5000 permissions",
            ));
        }
        let text = permission.to_string();
        let change = Change::Permission {
            app_id: entered.id().clone(),
            permission: text.clone(),
            description: Some(new.description.clone()),
        };
        self.change_catalogue(
            caller,
            entered.id(),
            Transition::of([change]),
            "permission.added",
            &text,
        )
        .await?;
        Ok(PermissionView {
            permission: text,
            description: new.description,
            built_in: false,
        })
    }

    /// Removes a permission that no role names from the catalogue.
    ///
    /// # Errors
    /// [`TenantError::InUse`] while a role names it; [`TenantError::NotFound`].
    pub async fn remove_permission(
        &self,
        caller: &Caller,
        app: &str,
        permission: &str,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "roles:write").await?;
        let model = self.fresh(entered.id()).await?;
        if is_built_in(permission) {
            return Err(TenantError::State("built-in permissions stay"));
        }
        model.number(permission).ok_or(TenantError::NotFound)?;
        if model.roles().any(|role| {
            role.role
                .permissions
                .iter()
                .any(|held| held.as_str() == permission)
        }) {
            return Err(TenantError::InUse);
        }
        let app = entered.id();
        let mut transition = Transition::of([Change::DropPermission {
            app_id: app.clone(),
            permission: permission.to_owned(),
        }]);
        // Wildcards lose it.
        let held = model.roles().filter(|role| {
            role.patterns
                .iter()
                .any(|pattern| pattern.allows(permission))
        });
        transition.holders_of = held
            .map(|role| (app.clone(), role.role.id.clone(), self.now()))
            .collect();
        self.change_catalogue(caller, app, transition, "permission.removed", permission)
            .await
    }

    async fn change_catalogue(
        &self,
        caller: &Caller,
        app: &AppId,
        mut transition: Transition,
        action: &str,
        permission: &str,
    ) -> Result<(), TenantError> {
        transition.app_note(app, self.now());
        // The target is the App: whoever keeps its roles in memory must drop them.
        transition.journal.audit.push(self.audit(
            Some(app),
            caller,
            action,
            app.as_str(),
            json!({"permission": permission}),
        ));
        Ok(self.apply(transition).await?)
    }

    async fn write_role(
        &self,
        caller: &Caller,
        entered: &Entered,
        model: &Model,
        stored: Role,
        patch: &RolePatch,
        action: &str,
    ) -> Result<RoleView, TenantError> {
        let role = self.patched(model, stored.clone(), patch).await?;
        let now_held = model.patterns_of(&role);
        let held_before = model
            .role_by_id(&role.id)
            .map(|role| role.patterns.clone())
            .unwrap_or_default();
        let added = now_held
            .iter()
            .filter(|pattern| !held_before.iter().any(|before| before.covers(pattern)));
        entered.may_grant(added)?;
        // Who may ask for a role and who decides about it are ways to grant all that it holds.
        if role.requestable != stored.requestable
            || role.notification_configs != stored.notification_configs
        {
            entered.may_grant(&now_held)?;
        }
        let now = self.now();
        let app = entered.id();
        let mut transition = Transition::default();
        for pattern in &role.permissions {
            if let Some(permission) = pattern
                .concrete()
                .filter(|it| model.number(it.as_str()).is_none())
            {
                transition = transition.with(Change::Permission {
                    app_id: app.clone(),
                    permission: permission.to_string(),
                    description: None,
                });
            }
        }
        if model.catalogue().len() + transition.changes.len() > MAX_CATALOGUE {
            return Err(TenantError::State(
                "a catalogue has at most 5000 permissions",
            ));
        }
        transition = transition.with(Change::Role(Box::new(Role {
            updated_at: now,
            ..role.clone()
        })));
        // Roles that include this one change too, so the App is compiled as it would be.
        let next = model.with(role.clone());
        if stored.version > 0 {
            let changed = |id: &RoleId| {
                model.role_by_id(id).map(|it| &it.patterns)
                    != next.role_by_id(id).map(|it| &it.patterns)
            };
            let ids = model.roles().map(|it| it.role.id.clone()).filter(changed);
            transition.holders_of = ids.map(|id| (app.clone(), id, now)).collect();
        }
        let left = next.roles_holding(ASSIGN);
        if model
            .roles_holding(ASSIGN)
            .iter()
            .any(|id| !left.contains(id))
        {
            self.keep_a_holder(model, &left, None).await?;
            transition = transition.with(Change::Authority {
                app_id: app.clone(),
                expected: model.authority,
            });
        }
        if stored.version > 0 {
            transition.app_note(app, now);
        }
        let data = json!({"role_id": role.id, "role": role.name, "permissions": role.permissions});
        self.record(
            &mut transition.journal,
            app,
            caller,
            action,
            role.id.as_str(),
            data,
        );
        self.apply(transition).await?;
        let model = self.fresh(app).await?;
        let role = model.role_by_id(&role.id).ok_or(TenantError::NotFound)?;
        Ok(view::role(&model, &role.role))
    }

    async fn patched(
        &self,
        model: &Model,
        mut role: Role,
        patch: &RolePatch,
    ) -> Result<Role, TenantError> {
        if let Some(display_name) = &patch.display_name {
            name::line("display_name", display_name, name::MAX_DISPLAY_NAME)?;
            role.display_name.clone_from(display_name);
        }
        if let Some(description) = &patch.description {
            name::description("description", description, name::MAX_DESCRIPTION)?;
            role.description.clone_from(description);
        }
        if let Some(permissions) = &patch.permissions {
            role.permissions = patterns(permissions)?;
        }
        if let Some(includes) = &patch.includes {
            role.includes = named(model, "includes", includes)?;
            model.check_includes(&role).map_err(|error| match error {
                IncludeError::Cycle => {
                    TenantError::invalid("includes", "would make a role include itself")
                }
                IncludeError::Depth => {
                    TenantError::invalid("includes", "goes deeper than four levels")
                }
            })?;
        }
        if let Some(requestable) = &patch.requestable {
            requestable.as_ref().map_or(Ok(()), check_requestable)?;
            role.requestable.clone_from(requestable);
        }
        if let Some(configs) = &patch.notification_configs {
            if configs.len() > 50 {
                return Err(TenantError::invalid(
                    "notification_configs",
                    "are more than 50",
                ));
            }
            if let (Some(port), false) = (&self.ports().notification_configs, configs.is_empty())
                && !port.missing(&model.app.id, configs).await?.is_empty()
            {
                return Err(TenantError::invalid(
                    "notification_configs",
                    "name one that does not exist",
                ));
            }
            role.notification_configs.clone_from(configs);
        }
        Ok(role)
    }

    /// Gives a role to a user; nothing happens when it has it.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:assign`, or when the caller lacks what the role holds.
    pub async fn assign_role(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
        role: &str,
    ) -> Result<UserView, TenantError> {
        let entered = self.enter(caller, app, ASSIGN).await?;
        let user = user_id(user)?;
        again!({
            let model = self.fresh(entered.id()).await?;
            let person = self
                .ports()
                .directory
                .user(entered.id(), &user)
                .await?
                .ok_or(TenantError::NotFound)?;
            let compiled = model
                .role(role)
                .ok_or_else(|| TenantError::invalid("role", "is no role of the App"))?;
            entered.may_grant(&compiled.patterns)?;
            let mut held = self.roles_held(entered.id(), &user).await?;
            if !held.contains(&compiled.role.id) {
                let assign = Change::Assign {
                    app_id: entered.id().clone(),
                    user_id: user.clone(),
                    role_id: compiled.role.id.clone(),
                    at: self.now(),
                };
                let mut transition = Transition::of([assign]);
                transition.note(
                    entered.id(),
                    crate::change::Subject::User(user.clone()),
                    self.now(),
                );
                self.record_role(
                    &mut transition.journal,
                    entered.id(),
                    caller,
                    "role.assigned",
                    &user,
                    &compiled.role,
                );
                self.apply(transition).await?;
                held.push(compiled.role.id.clone());
            }
            Ok(view::user(&model, &person, &held))
        })
    }

    /// Takes a role from a user; nothing happens when it does not have it.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:assign`; [`TenantError::LastHolder`].
    pub async fn unassign_role(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
        role: &str,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, ASSIGN).await?;
        let user = user_id(user)?;
        again!({
            let model = self.fresh(entered.id()).await?;
            let person = self
                .ports()
                .directory
                .user(entered.id(), &user)
                .await?
                .ok_or(TenantError::NotFound)?;
            let compiled = model.role(role).ok_or(TenantError::NotFound)?;
            let mut held = self.roles_held(entered.id(), &user).await?;
            if let Some(at) = held.iter().position(|id| *id == compiled.role.id) {
                held.remove(at);
                let take = Change::Unassign {
                    app_id: entered.id().clone(),
                    user_id: user.clone(),
                    role_id: compiled.role.id.clone(),
                };
                let mut transition = Transition::of([take]);
                let still = model.allows(&model.effective(&held, []), ASSIGN);
                let had = compiled
                    .patterns
                    .iter()
                    .any(|pattern| pattern.allows(ASSIGN));
                if had && !still && person.state == UserState::Active {
                    self.keep_a_holder(&model, &model.roles_holding(ASSIGN), Some(&user))
                        .await?;
                    transition = transition.with(Change::Authority {
                        app_id: entered.id().clone(),
                        expected: model.authority,
                    });
                }
                transition.note(
                    entered.id(),
                    crate::change::Subject::User(user.clone()),
                    self.now(),
                );
                self.record_role(
                    &mut transition.journal,
                    entered.id(),
                    caller,
                    "role.unassigned",
                    &user,
                    &compiled.role,
                );
                self.apply(transition).await?;
            }
            Ok(())
        })
    }

    /// The roles that a user has for good, by name.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:read`.
    pub async fn user_roles(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
    ) -> Result<Vec<String>, TenantError> {
        let entered = self.enter(caller, app, "users:read").await?;
        let user = user_id(user)?;
        self.ports()
            .directory
            .user(entered.id(), &user)
            .await?
            .ok_or(TenantError::NotFound)?;
        Ok(view::role_names(
            &entered.model,
            &self.roles_held(entered.id(), &user).await?,
        ))
    }

    pub(crate) async fn roles_held(
        &self,
        app: &AppId,
        user: &UserId,
    ) -> Result<Vec<RoleId>, TenantError> {
        let mut held = self
            .ports()
            .directory
            .roles_of(app, std::slice::from_ref(user))
            .await?;
        Ok(held.pop().unwrap_or_default())
    }

    /// Whether somebody active, other than `except`, has one of the roles that are `left` with `roles:assign`.
    pub(crate) async fn keep_a_holder(
        &self,
        model: &Model,
        left: &[RoleId],
        except: Option<&UserId>,
    ) -> Result<(), TenantError> {
        let directory = &self.ports().directory;
        if !directory
            .holders(&model.app.id, left, except, 1)
            .await?
            .is_empty()
        {
            return Ok(());
        }
        // A permission that nobody has yet may go; only a holder's loss counts.
        let anybody = !directory
            .holders(&model.app.id, &model.roles_holding(ASSIGN), None, 1)
            .await?
            .is_empty();
        if anybody {
            Err(TenantError::LastHolder)
        } else {
            Ok(())
        }
    }

    pub(crate) fn record_role(
        &self,
        journal: &mut Journal,
        app: &AppId,
        caller: &Caller,
        kind: &str,
        user: &UserId,
        role: &Role,
    ) {
        let data = json!({"user_id": user, "role_id": role.id, "role": role.name});
        self.record(journal, app, caller, kind, user.as_str(), data);
    }
}

/// Reads role names into ids, each once.
pub(crate) fn named(
    model: &Model,
    field: &'static str,
    names: &[String],
) -> Result<Vec<RoleId>, TenantError> {
    let mut ids = Vec::new();
    for name in names {
        let role = model
            .role(name)
            .ok_or_else(|| TenantError::invalid(field, "names a role that does not exist"))?;
        if !ids.contains(&role.role.id) {
            ids.push(role.role.id.clone());
        }
    }
    Ok(ids)
}

/// All that these roles hold.
pub(crate) fn patterns_in<'a>(
    model: &'a Model,
    roles: &'a [RoleId],
) -> impl Iterator<Item = &'a Pattern> {
    roles
        .iter()
        .filter_map(|id| model.role_by_id(id))
        .flat_map(|role| &role.patterns)
}

// A malformed id is answered like an unknown one.
pub(crate) fn user_id(text: &str) -> Result<UserId, TenantError> {
    text.parse().map_err(|_| TenantError::NotFound)
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, TenantError> {
    if texts.len() > MAX_ROLE_PERMISSIONS {
        return Err(TenantError::invalid("permissions", "are more than 500"));
    }
    let read: Result<BTreeSet<Pattern>, _> = texts.iter().map(|text| text.parse()).collect();
    read.map(|set| set.into_iter().collect())
        .map_err(|error| refused("permissions", error))
}

fn refused(field: &'static str, error: impl ToString) -> TenantError {
    TenantError::invalid(field, error.to_string())
}

fn check_requestable(requestable: &Requestable) -> Result<(), TenantError> {
    if !(1..=525_600).contains(&requestable.max_minutes) {
        return Err(TenantError::malformed(
            "requestable.max_minutes",
            "must be 1 to 525600",
        ));
    }
    if requestable
        .approval
        .as_ref()
        .is_some_and(|step| !step.is_object())
    {
        return Err(TenantError::malformed(
            "requestable.approval",
            "must be a step",
        ));
    }
    Ok(())
}

fn behind(page: &PageRequest, key: &str) -> bool {
    page.cursor.as_ref().is_none_or(|cursor| key > cursor.key())
}

fn is_built_in(permission: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == permission)
}
