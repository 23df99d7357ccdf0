use usher_config::{Format, Input, LoadOptions, Loaded, load};

use super::text;
use crate::cli::PrintFormat;
use crate::known;

fn loaded(config: &str) -> Loaded {
    let env = |name: &str| match name {
        "NUMBER" => Some("7".to_owned()),
        "TRUE" => Some("true".to_owned()),
        "SECRET" => Some("$2y$05$hidden".to_owned()),
        _ => None,
    };
    let filters = known::filter_names();
    let options = LoadOptions { format: Some(Format::Toml), env: &env, known_filters: &filters };
    let input = Input::Text { name: "test".to_owned(), bytes: config.as_bytes().to_vec() };
    load(input, &options).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

#[test]
fn prints_what_was_meant() {
    let cases = [
        // Defaults are left out, whoever writes them; the listener that is there without a word is shown.
        (
            "workers = 2\n[limits]\nfields = 100\n[[route]]\nto = \"a:1\"\n",
            "workers = 2\n\n[[listener]]\nbind = \":80\"\n\n[[route]]\nto = \"a:1\"\n",
        ),
        // Variables are replaced, by numbers where numbers belong; what is no variable stays none.
        (
            "workers = \"${NUMBER}\"\n[[listener]]\nbind = \":${NUMBER}\"\n[[route]]\nrespond = \"$${x}\"\n",
            "workers = 7\n\n[[listener]]\nbind = \":7\"\n\n[[route]]\nrespond = \"$${x}\"\n",
        ),
        // The long form where it says more, the short one where not.
        (
            "[[listener]]\nbind = [\":1\"]\n[[route]]\nto = [{ address = \"a:1\" }, { address = \"b:1\", weight = 2 }]\n",
            "[[listener]]\nbind = \":1\"\n\n[[route]]\nto = [\"a:1\", { address = \"b:1\", weight = 2 }]\n",
        ),
        (
            "[[listener]]\nbind = \":1\"\n[[route]]\ncluster = \"a b\"\n[cluster.\"a b\"]\nendpoints = \"a:1\"\nbalance = \"random\"\n",
            "[[listener]]\nbind = \":1\"\n\n[[route]]\ncluster = \"a b\"\n\n[cluster.\"a b\"]\nendpoints = \"a:1\"\nbalance = \"random\"\n",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(text(&loaded(config), PrintFormat::Toml), expected, "{config}");
    }
}

#[test]
fn hides_secrets() {
    let config = "[[route]]\nbasic_auth = { users = { ada = \"${SECRET}\" }, forward = \"${TRUE}\" }\n\
        [defaults]\nbasic_auth = { users = { bob = \"$5$hidden\" } }\n\
        [bundle.b]\nbasic_auth = { users = { eve = \"$6$hidden\" }, file = \"a.htpasswd\" }\n";
    for format in [PrintFormat::Toml, PrintFormat::Json] {
        let printed = text(&loaded(config), format);
        assert!(!printed.contains("hidden"), "{printed}");
        assert_eq!(printed.matches("\"***\"").count(), 3, "{printed}");
        assert!(!printed.contains("\"true\""), "{printed}");
    }
}

#[test]
fn is_the_same_when_read_again() {
    let config = "access_log = { path = \"a.log\", format = \"combined\" }\nadmin = \"off\"\n\
        trusted_proxies = \"10.0.0.0/8\"\n[timeouts]\nhead = \"3s\"\nupstream = { idle = \"1m30s\" }\n\
        [[listener]]\nbind = \":8080\"\nmode = \"0660\"\nproxy_protocol = { trusted = [\"10.0.0.0/8\"] }\n\
        [[route]]\nhost = [\"a\", \"*.b\"]\npath = \"~/a\\\\.(?<b>.*)\"\nheader = { x = true, y = \"z*\" }\npriority = -1\n\
        use = \"shared\"\nsplit = [{ cluster = \"c\", weight = 1 }, { to = \"d:1\", weight = 2 }]\n\
        rewrite = { regex = { match = \"a\", to = \"b\\u007f\" } }\nrate_limit = \"off\"\n\
        [defaults]\nrate_limit = \"1/s\"\nerror_pages = { \"5xx\" = { text = \"a\\nb\" } }\n\
        [bundle.shared]\nlimits = { body = \"1MiB\" }\n\
        [cluster.c]\nendpoints = \"c:1\"\nhost = \"endpoint\"\npool = { idle = 3 }\n";
    let first = loaded(config);
    let printed = text(&first, PrintFormat::Toml);
    assert_eq!(text(&loaded(&printed), PrintFormat::Toml), printed);
    for part in
        ["3s", "1m30s", "rate_limit = \"off\"", "\"1/s\"", "a\\nb", "0660", "priority = -1", "combined"]
    {
        assert!(printed.contains(part), "{part} is missing:\n{printed}");
    }
}
