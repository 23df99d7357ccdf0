//! Runs the options under `cases/` of every probe, and the examples of every `README.md`.
//!
//! `cases/NAME.toml` holds the probe's options at the top; `cases/NAME.toml.txt` holds what is said about them. Without
//! that file, nothing may be said. `USHER_BLESS=1 cargo test -p usher-extensions` writes the second from the first.

use std::path::{Path, PathBuf};

use usher_api::{BuildContext, Carry, OnRoute, ProbeFactory};
use usher_config::read::read;
use usher_config::{Config, Context, Format, Node, Report, Sources, Value};

use super::PROBES;
use super::testing::try_build;

fn folder(factory: &ProbeFactory) -> PathBuf {
    Path::new("src/probes").join(factory.name)
}

fn cases(factory: &ProbeFactory) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(factory).join("cases")).expect("every probe has cases");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    found
}

#[test]
fn cases_say_what_they_shall() {
    let mut wrong = Vec::new();
    for factory in PROBES {
        let cases = cases(factory);
        assert!(cases.len() >= 2, "{} has good and bad cases", factory.name);
        for path in cases {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let (probe, said) = try_build(factory, (name, ".", &text));
            assert_eq!(probe.is_none(), said.contains("error"), "{}\n{said}", path.display());
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

#[test]
fn pages_name_every_option() {
    for factory in PROBES {
        let page =
            std::fs::read_to_string(folder(factory).join("README.md")).expect("every probe has a page");
        let schema = (factory.schema)();
        let table = schema.as_table().expect("options are a table");
        assert!(!table.doc.is_empty() && !factory.summary.is_empty(), "{} says what it is for", factory.name);
        for option in &table.fields {
            assert!(!option.doc.is_empty(), "{}.{} says what it does", factory.name, option.key);
            let named = page.contains(&format!("| `{}` |", option.key));
            assert!(named, "the page of {} has a row for `{}`", factory.name, option.key);
        }
    }
}

/// The blocks of TOML in a page.
fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn examples_of_pages_work() {
    for factory in PROBES {
        let page =
            std::fs::read_to_string(folder(factory).join("README.md")).expect("every probe has a page");
        let mut used = false;
        for example in examples(&page) {
            let mut sources = Sources::new();
            let id = sources.add("README.md", ".", example.to_owned());
            let document = read(&sources, id, Format::Toml).unwrap_or_else(|found| panic!("{found:?}"));
            let mut context = Context::new(&sources);
            let config = Config::from_document(&document, &[], &mut context).expect("a config");
            for (_, cluster) in &config.clusters {
                let health = cluster.health.on().expect("it is about health");
                let name = health.probe.as_ref().map_or("http", |name| name.value.as_str());
                let found = PROBES.iter().find(|factory| factory.name == name).expect("a known probe");
                let options = Node::new(cluster.health.span, Value::Table(health.options.clone()));
                let mut carry = Carry::default();
                let (config, carry) = (&mut context, &mut carry);
                let mut cx = BuildContext { config, carry, scope: "health", route: OnRoute::default() };
                used |= (found.build)(&options, &mut cx).is_some() && name == factory.name;
            }
            let failed = context.has_errors();
            let said = Report::new(context.finish(), sources).render(false);
            assert!(!failed, "{}: {said}", factory.name);
        }
        assert!(used, "an example of {} uses it", factory.name);
    }
}

/// All probes' options are told in one section of the reference, beside those that all have.
#[test]
fn no_two_probes_have_an_option_of_the_same_name() {
    use usher_config::{Section as _, config::Health};
    let mut seen: Vec<String> = Health::KEYS.iter().map(|key| (*key).to_owned()).collect();
    for factory in PROBES {
        for field in (factory.schema)().as_table().expect("a table").fields.clone() {
            assert!(!seen.contains(&field.key), "{}.{} is there twice", factory.name, field.key);
            seen.push(field.key);
        }
    }
}
