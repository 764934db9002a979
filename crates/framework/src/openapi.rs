//! The table as an OpenAPI 3.0 document, as far as tools use it: paths, parameters, bodies.
//!
//! Left out: examples, and the shapes of replies, which handlers do not declare.

use std::collections::BTreeSet;

use boltwork_logical::{Operation, Request, Setup};
use serde_json::{Map, Value, json};

use crate::{Engine, table::Line};

/// The document for some paths of a table.
pub(crate) async fn document<'a, E: Engine>(
    lines: impl Iterator<Item = &'a Line<E>>,
    setup: &Setup,
    request: &Request,
) -> Value {
    let version = setup.system.plugin_environment().await.map(|found| found.version);
    let prefix = request.data.decode::<Prefix>().unwrap_or_default().request_response_prefix;
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for line in lines {
        for (path, captures) in line.template.openapi() {
            let item = path_item(line, &captures, &path, &prefix, &mut schemas);
            paths.insert(path, item);
        }
        schemas.extend(line.docs.definitions.clone());
    }
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Boltwork",
            "description": "The HTTP API of this server; every path below starts with /v1/.",
            "version": version.unwrap_or_else(|_| "unknown".to_owned()),
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Prefix {
    #[serde(rename = "requestResponsePrefix")]
    request_response_prefix: String,
}

/// One path with its operations.
fn path_item<E: Engine>(
    line: &Line<E>,
    captures: &[&str],
    path: &str,
    prefix: &str,
    schemas: &mut Map<String, Value>,
) -> Value {
    let mut item = Map::new();
    let help = line.path.help.trim();
    if !help.is_empty() {
        item.insert("description".to_owned(), help.into());
    }
    item.insert("x-vault-sudo".to_owned(), line.path.sudo.into());
    item.insert("x-vault-unauthenticated".to_owned(), line.path.unauthenticated.into());
    item.retain(|_, value| *value != Value::Bool(false));
    if line.path.exists.is_some() {
        item.insert("x-vault-createSupported".to_owned(), true.into());
    }
    let parameters: Vec<Value> = captures.iter().map(|name| parameter(line, name)).collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), parameters.into());
    }
    let methods: BTreeSet<&str> =
        line.path.operations.keys().filter_map(|op| method(*op)).collect();
    for method in methods {
        let body = matches!(method, "post" | "patch");
        let mut operation = operation(line, method, prefix, path);
        if body && let Some(schema) = body_schema(line, captures) {
            let name = schema_name(prefix, path);
            schemas.insert(name.clone(), schema);
            operation["requestBody"] = json!({
                "required": true,
                "content": { "application/json": {
                    "schema": { "$ref": format!("#/components/schemas/{name}") },
                }},
            });
        }
        item.insert(method.to_owned(), operation);
    }
    Value::Object(item)
}

/// The HTTP method of an operation, where it has one of its own.
fn method(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Create | Operation::Update => Some("post"),
        Operation::Read | Operation::List | Operation::Scan => Some("get"),
        Operation::Patch => Some("patch"),
        Operation::Delete => Some("delete"),
        Operation::Header => Some("head"),
        _ => None,
    }
}

fn operation<E>(line: &Line<E>, method: &str, prefix: &str, path: &str) -> Value {
    let mut operation = json!({
        "operationId": format!("{method}-{}", schema_name(prefix, path)),
        "tags": ["secrets"],
        "responses": { "200": { "description": "OK" } },
    });
    if matches!(method, "delete") {
        operation["responses"] = json!({ "204": { "description": "empty body" } });
    }
    let lists = line.path.operations.contains_key(&Operation::List);
    if method == "get" && lists {
        let required = !line.path.operations.contains_key(&Operation::Read);
        operation["parameters"] = json!([{
            "name": "list",
            "in": "query",
            "description": "Must be `true` for a list.",
            "required": required,
            "schema": { "type": "string" },
        }]);
    }
    operation
}

fn parameter<E>(line: &Line<E>, name: &str) -> Value {
    let schema = line.docs.properties.get(name).cloned().unwrap_or(json!({ "type": "string" }));
    let description = schema.get("description").cloned();
    let mut schema = schema;
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("description");
    }
    let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

/// The body's fields: all that are not in the path.
fn body_schema<E>(line: &Line<E>, captures: &[&str]) -> Option<Value> {
    let rest = line.docs.properties.iter().filter(|(name, _)| !captures.contains(&name.as_str()));
    let properties: Map<String, Value> =
        rest.map(|(name, schema)| (name.clone(), schema.clone())).collect();
    if properties.is_empty() {
        return None;
    }
    let required: Vec<&String> =
        line.docs.required.iter().filter(|name| properties.contains_key(*name)).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    Some(schema)
}

/// `kv` and `/data/{path}` make `KvDataPathRequest`.
fn schema_name(prefix: &str, path: &str) -> String {
    let mut name = String::new();
    let words = prefix.split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.chain(path.split(|c: char| !c.is_ascii_alphanumeric())) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name + "Request"
}
