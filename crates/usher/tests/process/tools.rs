//! `init`, `schema`, `completions`, `man`.

use std::fs;

use tempfile::tempdir;

use crate::harness::run;

#[test]
fn the_starter_config_passes() {
    let dir = tempdir().unwrap();
    let done = run(dir.path(), &["init"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let done = run(dir.path(), &["check"]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    // Not a second time, unless told.
    fs::write(dir.path().join("usher.toml"), "mine").unwrap();
    assert_eq!(run(dir.path(), &["init"]).code, Some(1));
    assert_eq!(fs::read_to_string(dir.path().join("usher.toml")).unwrap(), "mine");
    assert_eq!(run(dir.path(), &["init", "--force"]).code, Some(0));
    assert_eq!(run(dir.path(), &["check"]).code, Some(0));
}

#[test]
fn the_starter_config_has_the_format_of_its_name() {
    let dir = tempdir().unwrap();
    for (file, part) in
        [("x.yaml", "\nlistener:\n"), ("x.yml", "\n# "), ("x.json", "{\n"), ("x.toml", "[[listener]]")]
    {
        let done = run(dir.path(), &["init", file]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.out.contains(&format!("`usher check {file}` and `usher run {file}`")), "{done:?}");
        let text = fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(text.contains(part), "{file}:\n{text}");
        assert!(!text.contains("\nwatch"), "{file} sets what is no default:\n{text}");
        let done = run(dir.path(), &["check", file]);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    }
    for file in ["x.conf", "x"] {
        let done = run(dir.path(), &["init", file]);
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.err.contains("`.json`") && !dir.path().join(file).exists(), "{done:?}");
    }
}

#[test]
fn the_schema_knows_the_extensions() {
    let dir = tempdir().unwrap();
    let schema = run(dir.path(), &["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.out).expect("is JSON");
    let text = schema.to_string();
    let reference = run(dir.path(), &["schema", "--reference"]).out;
    for name in ["rate_limit", "basic_auth", "static_files", "least_requests"] {
        assert!(text.contains(&format!("\"{name}\"")), "{name} is not in the schema");
        assert!(reference.contains(&format!("`{name}`")), "{name} is not in the reference");
    }
}

#[test]
fn completions_and_pages_are_made() {
    let dir = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(dir.path(), &["completions", shell]);
        assert!(done.code == Some(0) && done.out.contains("explain"), "{shell}");
    }
    let page = run(dir.path(), &["man"]).out;
    for part in [
        ".TH usher 1",
        "usher \\- HTTP/1.1 reverse proxy\n",
        "\n.SH EXAMPLES\n",
        "\n.SH \"EXIT STATUS\"\n",
        "\n.SH FILES\n",
    ] {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    assert!(!page.contains("EXTRA"), "{page}");
    assert_eq!(run(dir.path(), &["man", "pages"]).code, Some(0));
    for page in ["usher.1", "usher-run.1", "usher-explain.1"] {
        assert!(dir.path().join("pages").join(page).is_file(), "{page}");
    }
}
