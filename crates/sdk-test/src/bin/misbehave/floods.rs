//! Output without end, on each way out that a plugin has.
//!
//! Left out: output before the handshake (`early`).

use std::io::Write;

use go_plugin::Output;

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The log.
    Stderr,
    /// The descriptor on which the handshake was.
    Stdout,
    /// The protocol's own stream of output.
    Stdio,
}

impl Stream {
    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            "stdio" => Self::Stdio,
            _ => return None,
        })
    }
}

/// Begins to write, and goes on as long as somebody reads.
pub fn begin(stream: Stream, output: Output) {
    match stream {
        Stream::Stderr => endless(std::io::stderr()),
        Stream::Stdout => endless(std::io::stdout()),
        Stream::Stdio => drop(tokio::spawn(async move {
            loop {
                output.stdout("what nobody wants to read\n".repeat(40)).await;
            }
        })),
    }
}

fn endless(mut target: impl Write + Send + 'static) {
    std::thread::spawn(move || {
        // Many lines with each call: as fast as a program can be that means it.
        let lines = "[ERROR] what nobody wants to read\n".repeat(200);
        while target.write_all(lines.as_bytes()).is_ok() {}
    });
}
