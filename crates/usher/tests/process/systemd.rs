//! Under systemd, whose part the test plays: sockets that are there already, and what the process says of itself.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::sockopt::set_socket_reuseport;
use rustix::net::{AddressFamily, SocketType, bind, socket};
use rustix::process::{Pid, Signal as Number, kill_process};
use usher_testkit::Authority;

use crate::harness::{PATIENCE, binary, status, until, usher};
use crate::upgrade::{kill_successor, serving, successors};
use crate::upgrade_h3::{Visitor, body, local};

/// From where on the shell finds the sockets that it is to pass on.
const SOURCE: i32 = 100;

/// A service; it ends with the test, as does whoever takes over from it.
struct Service {
    child: Child,
    notified: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Service {
    /// Passes `sockets` on as systemd does: from 3 upwards, with the process's number in the environment. The shell stays the
    /// same process when it becomes Usher.
    fn start(dir: tempfile::TempDir, config: &str, sockets: &[OwnedFd], names: &str) -> Self {
        fs::write(dir.path().join("usher.toml"), config).unwrap();
        let notified = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notified.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut moves = String::new();
        let passed: Vec<OwnedFd> =
            sockets.iter().map(|socket| fcntl_dupfd_cloexec(socket, SOURCE).unwrap()).collect();
        for (socket, target) in passed.iter().zip(3..) {
            fcntl_setfd(socket, FdFlags::empty()).unwrap();
            let source = socket.as_raw_fd();
            moves.push_str(&format!(" {target}<&{source} {source}<&-"));
        }
        let script = format!(
            "exec{moves}; export LISTEN_PID=$$ WATCHDOG_PID=$$; exec '{}' run --config usher.toml",
            binary().display()
        );
        let output = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(dir.path());
        command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names);
        command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "300000");
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self { child: command.spawn().unwrap(), notified, dir }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// The next message with this text.
    fn told(&self, text: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let received = self.notified.recv(&mut buffer);
            let length =
                received.unwrap_or_else(|error| panic!("waited for {text}: {error}\n{}", self.log()));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.contains(text) {
                return message;
            }
        }
    }

    fn signal(&self, signal: Number) {
        let pid = serving(&self.log()).unwrap_or(self.child.id());
        kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        successors(&self.log()).into_iter().for_each(kill_successor);
        if std::thread::panicking() {
            eprintln!("log:\n{}", self.log());
        }
    }
}

fn config(dir: &Path, tcp: &TcpListener, more: &str) -> String {
    format!(
        "workers = 2\nadmin = \"unix:{0}/admin.sock\"\naccess_log = \"off\"\n{more}\n\
         [[listener]]\nname = \"main\"\nbind = [\"{1}\", \"unix:{0}/usher.sock\"]\n\
         [[route]]\nrespond = {{ status = 200, body = \"hello\" }}\n",
        dir.display(),
        tcp.local_addr().unwrap(),
    )
}

#[test]
fn a_service_adopts_sockets_and_says_how_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("usher.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&socket).unwrap();
    let admin = UnixListener::bind(dir.path().join("admin.sock")).unwrap();
    let (spare, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let spare_address = spare.local_addr().unwrap();
    let (at, config) = (tcp.local_addr().unwrap(), config(dir.path(), &tcp, ""));
    let sockets: [OwnedFd; 5] = [tcp.into(), unix.into(), admin.into(), spare.into(), udp.into()];
    let mut service = Service::start(dir, &config, &sockets, "http:local:admin:spare:datagrams");
    // Who connects before anybody accepts is served all the same; only Usher holds the sockets afterwards.
    let first = format!("READY=1\nMAINPID={}\nSTATUS=serving 1 listener", service.child.id());
    drop(sockets);
    assert_eq!(status(at, "/"), 200);
    assert!(service.told("READY=1").starts_with(&first));
    for address in [at.to_string(), format!("unix:{}", socket.display())] {
        assert_eq!(status(&address, "/"), 200, "{address}");
    }
    let log = service.log();
    assert!(
        log.contains(&format!("`spare` at {spare_address} that systemd passed is the `bind` of no")),
        "{log}"
    );
    assert!(log.contains("the socket `datagrams` at 127.0.0.1:"), "{log}");
    assert!(std::net::TcpStream::connect(spare_address).is_err(), "nobody would answer");
    (0..2).for_each(|_| drop(service.told("WATCHDOG=1")));

    service.signal(Number::HUP);
    assert!(service.told("RELOADING=1").contains("\nMONOTONIC_USEC="));
    service.told("READY=1");

    service.signal(Number::USR2);
    let told = service.told("MAINPID=");
    until("the old process to end", || service.child.try_wait().unwrap().is_some());
    let next = serving(&service.log()).unwrap();
    assert_eq!(told, format!("MAINPID={next}"));
    assert!(service.told("READY=1").contains(&format!("MAINPID={next}\n")));
    for address in [at.to_string(), format!("unix:{}", socket.display())] {
        assert_eq!(status(&address, "/"), 200, "{address}");
    }
    (0..2).for_each(|_| drop(service.told("WATCHDOG=1")));

    service.signal(Number::TERM);
    service.told("STOPPING=1");
    until("the new process to end", || service.log().matches("ended; every connection").count() == 2);
    assert!(socket.exists(), "systemd's files are systemd's to remove");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let config =
        "[[listener]]\nbind = \"$LISTEN\"\n[[route]]\nrespond = { status = 200, body = \"hello\" }\n";
    let usher = usher(config).environment("LISTEN_PID", "1").environment("LISTEN_FDS", "3").start().unwrap();
    assert_eq!(status(usher.listen().unwrap(), "/"), 200);
    assert!(!usher.output().contains("systemd"), "{}", usher.output());
}

#[test]
fn the_unit_files_are_good() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for name in ["usher.service", "usher.socket"] {
        let text = fs::read_to_string(packaging.join(name)).unwrap();
        // The binary is not where the unit expects it.
        let text = text.replace("/usr/bin/usher", &binary().display().to_string());
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        paths.push(path);
    }
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output();
    let Ok(verified) = verified else {
        eprintln!("left out: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("usher")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}

/// One socket that nobody else may open beside it: one worker has it.
#[test]
fn datagrams_of_a_socket_that_is_there_already_are_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = udp.local_addr().unwrap();
    let config = format!(
        "workers = 2\nadmin = \"off\"\naccess_log = \"off\"\n[[listener]]\nbind = \"{at}\"\nprotocol = \"udp\"\n\
         to = \"{}\"\n",
        endpoint.local_addr().unwrap()
    );
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(at).unwrap();
    for socket in [&client, &endpoint] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    // Before anybody takes it.
    client.send(b"early").unwrap();
    let sockets: [OwnedFd; 1] = [udp.into()];
    let service = Service::start(dir, &config, &sockets, "dns");
    drop(sockets);
    let mut buffer = [0; 10];
    let mut session = None;
    for text in ["early", "late"] {
        if text == "late" {
            service.told("READY=1");
            service.signal(Number::USR2);
            service.told("MAINPID=");
            client.send(text.as_bytes()).unwrap();
        }
        let (length, of) = endpoint.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..length], *session.get_or_insert(of)),
            (text.as_bytes(), of),
            "{}",
            service.log()
        );
        endpoint.send_to(b"answer", of).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 6);
    }
}

/// A port for both TCP and UDP.
fn tcp_and_udp(reuse_port: bool) -> (TcpListener, OwnedFd) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        set_socket_reuseport(&udp, reuse_port).unwrap();
        if bind(&udp, &tcp.local_addr().unwrap()).is_ok() {
            return (tcp, udp);
        }
    }
}

/// Of the same user, others may be opened beside it: each worker has one, and so has whoever takes over.
#[test]
fn http3_is_spoken_on_a_socket_that_is_there_already() {
    let authority = Authority::new("systemd").unwrap();
    for reuse_port in [false, true] {
        let leaf = authority.server(&["localhost", "127.0.0.1"]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cert.pem"), leaf.cert).unwrap();
        fs::write(dir.path().join("key.pem"), leaf.key).unwrap();
        let (tcp, udp) = tcp_and_udp(reuse_port);
        let at = tcp.local_addr().unwrap();
        let config = format!(
            "workers = 2\nadmin = \"off\"\naccess_log = \"off\"\nautomatic_https = false\n\
             [[certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndefault = true\n\
             [[listener]]\nbind = \"{at}\"\ntls = true\n\
             [[route]]\nrespond = {{ status = 200, body = \"hello\" }}\n"
        );
        let sockets: [OwnedFd; 2] = [tcp.into(), udp];
        let service = Service::start(dir, &config, &sockets, "https:http3");
        drop(sockets);
        // Whoever is there before Usher is waits for a moment. Of several, each worker has some.
        let visit = async || {
            for _ in 0..6 {
                let visitor = Visitor::connect(at, &authority.pem()).await;
                assert_eq!(body(visitor.ask("/").await).await, b"hello", "{}", service.log());
            }
        };
        local(visit());
        service.told("READY=1");
        assert!(!service.log().contains("systemd passed"), "{}", service.log());
        service.signal(Number::USR2);
        until("another process", || serving(&service.log()).is_some());
        local(visit());
    }
}
