//! Whether a file can be a program on this machine: ELF, of our architecture, with a loader that
//! exists; or a script.
//!
//! Only the first bytes and the program headers are read, every offset is checked. What the kernel
//! would say instead is `exec format error` or a misleading `no such file`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What sort of program a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A binary.
    Elf,
    /// A text that names its interpreter.
    Script,
}

const INTERPRETER: u32 = 3;
/// Program headers that are looked at; real programs have about a dozen.
const MOST_HEADERS: u16 = 128;
/// Longest path of a loader that is read.
const LONGEST_LOADER: u64 = 4096;

/// Machines by their ELF number.
const MACHINES: [(u16, &str); 9] = [
    (3, "x86"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// Looks at a file; the error says why it cannot run.
pub(super) fn inspect(file: &File) -> Result<Form, String> {
    let mut head = [0u8; 64];
    let length = read_up_to(file, &mut head)?;
    let head = &head[..length];
    match head {
        [] => Err("not a program: the file is empty".to_owned()),
        [b'#', b'!', ..] => Ok(Form::Script),
        [0x7f, b'E', b'L', b'F', ..] => elf(file, head).map(|()| Form::Elf),
        _ => Err(format!("not a program for this machine (no ELF header): {}", guess(head))),
    }
}

fn read_up_to(file: &File, buffer: &mut [u8]) -> Result<usize, String> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return Err(format!("cannot be read: {why}")),
        }
    }
    Ok(filled)
}

/// What a file that is no ELF probably is, for people who took the wrong download.
fn guess(head: &[u8]) -> &'static str {
    match head {
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            "it is a macOS program; get the one for linux"
        }
        [b'M', b'Z', ..] => "it is a Windows program; get the one for linux",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive; unpack it",
        [0x1f, 0x8b, ..] => "it is a gzip archive; unpack it",
        _ if head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "it is a text; a script needs #! and its interpreter on the first line"
        }
        _ => "exec format error",
    }
}

fn elf(file: &File, head: &[u8]) -> Result<(), String> {
    let broken = || "not a program for this machine: its ELF header is cut off".to_owned();
    let wide = match head.get(4).ok_or_else(broken)? {
        1 => false,
        2 => true,
        _ => return Err("not a program for this machine: its ELF class is unknown".to_owned()),
    };
    if *head.get(5).ok_or_else(broken)? != if cfg!(target_endian = "big") { 2 } else { 1 } {
        return Err("not a program for this machine: its byte order is another one".to_owned());
    }
    let machine = u16_at(head, 18).ok_or_else(broken)?;
    check_machine(machine)?;
    let kind = u16_at(head, 16).ok_or_else(broken)?;
    if !matches!(kind, 2 | 3) {
        return Err("not a program: it is an ELF file, but an object or a core dump".to_owned());
    }
    let table = if wide {
        (u64_at(head, 32), u16_at(head, 54), u16_at(head, 56))
    } else {
        (u32_at(head, 28).map(u64::from), u16_at(head, 42), u16_at(head, 44))
    };
    let (Some(offset), Some(size), Some(count)) = table else { return Err(broken()) };
    match loader(file, wide, offset, size, count.min(MOST_HEADERS)) {
        Some(path) if !Path::new(&path).exists() => Err(format!(
            "its loader {path} does not exist on this machine: it was linked for another libc. \
             Install that libc, or build the plugin statically (CGO_ENABLED=0)"
        )),
        _ => Ok(()),
    }
}

fn check_machine(machine: u16) -> Result<(), String> {
    let ours = std::env::consts::ARCH;
    let name = MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    // A 64-bit x86 kernel may well run 32-bit programs; let it decide.
    if name == Some(ours) || (name == Some("x86") && ours == "x86_64") {
        return Ok(());
    }
    let theirs = name.map_or_else(|| format!("number {machine}"), str::to_owned);
    Err(format!(
        "not a program for this machine: it was built for the architecture {theirs}, this is \
         {ours} (exec format error)"
    ))
}

/// The loader that the program asks for; none for static programs and for tables that make no
/// sense, which the kernel will judge.
fn loader(file: &File, wide: bool, offset: u64, size: u16, count: u16) -> Option<String> {
    let mut header = vec![0u8; usize::from(size)];
    for index in 0..count {
        let at = offset.checked_add(u64::from(index) * u64::from(size))?;
        file.read_exact_at(&mut header, at).ok()?;
        if u32_at(&header, 0)? != INTERPRETER {
            continue;
        }
        let (at, length) = if wide {
            (u64_at(&header, 8)?, u64_at(&header, 32)?)
        } else {
            (u32_at(&header, 4)?.into(), u32_at(&header, 16)?.into())
        };
        let mut path = vec![0u8; usize::try_from(length.min(LONGEST_LOADER)).ok()?];
        file.read_exact_at(&mut path, at).ok()?;
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        return String::from_utf8(path[..end].to_vec()).ok();
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let memory = rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(memory);
        file.write_all(bytes).unwrap();
        file
    }

    fn own() -> Vec<u8> {
        std::fs::read("/proc/self/exe").unwrap()
    }

    #[test]
    fn our_own_program_can_run_here() {
        assert_eq!(inspect(&file(&own())), Ok(Form::Elf));
    }

    #[test]
    fn a_script_is_a_program() {
        assert_eq!(inspect(&file(b"#!/bin/sh\n")), Ok(Form::Script));
    }

    #[test]
    fn what_cannot_run_is_told_apart() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"just some words\n", "text"),
            (b"PK\x03\x04....", "zip"),
            (b"\x1f\x8b\x08\x00", "gzip"),
            (b"MZ\x90\x00", "Windows"),
            (b"\xcf\xfa\xed\xfe\x07", "macOS"),
            (b"\x7fELF", "cut off"),
            (b"\x7fELF\x02\x01", "cut off"),
        ] {
            let why = inspect(&file(bytes)).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn another_machines_program_is_named() {
        let mut bytes = own();
        bytes[18] = 0xf7;
        bytes[19] = 0;
        let why = inspect(&file(&bytes)).unwrap_err();
        assert!(why.contains("machine") && why.contains("number 247"), "{why}");
    }

    #[test]
    fn a_missing_loader_is_named() {
        let bytes = own();
        let path = loader(&file(&bytes), true, 64, 56, 64).expect("tests are linked dynamically");
        let at = bytes.windows(path.len()).position(|w| w == path.as_bytes()).unwrap();
        let mut bytes = bytes;
        bytes[at + 1] = b'#';
        let why = inspect(&file(&bytes)).unwrap_err();
        assert!(why.contains("loader") && why.contains("libc"), "{why}");
    }

    #[test]
    fn no_header_can_cause_a_panic() {
        let whole = own();
        let start = &whole[..4096.min(whole.len())];
        for position in 4..64 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = start.to_vec();
                bytes[position] = value;
                let _ = inspect(&file(&bytes));
            }
        }
    }
}
