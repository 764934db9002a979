//! A small blocking HTTP client that sends exactly what a test says, malformed or not.
//!
//! Left out on purpose: TLS, redirects, kept connections. One request, one connection.

use serde_json::Value;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one request may take: more than the minute that go-plugin gives a plugin to start.
const LIMIT: Duration = Duration::from_secs(150);

/// One server as seen by one token.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    token: Option<String>,
}

/// A request, byte for byte.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// `GET`, `LIST` or anything else.
    pub method: String,
    /// The request target as it is sent, with `/v1/`.
    pub target: String,
    /// Header lines besides those of the connection and the token.
    pub headers: Vec<(String, String)>,
    /// The body; none is sent if `None`.
    pub body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked, for messages.
    pub asked: String,
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, decoded if it came in chunks.
    pub body: Vec<u8>,
}

impl Api {
    /// A client of the server at `address`.
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, token: token.map(str::to_owned) }
    }

    /// The same server with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self::new(self.address, Some(token))
    }

    /// The same server without a token.
    pub fn without_token(&self) -> Self {
        Self::new(self.address, None)
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token that is sent.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `GET` of a path below `/v1/`.
    pub fn read(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    /// `LIST` of a path below `/v1/`.
    pub fn list(&self, path: &str) -> Answer {
        self.call("LIST", path, None)
    }

    /// `POST` to a path below `/v1/`.
    pub fn write(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    /// `DELETE` of a path below `/v1/`.
    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None)
    }

    /// Any method with a JSON body or none.
    ///
    /// # Panics
    ///
    /// If no HTTP answer came at all.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(&Call {
            method: method.to_owned(),
            target: format!("/v1/{path}"),
            headers: Vec::new(),
            body: body.map(|body| body.to_string().into_bytes()),
        })
    }

    /// Sends a request made by hand.
    ///
    /// # Panics
    ///
    /// If no HTTP answer came at all.
    pub fn send(&self, call: &Call) -> Answer {
        self.try_send(call).unwrap_or_else(|error| {
            panic!("{} {} was not answered: {error}", call.method, call.target)
        })
    }

    /// As [`Api::send`], for servers that may be gone.
    ///
    /// # Errors
    ///
    /// If no whole HTTP answer came.
    pub fn try_send(&self, call: &Call) -> io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        let mut message = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            call.method, call.target, self.address
        );
        if let Some(token) = &self.token {
            message.push_str(&format!("X-Vault-Token: {token}\r\n"));
        }
        for (name, value) in &call.headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &call.body {
            message.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        message.push_str("\r\n");
        let mut bytes = message.into_bytes();
        bytes.extend_from_slice(call.body.as_deref().unwrap_or_default());
        // A server may answer and hang up before it has read a body that is too large for it.
        let sent = stream.write_all(&bytes);
        let answer = receive(stream, call);
        match (sent, answer) {
            (_, Ok(answer)) => Ok(answer),
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
        }
    }
}

fn receive(stream: TcpStream, call: &Call) -> io::Result<Answer> {
    let asked = format!("{} {}", call.method, call.target);
    let mut reader = BufReader::new(stream);
    let status_line = line(&mut reader)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| invalid(format!("no status in {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let header = line(&mut reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) =
            header.split_once(':').ok_or_else(|| invalid(format!("no header: {header:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { asked, status, headers, body: Vec::new() };
    if call.method == "HEAD" || status == 204 {
        return Ok(answer);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = chunks(&mut reader)?;
    } else if let Some(length) = answer.header("content-length") {
        let length = length.parse().map_err(|_| invalid(format!("no length: {length:?}")))?;
        answer.body = vec![0; length];
        reader.read_exact(&mut answer.body)?;
    } else {
        reader.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

fn chunks(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader)?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| invalid(format!("no size of a chunk: {size:?}")))?;
        if size == 0 {
            return Ok(body);
        }
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        line(reader)?;
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    if reader.read_line(&mut text)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Answer {
    /// The value of a header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is empty.
    ///
    /// # Panics
    ///
    /// If it is anything else.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{} answered no JSON ({error}): {}", self.asked, self.text())
        })
    }

    /// The member `data` of the body.
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// A string in `data`, found by a JSON pointer without the leading slash.
    ///
    /// # Panics
    ///
    /// If there is no such string.
    pub fn string(&self, pointer: &str) -> String {
        let data = self.data();
        let found = data.pointer(&format!("/{pointer}")).and_then(Value::as_str);
        found
            .unwrap_or_else(|| {
                panic!("{} gave no text data/{pointer}: {}", self.asked, self.text())
            })
            .to_owned()
    }

    /// The texts of `errors`, joined; the bare body if it is no such envelope.
    pub fn errors(&self) -> String {
        let parsed: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        match parsed["errors"].as_array() {
            Some(errors) => errors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
            None => self.text(),
        }
    }

    /// Whether the status is one of success.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer itself, if its status is one of success.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.succeeded(), "{} answered {}: {}", self.asked, self.status, self.text());
        self
    }

    /// The answer itself, if its status is this one.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn status(self, wanted: u16) -> Self {
        assert!(
            self.status == wanted,
            "{} answered {}, not {wanted}: {}",
            self.asked,
            self.status,
            self.text()
        );
        self
    }

    /// The answer itself, if it is an error that says one of these, whatever the case.
    ///
    /// # Panics
    ///
    /// If it is a success, or says something else.
    #[track_caller]
    pub fn refused(self, one_of: &[&str]) -> Self {
        assert!(
            !self.succeeded(),
            "{} succeeded with {}: {}",
            self.asked,
            self.status,
            self.text()
        );
        let errors = self.errors().to_lowercase();
        assert!(
            one_of.iter().any(|text| errors.contains(&text.to_lowercase())),
            "{} answered {} with {errors:?}, which says none of {one_of:?}",
            self.asked,
            self.status
        );
        self
    }
}
