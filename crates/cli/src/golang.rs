//! Values in the form Go's `%v` and `%q` give them: what Vault's tables show.

use boltwork_client::Json;

/// `%v`: texts bare, lists `[a b]`, maps `map[k:v]` (sorted, as parsed).
pub(crate) fn plain(value: &Json) -> String {
    match value {
        Json::Null => "<nil>".into(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => n.clone(),
        Json::String(s) => s.clone(),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" "))
        }
        Json::Object(fields) => {
            let parts: Vec<_> = fields.iter().map(|(k, v)| format!("{k}:{}", plain(v))).collect();
            format!("map[{}]", parts.join(" "))
        }
    }
}

/// `%q`: a text in quotes, a list of them in brackets.
pub(crate) fn quoted(value: &Json) -> String {
    match value {
        Json::String(s) => quote(s),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(" "))
        }
        Json::Null => "[]".into(),
        other => plain(other),
    }
}

/// A text in double quotes, control characters escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An RFC 3339 time in the form of Go's `Time.String`.
pub(crate) fn time(rfc3339: &str) -> String {
    let text = rfc3339.replacen('T', " ", 1);
    if let Some(utc) = text.strip_suffix('Z') {
        return format!("{utc} +0000 UTC");
    }
    match text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at)) {
        Some(at) if text[at..].starts_with(['+', '-']) => {
            let zone = text[at..].replace(':', "");
            format!("{} {zone} {zone}", &text[..at])
        }
        _ => text,
    }
}

/// `path.Join`: empty parts skipped, dot segments and doubled slashes resolved.
pub(crate) fn join(parts: &[&str]) -> String {
    let joined: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
    let joined = joined.join("/");
    let mut out: Vec<&str> = Vec::new();
    for segment in joined.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    let lead = if joined.starts_with('/') { "/" } else { "" };
    format!("{lead}{}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_in_vaults_tables() {
        let value = Json::parse(br#"{"b":[1,"x"],"a":{"k":null},"c":true}"#).expect("valid");
        assert_eq!(plain(&value), "map[a:map[k:<nil>] b:[1 x] c:true]");
        let list = Json::strings(["root", "a\"b"]);
        assert_eq!(quoted(&list), r#"["root" "a\"b"]"#);
    }

    #[test]
    fn times_look_as_go_prints_them() {
        assert_eq!(time("2026-01-02T03:04:05.6Z"), "2026-01-02 03:04:05.6 +0000 UTC");
        assert_eq!(time("2026-01-02T03:04:05+01:00"), "2026-01-02 03:04:05 +0100 +0100");
    }
}
