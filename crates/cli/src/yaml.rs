//! Writes YAML, and reads none: mappings sorted by key, lists at their parent's indentation.
//!
//! A text is quoted when left bare it would be read as something else; several lines become a block.

use boltwork_client::Json;

/// A document without a final line break.
pub(crate) fn document(value: &Json) -> String {
    let mut out = String::new();
    node(&mut out, value, 0);
    out.trim_matches('\n').to_owned()
}

fn node(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, value) in sorted {
                new_line(out, depth);
                out.push_str(&scalar_text(key, depth));
                out.push(':');
                member(out, value, depth);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                new_line(out, depth);
                out.push('-');
                item_of_list(out, item, depth);
            }
        }
        scalar => out.push_str(&leaf(scalar, depth)),
    }
}

fn member(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Object(fields) if !fields.is_empty() => node(out, value, depth + 1),
        Json::Array(items) if !items.is_empty() => node(out, value, depth),
        scalar => {
            out.push(' ');
            out.push_str(&leaf(scalar, depth));
        }
    }
}

/// A mapping or list within a list begins on the line of its dash.
fn item_of_list(out: &mut String, item: &Json, depth: usize) {
    let mut inner = String::new();
    node(&mut inner, item, depth + 1);
    out.push(' ');
    out.push_str(inner.trim_start());
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn leaf(value: &Json, depth: usize) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => n.clone(),
        Json::String(s) => scalar_text(s, depth),
        Json::Array(_) => "[]".into(),
        Json::Object(_) => "{}".into(),
    }
}

fn scalar_text(text: &str, depth: usize) -> String {
    let printable = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if !text.chars().all(printable) || text.contains('\u{feff}') {
        return Json::from(text).compact();
    }
    if text.contains('\n') {
        return block(text, depth);
    }
    if means_something_else(text) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    if bare_is_safe(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn block(text: &str, depth: usize) -> String {
    let first_is_space = text.starts_with([' ', '\n', '\t']);
    let trailing = text.len() - text.trim_end_matches('\n').len();
    let chomp = match trailing {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let mut out = format!("|{}{chomp}", if first_is_space { "2" } else { "" });
    let body = if trailing > 0 { &text[..text.len() - 1] } else { text };
    for line in body.split('\n') {
        if line.is_empty() {
            out.push('\n');
        } else {
            new_line(&mut out, depth + 1);
            out.push_str(line);
        }
    }
    out
}

/// Whether a reader of YAML would take the bare text for null, a truth value, a number or a time.
fn means_something_else(text: &str) -> bool {
    const WORDS: &[&str] =
        &["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", "<<", "="];
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.trim_start_matches(['+', '-']).replace('_', "");
    let based = [("0x", 16), ("0b", 2), ("0o", 8)].iter().any(|(prefix, radix)| {
        unsigned.strip_prefix(prefix).is_some_and(|d| i128::from_str_radix(d, *radix).is_ok())
    });
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.parse::<f64>().is_ok();
    let date = text.len() >= 10
        && text
            .bytes()
            .take(10)
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    WORDS.contains(&lower.as_str()) || unsigned == ".inf" || based || number || date
}

fn bare_is_safe(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let indicator = "?:-".contains(first) && text.chars().nth(1).is_none_or(|c| c == ' ')
        || ",[]{}#&*!|>'\"%@`".contains(first);
    !indicator
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.starts_with("---")
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains('\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_sorted_and_lists_are_not_indented() {
        let value = Json::parse(br#"{"b":{"y":1,"x":[]},"a":["p",{"k":"v","l":2}],"c":null}"#);
        assert_eq!(
            document(&value.expect("valid")),
            "a:\n- p\n- k: v\n  l: 2\nb:\n  x: []\n  \"y\": 1\nc: null"
        );
    }

    #[test]
    fn texts_that_would_be_misread_are_quoted() {
        for (text, written) in [
            ("plain text", "plain text"),
            ("true", "\"true\""),
            ("12", "\"12\""),
            ("1e3", "\"1e3\""),
            ("", "\"\""),
            ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\""),
            ("a: b", "'a: b'"),
            ("it's #1", "'it''s #1'"),
            ("@x", "'@x'"),
            ("-", "'-'"),
            ("-x", "-x"),
            ("infinity", "infinity"),
        ] {
            assert_eq!(scalar_text(text, 0), written, "{text}");
        }
    }

    #[test]
    fn several_lines_become_a_block() {
        assert_eq!(document(&Json::record([("k", Json::from("a\nb"))])), "k: |-\n  a\n  b");
        assert_eq!(document(&Json::record([("k", Json::from("a\nb\n"))])), "k: |\n  a\n  b");
    }
}
