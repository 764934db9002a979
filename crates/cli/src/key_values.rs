//! `key=value` arguments: `key=@file`, `key=-` (stdin), `key=\@literal`, `@file.json`, `-` (JSON on
//! stdin). A key given twice becomes a list.
//!
//! Errors name the key and never the value.

use std::io::Read;

use boltwork_client::Json;

/// Longest input from stdin or a file: the API refuses longer bodies anyway.
const LONGEST: u64 = 64 << 20;

/// Reads the arguments into an object.
pub(crate) fn parse(args: &[String], stdin: &mut dyn Read) -> Result<Json, String> {
    let mut builder = Builder { fields: Vec::new(), stdin: Some(stdin) };
    for arg in args.iter().filter(|a| !a.is_empty()) {
        builder.add(arg)?;
    }
    Ok(Json::Object(builder.fields))
}

/// Fields whose values are all texts, for query parameters. A list gives several.
pub(crate) fn parameters(data: &Json) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (key, value) in data.as_object().unwrap_or_default() {
        match value {
            Json::Array(items) => {
                out.extend(items.iter().map(|v| (key.clone(), crate::golang::plain(v))));
            }
            other => out.push((key.clone(), crate::golang::plain(other))),
        }
    }
    out
}

struct Builder<'a> {
    fields: Vec<(String, Json)>,
    stdin: Option<&'a mut dyn Read>,
}

impl Builder<'_> {
    fn add(&mut self, arg: &str) -> Result<(), String> {
        let Some((key, value)) = arg.split_once('=') else {
            let document = match arg.strip_prefix('@') {
                _ if arg == "-" => self.read_stdin()?,
                Some(file) => read_file(file)?,
                None => return Err("invalid key/value pair: format must be key=value".into()),
            };
            return self.merge(&document);
        };
        let value = match value.strip_prefix('@') {
            Some(file) => text(key, read_file(file)?)?,
            None if value == "-" => text(key, self.read_stdin()?)?,
            None if value.starts_with("\\@") => value[1..].to_owned(),
            None => value.to_owned(),
        };
        let value = Json::String(value);
        match self.fields.iter_mut().find(|(k, _)| k == key) {
            None => self.fields.push((key.to_owned(), value)),
            Some((_, Json::Array(items))) => items.push(value),
            Some((_, one)) => {
                let first = std::mem::replace(one, Json::Null);
                *one = Json::Array(vec![first, value]);
            }
        }
        Ok(())
    }

    fn merge(&mut self, document: &[u8]) -> Result<(), String> {
        let Json::Object(fields) = Json::parse(document)? else {
            return Err("the JSON given must be an object".into());
        };
        for (key, value) in fields {
            match self.fields.iter_mut().find(|(k, _)| *k == key) {
                Some(slot) => slot.1 = value,
                None => self.fields.push((key, value)),
            }
        }
        Ok(())
    }

    fn read_stdin(&mut self) -> Result<Vec<u8>, String> {
        let stdin = self.stdin.take().ok_or("stdin already consumed")?;
        let mut out = Vec::new();
        stdin
            .take(LONGEST)
            .read_to_end(&mut out)
            .map_err(|e| format!("error reading stdin: {e}"))?;
        Ok(out)
    }
}

fn read_file(file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => e.to_string(),
        };
        format!("error reading file: open {file}: {why}")
    })
}

fn text(key: &str, bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| format!("the value of {key} is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str], stdin: &str) -> Result<String, String> {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        parse(&args, &mut stdin.as_bytes()).map(|json| json.compact())
    }

    #[test]
    fn values_may_hold_equal_signs_and_repeat() {
        let out = parsed(&["a=1=2", "b=x", "b=y", "b=z", "c=", "d=\\@x"], "");
        assert_eq!(out.expect("ok"), r#"{"a":"1=2","b":["x","y","z"],"c":"","d":"@x"}"#);
    }

    #[test]
    fn stdin_is_a_document_or_a_value_but_only_once() {
        assert_eq!(parsed(&["-"], r#"{"n":1.50}"#).expect("ok"), r#"{"n":1.50}"#);
        assert_eq!(parsed(&["k=-"], "v\n").expect("ok"), r#"{"k":"v\n"}"#);
        assert_eq!(parsed(&["a=-", "b=-"], "v"), Err("stdin already consumed".into()));
    }

    #[test]
    fn an_error_does_not_show_what_was_typed() {
        assert!(!parsed(&["hunter2"], "").expect_err("refused").contains("hunter2"));
        assert!(parsed(&["a=@/nonexistent"], "").expect_err("refused").contains("/nonexistent"));
    }
}
