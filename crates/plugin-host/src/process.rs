//! One plugin process: started from a catalog entry, shared by its members, ended with the last.
//!
//! Left out: which backends are in it (`live`), whether two mounts may share it (`pool`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use boltwork_logical::{PluginEntry, PluginKind};
use boltwork_wire::multiplexing::MultiplexingSupportRequest;
use boltwork_wire::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use go_plugin::Cookie;
use go_plugin::host::{Client, Command, Executable, Tls};
use tonic::Code;

use crate::HostError;
use crate::bootstrap::Trust;
use crate::environment::{self, Told};
use crate::integrity::{Kept, Program, Programs};
use crate::log::Log;
use crate::places::Places;
use crate::protocol::Protocol;
use crate::rules::Rules;
use crate::starter::Starter;

/// How long the process may take to be reaped after its connection is lost. Until then nobody
/// can say whether it died or only hung up.
const REAPED: Duration = Duration::from_millis(500);

/// Backends that are set up in one process at the same time, and how many it are with those that
/// hang. Go's plugins forget where to call back if they do not come to it within five seconds.
const SET_UPS: (usize, usize) = (16, 1024);

/// How a plugin is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// What the catalog says.
    pub entry: PluginEntry,
    /// The program.
    pub path: PathBuf,
    /// How it is spoken with.
    pub protocol: Protocol,
    /// Only to be asked what it is.
    pub metadata: bool,
}

/// A running plugin process.
#[derive(Debug)]
pub(crate) struct Process {
    pub order: Order,
    pub client: Client,
    /// Whether it can hold several backends.
    pub multiplexed: bool,
    /// When it started, for operators and for counting.
    pub started: (SystemTime, Instant),
    /// For backends that are being set up in it.
    pub places: Places,
    members: Mutex<Members>,
    _kept: Option<Kept>,
}

#[derive(Debug, Default)]
struct Members {
    count: usize,
    /// Takes no more; ends with the last that is in.
    closed: bool,
}

fn cookie(kind: PluginKind) -> Cookie {
    match kind {
        PluginKind::Database => {
            Cookie::new("VAULT_DATABASE_PLUGIN", "926a0820-aea2-be28-51d6-83cdf00e8edb")
        }
        PluginKind::Auth | PluginKind::Secret => {
            Cookie::new("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20")
        }
    }
}

impl Process {
    /// Checks the program, starts it and asks whether it multiplexes. On failure nothing is left.
    /// `trust` is what an older protocol needs, but for a process that is only asked what it is.
    pub async fn start(
        order: Order,
        trust: Option<Trust>,
        starter: &Starter,
    ) -> Result<Self, HostError> {
        let (rules, private) = (&starter.rules, starter.folder.path());
        rules.check_permissions(&order.path)?;
        let Program { executable, kept } = check(&order, &starter.programs).await?;
        let command = command(&order, trust, executable, rules, private);
        let client = go_plugin::host::start(command).await?;
        let started = (SystemTime::now(), Instant::now());
        tracing::info!(
            plugin = order.entry.id.name,
            version = order.entry.id.version,
            pid = client.pid(),
            protocol = client.version(),
            "plugin started"
        );
        let opted_out = rules.multiplexing_opt_out.contains(&order.entry.id.name);
        let mut process = Self {
            order,
            client,
            multiplexed: false,
            started,
            places: Places::new(SET_UPS.0, SET_UPS.1),
            members: Mutex::default(),
            _kept: Some(kept),
        };
        if !opted_out && process.order.protocol == Protocol::Auto {
            process.multiplexed = process.asks_multiplexing(rules.start_timeout).await?;
        }
        Ok(process)
    }

    async fn asks_multiplexing(&self, limit: Duration) -> Result<bool, HostError> {
        const CALL: &str = "MultiplexingSupport";
        let mut client = PluginMultiplexingClient::new(self.client.channel());
        let asked = client.multiplexing_support(MultiplexingSupportRequest {});
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().supported),
            Ok(Err(status)) if status.code() == Code::Unimplemented => Ok(false),
            Ok(Err(status)) => Err(self.failed(CALL, status).await),
            Err(_) => Err(HostError::Timeout { during: CALL, seconds: limit.as_secs() }),
        }
    }

    /// What a failed call means: that the process ended, or what it answered.
    pub async fn failed(&self, during: &'static str, status: tonic::Status) -> HostError {
        if self.is_lost(&status).await {
            let exit = self.client.exit();
            let stderr = exit.as_ref().map_or_else(|| self.client.stderr(), |it| it.stderr.clone());
            return HostError::Exited { during, status: exit.and_then(|it| it.status), stderr };
        }
        HostError::Call { during, status: Box::new(status) }
    }

    /// Whether a failed call failed because process or connection are gone. A connection can be
    /// seen to end before the process can be seen to have ended, so this waits a moment for it;
    /// a process that closed its connection is of no use and is killed.
    pub async fn is_lost(&self, status: &tonic::Status) -> bool {
        let on_the_way = std::error::Error::source(status).is_some()
            || matches!(status.code(), Code::Unavailable | Code::Cancelled);
        if self.client.channel().is_closed() {
            if tokio::time::timeout(REAPED, self.client.exited()).await.is_err() {
                self.client.kill();
            }
            return true;
        }
        on_the_way && tokio::time::timeout(REAPED, self.client.exited()).await.is_ok()
    }

    /// Whether calls have no chance.
    pub fn is_gone(&self) -> bool {
        self.client.exit().is_some() || self.client.channel().is_closed()
    }

    /// Takes no more members.
    pub fn close(&self) {
        self.members().closed = true;
    }

    /// Whether it takes no more members.
    pub fn is_closed(&self) -> bool {
        self.members().closed
    }

    /// Takes no more members, if there is at most one; whether that is so.
    pub fn close_if_alone(&self) -> bool {
        let mut members = self.members();
        members.closed |= members.count <= 1;
        members.count <= 1
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resident memory in bytes; 0 if it cannot be known.
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.client.pid());
        let Ok(text) = std::fs::read_to_string(path) else { return 0 };
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    }
}

/// What is executed, with what it is told.
fn command(
    order: &Order,
    trust: Option<Trust>,
    executable: Executable,
    rules: &Rules,
    private: &Path,
) -> Command {
    let kind = order.entry.id.kind;
    let mut command = Command::new(executable, cookie(kind), order.protocol.versions(kind));
    let told = Told {
        version: &rules.version,
        metadata: order.metadata,
        auto_mtls: order.protocol == Protocol::Auto,
        unwrap_token: trust.as_ref().map(|trust| trust.token.expose()),
        mlock: rules.mlock,
    };
    command.env = environment::build(&order.entry.env, told);
    command.args = order.entry.args.iter().map(Into::into).collect();
    command.tls = match (order.protocol, trust) {
        (Protocol::Auto, _) => Tls::Auto,
        (Protocol::Unwrap, Some(trust)) => Tls::Given(trust.tls),
        (Protocol::Unwrap, None) => Tls::Plain,
    };
    command.start_timeout = rules.start_timeout;
    command.limits = rules.limits.all();
    command.socket_parent = private.to_owned();
    command.observer = Arc::new(Log { plugin: order.entry.id.name.clone() });
    command
}

async fn check(order: &Order, programs: &Arc<Programs>) -> Result<Program, HostError> {
    let (path, sha256) = (order.path.clone(), order.entry.sha256.clone());
    let programs = Arc::clone(programs);
    let checked = tokio::task::spawn_blocking(move || programs.verify(&path, &sha256)).await;
    checked.unwrap_or_else(|panic| Err(HostError::program(&order.path, panic.to_string())))
}

/// A place in a process. The process ends with its last member.
#[derive(Debug)]
pub(crate) struct Member {
    process: Arc<Process>,
    left: bool,
}

impl Member {
    /// Joins, unless the process is gone, is full, or takes no more.
    pub fn join(process: &Arc<Process>) -> Option<Self> {
        let mut members = process.members();
        let full = members.count > 0 && !process.multiplexed;
        if members.closed || full || process.is_gone() {
            return None;
        }
        members.count += 1;
        Some(Self { process: process.clone(), left: false })
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Leaves, and waits for the end of the process if this was its last member.
    pub async fn leave(mut self) {
        if self.step_out() {
            self.process.client.stop().await;
        }
    }

    /// Whether nobody is left.
    fn step_out(&mut self) -> bool {
        if std::mem::replace(&mut self.left, true) {
            return false;
        }
        let mut members = self.process.members();
        members.count -= 1;
        members.closed |= members.count == 0;
        members.count == 0
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.step_out() {
            self.process.client.kill();
        }
    }
}

#[cfg(test)]
impl Process {
    /// A process of a database plugin that knows the old versions of the protocol only, told that it
    /// is being asked what it is: so it unwraps no token, and nobody has to wrap one.
    pub async fn old_database(program: &Path, args: &[&str]) -> Arc<Self> {
        let (kind, name) = (PluginKind::Database, "old".to_owned());
        let executable = go_plugin::host::Executable::Path(program.to_owned());
        let mut command = Command::new(executable, cookie(kind), vec![3, 4]);
        command.args = args.iter().map(Into::into).collect();
        command.env = vec![("VAULT_PLUGIN_METADATA_MODE".into(), "true".into())];
        let client = go_plugin::host::start(command).await.unwrap();
        let entry = PluginEntry {
            id: boltwork_logical::PluginId { kind, name, version: String::new() },
            command: String::new(),
            args: Vec::new(),
            env: Vec::new(),
            sha256: Vec::new(),
            builtin: false,
            declarative: false,
            deprecation: None,
        };
        Arc::new(Self {
            order: Order {
                entry,
                path: program.to_owned(),
                protocol: crate::protocol::Protocol::Unwrap,
                metadata: true,
            },
            client,
            multiplexed: false,
            started: (SystemTime::now(), Instant::now()),
            places: Places::new(SET_UPS.0, SET_UPS.1),
            members: Mutex::default(),
            _kept: None,
        })
    }
}
