use std::path::Path;

use super::{AccessLog, LogTarget, RouteLog};
use crate::Format;
use crate::decode::{Decode, decode_text};

crate::section! {
    /// A config with nothing but a log.
    struct Only {
        /// Where to.
        pub log: AccessLog,
    }
}

fn log(text: &str) -> Result<AccessLog, String> {
    let only: Result<Only, _> = decode_text(&format!("log = {text}"), Format::Toml);
    only.map(|only| only.log).map_err(|report| report.to_string())
}

#[test]
fn a_log_goes_to_one_place_or_several() {
    for (text, count) in [
        ("'off'", 0),
        ("'stdout'", 1),
        ("'/a.log'", 1),
        ("{ format = 'combined' }", 1),
        ("['/a.log']", 1),
        ("['stdout', '/a.log', { path = '/b.log', query = false }]", 3),
    ] {
        let log = log(text).unwrap();
        let places = match &log {
            AccessLog::Off => 0,
            AccessLog::On(places) => places.len(),
        };
        assert_eq!(places, count, "{text}");
        let again = self::log(&log.encode().to_string().replace("\":", "\"=")).unwrap();
        assert_eq!(again.encode(), log.encode(), "{text} is read again as it is written");
    }
}

#[test]
fn what_makes_no_list_of_places_is_told() {
    let nine = format!("[{}]", (0..9).map(|i| format!("'/{i}'")).collect::<Vec<_>>().join(","));
    for (text, told) in [
        ("[]", "goes to 0 places"),
        (nine.as_str(), "goes to 9 places"),
        ("['off', '/a.log']", "`off` is no place"),
        ("['/a.log', { path = '/a.log', format = 'combined' }]", "goes there twice"),
        ("['/a.log', ['/b.log']]", "a list"),
        ("['', 7]", "the path is empty"),
    ] {
        let error = log(text).unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    std::fs::write(&there, "").unwrap();
    let warnings = |path: &Path| {
        let text = format!("access_log = {{ syslog = 'unix:{}' }}", path.display());
        let input = crate::Input::Text { name: "a.toml".to_owned(), bytes: text.into_bytes() };
        let options = crate::LoadOptions { format: None, env: &|_| None, known_filters: &[] };
        let loaded = crate::load(input, &options).unwrap();
        let AccessLog::On(places) = &loaded.config.access_log else { panic!("off") };
        assert!(matches!(places[0].target, LogTarget::Syslog(_)));
        loaded.warnings.iter().filter(|warning| warning.message.contains("no syslog daemon")).count()
    };
    assert_eq!((warnings(&there), warnings(&folder.path().join("gone"))), (0, 1));
}

#[test]
fn routes_bundles_and_defaults_say_whether_and_not_where() {
    let read = |text: &str| decode_text::<crate::config::Config>(text, Format::Toml);
    let config = read(
        "[defaults]\naccess_log = 'off'\n[bundle.b]\naccess_log = 'on'\n[[listener]]\nbind = ':1'\naccess_log = 'off'\n\
         [[route]]\nto = 'a:1'\n[[route]]\nto = 'a:1'\nuse = 'b'\n[[route]]\nto = 'a:1'\nuse = 'b'\naccess_log = 'off'",
    )
    .unwrap();
    let routes = config.routes.iter().map(|route| config.settings(route).access_log);
    assert!(routes.eq([RouteLog::Off, RouteLog::On, RouteLog::Off].map(Some)));
    assert_eq!(config.unrouted().access_log, Some(RouteLog::Off));
    assert_eq!(config.listeners[0].access_log, RouteLog::Off);
    let error = read("[[route]]\nto = 'a:1'\naccess_log = '/a.log'").unwrap_err().to_string();
    assert!(error.contains("whether requests are logged, not where"), "{error}");
}
