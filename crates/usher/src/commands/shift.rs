//! `usher shift`

use serde_json::Value;
use usher_api::shifts::ShiftOrder;

use super::admin_client::Asked;
use super::endpoints::escaped;
use crate::cli::ShiftArgs;
use crate::terminal::{Failure, print, say};

pub(super) fn run(args: &ShiftArgs) -> Result<(), Failure> {
    let asked = match &args.admin {
        Some(address) => Asked::named(address.clone()),
        None => Asked::configured(&args.config)?,
    };
    let Some(order) = args.order.as_deref().and_then(ShiftOrder::named) else {
        return show(&asked, args.json);
    };
    let route = match &args.route {
        Some(route) => route.clone(),
        None => only_one(&asked, order)?,
    };
    let target = format!("/shifts/{}/{}", escaped(&route), order.as_str());
    let (status, report) = asked.ask("POST", &target)?;
    if status == 200 {
        return print(&report);
    }
    say(&report);
    Err(Failure::Said)
}

fn all(asked: &Asked) -> Result<Vec<Value>, Failure> {
    let (status, body) = asked.ask("GET", "/shifts")?;
    let parsed = serde_json::from_str::<Value>(&body).ok().filter(|_| status == 200);
    let list = parsed.and_then(|parsed| parsed.as_array().cloned());
    list.ok_or_else(|| Failure::Message(format!("the answer cannot be read: status {status}")))
}

/// The route that is meant where none is named.
fn only_one(asked: &Asked, order: ShiftOrder) -> Result<String, Failure> {
    let all = all(asked)?;
    let names: Vec<&str> = all.iter().filter_map(|one| one["route"].as_str()).collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::Message("no route has a shift".to_owned())),
        several => {
            let help = format!(
                "name its route: `usher shift {} ROUTE`, one of: {}",
                order.as_str(),
                several.join(", ")
            );
            Err(Failure::with_help("there are several shifts".to_owned(), help))
        }
    }
}

fn show(asked: &Asked, as_json: bool) -> Result<(), Failure> {
    let all = all(asked)?;
    if as_json {
        return print(format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default()));
    }
    if all.is_empty() {
        return print("no route has a shift\n");
    }
    print(all.iter().map(table).collect::<Vec<_>>().join("\n"))
}

/// A shift with a line for each side.
fn table(one: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let percent = |value: &Value| format!("{}%", (value.as_f64().unwrap_or_default() * 1e6).round() / 1e4);
    let release = one["release"].as_str().map(|release| format!(" (release {release})")).unwrap_or_default();
    let state = if one["held"].as_bool() == Some(true) {
        "held: too few requests".to_owned()
    } else {
        text(&one["state"])
    };
    let next = match (one["next"].as_f64(), one["next_in_seconds"].as_f64()) {
        (Some(_), Some(left)) if left > 0.0 => format!(", {} in {}s", percent(&one["next"]), left.ceil()),
        (Some(_), _) => format!(", next {}", percent(&one["next"])),
        (None, _) => String::new(),
    };
    let mut out = format!("{}{release}: {state}, at {}{next}\n", text(&one["route"]), percent(&one["share"]));
    for side in ["new", "old"] {
        let side = (side, &one[side]);
        let number = |key: &str| side.1[key].as_u64().unwrap_or_default();
        let p99 = side.1["p99_ms"].as_f64().map(|p99| format!(", p99 {p99} ms")).unwrap_or_default();
        let (name, failed, requests) = (text(&side.1["target"]), number("failed"), number("requests"));
        let share = failed as f64 * 100.0 / requests.max(1) as f64;
        out += &format!("    {} {name:<24} failed {failed} of {requests} ({share:.2}%){p99}\n", side.0);
    }
    if let Some(last) = one["last"].as_str().filter(|last| !last.is_empty()) {
        out += &format!("    {last}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::table;

    #[test]
    fn a_shift_is_shown_with_both_sides() {
        let side = |target: &str, failed: u64| json!({"target": target, "requests": 1000, "failed": failed, "p99_ms": 21.5});
        let one = json!({
            "route": "shop", "release": "v2", "state": "running", "held": false, "share": 0.05, "next": 0.25,
            "next_in_seconds": 41.2, "new": side("next", 3), "old": side("stable", 1), "last": "what happened",
        });
        assert_eq!(
            table(&one),
            format!(
                "shop (release v2): running, at 5%, 25% in 42s\n    new {:<24} failed 3 of 1000 (0.30%), p99 21.5 ms\n    \
                 old {:<24} failed 1 of 1000 (0.10%), p99 21.5 ms\n    what happened\n",
                "next", "stable"
            )
        );
    }
}
