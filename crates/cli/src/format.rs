//! How answers are shown: as Vault's tables, as JSON or as YAML.

use boltwork_client::{Json, Secret};

use crate::duration;
use crate::golang::{plain, quoted, time};
use crate::table::table;
use crate::ui::Ui;
use crate::wrap::indented;
use crate::yaml;

/// An output format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Table,
    Json,
    Yaml,
    /// The answer's body as it came; `read` alone knows it.
    Raw,
}

impl Format {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "" | "table" => Some(Self::Table),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "raw" => Some(Self::Raw),
            _ => None,
        }
    }

    /// A value in this format; tables are made elsewhere.
    pub(crate) fn text(self, value: &Json) -> String {
        if self == Self::Yaml { yaml::document(value) } else { value.pretty() }
    }
}

/// Whether a field of this name holds seconds that are shown as a duration.
fn is_duration(key: &str) -> bool {
    ["period", "ttl", "duration"]
        .iter()
        .any(|w| key == *w || key.strip_suffix(w).is_some_and(|rest| rest.ends_with('_')))
        || matches!(key, "lease_max" | "ttl_max")
}

fn cell(key: &str, value: &Json) -> String {
    match value {
        Json::Number(_) if is_duration(key) => {
            value.as_i64().map_or_else(|| plain(value), duration::human)
        }
        _ => plain(value),
    }
}

fn row(key: impl Into<String>, value: impl Into<String>) -> Vec<String> {
    vec![key.into(), value.into()]
}

fn key_value(ui: &mut Ui<'_>, rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        ui.say(&table(&["Key", "Value"], rows));
    }
}

fn data_rows(data: &Json) -> Vec<Vec<String>> {
    let mut fields: Vec<_> = data.as_object().unwrap_or_default().iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields.into_iter().map(|(key, value)| row(key, cell(key, value))).collect()
}

/// An object as a table.
pub(crate) fn map_table(ui: &mut Ui<'_>, data: &Json) {
    key_value(ui, data_rows(data));
}

/// What the server warned of.
pub(crate) fn warnings(ui: &mut Ui<'_>, secret: &Secret) {
    if secret.warnings.is_empty() {
        return;
    }
    ui.warn("WARNING! The following warnings were returned from the server:\n");
    for warning in &secret.warnings {
        ui.warn(&indented(&format!("* {warning}"), 2));
        ui.warn("");
    }
}

/// A secret as a table: lease, token, wrapping, then the data.
pub(crate) fn secret_table(ui: &mut Ui<'_>, secret: &Secret) {
    warnings(ui, secret);
    let mut rows = Vec::new();
    if secret.lease_duration > 0 {
        let life = duration::human(secret.lease_duration);
        if secret.lease_id.is_empty() {
            rows.push(row("refresh_interval", life));
        } else {
            rows.push(row("lease_id", &*secret.lease_id));
            rows.push(row("lease_duration", life));
            rows.push(row("lease_renewable", secret.renewable.to_string()));
        }
    }
    if let Some(auth) = &secret.auth {
        rows.extend(auth_rows(auth.fields()));
    }
    if let Some(wrap) = &secret.wrap_info {
        rows.extend(wrap_rows(wrap.fields()));
    }
    if let Some(data) = &secret.data {
        rows.extend(data_rows(data));
    }
    key_value(ui, rows);
}

fn auth_rows(auth: &Json) -> Vec<Vec<String>> {
    let list = |key: &str| quoted(auth.get(key).unwrap_or(&Json::Null));
    let life = match auth.int("lease_duration") {
        0 => "∞".to_owned(),
        seconds => duration::human(seconds),
    };
    let mut rows = vec![
        row("token", auth.text("client_token")),
        row("token_accessor", auth.text("accessor")),
        row("token_duration", life),
        row("token_renewable", auth.flag("renewable").to_string()),
        row("token_policies", list("token_policies")),
        row("identity_policies", list("identity_policies")),
        row("policies", list("policies")),
    ];
    let metadata = auth.get("metadata").and_then(Json::as_object).unwrap_or_default();
    rows.extend(metadata.iter().map(|(k, v)| row(format!("token_meta_{k}"), plain(v))));
    rows
}

fn wrap_rows(wrap: &Json) -> Vec<Vec<String>> {
    let mut rows = vec![
        row("wrapping_token:", wrap.text("token")),
        row("wrapping_accessor:", wrap.text("accessor")),
        row("wrapping_token_ttl:", duration::human(wrap.int("ttl"))),
        row("wrapping_token_creation_time:", time(wrap.text("creation_time"))),
        row("wrapping_token_creation_path:", wrap.text("creation_path")),
    ];
    if !wrap.text("wrapped_accessor").is_empty() {
        rows.push(row("wrapped_accessor:", wrap.text("wrapped_accessor")));
    }
    rows
}

/// The answer of a LIST.
pub(crate) fn list_table(ui: &mut Ui<'_>, secret: &Secret, keys: &[Json]) {
    warnings(ui, secret);
    let mut names: Vec<String> = keys.iter().map(plain).collect();
    names.sort();
    if !names.is_empty() {
        ui.say(&table(&["Keys"], names.into_iter().map(|n| vec![n]).collect()));
    }
}

/// The value that `-field=NAME` means.
pub(crate) fn secret_field(secret: &Secret, field: &str) -> Option<Json> {
    let of_data = || secret.field(field).cloned();
    if let Some(auth) = &secret.auth {
        let name = match field {
            "token" => "client_token",
            "token_accessor" => "accessor",
            "token_duration" => "lease_duration",
            "token_renewable" => "renewable",
            "token_policies" | "identity_policies" | "policies" => field,
            _ => return of_data(),
        };
        return auth.fields().get(name).map(|v| match v {
            Json::Null => Json::Array(Vec::new()),
            other => other.clone(),
        });
    }
    if let Some(wrap) = &secret.wrap_info {
        let name = match field {
            "wrapped_accessor" => field,
            _ => match field.strip_prefix("wrapping_") {
                Some(name) => name.strip_prefix("token_").unwrap_or(name),
                None => return of_data(),
            },
        };
        return wrap.fields().get(name).cloned();
    }
    match field {
        "lease_duration" | "refresh_interval" => Some(Json::number(secret.lease_duration)),
        "lease_id" => Some(Json::from(secret.lease_id.as_str())),
        "request_id" => Some(Json::from(secret.request_id.as_str())),
        "renewable" => Some(Json::Bool(secret.renewable)),
        "data" => of_data().or_else(|| secret.data.clone()),
        _ => of_data(),
    }
}

/// A heading between equal signs, as wide as what stands under it.
pub(crate) fn heading(title: &str, width: usize) -> String {
    let mut signs = match width.saturating_sub(title.len() + 2) {
        0 => 4,
        n => n,
    };
    signs += signs % 2;
    let half = "=".repeat(signs / 2);
    format!("{half} {title} {half}")
}

/// The heading over a table of this object.
pub(crate) fn heading_over(title: &str, data: &Json) -> String {
    let keys = data.as_object().unwrap_or_default().iter().map(|(k, _)| k.len());
    heading(title, keys.max().unwrap_or_default() + "    Value".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_as_wide_as_their_table() {
        assert_eq!(heading("Secret Path", 15), "= Secret Path =");
        assert_eq!(heading("Secret Path", 5), "== Secret Path ==");
        let data = Json::record([("bar", Json::from("x"))]);
        assert_eq!(heading_over("Data", &data), "=== Data ===");
    }

    #[test]
    fn fields_that_hold_seconds_are_known_by_name() {
        for key in ["ttl", "max_lease_ttl", "period", "lease_duration", "ttl_max"] {
            assert!(is_duration(key), "{key}");
        }
        for key in ["throttl", "duration_x", "name"] {
            assert!(!is_duration(key), "{key}");
        }
    }
}
