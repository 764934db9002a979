//! `subkeys/…`: the structure of a secret without its values.

use std::{borrow::Cow, collections::BTreeMap};

use boltwork_sdk::{Reply, Request, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Versioned,
    data::{ReadFields, lost},
    missing,
    record::VersionFacts,
};

/// Fields of the path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SubkeysFields {
    /// Location of the secret.
    path: String,
    /// Number of the version to look at; the current one if absent or 0.
    #[serde(default)]
    version: Option<i64>,
    /// How deep to go. No limit if absent or 0.
    #[serde(default)]
    depth: Option<i64>,
}

/// A version's structure, as a read shows it.
#[derive(Serialize)]
struct Shown<'a> {
    metadata: VersionFacts<'a>,
    subkeys: Option<Shape<'a>>,
}

/// The keys of an object, and those of the objects in it; `None` stands for a value.
#[derive(Debug, PartialEq, Serialize)]
struct Shape<'a>(BTreeMap<Cow<'a, str>, Option<Shape<'a>>>);

impl Versioned {
    pub(super) async fn read_subkeys(&self, req: Request<SubkeysFields>) -> Result<Reply> {
        let depth = req.fields.depth.unwrap_or(0);
        // A negative depth is no depth at all: the first level only, as in Vault.
        let depth = if depth == 0 { usize::MAX } else { usize::try_from(depth).unwrap_or(1) };
        let req = req.map(|fields| ReadFields { path: fields.path, version: fields.version });
        self.read_version(&req, req.fields.version, |data, metadata| {
            let Some(data) = data else {
                return missing::with_data(&req, Shown { metadata, subkeys: None });
            };
            let subkeys = shape(data, depth).ok_or_else(lost)?;
            Ok(Reply::data(Shown { metadata, subkeys: Some(subkeys) }))
        })
        .await
    }
}

/// The structure of a secret down to `depth` levels; `None` if it is not JSON. A secret that is no
/// object has no keys.
fn shape(data: &RawValue, depth: usize) -> Option<Shape<'_>> {
    if !data.get().starts_with('{') {
        return Some(Shape(BTreeMap::new()));
    }
    #[derive(Deserialize)]
    struct Members<'a>(#[serde(borrow)] BTreeMap<Name<'a>, &'a RawValue>);
    let Members(members) = serde_json::from_str(data.get()).ok()?;
    let members = members.into_iter().map(|(Name(name), value)| {
        let inner = (depth > 1 && value.get().starts_with('{'))
            .then(|| shape(value, depth - 1))
            .flatten()
            .filter(|inner| !inner.0.is_empty());
        (name, inner)
    });
    Some(Shape(members.collect()))
}

/// A key, borrowed where it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(data: &str, depth: usize) -> String {
        let data: &RawValue = serde_json::from_str(data).unwrap();
        serde_json::to_string(&shape(data, depth).unwrap()).unwrap()
    }

    #[test]
    fn values_are_replaced_and_objects_kept_down_to_the_depth() {
        let data = r#"{"a":"hunter2","n":null,"b":{"c":{"d":1},"e":{}},"l":[{"x":1}],"é\n":2}"#;
        for (depth, text) in [
            (1, r#"{"a":null,"b":null,"l":null,"n":null,"é\n":null}"#),
            (2, r#"{"a":null,"b":{"c":null,"e":null},"l":null,"n":null,"é\n":null}"#),
            (
                usize::MAX,
                r#"{"a":null,"b":{"c":{"d":null},"e":null},"l":null,"n":null,"é\n":null}"#,
            ),
        ] {
            assert_eq!(shown(data, depth), text);
        }
        assert_eq!(shown("null", usize::MAX), "{}");
        assert_eq!(shown("{}", 1), "{}");
    }
}
