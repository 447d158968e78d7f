use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::OpenError;

/// Where a SQLite database lies.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Memory,
    File(PathBuf),
}

/// Holds the lock of the process that may write; freed when dropped, and by the system when the process dies.
pub(crate) struct FileLock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] File,
);

/// How long a start waits for a predecessor that is just ending.
const PATIENCE: Duration = Duration::from_millis(500);

impl Place {
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self, Self::Memory)
    }

    /// What SQLite is told: a path that cannot be taken for a URI or for `:memory:`.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Memory => ":memory:".to_owned(),
            Self::File(path) if path.is_absolute() => path.display().to_string(),
            Self::File(path) => Path::new(".").join(path).display().to_string(),
        }
    }

    pub(crate) fn unusable(&self, reason: impl ToString) -> OpenError {
        OpenError::Sqlite {
            path: self.address(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn must_exist(&self) -> Result<(), OpenError> {
        match self {
            Self::File(path) if !path.is_file() => Err(self.unusable("there is no such file")),
            _ => Ok(()),
        }
    }

    /// Creates the file, readable by its owner alone; SQLite gives its companions the same mode.
    pub(crate) fn create(&self) -> Result<(), OpenError> {
        let Self::File(path) = self else {
            return Ok(());
        };
        private(path, OpenOptions::new().create(true).append(true))
            .map_err(|error| self.unusable(error))?;
        Ok(())
    }

    /// Takes the lock beside the file. A file of its own, because closing any descriptor of the database itself
    /// would drop SQLite's own locks (POSIX `fcntl`).
    pub(crate) fn lock(&self) -> Result<Option<FileLock>, OpenError> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .recursive(true)
                .create(folder)
                .map_err(|error| self.unusable(error))?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let file = private(
            Path::new(&name),
            OpenOptions::new().create(true).append(true),
        )
        .map_err(|error| self.unusable(error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(FileLock(file))),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Locked {
                        path: self.address(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(self.unusable(error)),
            }
        }
    }
}

#[cfg(unix)]
fn private(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    options.open(path)
}
