//! What the cases share: commands for our own roles, a private place for sockets, and the count
//! of what is left behind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use go_plugin::host::{Command, Executable, Observer, OutputStream, start};
use go_plugin::log::LogLine;

use crate::roles::{VERSION, cookie};

/// How long something that must happen may take. Generous: it only matters when a case fails.
const SOON: Duration = Duration::from_secs(20);

/// A folder for one case's sockets; must be empty in the end.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("gp{:08x}", rand::random::<u32>()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Remembers everything that a plugin says.
#[derive(Default)]
pub struct Ear {
    pub lines: Mutex<Vec<LogLine>>,
    pub printed: Mutex<Vec<u8>>,
}

impl Observer for Ear {
    fn log(&self, line: LogLine) {
        let mut lines = self.lines.lock().unwrap();
        // Enough for every case, and a flooding plugin does not fill our memory.
        if lines.len() < 1000 {
            lines.push(line);
        }
    }

    fn output(&self, stream: OutputStream, data: &[u8]) {
        assert_eq!(stream, OutputStream::Stdout);
        self.printed.lock().unwrap().extend_from_slice(data);
    }
}

/// A command for ourselves in a role, with its sockets at `place`.
pub fn command(role: &str, place: &Place) -> Command {
    let mut command = at(std::env::current_exe().unwrap(), place);
    command.args = vec!["--role".into(), role.into()];
    command
}

/// A command for another program.
pub fn at(program: PathBuf, place: &Place) -> Command {
    let mut command = Command::new(Executable::Path(program), cookie(), vec![4, VERSION]);
    command.socket_parent = place.path().to_owned();
    command.start_timeout = SOON;
    command
}

pub fn ear() -> Arc<Ear> {
    Arc::default()
}

/// Waits until something is so; panics, naming it, if it does not happen.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !so() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What must not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftovers {
    children: usize,
    descriptors: usize,
}

impl Leftovers {
    pub fn count() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        Self { children: children(), descriptors }
    }
}

/// Our children, alive or not yet reaped.
fn children() -> usize {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let parents = processes.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // pid (name) state ppid: the name may hold anything, even brackets.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1).map(str::to_owned)
    });
    parents.filter(|parent| *parent == own).count()
}

/// Whether a process of this number exists, alive or not yet reaped.
pub fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// Whether a process, perhaps not our child, is dead. Its parent reaps it in its own time.
pub fn ended(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

pub async fn nothing_left(before: Leftovers) {
    let fewer = || {
        let now = Leftovers::count();
        now.children <= before.children && now.descriptors <= before.descriptors
    };
    until(&format!("no more than {before:?} is left"), fewer).await;
}

pub async fn warm_up() {
    let place = Place::new();
    let client = start(command("good", &place)).await.unwrap();
    client.stop().await;
}
