//! The outcome of a login, and times of leases (wire spec 2.8).

use core::net::{IpAddr, SocketAddr};
use std::time::Duration;

use boltwork_logical::{Auth, Data, Lease, TokenType, TokenWish};

use crate::identity::map_to_wire;
use crate::time::{duration_from_nanos, duration_to_nanos, time_from_wire, time_to_wire};
use crate::{WireError, alias_from_wire, alias_to_wire, pb};

/// A lease's times for the wire: always with a time of issue, which readers insist on.
pub(crate) fn lease_to_wire(lease: &Lease) -> pb::LeaseOptions {
    pb::LeaseOptions {
        ttl: duration_to_nanos(lease.ttl),
        renewable: lease.renewable,
        increment: duration_to_nanos(lease.increment),
        issue_time: Some(time_to_wire(lease.issued)),
        max_ttl: duration_to_nanos(lease.max_ttl),
    }
}

/// A lease's times from the wire; an absent message is all zeros, an absent time of issue in a
/// present message is refused as everywhere else.
pub(crate) fn lease_from_wire(lease: Option<pb::LeaseOptions>) -> Result<Lease, WireError> {
    let Some(lease) = lease else { return Ok(Lease::default()) };
    const ISSUED: &str = "LeaseOptions.issue_time";
    let issued = lease.issue_time.ok_or(WireError::Missing(ISSUED))?;
    Ok(Lease {
        ttl: duration_from_nanos("LeaseOptions.TTL", lease.ttl)?,
        max_ttl: duration_from_nanos("LeaseOptions.MaxTTL", lease.max_ttl)?,
        renewable: lease.renewable,
        increment: duration_from_nanos("LeaseOptions.increment", lease.increment)?,
        issued: time_from_wire(ISSUED, &issued)?,
    })
}

/// A login's outcome for the wire.
pub fn auth_to_wire(auth: &Auth) -> pb::Auth {
    let token = &auth.token;
    pb::Auth {
        lease_options: Some(lease_to_wire(&auth.lease)),
        internal_data: auth.internal.as_str().to_owned(),
        display_name: auth.display_name.clone(),
        policies: auth.policies.clone(),
        metadata: map_to_wire(&auth.metadata),
        client_token: auth.client_token.expose().to_owned(),
        accessor: auth.accessor.clone(),
        period: duration_to_nanos(token.period),
        num_uses: token.num_uses,
        entity_id: token.entity_id.clone(),
        alias: auth.alias.as_ref().map(alias_to_wire),
        group_aliases: auth.group_aliases.iter().map(alias_to_wire).collect(),
        bound_cidrs: token.bound_cidrs.clone(),
        token_policies: token.token_policies.clone(),
        identity_policies: token.identity_policies.clone(),
        explicit_max_ttl: duration_to_nanos(token.explicit_max_ttl),
        token_type: token.token_type as u32,
        no_default_policy: token.no_default_policy,
    }
}

/// A login's outcome from the wire.
pub fn auth_from_wire(auth: pb::Auth) -> Result<Auth, WireError> {
    const INTERNAL: &str = "Auth.internal_data";
    // OpenBao's plugins may leave it empty; everything else must be JSON.
    let internal = match auth.internal_data {
        text if text.is_empty() => Data::null(),
        text => Data::parse(text.into_bytes()).map_err(WireError::data(INTERNAL))?,
    };
    for bound in &auth.bound_cidrs {
        check_bound(bound)?;
    }
    let token = TokenWish {
        token_type: token_type(auth.token_type)?,
        period: duration_from_nanos("Auth.period", auth.period)?,
        num_uses: auth.num_uses,
        explicit_max_ttl: span("Auth.explicit_max_ttl", auth.explicit_max_ttl)?,
        bound_cidrs: auth.bound_cidrs,
        no_default_policy: auth.no_default_policy,
        token_policies: auth.token_policies,
        identity_policies: auth.identity_policies,
        entity_id: auth.entity_id,
        ..TokenWish::default()
    };
    Ok(Auth {
        lease: lease_from_wire(auth.lease_options)?,
        internal,
        display_name: auth.display_name,
        policies: auth.policies,
        metadata: auth.metadata.into_iter().collect(),
        client_token: auth.client_token.into(),
        accessor: auth.accessor,
        alias: auth.alias.map(alias_from_wire),
        group_aliases: auth.group_aliases.into_iter().map(alias_from_wire).collect(),
        token,
    })
}

fn span(field: &'static str, nanos: i64) -> Result<Duration, WireError> {
    duration_from_nanos(field, nanos)
}

/// A number without a meaning is refused: a wrong kind of token would be made.
fn token_type(number: u32) -> Result<TokenType, WireError> {
    if number > TokenType::DefaultBatch as u32 {
        return Err(WireError::field("Auth.token_type", "no kind of token has this number"));
    }
    Ok(TokenType::from_number(number))
}

/// An address that a token is bound to: IP, CIDR block or unix path. What looks like a block and is
/// none is refused rather than taken for a path that nobody ever comes from.
fn check_bound(text: &str) -> Result<(), WireError> {
    let bad = || {
        WireError::field("Auth.bound_cidrs", "each must be an IP address, a CIDR block or a path")
    };
    if text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    if let Some((address, bits)) = text.split_once('/')
        && let Ok(address) = address.parse::<IpAddr>()
    {
        let most = if address.is_ipv4() { 32 } else { 128 };
        return match bits.parse::<u8>() {
            Ok(bits) if bits <= most => Ok(()),
            _ => Err(bad()),
        };
    }
    let path = text.len() > 1 && (text.starts_with('.') || text.contains('/'));
    if path { Ok(()) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_addresses_blocks_or_paths() {
        for good in
            ["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "1.2.3.4:80", "/run/x.sock", "./x"]
        {
            assert!(check_bound(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "10.0.0.0/33", "10.0.0.0/x", "::/129", "nonsense", "256.0.0.1"] {
            let error = check_bound(bad).unwrap_err().to_string();
            assert!(error.contains("Auth.bound_cidrs"), "{error}");
        }
    }

    #[test]
    fn an_absent_lease_is_zero_and_one_without_time_of_issue_is_refused() {
        assert_eq!(lease_from_wire(None), Ok(Lease::default()));
        let refused = lease_from_wire(Some(pb::LeaseOptions::default()));
        assert_eq!(refused, Err(WireError::Missing("LeaseOptions.issue_time")));
    }

    #[test]
    fn empty_internal_data_of_a_login_is_nothing() {
        let auth = auth_from_wire(pb::Auth::default()).unwrap();
        assert!(auth.internal.is_null());
    }

    #[test]
    fn a_token_of_no_kind_is_refused() {
        let wire = pb::Auth { token_type: 5, ..pb::Auth::default() };
        assert!(auth_from_wire(wire).unwrap_err().to_string().contains("Auth.token_type"));
    }
}
