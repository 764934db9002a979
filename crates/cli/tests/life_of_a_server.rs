//! What a development server cannot show: initializing, unsealing by prompt, sealing, logging in with
//! the token file, TLS and unix sockets. OpenBao's server is the peer.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boltwork_cli::{Environment, Extra, Invocation, run};

fn bao(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("BOLTWORK_BAO").map(PathBuf::from);
    let found = [named, Some(root.join(".tools/bin/bao")), Some(root.join(".tools/bao"))]
        .into_iter()
        .flatten()
        .find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: {test}: bao is not installed");
    }
    found
}

/// A server with a folder of its own; both are gone at its end.
struct Server {
    child: Child,
    home: PathBuf,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("boltwork-cli-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a folder for the test");
    path
}

impl Server {
    fn start(bao: &Path, home: PathBuf, address: String, args: &[String]) -> Self {
        let child = Command::new(bao)
            .arg("server")
            .args(args)
            .env_clear()
            .env("HOME", &home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bao starts");
        Self { child, home, address }
    }

    /// A sealed, empty server behind a listener given in HCL.
    fn empty(bao: &Path, name: &str, address: &str, listener: &str, home: PathBuf) -> Self {
        let config = home.join(format!("{name}.hcl"));
        std::fs::write(&config, format!("storage \"inmem\" {{}}\n{listener}\n")).expect("written");
        let args = [format!("-config={}", config.display())];
        let server = Self::start(bao, home, address.to_owned(), &args);
        server.until(|s| s.run(&["operator", "init", "-status"], "").code == 2);
        server
    }

    fn until(&self, ready: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready(self) {
            assert!(Instant::now() < deadline, "bao was not ready within a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn run(&self, args: &[&str], stdin: &str) -> Said {
        let home = self.home.display().to_string();
        said(&[("VAULT_ADDR", &self.address), ("HOME", &home)], args, stdin)
    }

    /// Runs a command that must succeed, and gives what it printed.
    fn must(&self, args: &[&str], stdin: &str) -> String {
        let said = self.run(args, stdin);
        assert_eq!(said.code, 0, "{}: {}", args.join(" "), said.stderr);
        said.stdout
    }
}

struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

fn said(environment: &[(&str, &str)], args: &[&str], stdin: &str) -> Said {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = run(Invocation {
        args: args.iter().map(Into::into).collect(),
        environment: Environment::of(environment.iter().copied()),
        stdin: &mut stdin.as_bytes(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdin_is_terminal: false,
        stdout_is_terminal: false,
        version: "Boltwork v9",
        extra: &[Extra {
            name: "server",
            synopsis: "Start a server",
            run: &|args| args.len() as i32,
        }],
    });
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code, stdout: text(stdout), stderr: text(stderr) }
}

fn line<'a>(text: &'a str, label: &str) -> &'a str {
    text.lines()
        .find_map(|l| l.strip_prefix(label))
        .unwrap_or_else(|| panic!("{label} in {text}"))
        .trim()
}

#[test]
fn a_server_is_initialized_unsealed_used_and_sealed() {
    let Some(bao) = bao("a_server_is_initialized_unsealed_used_and_sealed") else { return };
    let port = free_port();
    let server = Server::empty(
        &bao,
        "life",
        &format!("http://127.0.0.1:{port}"),
        &format!("listener \"tcp\" {{ address = \"127.0.0.1:{port}\" tls_disable = true }}"),
        folder("life"),
    );
    assert_eq!(server.run(&["status"], "").code, 2);
    let keys = server.must(&["operator", "init", "-key-shares=3", "-t", "2"], "");
    let (first, second) = (line(&keys, "Unseal Key 1:"), line(&keys, "Unseal Key 3:"));
    assert!(keys.contains("Vault initialized with 3 key shares and a key threshold of 2."));

    let progress = server.must(&["operator", "unseal", first], "");
    assert_eq!(line(&progress, "Unseal Progress"), "1/2");
    let reset = server.must(&["operator", "unseal", "-reset"], "");
    assert_eq!(line(&reset, "Unseal Progress"), "0/2");
    server.must(&["operator", "unseal", first], "");
    let typed = server.must(&["operator", "unseal"], &format!("{second}\n"));
    assert_eq!(line(&typed, "Unseal Key (will be hidden):"), "");
    assert_eq!(line(&typed, "Sealed"), "false");
    server.until(|s| s.run(&["status"], "").code == 0);

    let root = line(&keys, "Initial Root Token:");
    assert_eq!(server.run(&["secrets", "list"], "").code, 2);
    let welcome = server.must(&["login", "-"], &format!("{root}\n"));
    assert!(welcome.starts_with("Success! You are now authenticated."), "{welcome}");
    let stored = server.home.join(".vault-token");
    assert_eq!(std::fs::read_to_string(&stored).expect("stored"), root);
    assert_eq!(std::fs::metadata(&stored).expect("stored").permissions().mode() & 0o777, 0o600);
    assert_eq!(server.must(&["print", "token"], "").trim(), root);

    logs_in_by_name_and_wrapping(&server);
    server.must(&["operator", "seal"], "");
    assert_eq!(server.run(&["status"], "").code, 2);
}

fn logs_in_by_name_and_wrapping(server: &Server) {
    server.must(&["auth", "enable", "userpass"], "");
    server.must(&["write", "auth/userpass/users/me", "password=pw"], "");
    let by_name = ["login", "-method=userpass", "-token-only", "username=me"];
    let token = server.must(&by_name, "pw\n").replace("Password (will be hidden): \n", "");
    assert!(server.must(&["token", "lookup", &token], "").contains("auth/userpass/login/me"));
    let refused = server.run(&by_name, "wrong\n");
    assert_eq!(refused.code, 2);
    assert!(!refused.stderr.contains("wrong"), "{}", refused.stderr);

    let wrapping = server.must(&["token", "create", "-wrap-ttl=1m", "-field=wrapping_token"], "");
    let child = server.must(&["unwrap", "-field=token", &wrapping], "");
    server.must(&["token", "lookup", &child], "");
    assert_eq!(server.run(&["unwrap", &wrapping], "").code, 2, "it opens once");
}

#[test]
fn a_unix_socket_is_an_address_like_any_other() {
    let Some(bao) = bao("a_unix_socket_is_an_address_like_any_other") else { return };
    let home = folder("unix");
    let socket = home.join("s");
    let listener =
        format!("listener \"unix\" {{ address = \"{}\" tls_disable = true }}", socket.display());
    let address = format!("unix://{}", socket.display());
    let server = Server::empty(&bao, "unix", &address, &listener, home);
    let status = server.run(&["status", "-field=initialized"], "");
    assert_eq!((status.code, status.stdout.as_str()), (2, "false"));
}

#[test]
fn a_certificate_is_verified_unless_that_is_turned_off() {
    let Some(bao) = bao("a_certificate_is_verified_unless_that_is_turned_off") else { return };
    let (home, port) = (folder("tls"), free_port());
    let args = [
        "-dev-tls".to_owned(),
        "-dev-no-store-token".to_owned(),
        format!("-dev-tls-cert-dir={}", home.display()),
        format!("-dev-listen-address=127.0.0.1:{port}"),
    ];
    let server = Server::start(&bao, home, format!("https://127.0.0.1:{port}"), &args);
    let ca =
        std::fs::read_dir(&server.home).map(|_| server.home.join("vault-ca.pem")).expect("home");
    server.until(|s| s.run(&["status", "-tls-skip-verify"], "").code == 0);
    let ca = format!("-ca-cert={}", ca.display());
    let trusted = server.run(&["status", &ca], "");
    assert_eq!(trusted.code, 0, "{}", trusted.stderr);
    let unknown = server.run(&["status"], "");
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("UnknownIssuer"), "{}", unknown.stderr);
    let other_name = server.run(&["status", &ca, "-tls-server-name=elsewhere.example"], "");
    assert_eq!(other_name.code, 1);
}

#[test]
fn nobody_at_the_address_is_an_error_in_gos_words() {
    let port = free_port();
    let address = format!("http://127.0.0.1:{port}");
    let said = said(&[("BAO_ADDR", &address), ("VAULT_TOKEN", "s3cret")], &["read", "a/b"], "");
    assert_eq!(said.code, 2);
    let expected = format!(
        "Error reading a/b: Get \"{address}/v1/a/b\": dial tcp 127.0.0.1:{port}: connect: connection refused\n"
    );
    assert_eq!(said.stderr, expected);
}

#[test]
fn help_and_the_binarys_own_commands_need_no_server() {
    let top = said(&[], &["-h"], "");
    assert_eq!(top.code, 0);
    assert!(top.stdout.contains("    server    Start a server"), "{}", top.stdout);
    assert_eq!(said(&[], &["server", "-dev", "-x"], "").code, 2);
    assert_eq!(said(&[], &["nothing"], "").code, 127);
    assert_eq!(said(&[], &["kv"], "").code, 1);
    assert_eq!(said(&[], &["-version"], "").stdout, "Boltwork v9\n");
    let kv = said(&[], &["kv", "get", "-help"], "").stdout;
    assert!(kv.starts_with("Usage: boltwork kv get [options] KEY\n\n"), "{kv}");
    assert!(kv.contains("\nHTTP Options:\n\n  -address=<string>\n      "), "{kv}");
    assert!(kv.lines().all(|l| l.len() <= 80), "{kv}");
}
