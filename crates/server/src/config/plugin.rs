//! `plugin "type" "name" { … }`: plugins that the server registers itself (wire spec 5.13).
//!
//! A stanza that is wrong is kept with what is wrong about it: it must not keep the server from
//! starting, nor be taken for one that was removed. Left out: whether the program is there and works.

use std::fmt;
use std::path::Path;

use boltwork_hcl::Object;

use super::error::{Error, Place, Warning};
use super::section::Section;

/// One stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Where it stands; none where the file's syntax hides it.
    pub place: Option<Place>,
    /// `auth`, `secret` or `database`, unchecked; empty where it cannot be read.
    pub kind: String,
    /// Its name; empty where it cannot be read.
    pub name: String,
    /// What to register, or what is wrong.
    pub program: Result<Program, String>,
}

/// What a stanza says about the program.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The command, in the plugin directory.
    pub command: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Version; not empty.
    pub version: String,
    /// Arguments.
    pub args: Vec<String>,
    /// `KEY=value` settings; may hold secrets.
    pub env: Vec<String>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("command", &self.command).finish_non_exhaustive()
    }
}

/// Downloads are not done; the rest of a stanza's keys is known.
const NO_EFFECT: &[&str] = &["binary_name"];

impl Plugin {
    /// Every stanza of a file.
    pub(super) fn read_all(
        file: &Path,
        section: &mut Section<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Vec<Self> {
        let stanzas = section.twice_labelled("plugin");
        let read = stanzas.into_iter().map(|stanza| match stanza {
            Ok((kind, name, body)) => Self {
                place: Some(Place::new(file, kind.position)),
                kind: kind.text.clone(),
                name: name.text.clone(),
                program: program(file, (&kind.text, &name.text), body, warnings),
            },
            Err(error) => Self {
                place: None,
                kind: String::new(),
                name: String::new(),
                program: Err(error.to_string()),
            },
        });
        read.collect()
    }
}

fn program(
    file: &Path,
    (kind, name): (&str, &str),
    body: &Object,
    warnings: &mut Vec<Warning>,
) -> Result<Program, String> {
    let mut section = Section::new(file, body);
    let wrong = |error: Error| error.to_string();
    let image = section.text("image").map_err(wrong)?;
    let command = section.text("command").map_err(wrong)?;
    let program = Program {
        command: command.unwrap_or_default(),
        sha256: section.text("sha256sum").map_err(wrong)?.unwrap_or_default(),
        version: section.text("version").map_err(wrong)?.unwrap_or_default(),
        args: section.texts("args").map_err(wrong)?,
        env: section.texts("env").map_err(wrong)?,
    };
    section.finish(&[], NO_EFFECT, warnings);
    if name.is_empty() {
        return Err("plugin name cannot be empty".into());
    }
    check(kind, image.as_deref(), &program).map_err(|why| format!("plugin {name:?}: {why}"))?;
    Ok(program)
}

fn check(kind: &str, image: Option<&str>, program: &Program) -> Result<(), String> {
    if kind.is_empty() {
        return Err("type cannot be empty".into());
    }
    if image.is_some() {
        return Err("image is not supported: this server downloads and runs no container images; \
             put the program into the plugin directory and name it with command"
            .into());
    }
    if program.command.is_empty() {
        return Err("image and command cannot both be empty".into());
    }
    if program.version.is_empty() {
        return Err("version cannot be empty".into());
    }
    let digits = program.sha256.len();
    if digits != 64 {
        return Err(format!("sha256sum must be exactly 64 characters, got {digits}"));
    }
    if hex::decode(&program.sha256).is_err() {
        return Err("sha256sum is not valid hex encoded".into());
    }
    match program.env.iter().position(|pair| !pair.contains('=')) {
        None => Ok(()),
        Some(index) => Err(format!(
            "env {index}: environment variable must contain '=' to separate variable name from \
             value"
        )),
    }
}
