//! Requests as bytes, sent over kept connections as fast as they are answered.
//!
//! One thread drives all connections. Requests are made before the clock starts, and of an answer
//! only what tells where it ends is looked at, so that the cores are left to the server.
//!
//! Left out on purpose: pipelining. Each connection waits for its answer, as clients do.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connections = Vec::with_capacity(scripts.len());
        for script in scripts {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connections.push((stream, script));
        }
        let start = Instant::now();
        let end = start + length;
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|(stream, script)| tokio::spawn(drive(stream, script, end)))
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.map_err(io::Error::other)??);
        }
        let per_second = latencies.len() as f64 / start.elapsed().as_secs_f64();
        latencies.sort_unstable();
        Ok(Round { per_second, latencies })
    })
}

async fn drive(mut stream: TcpStream, script: Script, end: Instant) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = Vec::with_capacity(1 << 16);
    for request in script.iter().cycle() {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        stream.write_all(request).await?;
        receive(&mut stream, &mut buffer).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// Reads one answer to its end.
async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
        }
        if is_whole(buffer)? {
            return Ok(());
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
