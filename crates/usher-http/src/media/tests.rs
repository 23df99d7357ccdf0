use super::*;
use proptest::prelude::*;

#[test]
fn table_is_sorted_and_sound() {
    for pair in types::TYPES.windows(2) {
        assert!(pair[0].0 < pair[1].0, "{pair:?}");
    }
    for (extension, media_type) in types::TYPES {
        assert!(extension.len() <= MAX_EXTENSION_BYTES && *extension == extension.to_ascii_lowercase());
        assert_eq!(by_extension(extension.as_bytes()), Some(*media_type));
        assert_eq!(media_type.starts_with("text/"), media_type.ends_with("; charset=utf-8"), "{media_type}");
    }
}

#[test]
fn finds_the_type_of_a_file() {
    for (name, want) in [
        ("index.html", "text/html; charset=utf-8"),
        ("/srv/www/INDEX.HTML", "text/html; charset=utf-8"),
        ("app.min.js", "text/javascript; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
        ("font.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("README", OCTET_STREAM),
        (".html", OCTET_STREAM),
        ("/a.html/b", OCTET_STREAM),
        ("a.", OCTET_STREAM),
        ("", OCTET_STREAM),
        ("a.html ", OCTET_STREAM),
        ("a.an-extension-that-is-very-long", OCTET_STREAM),
    ] {
        assert_eq!(for_file(name.as_bytes()), want, "{name:?}");
    }
}

#[test]
fn reads_qualities_strictly() {
    for (text, want) in [
        ("0", Some(0)),
        ("1", Some(1000)),
        ("0.", Some(0)),
        ("0.5", Some(500)),
        ("0.05", Some(50)),
        ("0.123", Some(123)),
        ("1.000", Some(1000)),
        ("1.001", None),
        ("0.1234", None),
        ("2", None),
        (".5", None),
        ("-0", None),
        ("0.a", None),
        ("0,5", None),
        ("", None),
        ("10", None),
    ] {
        assert_eq!(quality(text.as_bytes()), want, "{text}");
    }
}

#[test]
fn orders_codings_by_what_the_client_wants() {
    use Coding::*;
    let ours = [Zstd, Brotli, Gzip, Identity];
    for (line, want) in [
        ("gzip, deflate, br, zstd", vec![Zstd, Brotli, Gzip, Identity]),
        ("gzip", vec![Gzip, Identity]),
        ("GZIP ; Q=0.5 , br;q=0.8", vec![Brotli, Gzip, Identity]),
        ("x-gzip", vec![Gzip, Identity]),
        ("br;q=0, *", vec![Zstd, Gzip, Identity]),
        ("*;q=0", vec![]),
        ("gzip, *;q=0", vec![Gzip]),
        ("identity;q=0", vec![]),
        ("identity, gzip;q=0.5", vec![Identity, Gzip]),
        ("gzip;q=0.001", vec![Gzip, Identity]),
        ("identity;q=0.5, *;q=0", vec![Identity]),
        ("gzip;q=2, br;q=x, zstd;level=3", vec![Identity]),
        ("gzip;q=0, gzip", vec![Identity]),
        ("deflate", vec![Identity]),
        ("", vec![Identity]),
        (",;q=1,,", vec![Identity]),
    ] {
        let got: Vec<_> = Accepted::parse([line.as_bytes()]).ordered(&ours).collect();
        assert_eq!(got, want, "{line}");
    }
    let none: [&[u8]; 0] = [];
    assert_eq!(Accepted::parse(none).ordered(&ours).collect::<Vec<_>>(), [Identity]);
    let two = Accepted::parse([&b"br;q=0.1"[..], b"gzip"]);
    assert_eq!(two.ordered(&ours).collect::<Vec<_>>(), [Gzip, Brotli, Identity]);
    assert_eq!(two.ordered(&[Identity, Brotli]).collect::<Vec<_>>(), [Brotli, Identity]);
}

proptest! {
    #[test]
    fn never_panics(line in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = (Accepted::parse([&line[..]]), for_file(&line), quality(&line));
    }
}
