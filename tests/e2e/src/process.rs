//! What a server has started and what it leaves behind, read from `/proc`.
//!
//! Left out on purpose: systems other than Linux.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of its parent.
    pub parent: u32,
    /// `R`, `S`, `Z` (a zombie) and so on.
    pub state: char,
    /// The short name of its program.
    pub name: String,
}

/// The process of this number, if there is one.
pub fn find(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, even a parenthesis.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, state, name })
}

/// The children of a process, zombies among them, in order of their numbers.
pub fn children(parent: u32) -> Vec<Process> {
    let mut found: Vec<Process> = all().filter(|process| process.parent == parent).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Everything that descends from a process, in order of their numbers.
pub fn descendants(ancestor: u32) -> Vec<Process> {
    let everybody: Vec<Process> = all().collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for process in everybody.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found.sort_by_key(|process| process.pid);
    found
}

/// How many threads a process has.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Processes whose environment holds this text, whoever their parents are.
pub fn with_environment(text: &str) -> Vec<Process> {
    let holds = |process: &Process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(text)
    };
    all().filter(holds).collect()
}

fn all() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc")
        .expect("/proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(find)
}

/// Whether the process runs: it is there and is no zombie.
pub fn runs(pid: u32) -> bool {
    find(pid).is_some_and(|process| process.state != 'Z')
}

/// How many descriptors a process has open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line
        .and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or_default();
    kilobytes * 1024
}

/// All sockets below a folder.
pub fn sockets(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_socket() => found.push(path),
            Ok(kind) if kind.is_dir() => found.extend(sockets(&path)),
            _ => {}
        }
    }
    found
}

/// Everything below a folder: files, folders, sockets.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&entry.path()));
        }
        found.push(entry.path());
    }
    found.sort();
    found
}

/// Sends SIGKILL. That the process is gone already is no error.
pub fn kill9(pid: u32) {
    send(pid, rustix::process::Signal::KILL);
}

/// Sends SIGTERM. That the process is gone already is no error.
pub fn terminate(pid: u32) {
    send(pid, rustix::process::Signal::TERM);
}

/// Sends SIGHUP: the process is to look at its files again.
pub fn hang_up(pid: u32) {
    send(pid, rustix::process::Signal::HUP);
}

/// Sends SIGSTOP: the process is there, and does nothing.
pub fn stop(pid: u32) {
    send(pid, rustix::process::Signal::STOP);
}

/// Sends SIGCONT: a process that was stopped goes on.
pub fn resume(pid: u32) {
    send(pid, rustix::process::Signal::CONT);
}

fn send(pid: u32, signal: rustix::process::Signal) {
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let number = number.expect("the number of a process");
    let _ = rustix::process::kill_process(number, signal);
}
