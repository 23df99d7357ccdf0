//! `usher endpoints`

use serde_json::{Map, Value, json};

use super::admin_client::Asked;
use crate::cli::{AskArgs, EndpointsArgs, EndpointsCommand, SetArgs};
use crate::terminal::{Failure, print, say};

pub(super) fn run(args: &EndpointsArgs) -> Result<(), Failure> {
    if let (Some(cluster), Some(state)) = (&args.set.cluster, &args.breaker) {
        let target = format!("/clusters/{}/breaker", escaped(cluster));
        return change(&asked(&args.set.ask)?, ("PUT", &target), &json!({ "state": state }));
    }
    match &args.command {
        None if args.set.cluster.is_none() => show(&asked(&args.set.ask)?, args.json),
        None => set(&args.set),
        Some(EndpointsCommand::Set(args)) => set(args),
        Some(EndpointsCommand::Add(args)) => {
            let labels: Map<String, Value> =
                args.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let one = |address: &String| {
                let mut one = json!({ "address": address, "weight": args.weight, "priority": args.priority });
                if let Some(one) = one.as_object_mut() {
                    one.retain(|_, value| !value.is_null());
                    if !labels.is_empty() {
                        one.insert("labels".to_owned(), Value::Object(labels.clone()));
                    }
                }
                one
            };
            let all: Vec<Value> = args.endpoints.iter().map(one).collect();
            edit(&asked(&args.ask)?, &args.cluster, &json!({ "add": all }))
        }
        Some(EndpointsCommand::Remove(args)) => {
            edit(&asked(&args.ask)?, &args.cluster, &json!({ "remove": args.endpoints }))
        }
    }
}

fn asked(args: &AskArgs) -> Result<Asked, Failure> {
    match &args.admin {
        Some(address) => Ok(Asked::named(address.clone())),
        None => Asked::configured(&args.config),
    }
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let Some(cluster) = args.cluster.as_deref().filter(|_| !args.endpoints.is_empty()) else {
        return Err(Failure::with_help("nothing is to be changed", "name endpoints, or add `--breaker`"));
    };
    let wanted = wanted(args)?;
    let all: Map<String, Value> = args.endpoints.iter().map(|one| (one.clone(), wanted.clone())).collect();
    let target = format!("/clusters/{}", escaped(cluster));
    change(&asked(&args.ask)?, ("PATCH", &target), &Value::Object(all))
}

fn change(asked: &Asked, (method, target): (&str, &str), body: &Value) -> Result<(), Failure> {
    let (status, report) = asked.send(method, target, &body.to_string())?;
    if status == 200 {
        return print(&report);
    }
    say(&report);
    Err(Failure::Said)
}

/// Adds or removes endpoints.
fn edit(asked: &Asked, cluster: &str, patch: &Value) -> Result<(), Failure> {
    let target = format!("/clusters/{}/endpoints", escaped(cluster));
    let (status, report) = asked.send("PATCH", &target, &patch.to_string())?;
    if status == 200 {
        return print(&report);
    }
    say(&problem(&report));
    Err(Failure::Said)
}

/// What a refusal says, for people.
fn problem(report: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Value>(report) else { return report.to_owned() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out: String = errors.iter().map(|one| format!("error: {}\n", text(&one["detail"]))).collect();
    out += &format!("{}\n", text(&problem["title"]));
    out
}

/// What each endpoint shall be.
fn wanted(args: &SetArgs) -> Result<Value, Failure> {
    let mut wanted = Map::new();
    if let Some(state) = &args.state {
        wanted.insert("state".to_owned(), json!(state));
    }
    if let Some(weight) = &args.weight {
        let number = weight.parse::<u16>().map(|weight| json!(weight));
        let weight = match number {
            Ok(number) => number,
            Err(_) if weight == "config" => Value::Null,
            Err(_) => {
                let message = format!("`{weight}` is not a weight");
                return Err(Failure::with_help(message, "write a number from 0 to 65535, or `config`"));
            }
        };
        wanted.insert("weight".to_owned(), weight);
    }
    if wanted.is_empty() {
        return Err(Failure::with_help("nothing is to be changed", "add `--state` or `--weight`"));
    }
    Ok(Value::Object(wanted))
}

/// As a segment of a path: names of clusters and routes may hold anything.
pub(super) fn escaped(name: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

fn show(asked: &Asked, as_json: bool) -> Result<(), Failure> {
    let (status, body) = asked.ask("GET", "/clusters")?;
    let parsed = serde_json::from_str::<Value>(&body).ok().filter(|_| status == 200);
    let all = parsed.as_ref().and_then(Value::as_array);
    let all = all.ok_or_else(|| Failure::Message(format!("the answer cannot be read: status {status}")))?;
    if as_json {
        return print(format!("{}\n", serde_json::to_string_pretty(all).unwrap_or(body)));
    }
    if all.is_empty() {
        return print("no clusters: no route sends requests on\n");
    }
    print(all.iter().map(table).collect::<Vec<_>>().join("\n"))
}

/// How a cluster's breaker and its limit stand, where it has any.
fn protection(cluster: &Value) -> String {
    let mut out = String::new();
    if let Some(state) = cluster["circuit"]["state"].as_str() {
        out += &format!(", circuit {state}");
        if let Some(millis) = cluster["circuit"]["open_for_millis"].as_u64() {
            out += &format!(" for {} s", millis.div_ceil(1000));
        }
    }
    if let Some(limit) = cluster["adaptive"]["limit"].as_u64() {
        out += &format!(", {} of {limit} requests", cluster["adaptive"]["under_way"]);
    }
    out
}

/// A cluster with a line for each endpoint.
fn table(cluster: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out =
        format!("{} ({}){}\n", text(&cluster["name"]), text(&cluster["balance"]), protection(cluster));
    let endpoints = cluster["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    if endpoints.is_empty() {
        out += "    no endpoint is known: its names do not resolve\n";
    }
    for endpoint in endpoints {
        let (address, name) = (text(&endpoint["address"]), text(&endpoint["name"]));
        let shown = if name == address { address } else { format!("{address} ({name})") };
        let mut state: Vec<String> = endpoint["out"].as_array().into_iter().flatten().map(text).collect();
        if state.is_empty() {
            state.push("ready".to_owned());
        }
        let mut line = format!("    {shown:<40} {:<24} weight {}", state.join(", "), endpoint["weight"]);
        if endpoint["weight"] != endpoint["configured_weight"] {
            line += &format!(" (config: {})", endpoint["configured_weight"]);
        }
        if endpoint["priority"] != json!(0) {
            line += &format!(", priority {}", endpoint["priority"]);
        }
        if let Some(zone) = endpoint["zone"].as_str() {
            line += &format!(", zone {zone}");
        }
        match endpoint["source"].as_str() {
            Some("hand") => line += ", added by hand",
            Some("file") => line += ", from the file",
            _ => {}
        }
        out += &(line + "\n");
    }
    for removed in cluster["removed"].as_array().into_iter().flatten() {
        out += &format!("    {:<40} removed by hand\n", text(removed));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_who_is_out_and_why() {
        let one = |address: &str, out: Value, weight: u32, priority: u32| {
            json!({"address": address, "name": address, "out": out, "weight": weight, "configured_weight": 1,
                   "priority": priority})
        };
        let endpoints = [
            one("10.0.0.1:3000", json!([]), 1, 0),
            one("10.0.0.2:3000", json!(["unhealthy", "draining"]), 5, 1),
        ];
        let cluster = json!({"name": "api", "balance": "round_robin", "endpoints": endpoints});
        let pad = |text: &str, width: usize| format!("{text:<width$}");
        let expected = format!(
            "api (round_robin)\n    {} {} weight 1\n    {} {} weight 5 (config: 1), priority 1\n",
            pad("10.0.0.1:3000", 40),
            pad("ready", 24),
            pad("10.0.0.2:3000", 40),
            pad("unhealthy, draining", 24),
        );
        assert_eq!(table(&cluster), expected);
    }

    #[test]
    fn shows_what_protects_a_cluster() {
        let endpoint = json!({"address": "10.0.0.1:3000", "name": "10.0.0.1:3000", "out": [], "weight": 1,
            "configured_weight": 1, "priority": 0, "zone": "eu-1a"});
        let cluster = json!({"name": "api", "balance": "random", "endpoints": [endpoint],
            "circuit": {"state": "open", "open_for_millis": 4_100}, "adaptive": {"limit": 40, "under_way": 7}});
        let shown = table(&cluster);
        assert!(shown.starts_with("api (random), circuit open for 5 s, 7 of 40 requests\n"), "{shown}");
        assert!(shown.ends_with("weight 1, zone eu-1a\n"), "{shown}");
    }

    #[test]
    fn names_of_clusters_are_escaped() {
        assert_eq!(escaped("10.0.0.1:3000, b/c"), "10.0.0.1%3A3000%2C%20b%2Fc");
    }
}
