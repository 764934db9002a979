//! A small HTTP server that stands in for a service which cannot be had on a test machine: a test
//! says what it answers, and a plugin talks to it over the loopback interface.
//!
//! Left out on purpose: TLS, kept connections, bodies in chunks.

use serde_json::Value;
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The request target, with its query.
    pub path: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What it is answered.
#[derive(Debug, Clone)]
pub struct Replied {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// The server; it stops when this is dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Answers every request with what `answer` makes of it.
    pub fn start(answer: impl Fn(&Asked) -> Replied + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, answer) = (Arc::clone(&stopped), Arc::new(answer));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, Arc::clone(&answer)) else { continue };
                // A client that hangs up has no answer to get.
                std::thread::spawn(move || drop(converse(stream, &*answer)));
            }
        });
        Self { address, stopped, accepting: Some(accepting) }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> Replied) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let asked = receive(&mut BufReader::new(&stream))?;
    let replied = answer(&asked);
    let body = replied.body.to_string();
    write!(
        stream,
        "HTTP/1.1 {} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        replied.status,
        body.len()
    )?;
    stream.flush()
}

fn receive(reader: &mut impl io::BufRead) -> io::Result<Asked> {
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let header = line(reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, headers, body: Vec::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok());
    asked.body.resize(length.unwrap_or(0), 0);
    reader.read_exact(&mut asked.body)?;
    Ok(asked)
}

fn line(reader: &mut impl io::BufRead) -> io::Result<String> {
    let mut text = String::new();
    if reader.read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end().to_owned())
}
