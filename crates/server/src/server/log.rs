//! Logs, in the form that operators of Vault know: text lines, or one JSON object a line.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use time::{OffsetDateTime, macros::format_description};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::config::{Log, LogFormat, LogLevel};

/// Sends events to standard error or to the configured file.
///
/// # Errors
/// The file cannot be opened.
pub fn start(config: &Log) -> std::io::Result<()> {
    let level = match config.level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    // Libraries talk much below warnings; ours say what we want to hear.
    let filter = tracing_subscriber::EnvFilter::new(format!(
        "{level},hyper=warn,h2=warn,rustls=warn,tonic=warn,tower=warn"
    ));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(Lines { json: config.format == LogFormat::Json });
    match &config.file {
        None => builder.with_writer(std::io::stderr).init(),
        Some(path) => {
            use std::os::unix::fs::OpenOptionsExt;
            let file =
                std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            builder.with_writer(std::sync::Mutex::new(file)).init();
        }
    }
    Ok(())
}

struct Lines {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level();
        let module = module(event.metadata().target());
        match self.json {
            true => writeln!(writer, "{}", fields.json(*level, module)),
            false => writeln!(writer, "{}", fields.text(*level, module)),
        }
    }
}

/// `boltwork_plugin_host::pool` is `plugin-host` to operators.
fn module(target: &str) -> String {
    let room = target.split("::").next().unwrap_or(target);
    room.strip_prefix("boltwork_").unwrap_or(room).replace('_', "-")
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => {
                self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            }
            name => self.others.push((name, value)),
        }
    }

    fn text(&self, level: Level, module: String) -> String {
        let form = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let now = OffsetDateTime::now_utc().format(form).unwrap_or_default();
        let mut line =
            format!("{now} {:<7} {module}: {}", format!("[{level}]"), one_line(&self.message));
        let others = self.others.iter().filter(|(_, value)| value.as_str() != Some(""));
        for (i, (name, value)) in others.enumerate() {
            let shown = match value {
                Value::String(text) if is_plain(text) => text.clone(),
                Value::String(text) => format!("{:?}", text),
                other => other.to_string(),
            };
            let _ = write!(line, "{} {name}={shown}", if i == 0 { ":" } else { "" });
        }
        line
    }

    fn json(self, level: Level, module: String) -> Value {
        let form = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
        );
        let now = OffsetDateTime::now_utc().format(form).unwrap_or_default();
        let mut line = Map::new();
        line.insert("@level".into(), level.as_str().to_lowercase().into());
        line.insert("@message".into(), self.message.into());
        line.insert("@module".into(), module.into());
        line.insert("@timestamp".into(), now.into());
        line.extend(self.others.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(line)
    }
}

/// A message with line breaks would forge lines, one with escape sequences what a terminal shows.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().fold(String::with_capacity(text.len() + 8), |mut line, c| {
        match c {
            '\t' => line.push(c),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
        line
    });
    Cow::Owned(escaped)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=')
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line() {
        let fields = Fields {
            message: "a\n2026-01-01 [ERROR] forged".into(),
            others: vec![("path", Value::String("x\ny".into()))],
        };
        let line = fields.text(Level::INFO, "core".into());
        assert_eq!(line.lines().count(), 1, "{line}");
    }

    #[test]
    fn a_message_cannot_speak_to_the_terminal() {
        let message = "a\u{1b}[31mred\u{9b}2Jgone\ttabbed";
        let fields = Fields { message: message.into(), others: Vec::new() };
        let line = fields.text(Level::INFO, "core".into());
        assert!(line.ends_with("a\\u{1b}[31mred\\u{9b}2Jgone\ttabbed"), "{line}");
    }

    #[test]
    fn a_room_is_named_without_the_project() {
        assert_eq!(module("boltwork_plugin_host::pool"), "plugin-host");
        assert_eq!(module("boltwork"), "boltwork");
    }
}
