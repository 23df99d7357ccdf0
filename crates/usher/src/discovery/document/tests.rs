use usher_api::clusters::{Edit, EditKind};

use super::{Reading, Wanted, endpoint};

fn mistakes(kind: EditKind, body: &str) -> Vec<String> {
    let (reading, _) = Reading::new(&Edit { kind, body: body.as_bytes().to_vec(), expected: None });
    reading.mistakes().into_iter().map(|(at, why)| format!("{at}: {why}")).collect()
}

#[test]
fn mistakes_have_their_places() {
    let body = r#"{"add": [{"address": "10.0.0.1", "weight": 70000}, {"weigth": 1}, "a:0"],
                   "remove": ["a:1", 5], "set": {"b/c~:1": {"state": "off", "weight": -1}}, "more": 1}"#;
    let expected = [
        "/add/0/address: `10.0.0.1` is not the address of an endpoint; add the port: `10.0.0.1:80`",
        "/add/0/weight: `70000` is out of range: `0` to `65535` can be written here",
        "/add/1: the key `address` is required",
        "/add/1/weigth: unknown key `weigth`; did you mean `weight`?",
        "/add/2: `a:0` is not the address of an endpoint; after `:` stands a port, 1 to 65535",
        "/remove/1: expected a text, found the number `5`; put it in quotes",
    ];
    let found = mistakes(EditKind::Patch, body);
    for one in expected {
        assert!(found.iter().any(|found| found == one), "{one}: {found:#?}");
    }
    for at in ["/set/b~1c~0:1/state: ", "/set/b~1c~0:1/weight: ", "/more: unknown key"] {
        assert!(found.iter().any(|found| found.starts_with(at)), "{at}: {found:#?}");
    }
    assert_eq!(found.len(), 9);
}

#[test]
fn what_is_no_document_says_where() {
    for (kind, body, said) in [
        (EditKind::Patch, "", "the document is not a table"),
        (EditKind::Patch, "[]", "not a table"),
        (EditKind::Replace, "{\n \"endpoints\": [}", ": line 2, column "),
        (EditKind::Replace, "{}", ": the key `endpoints` is required"),
        (EditKind::Add, "{}", ": the key `address` is required"),
    ] {
        let found = mistakes(kind, body);
        assert!(!found.is_empty(), "{body}");
        assert!(found[0].contains(said) || body.is_empty(), "{body}: {found:?}");
    }
}

#[test]
fn endpoints_survive_a_round_trip() {
    let text = r#"{"address": "https://a:1", "weight": 5, "priority": 2, "name": "x", "labels": {"v": "2"}}"#;
    let one = endpoint(text).unwrap();
    let again = endpoint(&usher_config::Decode::encode(&one).to_string()).unwrap();
    assert_eq!(again.address.value.to_string(), "https://a:1");
    assert_eq!((again.weight, again.priority, again.labels.len()), (5, 2, 1));
    assert_eq!(again.name.unwrap().value, "x");
    assert!(endpoint("{\"address\": \"a\"}").is_none());
}

#[test]
fn a_weight_can_be_taken_back() {
    for body in [r#"{"set": {"a:1": {"weight": null}}}"#, r#"{"set": {"a:1": {"weight": "config"}}}"#] {
        let edit = Edit { kind: EditKind::Patch, body: body.as_bytes().to_vec(), expected: None };
        let (reading, wanted) = Reading::new(&edit);
        assert!(reading.mistakes().is_empty());
        let Some(Wanted::Patch(patch)) = wanted else { panic!("a patch") };
        assert!(patch.set[0].1.weight.is_some_and(|weight| weight.0.is_none()));
    }
}
