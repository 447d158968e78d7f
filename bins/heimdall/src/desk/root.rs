//! `heimdall keys reseal`: another root key for the operator to hold.

use std::path::{Path, PathBuf};

use heimdall_token::{RootKey, SystemRng};
use heimdall_types::Timestamp;

use super::Target;
use super::way::{opened, root_key};
use crate::data::ROOT_KEY_FILE;
use crate::up::folder;

/// The new key lies in its file before the database wants it, so that no moment is without a key that opens it.
pub(super) async fn replace(
    target: &Target,
    file: &Path,
    now: Timestamp,
) -> Result<String, String> {
    if target.api.is_some() {
        return Err(
            "a root key never goes over the network: name the database by --data or --database"
                .to_owned(),
        );
    }
    if file.exists() {
        return Err(format!("`{}` exists already", file.display()));
    }
    let home = target.home();
    let held = root_key(target, &home, false)?;
    let store = opened(target, &home, true, &held)?;
    let next = RootKey::generate(&SystemRng);
    let text = format!("{}\n", next.to_base64().expose());
    folder::write_private(file, text.as_bytes())
        .map_err(|error| format!("`{}` cannot be written: {error}", file.display()))?;
    store
        .relock(&held, &next, &SystemRng, now)
        .await
        .map_err(|error| {
            let _ = std::fs::remove_file(file);
            error.to_string()
        })?;
    let own = home.join(ROOT_KEY_FILE);
    if target.root_key_file.is_none() && own.exists() {
        folder::write_private(&own, text.as_bytes()).map_err(|error| {
            format!(
                "`{}` is the key now, but `{}` cannot be written: {error}",
                file.display(),
                own.display()
            )
        })?;
    }
    Ok(format!(
        "the database opens with `{}` only; instances that run go on until they are started again",
        shown(file).display()
    ))
}

fn shown(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}
