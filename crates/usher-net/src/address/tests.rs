use super::*;

#[test]
fn reads_what_it_writes() {
    for text in ["127.0.0.1:80", "[::1]:8080", "unix:/run/app.sock", "unix:relative.sock"] {
        let address: Address = text.parse().expect(text);
        assert_eq!(address.to_string(), text);
    }
}

#[test]
fn refuses_what_is_no_address() {
    for text in ["", "localhost:80", "127.0.0.1", "::1:80", "unix:", "unix:a\0b", "1.2.3.4:65536"] {
        let error = text.parse::<Address>().expect_err(text).to_string();
        assert!(error.starts_with(&format!("`{text}` is not an address")), "{error}");
    }
}

#[test]
fn one_client_has_one_address() {
    let cases = [
        ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"),
        ("[2001:db8::1]:5", "[2001:db8::1]:5"),
        ("192.0.2.1:5", "192.0.2.1:5"),
        ("[::1]:5", "[::1]:5"),
    ];
    for (given, expected) in cases {
        assert_eq!(canonical(given.parse().expect(given)).to_string(), expected);
    }
}
