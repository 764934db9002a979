//! A PostgreSQL of a test's own: fresh, on a loopback port, with a random superuser's password, and
//! gone with the test, also when the test is killed.
//!
//! Left out on purpose: getting the program (`tools/install.sh` does), and a driver: what tests ask
//! the database goes through `psql`, so that the library under test does not judge itself.

mod keeper;
mod programs;
mod tls;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Scratch, process, tools::skip, wait_for};
use keeper::Keeper;
use programs::Programs;
pub use tls::Certificates;

/// The superuser's name.
pub const SUPERUSER: &str = "boltwork_root";

/// What a server is to be like.
#[derive(Default)]
pub struct Postgres {
    tls: bool,
    settings: Vec<String>,
    hba: Vec<String>,
}

impl Postgres {
    /// With TLS: certificates of an authority of its own, for `localhost` and `127.0.0.1`.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// One more line of `postgresql.conf`.
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// One more line of `pg_hba.conf`, before all others.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Starts it; `None`, and the calling test skipped by name, where there is no PostgreSQL.
    pub fn start(self) -> Option<Running> {
        let Some(programs) = Programs::find() else {
            skip(
                "PostgreSQL's server is not installed; tools/install.sh gets it as root on Debian",
            );
            return None;
        };
        Some(Running::start(programs, &self))
    }
}

/// A server that runs.
pub struct Running {
    programs: Programs,
    keeper: Keeper,
    port: u16,
    password: String,
    certificates: Option<Certificates>,
    // Last: removed after the server, which writes into it, has ended.
    scratch: Scratch,
}

impl Running {
    fn start(programs: Programs, wish: &Postgres) -> Self {
        let scratch = Scratch::new();
        let home = programs.folder(&scratch, "pg");
        let password = random();
        initialize(&programs, &home, &password);
        let certificates = wish.tls.then(|| Certificates::make(&programs, &home));
        let port = free_port();
        configure(&home.join("data"), wish, port);
        let keeper = Keeper::start(&programs, &home);
        let running = Self { programs, keeper, port, password, certificates, scratch };
        running.await_readiness();
        running
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its authority, and a client's certificate; if it was started with TLS.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("this server was started without TLS")
    }

    /// Where its unix socket lies.
    pub fn socket_folder(&self) -> PathBuf {
        self.scratch.path().join("pg")
    }

    /// A `connection_url` with Vault's two variables.
    pub fn url(&self) -> String {
        self.url_with("sslmode=disable")
    }

    /// A `connection_url` with these parameters.
    pub fn url_with(&self, parameters: &str) -> String {
        format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?{parameters}",
            self.port
        )
    }

    /// What the superuser reads: a line for each row, fields separated by `|`.
    ///
    /// # Panics
    ///
    /// If the database refuses.
    pub fn query(&self, sql: &str) -> Vec<String> {
        match self.ask(SUPERUSER, &self.password, sql) {
            Ok(lines) => lines,
            Err(why) => panic!("{sql}: {why}"),
        }
    }

    /// Whether there is such a role.
    pub fn has_role(&self, name: &str) -> bool {
        let quoted = name.replace('\'', "''");
        !self.query(&format!("SELECT 1 FROM pg_roles WHERE rolname = '{quoted}'")).is_empty()
    }

    /// Logs in and asks something; the error is what `psql` says.
    pub fn ask(&self, user: &str, password: &str, sql: &str) -> Result<Vec<String>, String> {
        let mut command = Command::new(self.programs.path("psql"));
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password"])
            .args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1", "--dbname=postgres"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--username={user}"))
            .arg(format!("--command={sql}"))
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "20")
            .stdin(Stdio::null());
        let output = command.output().expect("psql runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Whether somebody can log in with this password.
    pub fn admits(&self, user: &str, password: &str) -> bool {
        self.ask(user, password, "SELECT 1").is_ok()
    }

    /// The number of its first process.
    pub fn pid(&self) -> u32 {
        let file = self.data().join("postmaster.pid");
        let file = fs::File::open(file).expect("a server that runs has its number in a file");
        let line = BufReader::new(file).lines().next().expect("a line").expect("text");
        line.trim().parse().expect("a number")
    }

    /// Kills it as a crash would, and waits until nobody answers.
    pub fn crash(&self) {
        let pid = self.pid();
        let children = process::children(pid);
        process::kill9(pid);
        for child in &children {
            process::kill9(child.pid);
        }
        wait_for("the end of PostgreSQL", || {
            let gone = |pid| !process::runs(pid);
            (gone(pid) && children.iter().all(|child| gone(child.pid))).then_some(())
        });
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Starts it again after a crash, on the same port and with the same data.
    pub fn recover(&mut self) {
        self.keeper.again();
        self.await_readiness();
    }

    /// Stops all its processes where they are: it takes connections and never answers.
    pub fn freeze(&self) {
        let pid = self.pid();
        process::stop(pid);
        process::children(pid).iter().for_each(|child| process::stop(child.pid));
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        let pid = self.pid();
        process::children(pid).iter().for_each(|child| process::resume(child.pid));
        process::resume(pid);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("pg/log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("pg/data")
    }

    fn await_readiness(&self) {
        wait_for("PostgreSQL, which is to answer", || {
            let listens = TcpStream::connect_timeout(
                &(Ipv4Addr::LOCALHOST, self.port).into(),
                Duration::from_secs(1),
            );
            listens.ok()?;
            self.ask(SUPERUSER, &self.password, "SELECT 1").ok()
        });
    }
}

/// Makes the files of a database, with a superuser and without syncing anything.
fn initialize(programs: &Programs, home: &Path, password: &str) {
    let secret = home.join("password");
    let mut file = fs::File::create(&secret).expect("a file for the password");
    writeln!(file, "{password}").expect("the password is written");
    programs.own(&secret);
    let mut initdb = programs.command("initdb");
    initdb
        .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        .arg(format!("--username={SUPERUSER}"))
        .arg(format!("--pwfile={}", secret.display()))
        .arg("--pgdata")
        .arg(home.join("data"))
        .current_dir(home)
        .stdin(Stdio::null());
    let output = initdb.output().expect("initdb runs");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(secret).expect("the password's file is gone");
}

fn configure(data: &Path, wish: &Postgres, port: u16) {
    let home = data.parent().expect("a folder above").display();
    // What survives a crash of the machine is no concern here; a crash of the server is, and
    // without syncing it loses nothing.
    let mut lines = vec![
        "listen_addresses = '127.0.0.1'".to_owned(),
        format!("port = {port}"),
        format!("unix_socket_directories = '{home}'"),
        "fsync = off".to_owned(),
        "full_page_writes = off".to_owned(),
        "max_connections = 60".to_owned(),
        "shared_buffers = 16MB".to_owned(),
        "log_statement = all".to_owned(),
    ];
    if wish.tls {
        lines.extend(tls::settings(data));
    }
    lines.extend(wish.settings.iter().cloned());
    append(&data.join("postgresql.conf"), &lines);
    let hba = data.join("pg_hba.conf");
    let old = fs::read_to_string(&hba).expect("initdb made it");
    fs::write(&hba, format!("{}\n{old}", wish.hba.join("\n"))).expect("it can be written");
}

fn append(file: &Path, lines: &[String]) {
    let mut file = fs::OpenOptions::new().append(true).open(file).expect("initdb made it");
    for line in lines {
        writeln!(file, "{line}").expect("it can be written");
    }
}

/// Free when it was asked for. Nobody else is given it soon: the kernel goes round.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

fn random() -> String {
    let mut bytes = [0; 18];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    hex::encode(bytes)
}
