use super::*;

/// A stand-in for the binary: a shell script that speaks as told, then sleeps.
fn script(folder: &Path, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("stand-in");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn replaces_placeholders_and_leaves_other_dollars() {
    let mut addresses = Addresses::default();
    addresses.add_endpoint("api", "127.0.0.1:1");
    addresses.add_endpoint("", "127.0.0.1:2");
    addresses.set_dir(Path::new("/d"));
    let text = "$ENDPOINT $ENDPOINT[api] $ENDPOINT[1] $DIR/x ${HOME} $LISTENER $5";
    let expected = "127.0.0.1:1 127.0.0.1:1 127.0.0.1:2 /d/x ${HOME} $LISTENER $5";
    assert_eq!(addresses.substitute(text).unwrap(), expected);
    let listen = addresses.substitute("$LISTEN").unwrap();
    assert_eq!(addresses.substitute("$LISTEN 127.0.0.1:$PORT").unwrap(), format!("{listen} {listen}"));
    assert_ne!(addresses.substitute("$LISTEN[b]").unwrap(), listen);
    assert_eq!(addresses.substitute("$ENDPOINT[no]").unwrap_err().kind, Kind::Usage);
}

#[test]
fn sums_the_series_of_a_metric() {
    let text = "# HELP a_total x\na_total{r=\"ok\"} 2\na_total{r=\"bad\"} 1\na_total_more 9\n";
    assert_eq!(sum_of_metric(text, "a_total"), Some(3.0));
    assert_eq!(sum_of_metric(text, "b_total"), None);
}

#[test]
fn shows_the_output_of_a_process_that_ends_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let binary = script(folder.path(), "echo to-out; echo to-err >&2; exit 3");
    let started = Usher::builder().config("bind = \"$LISTEN\"").binary(binary).start();
    let error = started.err().unwrap();
    assert_eq!(error.kind, Kind::Process);
    for part in ["to-out", "to-err", "exit status: 3"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn gives_config_files_and_arguments_and_signals() {
    let folder = tempfile::tempdir().unwrap();
    let body = "trap 'echo reloaded $(cat \"$3\")' HUP; trap 'echo bye; exit 4' TERM
        cat \"$3\" users.htpasswd; echo \"$1 $2 $4 $X\"; while :; do sleep 0.01; done";
    let mut usher = Usher::builder()
        .config("dir = \"$DIR\"\n")
        .file("users.htpasswd", "at $DIR\n")
        .argument("--more")
        .environment("X", "y")
        .binary(script(folder.path(), body))
        .start()
        .unwrap();
    usher.wait_for_output("run --config --more y", DEFAULT_TIMEOUT).unwrap();
    let dir = usher.dir().display().to_string();
    assert!(usher.output().contains(&format!("dir = \"{dir}\"\nat {dir}\n")), "{}", usher.output());
    usher.reload("second\n").unwrap();
    assert!(usher.output().contains("second"));
    usher.signal(Signal::Term).unwrap();
    assert_eq!(usher.wait_exit(DEFAULT_TIMEOUT).unwrap().code(), Some(4));
    assert!(usher.output().contains("bye"));
}

#[test]
fn kills_on_drop() {
    let folder = tempfile::tempdir().unwrap();
    let usher = Usher::builder().binary(script(folder.path(), "exec sleep 1000")).start().unwrap();
    let (pid, dir) = (usher.pid(), usher.dir().to_path_buf());
    drop(usher);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!dir.exists());
}
