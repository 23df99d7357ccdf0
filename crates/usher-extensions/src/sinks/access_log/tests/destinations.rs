//! Where lines go, and what happens when they cannot.

use std::fs;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use usher_config::Percent;
use usher_config::config::SyslogAddress;

use super::*;
use crate::sinks::access_log::output::{Losses, Stream};

fn options(destination: Destination, format: LineFormat) -> AccessLogOptions {
    AccessLogOptions { logs: vec![one(destination, format)] }
}

fn one(destination: Destination, format: LineFormat) -> LogOptions {
    LogOptions { destination, format, sample: Percent::ALL, query: true }
}

fn to_file(path: &Path) -> AccessLog {
    let format = template("{request.target}");
    AccessLog::open(&options(Destination::File(path.to_owned()), format)).unwrap()
}

fn log(log: &AccessLog, target: &str) {
    let exchange = exchange();
    log.record(&RecordView { target: target.as_bytes(), ..view(&exchange) });
}

#[test]
fn a_file_is_appended_to_and_not_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for target in ["/1", "/2"] {
        let sink = to_file(&path);
        log(&sink, target);
        sink.flush();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "/1\n/2\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o027, 0);
}

#[test]
fn a_folder_that_is_missing_is_told() {
    let Err(error) =
        AccessLog::open(&options(Destination::File("/nonexistent/a.log".into()), LineFormat::Json))
    else {
        panic!("opened a log in a folder that does not exist");
    };
    let text = error.to_string();
    assert!(text.contains("`/nonexistent/a.log`") && text.contains("make its folder first"), "{text}");
}

#[test]
fn a_renamed_file_gets_what_came_before_and_a_new_one_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let sink = to_file(&path);
    log(&sink, "/1");
    sink.flush();
    fs::rename(&path, &old).unwrap();
    log(&sink, "/2");
    sink.reopen();
    sink.flush();
    sink.flush();
    log(&sink, "/3");
    sink.flush();
    assert_eq!(fs::read_to_string(&old).unwrap(), "/1\n/2\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "/3\n");
}

/// Without a flush, and though no more requests come.
#[test]
fn a_single_line_arrives_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sink = to_file(&path);
    log(&sink, "/1");
    while fs::read_to_string(&path).unwrap() != "/1\n" {
        std::thread::yield_now();
    }
}

#[test]
fn many_threads_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sink = to_file(&path);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sink = &sink;
            scope.spawn(move || (0..500).for_each(|i| log(sink, &format!("/{thread}/{i}"))));
        }
    });
    sink.flush();
    let text = fs::read_to_string(&path).unwrap();
    for thread in 0..4 {
        let mine = text.lines().filter(|line| line.starts_with(&format!("/{thread}/")));
        assert!(mine.eq((0..500).map(|i| format!("/{thread}/{i}"))), "thread {thread}");
    }
    assert_eq!((text.lines().count(), sink.dropped()), (2000, 0));
}

/// Writes when it is told to, and fails then if it is told to.
struct Gate(mpsc::Receiver<io::Result<usize>>, mpsc::Sender<Vec<u8>>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.recv().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
        let _ = self.1.send(bytes[..count].to_vec());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl output::Reopen for Gate {
    fn reopen(_: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn a_blocked_writer_drops_and_counts_and_never_blocks() {
    let (go, gate) = mpsc::channel();
    let (written, read) = mpsc::channel();
    let output = Box::new(Stream::new(Gate(gate, written), None));
    let log_to_gate = Log::start(output, template("{request.target}"), 4096).unwrap();
    let sink = AccessLog { logs: vec![log_to_gate] };
    for i in 0..2000 {
        log(&sink, &format!("/{i:04}"));
    }
    let dropped = sink.dropped();
    assert!(dropped > 0, "2000 lines cannot fit in 4 KiB while the writer is blocked");
    drop(go);
    drop(sink);
    let text: Vec<u8> = read.iter().flatten().collect();
    let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(lines + dropped, 2000);
    assert!(text.starts_with(b"/0000\n/0001\n"));
}

#[test]
fn what_cannot_be_written_is_counted_and_the_next_line_is_whole() {
    let (go, gate) = mpsc::channel();
    let (written, read) = mpsc::channel();
    let mut stream = Stream::new(Gate(gate, written), None);
    let full = || Err(io::ErrorKind::StorageFull.into());
    let mut losses = Losses::default();
    let put = |stream: &mut Stream<Gate>, lines: &str, losses: &mut Losses| {
        lines.split_inclusive('\n').for_each(|line| stream.put(line.as_bytes(), losses));
        stream.finish(losses);
    };
    [Ok(6), full()].into_iter().for_each(|result| go.send(result).unwrap());
    put(&mut stream, "/11\n/22\n/33\n", &mut losses);
    assert_eq!(losses.lines, 2);
    go.send(full()).unwrap();
    put(&mut stream, "/44\n", &mut losses);
    assert_eq!(losses.lines, 3);
    drop(go);
    put(&mut stream, "/55\n", &mut losses);
    assert_eq!(losses.lines, 3);
    drop(stream);
    assert_eq!(read.iter().flatten().collect::<Vec<u8>>(), b"/11\n/2\n/55\n");
}

fn syslog(address: SyslogAddress) -> AccessLog {
    let destination = Destination::Syslog { address, facility: 23, tag: "usher".to_owned() };
    AccessLog::open(&options(destination, template("{request.target}"))).unwrap()
}

fn is_message(message: &[u8], target: &str) -> bool {
    let text = String::from_utf8_lossy(message);
    let parts: Vec<&str> = text.splitn(8, ' ').collect();
    let process = std::process::id().to_string();
    parts[..2] == ["<190>1", "2026-07-27T17:31:45.678Z"]
        && parts[3..] == ["usher", &process, "-", "-", target]
}

#[test]
fn syslog_gets_a_message_for_each_line_over_udp() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink = syslog(SyslogAddress::Udp(daemon.local_addr().unwrap()));
    log(&sink, "/1");
    log(&sink, &"x".repeat(20_000));
    let mut buf = vec![0; 65_536];
    let len = daemon.recv(&mut buf).unwrap();
    assert!(is_message(&buf[..len], "/1"), "{:?}", String::from_utf8_lossy(&buf[..len]));
    assert_eq!(daemon.recv(&mut buf).unwrap(), 8192);
    assert_eq!(sink.dropped(), 0);
}

#[test]
fn syslog_over_a_local_socket_survives_a_restart_of_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = syslog(SyslogAddress::Unix(path.clone()));
    log(&sink, "/lost");
    sink.flush();
    assert_eq!(sink.dropped(), 1, "nobody listens yet");
    let mut buf = vec![0; 65_536];
    for target in ["/1", "/2"] {
        let _ = fs::remove_file(&path);
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        if target == "/1" {
            // Ends the time in which a daemon that failed is left alone.
            sink.reopen();
            sink.flush();
        }
        log(&sink, target);
        let len = daemon.recv(&mut buf).unwrap();
        let expected = format!("<190>usher[{}]: {target}", std::process::id());
        assert_eq!(String::from_utf8_lossy(&buf[..len]), expected);
    }
}

#[test]
fn a_sample_keeps_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut options = options(Destination::File(path.clone()), template("{status}"));
    options.logs[0].sample = "10%".parse().unwrap();
    let sink = AccessLog::open(&options).unwrap();
    let mut exchange = exchange();
    (0..2000).for_each(|_| sink.record(&view(&exchange)));
    exchange.record.status = 502;
    exchange.record.reason = "connect_failed";
    (0..50).for_each(|_| sink.record(&view(&exchange)));
    sink.flush();
    let text = fs::read_to_string(&path).unwrap();
    let count = |status| text.lines().filter(|line| *line == status).count();
    assert_eq!(count("502"), 50);
    assert!((120..280).contains(&count("200")), "{}", count("200"));
}

#[test]
fn options_come_from_the_config() {
    let read = |text: &str| {
        let mut sources = usher_config::Sources::new();
        let id = sources.add("test", "/srv", text.to_owned());
        let document = usher_config::read::read(&sources, id, usher_config::Format::Toml).unwrap();
        let mut context = usher_config::Context::new(&sources);
        let section = document.root.get("access_log").unwrap();
        let config =
            <usher_config::config::AccessLog as usher_config::Decode>::decode(section, &mut context).unwrap();
        let usher_config::config::AccessLog::On(config) = config else { panic!("off") };
        let options = AccessLogOptions::from_config(&config, &mut context);
        options.ok_or_else(|| context.finish().remove(0).message)
    };
    let file = read("access_log = { path = 'a.log', format = 'combined' }").unwrap();
    assert_eq!(file, options(Destination::File("/srv/a.log".into()), LineFormat::Combined));
    let several = read("access_log = ['a.log', { format = 'combined', query = false }]").unwrap();
    let logs = vec![
        one(Destination::File("/srv/a.log".into()), LineFormat::Json),
        LogOptions { query: false, ..one(Destination::Stdout, LineFormat::Combined) },
    ];
    assert_eq!(several, AccessLogOptions { logs });
    for text in ["access_log = { format = '{statsu}' }", "access_log = ['a.log', { format = '{statsu}' }]"] {
        let error = read(text).unwrap_err();
        assert!(error.contains("`{statsu}`"), "{error}");
    }
}

#[test]
fn each_place_gets_its_own_lines() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.log", "b.log"].map(|name| folder.path().join(name));
    let formats = ["{request.target}", "{status}"];
    let mut logs: Vec<_> = paths
        .iter()
        .zip(formats)
        .map(|(path, format)| one(Destination::File(path.clone()), template(format)))
        .collect();
    logs[0].query = false;
    let sink = AccessLog::open(&AccessLogOptions { logs }).unwrap();
    log(&sink, "/1?secret");
    log(&sink, "/2");
    sink.flush();
    assert_eq!(paths.map(|path| fs::read_to_string(path).unwrap()), ["/1\n/2\n", "200\n200\n"]);
}
