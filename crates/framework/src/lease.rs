//! What a lease remembers: the engine's own data, and the kind that says whose it is.

use boltwork_logical::Data;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The key under which Vault's engines keep the kind of a lease. A lease made by a Go engine of the
/// same name is taken back by ours, and the other way round.
const KIND: &str = "secret_type";

/// The engine's data with the kind beside it; `None` if it is no JSON object.
pub(crate) fn internal(kind: &str, value: &impl Serialize) -> Option<Data> {
    let mut fields = match serde_json::to_value(value).ok()? {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        _ => return None,
    };
    fields.insert(KIND.to_owned(), Value::String(kind.to_owned()));
    Some(Data::json(&Value::Object(fields)))
}

/// The kind of a lease, if it says one.
pub(crate) fn kind(internal: &Data) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind {
        secret_type: String,
    }
    internal.decode::<Kind>().ok().map(|kind| kind.secret_type)
}
