//! The rules of registration, in the order and with the texts of wire spec 5.3. `Invalid` is the
//! caller's fault there (400), `Internal` is not (500), as tools expect it.
//!
//! Left out: the rules that need the program to run, which follow (`preflight`).

use std::path::{Component, Path};

use boltwork_logical::{Error, PluginEntry, PluginId, PluginKind, Registration, Version};

use super::not_a_version;
use crate::error::reason;
use crate::rules::Rules;

/// A registration whose form is right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Kind; to be found out by running it if nothing was said.
    pub kind: Option<PluginKind>,
    /// Name.
    pub name: String,
    /// Canonical version, or empty.
    pub version: String,
    /// Relative to the plugin folder.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// The program's hash.
    pub sha256: Vec<u8>,
}

impl Checked {
    /// The entry, once kind and version are known.
    pub fn entry(self, kind: PluginKind, version: String) -> PluginEntry {
        PluginEntry {
            id: PluginId { kind, name: self.name, version },
            command: self.command,
            args: self.args,
            env: self.env,
            sha256: self.sha256,
            builtin: false,
            deprecation: None,
        }
    }
}

fn invalid<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(text.into()))
}

fn internal<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Internal(text.into()))
}

/// Checks what can be checked without running anything.
pub(crate) fn check(registration: Registration, rules: &Rules) -> Result<Checked, Error> {
    let Registration { kind, name, version, sha256, command, args, env, .. } = &registration;
    if name.is_empty() {
        return invalid("missing plugin name");
    }
    let kind = parse_kind(kind)?;
    let version = parse_version(version)?;
    if !registration.oci_image.is_empty() || !registration.runtime.is_empty() {
        return invalid(
            "oci_image and runtime are not supported: this server runs plugins as processes. Put \
             the program into the plugin directory and register it with command and sha256",
        );
    }
    if sha256.is_empty() {
        return invalid("missing SHA-256 value");
    }
    if command.is_empty() {
        return invalid("missing command value");
    }
    if let Some(directory) = &rules.directory {
        rules
            .check_permissions(&directory.join(command))
            .map_err(|why| Error::Internal(why.to_string()))?;
    }
    let (command, args) = split(command, args)?;
    let Ok(sha256) = hex::decode(sha256) else {
        return invalid("Could not decode SHA-256 value from Hex");
    };
    check_env(env)?;
    check_path(name, &command, rules)?;
    Ok(Checked {
        kind,
        name: name.clone(),
        version,
        command,
        args,
        env: env.clone(),
        sha256,
    })
}

fn parse_kind(word: &str) -> Result<Option<PluginKind>, Error> {
    match word {
        "" | "unknown" => Ok(None),
        "kms" => internal("KMS plugins cannot be registered via the plugin catalog"),
        word => PluginKind::parse(word).map(Some).map_err(|why| Error::Internal(why.to_string())),
    }
}

fn parse_version(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    match Version::parse_strict(text) {
        Err(why) => invalid(not_a_version(text, &why)),
        Ok(version) if version.is_builtin() => invalid(format!(
            "version {text:?} is not allowed because 'builtin' is a reserved metadata identifier"
        )),
        Ok(version) => Ok(version.to_string()),
    }
}

/// A command may hold its arguments, separated by single spaces.
fn split(command: &str, args: &[String]) -> Result<(String, Vec<String>), Error> {
    let Some((command, rest)) = command.split_once(' ') else {
        return Ok((command.to_owned(), args.to_vec()));
    };
    if !args.is_empty() {
        return invalid("must not specify args in command and args field");
    }
    Ok((command.to_owned(), rest.split(' ').map(str::to_owned).collect()))
}

/// What could not be handed to a process. Values may be secret and are not shown.
fn check_env(env: &[String]) -> Result<(), Error> {
    for (index, variable) in env.iter().enumerate() {
        let named = variable.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        if !named || variable.contains('\0') {
            return invalid(format!(
                "env {index}: environment variable must contain '=' to separate variable name from \
                 value"
            ));
        }
    }
    Ok(())
}

fn check_path(name: &str, command: &str, rules: &Rules) -> Result<(), Error> {
    let Some(directory) = &rules.directory else {
        return internal("could not set plugin, plugin directory is not configured");
    };
    if name.contains("..") || command.contains("..") {
        return internal("path cannot contain parent references");
    }
    // As Go joins paths: an absolute command stays below the folder too.
    let below: std::path::PathBuf =
        Path::new(command).components().filter(|c| matches!(c, Component::Normal(_))).collect();
    let path = directory.join(below);
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        Err(why) => {
            return internal(format!(
                "error while validating the command path: lstat {}: {}",
                path.display(),
                reason(&why)
            ));
        }
    };
    // Compared with the folder as it was configured: as in Vault, one that is itself a symbolic
    // link does not do.
    if resolved.parent() != Some(directory) {
        return internal(format!(
            "cannot execute files outside of configured plugin directory: {} is really {}, and \
             plugin_directory is {}",
            path.display(),
            resolved.display(),
            directory.display()
        ));
    }
    Ok(())
}
