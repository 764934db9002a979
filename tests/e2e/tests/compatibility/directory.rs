//! OpenLDAP's server with a directory of its own, and a client that tries passwords.
//!
//! Left out on purpose: everything of LDAP but the simple bind.

use boltwork_e2e::{Scratch, free_port, process, tools, wait_for};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BASE: &str = "dc=example,dc=org";
const PASSWORD: &str = "the-administrator-of-the-directory";

/// A running directory; it ends when this is dropped.
pub struct Directory {
    child: Child,
    port: u16,
    _scratch: Scratch,
}

impl Directory {
    /// Starts it; `None` skips the calling test.
    pub fn start() -> Option<Self> {
        let (server, adder) = (tools::service("slapd")?, tools::service("slapadd")?);
        let scratch = Scratch::new();
        let config = scratch.path().join("slapd.conf");
        fs::write(&config, configuration(&scratch.folder("db"))).expect("a configuration");
        let seed = scratch.path().join("seed.ldif");
        fs::write(&seed, entries()).expect("the first entries");
        let added = Command::new(adder).arg("-f").arg(&config).arg("-l").arg(&seed).output();
        let added = added.expect("slapadd runs");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let port = free_port();
        let child = Command::new(server)
            .args(["-h", &format!("ldap://127.0.0.1:{port}"), "-d", "0", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("slapd starts");
        let made = Self { child, port, _scratch: scratch };
        let (name, password) = made.administrator();
        wait_for("slapd answers", || made.try_bind(&name, password).filter(|bound| *bound));
        Some(made)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// Who may do everything, and the password.
    pub fn administrator(&self) -> (String, &'static str) {
        (format!("cn=admin,{BASE}"), PASSWORD)
    }

    /// Where people are.
    pub fn people(&self) -> String {
        format!("ou=people,{BASE}")
    }

    /// The distinguished name of one of the people that the directory begins with, called `name`.
    pub fn person(&self, name: &str) -> String {
        assert!(["one", "two"].contains(&name), "nobody is called {name}");
        format!("cn={name},{}", self.people())
    }

    /// Whether a password is the right one.
    pub fn binds(&self, name: &str, password: &str) -> bool {
        self.try_bind(name, password).expect("slapd answers")
    }

    fn try_bind(&self, name: &str, password: &str) -> Option<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let credentials = [
            element(0x02, &[3]),
            element(0x04, name.as_bytes()),
            element(0x80, password.as_bytes()),
        ]
        .concat();
        let message = [element(0x02, &[1]), element(0x60, &credentials)].concat();
        stream.write_all(&element(0x30, &message)).ok()?;
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).ok()?;
        // The result is the first enumeration of the answer: 0 is success, 49 wrong credentials.
        let result = answer[..length].windows(2).position(|window| window == [0x0a, 0x01])?;
        match answer.get(result + 2)? {
            0 => Some(true),
            49 => Some(false),
            other => panic!("slapd answered a bind with {other}"),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        process::terminate(self.child.id());
        let _ = self.child.wait();
    }
}

/// An element of BER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short names and passwords");
    let mut made = vec![tag];
    if length >= 0x80 {
        made.push(0x81);
    }
    made.push(length);
    made.extend_from_slice(content);
    made
}

fn configuration(data: &Path) -> String {
    let (data, run) = (data.display(), data.with_extension("pid").display().to_string());
    format!(
        "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         pidfile {run}\ndatabase mdb\nsuffix \"{BASE}\"\nrootdn \"cn=admin,{BASE}\"\n\
         rootpw {PASSWORD}\ndirectory {data}\nmaxsize 16777216\n\
         access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n"
    )
}

fn entries() -> String {
    let mut text = format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n\
         dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n"
    );
    for name in ["one", "two"] {
        text.push_str(&format!(
            "\ndn: cn={name},ou=people,{BASE}\nobjectClass: person\ncn: {name}\nsn: {name}\n\
             userPassword: at-first\n"
        ));
    }
    text
}
