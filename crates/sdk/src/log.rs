//! Logs as servers of this protocol read them: hclog's JSON, a line each, on stderr (wire spec 1.12).
//!
//! Left out: levels. The server filters; here only what would never be wanted is kept back.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    panic::PanicHookInfo,
};

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    EnvFilter, Layer, layer::Context, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Longest line. Servers take longer ones apart and log the pieces raw.
const LONGEST: usize = 60 << 10;
/// Exactly six digits of a second, and `Z`: Go refuses others.
const TIMESTAMP: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
/// What is logged unless the author or `RUST_LOG` says otherwise: the transport's own chatter is of
/// no use to an operator.
const FILTER: &str = "debug,h2=warn,hyper=warn,hyper_util=warn,rustls=warn,tokio_rustls=warn,\
                      tonic=warn,tower=warn";

/// Sends everything logged with `tracing`, and every panic, to the server. Does nothing if the
/// author's program has installed something of its own.
pub(crate) fn install(filter: Option<&str>) {
    let filter = match filter {
        Some(filter) => EnvFilter::new(filter),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER)),
    };
    // An error means that there is a subscriber already, which is the author's choice.
    let _ = tracing_subscriber::registry().with(filter).with(Hclog).try_init();
    std::panic::set_hook(Box::new(panicked));
}

fn panicked(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = backtrace().as_deref(),
        "panic: {message}"
    );
}

/// The trace, if `RUST_BACKTRACE` asks for one.
fn backtrace() -> Option<String> {
    let trace = std::backtrace::Backtrace::capture();
    let captured = trace.status() == std::backtrace::BacktraceStatus::Captured;
    captured.then(|| trace.to_string())
}

/// Writes events as hclog's JSON.
struct Hclog;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Hclog {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in
            context.event_scope(event).into_iter().flatten().collect::<Vec<_>>().iter().rev()
        {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.others.extend(outer.others.clone());
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = line(*metadata.level(), metadata.target(), OffsetDateTime::now_utc(), fields);
        // One write for a line, so that lines of several threads do not mix. If stderr is gone,
        // so is whoever would read about it.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// One line, with its line break.
fn line(level: Level, module: &str, at: OffsetDateTime, fields: Fields) -> String {
    let mut object = fields.others;
    object.insert("@level".to_owned(), word(level).into());
    object.insert("@message".to_owned(), fields.message.into());
    object.insert("@module".to_owned(), module.into());
    object.insert("@timestamp".to_owned(), at.format(TIMESTAMP).unwrap_or_default().into());
    let mut line = Value::Object(object.clone()).to_string();
    if line.len() > LONGEST {
        line = Value::Object(shortened(object)).to_string();
    }
    line.push('\n');
    line
}

/// What is left of a line that is too long: the message, as far as it fits.
fn shortened(mut object: Map<String, Value>) -> Map<String, Value> {
    object.retain(|key, _| key.starts_with('@'));
    if let Some(Value::String(message)) = object.get_mut("@message") {
        // An escaped character takes up to six bytes.
        let limit = LONGEST / 8;
        let fits = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= limit).last();
        message.truncate(fits.unwrap_or_default());
    }
    object.insert("shortened".to_owned(), true.into());
    object
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The fields of an event or a span.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => {
                self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            }
            // Keys with this sign are the protocol's own.
            name => {
                self.others.insert(name.trim_start_matches('@').to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a string cannot fail, and a `Debug` that gives up has written what it could.
        let _ = write!(text, "{value:?}");
        self.put(field, text.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use go_plugin::log::{Level as HostLevel, LogParser};

    fn fields(message: &str) -> Fields {
        Fields { message: message.to_owned(), others: Map::new() }
    }

    #[test]
    fn a_host_reads_a_line_as_it_was_meant() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap();
        let mut logged = fields("something\nhappened");
        logged.others.insert("role".into(), "db".into());
        let text = line(Level::WARN, "my_engine", at, logged);
        assert_eq!(text.matches('\n').count(), 1);
        let read = LogParser::new().parse(text.trim_end().as_bytes(), true);
        assert_eq!(read.level, HostLevel::Warn);
        assert_eq!(read.message, "something\nhappened");
        assert_eq!(read.timestamp.as_deref(), Some("2023-11-14T22:13:20.123456Z"));
        assert_eq!(read.fields["role"], "db");
        assert_eq!(read.fields["@module"], "my_engine");
    }

    #[test]
    fn no_line_is_longer_than_a_host_takes() {
        for message in ["x".repeat(1 << 20), "\u{1}".repeat(1 << 20), "ä".repeat(1 << 20)] {
            let text = line(Level::INFO, "m", OffsetDateTime::UNIX_EPOCH, fields(&message));
            assert!(text.len() < go_plugin::log::LONGEST_LINE, "{}", text.len());
            assert!(serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
