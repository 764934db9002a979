//! Check-and-set: a write says which version it expects to be the current one.

use boltwork_sdk::{Json, Result, logical::Error};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{config::Settings, record::Record};
use crate::store::present;

/// The version that a write expects; `None` if it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cas(Option<i128>);

impl Cas {
    /// Reads the options of a write.
    pub fn from_options(options: Option<&Json>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Options<'a> {
            #[serde(borrow, default, deserialize_with = "present")]
            cas: Option<&'a RawValue>,
        }
        let unreadable = || Error::invalid("error parsing check-and-set parameter");
        let Some(Json(options)) = options else { return Ok(Self(None)) };
        let options: Options<'_> =
            serde_json::from_slice(options.as_bytes()).map_err(|_| unreadable())?;
        match options.cas {
            Some(raw) => number(raw.get()).map(|number| Self(Some(number))).ok_or_else(unreadable),
            None => Ok(Self(None)),
        }
    }

    /// Whether a write with these options may change this record.
    pub fn check(self, settings: &Settings, record: &Record) -> Result<()> {
        match self.0 {
            Some(expected) if expected == i128::from(record.current) => Ok(()),
            Some(_) => {
                Err(Error::invalid("check-and-set parameter did not match the current version"))
            }
            None if settings.cas_required || record.own.cas_required => {
                Err(Error::invalid("check-and-set parameter required for this call"))
            }
            None => Ok(()),
        }
    }
}

/// A whole number as clients write it, by the rules of Vault's weak decoding.
fn number(text: &str) -> Option<i128> {
    match text {
        "null" | "false" | "\"\"" => Some(0),
        "true" => Some(1),
        _ => match text.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?.parse().ok(),
            None => text.parse().ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use boltwork_sdk::logical::Data;

    use super::*;

    fn cas(options: &str) -> Result<Cas> {
        Cas::from_options(Some(&Json(Data::parse(options.into()).unwrap())))
    }

    #[test]
    fn the_expected_version_is_read_as_clients_write_it() {
        for (options, expected) in [
            (r#"{}"#, None),
            (r#"{"other":1}"#, None),
            (r#"{"cas":0}"#, Some(0)),
            (r#"{"cas": 12 }"#, Some(12)),
            (r#"{"cas":"12"}"#, Some(12)),
            (r#"{"cas":null}"#, Some(0)),
            (r#"{"cas":""}"#, Some(0)),
            (r#"{"cas":true}"#, Some(1)),
            (r#"{"cas":-1}"#, Some(-1)),
        ] {
            assert_eq!(cas(options).unwrap(), Cas(expected), "{options}");
        }
        for options in [r#"{"cas":"x"}"#, r#"{"cas":2.0}"#, r#"{"cas":[]}"#, r#"{"cas":{}}"#] {
            let error = cas(options).unwrap_err();
            assert_eq!(error.to_string(), "error parsing check-and-set parameter", "{options}");
        }
    }
}
