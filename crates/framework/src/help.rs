//! Help pages: what a path is for, and which paths there are.

use std::fmt::Write as _;

use boltwork_logical as logical;
use boltwork_logical::{Data, Setup};
use serde_json::{Value, json};

use crate::{
    Engine, Result, openapi,
    table::{Line, Table},
};

/// Help for the whole engine.
pub(crate) async fn root<E: Engine>(
    table: &Table<E>,
    setup: &Setup,
    request: &logical::Request,
) -> Result<logical::Reply> {
    let mut text = format!("\n## DESCRIPTION\n\n{}\n\n## PATHS\n\n", table.routes.help.trim());
    text.push_str(
        "These are the paths of this backend. Ask for help on any path that one of the patterns\n\
         below matches to learn more about it. Whether a path may be used depends on the policies\n\
         of the token.\n\n",
    );
    let sorted = table.sorted();
    for (template, line) in &sorted {
        // Writing to a string cannot fail.
        let _ =
            write!(text, "    {}\n        {}\n\n", pattern(template), indented(&line.path.help, 8));
    }
    text.push('\n');
    let document = openapi::document(sorted.into_values(), setup, request).await;
    Ok(page(&text, &document))
}

/// Help for one path.
pub(crate) async fn path<E: Engine>(
    line: &Line<E>,
    setup: &Setup,
    request: &logical::Request,
) -> Result<logical::Reply> {
    let or = |text: &str, otherwise: &str| match text.trim() {
        "" => otherwise.to_owned(),
        text => text.to_owned(),
    };
    let mut text = format!(
        "Request:        {}\nMatching Route: {}\n\n{}\n\n",
        request.path,
        pattern(&line.path.template),
        or(&line.path.help, "<no synopsis>"),
    );
    if !line.docs.properties.is_empty() {
        text.push_str("## PARAMETERS\n");
    }
    for (name, schema) in &line.docs.properties {
        let described = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let described = or(described, "<no description>");
        let kind = kind_of(schema);
        let _ = write!(text, "\n    {name} ({kind})\n\n        {}\n", indented(&described, 8));
    }
    let details = or(&line.path.details, "<no description>");
    let _ = write!(text, "\n## DESCRIPTION\n\n{details}\n");
    let document = openapi::document(std::iter::once(line), setup, request).await;
    Ok(page(&text, &document))
}

fn page(text: &str, document: &Value) -> logical::Reply {
    let page = json!({ "help": text.trim(), "see_also": null, "openapi": document });
    logical::Reply::data(Data::json(&page))
}

/// The template between anchors, as tools know routes from Vault.
fn pattern(template: &str) -> String {
    format!("^{template}$")
}

fn indented(text: &str, by: usize) -> String {
    text.trim().replace('\n', &format!("\n{}", " ".repeat(by)))
}

/// The word that Vault's help has for a field's type.
fn kind_of(schema: &Value) -> &'static str {
    let is = |word: &str| match schema.get("type") {
        Some(Value::String(kind)) => kind == word,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == word),
        _ => false,
    };
    match schema.get("format").and_then(Value::as_str) {
        Some("duration") => return "duration (sec)",
        Some("int64" | "uint64") => return "int64",
        _ => {}
    }
    if is("boolean") {
        "bool"
    } else if is("integer") {
        "int"
    } else if is("number") {
        "float"
    } else if is("array") {
        "slice"
    } else if is("object") || schema.get("$ref").is_some() || schema.get("allOf").is_some() {
        "map"
    } else {
        "string"
    }
}
