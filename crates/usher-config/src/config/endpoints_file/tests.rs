use std::path::Path;

use super::EndpointsFile;

/// `address*weight`, or the report.
fn read(name: &str, text: &str) -> String {
    match EndpointsFile::read(Path::new(name), text.as_bytes().to_vec()) {
        Ok((file, _)) => {
            let shown = file.endpoints.iter().map(|one| format!("{}*{}", one.address.value, one.weight));
            shown.collect::<Vec<_>>().join(" ")
        }
        Err(report) => report.to_string(),
    }
}

#[test]
fn all_forms_say_the_same() {
    for (name, text) in [
        ("a.toml", "endpoints = ['10.0.0.1:80', { address = 'b:81', weight = 5 }]"),
        ("a.yaml", "endpoints:\n- 10.0.0.1:80\n- address: b:81\n  weight: 5\n"),
        ("a.json", r#"{"endpoints": ["10.0.0.1:80", {"address": "b:81", "weight": 5}]}"#),
        ("a.txt", "# two\n\n10.0.0.1:80\r\n  b:81\t5 # more\n"),
        ("a", "10.0.0.1:80\nb:81 5\n"),
    ] {
        assert_eq!(read(name, text), "10.0.0.1:80*1 b:81*5", "{name}");
    }
    for (name, text) in [("a.toml", "endpoints = []"), ("a.txt", "# nobody now\n")] {
        assert_eq!(read(name, text), "", "{name}");
    }
}

#[test]
fn what_is_wrong_has_its_place() {
    for (name, text, said) in [
        ("a.toml", "", "`endpoints` is required"),
        ("a.toml", "endpoints = ['10.0.0.1:80',", "a.toml:1"),
        ("a.toml", "endpoints = ['10.0.0.1', 'b']", "2 errors"),
        ("a.toml", "endpoints = ['a:1']\n[[route]]", "unknown key `route`"),
        ("a.yaml", "endpoints:\n- 10.0.0.1:80\n- 10.0.0.2:8", "may be half-written"),
        ("a.json", "[\"10.0.0.1:80\"]", "not a table"),
        ("a.txt", "", "the file is empty"),
        ("a.txt", "10.0.0.1:80\n10.0.0.2:8", "a.txt:2:1"),
        ("a.txt", "10.0.0.1:80\n10.0.0.2\n", "add the port: `10.0.0.2:80`"),
        ("a.txt", "a:80 many\n", "a.txt:1:6"),
        ("a.txt", "a:80 70000\n", "out of range"),
        ("a.txt", "a:80 1 2\n", "there is more in the line"),
    ] {
        let told = read(name, text);
        assert!(told.contains(said), "{name}: {told}");
    }
    assert!(EndpointsFile::read(Path::new("a.txt"), vec![0xff, b'\n']).is_err());
}
