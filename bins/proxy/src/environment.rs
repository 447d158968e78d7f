use std::path::{Path, PathBuf};

use heimdall_pipeline::{Config, Files, LoadErrors, Source};

/// Where the configuration stands.
#[derive(Debug, Clone)]
pub enum ConfigAt {
    /// In a file, which SIGHUP reads again.
    File(PathBuf),
    /// Handed in by the program that embeds us.
    Text(Source),
}

impl ConfigAt {
    /// The file of `-c`, else `heimdall.yaml` in the working folder, `$HOME/.config` or `/etc/heimdall/`; else nothing
    /// but environment variables.
    pub fn find(given: Option<PathBuf>) -> Self {
        if let Some(path) = given {
            return Self::File(path);
        }
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
        let folders = [
            Some(PathBuf::new()),
            home,
            Some(PathBuf::from("/etc/heimdall")),
        ];
        let found = folders
            .into_iter()
            .flatten()
            .map(|folder| folder.join("heimdall.yaml"))
            .find(|path| path.is_file());
        found.map_or_else(
            || {
                Self::Text(Source {
                    name: "environment".to_owned(),
                    text: String::new(),
                })
            },
            Self::File,
        )
    }

    pub(crate) fn read(&self) -> Result<Source, LoadErrors> {
        match self {
            Self::Text(source) => Ok(source.clone()),
            Self::File(path) => read_source(path),
        }
    }
}

/// A file as a text, under its own name.
pub(crate) fn read_source(path: &Path) -> Result<Source, LoadErrors> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| LoadErrors::one(&name, format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| LoadErrors::one(&name, "is not UTF-8"))?;
    Ok(Source { name, text })
}

/// Looks a variable of the environment up.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the configuration with everything that the environment says about it.
pub(crate) fn read_config(at: &ConfigAt, prefix: &str) -> Result<Config, LoadErrors> {
    let overlay = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect::<Vec<_>>();
    Config::parse(&at.read()?, &variable, &overlay, prefix)
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let about = std::fs::metadata(path).map_err(|error| format!("`{path}`: {error}"))?;
        if !about.is_file() {
            return Err(format!("`{path}` is not a file"));
        }
        std::fs::read(path).map_err(|error| format!("`{path}`: {error}"))
    }
}
