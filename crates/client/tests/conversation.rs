//! What the client does on the wire, against a peer that answers from a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use boltwork_client::{Address, Call, Client, Config, Error, Json};
use zeroize::Zeroizing;

/// A request as the peer saw it: head and body.
struct Seen {
    head: String,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| {
            let (key, value) = l.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Answers one request for each text, in order, over as many connections as it takes.
fn peer(answers: Vec<String>) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        while answers.peek().is_some() {
            let (stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
            while let Some(request) = request(&mut reader) {
                if tell.send(request).is_err() {
                    return;
                }
                if !answer(&stream, &answers.next().unwrap_or_default()) {
                    break;
                }
            }
        }
    });
    (address, seen)
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(line.trim_end());
        head.push('\n');
    }
    let mut seen = Seen { head, body: String::new() };
    let length = seen.header("content-length").map_or(0, |l| l.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).expect("UTF-8");
    Some(seen)
}

/// Sends it; an empty answer hangs up.
fn answer(mut stream: &TcpStream, text: &str) -> bool {
    if text.is_empty() {
        let _ = stream.shutdown(std::net::Shutdown::Both);
        return false;
    }
    stream.write_all(text.as_bytes()).is_ok()
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn config(address: &str) -> Config {
    let mut config = Config::new(Address::parse(address).expect("valid"));
    config.token = Some(Zeroizing::new("s.the-token".into()));
    config
}

fn client(address: &str) -> Client {
    Client::new(config(address)).expect("valid")
}

const OK: &str = r#"{"request_id":"r","data":{"k":"v"}}"#;

#[tokio::test]
async fn a_call_carries_the_headers_of_the_api() {
    let (address, seen) = peer(vec![http("200 OK", "", OK)]);
    let mut config = config(&address);
    config.namespace = "team/".into();
    config.wrap_ttl = Some("5m0s".into());
    let client = Client::new(config).expect("valid");
    client.write("a/b", &Json::record([("k", Json::from("v"))])).await.expect("answered");
    let request = seen.recv().expect("sent");
    assert!(request.head.starts_with("PUT /v1/a/b HTTP/1.1\n"), "{}", request.head);
    assert_eq!(request.header("x-vault-request"), Some("true"));
    assert_eq!(request.header("x-vault-token"), Some("s.the-token"));
    assert_eq!(request.header("x-vault-namespace"), Some("team/"));
    assert_eq!(request.header("x-vault-wrap-ttl"), Some("5m0s"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.body, r#"{"k":"v"}"#);
}

#[tokio::test]
async fn a_second_call_uses_the_same_connection() {
    // The peer serves one connection at a time: a second one would wait for ever.
    let (address, seen) = peer(vec![http("200 OK", "", OK), http("200 OK", "", OK)]);
    let client = client(&address);
    for _ in 0..2 {
        client.read("a").await.expect("answered").expect("present");
        seen.recv().expect("sent");
    }
}

#[tokio::test]
async fn a_server_fault_is_retried_and_an_unimplemented_call_is_not() {
    let (address, seen) = peer(vec![http("503 Busy", "", ""), http("200 OK", "", OK)]);
    let secret = client(&address).read("a").await.expect("answered").expect("present");
    assert_eq!(secret.field("k"), Some(&Json::from("v")));
    assert_eq!(seen.try_iter().count(), 2);

    let (address, seen) = peer(vec![http("501 No", "", "{\"errors\":[\"no\"]}")]);
    let error = client(&address).read("a").await.map(|_| ()).expect_err("refused");
    assert_eq!(error.status(), Some(501));
    assert_eq!(seen.try_iter().count(), 1);
}

#[tokio::test]
async fn a_write_whose_connection_broke_is_not_repeated() {
    let (address, seen) = peer(vec![String::new()]);
    let error = client(&address).write("a", &Json::Null).await.map(|_| ()).expect_err("broken");
    assert!(matches!(error, Error::Transport { unsent: false, .. }), "{error}");
    assert_eq!(seen.try_iter().count(), 1);
}

#[tokio::test]
async fn one_redirect_is_followed_with_the_same_body() {
    let (leader, at_leader) = peer(vec![http("200 OK", "", OK)]);
    let location = format!("Location: {leader}/v1/a?x=1\r\n");
    let (standby, _at_standby) = peer(vec![http("307 Go", &location, "")]);
    let body = Json::record([("k", Json::from("v"))]);
    client(&standby).write("a", &body).await.expect("answered");
    let request = at_leader.recv().expect("sent");
    assert!(request.head.starts_with("PUT /v1/a?x=1 HTTP/1.1\n"), "{}", request.head);
    assert_eq!(
        (request.body.as_str(), request.header("x-vault-token")),
        (r#"{"k":"v"}"#, Some("s.the-token"))
    );
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_refused() {
    let (address, _seen) = peer(vec![http("200 OK", "", &"x".repeat(5000))]);
    let mut config = config(&address);
    config.max_response = 4096;
    let client = Client::new(config).expect("valid");
    let error = client.read("a").await.map(|_| ()).expect_err("refused");
    assert!(matches!(error, Error::TooLarge { limit: 4096 }), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let mut config = config(&address);
    config.timeout = Duration::from_millis(100);
    let client = Client::new(config).expect("valid");
    let error = client.read("a").await.map(|_| ()).expect_err("given up").to_string();
    assert_eq!(error, format!("Get \"{address}/v1/a\": context deadline exceeded"));
}

#[tokio::test]
async fn an_absence_with_something_to_say_is_an_answer() {
    let gone = r#"{"data":{"data":null,"metadata":{"version":1}}}"#;
    let (address, _seen) =
        peer(vec![http("404 None", "", gone), http("404 None", "", "{\"errors\":[]}")]);
    let client = client(&address);
    assert!(client.read("a").await.expect("answered").is_some());
    assert!(client.read("a").await.expect("answered").is_none());
}

#[tokio::test]
async fn no_error_shows_the_token_or_the_body() {
    let (address, _seen) = peer(vec![http("400 Bad", "", "{\"errors\":[\"no\"]}")]);
    let call = Call::new(http::Method::PUT, "a").body(&Json::from("hunter2"));
    let error = client(&address).send(call).await.map(|_| ()).expect_err("refused");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("the-token") && !shown.contains("hunter2"), "{shown}");
}
