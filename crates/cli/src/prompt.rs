//! Asks for a secret on the terminal without showing what is typed.
//!
//! Where stdin is no terminal, one line of it is taken instead. At most 64 KiB are read.

use std::io::{self, Read};

use rustix::termios::{self, LocalModes, OptionalActions};
use zeroize::Zeroizing;

use crate::ui::Ui;

const LONGEST: usize = 64 << 10;

/// Reads a line after showing `question`.
pub(crate) fn hidden(ui: &mut Ui<'_>, question: &str) -> io::Result<Zeroizing<String>> {
    ui.print(question);
    let line = if ui.asks { without_echo(ui) } else { line(ui.stdin) };
    ui.print("\n");
    line
}

fn without_echo(ui: &mut Ui<'_>) -> io::Result<Zeroizing<String>> {
    let terminal = io::stdin();
    let before = termios::tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
    let line = line(ui.stdin);
    termios::tcsetattr(&terminal, OptionalActions::Now, &before)?;
    line
}

/// Byte by byte, so that nothing after the line is swallowed.
fn line(stdin: &mut dyn Read) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    let mut byte = [0];
    while stdin.read(&mut byte)? == 1 && byte[0] != b'\n' {
        if bytes.len() == LONGEST {
            return Err(io::Error::other("the line is too long"));
        }
        bytes.push(byte[0]);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
