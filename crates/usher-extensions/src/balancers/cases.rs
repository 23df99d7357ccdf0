//! Runs the configs under `cases/` of every balancer with options, and the examples of every `README.md`.
//!
//! `cases/NAME.toml` holds `balance`; `cases/NAME.toml.txt` holds what is said about it. Without that file, nothing may
//! be said. `USHER_BLESS=1 cargo test -p usher-extensions` writes the second from the first.

use std::path::{Path, PathBuf};

use usher_api::BalancerFactory;
use usher_config::read::read;
use usher_config::{Config, Context, Format, Report, Sources};

use super::BALANCERS;
use super::testing::{build_in, try_build};

fn folder(factory: &BalancerFactory) -> PathBuf {
    Path::new("src/balancers").join(factory.name)
}

fn page(factory: &BalancerFactory) -> String {
    std::fs::read_to_string(folder(factory).join("README.md")).expect("every balancer has a page")
}

fn cases(factory: &BalancerFactory) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder(factory).join("cases")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    found
}

#[test]
fn cases_say_what_they_shall() {
    let mut wrong = Vec::new();
    for factory in BALANCERS {
        let has_options = (factory.schema)().as_table().is_some_and(|table| !table.fields.is_empty());
        let cases = cases(factory);
        assert!(!has_options || cases.len() >= 2, "{} has good and bad cases", factory.name);
        for path in cases {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let directory = folder(factory).join("cases");
            let source = (name, directory.to_str().expect("UTF-8"), text.as_str());
            let (balance, said) = try_build(factory, source);
            assert_eq!(balance.is_none(), said.contains("error"), "{}\n{said}", path.display());
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
    for factory in BALANCERS {
        let page = page(factory);
        let examples = examples(&page);
        assert!(!examples.is_empty(), "the page of {} has an example", factory.name);
        for example in examples {
            let mut sources = Sources::new();
            let id = sources.add("README.md", ".", example.to_owned());
            let document = read(&sources, id, Format::Toml).unwrap_or_else(|found| panic!("{found:?}"));
            let mut context = Context::new(&sources);
            let config = Config::from_document(&document, &[], &mut context).expect("a config");
            let mut used = false;
            for (_, cluster) in config.clusters.iter() {
                let node = cluster.balance.as_ref().expect("a balancer");
                let name = node.as_str().or_else(|| node.get("policy")?.as_str());
                let options = Some(node).filter(|node| node.as_table().is_some());
                used |= name == Some(factory.name) && build_in(factory, options, &mut context).is_some();
            }
            let failed = context.has_errors();
            let said = Report::new(context.finish(), sources).render(false);
            assert!(used && !failed, "{}: {said}", factory.name);
        }
    }
}

#[test]
fn pages_name_every_option() {
    for factory in BALANCERS {
        let (page, schema) = (page(factory), (factory.schema)());
        let table = schema.as_table().expect("a section is a table");
        assert!(!table.doc.is_empty() && !factory.summary.is_empty(), "{} says what it is for", factory.name);
        assert!(page.contains(&format!("\"{}\"", factory.name)), "the page of {} shows it", factory.name);
        for option in &table.fields {
            assert!(!option.doc.is_empty(), "{}.{} says what it does", factory.name, option.key);
            let named = page.contains(&format!("| `{}` |", option.key));
            assert!(named, "the page of {} has a row for `{}`", factory.name, option.key);
        }
    }
}

#[test]
fn names_are_unique() {
    for (at, factory) in BALANCERS.iter().enumerate() {
        assert!(BALANCERS[at + 1..].iter().all(|other| other.name != factory.name), "{}", factory.name);
    }
}
