use super::*;

fn shell(script: &str, limit: Duration) -> Command {
    let arguments = vec!["-c".to_owned(), script.to_owned(), "hook".to_owned()];
    Command::new(CommandOptions { program: "/bin/sh".into(), arguments, limit })
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn gives_arguments_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls");
    let script = format!(
        "echo \"$1 $2 $3 $USHER_DNS_ACTION $USHER_DNS_NAME $USHER_DNS_VALUE $USHER_DNS_DOMAIN\" >> {}",
        file.display()
    );
    let hook = shell(&script, LONG);
    hook.set("_acme-challenge.a.example", "-v$(id)").await.unwrap();
    hook.remove("_acme-challenge.a.example", "-v$(id)").await.unwrap();
    let calls = std::fs::read_to_string(file).unwrap();
    let line = |action| {
        format!(
            "{action} _acme-challenge.a.example -v$(id) {action} _acme-challenge.a.example -v$(id) a.example\n"
        )
    };
    assert_eq!(calls, line("set") + &line("remove"));
}

#[tokio::test]
async fn says_why_it_failed() {
    let error = shell("echo no such zone >&2; exit 3", LONG).set("n", "v").await.unwrap_err().to_string();
    assert!(error.contains("no such zone") && error.contains("exit status: 3"), "{error}");
    let missing =
        Command::new(CommandOptions::new("/nonexistent/hook")).set("n", "v").await.unwrap_err().to_string();
    assert!(missing.contains("cannot be started"), "{missing}");
}

#[tokio::test]
async fn ends_with_its_time_even_if_children_hold_the_pipe() {
    let error = shell("sleep 300 & sleep 300", Duration::from_millis(50))
        .set("n", "v")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("was killed"), "{error}");
    // A child that stays behind does not hold up a success.
    shell("sleep 300 & exit 0", LONG).set("n", "v").await.unwrap();
}

#[tokio::test]
async fn a_talkative_program_is_not_stopped_by_a_full_pipe() {
    shell("head -c 300000 /dev/zero >&2", LONG).set("n", "v").await.unwrap();
}

#[tokio::test]
async fn it_runs_once_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("mkdir {0} || exit 9; sleep 0.1; rmdir {0}", folder.path().join("busy").display());
    let hook = shell(&script, LONG);
    let (first, second) = tokio::join!(hook.set("n", "v"), hook.remove("n", "w"));
    assert_eq!((first, second), (Ok(()), Ok(())));
}
