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
    let serial = |schemes: &[Scheme]| set.choose(schemes).expect("chosen").serial();
    assert_eq!(serial(&[Scheme::RSA_PSS_SHA256, Scheme::ECDSA_NISTP256_SHA256]), "02");
    assert_eq!(serial(&[Scheme::RSA_PSS_SHA256, Scheme::ECDSA_NISTP521_SHA512]), "05");
    assert_eq!(serial(&[]), "02");
    all.set("all", vec![old]);
    assert_eq!(found(&all, "example.com").expect("still served"), ["01"]);
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
