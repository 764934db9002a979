//! The same commands through this command line and through OpenBao's own, each against a development
//! server of its own, and every byte compared that is not an id, a time or an address.
//!
//! What the two say differently on purpose (help texts, prose) is not part of the script.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boltwork_cli::{Environment, Invocation, run};

const TOKEN: &str = "boltwork-test-root";

fn bao() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("BOLTWORK_BAO").map(PathBuf::from);
    [named, Some(root.join(".tools/bin/bao")), Some(root.join(".tools/bao"))]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
}

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("boltwork-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A development server, stopped at its end.
struct Server {
    child: Child,
    address: String,
    home: Folder,
}

impl Server {
    fn start(bao: &Path, name: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let home = Folder::new(name);
        let child = Command::new(bao)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env_clear()
            .env("HOME", &home.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bao starts");
        let server = Self { child, address: format!("http://127.0.0.1:{port}"), home };
        server.wait(port);
        server
    }

    /// Until the mounts of a development server are all there: they are made one by one.
    fn wait(&self, port: u16) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if TcpStream::connect(("127.0.0.1", port)).is_ok()
                && self.ours(&["kv", "list", "-format=json", "secret"], "").stdout == "{}\n"
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("bao did not answer within a minute");
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("VAULT_ADDR".into(), self.address.clone()),
            ("VAULT_TOKEN".into(), TOKEN.into()),
            ("HOME".into(), self.home.0.display().to_string()),
        ]
    }

    fn ours(&self, args: &[&str], stdin: &str) -> Said {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = run(Invocation {
            args: args.iter().map(Into::into).collect(),
            environment: Environment::of(self.environment()),
            stdin: &mut stdin.as_bytes(),
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            version: "test",
            extra: &[],
        });
        self.said(code, &stdout, &stderr)
    }

    fn theirs(&self, bao: &Path, args: &[&str], stdin: &str) -> Said {
        let mut child = Command::new(bao)
            .args(args)
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bao runs");
        // A command that reads nothing closes the pipe first.
        let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("bao ends");
        self.said(output.status.code().unwrap_or(-1), &output.stdout, &output.stderr)
    }

    fn said(&self, code: i32, stdout: &[u8], stderr: &[u8]) -> Said {
        let clean = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.address, "http://ADDRESS");
            masked(&text.replace("returned from OpenBao", "returned from the server"))
        };
        Said { code, stdout: clean(stdout), stderr: clean(stderr) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(PartialEq, Debug)]
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Ids and times of one run, replaced by what they are. Whether a move is seen while it is under way
/// is a matter of luck, so the line that says so does not count.
fn masked(text: &str) -> String {
    let said_by_chance = |line: &&str| line.starts_with("Waiting for terminal status in migration");
    let text: String = text.split_inclusive('\n').filter(|line| !said_by_chance(line)).collect();
    let mut out = String::new();
    let mut word = String::new();
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    for c in text.chars() {
        if part_of_word(c) {
            word.push(c);
        } else {
            out.push_str(&mask(&word));
            word.clear();
            out.push(c);
        }
    }
    out + &mask(&word)
}

fn mask(word: &str) -> String {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    let is_uuid = word.len() == 36 && word.split('-').count() == 5 && hex(&word.replace('-', ""));
    let is_time = word.len() > 18 && word.as_bytes()[10] == b'T' && digits(&word[..4]);
    let mixed = word.bytes().any(|b| b.is_ascii_uppercase())
        && word.bytes().any(|b| b.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    let is_id = mixed && (word.len() == 24 || (word.starts_with("s.") && word.len() == 26));
    let is_clock = word.len() > 8 && word.as_bytes()[2] == b':' && digits(&word[..2]);
    let accessor = word.rsplit_once('_').filter(|(_, id)| id.len() == 8 && hex(id));
    if is_uuid {
        "UUID".into()
    } else if word.starts_with("vault-cluster-") {
        "CLUSTER".into()
    } else if is_time || is_clock {
        "TIME".into()
    } else if is_id {
        "ID".into()
    } else if digits(word) && word.len() == 10 {
        "SECONDS".into()
    } else if let Some((kind, _)) = accessor {
        format!("{kind}_ACCESSOR")
    } else {
        word.to_owned()
    }
}

/// Commands with their standard input.
const SCRIPT: &[(&[&str], &str)] = &[
    // kv version 2
    (&["kv", "put", "secret/foo", "bar=baz", "n=1"], ""),
    (&["kv", "put", "-mount=secret", "foo", "bar=second", "long_key_name=<a&b>"], ""),
    (&["kv", "put", "-cas=0", "secret/foo", "bar=x"], ""),
    (&["kv", "put", "-cas=2", "-format=json", "secret/foo", "bar=third"], ""),
    (
        &["kv", "put", "secret/json", "-"],
        r#"{"num":12345678901234567890,"f":1.50,"l":[1,{"a":null}],"b":true}"#,
    ),
    (&["kv", "put", "-field=version", "secret/field", "a=b"], ""),
    (&["kv", "get", "secret/json"], ""),
    (&["kv", "get", "-format=json", "secret/json"], ""),
    (&["kv", "get", "-format=yaml", "secret/json"], ""),
    (&["kv", "get", "-field=num", "secret/json"], ""),
    (&["kv", "get", "-field=l", "secret/json"], ""),
    (&["kv", "get", "-field=l", "-format=json", "secret/json"], ""),
    (&["kv", "get", "-field=b", "-format=yaml", "secret/json"], ""),
    (&["kv", "get", "-field=nope", "secret/json"], ""),
    (&["kv", "get", "-field=data", "secret/json"], ""),
    (&["kv", "get", "-mount=secret", "foo"], ""),
    (&["kv", "get", "-mount=secret", "-version=1", "foo"], ""),
    (&["kv", "get", "secret/none"], ""),
    (&["kv", "get", "-format=json", "secret/none"], ""),
    (&["kv", "get"], ""),
    (&["kv", "get", "a", "b"], ""),
    (&["kv", "get", "nomount/a"], ""),
    (&["kv", "get", "-nope", "a"], ""),
    (&["kv", "put", "secret/foo"], ""),
    (&["kv", "put"], ""),
    (&["kv", "patch", "secret/foo", "more=1"], ""),
    (&["kv", "patch", "-method=rw", "secret/foo", "again=1"], ""),
    (&["kv", "patch", "-remove-data=more", "secret/foo"], ""),
    (&["kv", "patch", "-method=odd", "secret/foo", "a=b"], ""),
    (&["kv", "patch", "secret/none", "a=b"], ""),
    (&["kv", "get", "secret/foo"], ""),
    (&["kv", "list", "secret"], ""),
    (&["kv", "list", "-mount=secret"], ""),
    (&["kv", "list", "-format=json", "secret/"], ""),
    (&["kv", "list", "-format=json", "secret/none"], ""),
    (&["kv", "list", "secret/none"], ""),
    (&["kv", "delete", "secret/foo"], ""),
    (&["kv", "get", "secret/foo"], ""),
    (&["kv", "get", "-field=bar", "secret/foo"], ""),
    (&["kv", "undelete", "-versions=6", "secret/foo"], ""),
    (&["kv", "undelete", "-mount=secret", "-versions=6", "foo"], ""),
    (&["kv", "undelete", "secret/foo"], ""),
    (&["kv", "delete", "-versions=1,2", "secret/foo"], ""),
    (&["kv", "destroy", "-versions=1", "secret/foo"], ""),
    (&["kv", "destroy", "secret/foo"], ""),
    (&["kv", "rollback", "-version=1", "secret/foo"], ""),
    (&["kv", "rollback", "-version=2", "secret/foo"], ""),
    (&["kv", "rollback", "-version=3", "secret/foo"], ""),
    (&["kv", "rollback", "secret/foo"], ""),
    (
        &[
            "kv",
            "metadata",
            "put",
            "-max-versions=9",
            "-delete-version-after=3h25m19s",
            "-custom-metadata=a=b",
            "secret/foo",
        ],
        "",
    ),
    (
        &[
            "kv",
            "metadata",
            "patch",
            "-custom-metadata=c=d",
            "-remove-custom-metadata=a",
            "secret/foo",
        ],
        "",
    ),
    (&["kv", "metadata", "get", "secret/foo"], ""),
    (&["kv", "metadata", "get", "-format=json", "secret/foo"], ""),
    (&["kv", "metadata", "get", "secret/none"], ""),
    (&["kv", "metadata", "delete", "secret/foo"], ""),
    // mounts and kv version 1
    (&["secrets", "enable", "-path=one", "-description=a b", "-default-lease-ttl=1h", "kv"], ""),
    (&["secrets", "enable", "-path=one", "kv"], ""),
    (&["secrets", "enable", "-version=2", "-path=two", "kv"], ""),
    (&["secrets", "enable", "nope"], ""),
    (&["secrets", "enable"], ""),
    (&["kv", "put", "one/a", "k=v"], ""),
    (&["kv", "get", "one/a"], ""),
    (&["kv", "get", "-mount=one", "a"], ""),
    (&["kv", "get", "-format=yaml", "one/a"], ""),
    (&["kv", "list", "one"], ""),
    (&["kv", "patch", "one/a", "k=w"], ""),
    (&["kv", "metadata", "get", "one/a"], ""),
    (&["kv", "destroy", "-versions=1", "one/a"], ""),
    (&["read", "one/a"], ""),
    (&["read", "-field=k", "one/a"], ""),
    (&["write", "one/b", "x=1", "x=2", "ttl=3600"], ""),
    (&["write", "one/c", "-"], r#"{"a":{"b":"c"}}"#),
    (&["write", "one/d", "x=-"], "from stdin\nsecond\n"),
    (&["write", "one/e"], ""),
    (&["read", "one/b"], ""),
    (&["read", "one/c"], ""),
    (&["read", "-format=yaml", "one/d"], ""),
    (&["read", "-format=json", "one/b"], ""),
    (&["read", "-format=nope", "one/b"], ""),
    (&["read", "one/none"], ""),
    (&["read"], ""),
    (&["list", "one"], ""),
    (&["list", "-format=json", "one/"], ""),
    (&["list", "-format=yaml", "one/"], ""),
    (&["list", "one/none"], ""),
    (&["list", "-format=json", "one/none"], ""),
    (&["delete", "one/b"], ""),
    (&["delete"], ""),
    (&["kv", "enable-versioning", "one"], ""),
    (&["secrets", "tune", "-max-lease-ttl=2h", "-description=new", "two/"], ""),
    (&["secrets", "list"], ""),
    (&["secrets", "list", "-detailed"], ""),
    (&["secrets", "list", "-format=json"], ""),
    (&["secrets", "list", "-format=yaml"], ""),
    (&["secrets", "list", "x"], ""),
    (&["secrets", "disable", "two"], ""),
    (&["secrets", "disable", "two"], ""),
    // auth
    (&["auth", "enable", "userpass"], ""),
    (&["auth", "enable", "-path=up2", "-description=d", "userpass"], ""),
    (&["auth", "enable", "nope"], ""),
    (&["auth", "tune", "-max-lease-ttl=1h", "up2"], ""),
    (&["auth", "list"], ""),
    (&["auth", "list", "-detailed"], ""),
    (&["auth", "list", "-format=json"], ""),
    (&["auth", "disable", "up2/"], ""),
    (&["write", "auth/userpass/users/me", "password=pw", "policies=default"], ""),
    (
        &[
            "login",
            "-method=userpass",
            "-field=policies",
            "-no-store",
            "username=me",
            "password=bad",
        ],
        "",
    ),
    (&["write", "auth/userpass/login/me", "password=pw"], ""),
    // policies
    (
        &["policy", "write", "My-Policy", "-"],
        "path \"secret/*\" {\n  capabilities = [\"read\"]\n}\n",
    ),
    (&["policy", "write", "bad", "-"], "path {"),
    (&["policy", "write", "p", "/nonexistent-file"], ""),
    (&["policy", "list"], ""),
    (&["policy", "list", "-format=json"], ""),
    (&["policy", "read", "my-policy"], ""),
    (&["policy", "read", "-format=json", "my-policy"], ""),
    (&["policy", "read", "none"], ""),
    // tokens
    (&["token", "create", "-policy=my-policy", "-ttl=1h", "-id=child", "-metadata=a=b"], ""),
    (
        &["token", "create", "-id=child2", "-format=json", "-type=service", "-explicit-max-ttl=2h"],
        "",
    ),
    (&["token", "create", "-policy=my-policy", "-field=token_policies"], ""),
    (&["token", "create", "-ttl=x"], ""),
    (&["token", "lookup", "-field=policies", "child"], ""),
    (&["token", "lookup", "-field=path"], ""),
    (&["token", "lookup", "none"], ""),
    (&["token", "lookup", "-accessor"], ""),
    (&["token", "renew", "-increment=30m", "child"], ""),
    (&["token", "capabilities", "child", "secret/foo"], ""),
    (&["token", "capabilities", "secret/foo"], ""),
    (&["token", "capabilities", "-format=json", "secret/foo"], ""),
    (&["token", "capabilities"], ""),
    (&["token", "revoke", "child"], ""),
    (&["token", "revoke", "-mode=odd", "child"], ""),
    (&["token", "revoke"], ""),
    (&["token", "revoke", "-self", "x"], ""),
    (&["policy", "delete", "my-policy"], ""),
    // leases
    (&["lease", "lookup"], ""),
    (&["lease", "lookup", "a", "b"], ""),
    (&["lease", "lookup", "a/b/c"], ""),
    (&["lease", "renew"], ""),
    (&["lease", "renew", "a", "b"], ""),
    (&["lease", "renew", "-increment=5m", "a/b/c"], ""),
    (&["lease", "revoke"], ""),
    (&["lease", "revoke", "a", "b"], ""),
    (&["lease", "revoke", "-force", "a/b"], ""),
    (&["lease", "revoke", "a/b/c"], ""),
    (&["lease", "revoke", "-sync", "a/b/c"], ""),
    (&["lease", "revoke", "-prefix", "a/b"], ""),
    (&["lease", "revoke", "-prefix", "-sync", "a/b"], ""),
    (&["lease", "revoke", "-prefix", "-force", "a/b"], ""),
    // audit devices
    (&["audit", "list"], ""),
    (&["audit", "list", "-format=json"], ""),
    (&["audit", "list", "x"], ""),
    (&["audit", "enable"], ""),
    (&["audit", "enable", "nope"], ""),
    (&["audit", "enable", "-path=a", "-description=d", "file", "file_path=discard"], ""),
    (&["audit", "list"], ""),
    (&["audit", "list", "-detailed"], ""),
    (&["audit", "disable"], ""),
    (&["audit", "disable", "a"], ""),
    (&["audit", "disable", "/a/"], ""),
    // roles and kinds of tokens
    (&["write", "auth/token/roles/r", "allowed_policies=my-policy", "orphan=true"], ""),
    (&["token", "create", "-role=r", "-field=token_policies"], ""),
    (&["token", "create", "-role=none"], ""),
    (&["token", "create", "-type=batch", "-policy=my-policy", "-field=token_type"], ""),
    (&["token", "create", "-type=batch", "-policy=my-policy", "-field=token_accessor"], ""),
    (&["token", "create", "-type=weird"], ""),
    (
        &[
            "token",
            "create",
            "-orphan",
            "-period=30m",
            "-policy=my-policy",
            "-field=token_duration",
        ],
        "",
    ),
    (&["token", "create", "-no-default-policy", "-policy=my-policy", "-field=token_policies"], ""),
    (&["token", "create", "-entity-alias=x"], ""),
    (&["token", "renew", "-accessor", "none"], ""),
    (&["token", "revoke", "-accessor", "none"], ""),
    // the catalog
    (&["plugin", "list"], ""),
    (&["plugin", "list", "secret"], ""),
    (&["plugin", "list", "-detailed"], ""),
    (&["plugin", "list", "-format=json", "auth"], ""),
    (&["plugin", "list", "-format=yaml"], ""),
    (&["plugin", "list", "odd"], ""),
    (&["plugin", "info", "secret", "kv"], ""),
    (&["plugin", "info", "-format=json", "secret", "kv"], ""),
    (&["plugin", "info", "-field=builtin", "secret", "kv"], ""),
    (&["plugin", "info", "secret", "none"], ""),
    (&["plugin", "info"], ""),
    (&["plugin", "register", "secret", "x"], ""),
    (&["plugin", "register", "-sha256=00", "secret", "x"], ""),
    (&["plugin", "register", "-sha256=00", "odd", "x"], ""),
    (&["plugin", "deregister", "secret", "x"], ""),
    (&["plugin", "deregister"], ""),
    (&["plugin", "reload"], ""),
    (&["plugin", "reload", "-plugin=a", "-mounts=b"], ""),
    (&["plugin", "reload", "-mounts=one/"], ""),
    (&["plugin", "reload", "-plugin=kv"], ""),
    // wrapping
    (&["kv", "get", "-wrap-ttl=5m", "secret/json"], ""),
    (&["kv", "get", "-wrap-ttl=5m", "-field=wrapping_token_ttl", "secret/json"], ""),
    (&["read", "-wrap-ttl=5m", "-format=json", "one/data/a"], ""),
    (&["unwrap", "nope"], ""),
    // the server itself
    (&["secrets", "move", "one", "three"], ""),
    (&["read", "sys/internal/ui/mounts/secret"], ""),
    (&["print", "token"], ""),
    (&["operator", "init", "-status"], ""),
    (&["operator", "init", "-status", "-format=json"], ""),
    (&["operator", "unseal", "-reset"], ""),
    (&["operator", "unseal", "00"], ""),
    (&["status"], ""),
    (&["status", "-format=json"], ""),
    (&["status", "-format=yaml"], ""),
    (&["status", "-field=sealed"], ""),
    (&["operator", "seal"], ""),
    (&["status"], ""),
    (&["status", "-format=json"], ""),
    (&["read", "secret/foo"], ""),
    (&["no-such-command"], ""),
    (&["kv", "no-such-command", "-h"], ""),
];

#[test]
fn our_command_line_says_what_baos_says() {
    let Some(bao) = bao() else {
        println!("skipped: our_command_line_says_what_baos_says: bao is not installed");
        return;
    };
    let (mine, its) = (Server::start(&bao, "ours"), Server::start(&bao, "theirs"));
    let mut wrong = Vec::new();
    for (args, stdin) in SCRIPT {
        let (ours, theirs) = (mine.ours(args, stdin), its.theirs(&bao, args, stdin));
        // Whoever names no command gets help, and the two offer different commands.
        let helped = theirs.code == 127 || args.contains(&"-h");
        let same = if helped { ours.code == theirs.code } else { ours == theirs };
        if !same {
            wrong.push(format!("$ {}\n ours: {ours:#?}\n theirs: {theirs:#?}", args.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SCRIPT.len(), wrong.join("\n"));
}
