use rustls::SignatureScheme as Scheme;

use super::super::testing::{Authority, Issued, Wanted};
use super::*;

/// The subject's common name of what is found.
fn found(all: &Certificates, name: &str) -> Option<Vec<String>> {
    let set = all.find(name)?;
    Some(set.certificates().iter().map(|certificate| certificate.serial()).collect())
}

#[test]
fn finds_by_exact_name_and_then_by_wildcard() {
    let authority = Authority::new("root");
    let issue = |serial, names: &[&str]| {
        authority.issue(&Wanted { names, serial, ..Wanted::default() }).certificate()
    };
    let all = Certificates::new();
    all.set("a", vec![issue(1, &["example.com", "*.example.com"]), issue(2, &["www.example.com"])]);
    all.set("b", vec![issue(3, &["*.sub.example.com"]), issue(4, &["192.0.2.1"])]);
    let cases = [
        ("example.com", Some("01")),
        ("EXAMPLE.com.", Some("01")),
        ("www.example.com", Some("02")),
        ("other.example.com", Some("01")),
        ("sub.example.com", Some("01")),
        ("a.sub.example.com", Some("03")),
        ("a.b.example.com", None),
        ("a.b.sub.example.com", None),
        ("*.example.com", Some("01")),
        ("example.org", None),
        ("com", None),
        ("", None),
        (".example.com", Some("01")),
        ("192.0.2.1", Some("04")),
    ];
    for (name, serial) in cases {
        assert_eq!(found(&all, name), serial.map(|serial| vec![serial.to_owned()]), "{name}");
    }
    assert_eq!(found(&all, &"a".repeat(254)), None);
    assert_eq!(all.list().len(), 4);
}

#[test]
fn the_best_of_each_kind_is_shown() {
    let authority = Authority::new("root");
    let issue = |serial, rsa, years| {
        let issued: Issued = authority.issue(&Wanted { serial, rsa, years, ..Wanted::default() });
        issued.certificate()
    };
    let all = Certificates::new();
    let (old, new, future) =
        (issue(1, false, (2020, 2021)), issue(2, false, (2020, 2039)), issue(3, false, (2038, 2041)));
    let (rsa, long_rsa) = (issue(4, true, (2020, 2038)), issue(5, true, (2020, 2040)));
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let every = [&old, &new, &future, &rsa, &long_rsa];
        all.set("all", order.map(|index| Arc::clone(every[index])).to_vec());
        assert_eq!(found(&all, "example.com").expect("found"), ["02", "05"], "{order:?}");
    }
    let set = all.find("example.com").expect("found");
    let serial = |schemes: &[Scheme]| set.choose(schemes, SystemTime::now()).expect("chosen").serial();
    assert_eq!(serial(&[Scheme::RSA_PSS_SHA256, Scheme::ECDSA_NISTP256_SHA256]), "02");
    assert_eq!(serial(&[Scheme::RSA_PSS_SHA256, Scheme::ECDSA_NISTP521_SHA512]), "05");
    assert_eq!(serial(&[]), "02");
    all.set("all", vec![old]);
    assert_eq!(found(&all, "example.com").expect("still served"), ["01"]);
}

#[test]
fn which_one_is_shown_changes_with_the_day() {
    let authority = Authority::new("root");
    let issue = |serial, rsa, years| {
        authority.issue(&Wanted { serial, rsa, years, ..Wanted::default() }).certificate()
    };
    let all = Certificates::new();
    // All are there from the beginning, and nothing is changed later.
    all.set("a", vec![issue(1, false, (2020, 2030)), issue(2, false, (2029, 2035))]);
    all.set("b", vec![issue(3, true, (2020, 2040)), issue(4, false, (2020, 2030))]);
    all.remove("none such");
    let set = all.find("example.com").expect("found");
    let shown = |year: u64, schemes: &[Scheme]| {
        let now =
            SystemTime::UNIX_EPOCH + std::time::Duration::from_secs((year - 1970) * 31_557_600 + 864_000);
        set.choose(schemes, now).expect("chosen").serial()
    };
    let both = [Scheme::RSA_PSS_SHA256, Scheme::ECDSA_NISTP256_SHA256];
    assert!(["01", "04"].contains(&shown(2026, &both).as_str()));
    assert_eq!(shown(2031, &both), "02", "the one before is over");
    // One that is over is the worse choice, even if its kind is the better one.
    assert_eq!(shown(2036, &both), "03");
    assert_eq!(shown(2036, &both[1..]), "02", "the client knows no other");
    assert_eq!(shown(2041, &both), "02");
}

#[test]
fn certificates_of_one_name_from_several_sources_come_and_go() {
    let authority = Authority::new("root");
    let issue = |serial, names: &[&str]| {
        authority.issue(&Wanted { names, serial, ..Wanted::default() }).certificate()
    };
    let (one, two) = (issue(1, &["a.example", "*.example", "a.example"]), issue(2, &["b.example"]));
    let all = Certificates::new();
    all.set("x", vec![Arc::clone(&one)]);
    all.set("y", vec![Arc::clone(&one), Arc::clone(&two)]);
    let list = |all: &Certificates| {
        let list = all.list();
        list.into_iter().map(|(source, one)| format!("{source} {}", one.serial())).collect::<Vec<_>>()
    };
    assert_eq!(list(&all), ["x 01", "y 01", "y 02"]);
    // What one takes back, another still gives.
    all.remove("x");
    assert_eq!(found(&all, "a.example").expect("found"), ["01"]);
    assert_eq!(found(&all, "c.example").expect("found"), ["01"]);
    all.set("y", vec![two]);
    assert_eq!((found(&all, "a.example"), found(&all, "c.example")), (None, None));
    assert_eq!(list(&all), ["y 02"]);
}

#[test]
fn a_source_replaces_and_takes_back_its_own() {
    let authority = Authority::new("root");
    let all = Certificates::new();
    all.set("file:a", vec![authority.certificate(&["a.example"])]);
    all.set("file:b", vec![authority.certificate(&["b.example"])]);
    all.set("file:a", vec![authority.certificate(&["c.example"])]);
    let names =
        |all: &Certificates| ["a.example", "b.example", "c.example"].map(|name| all.find(name).is_some());
    assert_eq!(names(&all), [false, true, true]);
    all.retain(|source| source != "file:b");
    assert_eq!(names(&all), [false, false, true]);
    all.remove("file:a");
    assert_eq!(names(&all), [false, false, false]);
    assert!(!all.serves(Some("a.example")) && !all.serves(None));
    all.set_default(Some(authority.certificate(&["d.example"])));
    assert!(all.serves(Some("a.example")) && all.serves(None) && all.has_default());
    assert!(all.find("a.example").is_none());
    all.set_default(None);
    assert!(!all.serves(None));
}
