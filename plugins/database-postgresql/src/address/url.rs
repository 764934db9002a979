//! `postgresql://user:password@host:port,host:port/database?key=value`.

use percent_encoding::percent_decode_str;

use super::Pairs;
use crate::failure::Failure;

/// Takes a URL apart. The error quotes none of it: there may be a password anywhere.
pub fn read(text: &str) -> Result<Pairs, Failure> {
    let (_, rest) = text.split_once("://").ok_or_else(unreadable)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // The last `@`: a password may have one that nobody escaped.
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (credentials, place),
        None => ("", rest),
    };
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let mut pairs = Pairs::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            pairs.push((key.to_owned(), value));
        }
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    put("user", decoded(user)?);
    put("password", decoded(password)?);
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for host in authority.split(',') {
        let (name, port) = split(host)?;
        hosts.push(decoded(name)?);
        ports.push(port);
    }
    put("host", hosts.join(","));
    if ports.iter().any(|port| !port.is_empty()) {
        let with_default = |port: &&str| if port.is_empty() { "5432" } else { *port }.to_owned();
        put("port", ports.iter().map(with_default).collect::<Vec<_>>().join(","));
    }
    put("dbname", decoded(database)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(unreadable)?;
        pairs.push((decoded(key)?, decoded(&value.replace('+', " "))?));
    }
    Ok(pairs)
}

/// Host and port; an address of IPv6 stands in brackets.
fn split(host: &str) -> Result<(&str, &str), Failure> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or_else(unreadable)?;
        return Ok((address, rest.strip_prefix(':').unwrap_or_default()));
    }
    Ok(host.split_once(':').unwrap_or((host, "")))
}

fn decoded(text: &str) -> Result<String, Failure> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| unreadable())?;
    Ok(text.into_owned())
}

fn unreadable() -> Failure {
    Failure::Configuration("unable to parse connection url".to_owned())
}
