//! What was hashed is what runs.
//!
//! The file is opened once. What is read through that descriptor is hashed and, in the same pass,
//! copied into a sealed memory file; if the hash is the registered one, that copy is executed.
//! Whoever replaces or rewrites the file between check and start changes nothing. A script cannot
//! be run from a descriptor, so its copy is a file in the server's private folder.
//!
//! Cost: one read of the program and its size in memory, once for all processes that run it at the
//! same time (`copies`). Left out: signatures.

mod copies;
mod elf;
mod permissions;
mod place;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use go_plugin::host::Executable;
use rustix::fs::{MemfdFlags, SealFlags};

use copies::{Copies, Sealed, State};
pub(crate) use permissions::{FilePermissions, check as check_permissions};
pub(crate) use place::locate;

use crate::HostError;
use crate::folder::Folder;

/// How often sealing is tried while the kernel is busy with the memory, and the pause between.
const SEALINGS: u32 = 50;
const SEALING_PAUSE: Duration = Duration::from_millis(20);

/// Largest program that is taken into memory.
const LARGEST: u64 = 2 << 30;
const PIECE: usize = 256 << 10;

/// A checked program, ready to be executed once.
#[derive(Debug)]
pub(crate) struct Program {
    /// What to execute.
    pub executable: Executable,
    /// What must live as long as its process.
    pub kept: Kept,
}

/// The copy that a process runs.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Shared with other processes of the same file.
    Sealed { _copy: Arc<Sealed> },
    /// A script's own.
    Script { _folder: Folder },
}

/// Checks programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Where scripts are copied to.
    private: PathBuf,
    copies: Copies,
}

impl Programs {
    /// Scripts are copied to the server's private folder.
    pub fn new(private: &Path) -> Self {
        Self { private: private.to_owned(), copies: Copies::default() }
    }

    /// Opens, checks and copies a program. Blocks: for a thread that may.
    pub fn verify(&self, path: &Path, sha256: &[u8]) -> Result<Program, HostError> {
        let mut file = File::open(path).map_err(HostError::file("open", path))?;
        check_file(&file, path)?;
        let state = State::of(&file);
        let running = state.and_then(|state| self.copies.find(&state));
        if let Some(copy) = running.filter(|copy| is_same(&copy.sha256, sha256)) {
            return run(copy, path);
        }
        let mut memory = File::from(memory_file(path)?);
        let found = copy_and_hash(&mut file, &mut memory, path)?;
        if !is_same(found.as_ref(), sha256) {
            return Err(HostError::Checksum {
                path: path.to_owned(),
                found: hex::encode(found),
                registered: hex::encode(sha256),
            });
        }
        match elf::inspect(&memory).map_err(|why| HostError::program(path, why))? {
            elf::Form::Script => script(&memory, path, &self.private),
            elf::Form::Elf => {
                let copy = Arc::new(seal(memory, &found, path)?);
                // Not if it changed while it was read.
                if let Some(state) = state.filter(|state| State::of(&file) == Some(*state)) {
                    self.copies.remember(state, &copy);
                }
                run(copy, path)
            }
        }
    }
}

fn is_same(found: &[u8], registered: &[u8]) -> bool {
    verify_slices_are_equal(found, registered).is_ok()
}

fn run(copy: Arc<Sealed>, path: &Path) -> Result<Program, HostError> {
    let file = copy.file.try_clone().map_err(HostError::file("opening the copy of", path))?;
    let executable = Executable::Descriptor { file, name: name(path) };
    Ok(Program { executable, kept: Kept::Sealed { _copy: copy } })
}

/// Regular, executable, not on a file system that forbids execution.
fn check_file(file: &File, path: &Path) -> Result<(), HostError> {
    let facts = file.metadata().map_err(HostError::file("stat", path))?;
    let refused = |why: &str| Err(HostError::program(path, why));
    if !facts.is_file() {
        return refused("not a program: it is not a regular file");
    }
    if facts.permissions().mode() & 0o111 == 0 {
        return refused("permission denied: the file is not executable; chmod +x it");
    }
    if facts.len() > LARGEST {
        return refused("not a program: it is larger than 2 GiB");
    }
    if place::is_noexec(file) {
        return refused(
            "permission denied: its file system is mounted noexec; move plugin_directory or \
             mount it without noexec",
        );
    }
    Ok(())
}

/// A memory file that may be executed. Kernels before 6.3 do not know the flag that says so.
fn memory_file(path: &Path) -> Result<OwnedFd, HostError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    rustix::fs::memfd_create("plugin", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("plugin", flags))
        .map_err(|why| HostError::file("copying to memory", path)(why.into()))
}

fn copy_and_hash(from: &mut File, to: &mut File, path: &Path) -> Result<digest::Digest, HostError> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut piece = vec![0; PIECE];
    let mut total = 0u64;
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(context.finish()),
            Ok(count) => count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(HostError::file("read", path)(why)),
        };
        // The file may grow while it is read.
        total += count as u64;
        if total > LARGEST {
            return Err(HostError::program(path, "not a program: it is larger than 2 GiB"));
        }
        context.update(&piece[..count]);
        to.write_all(&piece[..count]).map_err(HostError::file("copying to memory", path))?;
    }
}

fn seal(memory: File, found: &digest::Digest, path: &Path) -> Result<Sealed, HostError> {
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    let mut left = SEALINGS;
    // While the kernel holds one of the pages for a purpose of its own, such as moving it, it says
    // that it is busy. That passes.
    while let Err(why) = rustix::fs::fcntl_add_seals(&memory, seals) {
        left -= 1;
        if why != rustix::io::Errno::BUSY || left == 0 {
            return Err(HostError::file("sealing the copy of", path)(why.into()));
        }
        std::thread::sleep(SEALING_PAUSE);
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(found.as_ref());
    Ok(Sealed { file: memory.into(), sha256 })
}

fn script(memory: &File, path: &Path, private: &Path) -> Result<Program, HostError> {
    let failed = || HostError::file("copying the script", path);
    let folder = Folder::create(private, "s").map_err(failed())?;
    let copy: PathBuf = folder.path().join(name(path));
    let mut target =
        OpenOptions::new().write(true).create_new(true).mode(0o500).open(&copy).map_err(failed())?;
    let mut from = io::BufReader::new(memory);
    io::Seek::rewind(&mut from).map_err(failed())?;
    io::copy(&mut from, &mut target).map_err(failed())?;
    let kept = Kept::Script { _folder: folder };
    Ok(Program { executable: Executable::Path(copy), kept })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::time::SystemTime;

    use super::*;

    fn place(name: &str, bytes: &[u8], mode: u32) -> (Folder, PathBuf) {
        let folder = Folder::create(&std::env::temp_dir(), "integrity-").unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn sha256(bytes: &[u8]) -> Vec<u8> {
        digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
    }

    #[test]
    fn what_was_hashed_is_what_runs_whatever_happens_to_the_file() {
        let bytes = std::fs::read("/bin/true").unwrap();
        let (folder, path) = place("true", &bytes, 0o755);
        let program = Programs::new(folder.path()).verify(&path, &sha256(&bytes)).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "#!/bin/false\n").unwrap();
        let Executable::Descriptor { file, name } = program.executable else { panic!("no copy") };
        assert_eq!(name, "true");
        let mut kept = Vec::new();
        let mut file = File::from(file);
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut kept).unwrap();
        assert!(kept == bytes);
        assert!(file.write_all(b"x").is_err(), "the copy is sealed");
        assert!(file.set_len(0).is_err(), "the copy is sealed");
    }

    #[test]
    fn a_wrong_checksum_is_refused_with_both() {
        let (folder, path) = place("x", b"#!/bin/sh\n", 0o755);
        let error = Programs::new(folder.path()).verify(&path, &[7; 32]).unwrap_err().to_string();
        assert!(error.contains("checksums did not match"), "{error}");
        assert!(error.contains(&"07".repeat(32)), "{error}");
        assert!(error.contains(&hex::encode(sha256(b"#!/bin/sh\n"))), "{error}");
        // A checksum of another length is a wrong one too.
        assert!(Programs::new(folder.path()).verify(&path, &[]).is_err());
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_refused() {
        let (folder, path) = place("x", b"#!/bin/sh\n", 0o644);
        let error =
            Programs::new(folder.path()).verify(&path, &sha256(b"#!/bin/sh\n")).unwrap_err();
        assert!(error.to_string().contains("not executable"), "{error}");
    }

    #[test]
    fn a_folder_or_nothing_at_all_is_refused() {
        let (folder, path) = place("x", b"", 0o755);
        let error = Programs::new(folder.path()).verify(folder.path(), &[]).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        let error = Programs::new(folder.path()).verify(&path.join("y"), &[]).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
    }

    #[test]
    fn a_scripts_copy_goes_away_with_it() {
        let text = b"#!/bin/sh\nexit 0\n";
        let (folder, path) = place("script", text, 0o755);
        let program = Programs::new(folder.path()).verify(&path, &sha256(text)).unwrap();
        let Executable::Path(copy) = &program.executable else { panic!("no copy") };
        assert_eq!(std::fs::read(copy).unwrap(), text);
        assert_ne!(copy, &path);
        let copy = copy.clone();
        drop(program);
        assert!(!copy.exists());
    }

    /// The file that is executed, by device and number.
    fn executed(program: &Program) -> (u64, u64) {
        let Executable::Descriptor { file, .. } = &program.executable else { panic!("no copy") };
        let facts = File::from(file.try_clone().unwrap()).metadata().unwrap();
        (facts.dev(), facts.ino())
    }

    #[test]
    fn processes_of_one_file_run_one_copy_for_as_long_as_one_runs() {
        let path = Path::new("/bin/true");
        let sha256 = sha256(&std::fs::read(path).unwrap());
        let programs = Programs::new(&std::env::temp_dir());
        let first = programs.verify(path, &sha256).unwrap();
        let second = programs.verify(path, &sha256).unwrap();
        assert_eq!(executed(&first), executed(&second));
        // Another hash is refused though the file is known.
        let error = programs.verify(path, &[7; 32]).unwrap_err().to_string();
        assert!(error.contains("checksums did not match"), "{error}");
        let state = State::of(&File::open(path).unwrap()).unwrap();
        drop(first);
        assert!(programs.copies.find(&state).is_some());
        drop(second);
        assert!(programs.copies.find(&state).is_none());
    }

    #[test]
    fn a_file_that_was_changed_or_replaced_does_not_run_the_copy_of_what_it_was() {
        let bytes = std::fs::read("/bin/true").unwrap();
        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        let (folder, path) = place("true", &bytes, 0o755);
        let programs = Programs::new(folder.path());
        let good = sha256(&bytes);
        // As if it had been there for long.
        let state = |path: &Path| {
            State::settled(&path.metadata().unwrap(), SystemTime::now() + Duration::from_secs(60))
        };
        let running = programs.verify(&path, &good).unwrap();
        let Kept::Sealed { _copy: copy } = &running.kept else { panic!("no copy") };
        programs.copies.remember(state(&path).unwrap(), copy);
        assert!(programs.copies.find(&state(&path).unwrap()).is_some());

        // Another file in its place, then more in the same file.
        let kept = folder.path().join("kept");
        std::fs::rename(&path, &kept).unwrap();
        std::fs::write(&path, &other).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(programs.copies.find(&state(&path).unwrap()).is_none());
        programs.copies.remember(state(&kept).unwrap(), copy);
        let before = state(&kept).unwrap();
        OpenOptions::new().append(true).open(&kept).unwrap().write_all(b"x").unwrap();
        assert!(programs.copies.find(&before).is_some());
        assert!(programs.copies.find(&state(&kept).unwrap()).is_none());
        let error = programs.verify(&path, &good).unwrap_err().to_string();
        assert!(error.contains("checksums did not match"), "{error}");
    }
}
