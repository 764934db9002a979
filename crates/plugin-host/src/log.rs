//! A plugin's log lines in the server's own log, at the plugin's level (wire spec 1.12).
//!
//! Left out: filtering, which is the subscriber's.

use go_plugin::host::{Observer, OutputStream};
use go_plugin::log::{Level, LogLine};

/// Hears one process.
#[derive(Debug)]
pub(crate) struct Log {
    /// Name of the plugin.
    pub plugin: String,
}

impl Observer for Log {
    fn log(&self, line: LogLine) {
        let LogLine { level, message, timestamp, mut fields } = line;
        let plugin = self.plugin.as_str();
        let module = fields.remove("@module");
        let module = module.as_ref().and_then(|module| module.as_str()).unwrap_or_default();
        let written = timestamp.as_deref().unwrap_or_default();
        let fields = if fields.is_empty() {
            String::new()
        } else {
            serde_json::Value::Object(fields).to_string()
        };
        // The macros want their level as a constant.
        macro_rules! say {
            ($macro:ident) => {
                tracing::$macro!(target: "plugin", plugin, module, written, fields, "{message}")
            };
        }
        match level {
            Level::Trace => say!(trace),
            Level::Debug => say!(debug),
            Level::Info => say!(info),
            Level::Warn => say!(warn),
            Level::Error => say!(error),
        }
    }

    fn dropped(&self, count: u64) {
        let plugin = self.plugin.as_str();
        tracing::warn!(
            plugin,
            count,
            "the plugin writes too much: lines of its output were dropped"
        );
    }

    fn output(&self, stream: OutputStream, data: &[u8]) {
        let plugin = self.plugin.as_str();
        let text = String::from_utf8_lossy(data);
        tracing::debug!(target: "plugin", plugin, ?stream, "{}", text.trim_end());
    }
}
