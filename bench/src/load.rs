//! Requests as bytes, sent over kept connections as fast as they are answered.
//!
//! One thread drives all connections. Requests are made before the clock starts, and of an answer
//! only what tells where it ends is looked at, so that the cores are left to the server.
//!
//! Left out on purpose: pipelining. Each connection waits for its answer, as clients do.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// What a round gave.
#[derive(Debug, Clone)]
pub struct Round {
    /// Answered requests in a second.
    pub per_second: f64,
    /// How long each took, sorted.
    pub latencies: Vec<Duration>,
}

impl Round {
    /// The latency that half of the requests stayed below.
    pub fn median(&self) -> Duration {
        self.latencies.get(self.latencies.len() / 2).copied().unwrap_or_default()
    }
}

/// The requests that one connection sends, again and again from the first.
pub type Script = Vec<Vec<u8>>;

/// A request as it goes over the wire.
pub fn request(method: &str, path: &str, token: &str, body: Option<&str>) -> Vec<u8> {
    let body = body.unwrap_or_default();
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} /v1/{path} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {token}\r\n{length}\r\n{body}").into_bytes()
}

/// Sends every connection's script for as long as a round lasts.
///
/// # Errors
///
/// If a connection breaks, or an answer is none of success: then there is nothing to compare.
pub fn run(address: SocketAddr, scripts: Vec<Script>, length: Duration) -> io::Result<Round> {
    let mut poll = Poll::new()?;
    let mut connections = scripts
        .into_iter()
        .enumerate()
        .map(|(index, script)| Connection::open(address, script, &poll, Token(index)))
        .collect::<io::Result<Vec<_>>>()?;
    let (mut events, mut latencies) = (Events::with_capacity(256), Vec::with_capacity(1 << 20));
    let start = Instant::now();
    let end = start + length;
    for connection in &mut connections {
        connection.send()?;
    }
    let mut waiting = connections.len();
    while waiting > 0 {
        poll.poll(&mut events, Some(STALLED))?;
        if events.is_empty() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the server stopped answering"));
        }
        for event in &events {
            let Some(connection) = connections.get_mut(event.token().0) else { continue };
            if !connection.receive()? {
                continue;
            }
            latencies.push(connection.sent.elapsed());
            match Instant::now() < end {
                true => connection.send()?,
                false => waiting -= 1,
            }
        }
    }
    let per_second = latencies.len() as f64 / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Round { per_second, latencies })
}

/// Longest time without any answer on any connection.
const STALLED: Duration = Duration::from_secs(30);

/// One kept connection, with one request under way.
struct Connection {
    stream: TcpStream,
    script: Script,
    next: usize,
    sent: Instant,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    fn open(address: SocketAddr, script: Script, poll: &Poll, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE)?;
        let sent = Instant::now();
        Ok(Self { stream, script, next: 0, sent, buffer: vec![0; 1 << 16], filled: 0 })
    }

    /// Sends the next request. A request is small and the connection idle: it fits into the
    /// socket's buffer, and where it does not that is an error.
    fn send(&mut self) -> io::Result<()> {
        let request = &self.script[self.next % self.script.len()];
        self.next += 1;
        self.filled = 0;
        self.sent = Instant::now();
        self.stream.write_all(request)
    }

    /// Takes what has come; whether the answer is whole. Reads once: a short read leaves nothing
    /// behind, and a look in vain would cost as much as a request.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
            let room = self.buffer.len() - self.filled;
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
                }
                Ok(count) => {
                    self.filled += count;
                    if is_whole(&self.buffer[..self.filled])? {
                        return Ok(true);
                    }
                    if count < room {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_whole(buffer: &[u8]) -> io::Result<bool> {
    let Some(head) = find(buffer, b"\r\n\r\n") else { return Ok(false) };
    if !buffer.starts_with(b"HTTP/1.1 2") {
        let text = String::from_utf8_lossy(buffer);
        return Err(io::Error::other(format!("the server answered: {text}")));
    }
    let body = &buffer[head + 4..];
    let headers = &buffer[..head];
    if let Some(length) = header(headers, b"content-length:") {
        return Ok(body.len() >= length.trim().parse().map_err(io::Error::other)?);
    }
    if header(headers, b"transfer-encoding:").is_some() {
        return Ok(body.ends_with(b"0\r\n\r\n"));
    }
    Ok(true)
}

fn header<'a>(headers: &'a [u8], name: &[u8]) -> Option<&'a str> {
    headers
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
        .and_then(|line| std::str::from_utf8(&line[name.len()..]).ok())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert!(is_whole(answer).expect("an answer"));
        assert!(!is_whole(&answer[..answer.len() - 1]).expect("an answer"));
        assert!(!is_whole(&answer[..10]).expect("the beginning of one"));
    }

    #[test]
    fn an_answer_in_chunks_ends_with_the_last_one() {
        let answer =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert!(is_whole(answer).expect("an answer"));
        assert!(!is_whole(&answer[..answer.len() - 5]).expect("an answer"));
    }

    #[test]
    fn an_error_is_no_answer_to_measure() {
        assert!(is_whole(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").is_err());
    }
}
