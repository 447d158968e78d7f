//! The folder of a first look: what is in it belongs to its owner alone.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use heimdall_token::RootKey;
use heimdall_types::Rng;

use crate::data::{DATABASE_FILE, ROOT_KEY_FILE};
use crate::up::Failure;

/// Makes the folder, and those around it, for its owner alone. One that is there already keeps its mode, unless it is
/// still empty.
pub(crate) fn make(path: &Path) -> io::Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    if fs::read_dir(path)?.next().is_none() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    path.canonicalize()
}

/// Writes a file whole or not at all, readable by its owner alone.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("part");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// Takes away what an earlier start wrote: whoever waits for the file waits for this one.
pub(super) fn forget(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", path.display()).into())
        }
        _ => Ok(()),
    }
}

/// The root key of the folder, made at the first start.
pub(crate) fn root_key(folder: &Path, rng: &dyn Rng) -> Result<RootKey, Failure> {
    let path = folder.join(ROOT_KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => RootKey::from_base64(text.trim())
            .map_err(|error| format!("{}: {error}", path.display()).into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = RootKey::generate(rng);
            write_private(&path, format!("{}\n", key.to_base64().expose()).as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// The address of the folder's database.
pub(super) fn database(folder: &Path) -> String {
    format!("sqlite://{}", folder.join(DATABASE_FILE).display())
}
