//! Keeping secrets in memory: no core dumps, no swap.

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{Resource, Rlimit, setrlimit},
};

/// A crash writes no core file, in this process or in any plugin that it starts.
pub fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be forbidden");
    }
}

/// Locks all memory, now and later, as it comes to be used.
///
/// # Errors
/// A text that says what to do.
pub fn lock() -> Result<(), String> {
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(|error| {
        format!(
            "memory could not be locked ({error}), so secrets could be swapped to disk. Do one of: give \
             the binary the capability (setcap cap_ipc_lock=+ep boltwork), raise the limit \
             (LimitMEMLOCK=infinity in systemd, ulimit -l unlimited), or, where swap is encrypted or \
             off, set disable_mlock = true"
        )
    })
}
