//! What a command is run with, and the few things that nearly all of them do.

use boltwork_client::{Error, Json, Secret};

use crate::api::Api;
use crate::command::{Failure, Outcome};
use crate::environment::Environment;
use crate::flags::Parsed;
use crate::format::{self, Format};
use crate::key_values;
use crate::ui::Ui;

/// One run of one command.
pub(crate) struct Context<'a> {
    pub(crate) ui: Ui<'a>,
    pub(crate) flags: Parsed,
    pub(crate) environment: &'a Environment,
    pub(crate) format: Format,
    pub(crate) version: &'a str,
}

impl Context<'_> {
    /// The arguments, if there are exactly `n`.
    pub(crate) fn args(&self, n: usize) -> Result<Vec<String>, Failure> {
        let got = self.flags.args.len();
        match got.cmp(&n) {
            std::cmp::Ordering::Equal => Ok(self.flags.args.clone()),
            std::cmp::Ordering::Less => {
                Err(Failure::usage(format!("Not enough arguments (expected {n}, got {got})")))
            }
            std::cmp::Ordering::Greater => {
                Err(Failure::usage(format!("Too many arguments (expected {n}, got {got})")))
            }
        }
    }

    /// The one argument.
    pub(crate) fn arg(&self) -> Result<String, Failure> {
        self.args(1).map(|mut args| args.remove(0))
    }

    /// A client with the token of the environment or the token file.
    pub(crate) fn connect(&self) -> Result<Api, Failure> {
        Api::new(&self.flags, self.environment).map_err(Failure::server)
    }

    /// The arguments from `from` on, read as `key=value`.
    pub(crate) fn data(&mut self, from: usize) -> Result<Json, Failure> {
        let args = self.flags.args[from..].to_vec();
        let mut nothing = std::io::empty();
        let stdin: &mut dyn std::io::Read =
            if self.flags.bool("non-interactive") { &mut nothing } else { &mut *self.ui.stdin };
        key_values::parse(&args, stdin)
            .map_err(|e| Failure::usage(format!("Failed to parse K=V data: {e}")))
    }

    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Shows a secret in the wanted format.
    pub(crate) fn show(&mut self, secret: &Secret) -> Outcome {
        match self.format {
            Format::Table => format::secret_table(&mut self.ui, secret),
            other => self.ui.say(&other.text(&secret.to_json())),
        }
        Ok(0)
    }

    /// Shows data in the wanted format; a table if it is an object.
    pub(crate) fn show_data(&mut self, data: &Json) -> Outcome {
        match self.format {
            Format::Table => format::map_table(&mut self.ui, data),
            other => self.ui.say(&other.text(data)),
        }
        Ok(0)
    }

    /// Shows the field asked for with `-field`, or all of it.
    pub(crate) fn show_or_field(&mut self, secret: &Secret) -> Outcome {
        match self.flags.text("field") {
            "" => self.show(secret),
            _ => self.field_of(secret),
        }
    }

    /// Shows the field of a secret that `-field` names.
    pub(crate) fn field_of(&mut self, secret: &Secret) -> Outcome {
        let field = self.flags.text("field").to_owned();
        let value = format::secret_field(secret, &field);
        if self.is_table() && value.as_ref().is_some_and(|v| !v.is_null()) {
            format::warnings(&mut self.ui, secret);
        }
        self.show_field(value.as_ref(), &field, "secret")
    }

    /// Shows a field's value bare.
    pub(crate) fn show_field(&mut self, value: Option<&Json>, field: &str, of: &str) -> Outcome {
        let Some(value) = value.filter(|v| !v.is_null()) else {
            let field = crate::golang::quote(field);
            return Err(Failure::usage(format!("Field {field} not present in {of}")));
        };
        let text = match self.format {
            Format::Table | Format::Raw => crate::golang::plain(value),
            // A document of YAML ends in a line break even where it is printed bare.
            Format::Yaml => format!("{}\n", Format::Yaml.text(value)),
            Format::Json => Format::Json.text(value),
        };
        if self.ui.colour {
            self.ui.say(&text)
        } else {
            self.ui.print(&text)
        }
        Ok(0)
    }

    /// Shows the result of a write.
    pub(crate) fn show_written(
        &mut self,
        path: &str,
        result: Result<Option<Secret>, Error>,
    ) -> Outcome {
        match result {
            Err(e) => Err(Failure::server(format!("Error writing data to {path}: {e}"))),
            Ok(None) => self.succeeded(&format!("Data written to: {path}")),
            Ok(Some(secret)) => self.show_or_field(&secret),
        }
    }

    /// A line of success; other formats than tables stay empty.
    pub(crate) fn succeeded(&mut self, what: &str) -> Outcome {
        if self.is_table() {
            self.ui.say(&format!("Success! {what}"));
        }
        Ok(0)
    }
}

/// No slashes or spaces around a path.
pub(crate) fn sanitized(path: &str) -> &str {
    path.trim().trim_start_matches('/').trim_end_matches('/')
}

/// Exactly one slash after a path that is not empty.
pub(crate) fn with_slash(path: &str) -> String {
    let path = path.trim();
    if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") }
}
