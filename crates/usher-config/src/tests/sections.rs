//! What `section!` and `names!` make, and what holds for a route.

use std::time::Duration;

use crate::config::{Config, RouteTimeouts};
use crate::decode::decode_text;
use crate::{Decode, Format, Input, LoadOptions, Loaded, Node, OneOrMany, Section, Spanned, load};

crate::names! {
    /// Which way.
    enum Way {
        /// In.
        Inward = "inward",
        /// Out.
        Outward = "outward",
    }
}

crate::section! {
    /// A door.
    #[bare(r#type)]
    struct Door {
        /// Its kind.
        pub r#type: String,
        /// Its way.
        pub way: Way = Way::Inward,
        /// Its code.
        #[key("pin")] #[range(1..=9)] #[check(odd)]
        pub code: Option<u8>,
        /// Its handles.
        pub handles: Vec<Spanned<Handle>> = Vec::new(),
        ..
        /// What else.
        rest
    }
}

crate::section! {
    /// A handle.
    default struct Handle {
        /// How long one may hold it.
        #[range(..=Duration::from_secs(9))]
        pub hold: Duration = Duration::from_secs(1),
        /// Who may.
        pub who: OneOrMany<String> = OneOrMany(vec!["all".to_owned()]),
        /// Left to somebody else.
        pub opaque: Option<Node>,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the signature of checks")]
fn odd(code: &Option<u8>) -> Result<(), String> {
    if code.is_none_or(|code| code % 2 == 1) { Ok(()) } else { Err("the code is even".to_owned()) }
}

/// The messages for a door that is written as the key `door`.
fn messages(door: &str) -> Vec<String> {
    crate::section! {
        /// A house.
        struct House {
            /// Its door.
            pub door: Door,
        }
    }
    match decode_text::<House>(&format!("door = {door}"), Format::Toml) {
        Ok(_) => Vec::new(),
        Err(report) => report.diagnostics().iter().map(|found| found.message.clone()).collect(),
    }
}

#[test]
fn sections_read_defaults_shorthands_and_other_keys() {
    assert_eq!(Door::KEYS, ["type", "way", "pin", "handles"]);
    assert_eq!(Way::Outward.name(), "outward");
    let door = decode_text::<Door>("type = 'a'\nhandles = [{ hold = '2s' }, {}]\nextra = 5", Format::Toml)
        .expect("valid");
    assert_eq!((door.r#type.as_str(), door.way, door.code), ("a", Way::Inward, None));
    assert_eq!(door.handles.iter().map(|handle| handle.hold.as_secs()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(door.handles[1].who.0, Handle::default().who.0);
    assert_eq!(door.rest[0].0.name, "extra");
    assert!(door.handles[0].opaque.is_none());
    assert!(messages("'bare'").is_empty());
}

#[test]
fn sections_report_every_mistake() {
    for (door, expected) in [
        ("{}", vec!["the key `type` is required"]),
        ("5", vec!["expected a text, found the number `5`"]),
        ("{ type = 'a', way = 'inwrd' }", vec!["unknown name `inwrd`"]),
        ("{ type = 'a', pin = 4 }", vec!["the code is even"]),
        ("{ type = 'a', pin = 11 }", vec!["`11` is out of range: `1` to `9` can be written here"]),
        ("{ type = 'a', pin = 300 }", vec!["`300` is out of range: `1` to `9` can be written here"]),
        (
            "{ type = 'a', handles = [{ hold = '10s' }] }",
            vec!["`10s` is out of range: `9s` or less can be written here"],
        ),
        (
            "{ type = 'a', handles = [{ hlod = '1s', who = [] }, 5] }",
            vec!["unknown key `hlod`", "the list is empty", "expected a table, found the number `5`"],
        ),
    ] {
        assert_eq!(messages(door), expected, "{door}");
    }
}

fn config(text: &str) -> Config {
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &["a", "b", "c"] };
    let input = Input::Text { name: "test".to_owned(), bytes: text.into() };
    load(input, &options).and_then(Loaded::sound).unwrap_or_else(|report| panic!("{report}")).config
}

#[test]
fn a_route_comes_before_its_bundles_and_the_defaults() {
    let config = config(
        r#"
        [defaults]
        a = "default"
        b = "default"
        timeouts = { idle = "1s", connect = "1s" }
        error_pages = { 404 = "default-404", 5xx = "default-5xx" }
        [bundle.one]
        b = "one"
        c = "one"
        limits = { body = "1KB" }
        timeouts = { idle = "2s", first_byte = "2s" }
        [bundle.two]
        c = "two"
        error_pages = { 4xx = "two-4xx" }
        timeouts = { idle = "3s" }
        [[route]]
        use = ["one", "two"]
        b = "off"
        timeouts = { write_stall = "9s" }
        "#,
    );
    let settings = config.settings(&config.routes[0]);
    let filters =
        settings.extensions.iter().map(|(key, node)| (key.name.as_str(), node.as_str().unwrap_or_default()));
    assert_eq!(filters.collect::<Vec<_>>(), [("c", "two"), ("a", "default")]);
    let RouteTimeouts { write_stall, connect, first_byte, idle, .. } = settings.timeouts;
    let seconds = [write_stall, connect, first_byte, idle].map(|wait| wait.map_or(0, |wait| wait.as_secs()));
    assert_eq!(seconds, [9, 1, 2, 3]);
    assert_eq!(settings.limits.body.and_then(crate::SizeLimit::bytes), Some(1000));
    let page = |status| settings.error_page(status).map(|page| page.encode()["file"].to_string());
    assert_eq!(page(404).as_deref(), Some("\"two-4xx\""));
    assert_eq!(page(500).as_deref(), Some("\"default-5xx\""));
    assert_eq!(page(302), None);
}

#[test]
fn names_far_from_any_are_not_guessed() {
    for (written, expected) in [
        ("least_request", Some("least_requests")),
        ("LeastRequests", Some("least_requests")),
        ("round", Some("round_robin")),
        ("lesat_requests", Some("least_requests")),
        ("zzz", None),
        ("", None),
    ] {
        assert_eq!(
            crate::closest(written, ["least_requests", "round_robin", "random"]),
            expected,
            "{written}"
        );
    }
}
