//! Which crate may use which.

use serde_json::Value;

use crate::paths;

/// Crates of the product by layer: each may use those of lower layers only, except in its tests.
const LAYERS: &[(u32, &[&str])] = &[
    (3, &["usher"]),
    (2, &["usher-engine", "usher-extensions", "usher-admin", "usher-certs"]),
    (1, &["usher-api", "usher-wire", "usher-route", "usher-cache", "usher-waf"]),
    (0, &["usher-http", "usher-config", "usher-net"]),
];

/// Crates that are no part of the product: they may use any, the product may use them in tests only.
const DEV: &[&str] = &["usher-testkit", "xtask", "usher-bench"];

pub(super) fn check() -> Result<Vec<String>, String> {
    let metadata = paths::metadata()?;
    let packages = metadata["packages"].as_array().ok_or("`cargo metadata` lists no packages")?;
    Ok(packages.iter().flat_map(broken_by).collect())
}

fn layer(name: &str) -> Option<u32> {
    LAYERS.iter().find(|(_, names)| names.contains(&name)).map(|(layer, _)| *layer)
}

fn broken_by(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    if DEV.contains(&name) {
        return Vec::new();
    }
    let Some(own) = layer(name) else {
        return vec![format!("{name} has no layer: give it one in crates/xtask/src/invariants/layers.rs")];
    };
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies.filter_map(|dependency| problem(name, own, dependency)).collect()
}

/// What is wrong with one dependency; those from outside the workspace have no path and are not looked at.
fn problem(name: &str, own: u32, dependency: &Value) -> Option<String> {
    dependency["path"].as_str()?;
    let other = dependency["name"].as_str()?;
    let in_tests = dependency["kind"] == "dev";
    if DEV.contains(&other) {
        return (!in_tests)
            .then(|| format!("{name} uses {other}, which is for tests: make it a dev-dependency"));
    }
    let below = layer(other).is_some_and(|layer| layer < own);
    (!below && !in_tests).then(|| format!("{name} (layer {own}) uses {other}, which is not below it"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arrows_go_down() {
        let cases = [
            ("usher", "usher-engine", Value::Null, true),
            ("usher-engine", "usher-http", Value::Null, true),
            ("usher-engine", "usher-extensions", Value::Null, false),
            ("usher-engine", "usher-extensions", json!("dev"), true),
            ("usher-http", "usher-config", Value::Null, false),
            ("usher-http", "usher-api", Value::Null, false),
            ("usher-http", "usher-testkit", json!("dev"), true),
            ("usher-http", "usher-testkit", Value::Null, false),
            ("usher-testkit", "usher", Value::Null, true),
            ("usher-surprise", "usher-http", Value::Null, false),
        ];
        for (from, to, kind, fine) in cases {
            let dependency = json!({ "name": to, "kind": kind, "path": "/somewhere" });
            let package = json!({ "name": from, "dependencies": [dependency] });
            assert_eq!(broken_by(&package).is_empty(), fine, "{from} → {to}");
        }
    }
}
