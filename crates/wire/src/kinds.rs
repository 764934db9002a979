//! Secrets engine or auth method, as the call `Type` tells it (wire spec 2.6).

use boltwork_logical::BackendKind;

/// The kind's number.
pub const fn kind_to_wire(kind: BackendKind) -> u32 {
    kind as u32
}

/// The kind of a number; unknown numbers are the unknown kind.
pub const fn kind_from_wire(number: u32) -> BackendKind {
    match number {
        1 => BackendKind::Secret,
        2 => BackendKind::Auth,
        _ => BackendKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_cross_both_ways() {
        for kind in [BackendKind::Unknown, BackendKind::Secret, BackendKind::Auth] {
            assert_eq!(kind_from_wire(kind_to_wire(kind)), kind);
        }
        assert_eq!(kind_from_wire(3), BackendKind::Unknown);
    }
}
