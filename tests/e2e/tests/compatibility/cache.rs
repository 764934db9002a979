//! Redis with users of its own, and a client that tries passwords.
//!
//! Left out on purpose: everything of Redis but `AUTH`.

use crate::databases::Database;
use boltwork_e2e::{Scratch, free_port, process, tools, wait_for};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PASSWORD: &str = "the-administrator-of-the-cache";

/// A running server; it ends when this is dropped.
pub struct Cache {
    child: Child,
    port: u16,
    _scratch: Scratch,
}

impl Cache {
    /// Starts it; `None` skips the calling test.
    pub fn start() -> Option<Self> {
        let program = tools::service("redis-server")?;
        let scratch = Scratch::new();
        let port = free_port();
        let child = Command::new(program)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--requirepass", PASSWORD, "--dir"])
            .arg(scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let made = Self { child, port, _scratch: scratch };
        wait_for("Redis answers", || made.try_password("default", PASSWORD).filter(|is| *is));
        Some(made)
    }

    fn try_password(&self, name: &str, password: &str) -> Option<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let mut command = String::from("*3\r\n");
        for word in ["AUTH", name, password] {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(command.as_bytes()).ok()?;
        let mut answer = [0; 256];
        let length = stream.read(&mut answer).ok()?;
        match &answer[..length] {
            said if said.starts_with(b"+OK") => Some(true),
            said if said.starts_with(b"-WRONGPASS") => Some(false),
            said => panic!("Redis answered AUTH with {:?}", String::from_utf8_lossy(said)),
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        process::terminate(self.child.id());
        let _ = self.child.wait();
    }
}

impl Database for Cache {
    fn config(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.port, "tls": false, "username": "default",
            "password": PASSWORD,
        })
    }

    fn creation(&self) -> String {
        json!(["~*", "+@read"]).to_string()
    }

    fn lets_in(&self, name: &str, password: &str) -> bool {
        self.try_password(name, password).expect("Redis answers")
    }
}
