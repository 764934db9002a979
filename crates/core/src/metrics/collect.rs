//! Putting the numbers together: from the server's own counters, the mounts, the plugins, the
//! stores.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::SystemTime};

use boltwork_logical::PluginStatus;

use super::{
    Format, Page, Timed,
    page::{Family, Kind, Labels, write},
};
use crate::{
    active::Active,
    lifecycle::Core,
    mounts::{Mount, Table},
};

impl Core {
    /// All numbers. Asks no plugin anything but what the system knows of its process.
    pub async fn metrics_page(&self, format: Format) -> Page {
        let active = self.active_now();
        let mut families = self.own(active.is_some());
        if let Some(active) = &active {
            families.extend(stores(active));
            families.extend(mounts(active));
            families.extend(plugins(&active.plugins.status().await));
        }
        write(&families, format)
    }

    fn own(&self, unsealed: bool) -> Vec<Family> {
        let metrics = self.metrics();
        let mut families = vec![
            gauge("vault.core.unsealed", "Whether the server is unsealed.", u64::from(unsealed)),
            gauge("vault.core.active", "Whether the server is active.", u64::from(unsealed)),
            gauge(
                "vault.core.in_flight_requests",
                "Requests that are being answered.",
                metrics.in_flight.load(Ordering::Relaxed),
            ),
            Family {
                name: "vault.core.handle_request",
                help: "Requests, in milliseconds.",
                kind: Kind::Summary,
                points: vec![(Vec::new(), metrics.requests.read())],
            },
            counter(
                "vault.core.refused_requests",
                "Requests refused before they reached a backend.",
                metrics.refused.count(),
            ),
            counter(
                "vault.core.handle_login_request",
                "Logins that gave a token.",
                metrics.logins.count(),
            ),
            counter(
                "vault.audit.log_request_failure",
                "Requests refused because no audit device took them.",
                metrics.unrecorded.count(),
            ),
            counter(
                "vault.audit.log_response_failure",
                "Answers withheld because no audit device took them.",
                metrics.unrecorded_answers.count(),
            ),
        ];
        if let Some(bytes) = resident() {
            let help = "Resident memory of the server, without its plugins.";
            families.push(gauge("vault.runtime.sys_bytes", help, bytes));
        }
        families
    }
}

/// Resident memory in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn stores(active: &Active) -> Vec<Family> {
    let (tokens, leases) = (&active.tokens, &active.leases);
    let count = |counter: &super::Counter| Timed { count: counter.count(), ..Timed::default() };
    let kind = |word: &str| -> Labels { vec![("token_type", word.to_owned())] };
    let (entities, aliases) = identities(active);
    vec![
        gauge("vault.token.count", "Stored tokens that end some time.", tokens.ending()),
        Family {
            name: "vault.token.creation",
            help: "Tokens made since the server was unsealed.",
            kind: Kind::Counter,
            points: vec![
                (kind("service"), count(&tokens.made_service)),
                (kind("batch"), count(&tokens.made_batch)),
            ],
        },
        gauge("vault.identity.num_entities", "Entities.", entities),
        Family {
            name: "vault.identity.entity.alias.count",
            help: "Aliases of entities, by auth mount.",
            kind: Kind::Gauge,
            points: aliases
                .into_iter()
                .map(|(accessor, count)| {
                    let one = Timed { count, ..Timed::default() };
                    (vec![("auth_mount_accessor", accessor)], one)
                })
                .collect(),
        },
        gauge(
            "vault.expire.num_leases",
            "Leases and tokens that end some time.",
            leases.pending() + tokens.ending(),
        ),
        gauge(
            "vault.expire.num_irrevocable_leases",
            "Leases that nobody tries to take back any more.",
            leases.given_up(),
        ),
        counter(
            "vault.expire.lease_expiration",
            "Leases taken back since the server was unsealed.",
            leases.taken_back.count(),
        ),
        counter(
            "vault.expire.lease_expiration.error",
            "Attempts to take a lease back that failed.",
            leases.not_taken_back.count(),
        ),
    ]
}

/// How many entities there are, and how many aliases at each mount.
fn identities(active: &Active) -> (u64, BTreeMap<String, u64>) {
    let state = active.identity.state();
    let (mut entities, mut aliases) = (0, BTreeMap::new());
    for entity in state.entities() {
        entities += 1;
        for alias in &entity.aliases {
            *aliases.entry(alias.mount_accessor.clone()).or_default() += 1;
        }
    }
    (entities, aliases)
}

fn mounts(active: &Active) -> Vec<Family> {
    let mut entries = Family {
        name: "vault.core.mount_table.num_entries",
        help: "Mounts.",
        kind: Kind::Gauge,
        points: Vec::new(),
    };
    let mut requests = summary("vault.route.request", "Requests to a mount, in milliseconds.");
    let mut failures = Family {
        name: "vault.route.failure",
        help: "Requests to a mount that failed by no fault of the caller.",
        kind: Kind::Counter,
        points: Vec::new(),
    };
    let mut starts = summary("vault.route.start", "Starts of a mount's backend, in milliseconds.");
    let mut up = Family {
        name: "vault.route.up",
        help: "Whether a mount has a backend.",
        kind: Kind::Gauge,
        points: Vec::new(),
    };
    for (table, word) in [(Table::Secret, "logical"), (Table::Auth, "auth")] {
        let all = active.mounts.all(table);
        for local in [false, true] {
            let number = all.iter().filter(|m| m.entry.load().flags.local == local).count();
            let labels = vec![("local", local.to_string()), ("type", word.to_owned())];
            entries.points.push((labels, number_of(number as u64)));
        }
        for mount in all {
            let (labels, metrics) = (labels_of(&mount), &mount.metrics);
            let failed = Timed { count: metrics.failures.count(), ..Timed::default() };
            requests.points.push((labels.clone(), metrics.requests.read()));
            failures.points.push((labels.clone(), failed));
            if !mount.core_own {
                starts.points.push((labels.clone(), metrics.starts.read()));
                up.points.push((labels, number_of(u64::from(mount.live().is_some()))));
            }
        }
    }
    vec![entries, requests, failures, starts, up]
}

fn labels_of(mount: &Mount) -> Labels {
    let (facts, live) = (mount.facts.load(), mount.live());
    vec![
        ("mount_point", facts.point.clone()),
        ("plugin", facts.kind.clone()),
        ("version", live.map(|live| live.running.version.clone()).unwrap_or_default()),
    ]
}

/// Processes of one plugin and version are added up.
fn plugins(all: &[PluginStatus]) -> Vec<Family> {
    #[derive(Default)]
    struct Sum {
        requests: u64,
        failures: u64,
        restarts: u64,
        resident: u64,
        running: u64,
        youngest: Option<SystemTime>,
    }
    let mut sums = BTreeMap::<(&str, &str, &str), Sum>::new();
    for status in all {
        let sum = sums.entry((&status.kind, &status.name, &status.version)).or_default();
        sum.requests += status.requests;
        sum.failures += status.failures;
        sum.restarts += status.restarts;
        sum.resident += status.resident_bytes;
        sum.running += u64::from(status.pid != 0);
        sum.youngest = sum.youngest.max(status.started);
    }
    let family = |name, help, kind, value: fn(&Sum) -> u64| {
        let points = sums.iter().map(|((class, plugin, version), sum)| {
            let labels = vec![
                ("type", (*class).to_owned()),
                ("plugin", (*plugin).to_owned()),
                ("version", (*version).to_owned()),
            ];
            (labels, number_of(value(sum)))
        });
        Family { name, help, kind, points: points.collect() }
    };
    let age = |sum: &Sum| {
        let up = sum.youngest.and_then(|started| started.elapsed().ok());
        up.map_or(0, |up| up.as_secs())
    };
    vec![
        family("vault.plugin.requests", "Requests to a plugin.", Kind::Counter, |s| s.requests),
        family(
            "vault.plugin.failures",
            "Requests to a plugin that ended in a failure of the transport.",
            Kind::Counter,
            |s| s.failures,
        ),
        family("vault.plugin.restarts", "Restarts of a plugin.", Kind::Counter, |s| s.restarts),
        family(
            "vault.plugin.resident_bytes",
            "Resident memory of a plugin's processes.",
            Kind::Gauge,
            |s| s.resident,
        ),
        family("vault.plugin.processes", "Processes of a plugin.", Kind::Gauge, |s| s.running),
        family(
            "vault.plugin.uptime_seconds",
            "Age of a plugin's youngest process.",
            Kind::Gauge,
            age,
        ),
    ]
}

/// A number that is a gauge's value and a counter's count at once.
#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn number_of(number: u64) -> Timed {
    Timed { count: number, sum: number as f64, max: 0.0 }
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Family {
    Family { name, help, kind: Kind::Gauge, points: vec![(Vec::new(), number_of(value))] }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    Family { name, help, kind: Kind::Counter, points: vec![(Vec::new(), number_of(value))] }
}

fn summary(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: Kind::Summary, points: Vec::new() }
}
