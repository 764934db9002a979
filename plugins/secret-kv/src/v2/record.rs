//! What is known of one key: its versions and its own settings. Pure data and rules; no storage.
//!
//! The data of the versions is not here: the current one stands beside the record in the same
//! storage entry, older ones in entries of their own (see `store`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::Settings;
use crate::clock::{Stamp, Time};

/// How many versions are kept where nobody said otherwise.
const DEFAULT_MAX_VERSIONS: u32 = 10;

/// The record of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the newest version; 0 before the first.
    pub current: u64,
    /// Number of the oldest version kept; 0 until one had to go.
    #[serde(default, skip_serializing_if = "is_default")]
    pub oldest: u64,
    /// Data of versions up to this number is known to be gone from storage.
    #[serde(default, skip_serializing_if = "is_default")]
    pub swept: u64,
    /// When the key came to be.
    pub created: Time,
    /// When a version was added or the key's settings were changed.
    pub updated: Time,
    /// The versions kept, oldest first.
    pub versions: Vec<Version>,
    /// The key's own settings.
    #[serde(default, skip_serializing_if = "is_default")]
    pub own: OwnSettings,
}

/// What an operator has set for one key. Zero and `false` mean "as the mount says".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnSettings {
    /// Versions to keep.
    #[serde(skip_serializing_if = "is_default")]
    pub max_versions: u32,
    /// Every write must name the version it expects.
    #[serde(skip_serializing_if = "is_default")]
    pub cas_required: bool,
    /// Every change of these settings must name the revision it expects.
    #[serde(skip_serializing_if = "is_default")]
    pub metadata_cas_required: bool,
    /// Seconds after which a version counts as deleted.
    #[serde(skip_serializing_if = "is_default")]
    pub delete_version_after: i64,
    /// Free text of the users'.
    #[serde(skip_serializing_if = "is_default")]
    pub custom: BTreeMap<String, String>,
    /// How often these settings have been written.
    #[serde(skip_serializing_if = "is_default")]
    pub revision: u64,
}

/// One version of a key, without its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub number: u64,
    /// When it was written.
    pub created: Time,
    /// From when on it counts as deleted; may lie in the future.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deleted: Option<Time>,
    /// Its data is gone for good.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destroyed: bool,
}

/// A version as replies show it.
#[derive(Debug, Serialize)]
pub struct VersionFacts<'a> {
    created_time: Stamp,
    custom_metadata: Option<&'a BTreeMap<String, String>>,
    deletion_time: Stamp,
    destroyed: bool,
    version: u64,
}

impl Version {
    /// Whether its time is over.
    pub fn is_deleted(&self, now: Time) -> bool {
        self.deleted.is_some_and(|deleted| deleted <= now)
    }

    /// Whether its data may be shown.
    pub fn is_readable(&self, now: Time) -> bool {
        !self.destroyed && !self.is_deleted(now)
    }
}

impl Record {
    /// A key without versions.
    pub fn new(now: Time) -> Self {
        Self {
            current: 0,
            oldest: 0,
            swept: 0,
            created: now,
            updated: now,
            versions: Vec::new(),
            own: OwnSettings::default(),
        }
    }

    /// The version of this number, if it is kept.
    pub fn version(&self, number: u64) -> Option<&Version> {
        let place = self.versions.binary_search_by_key(&number, |v| v.number).ok()?;
        self.versions.get(place)
    }

    /// The same, to be changed.
    pub fn version_mut(&mut self, number: u64) -> Option<&mut Version> {
        let place = self.versions.binary_search_by_key(&number, |v| v.number).ok()?;
        self.versions.get_mut(place)
    }

    /// Adds a version and lets go of those beyond the limit, which is the greater of the key's and
    /// the mount's.
    pub fn add_version(&mut self, now: Time, settings: &Settings) {
        self.current += 1;
        self.updated = now;
        self.versions.push(Version {
            number: self.current,
            created: now,
            deleted: self.expiry(now, settings),
            destroyed: false,
        });
        let limit = match self.own.max_versions.max(settings.max_versions) {
            0 => DEFAULT_MAX_VERSIONS,
            limit => limit,
        };
        let limit = u64::from(limit);
        if self.current - self.oldest >= limit {
            self.oldest = self.current - limit + 1;
            self.versions.retain(|version| version.number >= self.oldest);
        }
    }

    /// When a version that starts now will count as deleted: after the shorter of the key's and
    /// the mount's terms, where the mount has not switched that off.
    pub fn expiry(&self, now: Time, settings: &Settings) -> Option<Time> {
        if settings.delete_version_after < 0 {
            return None;
        }
        [self.own.delete_version_after, settings.delete_version_after]
            .into_iter()
            .filter(|&seconds| seconds > 0)
            .min()
            .map(|seconds| now.plus_seconds(seconds))
    }

    /// A version of this record as replies show it.
    pub fn facts<'a>(&'a self, version: &Version) -> VersionFacts<'a> {
        VersionFacts {
            created_time: version.created.stamp(),
            custom_metadata: Some(&self.own.custom).filter(|custom| !custom.is_empty()),
            deletion_time: Stamp(version.deleted),
            destroyed: version.destroyed,
            version: version.number,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn now() -> Time {
        Time::from_system(UNIX_EPOCH)
    }

    fn numbers(record: &Record) -> Vec<u64> {
        record.versions.iter().map(|v| v.number).collect()
    }

    #[test]
    fn ten_versions_are_kept_unless_said_otherwise() {
        let mut record = Record::new(now());
        for _ in 0..9 {
            record.add_version(now(), &Settings::default());
        }
        assert_eq!((record.oldest, record.versions.len()), (0, 9));
        record.add_version(now(), &Settings::default());
        assert_eq!((record.oldest, record.versions.len()), (1, 10));
        record.add_version(now(), &Settings::default());
        assert_eq!((record.oldest, numbers(&record)), (2, (2..=11).collect()));
    }

    #[test]
    fn the_greater_limit_counts_and_a_smaller_one_takes_effect_at_the_next_write() {
        let mut record = Record::new(now());
        let mount = Settings { max_versions: 5, ..Settings::default() };
        for _ in 0..6 {
            record.add_version(now(), &mount);
        }
        assert_eq!(numbers(&record), [2, 3, 4, 5, 6]);
        record.own.max_versions = 2;
        record.add_version(now(), &Settings::default());
        assert_eq!(numbers(&record), [6, 7]);
        record.own.max_versions = u32::MAX;
        record.add_version(now(), &mount);
        assert_eq!(numbers(&record), [6, 7, 8]);
    }

    #[test]
    fn the_shorter_term_counts_and_the_mount_may_switch_it_off() {
        let mut record = Record::new(now());
        let hour = Settings { delete_version_after: 3600, ..Settings::default() };
        assert_eq!(record.expiry(now(), &Settings::default()), None);
        assert_eq!(record.expiry(now(), &hour), Some(now().plus_seconds(3600)));
        record.own.delete_version_after = 60;
        assert_eq!(record.expiry(now(), &hour), Some(now().plus_seconds(60)));
        assert_eq!(record.expiry(now(), &Settings::default()), Some(now().plus_seconds(60)));
        record.own.delete_version_after = 7200;
        assert_eq!(record.expiry(now(), &hour), Some(now().plus_seconds(3600)));
        let off = Settings { delete_version_after: -1, ..Settings::default() };
        assert_eq!(record.expiry(now(), &off), None);
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let mut record = Record::new(now());
        record.add_version(now(), &Settings { delete_version_after: 5, ..Settings::default() });
        record.own.custom.insert("owner".into(), "ops".into());
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
