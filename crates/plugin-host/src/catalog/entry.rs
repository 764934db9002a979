//! A catalog entry at rest (wire spec 5.1): HashiCorp's and OpenBao's form are read, one that both
//! read is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boltwork_logical::{PluginEntry, PluginId, PluginKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The JSON. What is not here is ignored when read.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    /// A number; newer Vaults write the word.
    #[serde(rename = "type", default)]
    kind: Value,
    #[serde(default)]
    version: String,
    #[serde(default)]
    command: String,
    /// Go writes an empty list as `null`.
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default)]
    builtin: bool,
}

/// Kind of a stored entry: very old ones do not know theirs.
type Kind = Option<PluginKind>;

fn kind(value: &Value) -> Result<Kind, String> {
    let bad = || format!("its type {value} is none that this server knows");
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Ok(None),
            Some(number) => PluginKind::from_number(number).map(Some).ok_or_else(bad),
            None => Err(bad()),
        },
        Value::String(word) if word.is_empty() || word == "unknown" => Ok(None),
        Value::String(word) => PluginKind::parse(word).map(Some).map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// Reads an entry; one without a type of its own gets `assumed`.
pub(super) fn read(text: &[u8], assumed: PluginKind) -> Result<PluginEntry, String> {
    let stored: Stored = serde_json::from_slice(text).map_err(|why| why.to_string())?;
    let sha256 = STANDARD
        .decode(stored.sha256.unwrap_or_default())
        .map_err(|why| format!("its sha256: {why}"))?;
    let kind = kind(&stored.kind)?.unwrap_or(assumed);
    Ok(PluginEntry {
        id: PluginId { kind, name: stored.name, version: stored.version },
        command: stored.command,
        args: stored.args.unwrap_or_default(),
        env: stored.env.unwrap_or_default(),
        sha256,
        builtin: false,
        deprecation: None,
    })
}

/// Writes an entry.
pub(super) fn write(entry: &PluginEntry) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Stored {
        name: entry.id.name.clone(),
        kind: Value::from(entry.id.kind as u64),
        version: entry.id.version.clone(),
        command: entry.command.clone(),
        args: Some(entry.args.clone()),
        env: Some(entry.env.clone()),
        sha256: Some(STANDARD.encode(&entry.sha256)),
        builtin: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> PluginEntry {
        PluginEntry {
            id: PluginId { kind: PluginKind::Secret, name: "a/b".into(), version: "v1.0.0".into() },
            command: "prog".into(),
            args: vec!["-x".into()],
            env: vec!["A=b".into()],
            sha256: vec![1, 2, 255],
            builtin: false,
            deprecation: None,
        }
    }

    #[test]
    fn an_entry_is_written_with_a_number_for_its_type_and_read_back() {
        let text = write(&entry()).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&json["type"], &json["sha256"]), (&Value::from(3), &Value::from("AQL/")));
        assert_eq!(read(&text, PluginKind::Auth), Ok(entry()));
    }

    #[test]
    fn entries_of_both_servers_are_read() {
        let hashicorp = br#"{"name":"a/b","type":"secret","version":"v1.0.0","oci_image":"",
            "runtime":"","command":"prog","args":["-x"],"env":["A=b"],"sha256":"AQL/",
            "builtin":false}"#;
        let openbao = br#"{"name":"a/b","type":3,"version":"v1.0.0","command":"prog","args":["-x"],
            "env":["A=b"],"sha256":"AQL/","builtin":false,"oci":false,"declarative":true}"#;
        for text in [&hashicorp[..], &openbao[..]] {
            assert_eq!(read(text, PluginKind::Auth), Ok(entry()));
        }
    }

    #[test]
    fn an_entry_from_before_types_gets_the_type_it_is_asked_for() {
        for text in [&br#"{"name":"x","args":null,"sha256":null}"#[..], br#"{"name":"x","type":0}"#] {
            let read = read(text, PluginKind::Auth).unwrap();
            assert_eq!((read.id.kind, read.args.len()), (PluginKind::Auth, 0));
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in
            ["", "[]", "{}", r#"{"name":"x","type":4}"#, r#"{"name":"x","type":-1}"#,
             r#"{"name":"x","type":"kms"}"#, r#"{"name":"x","sha256":"?"}"#]
        {
            assert!(read(text.as_bytes(), PluginKind::Auth).is_err(), "{text}");
        }
    }
}
