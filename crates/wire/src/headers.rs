//! Header names as Go writes them: `X-My-Header` (wire spec 2.8, pitfall 45). Go code looks headers
//! up under that form only, while HTTP/2 and Rust carry them in lower case.

use std::collections::HashMap;

use boltwork_logical::Headers;

use crate::pb::Header;

/// A name in Go's canonical form. A name with a byte that no header name may have stays as it is,
/// as in Go.
pub fn canonical_header(name: &str) -> String {
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut start = true;
    name.chars()
        .map(|c| {
            let cased = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = c == '-';
            cased
        })
        .collect()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(crate) fn headers_to_wire(headers: &Headers) -> HashMap<String, Header> {
    let mut wire: HashMap<String, Header> = HashMap::with_capacity(headers.len());
    for (name, values) in headers {
        wire.entry(canonical_header(name)).or_default().header.extend_from_slice(values);
    }
    wire
}

pub(crate) fn headers_from_wire(wire: HashMap<String, Header>) -> Headers {
    let mut headers = Headers::new();
    for (name, values) in wire {
        headers.entry(canonical_header(&name)).or_default().extend(values.header);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_go_writes_them() {
        for (name, canonical) in [
            ("x-my-header", "X-My-Header"),
            ("X-MY-HEADER", "X-My-Header"),
            ("authorization", "Authorization"),
            ("www-authenticate", "Www-Authenticate"),
            ("x--y", "X--Y"),
            ("x_y", "X_y"),
            ("", ""),
            ("not a name", "not a name"),
            ("überschrift", "überschrift"),
        ] {
            assert_eq!(canonical_header(name), canonical);
        }
    }

    #[test]
    fn names_that_become_the_same_keep_all_values() {
        let headers = Headers::from([
            ("X-A".to_owned(), vec!["1".to_owned()]),
            ("x-a".to_owned(), vec!["2".to_owned(), "3".to_owned()]),
        ]);
        let back = headers_from_wire(headers_to_wire(&headers));
        assert_eq!(back.len(), 1);
        assert_eq!(back["X-A"], ["1", "2", "3"]);
    }
}
