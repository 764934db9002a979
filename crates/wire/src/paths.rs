//! Paths that a backend treats specially (wire spec 2.6).

use boltwork_logical::{ReadAhead, SpecialPaths};

use crate::pb::{self, Paths};

/// Rules for reading ahead that are taken from one backend.
const MOST_RULES: usize = 16;

/// Special paths for the wire.
pub fn paths_to_wire(paths: &SpecialPaths) -> Paths {
    Paths {
        root: paths.root.clone(),
        unauthenticated: paths.unauthenticated.clone(),
        local_storage: paths.local_storage.clone(),
        seal_wrap_storage: paths.seal_wrap_storage.clone(),
        write_forwarded_storage: paths.write_forwarded_storage.clone(),
        binary: paths.binary.clone(),
        limited: paths.limited.clone(),
        allow_snapshot_read: paths.allow_snapshot_read.clone(),
        read_ahead: paths.read_ahead.iter().map(rule_to_wire).collect(),
    }
}

/// Special paths from the wire.
pub fn paths_from_wire(paths: Paths) -> SpecialPaths {
    SpecialPaths {
        root: paths.root,
        unauthenticated: paths.unauthenticated,
        local_storage: paths.local_storage,
        seal_wrap_storage: paths.seal_wrap_storage,
        write_forwarded_storage: paths.write_forwarded_storage,
        binary: paths.binary,
        limited: paths.limited,
        allow_snapshot_read: paths.allow_snapshot_read,
        read_ahead: paths.read_ahead.into_iter().take(MOST_RULES).map(rule_from_wire).collect(),
    }
}

fn rule_to_wire(rule: &ReadAhead) -> pb::ReadAhead {
    pb::ReadAhead { path: rule.path.clone(), key: rule.key.clone() }
}

fn rule_from_wire(rule: pb::ReadAhead) -> ReadAhead {
    ReadAhead { path: rule.path, key: rule.key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_arrives_in_its_place() {
        let one = |text: &str| vec![text.to_owned()];
        let paths = SpecialPaths {
            root: one("a"),
            unauthenticated: one("b/+/c"),
            local_storage: one("d"),
            seal_wrap_storage: one("e"),
            write_forwarded_storage: one("f"),
            binary: one("g"),
            limited: one("h"),
            allow_snapshot_read: one("i*"),
            read_ahead: vec![ReadAhead { path: "j/".into(), key: "k/".into() }],
        };
        assert_eq!(paths_from_wire(paths_to_wire(&paths)), paths);
    }
}
