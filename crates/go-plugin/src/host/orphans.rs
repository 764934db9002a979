//! What plugins leave behind: processes that left the process group of their plugin, and those whose
//! parent ended before them.
//!
//! A process group ends with its plugin, but whoever starts a session is out of it. A host that calls
//! [`adopt_orphans`] becomes the parent of all of them when their own parent is gone. They are told
//! apart by their environment, which names the folder of the plugin that they descend from: those of
//! a plugin that runs are left alone, all others are killed, and all that end are reaped.
//!
//! A host that is killed outright cannot do that; [`end_strays`] is for the next one. Left out:
//! containers of any kind. A process that gets rid of its environment while its host is killed
//! is not found.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::spawn;
use crate::handshake::ENV_SOCKET_DIR;

/// How long killed orphans may take to end before somebody else's turn comes.
const LAST: Duration = Duration::from_millis(200);
/// Pause between looks where many children end at the same time.
const PAUSE: Duration = Duration::from_millis(50);
/// Orphans of orphans are found one generation after the other.
const GENERATIONS: usize = 16;

static ADOPTING: AtomicBool = AtomicBool::new(false);
/// The plugins that run and were not reaped.
static PLUGINS: Mutex<Option<HashMap<u32, Plugin>>> = Mutex::new(None);
static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);

struct Plugin {
    /// Numbers of processes come again.
    serial: u64,
    /// What its descendants bear.
    mark: Vec<u8>,
}

fn plugins() -> MutexGuard<'static, Option<HashMap<u32, Plugin>>> {
    PLUGINS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the environment of a plugin and of its descendants names its folder.
fn mark(folder: &Path) -> Vec<u8> {
    let mut mark = format!("{ENV_SOCKET_DIR}=").into_bytes();
    mark.extend_from_slice(folder.as_os_str().as_encoded_bytes());
    mark
}

/// Makes this process the parent of whatever its plugins leave behind, and ends that with them.
/// Only for programs that start no child processes but plugins: **any other child is killed**. Must
/// be called in a runtime, which looks after it from then on.
pub fn adopt_orphans() -> io::Result<()> {
    let mut ends = signal(SignalKind::child())?;
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))?;
    ADOPTING.store(true, Ordering::Relaxed);
    tokio::spawn(async move {
        while ends.recv().await.is_some() {
            let _ = look().await;
            tokio::time::sleep(PAUSE).await;
        }
    });
    Ok(())
}

/// A plugin that is not reaped yet; to be dropped when it is.
#[derive(Debug)]
pub(super) struct Known {
    pid: u32,
    serial: u64,
}

impl Known {
    /// A plugin was started. Called where it was, before anybody can look.
    pub fn new(pid: u32, folder: Option<&OsStr>) -> Self {
        let mark = folder.map(|folder| mark(Path::new(folder))).unwrap_or_default();
        let serial = LAST_SERIAL.fetch_add(1, Ordering::Relaxed);
        plugins().get_or_insert_default().insert(pid, Plugin { serial, mark });
        Self { pid, serial }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        if let Some(plugins) = plugins().as_mut()
            && plugins.get(&self.pid).is_some_and(|plugin| plugin.serial == self.serial)
        {
            plugins.remove(&self.pid);
        }
    }
}

/// Ends what plugins that were reaped have left behind.
pub(super) async fn end() {
    let _ = look().await;
}

/// Looks in the thread that starts plugins: so no child is seen that is not known yet.
async fn look() -> io::Result<()> {
    if !ADOPTING.load(Ordering::Relaxed) {
        return Ok(());
    }
    let (done, over) = oneshot::channel();
    spawn::in_its_thread(Box::new(move || {
        for _ in 0..GENERATIONS {
            if !end_orphans() {
                break;
            }
        }
        let _ = done.send(());
    }))?;
    let _ = over.await;
    Ok(())
}

/// Whether there were any.
fn end_orphans() -> bool {
    let mut killed = Vec::new();
    for child in children() {
        let known = plugins().as_ref().is_some_and(|plugins| plugins.contains_key(&child));
        let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw) else { continue };
        if known || reap(pid) || belongs(child) {
            continue;
        }
        tracing::warn!(pid = child, "ending a process that a plugin left behind");
        if rustix::process::kill_process(pid, Signal::KILL).is_ok() {
            killed.push(pid);
        }
    }
    let begun = Instant::now();
    let found = !killed.is_empty();
    while !killed.is_empty() && begun.elapsed() < LAST {
        killed.retain(|pid| !reap(*pid));
        std::thread::sleep(Duration::from_millis(1));
    }
    found
}

/// Whether it has ended, and is gone now.
fn reap(pid: Pid) -> bool {
    // An error means that it is no child of ours any more.
    !matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// Whether it descends from a plugin that runs.
fn belongs(pid: u32) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let plugins = plugins();
    let marks = plugins.iter().flat_map(HashMap::values).map(|plugin| &plugin.mark);
    let mut marks = marks.filter(|mark| !mark.is_empty());
    marks.any(|mark| environment.split(|byte| *byte == 0).any(|it| it == mark))
}

/// The children of this process, in all its threads.
fn children() -> Vec<u32> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

/// Kills every process of this user that descends from a plugin whose folder was in `parent`. For
/// a folder whose host is gone: what ran in it has nobody any more.
pub fn end_strays(parent: &Path) {
    let mut start = mark(parent);
    start.push(b'/');
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let ours = environment.split(|byte| *byte == 0).any(|it| it.starts_with(&start));
        if let (true, Some(pid)) = (ours, Pid::from_raw(pid)) {
            tracing::warn!(
                pid = pid.as_raw_nonzero(),
                "ending what a plugin of a killed host left"
            );
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn strays_are_known_by_their_environment_and_others_are_left_alone() {
        let run = |folder: &str| {
            Command::new("sleep")
                .arg("60")
                .env(ENV_SOCKET_DIR, folder)
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        let parent = format!("/tmp/strays-{:x}", rand::random::<u64>());
        let mut stray = run(&format!("{parent}/gp-1"));
        let mut other = run(&format!("{parent}-other/gp-1"));
        // The environment is that of the program only once it is executed.
        end_strays(Path::new(&parent));
        let status = stray.wait().unwrap();
        assert!(!status.success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
