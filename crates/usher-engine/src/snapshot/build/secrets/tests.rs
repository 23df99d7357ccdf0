use usher_config::{Format, Input, LoadOptions, load};

use crate::snapshot::build::Builder;

/// The report of a build that fails.
fn report(text: &str) -> String {
    let options = LoadOptions { format: Some(Format::Toml), env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test".to_owned(), bytes: text.as_bytes().to_vec() };
    let loaded = load(input, &options).unwrap_or_else(|report| panic!("{report}"));
    let builder = Builder { filters: &[], balancers: usher_extensions::balancers::BALANCERS, probes: &[] };
    builder.build(&loaded, None, None).map_err(|report| report.to_string()).err().expect("a report")
}

#[test]
fn every_file_that_cannot_be_read_is_reported() {
    let report = report(
        "[[listener]]\nbind = '127.0.0.1:8443'\n[listener.tls]\nautomatic = false\n[listener.tls.client_certificate]\n\
         ca = ['/nowhere/a.pem', '/nowhere/b.pem']\ncrl = ['/nowhere/c.pem', '/nowhere/d.pem']\n\
         [[route]]\nhost = 'example.com'\nto = '127.0.0.1:3000'\n",
    );
    for file in ["a", "b", "c", "d"] {
        assert!(report.contains(&format!("cannot read `/nowhere/{file}.pem`")), "{file}: {report}");
    }
}
