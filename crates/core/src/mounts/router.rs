//! From a request's path to a mount: the longest mount point that is a prefix of it.

use std::{collections::HashMap, sync::Arc};

use super::mount::Mount;

/// All mounts by their full path.
#[derive(Clone, Default)]
pub struct Router {
    mounts: HashMap<String, Arc<Mount>>,
}

impl Router {
    /// Adds or replaces a mount under its full path.
    pub fn add(&mut self, mount: Arc<Mount>) {
        self.mounts.insert(mount.point(), mount);
    }

    /// Removes the mount at a full path.
    pub fn remove(&mut self, point: &str) -> Option<Arc<Mount>> {
        self.mounts.remove(point)
    }

    /// The mount at exactly this full path.
    pub fn at(&self, point: &str) -> Option<&Arc<Mount>> {
        self.mounts.get(point)
    }

    /// The mount that a path belongs to, and the path below it.
    pub fn route<'a>(&self, path: &'a str) -> Option<(&Arc<Mount>, &'a str)> {
        let mut end = path.len();
        while let Some(slash) = path[..end].rfind('/') {
            if let Some(mount) = self.mounts.get(&path[..=slash]) {
                return Some((mount, &path[slash + 1..]));
            }
            end = slash;
        }
        // A mount named without its slash, as in LIST /v1/secret.
        self.mounts.get(&format!("{path}/")).map(|mount| (mount, ""))
    }

    /// A mount that `point` would lie below or above: paths of mounts may not nest.
    pub fn conflict(&self, point: &str) -> Option<String> {
        self.mounts
            .keys()
            .find(|other| point.starts_with(other.as_str()) || other.starts_with(point))
            .cloned()
    }

    /// All mounts, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.mounts.values()
    }
}
