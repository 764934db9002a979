//! A server as a process of its own, with a folder of its own and a port of its own.
//!
//! Left out on purpose: TLS listeners and clusters.

use crate::http::{Answer, Api, Call};
use crate::{PATIENCE, Scratch, process, tools, wait_for};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

/// Which program serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Boltwork,
    /// OpenBao's, to compare with.
    Bao,
}

impl Kind {
    /// The one that the tests are about: ours, or what `BOLTWORK_E2E_SERVER` names.
    pub fn under_test() -> Self {
        match std::env::var("BOLTWORK_E2E_SERVER").as_deref() {
            Err(_) | Ok("" | "boltwork") => Self::Boltwork,
            Ok("bao") => Self::Bao,
            Ok(other) => panic!("BOLTWORK_E2E_SERVER={other:?}: want boltwork or bao"),
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Boltwork => Some(tools::boltwork()),
            Self::Bao => tools::bao(),
        }
    }
}

/// Where the server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Lost when the process ends.
    Memory,
    /// On disk: SQLite under Boltwork, Raft under OpenBao.
    Disk,
}

/// What `plugin_directory` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginFolder {
    /// A fresh folder.
    Fresh,
    /// Nothing: the line is absent.
    Absent,
    /// A symbolic link to a fresh folder.
    Linked,
    /// A path that does not exist.
    Missing,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which program.
    pub kind: Kind,
    /// Where its data is.
    pub storage: Storage,
    /// Where its plugins are.
    pub plugins: PluginFolder,
    /// Variables for its environment; it inherits none but `PATH`.
    pub environment: Vec<(String, String)>,
    /// Lines added to its configuration.
    pub lines: String,
    /// Whether a write beyond the process's limit on the size of files is an error to it, as on a
    /// full disk, and not the end of it.
    pub outlives_file_limit: bool,
    /// `log_level`.
    pub log_level: &'static str,
    /// `api_addr`; the listener's if it is not said, none at all if it is empty.
    pub api_addr: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            kind: Kind::under_test(),
            storage: Storage::Memory,
            plugins: PluginFolder::Fresh,
            environment: Vec::new(),
            lines: String::new(),
            outlives_file_limit: false,
            log_level: "debug",
            api_addr: None,
        }
    }
}

impl Setup {
    /// Starts the server, initializes and unseals it. `None` if its program is missing, which the
    /// caller's test has been recorded as skipped for.
    pub fn start(self) -> Option<Server> {
        let program = self.kind.program()?;
        let mut server = Server::prepare(self, program);
        server.launch();
        server.initialize();
        Some(server)
    }

    /// Starts the server and does no more: it is not initialized.
    pub fn start_bare(self) -> Option<Server> {
        let program = self.kind.program()?;
        let mut server = Server::prepare(self, program);
        server.launch();
        Some(server)
    }
}

/// A server; the process ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    program: PathBuf,
    scratch: Scratch,
    address: SocketAddr,
    child: Option<Child>,
    key: String,
    token: String,
}

impl Server {
    /// The server under test with its data in memory, initialized and unsealed.
    pub fn memory() -> Option<Self> {
        Setup::default().start()
    }

    /// The server under test with its data on disk, initialized and unsealed.
    pub fn disk() -> Option<Self> {
        Setup { storage: Storage::Disk, ..Setup::default() }.start()
    }

    fn prepare(setup: Setup, program: PathBuf) -> Self {
        let scratch = Scratch::new();
        match setup.plugins {
            PluginFolder::Fresh => drop(scratch.folder("plugins")),
            PluginFolder::Linked => {
                let real = scratch.folder("real-plugins");
                std::os::unix::fs::symlink(real, scratch.path().join("plugins"))
                    .expect("a symbolic link");
            }
            PluginFolder::Absent | PluginFolder::Missing => {}
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            setup,
            program,
            scratch,
            address,
            child: None,
            key: String::new(),
            token: String::new(),
        }
    }

    /// Starts the process and waits until it answers. A port that someone else took in the
    /// meantime is replaced by another.
    fn launch(&mut self) {
        for _ in 0..5 {
            if self.address.port() == 0 {
                self.address.set_port(free_port());
            }
            self.spawn();
            match self.await_answer() {
                Ok(()) => return,
                Err(log)
                    if log.contains("address already in use")
                        || log.contains("Address already in use") =>
                {
                    self.address.set_port(0);
                }
                Err(log) => panic!("{:?} ended while it started:\n{log}", self.setup.kind),
            }
        }
        panic!("five ports in a row were taken");
    }

    fn spawn(&mut self) {
        let config = self.scratch.path().join("server.hcl");
        fs::write(&config, self.configuration()).expect("the configuration is written");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log is opened");
        let mut command = if self.setup.outlives_file_limit {
            // A signal that is ignored stays so in the program that is executed.
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.program);
            shell
        } else {
            Command::new(&self.program)
        };
        command
            .arg("server")
            .arg(format!("-config={}", config.display()))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.scratch.folder("home"))
            .env("TMPDIR", self.temporary())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log);
        for (name, value) in &self.setup.environment {
            command.env(name, value);
        }
        self.child = Some(command.spawn().expect("the server's program can be started"));
    }

    fn configuration(&self) -> String {
        let (port, here) = (self.address.port(), self.scratch.path().display());
        let storage = match (self.setup.storage, self.setup.kind) {
            (Storage::Memory, _) => "storage \"inmem\" {}".to_owned(),
            (Storage::Disk, Kind::Boltwork) => {
                format!("storage \"sqlite\" {{\n  path = \"{here}/boltwork.db\"\n}}")
            }
            (Storage::Disk, Kind::Bao) => {
                self.scratch.folder("raft");
                format!("storage \"raft\" {{\n  path = \"{here}/raft\"\n  node_id = \"one\"\n}}")
            }
        };
        let plugins = match self.setup.plugins {
            PluginFolder::Absent => String::new(),
            _ => format!("plugin_directory = \"{}\"", self.plugin_folder().display()),
        };
        let own = match self.setup.kind {
            Kind::Boltwork => "disable_mlock = true".to_owned(),
            Kind::Bao => format!("cluster_addr = \"https://127.0.0.1:{}\"", port + 1),
        };
        let api_addr = match self.setup.api_addr.as_deref() {
            None => format!("api_addr = \"http://127.0.0.1:{port}\""),
            Some("") => String::new(),
            Some(address) => format!("api_addr = \"{address}\""),
        };
        format!(
            "{storage}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             {api_addr}\nlog_level = \"{}\"\n{plugins}\n{own}\n{}\n",
            self.setup.log_level, self.setup.lines
        )
    }

    /// Rewrites the configuration with other lines of the test's, and says so by SIGHUP.
    pub fn configure(&mut self, lines: &str) {
        self.setup.lines = lines.to_owned();
        let config = self.scratch.path().join("server.hcl");
        fs::write(&config, self.configuration()).expect("the configuration is written");
        process::hang_up(self.pid());
    }

    fn await_answer(&mut self) -> Result<(), String> {
        let api = Api::new(self.address, None);
        let ask =
            Call { method: "GET".into(), target: "/v1/sys/seal-status".into(), ..Call::default() };
        let start = Instant::now();
        loop {
            if self.exited().is_some() {
                return Err(self.log());
            }
            if api.try_send(&ask).is_ok() {
                return Ok(());
            }
            assert!(start.elapsed() < PATIENCE, "the server does not answer:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn initialize(&mut self) {
        let made = self
            .public()
            .write("sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}))
            .ok()
            .json();
        self.key = made["keys_base64"][0].as_str().expect("an unseal key").to_owned();
        self.token = made["root_token"].as_str().expect("a root token").to_owned();
        self.unseal();
    }

    /// The root token's view of the server.
    pub fn api(&self) -> Api {
        Api::new(self.address, Some(&self.token))
    }

    /// The view of a client without a token.
    pub fn public(&self) -> Api {
        Api::new(self.address, None)
    }

    /// Which program this is.
    pub fn kind(&self) -> Kind {
        self.setup.kind
    }

    /// Whether this is OpenBao, which is what little a test may ask of [`Server::kind`].
    pub fn is_bao(&self) -> bool {
        self.setup.kind == Kind::Bao
    }

    /// The root token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The one unseal key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of the server's process.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// The plugins' processes: the server's children.
    pub fn plugins_running(&self) -> Vec<process::Process> {
        process::children(self.pid())
    }

    /// Waits until exactly so many plugin processes run, and not one zombie is among them.
    #[track_caller]
    pub fn expect_plugins(&self, wanted: usize) {
        let start = Instant::now();
        loop {
            let found = self.plugins_running();
            if found.len() == wanted && found.iter().all(|process| process.state != 'Z') {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{wanted} plugin processes are wanted, there are {found:?}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// What `plugin_directory` says.
    pub fn plugin_folder(&self) -> PathBuf {
        self.scratch.path().join("plugins")
    }

    /// What the server has for `TMPDIR`.
    pub fn temporary(&self) -> PathBuf {
        self.scratch.folder("t")
    }

    /// The folder that holds all of this server's files.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("server.log")
    }

    /// Everything that the server wrote to stdout and stderr.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Seals, and waits until it is true.
    pub fn seal(&self) {
        self.api().call("PUT", "sys/seal", None).status(204);
        wait_for("the server is sealed", || {
            self.seal_status()["sealed"].as_bool().filter(|sealed| *sealed)
        });
    }

    /// Unseals, and waits until the server is active.
    pub fn unseal(&self) {
        self.public().write("sys/unseal", &json!({"key": self.key})).ok();
        wait_for("the server is active", || {
            (self.public().read("sys/health").status == 200).then_some(())
        });
    }

    /// Seals and unseals.
    pub fn seal_and_unseal(&self) {
        self.seal();
        self.unseal();
    }

    /// The body of `sys/seal-status`.
    pub fn seal_status(&self) -> Value {
        self.public().read("sys/seal-status").ok().json()
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the server is killed");
        child.wait().expect("the killed server is reaped");
    }

    /// Starts the process again on the same data and unseals it.
    pub fn restart(&mut self) {
        self.start_again();
        self.unseal();
    }

    /// Starts the process again on the same data and leaves it sealed.
    pub fn start_again(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
        self.launch();
    }

    /// SIGTERM; returns when the process is gone, with how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        process::terminate(child.id());
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("the server can be waited for") {
                return status;
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server does not end on SIGTERM:\n{}", self.log());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child
            .as_mut()
            .and_then(|child| child.try_wait().expect("the server can be waited for"))
    }

    /// Asserts that the server is well: it runs, is active and answers at once.
    #[track_caller]
    pub fn is_well(&self) -> Answer {
        self.public().read("sys/health").status(200)
    }
}

impl Server {
    /// Ends the plugins that OpenBao leaves behind, so that a run against it leaves nothing. Ours
    /// gets no such help: what it leaves is for the tests to find.
    fn end_leaks(&self, plugins: &[process::Process]) {
        for plugin in plugins.iter().filter(|_| self.is_bao()) {
            // The number could be another process's by now.
            if process::find(plugin.pid).is_some_and(|found| found.name == plugin.name) {
                process::kill9(plugin.pid);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "the end of the server's log:\n{}",
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
        let Some(mut child) = self.child.take() else { return };
        let plugins = process::children(child.id());
        process::terminate(child.id());
        let start = Instant::now();
        while start.elapsed() < std::time::Duration::from_secs(15) {
            if !matches!(child.try_wait(), Ok(None)) {
                return self.end_leaks(&plugins);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        self.end_leaks(&plugins);
    }
}

/// A port that nobody listens on, nor on the next one, which OpenBao takes for its cluster.
pub fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
