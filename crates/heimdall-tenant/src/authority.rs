//! Who may do what, as pure data: an App's roles compiled once, and the union that one subject holds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use heimdall_types::RoleId;

use crate::entity::{App, CatalogueEntry, Requestable, Role};
use crate::permission::{BUILT_IN, Pattern};
use crate::ports::AppRecord;

/// How many levels of included roles there may be.
pub const MAX_INCLUDE_DEPTH: usize = 4;

/// A set of interned permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// Whether number `bit` is in it.
    pub fn contains(&self, bit: usize) -> bool {
        self.0
            .get(bit / 64)
            .is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    /// Puts number `bit` into it.
    pub fn insert(&mut self, bit: usize) {
        if self.0.len() <= bit / 64 {
            self.0.resize(bit / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    /// Adds everything of `other`.
    pub fn unite(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| at * 64 + bit)
        })
    }
}

/// A role, its included roles resolved.
#[derive(Debug, Clone)]
pub struct CompiledRole {
    /// As stored.
    pub role: Role,
    /// Its own patterns and those of the roles it includes.
    pub patterns: Vec<Pattern>,
    bits: Bits,
}

/// An App's roles and catalogue, compiled for checks. Immutable: a change makes a new one.
#[derive(Debug)]
pub struct Model {
    /// The App.
    pub app: App,
    /// Its authority counter.
    pub authority: i64,
    roles: Vec<CompiledRole>,
    by_name: HashMap<String, usize>,
    by_id: HashMap<RoleId, usize>,
    catalogue: Vec<CatalogueEntry>,
    numbers: HashMap<String, usize>,
}

/// What one subject holds: the union of its roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Names of the roles, sorted.
    pub roles: Vec<String>,
    /// Every pattern of them, for the escalation rule.
    pub patterns: Vec<Pattern>,
    bits: Bits,
}

/// A role that somebody could ask for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RequestableRole {
    /// Its name.
    pub role: String,
    /// What it holds, concrete and sorted.
    pub permissions: Vec<String>,
}

/// Why roles cannot include each other so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeError {
    /// A role would include itself.
    Cycle,
    /// More than [`MAX_INCLUDE_DEPTH`] levels.
    Depth,
}

impl Model {
    /// Compiles what the store gave. Includes that lead nowhere, round, or too deep add nothing: fail closed.
    pub fn compile(record: AppRecord) -> Self {
        let built_in = BUILT_IN
            .iter()
            .map(|(permission, description)| CatalogueEntry {
                permission: (*permission).to_owned(),
                description: (*description).to_owned(),
                built_in: true,
            });
        let known: HashSet<&str> = BUILT_IN.iter().map(|(permission, _)| *permission).collect();
        let own = record
            .catalogue
            .into_iter()
            .filter(|entry| !known.contains(entry.permission.as_str()));
        let mut catalogue: Vec<CatalogueEntry> = built_in.chain(own).collect();
        catalogue.sort_by(|a, b| a.permission.cmp(&b.permission));
        let numbers: HashMap<String, usize> = catalogue
            .iter()
            .enumerate()
            .map(|(number, entry)| (entry.permission.clone(), number))
            .collect();
        let by_id: HashMap<RoleId, &Role> = record
            .roles
            .iter()
            .map(|role| (role.id.clone(), role))
            .collect();
        let roles: Vec<CompiledRole> = record
            .roles
            .iter()
            .map(|role| {
                let patterns = closure(role, &by_id);
                let bits = expand(&patterns, &catalogue);
                CompiledRole {
                    role: role.clone(),
                    patterns,
                    bits,
                }
            })
            .collect();
        Self {
            by_name: roles
                .iter()
                .enumerate()
                .map(|(at, it)| (it.role.name.clone(), at))
                .collect(),
            by_id: roles
                .iter()
                .enumerate()
                .map(|(at, it)| (it.role.id.clone(), at))
                .collect(),
            app: record.app,
            authority: record.authority,
            roles,
            catalogue,
            numbers,
        }
    }

    /// Every role, by name.
    pub fn roles(&self) -> impl Iterator<Item = &CompiledRole> {
        self.roles.iter()
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&CompiledRole> {
        self.roles.get(*self.by_name.get(name)?)
    }

    /// The role with this id.
    pub fn role_by_id(&self, id: &RoleId) -> Option<&CompiledRole> {
        self.roles.get(*self.by_id.get(id)?)
    }

    /// The catalogue, built-in permissions included, sorted.
    pub fn catalogue(&self) -> &[CatalogueEntry] {
        &self.catalogue
    }

    /// The number of a permission of the catalogue.
    pub fn number(&self, permission: &str) -> Option<usize> {
        self.numbers.get(permission).copied()
    }

    /// The union of these roles; unknown ones add nothing.
    pub fn effective<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a RoleId>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Effective {
        let at = ids.into_iter().filter_map(|id| self.by_id.get(id));
        let at: BTreeSet<usize> = at
            .chain(names.into_iter().filter_map(|name| self.by_name.get(name)))
            .copied()
            .collect();
        let mut effective = Effective::default();
        for role in at.into_iter().filter_map(|at| self.roles.get(at)) {
            effective.roles.push(role.role.name.clone());
            effective.patterns.extend(role.patterns.iter().cloned());
            effective.bits.unite(&role.bits);
        }
        effective.roles.sort_unstable();
        effective.patterns.sort_unstable();
        effective.patterns.dedup();
        effective
    }

    /// The permissions of these roles as bits, and nothing else: for checks that need no names.
    pub fn union<'a>(&self, ids: impl IntoIterator<Item = &'a RoleId>) -> Bits {
        let mut bits = Bits::default();
        for role in ids.into_iter().filter_map(|id| self.role_by_id(id)) {
            bits.unite(&role.bits);
        }
        bits
    }

    /// Whether `effective` holds `permission`. A permission that is not in the catalogue is held by nobody.
    pub fn allows(&self, effective: &Effective, permission: &str) -> bool {
        self.number(permission)
            .is_some_and(|number| effective.bits.contains(number))
    }

    /// The concrete permissions of `effective`, sorted.
    pub fn permissions<'a>(&'a self, effective: &'a Effective) -> impl Iterator<Item = &'a str> {
        self.names(&effective.bits)
    }

    /// Ids of the roles that hold `permission`.
    pub fn roles_holding(&self, permission: &str) -> Vec<RoleId> {
        let Some(number) = self.number(permission) else {
            return Vec::new();
        };
        self.roles
            .iter()
            .filter(|role| role.bits.contains(number))
            .map(|role| role.role.id.clone())
            .collect()
    }

    /// The roles that can be asked for.
    pub fn requestable(&self) -> Vec<RequestableRole> {
        let asked = self
            .roles
            .iter()
            .filter(|role| role.role.requestable.is_some());
        asked
            .map(|role| RequestableRole {
                role: role.role.name.clone(),
                permissions: self.names(&role.bits).map(str::to_owned).collect(),
            })
            .collect()
    }

    /// How a role can be asked for.
    pub fn request_rule(&self, name: &str) -> Option<&Requestable> {
        self.role(name)?.role.requestable.as_ref()
    }

    /// Whether `role` may include what it names, given the App's other roles.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn check_includes(&self, role: &Role) -> Result<(), IncludeError> {
        let mut all: HashMap<RoleId, &Role> = self
            .roles
            .iter()
            .map(|it| (it.role.id.clone(), &it.role))
            .collect();
        all.insert(role.id.clone(), role);
        // A role above this one gets deeper too, so every role is walked.
        all.values()
            .try_for_each(|top| depth(top, &all, &mut Vec::new()).map(|_| ()))
    }

    /// What `role`, not stored yet, would hold.
    pub fn patterns_of(&self, role: &Role) -> Vec<Pattern> {
        let mut all: HashMap<RoleId, &Role> = self
            .roles
            .iter()
            .map(|it| (it.role.id.clone(), &it.role))
            .collect();
        all.insert(role.id.clone(), role);
        closure(role, &all)
    }

    /// The App as it would be with `role` in place of the one with its id.
    #[must_use]
    pub fn with(&self, role: Role) -> Self {
        let others = self
            .roles
            .iter()
            .map(|it| &it.role)
            .filter(|other| other.id != role.id)
            .cloned();
        let mut roles: Vec<Role> = others.collect();
        roles.push(role);
        let catalogue = self
            .catalogue
            .iter()
            .filter(|entry| !entry.built_in)
            .cloned()
            .collect();
        Self::compile(AppRecord {
            app: self.app.clone(),
            authority: self.authority,
            roles,
            catalogue,
        })
    }

    fn names<'a>(&'a self, bits: &'a Bits) -> impl Iterator<Item = &'a str> {
        bits.numbers()
            .filter_map(|number| self.catalogue.get(number))
            .map(|entry| entry.permission.as_str())
    }
}

impl Effective {
    /// Whether everything that `pattern` stands for, now and later, is held.
    pub fn covers(&self, pattern: &Pattern) -> bool {
        self.patterns.iter().any(|held| held.covers(pattern))
    }

    /// Only what `allowed` says too; wildcards become the concrete permissions that are left.
    #[must_use]
    pub fn narrowed(&self, model: &Model, allowed: impl Fn(&str) -> bool) -> Self {
        let mut bits = Bits::default();
        let mut patterns = Vec::new();
        for number in self.bits.numbers() {
            let Some(entry) = model
                .catalogue
                .get(number)
                .filter(|entry| allowed(&entry.permission))
            else {
                continue;
            };
            bits.insert(number);
            patterns.extend(entry.permission.parse::<Pattern>());
        }
        Self {
            roles: self.roles.clone(),
            patterns,
            bits,
        }
    }
}

/// The escalation rule: nobody grants what he does not hold. Gives what is missing, sorted.
///
/// # Errors
/// The patterns of `granted` that `held` does not cover.
pub fn may_grant<'a>(
    held: &Effective,
    granted: impl IntoIterator<Item = &'a Pattern>,
) -> Result<(), Vec<String>> {
    let missing: BTreeSet<String> = granted
        .into_iter()
        .filter(|it| !held.covers(it))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing.into_iter().collect())
    }
}

fn expand(patterns: &[Pattern], catalogue: &[CatalogueEntry]) -> Bits {
    let mut bits = Bits::default();
    for (number, entry) in catalogue.iter().enumerate() {
        if patterns
            .iter()
            .any(|pattern| pattern.allows(&entry.permission))
        {
            bits.insert(number);
        }
    }
    bits
}

fn closure(role: &Role, all: &HashMap<RoleId, &Role>) -> Vec<Pattern> {
    let mut patterns = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut level = vec![role];
    for _ in 0..=MAX_INCLUDE_DEPTH {
        let mut next = Vec::new();
        for role in level {
            if seen.insert(&role.id) {
                patterns.extend(role.permissions.iter().cloned());
                next.extend(role.includes.iter().filter_map(|id| all.get(id).copied()));
            }
        }
        level = next;
    }
    patterns.into_iter().collect()
}

fn depth(
    role: &Role,
    all: &HashMap<RoleId, &Role>,
    above: &mut Vec<RoleId>,
) -> Result<usize, IncludeError> {
    if above.contains(&role.id) {
        return Err(IncludeError::Cycle);
    }
    if above.len() > MAX_INCLUDE_DEPTH {
        return Err(IncludeError::Depth);
    }
    above.push(role.id.clone());
    let mut deepest = 0;
    for id in &role.includes {
        if let Some(below) = all.get(id) {
            deepest = deepest.max(1 + depth(below, all, above)?);
        }
    }
    above.pop();
    Ok(deepest)
}

/// What is shared by everybody who asks about one App.
pub type SharedModel = Arc<Model>;

#[cfg(test)]
mod tests;
