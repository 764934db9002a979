//! Answers with the status 404 and something to say: a version that is deleted, a path that this
//! engine does not have.

use boltwork_sdk::{
    Reply, Request, Result,
    logical::{Error, Operation},
};
use serde::Serialize;

use super::{At, Versioned};

/// The body of a reply as HTTP clients know it (the plugin protocol lets a backend choose a status
/// only together with the whole body).
#[derive(Serialize)]
struct Body<'a, D> {
    request_id: &'a str,
    lease_id: &'static str,
    renewable: bool,
    lease_duration: u64,
    data: Option<D>,
    wrap_info: Option<()>,
    warnings: Option<[String; 1]>,
    auth: Option<()>,
}

/// 404 with a payload, a warning, or both.
fn reply<F, D: Serialize>(
    req: &Request<F>,
    data: Option<D>,
    warning: Option<String>,
) -> Result<Reply> {
    let body = Body {
        request_id: req.id(),
        lease_id: "",
        renewable: false,
        lease_duration: 0,
        data,
        wrap_info: None,
        warnings: warning.map(|warning| [warning]),
        auth: None,
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_| Error::internal("an answer could not be written as JSON"))?;
    Ok(Reply::raw(404, "application/json", body))
}

/// 404 that shows what is known of a version without its data.
pub(super) fn with_data<F>(req: &Request<F>, data: impl Serialize) -> Result<Reply> {
    reply(req, Some(data), None)
}

/// 404 without a word.
pub(super) fn silent() -> Reply {
    Reply::raw(404, "application/json", "")
}

/// Whether a path below `data/` and its like names a key.
pub(super) fn names_key(path: &str) -> bool {
    !path.is_empty() && !path.ends_with('/')
}

/// 404 for a path that names no key.
pub(super) fn no_such_path<F>(req: &Request<F>) -> Result<Reply> {
    let command = match req.operation() {
        Operation::Create | Operation::Update => "put",
        Operation::Patch => "patch",
        Operation::List => "list",
        Operation::Scan => "scan",
        Operation::Delete => "delete",
        _ => "get",
    };
    let warning = format!(
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API \
         endpoints to use. If using the Vault CLI, use 'vault kv {command}' for this operation."
    );
    reply(req, None::<()>, Some(warning))
}

impl Versioned {
    /// Answers on every path that is not in the table.
    pub(super) async fn elsewhere(&self, req: Request<At>) -> Result<Reply> {
        match req.fields.path.as_str() {
            "metadata" | "data" | "delete" | "undelete" | "destroy" => {
                let text =
                    "Non-listing operations on the root of a K/V v2 mount are not supported.";
                reply(&req, None::<()>, Some(text.to_owned()))
            }
            _ => no_such_path(&req),
        }
    }
}
