//! Whether a built-in plugin may still be brought up, by its deprecation status (wire spec 5.9).
//!
//! Left out: which built-ins are deprecated. That is one word each in the server's list of them.

use boltwork_logical::Error;

use crate::Builtin;

/// Refuses what is removed, and what is pending removal unless the operator allowed it; warns in the
/// log of what is on its way there. The texts after the colon are Vault's.
pub(crate) fn admit(builtin: &Builtin, allow_pending: bool) -> Result<(), Error> {
    let Builtin { kind, name, deprecation, .. } = builtin;
    let refused = |what: &str| {
        Err(Error::invalid(format!(
            "could not mount {name:?}: mount entry associated with {what} builtin"
        )))
    };
    match *deprecation {
        "removed" => refused("removed"),
        "pending removal" if !allow_pending => refused("pending removal"),
        status @ ("pending removal" | "deprecated") => {
            tracing::warn!(
                plugin = name,
                %kind,
                "mount entry associated with {status} builtin: it goes with a coming version; move \
                 to its successor, or register the plugin as an external one under this name"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::builtin;

    #[test]
    fn what_is_pending_removal_needs_the_operators_word_and_what_is_removed_stays_removed() {
        let said =
            |status, allow| admit(&builtin(status), allow).map_err(|error| error.to_string()).err();
        for status in ["supported", "deprecated"] {
            assert_eq!(said(status, false), None, "{status}");
        }
        let pending = said("pending removal", false).unwrap();
        assert_eq!(
            pending,
            "could not mount \"old\": mount entry associated with pending removal builtin"
        );
        assert_eq!(said("pending removal", true), None);
        for allow in [false, true] {
            assert!(said("removed", allow).unwrap().ends_with("associated with removed builtin"));
        }
    }
}
