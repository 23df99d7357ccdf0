//! Runs the configs under `cases/` of every filter, and the examples of every `README.md`.
//!
//! `cases/NAME.toml` holds the filter's key at the top; `cases/NAME.toml.txt` holds what is said about it. Without
//! that file, nothing may be said. `USHER_BLESS=1 cargo test -p usher-extensions` writes the second from the first.

use std::path::{Path, PathBuf};

use usher_api::{BuildContext, Carry, FilterFactory, OnRoute};
use usher_config::read::read;
use usher_config::{Config, Context, Format, Report, Sources};

use super::FILTERS;
use super::testing::try_build;

fn folder(factory: &FilterFactory) -> PathBuf {
    Path::new("src/filters").join(factory.name)
}

fn cases(factory: &FilterFactory) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(factory).join("cases")).expect("every filter has cases");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    found
}

#[test]
fn cases_say_what_they_shall() {
    let mut wrong = Vec::new();
    for factory in FILTERS {
        let cases = cases(factory);
        assert!(cases.len() >= 2, "{} has good and bad cases", factory.name);
        for path in cases {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let directory = folder(factory).join("cases");
            let source = (name, directory.to_str().expect("UTF-8"), text.as_str());
            let (filter, said) = try_build(factory, source, &mut Carry::default());
            assert_eq!(
                filter.is_none(),
                said.contains("error"),
                "{}: built without errors only\n{said}",
                path.display()
            );
            let expected_path = path.with_extension("toml.txt");
            if std::env::var_os("USHER_BLESS").is_some() && !said.is_empty() {
                std::fs::write(&expected_path, &said).expect("writable");
            }
            let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
            if said != expected {
                wrong.push(format!("{}\n--- expected\n{expected}--- said\n{said}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The blocks of TOML in a page.
fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn pages_have_examples_that_work() {
    let known: Vec<&str> = FILTERS.iter().map(|factory| factory.name).collect();
    for factory in FILTERS {
        let page =
            std::fs::read_to_string(folder(factory).join("README.md")).expect("every filter has a page");
        let examples = examples(&page);
        assert!(!examples.is_empty(), "the page of {} has an example", factory.name);
        for example in examples {
            let mut sources = Sources::new();
            let id = sources.add("README.md", folder(factory).join("cases"), example.to_owned());
            let document = read(&sources, id, Format::Toml).unwrap_or_else(|found| panic!("{found:?}"));
            let mut context = Context::new(&sources);
            let config = Config::from_document(&document, &known, &mut context).expect("a config");
            let mut used = false;
            for route in &config.routes {
                for (key, node) in config.settings(route).extensions {
                    let found =
                        FILTERS.iter().find(|factory| factory.name == key.name).expect("a known filter");
                    let mut carry = Carry::default();
                    let mut cx = BuildContext {
                        config: &mut context,
                        carry: &mut carry,
                        scope: "route",
                        route: OnRoute::default(),
                    };
                    used |= (found.build)(node, &mut cx).is_some() && found.name == factory.name;
                }
            }
            let failed = context.has_errors();
            let said = Report::new(context.finish(), sources).render(false);
            assert!(!failed, "{}: {said}", factory.name);
            assert!(used, "an example of {} uses it", factory.name);
        }
    }
}

#[test]
fn pages_name_every_option() {
    for factory in FILTERS {
        let page =
            std::fs::read_to_string(folder(factory).join("README.md")).expect("every filter has a page");
        let schema = (factory.schema)();
        let table = schema.as_table().expect("a section is a table");
        assert!(!table.doc.is_empty() && !factory.summary.is_empty(), "{} says what it is for", factory.name);
        for option in &table.fields {
            assert!(!option.doc.is_empty(), "{}.{} says what it does", factory.name, option.key);
            let named = page.contains(&format!("| `{}` |", option.key));
            assert!(named, "the page of {} has a row for `{}`", factory.name, option.key);
        }
    }
}

#[test]
fn names_are_unique() {
    for (at, factory) in FILTERS.iter().enumerate() {
        assert!(
            FILTERS[at + 1..].iter().all(|other| other.name != factory.name),
            "{} is there twice",
            factory.name
        );
    }
}
