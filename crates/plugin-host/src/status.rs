//! How the running plugins are, for operators: one line for each process, and one for each mount
//! that has none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use boltwork_logical::PluginStatus;

use crate::database::Connection;
use crate::error::ended;
use crate::instance::{Instance, State};
use crate::process::Process;

/// The status of the processes of these backends and of these connections to databases.
pub(crate) fn of(
    instances: &[Arc<Instance>],
    connections: &[Arc<Connection>],
) -> Vec<PluginStatus> {
    let mut by_process: BTreeMap<u32, PluginStatus> = BTreeMap::new();
    let mut without = Vec::new();
    for instance in instances {
        match &*instance.state() {
            State::Live(live) => {
                let process = live.process();
                let status =
                    by_process.entry(process.client.pid()).or_insert_with(|| of_process(process));
                add(status, instance);
            }
            State::Asleep => {
                let mut status = blank(instance);
                status.state = "idle".to_owned();
                add(&mut status, instance);
                without.push(status);
            }
            State::Resting { .. } => {
                let mut status = blank(instance);
                status.state = "restarting".to_owned();
                add(&mut status, instance);
                without.push(status);
            }
            State::Down { told, .. } => {
                let mut status = blank(instance);
                status.state = "unavailable".to_owned();
                add(&mut status, instance);
                status.last_exit = told.clone();
                without.push(status);
            }
            State::Ended => {}
        }
    }
    for connection in connections {
        let Some(process) = connection.process() else { continue };
        let status = by_process.entry(process.client.pid()).or_insert_with(|| of_process(process));
        add_connection(status, connection, process);
    }
    by_process.into_values().chain(without).collect()
}

fn of_process(process: &Process) -> PluginStatus {
    let entry = &process.order.entry;
    let gone = process.is_gone();
    PluginStatus {
        kind: entry.id.kind.to_string(),
        name: entry.id.name.clone(),
        version: entry.id.version.clone(),
        sha256: hex::encode(&entry.sha256),
        state: if gone { "restarting" } else { "running" }.to_owned(),
        pid: if gone { 0 } else { process.client.pid() },
        started: Some(process.started.0),
        resident_bytes: if gone { 0 } else { process.resident() },
        ..PluginStatus::default()
    }
}

fn blank(instance: &Instance) -> PluginStatus {
    PluginStatus {
        kind: instance.id.kind.to_string(),
        name: instance.id.name.clone(),
        version: instance.id.version.clone(),
        ..PluginStatus::default()
    }
}

/// A mount is listed once, however many connections it has.
fn add_connection(status: &mut PluginStatus, connection: &Connection, process: &Process) {
    if !status.mounts.contains(&connection.mount_point) {
        status.mounts.push(connection.mount_point.clone());
    }
    status.requests += connection.requests.load(Ordering::Relaxed);
    status.failures += connection.failures.load(Ordering::Relaxed);
    if let Some(exit) = process.client.exit() {
        status.last_exit = format!("exited{}", ended(exit.status, &exit.stderr));
    }
}

fn add(status: &mut PluginStatus, instance: &Instance) {
    let counts = &instance.counts;
    status.mounts.push(instance.mount_point().to_owned());
    status.requests += counts.requests.load(Ordering::Relaxed);
    status.failures += counts.failures.load(Ordering::Relaxed);
    status.restarts = status.restarts.max(counts.restarts.load(Ordering::Relaxed));
    let exit = counts.last_exit();
    if !exit.is_empty() {
        status.last_exit = exit;
    }
}
