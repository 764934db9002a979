//! The process between a test and its PostgreSQL. It starts the server when told to, and ends it,
//! and removes its files, as soon as the test is no more: then the pipe that joins the two closes,
//! whatever the test died of.
//!
//! A parent-death signal would not do: it comes when the *thread* that started the process ends.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use super::programs::Programs;

/// `start` starts the server, `end` says that whoever asks removes the files.
const SCRIPT: &str = r#"
home=$1 server=$2
orphaned=yes
while read -r word; do
    case $word in
        start) "$server" -D "$home/data" </dev/null >>"$home/log" 2>&1 & child=$! ;;
        end) orphaned=no; break ;;
    esac
done
kill -QUIT "$child" 2>/dev/null
wait "$child"
[ $orphaned = no ] || rm -rf "$home"
"#;

/// The process; ends the server when dropped.
pub struct Keeper {
    process: Child,
    orders: ChildStdin,
}

impl Keeper {
    /// Starts the server whose data lies below `home`.
    pub fn start(programs: &Programs, home: &Path) -> Self {
        let mut process = programs
            .ordinary("/bin/sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(home)
            .arg(programs.path("postgres"))
            .current_dir(home)
            // Not ended by what is typed at the terminal: it has to outlive the test.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell runs");
        let orders = process.stdin.take().expect("its stdin is a pipe");
        let mut keeper = Self { process, orders };
        keeper.again();
        keeper
    }

    /// Starts the server once more.
    pub fn again(&mut self) {
        self.orders.write_all(b"start\n").expect("the keeper lives");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.orders.write_all(b"end\n");
        let _ = self.process.wait();
    }
}
