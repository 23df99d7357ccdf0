//! What follows from a shortage, whatever becomes of the log.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use rustix::fs::OFlags;
use usher_testkit::Usher;

use crate::harness::{binary, until, usher};

/// Descriptors that the process may have; of these, clients may have 136, and from 101 on they are tight.
const LIMIT: usize = 200;
const TIGHT: usize = 106;

const CONFIG: &str = "workers = 2\nadmin = \"$ADMIN\"\naccess_log = \"off\"\n\
    [[listener]]\nbind = \"$LISTEN\"\n[[route]]\nrespond = { status = 200 }\n";

fn level(usher: &Usher) -> u64 {
    usher.metric("usher_shortage_level{of=\"descriptors\"}").unwrap().unwrap() as u64
}

/// Fills a pipe to the last byte.
fn fill(pipe: &Path) {
    let mut writer =
        OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(pipe).unwrap();
    for size in [4096, 1] {
        let error = loop {
            if let Err(error) = writer.write(&vec![b'x'; size]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (log, script) = (dir.path().join("log"), dir.path().join("usher"));
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let text = format!(
        "#!/bin/bash\nulimit -n {LIMIT}\nexec '{}' \"$@\" 2>'{}'\n",
        binary().display(),
        log.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let _unread = OpenOptions::new().read(true).write(true).open(&log).unwrap();
    let usher = usher(CONFIG).binary(&script).start().unwrap();
    fill(&log);
    let open = fs::read_dir(format!("/proc/{}/fd", usher.pid())).unwrap().count();
    let clients: Vec<TcpStream> =
        (open..TIGHT).map(|_| TcpStream::connect(usher.listen().unwrap()).unwrap()).collect();
    until("descriptors to be tight", || level(&usher) > 0);
    drop(clients);
    until("enough of them", || level(&usher) == 0);
}
