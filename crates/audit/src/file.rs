//! The device that appends to a file, to standard output, or to nowhere. Leaves out rotation: something else moves
//! the file away and asks for it to be opened anew.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use boltwork_logical::BoxFuture;

use crate::line_writer::{LineWriter, Sink};
use crate::{Device, Error, Format, Record, Salt};

const DEFAULT_MODE: u32 = 0o600;
const EXECUTE: u32 = 0o111;

/// Appends one line of JSON for each record.
///
/// A record is answered when its line was handed to the operating system. A line that could not be written whole is
/// taken back, as far as the file is a regular one.
pub struct FileDevice {
    format: Format,
    /// `None` discards.
    writer: Option<LineWriter>,
}

impl FileDevice {
    /// Opens the device with an operator's options: `file_path` (or `path`; `stdout` and `discard` are special),
    /// `mode` (octal; `0` leaves an existing file's as it is; bits for execution are dropped), `format` (`json`),
    /// `prefix`, `log_raw`, `hmac_accessor`, `elide_list_responses`. Unknown options are ignored, as elsewhere.
    ///
    /// Blocks while the file is opened (a named pipe: until somebody reads it): call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::File`].
    pub fn open(options: &BTreeMap<String, String>, salt: Salt) -> Result<Self, Error> {
        let invalid = |text: &str| Err(Error::InvalidOption(text.to_owned()));
        let Some(path) = options.get("file_path").or_else(|| options.get("path")) else {
            return invalid("file_path is required");
        };
        match options.get("format").map(String::as_str) {
            None | Some("json") => {}
            Some(other) => return invalid(&format!("unknown format type {other:?}")),
        }
        let format = Format {
            raw: flag(options, "log_raw", false)?,
            hmac_accessor: flag(options, "hmac_accessor", true)?,
            elide_list_responses: flag(options, "elide_list_responses", false)?,
            prefix: options.get("prefix").cloned().unwrap_or_default(),
            ..Format::new(salt)
        };
        let writer = match path.to_ascii_lowercase().as_str() {
            "discard" => None,
            "stdout" => Some(LineWriter::start(Stdout)?),
            _ => Some(LineWriter::start(FileSink::open(PathBuf::from(path), mode(options)?)?)?),
        };
        Ok(Self { format, writer })
    }

    async fn append(
        &self,
        line: impl FnOnce() -> Result<Vec<u8>, Error> + Send,
    ) -> Result<(), Error> {
        match &self.writer {
            Some(writer) => writer.append(line()?).await,
            None => Ok(()),
        }
    }
}

impl Device for FileDevice {
    fn log_request<'a>(&'a self, record: &'a Record<'a>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.append(|| self.format.request(record)))
    }

    fn log_response<'a>(&'a self, record: &'a Record<'a>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.append(|| self.format.response(record)))
    }

    fn digest(&self, text: &str) -> String {
        self.format.salt.digest(text)
    }

    fn reopen(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            match &self.writer {
                Some(writer) => writer.reopen().await,
                None => Ok(()),
            }
        })
    }
}

/// Go's words for true and false, which operators' scripts use.
fn flag(options: &BTreeMap<String, String>, name: &str, default: bool) -> Result<bool, Error> {
    match options.get(name).map(String::as_str) {
        None => Ok(default),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(Error::InvalidOption(format!("{name} must be true or false"))),
    }
}

/// The mode to set, or `None` to leave it.
fn mode(options: &BTreeMap<String, String>) -> Result<Option<u32>, Error> {
    let Some(text) = options.get("mode") else { return Ok(Some(DEFAULT_MODE)) };
    match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
        Ok(0) => Ok(None),
        Ok(mode) if mode <= 0o777 => Ok(Some(mode & !EXECUTE)),
        _ => Err(Error::InvalidOption("mode must be the octal mode of a regular file".to_owned())),
    }
}

struct FileSink {
    path: PathBuf,
    mode: Option<u32>,
    /// `None` after a failure; opened again at the next line.
    file: Option<File>,
}

impl FileSink {
    fn open(path: PathBuf, mode: Option<u32>) -> Result<Self, Error> {
        let file = open_file(&path, mode)?;
        Ok(Self { path, mode, file: Some(file) })
    }

    fn try_append(&mut self, lines: &[u8]) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open_file(&self.path, self.mode)?),
        };
        let before = file.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
        file.write_all(lines).map_err(|e| {
            if let Some(len) = before {
                // Half a line would make the next one unreadable. If this fails too, so be it.
                let _ = file.set_len(len);
            }
            failure(&self.path, &e)
        })
    }
}

impl Sink for FileSink {
    fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        if self.try_append(lines).is_ok() {
            return Ok(());
        }
        // Once more with a fresh descriptor: the old one may be of a file system that came back.
        self.file = None;
        self.try_append(lines).inspect_err(|_| self.file = None)
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.file = None;
        self.file = Some(open_file(&self.path, self.mode)?);
        Ok(())
    }
}

fn open_file(path: &Path, mode: Option<u32>) -> Result<File, Error> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|e| failure(parent, &e))?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(mode.unwrap_or(DEFAULT_MODE))
        .open(path)
        .map_err(|e| failure(path, &e))?;
    let meta = file.metadata().map_err(|e| failure(path, &e))?;
    if let (Some(mode), true) = (mode, meta.is_file()) {
        file.set_permissions(Permissions::from_mode(mode)).map_err(|e| failure(path, &e))?;
    }
    Ok(file)
}

fn failure(path: &Path, error: &std::io::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("no space left ({error})"),
        _ => error.to_string(),
    };
    Error::File { path: path.to_owned(), reason }
}

struct Stdout;

impl Sink for Stdout {
    fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        out.write_all(lines)
            .and_then(|()| out.flush())
            .map_err(|e| failure(Path::new("stdout"), &e))
    }

    fn reopen(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
