//! Tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use usher_api::{Carry, Exchange, Flow};

use super::super::testing::{build_with, exchange, field, request_field, settle, try_build, with};
use super::FACTORY;
use super::credentials::Credentials;
use super::hash::Hash;
use super::memory::Memory;

const SHA512: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
const SHA256: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

/// The least that bcrypt can cost.
fn bcrypt(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

fn basic(exchange: Exchange, user: &str, password: &str) -> Exchange {
    with(exchange, "Authorization", &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

#[test]
fn verifies_each_kind_of_hash() {
    let two_a = bcrypt("Hello world!").replacen("$2b$", "$2a$", 1);
    let two_y = bcrypt("Hello world!").replacen("$2b$", "$2y$", 1);
    for text in [SHA512, SHA256, &two_a, &two_y, &bcrypt("Hello world!")] {
        let hash = Hash::parse(text).expect("a hash");
        assert!(hash.verify(b"Hello world!"), "{text}");
        assert!(!hash.verify(b"Hello world"), "{text}");
        assert_eq!(format!("{hash:?}"), "***");
    }
}

#[test]
fn refuses_other_hashes_without_showing_them() {
    let costly = bcrypt("x").replacen("$04$", "$31$", 1);
    let cut = &bcrypt("x")[..59];
    let long = SHA512.replacen("$6$", "$6$rounds=999999999$", 1);
    let few = SHA512.replacen("$6$", "$6$rounds=1$", 1);
    let cases = [
        ("$apr1$saltstri$5nuWOkPBm3AfW6VxawZ04.", "MD5"),
        ("{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=", "SHA-1"),
        ("$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA", "Argon2"),
        ("hunter2", "not the hash of a password"),
        ("", "not the hash of a password"),
        (cut, "not complete"),
        (&costly, "cost of the bcrypt hash is 31"),
        (&SHA512[..SHA512.len() - 1], "not complete"),
        (&long, "999999999 rounds"),
        (&few, "1 rounds"),
    ];
    for (text, expected) in cases {
        let error = Hash::parse(text).expect_err(text);
        assert!(error.message.contains(expected), "{text}: {}", error.message);
        let shown = format!("{} {}", error.message, error.help.unwrap_or_default());
        assert!(text.is_empty() || !shown.contains(text), "{shown}");
    }
}

#[test]
fn reads_credentials() {
    let encode = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let cases = [
        (encode("alice:secret"), Some(("alice", "secret"))),
        (encode("alice:a:b"), Some(("alice", "a:b"))),
        (encode("alice:"), Some(("alice", ""))),
        (encode(":x"), Some(("", "x"))),
        (encode("ümlaut:pässword"), Some(("ümlaut", "pässword"))),
        (encode("alice:secret").replace("Basic", "bASIC"), Some(("alice", "secret"))),
        (encode("alice:secret").replace("Basic ", "Basic   "), Some(("alice", "secret"))),
        (encode("a:b").replace('=', ""), Some(("a", "b"))),
        (encode("alice"), None),
        (encode("alice:a\0b"), None),
        (encode("al\nice:ab"), None),
        (encode(&format!("alice:{}", "x".repeat(2000))), None),
        ("Basic ???".to_owned(), None),
        ("Basic".to_owned(), None),
        ("Bearer YTpi".to_owned(), None),
        ("BasicYTpi".to_owned(), None),
    ];
    for (value, expected) in cases {
        let found = Credentials::parse(value.as_bytes());
        let found = found.map(|found| (found.user, String::from_utf8(found.password).expect("UTF-8")));
        let expected = expected.map(|(user, password)| (user.to_owned(), password.to_owned()));
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn lets_in_who_has_the_password() {
    let config = format!(
        "basic_auth = {{ users = {{ alice = '{}', bob = '{SHA256}' }}, realm = 'a \"b\"' }}",
        bcrypt("pw")
    );
    let filter = build_with(&FACTORY, &config, &mut Carry::default());
    let cases = [
        ("alice", "pw", true),
        ("alice", "Pw", false),
        ("alice", "", false),
        ("bob", "Hello world!", true),
        ("bob", "pw", false),
        ("carol", "pw", false),
        ("", "", false),
    ];
    for (user, password, right) in cases {
        let mut exchange = basic(exchange("/"), user, password);
        let reply = settle(filter.on_request(&mut exchange), &mut exchange);
        assert_eq!(reply.is_none(), right, "{user} {password}");
        assert_eq!(exchange.user.as_deref(), right.then_some(user), "{user} {password}");
        assert_eq!(request_field(&exchange, "Authorization").is_empty(), right, "{user} {password}");
        if let Some(reply) = reply {
            assert_eq!((reply.status, reply.reason), (401, "unauthenticated"));
            let challenge = field(&reply, "WWW-Authenticate");
            assert_eq!(challenge, Some("Basic realm=\"a \\\"b\\\"\", charset=\"UTF-8\""));
        }
    }
}

#[test]
fn refuses_at_once_what_has_no_single_meaning() {
    let config = format!("basic_auth.users = {{ alice = '{}' }}", bcrypt("pw"));
    let filter = build_with(&FACTORY, &config, &mut Carry::default());
    let twice = basic(basic(exchange("/"), "alice", "pw"), "alice", "pw");
    for mut exchange in [exchange("/"), twice, with(exchange("/"), "Authorization", "Bearer x")] {
        let flow = filter.on_request(&mut exchange);
        assert!(matches!(&flow, Flow::Respond(reply) if reply.status == 401));
        assert_eq!(exchange.user, None);
    }
}

#[test]
fn remembers_a_right_password_across_reloads_and_a_changed_one_not() {
    let config = format!("basic_auth = {{ forward = true, users = {{ alice = '{}' }} }}", bcrypt("pw"));
    let mut carry = Carry::default();
    let filter = build_with(&FACTORY, &config, &mut carry);
    let waits = |filter: &dyn usher_api::Filter, password: &str| {
        let mut exchange = basic(exchange("/"), "alice", password);
        let flow = filter.on_request(&mut exchange);
        let waits = matches!(flow, Flow::Wait(_));
        (waits, settle(flow, &mut exchange).is_none(), request_field(&exchange, "authorization").len())
    };
    assert_eq!(waits(&*filter, "pw"), (true, true, 1), "the first time, it is compared");
    assert_eq!(
        waits(&*filter, "pw"),
        (false, true, 1),
        "the second time, it is known; `forward` keeps the field"
    );
    assert_eq!(waits(&*filter, "wrong"), (true, false, 1), "a wrong one is compared");
    assert_eq!(waits(&*filter, "wrong"), (true, false, 1), "every time");
    let mut after = Carry::from_previous(&carry);
    assert_eq!(waits(&*build_with(&FACTORY, &config, &mut after), "pw"), (false, true, 1));
    let changed = format!("basic_auth = {{ forward = true, users = {{ alice = '{}' }} }}", bcrypt("new"));
    let mut after = Carry::from_previous(&carry);
    assert_eq!(waits(&*build_with(&FACTORY, &changed, &mut after), "pw"), (true, false, 1));
}

#[test]
fn the_memory_forgets_when_it_is_full_and_mixes_nothing() {
    let memory = Memory::default();
    let hash = Hash::parse(SHA256).expect("a hash");
    let mark =
        |user: usize| memory.mark(&Credentials { user: user.to_string(), password: b"x".to_vec() }, &hash);
    for user in 0..20_000 {
        assert!(!memory.knows(mark(user)));
        memory.remember(mark(user));
        assert!(memory.knows(mark(user)));
    }
    let kept = (0..20_000).filter(|user| memory.knows(mark(*user))).count();
    assert!((3_000..=4_096).contains(&kept), "{kept}");
    let split = |user: &str, password: &str| Credentials {
        user: user.to_owned(),
        password: password.as_bytes().to_vec(),
    };
    assert!(memory.mark(&split("ab", "c"), &hash) != memory.mark(&split("a", "bc"), &hash));
}

#[test]
fn reads_files_of_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("users");
    let text = format!("# staff\n\nalice:{}\r\n bob:{SHA512}\n", bcrypt("pw"));
    std::fs::write(&path, text).expect("written");
    let config = format!("basic_auth = {path:?}");
    let filter = build_with(&FACTORY, &config, &mut Carry::default());
    assert_eq!(filter.describe(), "2 users");
    for (user, password) in [("alice", "pw"), ("bob", "Hello world!")] {
        let mut exchange = basic(exchange("/"), user, password);
        let flow = filter.on_request(&mut exchange);
        assert!(settle(flow, &mut exchange).is_none(), "{user}");
    }
    std::fs::write(&path, format!("alice:{SHA256}\nalice:{SHA256}\nnobody\nbob:hunter2\n")).expect("written");
    let (filter, report) = try_build(&FACTORY, ("test", ".", &config), &mut Carry::default());
    assert!(filter.is_none());
    for expected in ["line 2", "there already", "line 3", "not `name:hash`", "line 4", "3 errors"] {
        assert!(report.contains(expected), "{report}");
    }
    assert!(!report.contains("hunter2") && !report.contains("5B8vYY"), "{report}");
}

#[test]
fn a_dry_run_says_what_would_happen() {
    let config = format!("basic_auth.users = {{ alice = '{}' }}", bcrypt("pw"));
    let filter = build_with(&FACTORY, &config, &mut Carry::default());
    let cases = [
        (exchange("/"), "would answer 401: the request has no user and password"),
        (basic(exchange("/"), "bob", "x"), "would answer 401: there is no such user"),
        (
            basic(exchange("/"), "alice", "x"),
            "would compare the password of `alice`, and pass if it is right",
        ),
    ];
    for (mut exchange, expected) in cases {
        assert_eq!(filter.dry_run(&mut exchange).map(|run| run.to_string()).as_deref(), Some(expected));
    }
}
