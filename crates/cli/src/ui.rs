//! Where a command's words go: results to stdout, warnings and errors to stderr.
//!
//! A write that fails (a closed pipe) is ignored: there is nobody left to tell.

use std::io::{Read, Write};

/// The streams of one command.
pub(crate) struct Ui<'a> {
    pub(crate) stdin: &'a mut dyn Read,
    pub(crate) stdout: &'a mut dyn Write,
    pub(crate) stderr: &'a mut dyn Write,
    /// Stdin is a terminal: a prompt makes sense.
    pub(crate) asks: bool,
    /// Stdout is a terminal and colours are wanted.
    pub(crate) colour: bool,
}

impl Ui<'_> {
    /// A line of the result.
    pub(crate) fn say(&mut self, text: &str) {
        let _ = writeln!(self.stdout, "{text}");
    }

    /// A part of the result without a line break.
    pub(crate) fn print(&mut self, text: &str) {
        let _ = self.stdout.write_all(text.as_bytes());
        let _ = self.stdout.flush();
    }

    pub(crate) fn warn(&mut self, text: &str) {
        self.line(text, "\u{1b}[0;33m");
    }

    pub(crate) fn error(&mut self, text: &str) {
        self.line(text, "\u{1b}[0;31m");
    }

    fn line(&mut self, text: &str, colour: &str) {
        let _ = if self.colour {
            writeln!(self.stderr, "{colour}{text}\u{1b}[0m")
        } else {
            writeln!(self.stderr, "{text}")
        };
    }
}
