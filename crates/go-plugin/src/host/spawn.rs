//! Starting the child process: the one place of this crate with `unsafe`, for what must happen
//! between fork and exec.
//!
//! All children are started by one thread that lives as long as we do. The kernel sends the
//! parent-death signal when the *thread* that forked ends, not the process: from a worker thread
//! that a runtime retires, a healthy plugin would be killed.
//!
//! Left out: hashing and choosing the executable; waiting for the child (`process`).
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{OnceLock, mpsc};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::sync::oneshot;

use super::orphans::Known;
use crate::handshake;

/// What is executed.
#[derive(Debug)]
pub enum Executable {
    /// A file, by its path. It may change between the caller's checks and the start.
    Path(PathBuf),
    /// An open file, such as a sealed memory file: what was checked is what runs. Scripts cannot
    /// be started this way, for their interpreter could not open them.
    Descriptor {
        /// The file, open for reading.
        file: OwnedFd,
        /// What the process is called; its `argv[0]`.
        name: String,
    },
}

impl Executable {
    /// A name for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                name.to_string_lossy().into_owned()
            }
            Self::Descriptor { name, .. } => name.clone(),
        }
    }
}

/// A limit for the child: what, and how much of it at most.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// How much the child may have (soft and hard limit alike).
    pub most: u64,
}

/// All that the child gets.
pub(super) struct Order {
    pub executable: Executable,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    pub limits: Vec<Limit>,
}

enum Job {
    Start(Box<Order>, oneshot::Sender<io::Result<Started>>),
    Other(Box<dyn FnOnce() + Send>),
}

/// A child that is killed and reaped unless somebody takes it over: also when the future that
/// waits for it is dropped while it lies in the channel.
pub(super) struct Started(Option<Child>, Option<Known>);

impl Started {
    pub fn into_child(mut self) -> io::Result<(Child, Option<Known>)> {
        let child = self.0.take();
        let child = child.ok_or_else(|| io::Error::other("the child was taken over before"))?;
        Ok((child, self.1.take()))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            kill_group(child);
            let _ = child.wait();
        }
    }
}

/// Starts a child: own process group, killed when we die, no privileges to gain, no descriptors
/// but stdin (empty), stdout and stderr (pipes), and only the given environment.
pub(super) async fn spawn(order: Order) -> io::Result<Started> {
    let (answer, answered) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts plugins is gone");
    spawner()?.send(Job::Start(Box::new(order), answer)).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

/// Does something in the thread that starts children, between two starts.
pub(super) fn in_its_thread(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let gone = |_| io::Error::other("the thread that starts plugins is gone");
    spawner()?.send(Job::Other(work)).map_err(gone)
}

fn spawner() -> io::Result<&'static mpsc::Sender<Job>> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    if let Some(sender) = SPAWNER.get() {
        return Ok(sender);
    }
    let (sender, jobs) = mpsc::channel::<Job>();
    // Should two threads race here, the loser's sender is dropped, and its thread ends idle.
    std::thread::Builder::new().name("plugin-spawner".into()).spawn(move || {
        for job in jobs {
            match job {
                // Nobody may be waiting any more; the child then ends with the unsent answer.
                Job::Start(order, answer) => {
                    let _ = answer.send(start(*order));
                }
                Job::Other(work) => work(),
            }
        }
    })?;
    Ok(SPAWNER.get_or_init(|| sender))
}

/// Kills a child that was not waited for yet, and all that it started in its group.
pub(super) fn kill_group(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

fn start(order: Order) -> io::Result<Started> {
    let Order { executable, args, env, limits } = order;
    let folder = env.iter().rev().find(|(key, _)| key == handshake::ENV_SOCKET_DIR);
    let folder = folder.map(|(_, folder)| folder.clone());
    let (path, name) = match &executable {
        Executable::Path(path) => (path.clone(), path.clone().into_os_string()),
        Executable::Descriptor { file, name } => {
            (PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), name.into())
        }
    };
    let mut command = std::process::Command::new(path);
    command
        .arg0(name)
        .args(args)
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let parent = rustix::process::getpid();
    // SAFETY: the closure runs in the forked child of a process with many threads, so it may only
    // do what is async-signal-safe. It makes plain system calls on values that were computed
    // before the fork: no allocation, no lock, no panic. Errors are built from numbers.
    unsafe {
        command.pre_exec(move || confine(parent, &limits));
    }
    let child = spawn_busy(&mut command);
    // Until here the descriptor had to stay open, under the number that the child executes.
    drop(executable);
    child.map(|child| {
        let known = Known::new(child.id(), folder.as_deref());
        Started(Some(child), Some(known))
    })
}

/// `ETXTBSY` comes when another thread forked while the file was still open for writing; that
/// descriptor goes away with the other child's exec, in a moment.
fn spawn_busy(command: &mut std::process::Command) -> io::Result<Child> {
    const TRIES: u32 = 20;
    for attempt in 1.. {
        match command.spawn() {
            Err(why) if why.kind() == io::ErrorKind::ExecutableFileBusy && attempt < TRIES => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            other => return other,
        }
    }
    unreachable!("the last attempt returns")
}

/// Runs in the child before exec; see the safety comment at the call.
fn confine(parent: Pid, limits: &[Limit]) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above; then no signal will ever come.
    if rustix::process::getppid() != Some(parent) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    rustix::thread::set_no_new_privs(true)?;
    stand_back();
    for limit in limits {
        // Raising a limit takes a privilege; where ours is lower already, that one holds.
        let ours = rustix::process::getrlimit(limit.resource).maximum.unwrap_or(u64::MAX);
        let most = Some(limit.most.min(ours));
        let most = Rlimit { current: most, maximum: most };
        rustix::process::setrlimit(limit.resource, most)?;
    }
    close_on_exec()
}

/// Lets the child finish what it does before others wake it, and not push aside whoever woke it.
/// Host and plugin wake each other with every call; without this, on busy cores, each wake-up takes
/// the core from the one that was about to send more. Idle cores wake as fast as ever. Whoever runs
/// the host under another policy than the usual one keeps it. It is no failure where it is not
/// allowed.
fn stand_back() {
    let nothing_else = libc::sched_param { sched_priority: 0 };
    // SAFETY: two system calls on this process; the second reads a structure that is on our stack.
    unsafe {
        if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const nothing_else);
        }
    }
}

/// Marks every descriptor above stderr, so that exec closes what foreign code opened carelessly.
/// Marked, not closed: the executable itself may be one of them, and so is the pipe on which the
/// standard library reports a failing exec.
fn close_on_exec() -> io::Result<()> {
    const FROM: libc::c_uint = 3;
    // SAFETY: three integers, no memory is passed; the call only changes descriptor flags.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FROM, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
