use std::fs;
use std::path::Path;
use std::sync::Arc;

use usher_api::clusters::{Edit, EditKind, EndpointChange, Wanted};
use usher_config::{Format, Input, LoadOptions, Loaded, load};
use usher_engine::snapshot::{Built, ClusterSpec};

use super::Discovery;
use crate::assemble;

const CONFIG: &str = r#"
[[route]]
cluster = "app"
[[route]]
path = "/v2"
cluster = "app"
subset = { version = "2" }
[cluster.app]
endpoints = [
    "10.0.0.1:80",
    { address = "10.0.0.2:80", name = "second", weight = 5 },
    { address = "10.0.0.3:80", labels = { version = "2" } },
]
"#;

fn built(text: &str) -> Built {
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let loaded: Loaded =
        load(Input::Text { name: "test".to_owned(), bytes: text.as_bytes().to_vec() }, &options).unwrap();
    assemble::dry(&loaded).unwrap_or_else(|report| panic!("{report}"))
}

/// A cluster, what is known of it, and all clusters.
struct Stage {
    discovery: Discovery,
    clusters: Vec<Arc<ClusterSpec>>,
    /// What the last edit took out.
    gone: Vec<String>,
}

impl Stage {
    fn new(text: &str) -> Self {
        let mut stage = Self { discovery: Discovery::new(|_| {}), clusters: Vec::new(), gone: Vec::new() };
        stage.reload(text);
        stage
    }

    fn reload(&mut self, text: &str) {
        self.clusters = built(text).snapshot.clusters.clone();
        self.discovery.follow(&self.clusters).unwrap();
    }

    fn named(&self, name: &str) -> &ClusterSpec {
        self.clusters.iter().find(|one| *one.name == *name).unwrap()
    }

    /// `address*weight` of each, without what all have.
    fn shown(&self, name: &str) -> String {
        let all = self.discovery.endpoints(self.named(name));
        let one = |address: String, weight| {
            format!("{}*{weight}", address.trim_start_matches("10.0.0.").trim_end_matches(":80"))
        };
        all.iter().map(|at| one(at.address.to_string(), at.weight)).collect::<Vec<_>>().join(" ")
    }

    fn edit(&mut self, kind: EditKind, body: &str) -> Result<Vec<EndpointChange>, Vec<String>> {
        let edit = Edit { kind, body: body.as_bytes().to_vec(), expected: None };
        let plan = self.discovery.plan(self.named("app"), &edit);
        let told = |(at, why): (String, String)| format!("{at}: {why}");
        let plan = plan.map_err(|all| all.into_iter().map(told).collect::<Vec<_>>())?;
        let settings = plan.settings.clone();
        let app = self.clusters.iter().find(|one| *one.name == *"app").unwrap().clone();
        self.gone = self.discovery.apply(&app, plan, &self.clusters).unwrap();
        self.gone.sort();
        Ok(settings)
    }

    fn patch(&mut self, body: &str) -> Vec<EndpointChange> {
        self.edit(EditKind::Patch, body).unwrap()
    }
}

#[test]
fn endpoints_are_added_and_removed_by_hand() {
    let mut stage = Stage::new(CONFIG);
    assert_eq!((stage.shown("app"), stage.shown("app [version=2]")), ("1*1 2*5 3*1".into(), "3*1".into()));
    let settings = stage.patch(
        r#"{"add": [{"address": "10.0.0.9:80", "weight": 2, "labels": {"version": "2"}}, "10.0.0.8:80"],
            "remove": ["10.0.0.1:80", "second"], "set": {"10.0.0.3:80": {"state": "drain"}}}"#,
    );
    let drain = EndpointChange { endpoint: "10.0.0.3:80".into(), state: Some(Wanted::Drain), weight: None };
    assert_eq!(settings, [drain]);
    assert_eq!(stage.shown("app"), "3*1 8*1 9*2");
    assert_eq!(stage.gone, ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(stage.shown("app [version=2]"), "3*1 9*2", "parts have what has their labels");
    assert_eq!(stage.discovery.removed(stage.named("app")), ["10.0.0.1:80", "10.0.0.2:80"]);
    // One of the config comes back as it was; one that was added is simply gone.
    stage.patch(r#"{"add": ["10.0.0.2:80"], "remove": ["10.0.0.9:80"]}"#);
    assert_eq!(stage.shown("app"), "2*5 3*1 8*1");
}

#[test]
fn a_reload_keeps_what_was_changed_by_hand() {
    let mut stage = Stage::new(CONFIG);
    stage.patch(
        r#"{"add": ["10.0.0.8:80", {"address": "10.0.0.9:80", "weight": 2}], "remove": ["10.0.0.1:80"]}"#,
    );
    stage.reload(CONFIG);
    assert_eq!(stage.shown("app"), "2*5 3*1 8*1 9*2");
    // What the config names now is the config's; what it names no more is not removed any longer.
    let moved = CONFIG.replace("\"10.0.0.1:80\"", "\"10.0.0.9:80\"");
    stage.reload(&moved);
    assert_eq!(stage.shown("app"), "9*1 2*5 3*1 8*1");
    stage.reload(CONFIG);
    assert_eq!(stage.shown("app"), "1*1 2*5 3*1 8*1");
    stage.reload("[[route]]\ncluster = 'other'\n[cluster.other]\nendpoints = '10.0.0.1:80'");
    stage.reload(CONFIG);
    assert_eq!(stage.shown("app"), "1*1 2*5 3*1", "a cluster that is gone takes it along");
}

#[test]
fn another_process_goes_on_with_what_was_changed_by_hand() {
    let mut stage = Stage::new(CONFIG);
    stage.patch(r#"{"add": [{"address": "10.0.0.9:80", "weight": 2}], "remove": ["10.0.0.1:80"]}"#);
    let messages = stage.discovery.bequeath();
    let mut next = Stage { discovery: Discovery::new(|_| {}), clusters: Vec::new(), gone: Vec::new() };
    next.discovery.inherit(&messages);
    next.discovery.inherit(&[serde_json::json!({"cluster": "app", "add": 5}), serde_json::json!([])]);
    next.reload(CONFIG);
    assert_eq!(next.shown("app"), "2*5 3*1 9*2");
}

#[test]
fn an_edit_is_refused_whole() {
    let mut stage = Stage::new(CONFIG);
    stage.patch(r#"{"remove": ["second"]}"#);
    let before = stage.shown("app");
    let refused = stage.edit(
        EditKind::Patch,
        r#"{"add": ["10.0.0.1:80", "10.0.0.7:80", "10.0.0.7:80", "https://10.0.0.6:80",
                    {"address": "10.0.0.2:80", "weight": 3}, {"address": "10.0.0.5:80", "name": "10.0.0.1:80"}],
            "remove": ["nobody", "10.0.0.3:80"], "set": {"10.0.0.4:80": {"state": "drain"}}}"#,
    );
    let expected = [
        "/remove/0: there is no endpoint `nobody`",
        "/add/0: there is an endpoint `10.0.0.1:80` already",
        "/add/2: `10.0.0.7:80` is added twice",
        "/add/3: this cluster has no TLS to endpoints; set `tls = true` at the cluster",
        "/add/4: `10.0.0.2:80` is in the config and was removed by hand; add its address alone",
        "/add/5/name: another endpoint has the name `10.0.0.1:80`",
        "/set/10.0.0.4:80: there is no endpoint `10.0.0.4:80`",
    ];
    assert_eq!(refused.unwrap_err(), expected);
    assert_eq!(stage.shown("app"), before);
}

#[test]
fn a_whole_set_takes_the_place_of_another() {
    let mut stage = Stage::new(CONFIG);
    stage.patch(r#"{"add": ["10.0.0.8:80", "10.0.0.7:80"], "remove": ["10.0.0.1:80"]}"#);
    let settings = stage.edit(
        EditKind::Replace,
        r#"{"endpoints": ["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 7}, {"address": "10.0.0.8:80", "weight": 3}]}"#,
    );
    assert_eq!(stage.shown("app"), "1*1 2*5 8*3");
    let weight = EndpointChange { endpoint: "second".into(), state: None, weight: Some(Some(7)) };
    assert_eq!(settings.unwrap(), [weight]);
    let refused = stage.edit(
        EditKind::Replace,
        r#"{"endpoints": [{"address": "10.0.0.2:80", "priority": 1}, "10.0.0.8:80", "10.0.0.8:80"]}"#,
    );
    let expected = [
        "/endpoints/2: `10.0.0.8:80` is there twice",
        "/endpoints/0: `10.0.0.2:80` is in the config: only its weight can be changed here",
    ];
    assert_eq!(refused.unwrap_err(), expected);
    stage.edit(EditKind::Replace, r#"{"endpoints": []}"#).unwrap();
    assert_eq!(stage.shown("app"), "");
    stage.edit(EditKind::Add, r#"{"address": "10.0.0.4:80", "weight": 4}"#).unwrap();
    assert_eq!(stage.shown("app"), "4*4");
}

#[test]
fn what_is_said_counts_also_where_it_is_the_usual() {
    let config = CONFIG.replace("weight = 5", "weight = 5, priority = 1");
    let mut stage = Stage::new(&config);
    let all = |second: &str, third: &str| {
        format!(
            r#"{{"endpoints": ["10.0.0.1:80", {{"address": "10.0.0.2:80"{second}}}, {{"address": "10.0.0.3:80"{third}}}]}}"#
        )
    };
    let weight = |endpoint: &str, weight| EndpointChange {
        endpoint: endpoint.into(),
        state: None,
        weight: Some(weight),
    };
    let settings = stage.edit(EditKind::Replace, &all(r#", "weight": 1"#, ""));
    let expected = [weight("10.0.0.1:80", None), weight("second", Some(1)), weight("10.0.0.3:80", None)];
    assert_eq!(settings.unwrap(), expected);
    let settings = stage.edit(EditKind::Replace, &all(r#", "name": "second", "priority": 1"#, ""));
    assert_eq!(settings.unwrap()[1], weight("second", None), "of the weight nothing is said");
    let refused = stage.edit(EditKind::Replace, &all(r#", "priority": 0"#, r#", "labels": {}"#));
    let only = |at: usize, last| {
        format!("/endpoints/{at}: `10.0.0.{last}:80` is in the config: only its weight can be changed here")
    };
    assert_eq!(refused.unwrap_err(), [only(1, 2), only(2, 3)]);
    stage.patch(r#"{"remove": ["second"]}"#);
    let refused = stage.edit(EditKind::Add, r#"{"address": "10.0.0.2:80", "weight": 1}"#);
    let alone = ": `10.0.0.2:80` is in the config and was removed by hand; add its address alone";
    assert_eq!(refused.unwrap_err(), [alone]);
    stage.edit(EditKind::Add, r#"{"address": "10.0.0.2:80"}"#).unwrap();
    assert_eq!(stage.shown("app"), "1*1 2*5 3*1");
}

#[test]
fn what_a_name_no_longer_leads_to_can_be_added() {
    const NAMED: &str = "[[route]]\ncluster = 'app'\n[cluster.app]\nendpoints = ['app.invalid:80']\n";
    // Nobody answers for such a name: what another process knew is all that there is.
    let stage = |by_hand: Vec<serde_json::Value>, addresses: &[u8]| {
        let name = |last: &u8| serde_json::json!({ "name": "app.invalid", "ip": format!("10.0.0.{last}") });
        let messages: Vec<_> = by_hand.into_iter().chain(addresses.iter().map(name)).collect();
        let mut stage = Stage { discovery: Discovery::new(|_| {}), clusters: Vec::new(), gone: Vec::new() };
        stage.discovery.inherit(&messages);
        stage.reload(NAMED);
        stage
    };
    let mut before = stage(Vec::new(), &[7, 8]);
    before.patch(r#"{"remove": ["10.0.0.7:80"]}"#);
    let removed = before.discovery.bequeath();
    before.edit(EditKind::Add, r#"{"address": "10.0.0.7:80"}"#).unwrap();
    assert_eq!(before.shown("app"), "7*1 8*1", "it is put back");

    let mut moved = stage(removed, &[8]);
    assert_eq!(moved.shown("app"), "8*1");
    moved.edit(EditKind::Add, r#"{"address": "10.0.0.7:80", "weight": 2}"#).unwrap();
    assert_eq!(moved.shown("app"), "8*1 7*2");
    assert!(moved.discovery.removed(moved.named("app")).is_empty());
    let back = stage(moved.discovery.bequeath(), &[7, 8]);
    assert_eq!(back.shown("app"), "7*1 8*1", "when the name leads there again, there is one of it");
}

#[test]
fn thousands_are_changed_at_once() {
    const MANY: usize = 9_000;
    let mut stage = Stage::new(CONFIG);
    let address = |number: usize| format!("10.1.{}.{}:80", number / 250, number % 250);
    let list = |one: &dyn Fn(usize) -> String| (0..MANY).map(one).collect::<Vec<_>>().join(", ");
    let all = list(&|number| format!(r#"{{"address": "{}", "name": "n{number}"}}"#, address(number)));
    stage.patch(&format!(r#"{{"add": [{all}], "remove": ["10.0.0.1:80"]}}"#));
    let drained = list(&|number| format!(r#""n{number}": {{"state": "drain"}}"#));
    assert_eq!(stage.patch(&format!(r#"{{"set": {{{drained}}}}}"#)).len(), MANY);
    let others = list(&|number| format!(r#"{{"address": "{}", "weight": 3}}"#, address(number + 1)));
    stage.edit(EditKind::Replace, &format!(r#"{{"endpoints": [{others}]}}"#)).unwrap();
    assert_eq!(stage.gone, ["10.0.0.2:80".to_owned(), "10.0.0.3:80".to_owned(), address(0)]);
    let refused = stage.edit(EditKind::Patch, &format!(r#"{{"add": [{all}]}}"#)).unwrap_err();
    assert_eq!(refused.len(), MANY - 1);
    let last = MANY - 1;
    let there = format!("/add/{last}/address: there is an endpoint `{}` already", address(last));
    assert_eq!(refused[MANY - 2], there);
    let names = list(&|number| format!(r#""{}""#, address(number + 1)));
    stage.patch(&format!(r#"{{"remove": [{names}]}}"#));
    assert_eq!((stage.gone.len(), stage.shown("app")), (MANY, String::new()));
}

/// Writes a file as config management does.
fn put(path: &Path, text: &str) {
    fs::write(path.with_extension("tmp"), text).unwrap();
    fs::rename(path.with_extension("tmp"), path).unwrap();
}

#[test]
fn a_file_counts_while_it_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.toml");
    let config = format!("{CONFIG}endpoints_file = \"{}\"\n", path.display());
    let mut stage = Stage::new(&config);
    assert_eq!(stage.shown("app"), "1*1 2*5 3*1", "a missing file names nobody");
    assert_eq!(stage.discovery.file_reading(), [("app".to_owned(), 1, true)]);
    let read = |stage: &mut Stage, text: &str| {
        put(&path, text);
        let clusters = stage.clusters.clone();
        let changed = stage.discovery.read_files(&clusters).unwrap();
        changed.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let good =
        "endpoints = ['10.0.0.4:80', '10.0.0.1:80', { address = '10.0.0.5:80', labels = { version = '2' } }]";
    assert_eq!(read(&mut stage, good), ["app"]);
    assert_eq!(stage.shown("app"), "1*1 2*5 3*1 4*1 5*1", "what the config names counts once");
    assert_eq!(stage.shown("app [version=2]"), "3*1 5*1");
    assert!(read(&mut stage, good).is_empty());
    for bad in ["endpoints = [", "endpoints = ['10.0.0.9:80', 'https://10.0.0.4:80']", ""] {
        assert!(read(&mut stage, bad).is_empty(), "{bad}");
        stage.reload(&config);
        assert_eq!(stage.shown("app"), "1*1 2*5 3*1 4*1 5*1", "{bad}");
    }
    // One that takes over now cannot read it either.
    let mut next = Stage { discovery: Discovery::new(|_| {}), clusters: Vec::new(), gone: Vec::new() };
    next.discovery.inherit(&stage.discovery.bequeath());
    next.reload(&config);
    assert_eq!(next.shown("app"), "1*1 2*5 3*1 4*1 5*1");
    assert_eq!(read(&mut stage, "endpoints = []"), ["app"]);
    assert_eq!(stage.shown("app"), "1*1 2*5 3*1");
    stage.reload(CONFIG);
    assert!(stage.discovery.paths().is_empty());
}
