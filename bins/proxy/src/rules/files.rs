use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use heimdall_pipeline::{Engine, FileSystem, LoadErrors, RuleSet};

use super::expanded;
use crate::environment::read_source;

/// What tells one version of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: Option<SystemTime>,
}

/// The rule files of a provider.
pub(crate) struct Folder {
    provider: FileSystem,
    files: Files,
}

/// Files read and compiled.
#[derive(Clone, Default)]
pub(crate) struct Files(BTreeMap<PathBuf, (Stamp, Arc<RuleSet>)>);

impl Files {
    pub(super) fn sets(&self) -> impl Iterator<Item = &Arc<RuleSet>> {
        self.0.values().map(|(_, set)| set)
    }
}

impl Folder {
    pub(crate) fn new(provider: FileSystem) -> Self {
        Self {
            provider,
            files: Files::default(),
        }
    }

    /// What was read last.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Arc<RuleSet>> {
        self.files.sets()
    }

    /// Believes what [`Self::changed`] read.
    pub(super) fn take(&mut self, files: Files) {
        self.files = files;
    }

    /// Reads and compiles the files that are new or changed; `None` when none is and none is gone.
    pub(super) fn changed(&self, engine: &Engine) -> Result<Option<Files>, LoadErrors> {
        let mut next = BTreeMap::new();
        let mut same = true;
        for path in list(Path::new(&self.provider.src))? {
            let Some(stamp) = stamp(&path) else { continue };
            let known = self.files.0.get(&path).filter(|(known, _)| *known == stamp);
            let set = match known {
                Some((_, set)) => set.clone(),
                None => {
                    same = false;
                    engine.compile(&expanded(read_source(&path)?, &self.provider))?
                }
            };
            next.insert(path, (stamp, set));
        }
        Ok((!same || next.len() != self.files.0.len()).then_some(Files(next)))
    }
}

/// The file, or the files of the folder; folders in it are not looked into.
pub(crate) fn list(src: &Path) -> Result<Vec<PathBuf>, LoadErrors> {
    let failed = |error: std::io::Error| {
        LoadErrors::one(
            &src.display().to_string(),
            format!("cannot be read: {error}"),
        )
    };
    if !std::fs::metadata(src).map_err(failed)?.is_dir() {
        return Ok(vec![src.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(src).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if std::fs::metadata(&path).is_ok_and(|about| about.is_file()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some(Stamp {
        inode: about.ino(),
        length: about.len(),
        changed: about.modified().ok(),
    })
}
