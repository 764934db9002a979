//! The file itself: its directory, permissions, the lock against a second server, the schema, and the words for what
//! is wrong with it. Leaves out reading and writing entries.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::SqliteConfig;
use crate::Error;

/// Marks the file as ours ("BLTW"), in SQLite's `application_id`.
const APPLICATION_ID: i32 = 0x424c_5457;
/// The schema below, in SQLite's `user_version`.
const SCHEMA_VERSION: i32 = 1;
const PAGE_SIZE: u32 = 4096;
/// How long to wait for a foreign program (a backup, the sqlite3 shell) that holds SQLite's own lock.
const BUSY: Duration = Duration::from_secs(5);

/// Holding it keeps other servers away from the file.
///
/// A file of its own, because SQLite's locks on the database are per process and would be lost as soon as this
/// process closed any other descriptor of the same file.
pub(super) struct Lock {
    _file: File,
}

/// Creates directory and file where missing, and takes the lock.
pub(super) fn prepare(path: &Path) -> Result<Lock, Error> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(|e| unusable(parent, &e))?;
    let lock = take_lock(path)?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        // The name of a new file is durable only once its directory is.
        Ok(_) => File::open(parent).and_then(|dir| dir.sync_all()).map_err(|e| io(path, &e))?,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => tighten(path)?,
        Err(e) => return Err(unusable(path, &e)),
    }
    Ok(lock)
}

fn take_lock(path: &Path) -> Result<Lock, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(|e| unusable(&name, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = file.take(20).read_to_string(&mut pid).is_ok();
            let holder = match pid.trim().parse::<u32>() {
                Ok(pid) if known => format!("another server (process {pid})"),
                _ => "another server".to_owned(),
            };
            return Err(Error::Locked { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(e)) => return Err(unusable(&name, &e)),
    }
    // Only a courtesy to whoever finds the file locked; a full disk must not keep the server from starting.
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(e) = noted {
        tracing::warn!(path = %name.display(), error = %e, "cannot note the process id in the lock file");
    }
    Ok(Lock { _file: file })
}

/// An existing file that others may read is made ours alone.
fn tighten(path: &Path) -> Result<(), Error> {
    let meta = std::fs::metadata(path).map_err(|e| unusable(path, &e))?;
    if !meta.is_file() {
        return Err(Error::Unusable { path: path.to_owned(), reason: "it is not a file".into() });
    }
    if meta.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "storage file was open to other users; setting mode 0600");
        std::fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|e| unusable(path, &e))?;
    }
    Ok(())
}

pub(super) fn connect_writer(config: &SqliteConfig) -> Result<Connection, Error> {
    let path = &config.path;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| explain(path, &e))?;
    configure(&connection, config).map_err(|e| explain(path, &e))?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|e| explain(path, &e))?;
    if mode != "wal" {
        return Err(Error::Unusable {
            path: path.clone(),
            reason: "its file system does not support a write-ahead log; use a local disk".into(),
        });
    }
    recognise(&connection, path)?;
    Ok(connection)
}

fn configure(connection: &Connection, config: &SqliteConfig) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", config.wal_autocheckpoint)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    if let Some(bytes) = config.max_bytes {
        let pages = u32::try_from(bytes / u64::from(PAGE_SIZE)).unwrap_or(u32::MAX).max(1);
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    connection.set_prepared_statement_cache_capacity(16);
    Ok(())
}

/// Makes the schema in an empty file; refuses a file that is another program's, or a later version's.
fn recognise(connection: &Connection, path: &Path) -> Result<(), Error> {
    let ask = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let wrong = |detail: String| Error::Corrupt { path: path.to_owned(), detail };
    let id = ask("application_id").map_err(|e| explain(path, &e))?;
    let version = ask("user_version").map_err(|e| explain(path, &e))?;
    if id == APPLICATION_ID {
        if version == SCHEMA_VERSION {
            return Ok(());
        }
        return Err(wrong(format!("it has format {version}, this server reads {SCHEMA_VERSION}")));
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(|e| explain(path, &e))?;
    if id != 0 || tables != 0 {
        return Err(wrong("it is an SQLite database of another program".into()));
    }
    // One transaction: a crash in between leaves an empty file, which is made anew. Rows are kept in key order,
    // without a second index, because every access is by key.
    let schema = format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE entries (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {SCHEMA_VERSION};
         COMMIT;"
    );
    connection.execute_batch(&schema).map_err(|e| explain(path, &e))
}

pub(super) fn connect_reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| explain(path, &e))?;
    let configured = connection.busy_timeout(BUSY).and_then(|()| {
        // The cache of values lies above; this one only keeps the upper pages of the tree.
        connection.pragma_update(None, "cache_size", -1024)
    });
    configured.map_err(|e| explain(path, &e))?;
    Ok(connection)
}

/// Puts SQLite's error into an operator's words.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    let path = path.to_owned();
    let detail = error.to_string();
    let Some(code) = error.sqlite_error_code() else { return Error::Io { path, detail } };
    match code {
        ErrorCode::DiskFull => Error::Full { path, detail },
        ErrorCode::NotADatabase => {
            Error::Corrupt { path, detail: "it is not an SQLite database".into() }
        }
        ErrorCode::DatabaseCorrupt => {
            Error::Corrupt { path, detail: format!("it is damaged ({detail})") }
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::Locked { path, holder: "another program (a backup, the sqlite3 shell)".into() }
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            Error::Unusable {
                path,
                reason: format!(
                    "{detail}; the file and its directory must be writable for this user"
                ),
            }
        }
        _ => Error::Io { path, detail },
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::Full { path, detail: error.to_string() }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::Unusable {
            path,
            reason: format!("{error}; the file and its directory must be writable for this user"),
        },
        _ => Error::Unusable { path, reason: error.to_string() },
    }
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), detail: error.to_string() }
}
