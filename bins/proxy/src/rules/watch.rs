use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Writers that come in several steps are waited for so long.
const SETTLE: Duration = Duration::from_millis(40);
/// Within this time the operating system tells of a change.
const DELIVERY: Duration = Duration::from_millis(5);
/// A writer that keeps a file open is waited for so long, then what lies there is read.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells when files changed and their writers are done.
///
/// A file that is being written is not read: an empty or half a rule set is a rule set too, and would deny what the
/// whole one allows. So a change counts when the writer closed the file, or when a file was moved, made or removed.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<Step>,
    folders: BTreeSet<PathBuf>,
    /// Folders whose every file counts, and files that count alone.
    counted: BTreeSet<PathBuf>,
    /// Files with bytes written and not yet closed.
    open: BTreeSet<PathBuf>,
    /// Something came that [`Self::changed`] has not told yet.
    untold: bool,
}

enum Step {
    Writing(PathBuf),
    Done(PathBuf),
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the operating system has no watch to give.
    pub(crate) fn new() -> notify::Result<Self> {
        let (tell, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let writing = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)));
            let done = match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(_))
                | EventKind::Remove(_) => true,
                // A new file is closed later, unless it came as a link.
                EventKind::Create(_) => event.paths.iter().any(|path| path.is_symlink()),
                _ => false,
            };
            for path in event.paths {
                // The receiver is gone only when the service is.
                if writing {
                    let _ = tell.send(Step::Writing(path));
                } else if done {
                    let _ = tell.send(Step::Done(path));
                }
            }
        })?;
        Ok(Self {
            watcher,
            events,
            folders: BTreeSet::new(),
            counted: BTreeSet::new(),
            open: BTreeSet::new(),
            untold: false,
        })
    }

    /// Watches a file by its folder, so that a file moved over it is seen, or a folder.
    pub(crate) fn add(&mut self, path: &Path) -> notify::Result<()> {
        let folder = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(Path::new("."))
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        self.counted.insert(match path.file_name() {
            Some(name) if !path.is_dir() => folder.join(name),
            _ => folder.to_owned(),
        });
        if self.folders.insert(folder.to_owned()) {
            self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(())
    }

    /// Waits until something changed and no writer is at work. Dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) {
        loop {
            let next = match self.untold {
                false => self.events.recv().await,
                true if self.open.is_empty() => match timeout(SETTLE, self.events.recv()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.untold = false;
                        return;
                    }
                },
                true => match timeout(PATIENCE, self.events.recv()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.open.clear();
                        self.untold = false;
                        return;
                    }
                },
            };
            match next {
                Some(step) => self.note(step),
                None => sleep(PATIENCE).await,
            }
        }
    }

    fn note(&mut self, step: Step) {
        match step {
            // Somebody else's file in the same folder, such as a log that is never closed, holds nothing up.
            Step::Writing(path) if !self.counts(&path) => return,
            Step::Writing(path) => drop(self.open.insert(path)),
            Step::Done(path) => drop(self.open.remove(&path)),
        }
        self.untold = true;
    }

    fn counts(&self, path: &Path) -> bool {
        let folder = path.parent().unwrap_or(Path::new(""));
        self.counted.contains(path) || self.counted.contains(folder)
    }

    /// Whether somebody wrote since [`Self::changed`] returned; then what was read meanwhile is not believed, and the
    /// next call tells of it.
    pub(crate) async fn disturbed(&mut self) -> bool {
        // A change made before the files were read is told at once.
        sleep(DELIVERY).await;
        while let Ok(step) = self.events.try_recv() {
            self.note(step);
        }
        self.untold
    }
}
