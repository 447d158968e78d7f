use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Much, object, segment, text};
use crate::desk::{Call, Target};

/// Keys of operators.
#[derive(Debug, Args)]
pub(crate) struct AdminKeys {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(subcommand)]
    command: AdminKeysCommand,
}

#[derive(Debug, Subcommand)]
enum AdminKeysCommand {
    /// List admin keys, revoked ones too
    List(Much),
    /// Make one, shown once; works on an empty database
    Create {
        /// For people: who or what uses it
        name: String,
    },
    /// Revoke one
    Revoke { id: String },
}

impl AdminKeys {
    pub(crate) fn call(&self) -> Result<Call, String> {
        Ok(match &self.command {
            AdminKeysCommand::List(much) => Call::list(
                "/admin-keys".to_owned(),
                &["id", "name", "created_at", "revoked_at"],
            )
            .at_most(much.limit),
            AdminKeysCommand::Create { name } => Call::post(
                "/admin-keys".to_owned(),
                object([("name", Some(name.as_str().into()))]),
            ),
            AdminKeysCommand::Revoke { id } => Call::delete(format!("/admin-keys/{}", segment(id))),
        })
    }
}

/// Keys that sign access tokens.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List signing keys and where they are in their lives
    List,
    /// Make the next signing key; it is published at once and signs later
    Rotate {
        /// ES256, ES384 or EdDSA; that of the present key without it
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Bring a key of your own (PEM or JWK), as the next signing key: the way to RS256 and PS256
    Import {
        /// The private key
        file: PathBuf,
        /// Which algorithm it signs with, where its kind knows several
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Print a new root key, for `root_key: file:…`
    Root,
    /// Replace the root key: from then on the database opens with the new one only. Not through --api
    Reseal {
        /// The file to write the new root key to; it must not exist
        new_root_key_file: PathBuf,
    },
}

impl Keys {
    /// What needs no Heimdall at all.
    pub(crate) fn alone(&self) -> Option<String> {
        matches!(self.command, KeysCommand::Root).then(|| {
            let key = heimdall_token::RootKey::generate(&heimdall_token::SystemRng);
            key.to_base64().expose().to_owned()
        })
    }

    /// Where the new root key goes, when it is to be replaced.
    pub(crate) fn reseals(&self) -> Option<&Path> {
        match &self.command {
            KeysCommand::Reseal { new_root_key_file } => Some(new_root_key_file),
            _ => None,
        }
    }

    pub(crate) fn call(&self) -> Result<Call, String> {
        Ok(match &self.command {
            KeysCommand::List | KeysCommand::Root | KeysCommand::Reseal { .. } => Call::list(
                "/keys".to_owned(),
                &[
                    "kid",
                    "algorithm",
                    "state",
                    "activates_at",
                    "retired_at",
                    "removes_at",
                ],
            )
            .at_most(0),
            KeysCommand::Rotate { algorithm } => Call::post(
                "/keys/rotate".to_owned(),
                object([("algorithm", text(algorithm))]),
            ),
            KeysCommand::Import { file, algorithm } => {
                let key = std::fs::read_to_string(file)
                    .map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
                Call::post(
                    "/keys/import".to_owned(),
                    object([("key", Some(key.into())), ("algorithm", text(algorithm))]),
                )
            }
        })
    }
}
