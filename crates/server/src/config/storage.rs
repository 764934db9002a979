//! `storage "sqlite" { … }`.
//!
//! Leaves out opening it.

use std::path::{Path, PathBuf};

use boltwork_hcl::Block;

use super::error::{Error, Place, Warning};
use super::section::Section;

/// Where the encrypted data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory; gone when the process ends.
    Memory,
    /// In one SQLite file.
    Sqlite {
        /// The file. Its directory must exist.
        path: PathBuf,
    },
}

/// Addresses that may be written in the storage block instead of at the outermost level.
pub(super) struct OldAddresses {
    pub(super) api: Option<String>,
    pub(super) cluster: Option<String>,
}

const USE_SQLITE: &str = "write storage \"sqlite\" { path = \"/var/lib/boltwork/data.db\" }, \
     which keeps everything in one file, or storage \"inmem\" {} for a server that forgets";

impl Storage {
    pub(super) fn read(
        file: &Path,
        block: Block<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Self, OldAddresses), Error> {
        let mut section = Section::new(file, block.body);
        let refused = |what: String| Error::Refused {
            place: Place::new(file, block.label.position),
            what,
            instead: USE_SQLITE.into(),
        };
        let storage = match block.label.text.to_ascii_lowercase().as_str() {
            "inmem" => Self::Memory,
            "sqlite" => match section.path("path")? {
                Some(path) => Self::Sqlite { path },
                None => return Err(refused("storage \"sqlite\" without path".into())),
            },
            "raft" => {
                return Err(refused(
                    "storage \"raft\" is not supported: this server runs as a single node".into(),
                ));
            }
            "file" => {
                return Err(refused(
                    "storage \"file\" is not supported: it has no transactions and may lose \
                     writes when the machine stops"
                        .into(),
                ));
            }
            other => return Err(refused(format!("unknown storage type {other:?}"))),
        };
        let api = section.text("api_addr")?.or(section.text("redirect_addr")?);
        let cluster = section.text("cluster_addr")?;
        section.finish(&["disable_clustering"], &[], warnings);
        Ok((storage, OldAddresses { api, cluster }))
    }
}
