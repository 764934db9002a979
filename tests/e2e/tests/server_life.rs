//! How the server's program is started and stopped: configuration good and bad, listeners, the dev
//! mode.
//!
//! Left out on purpose: OpenBao. How it words its errors about configuration is its own affair.

use boltwork_e2e::{Api, Kind, Scratch, Server, Setup, process, tools, wait_for};
use serde_json::json;
use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server's program under our hands; killed if a test forgets it.
struct Program(Child);

impl Program {
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(scratch.path().join("log"))
            .expect("a log");
        let child = Command::new(tools::boltwork())
            .arg("server")
            .args(arguments)
            .env_clear()
            .env("HOME", scratch.path())
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the server's program can be started");
        Self(child)
    }

    /// Waits for its end, which must not take long, and gives its exit code.
    fn ends(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(start.elapsed() < Duration::from_secs(30), "the server still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_of(scratch: &Scratch) -> String {
    let mut text = String::new();
    if let Ok(mut file) = fs::File::open(scratch.path().join("log")) {
        file.read_to_string(&mut text).expect("the log is a text");
    }
    text
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

fn answers(address: SocketAddr, token: Option<&str>) -> Api {
    let api = Api::new(address, token);
    let ask = boltwork_e2e::Call {
        method: "GET".into(),
        target: "/v1/sys/seal-status".into(),
        ..Default::default()
    };
    wait_for("the server answers", || api.try_send(&ask).ok().map(drop));
    api
}

fn listener(address: SocketAddr) -> String {
    format!("listener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = true\n}}\n")
}

/// Starts a server with a configuration that it cannot use, and returns what it says.
fn refuses(text: &str) -> String {
    let scratch = Scratch::new();
    let file = scratch.path().join("server.hcl");
    fs::write(&file, text).expect("the configuration is written");
    let mut program = Program::start(&scratch, &[&format!("-config={}", file.display())]);
    let code = program.ends();
    let log = log_of(&scratch);
    assert!(matches!(code, Some(1..=255)), "{code:?}: {log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

#[test]
fn bad_hcl_is_refused_with_file_line_and_column() {
    let log =
        refuses("disable_mlock = true\nlistener \"tcp\" {\n  address = = \"127.0.0.1:1\"\n}\n");
    assert!(log.contains("server.hcl"), "{log}");
    assert!(log.contains("3:13") || (log.contains("line 3") && log.contains("column 13")), "{log}");
}

#[test]
fn hcl_that_ends_too_early_is_refused() {
    let log = refuses("listener \"tcp\" {\n  address = \"127.0.0.1:1\"\n");
    assert!(log.contains("server.hcl"), "{log}");
}

#[test]
fn a_storage_that_does_not_exist_is_refused_by_name() {
    let log = refuses(&format!("storage \"shoebox\" {{}}\n{}", listener(free_address())));
    assert!(log.contains("shoebox"), "{log}");
}

#[test]
fn a_configuration_without_storage_or_listener_is_refused() {
    assert!(refuses(&listener(free_address())).contains("storage"));
    assert!(refuses("storage \"inmem\" {}\n").contains("listener"));
}

#[test]
fn an_address_in_use_is_refused_by_name() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address");
    let log =
        refuses(&format!("storage \"inmem\" {{}}\ndisable_mlock = true\n{}", listener(address)));
    assert!(log.contains(&address.to_string()), "{log}");
    assert!(log.to_lowercase().contains("in use"), "{log}");
}

#[test]
fn a_configuration_file_that_is_missing_is_refused_by_name() {
    let scratch = Scratch::new();
    let mut program = Program::start(&scratch, &["-config=/no/such/file.hcl"]);
    assert_ne!(program.ends(), Some(0));
    assert!(log_of(&scratch).contains("/no/such/file.hcl"), "{}", log_of(&scratch));
}

#[test]
fn an_unknown_key_is_a_warning_with_file_and_line() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("how OpenBao warns is its own affair");
    }
    let Some(server) =
        (Setup { lines: "favourite_colour = \"red\"".into(), ..Setup::default() }).start()
    else {
        return;
    };
    server.is_well();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("favourite_colour"));
    let line = line.unwrap_or_else(|| panic!("nothing is said of the unknown key: {log}"));
    let number = fs::read_to_string(server.folder().join("server.hcl")).expect("the configuration");
    let number =
        number.lines().position(|line| line.contains("favourite_colour")).expect("the key") + 1;
    assert!(line.contains("server.hcl") && line.contains(&number.to_string()), "{line}");
}

fn json_configuration(address: SocketAddr) -> String {
    json!({
        "storage": {"inmem": {}},
        "listener": [{"tcp": {"address": address.to_string(), "tls_disable": true}}],
        "disable_mlock": true,
    })
    .to_string()
}

#[test]
fn a_configuration_may_be_json() {
    let scratch = Scratch::new();
    let address = free_address();
    let file = scratch.path().join("server.json");
    fs::write(&file, json_configuration(address)).expect("the configuration is written");
    let _program = Program::start(&scratch, &[&format!("-config={}", file.display())]);
    answers(address, None).read("sys/health").status(501);
}

#[test]
fn a_configuration_may_be_a_folder_of_files() {
    let scratch = Scratch::new();
    let address = free_address();
    let folder = scratch.folder("config");
    fs::write(folder.join("a.hcl"), "storage \"inmem\" {}\ndisable_mlock = true\n")
        .expect("a file");
    fs::write(folder.join("b.hcl"), listener(address)).expect("a file");
    fs::write(folder.join("notes.txt"), "this is no configuration {").expect("a file");
    let _program = Program::start(&scratch, &[&format!("-config={}", folder.display())]);
    answers(address, None).read("sys/health").status(501);
}

#[test]
fn several_listeners_serve_one_server() {
    let scratch = Scratch::new();
    let (one, two) = (free_address(), free_address());
    let file = scratch.path().join("server.hcl");
    let text =
        format!("storage \"inmem\" {{}}\ndisable_mlock = true\n{}{}", listener(one), listener(two));
    fs::write(&file, text).expect("the configuration is written");
    let _program = Program::start(&scratch, &[&format!("-config={}", file.display())]);
    answers(one, None)
        .write("sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}))
        .status(200);
    assert_eq!(answers(two, None).read("sys/init").ok().json()["initialized"], true);
}

#[test]
fn a_dev_server_is_unsealed_and_takes_the_given_token() {
    let scratch = Scratch::new();
    let address = free_address();
    let listen = format!("-dev-listen-address={address}");
    let mut program = Program::start(&scratch, &["-dev", "-dev-root-token-id=my-root", &listen]);
    let api = answers(address, Some("my-root"));
    wait_for("the dev server is active", || (api.read("sys/health").status == 200).then_some(()));
    assert_eq!(api.read("auth/token/lookup-self").ok().data()["policies"], json!(["root"]));
    // As in Vault, version 2 of kv is mounted at secret/.
    wait_for("secret/ is ready", || {
        api.write("secret/data/a", &json!({"data": {"x": 1}})).succeeded().then_some(())
    });
    assert_eq!(api.read("secret/data/a").ok().data()["data"]["x"], 1);
    let said = log_of(&scratch);
    assert!(
        said.contains("my-root") && said.contains("Unseal Key"),
        "the banner names key and token: {said}"
    );
    process::terminate(program.0.id());
    assert_eq!(program.ends(), Some(0));
}

#[test]
fn a_dev_server_registers_what_is_in_its_plugin_folder() {
    let scratch = Scratch::new();
    let address = free_address();
    let folder = scratch.folder("plugins");
    copy_program(&tools::our_kv(), &folder.join("found-kv"));
    let (listen, plugins) =
        (format!("-dev-listen-address={address}"), format!("-dev-plugin-dir={}", folder.display()));
    let _program =
        Program::start(&scratch, &["-dev", "-dev-root-token-id=root", &listen, &plugins]);
    let api = answers(address, Some("root"));
    let found = wait_for("the plugin is in the catalog", || {
        let list = api.read("sys/plugins/catalog");
        let list = if list.succeeded() { list.data() } else { return None };
        list["detailed"].as_array()?.iter().find(|entry| entry["name"] == "found-kv").cloned()
    });
    assert_eq!(found["type"], "secret");
    api.write("sys/mounts/found", &json!({"type": "found-kv"})).status(204);
    api.write("found/a", &json!({"x": 1})).status(204);
}

fn copy_program(from: &Path, to: &Path) {
    // By a process of its own, for the reason given in the harness.
    assert!(Command::new("cp").arg(from).arg(to).status().expect("cp runs").success());
}

#[test]
fn a_tls_listener_is_reached_by_bao_cli() {
    let Some(bao) = tools::bao() else { return };
    let scratch = Scratch::new();
    let address = free_address();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .expect("a certificate");
    let (certificate, key) = (scratch.path().join("cert.pem"), scratch.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).expect("the certificate is written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("the key is written");
    let file = scratch.path().join("server.hcl");
    let text = format!(
        "storage \"inmem\" {{}}\ndisable_mlock = true\nlistener \"tcp\" {{\n  address = \"{address}\"\n  \
         tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n}}\n",
        certificate.display(),
        key.display()
    );
    fs::write(&file, text).expect("the configuration is written");
    let _program = Program::start(&scratch, &[&format!("-config={}", file.display())]);
    let status = wait_for("the listener answers", || {
        let output = Command::new(&bao)
            .args(["status", "-format=json"])
            .env_clear()
            .env("HOME", scratch.path())
            .env("BAO_ADDR", format!("https://{address}"))
            .env("BAO_CACERT", &certificate)
            .output()
            .expect("the command line runs");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).ok()
    });
    assert_eq!(status["initialized"], false);
    // Whoever speaks plain HTTP to it gets no secret answer.
    let plain = Api::new(address, None);
    let ask = boltwork_e2e::Call {
        method: "GET".into(),
        target: "/v1/sys/health".into(),
        ..Default::default()
    };
    assert!(!plain.try_send(&ask).is_ok_and(|answer| answer.succeeded()));
}

#[test]
fn shamir_shares_unseal_in_any_order_and_progress_is_told() {
    let Some(server) = Setup::default().start_bare() else { return };
    let public = server.public();
    public.read("sys/health").status(501);
    let made =
        public.write("sys/init", &json!({"secret_shares": 5, "secret_threshold": 3})).ok().json();
    let keys: Vec<&str> =
        made["keys"].as_array().expect("keys").iter().filter_map(|key| key.as_str()).collect();
    assert_eq!((keys.len(), made["keys_base64"].as_array().map(Vec::len)), (5, Some(5)));
    public.read("sys/health").status(503);
    for (progress, key) in [(1, keys[4]), (2, keys[1]), (2, keys[1])] {
        let status = public.write("sys/unseal", &json!({"key": key})).ok().json();
        assert_eq!(
            (&status["progress"], &status["t"], &status["n"]),
            (&json!(progress), &json!(3), &json!(5))
        );
        assert_eq!(status["sealed"], true);
    }
    assert_eq!(public.write("sys/unseal", &json!({"reset": true})).ok().json()["progress"], 0);
    for key in [keys[0], keys[3], keys[2]] {
        public.write("sys/unseal", &json!({"key": key})).ok();
    }
    wait_for("the server is active", || (public.read("sys/health").status == 200).then_some(()));
    public.with_token(made["root_token"].as_str().expect("a token")).read("sys/mounts").status(200);
}

#[test]
fn an_uninitialized_server_says_so_and_no_more() {
    let Some(server) = Setup::default().start_bare() else { return };
    assert_eq!(server.public().read("sys/init").ok().json()["initialized"], false);
    server.public().read("sys/mounts").status(503);
    for body in [
        json!({}),
        json!({"secret_shares": 0, "secret_threshold": 0}),
        json!({"secret_shares": 3, "secret_threshold": 5}),
        json!({"secret_shares": 3, "secret_threshold": 1}),
        json!({"secret_shares": 300, "secret_threshold": 3}),
    ] {
        server.public().write("sys/init", &body).status(400);
    }
    assert_eq!(server.public().read("sys/init").ok().json()["initialized"], false);
}

#[test]
fn a_server_that_is_stopped_ends_well_even_when_it_is_sealed() {
    for sealed in [false, true] {
        let Some(mut server) = Server::disk() else { return };
        if sealed {
            server.seal();
        }
        assert!(server.stop().success(), "sealed: {sealed}");
    }
}
