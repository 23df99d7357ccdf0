//! Files, secrets, and where they are looked for.

use std::fs;
use std::path::PathBuf;

use crate::{Decode, Diagnostic, Format, Input, LoadOptions, Loaded, Report, Secret, Sources, load};

fn options() -> LoadOptions<'static> {
    LoadOptions { format: None, env: &|_| None, known_filters: &[] }
}

fn from_text(text: &str) -> Result<Loaded, Box<Report>> {
    read(text)?.sound()
}

/// With what is wrong with it.
fn read(text: &str) -> Result<Loaded, Box<Report>> {
    load(Input::Text { name: "<stdin>".to_owned(), bytes: text.into() }, &options())
}

#[test]
fn a_missing_file_and_a_folder_are_told_plainly() {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, part) in
        [(folder.path().join("a.toml"), "there is no such file"), (folder.path().into(), "it is a directory")]
    {
        let report = load(Input::Path(path), &options()).expect_err("an error").to_string();
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn the_format_of_a_text_without_a_name_is_told_by_its_first_line() {
    for text in [
        " {\"workers\": 3}",
        "workers = 3",
        "\u{feff}workers = 3",
        "# workers: 2\n\n workers = 3 # a: b",
        "\"workers\"=3",
        "[limits]\nfields = 5\n[[route]]\nto = 'a:1'\n",
        "workers: 3",
        "# a comment = none\nworkers : 3\n",
        "\"workers\": 3",
        "---\nworkers: 3\n",
        "route:\n  - to: app:3000\nworkers: 3\n",
        "",
    ] {
        let config = read(text).unwrap_or_else(|report| panic!("{text}: {report}")).config;
        assert_eq!(config.workers, text.contains("workers").then_some(3), "{text}");
    }
    let list = from_text("[{\"workers\": 3}]").expect_err("a list").to_string();
    assert!(list.contains("not a table of settings"), "{list}");
}

#[test]
fn the_case_of_an_extension_does_not_matter() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("USHER.YML");
    fs::write(&path, "workers: 3\n").expect("a file");
    assert_eq!(load(Input::Path(path), &options()).expect("YAML").config.workers, Some(3));
}

/// A variable without a value hides no other mistake, and is not told twice.
#[test]
fn mistakes_are_told_beside_unset_variables() {
    let report =
        from_text("workers = '${UNSET}'\nwatch = 5\n[[route]]\nto = ['a:1', '${UNSET}']\nhots = 'x'\n");
    let report = report.expect_err("errors");
    let messages: Vec<&str> = report.diagnostics().iter().map(|found| found.message.as_str()).collect();
    let unset = "the environment variable `UNSET` is not set";
    assert_eq!(
        messages,
        [unset, "expected `true` or `false`, found the number `5`", unset, "unknown key `hots`"]
    );
}

#[test]
fn utf_16_is_named() {
    let bytes = [0xff, 0xfe, b'a', 0];
    let report = load(Input::Text { name: "<stdin>".to_owned(), bytes: bytes.into() }, &options());
    assert!(report.expect_err("an error").to_string().contains("UTF-16"));
}

#[test]
fn included_files_are_relative_to_the_including_one_and_sorted() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("usher.toml", "include = [\"*/site?.*\"]\n[[route]]\nname = \"first\"\nto = \"a:1\"\n");
    write("b/site2.toml", "[[route]]\nname = \"b2\"\nto = \"a:1\"\n");
    write("a/site1.toml", "include = \"more.json\"\n[[route]]\nname = \"a1\"\nto = \"a:1\"\n");
    write("a/more.json", r#"{"route": [{"name": "more", "to": "a:1"}]}"#);
    write("a/.site3.toml", "not read");
    let loaded = load(Input::Path(folder.path().join("usher.toml")), &options()).expect("valid");
    let names =
        loaded.config.routes.iter().filter_map(|route| route.name.as_ref()).map(|name| name.value.clone());
    assert_eq!(names.collect::<Vec<_>>(), ["first", "a1", "more", "b2"]);
    assert_eq!(loaded.files.len(), 4);
}

#[test]
fn chains_of_files_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..20 {
        let text = format!("include = \"{}.toml\"\n", number + 1);
        fs::write(folder.path().join(format!("{number}.toml")), text).expect("a file");
    }
    let report =
        load(Input::Path(folder.path().join("0.toml")), &options()).expect_err("an error").to_string();
    assert!(report.contains("more than 8 levels deep"), "{report}");
}

#[test]
fn secrets_come_from_files_beside_the_config() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), "hunter2\r\n").expect("a file");
    let mut sources = Sources::new();
    let text = "inline = \"x\"\nfile = { file = \"key\" }\nmissing = { file = \"no\" }\nnumber = 5\n";
    let id = sources.add("usher.toml", folder.path(), text.to_owned());
    let document = crate::read::read(&sources, id, Format::Toml).expect("valid");
    let mut cx = crate::Context::new(&sources);
    let mut secret = |name: &str| Secret::decode(document.root.get(name).expect("a key"), &mut cx);
    assert_eq!(secret("inline"), Some(Secret::new("x")));
    assert_eq!(secret("file"), Some(Secret::new("hunter2")));
    assert_eq!((secret("missing"), secret("number")), (None, None));
    assert_eq!(cx.take_files(), [folder.path().join("key"), folder.path().join("no")].map(PathBuf::from));
    let messages: Vec<&str> = cx.diagnostics().iter().map(|found| found.message.as_str()).collect();
    assert!(messages[0].contains("no") && !messages[1].contains('5'), "{messages:?}");
}

#[test]
fn later_findings_are_shown_against_the_same_lines() {
    let loaded = from_text("[[route]]\nhost = \"~(\"\nto = \"a:1\"\n").expect("valid");
    let span = loaded.config.routes[0].host[0].span;
    let text = loaded.report(vec![Diagnostic::error("bad host").at(span, "here")]).to_string();
    assert!(text.contains("<stdin>:2:8") && text.contains("^^^^ here"), "{text}");
}

#[test]
fn what_is_shown_holds_no_control_characters_and_no_endless_lines() {
    let long = format!("\"worker\u{1b}[31m\" = \"{}\"\n", "x".repeat(10_000));
    let shown = from_text(&long.replace('\u{1b}', "\\u001b")).expect_err("an error").to_string();
    assert!(shown.len() < 1000 && !shown.contains('\u{1b}'), "{shown}");
    let coloured = from_text("worker = 1").expect_err("an error").render(true);
    assert!(coloured.contains("\u{1b}[1;31merror"), "{coloured}");
}

#[test]
fn very_many_errors_are_cut() {
    let text: String = (0..500).map(|number| format!("zzzzzz{number} = 1\n")).collect();
    let report = from_text(&text).expect_err("an error");
    assert_eq!(report.diagnostics().len(), 101);
    assert!(report.diagnostics()[100].message.contains("more than 100"), "{report}");
}

#[test]
fn ten_thousand_routes_and_clusters_are_read() {
    let mut text = String::new();
    for number in 0..10_000 {
        text.push_str(&format!("[[route]]\nhost = \"h{number}.example\"\ncluster = \"c{number}\"\n"));
        text.push_str(&format!("[cluster.c{number}]\nendpoints = \"10.0.0.1:80\"\n"));
    }
    let loaded = from_text(&text).expect("valid");
    assert_eq!((loaded.config.routes.len(), loaded.config.clusters.len()), (10_000, 10_000));
}
