//! What a plugin writes on stderr, line by line (wire spec 1.12): hclog's JSON, text with a level
//! in brackets, Go's and Rust's panics, anything else.
//!
//! No input can make the parser fail. Left out: filtering and writing; the caller does that.

use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;

/// Longest line that is taken as one; the rest of a longer line comes as further, raw ones.
pub const LONGEST_LINE: usize = 64 << 10;

/// How urgent a line is, in the plugin's own opinion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Finest detail.
    Trace,
    /// For developers; also what a line without a level counts as.
    Debug,
    /// For operators.
    Info,
    /// Something is off.
    Warn,
    /// Something failed, or the plugin panics.
    Error,
}

/// One line of a plugin's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The plugin's level.
    pub level: Level,
    /// The text; the whole line if it was not JSON.
    pub message: String,
    /// When the plugin wrote it, in its own notation, if it said so.
    pub timestamp: Option<String>,
    /// Everything else that the plugin said, including `@module` and `@caller`.
    pub fields: Map<String, Value>,
}

impl LogLine {
    fn raw(level: Level, line: &str) -> Self {
        Self { level, message: line.to_owned(), timestamp: None, fields: Map::new() }
    }
}

/// Turns lines into [`LogLine`]s; remembers only whether the plugin is panicking.
#[derive(Debug, Default)]
pub struct LogParser {
    panicking: bool,
}

impl LogParser {
    /// A parser for a new process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one line, without its line break. `whole` is false for pieces of an overlong line,
    /// which are not looked into.
    pub fn parse(&mut self, line: &[u8], whole: bool) -> LogLine {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !whole {
            return LogLine::raw(self.untagged(), text);
        }
        json(text).unwrap_or_else(|| {
            if starts_panic(text) {
                self.panicking = true;
            }
            LogLine::raw(prefix(text).unwrap_or(self.untagged()), text)
        })
    }

    /// After a panic began, its trace follows without any tags.
    fn untagged(&self) -> Level {
        if self.panicking { Level::Error } else { Level::Debug }
    }
}

fn starts_panic(text: &str) -> bool {
    // The last form is Rust's: thread 'main' (1234) panicked at src/main.rs:1:1:
    text.starts_with("panic: ")
        || text.starts_with("fatal error: ")
        || (text.starts_with("thread '") && text.contains("panicked at "))
}

fn prefix(text: &str) -> Option<Level> {
    let (word, _) = text.strip_prefix('[')?.split_once(']')?;
    match word {
        "TRACE" => Some(Level::Trace),
        "DEBUG" => Some(Level::Debug),
        "INFO" => Some(Level::Info),
        "WARN" => Some(Level::Warn),
        "ERROR" => Some(Level::Error),
        _ => None,
    }
}

/// A line of hclog's JSON; nothing if it is not one in every respect.
fn json(text: &str) -> Option<LogLine> {
    if !text.starts_with('{') {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut take = |key: &str| match fields.remove(key) {
        None => Some(None),
        Some(Value::String(value)) => Some(Some(value)),
        Some(_) => None,
    };
    let message = take("@message")?.unwrap_or_default();
    let level = take("@level")?;
    let timestamp = take("@timestamp")?;
    if let Some(moment) = &timestamp {
        time::OffsetDateTime::parse(moment, &Rfc3339).ok()?;
    }
    let level = match level.as_deref() {
        Some("trace") => Level::Trace,
        Some("debug") => Level::Debug,
        Some("info") => Level::Info,
        Some("warn") => Level::Warn,
        Some("error") => Level::Error,
        _ => return Some(LogLine::raw(Level::Debug, text)),
    };
    Some(LogLine { level, message, timestamp, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hclogs_json_is_taken_apart() {
        let line = br#"{"@level":"warn","@message":"hi","@module":"kv","@timestamp":"2026-01-02T03:04:05.678901Z","n":1}"#;
        let parsed = LogParser::new().parse(line, true);
        assert_eq!(parsed.level, Level::Warn);
        assert_eq!(parsed.message, "hi");
        assert_eq!(parsed.timestamp.as_deref(), Some("2026-01-02T03:04:05.678901Z"));
        assert_eq!(Value::from(parsed.fields), serde_json::json!({"@module": "kv", "n": 1}));
    }

    #[test]
    fn a_lines_level_follows_the_table() {
        let cases: &[(&str, Level)] = &[
            ("plain", Level::Debug),
            ("", Level::Debug),
            ("[TRACE] x", Level::Trace),
            ("[DEBUG] x", Level::Debug),
            ("[INFO] x", Level::Info),
            ("[WARN] x", Level::Warn),
            ("[ERROR] x", Level::Error),
            ("[FATAL] x", Level::Debug),
            ("[ERROR x", Level::Debug),
            ("panic: x", Level::Error),
            ("fatal error: x", Level::Error),
            ("thread 'main' (7) panicked at src/main.rs:1:1:", Level::Error),
            (r#"{"@level":"info","@message":"x"}"#, Level::Info),
            (r#"{"@level":"error"}"#, Level::Error),
            (r#"{"@level":"INFO","@message":"x"}"#, Level::Debug),
            (r#"{"@message":"x"}"#, Level::Debug),
            (r#"{"@level":"info","@message":7}"#, Level::Debug),
            (r#"{"@level":["info"],"@message":"x"}"#, Level::Debug),
            (r#"{"@level":"info","@timestamp":"yesterday"}"#, Level::Debug),
            (r#"{"@level":"info","@timestamp":7}"#, Level::Debug),
            (r#"{"@level":"info""#, Level::Debug),
            (r#"[{"@level":"info"}]"#, Level::Debug),
        ];
        for (line, level) in cases {
            let parsed = LogParser::new().parse(line.as_bytes(), true);
            assert_eq!(parsed.level, *level, "{line}");
            if *level == Level::Debug {
                assert_eq!(parsed.message, *line, "an unread line is kept whole");
            }
        }
    }

    #[test]
    fn a_panics_trace_is_an_error_and_tagged_lines_keep_their_level() {
        let mut parser = LogParser::new();
        let levels: Vec<Level> = ["before", "panic: boom", "goroutine 1 [running]:", "[INFO] x"]
            .iter()
            .map(|line| parser.parse(line.as_bytes(), true).level)
            .collect();
        assert_eq!(levels, [Level::Debug, Level::Error, Level::Error, Level::Info]);
    }

    #[test]
    fn pieces_of_a_long_line_and_broken_text_come_raw() {
        let mut parser = LogParser::new();
        assert_eq!(parser.parse(b"[ERROR] x", false).level, Level::Debug);
        assert_eq!(parser.parse(b"a\xffb\r\n", true).message, "a\u{fffd}b");
    }
}
