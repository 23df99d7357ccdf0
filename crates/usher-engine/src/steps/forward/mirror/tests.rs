use super::shadow;

#[test]
fn a_shadow_is_marked_in_its_name() {
    for (authority, marked) in [
        ("example.com", "example.com-shadow"),
        ("example.com:8080", "example.com-shadow:8080"),
        ("10.0.0.1:80", "10.0.0.1-shadow:80"),
        ("[::1]:80", "[::1]:80"),
        ("[::1]", "[::1]"),
        ("", ""),
    ] {
        assert_eq!(shadow(authority), marked);
    }
}
