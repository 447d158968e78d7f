//! Where rules come from: a file or a folder, and URLs. What is loaded replaces what was there as a whole, or not at
//! all.

mod files;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use heimdall_pipeline::{Engine, Fetched, FileSystem, LoadErrors, RuleSet, Snapshot, Source};

use crate::environment::variable;
pub(crate) use files::{Folder, list};
pub(crate) use watch::Watch;

/// Rule sets by where they come from, compiled.
#[derive(Default)]
pub(crate) struct RuleSets {
    folder: Option<Folder>,
    fetched: BTreeMap<usize, Arc<RuleSet>>,
    etags: BTreeMap<usize, String>,
}

impl RuleSets {
    /// No rules yet from what the configuration names.
    pub(crate) fn new(provider: Option<&FileSystem>) -> Self {
        Self {
            folder: provider.map(|provider| Folder::new(provider.clone())),
            ..Self::default()
        }
    }

    /// Reads files that changed; gives the new snapshot, if anything did.
    ///
    /// # Errors
    /// What is wrong; the sets of before stay.
    pub(crate) fn look(&mut self, engine: &Engine) -> Result<Option<Snapshot>, LoadErrors> {
        let Some(folder) = &mut self.folder else {
            return Ok(None);
        };
        let Some(next) = folder.changed(engine)? else {
            return Ok(None);
        };
        let sets = next
            .sets()
            .chain(self.fetched.values())
            .cloned()
            .collect::<Vec<_>>();
        let snapshot = engine.snapshot(&sets)?;
        folder.take(next);
        Ok(Some(snapshot))
    }

    /// The snapshot of what was read.
    pub(crate) fn snapshot(&self, engine: &Engine) -> Result<Snapshot, LoadErrors> {
        let files = self.folder.iter().flat_map(Folder::sets);
        engine.snapshot(
            &files
                .chain(self.fetched.values())
                .cloned()
                .collect::<Vec<_>>(),
        )
    }

    /// The validator of what endpoint number `index` said last.
    pub(crate) fn etag(&self, index: usize) -> Option<&str> {
        self.etags.get(&index).map(String::as_str)
    }

    /// Takes what endpoint number `index` said; gives the new snapshot, if anything changed.
    ///
    /// # Errors
    /// What is wrong; the sets of before stay.
    pub(crate) fn fetched(
        &mut self,
        engine: &Engine,
        index: usize,
        answer: Fetched,
    ) -> Result<Option<Snapshot>, LoadErrors> {
        let (set, etag) = match answer {
            Fetched::Unchanged => return Ok(None),
            Fetched::Gone if self.fetched.contains_key(&index) => (None, None),
            Fetched::Gone => return Ok(None),
            Fetched::Changed(source, etag) => (Some(engine.compile(&source)?), etag),
        };
        let mut next = self.fetched.clone();
        match set {
            Some(set) => next.insert(index, set),
            None => next.remove(&index),
        };
        let files = self.folder.iter().flat_map(Folder::sets);
        let snapshot = engine.snapshot(&files.chain(next.values()).cloned().collect::<Vec<_>>())?;
        self.fetched = next;
        match etag {
            Some(etag) => self.etags.insert(index, etag),
            None => self.etags.remove(&index),
        };
        Ok(Some(snapshot))
    }
}

/// `${VAR}` in a rule set is replaced only where the provider says so.
fn expanded(source: Source, provider: &FileSystem) -> Source {
    if provider.env_vars_enabled {
        source.expanded(&variable)
    } else {
        source
    }
}

/// Pause before an endpoint that failed is asked again.
pub(crate) const RETRY: Duration = Duration::from_secs(5);
