//! Tests.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use usher_api::{Exchange, Filter, Reply};
use usher_http::Method;

use super::super::testing::{body, build, build_before_target, exchange, field, reply, with};
use super::config::Symlinks;
use super::open::{OpenError, Root};
use super::validators::Version;
use super::{FACTORY, lookup};

/// Sun, 06 Nov 1994 08:49:37 GMT
const CHANGED: u64 = 784_111_777;
const CHANGED_DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(&path, content).expect("written");
    let file = File::options().write(true).open(&path).expect("there");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(CHANGED)).expect("set");
}

/// A folder `www` with a site, and a file beside it that nobody may reach.
fn site() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("www");
    for (name, content) in [
        ("index.html", "<h1>home"),
        ("a.css", "0123456789"),
        ("sub/index.html", "sub"),
        ("sub/deep/b.txt", "b"),
        ("sp ace/ä.txt", "umlaut"),
        ("100%.txt", "percent"),
        (".env", "SECRET=1"),
        (".well-known/security.txt", "contact"),
        ("sub/.well-known/x", "no"),
        ("bare", "?"),
    ] {
        write(&root, name, content);
    }
    write(folder.path(), "secret.txt", "secret");
    symlink("a.css", root.join("inside.css")).expect("linked");
    symlink("../secret.txt", root.join("outside.txt")).expect("linked");
    symlink(folder.path(), root.join("up")).expect("linked");
    folder
}

fn filter(site: &TempDir, options: &str) -> Arc<dyn Filter> {
    let root = site.path().join("www");
    build(&FACTORY, &format!("[static_files]\nroot = {root:?}\n{options}"))
}

fn answer(filter: &dyn Filter, mut exchange: Exchange) -> Reply {
    reply(filter, &mut exchange).expect("it always answers")
}

fn get(filter: &dyn Filter, path: &str) -> (u16, String) {
    let reply = answer(filter, exchange(path));
    (reply.status, String::from_utf8_lossy(&body(&reply)).into_owned())
}

/// On a route with a target, what is not there is the target's.
#[test]
fn lets_pass_what_is_not_there() {
    let site = site();
    let root = site.path().join("www");
    let plain = build_before_target(&FACTORY, &format!("[static_files]\nroot = {root:?}"));
    assert!(plain.passes_on() && !filter(&site, "").passes_on());
    let with = |method: Method, path: &str| {
        let mut asked = exchange(path);
        asked.request.method = method;
        let dry = plain.dry_run(&mut asked);
        let replied = reply(&*plain, &mut asked);
        assert_eq!(dry.is_some(), replied.is_none(), "{path}: the dry run tells what happens");
        replied.map(|reply| reply.status)
    };
    for (path, want) in [
        ("/", Some(200)),
        ("/a.css", Some(200)),
        ("/sub", Some(301)),
        ("/sub/", Some(200)),
        ("/sub/deep", None),
        ("/sub/deep/", None),
        ("/a.css/", None),
        ("/no", None),
        ("/no/such/path", None),
        ("/.env", None),
        ("/outside.txt", None),
    ] {
        assert_eq!(with(Method::Get, path), want, "{path}");
        assert_eq!(with(Method::Head, path), want, "{path}");
        assert_eq!(with(Method::Post, path), None, "{path}");
    }
    let listing = build_before_target(&FACTORY, &format!("[static_files]\nroot = {root:?}\nlisting = true"));
    assert_eq!(reply(&*listing, &mut exchange("/sub/deep")).map(|reply| reply.status), Some(301));
    let gone = build_before_target(&FACTORY, "static_files = '/no/such/folder'");
    assert!(reply(&*gone, &mut exchange("/")).is_none());
}

#[test]
fn finds_files_and_nothing_else() {
    let site = site();
    let plain = filter(&site, "");
    let cases = [
        ("/", 200, "<h1>home"),
        ("/a.css", 200, "0123456789"),
        ("/sub/", 200, "sub"),
        ("/sub", 301, ""),
        ("/sub/deep/b.txt", 200, "b"),
        ("/sub/deep/", 404, ""),
        ("/sp%20ace/%C3%A4.txt", 200, "umlaut"),
        ("/100%25.txt", 200, "percent"),
        ("/a.css/", 404, ""),
        ("/a.css/x", 404, ""),
        ("/none", 404, ""),
        ("/.env", 404, ""),
        ("/.well-known/security.txt", 200, "contact"),
        ("/sub/.well-known/x", 404, ""),
        ("/sub%2Fdeep/b.txt", 404, ""),
        ("/..%2Fsecret.txt", 404, ""),
        ("/outside.txt", 404, ""),
        ("/up/secret.txt", 404, ""),
        ("/inside.css", 200, "0123456789"),
    ];
    for (path, status, content) in cases {
        assert_eq!(get(&*plain, path), (status, content.to_owned()), "{path}");
    }
    let long = format!("/{}", "x".repeat(5000));
    assert_eq!(get(&*plain, &long).0, 404);
}

#[test]
fn links_as_configured_and_on_old_kernels() {
    let site = site();
    let root = |symlinks| Root::new(site.path().join("www"), symlinks);
    let walking = |symlinks| root(symlinks).walking();
    let (inside, follow, refuse) = (Symlinks::Inside, Symlinks::Follow, Symlinks::Refuse);
    let found = |root: &Root, path: &str| match root.open().expect("the folder").read(path.as_bytes()) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, OpenError::NotFound, "{path}");
            false
        }
    };
    let cases = [
        (root(inside), [true, true, false, false]),
        (root(follow), [true, true, true, true]),
        (root(refuse), [true, false, false, false]),
        (walking(inside), [true, false, false, false]),
        (walking(refuse), [true, false, false, false]),
    ];
    for (at, (root, expected)) in cases.iter().enumerate() {
        let paths = ["sub/deep/b.txt", "inside.css", "outside.txt", "up/secret.txt"];
        assert_eq!(paths.map(|path| found(root, path)), *expected, "case {at}");
    }
    for path in ["../secret.txt", "sub/../a.css", "/etc/passwd", "sub//deep", "sub/../../secret.txt"] {
        let folder = walking(inside);
        assert!(folder.open().expect("the folder").read(path.as_bytes()).is_err(), "{path}");
    }
    for path in ["../secret.txt", "/etc/passwd", "sub/../../secret.txt"] {
        assert!(root(inside).open().expect("the folder").read(path.as_bytes()).is_err(), "{path}");
    }
}

#[test]
fn special_files_are_not_found() {
    let site = site();
    let path = site.path().join("www/fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o644)).expect("a FIFO");
    let _socket = std::os::unix::net::UnixListener::bind(site.path().join("www/socket")).expect("a socket");
    let plain = filter(&site, "");
    assert_eq!(get(&*plain, "/fifo").0, 404);
    assert_eq!(get(&*plain, "/socket").0, 404);
}

#[test]
fn a_prefix_is_stripped_at_a_segment() {
    let site = site();
    let under = filter(&site, "strip_prefix = '/assets/'");
    for (path, status) in
        [("/assets/a.css", 200), ("/assets", 301), ("/assets/", 200), ("/assetsa.css", 404), ("/a.css", 404)]
    {
        assert_eq!(get(&*under, path).0, status, "{path}");
    }
    let reply = answer(&*under, exchange("/assets?a=b"));
    assert_eq!(field(&reply, "Location"), Some("./assets/?a=b"));
}

#[test]
fn falls_back_for_what_is_not_there() {
    let site = site();
    let app = filter(&site, "fallback = '/index.html'\nindex = []");
    for path in ["/users/7", "/", "/.env", "/outside.txt", "/sub/deep/"] {
        assert_eq!(get(&*app, path), (200, "<h1>home".to_owned()), "{path}");
    }
    assert_eq!(get(&*app, "/a.css").1, "0123456789");
    let broken = filter(&site, "fallback = 'missing.html'");
    assert_eq!(get(&*broken, "/users/7").0, 404);
}

#[test]
fn describes_what_it_sends() {
    let site = site();
    let plain = filter(&site, "cache_control = 'max-age={request.query.age}'");
    let reply = answer(&*plain, exchange("/a.css?age=60"));
    let cases = [
        ("Content-Type", "text/css; charset=utf-8"),
        ("Last-Modified", CHANGED_DATE),
        ("Cache-Control", "max-age=60"),
        ("Accept-Ranges", "bytes"),
    ];
    for (name, value) in cases {
        assert_eq!(field(&reply, name), Some(value), "{name}");
    }
    let etag = field(&reply, "ETag").expect("a tag");
    assert_eq!(etag, format!("\"{:x}-a\"", u128::from(CHANGED) * 1_000_000_000));
    assert_eq!(field(&reply, "Vary"), None);
    assert_eq!((reply.status, reply.reason, reply.finished), (200, "static_files", true));
    assert_eq!(field(&answer(&*plain, exchange("/bare")), "Content-Type"), Some("application/octet-stream"));
}

#[test]
fn only_get_and_head() {
    let site = site();
    let plain = filter(&site, "");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let mut exchange = exchange("/a.css");
        exchange.request.method = Method::from_token(method.as_bytes());
        let reply = answer(&*plain, exchange);
        assert_eq!((reply.status, field(&reply, "Allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let mut exchange = with(exchange("/a.css"), "Range", "bytes=0-1");
    exchange.request.method = Method::Head;
    let reply = answer(&*plain, exchange);
    assert_eq!((reply.status, reply.len()), (200, 10), "a range means nothing to HEAD");
}

#[test]
fn conditions_in_the_order_of_rfc_9110() {
    let site = site();
    let plain = filter(&site, "");
    let tag = field(&answer(&*plain, exchange("/a.css")), "ETag").expect("a tag").to_owned();
    let weak = format!("W/{tag}");
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("If-None-Match", &tag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", CHANGED_DATE)], 200),
        (&[("If-Modified-Since", CHANGED_DATE)], 304),
        (&[("If-Modified-Since", before)], 200),
        (&[("If-Modified-Since", "yesterday")], 200),
        (&[("If-Match", &tag)], 200),
        (&[("If-Match", &weak)], 412),
        (&[("If-Match", "\"x\"")], 412),
        (&[("If-Match", &tag), ("If-Unmodified-Since", before)], 200),
        (&[("If-Unmodified-Since", before)], 412),
        (&[("If-Unmodified-Since", CHANGED_DATE)], 200),
        (&[("If-Match", &tag), ("If-None-Match", &tag)], 304),
    ];
    for (fields, status) in cases {
        let request =
            fields.iter().fold(exchange("/a.css"), |exchange, (name, value)| with(exchange, name, value));
        let reply = answer(&*plain, request);
        assert_eq!(reply.status, *status, "{fields:?}");
        if *status == 304 {
            assert_eq!(field(&reply, "ETag"), Some(tag.as_str()));
            assert_eq!((field(&reply, "Content-Type"), reply.len()), (None, 0));
        }
    }
}

#[test]
fn single_ranges() {
    let site = site();
    let plain = filter(&site, "");
    let tag = field(&answer(&*plain, exchange("/a.css")), "ETag").expect("a tag").to_owned();
    type Case<'c> = (&'c [(&'c str, &'c str)], u16, &'c str, Option<&'c str>);
    let cases: &[Case<'_>] = &[
        (&[("Range", "bytes=2-4")], 206, "234", Some("bytes 2-4/10")),
        (&[("Range", "bytes=-3")], 206, "789", Some("bytes 7-9/10")),
        (&[("Range", "bytes=8-99")], 206, "89", Some("bytes 8-9/10")),
        (&[("Range", "bytes=10-")], 416, "", Some("bytes */10")),
        (&[("Range", "bytes=4-2")], 200, "0123456789", None),
        (&[("Range", "lines=1-2")], 200, "0123456789", None),
        (&[("Range", "bytes=0-0"), ("Range", "bytes=1-1")], 200, "0123456789", None),
        (&[("Range", "bytes=0-0"), ("If-Range", &tag)], 206, "0", Some("bytes 0-0/10")),
        (&[("Range", "bytes=0-0"), ("If-Range", "\"x\"")], 200, "0123456789", None),
        (&[("Range", "bytes=0-0"), ("If-Range", CHANGED_DATE)], 206, "0", Some("bytes 0-0/10")),
        (&[("Range", "bytes=0-0"), ("If-Range", "Sun, 06 Nov 1994 08:49:38 GMT")], 200, "0123456789", None),
        (&[("Range", "bytes=0-1,1-2")], 206, "012", Some("bytes 0-2/10")),
    ];
    for (fields, status, content, range) in cases {
        let request =
            fields.iter().fold(exchange("/a.css"), |exchange, (name, value)| with(exchange, name, value));
        let reply = answer(&*plain, request);
        assert_eq!((reply.status, field(&reply, "Content-Range")), (*status, *range), "{fields:?}");
        assert_eq!(body(&reply), content.as_bytes(), "{fields:?}");
    }
}

#[test]
fn several_ranges_are_multipart() {
    let site = site();
    let reply = answer(&*filter(&site, ""), with(exchange("/a.css"), "Range", "bytes=0-1, 5-6"));
    assert_eq!(reply.status, 206);
    let media_type = field(&reply, "Content-Type").expect("a type");
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").expect("multipart");
    let part = |range: &str, content: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/css; charset=utf-8\r\nContent-Range: bytes {range}/10\r\n\r\n{content}\r\n"
        )
    };
    let expected = format!("{}{}--{boundary}--\r\n", part("0-1", "01"), part("5-6", "56"));
    assert_eq!(String::from_utf8(body(&reply)).expect("text"), expected);
    assert_eq!(field(&reply, "Content-Range"), None);
}

#[test]
fn sends_the_compressed_sibling_that_is_liked_best() {
    let site = site();
    let root = site.path().join("www");
    write(&root, "a.css.gz", "gzip");
    write(&root, "a.css.br", "brotli");
    write(&root, "index.html.gz", "gz home");
    let plain = filter(&site, "precompressed = ['br', 'zstd', 'gzip']");
    let cases = [
        ("/a.css", "gzip, br", "brotli", Some("br")),
        ("/a.css", "gzip;q=1, br;q=0.5", "gzip", Some("gzip")),
        ("/a.css", "zstd, gzip;q=0.1", "gzip", Some("gzip")),
        ("/a.css", "zstd", "0123456789", None),
        ("/a.css", "gzip;q=0, *;q=0", "0123456789", None),
        ("/a.css", "identity, gzip;q=0.5", "0123456789", None),
        ("/a.css", "*", "brotli", Some("br")),
        ("/a.css", "", "0123456789", None),
        ("/", "gzip", "gz home", Some("gzip")),
        ("/none.css", "gzip", "", None),
    ];
    let mut tags = Vec::new();
    for (path, accept, content, coding) in cases {
        let reply = answer(&*plain, with(exchange(path), "Accept-Encoding", accept));
        assert_eq!(String::from_utf8(body(&reply)).expect("text"), content, "{path} {accept}");
        assert_eq!(field(&reply, "Content-Encoding"), coding, "{path} {accept}");
        if reply.status == 200 {
            assert_eq!(field(&reply, "Vary"), Some("Accept-Encoding"));
            tags.push((field(&reply, "ETag").expect("a tag").to_owned(), content));
        }
    }
    let reply = answer(&*plain, with(exchange("/a.css"), "Accept-Encoding", "br"));
    assert_eq!(field(&reply, "Content-Type"), Some("text/css; charset=utf-8"), "the type of the file itself");
    for (tag, content) in &tags {
        assert!(tags.iter().all(|(other, what)| (tag == other) == (content == what)), "{tags:?}");
    }
}

#[test]
fn lists_what_is_in_a_folder() {
    let site = site();
    let root = site.path().join("www");
    write(&root, "list/<b>&\"'.txt", "1234");
    write(&root, "list/x:y.txt", "");
    write(&root, "list/.hidden", "");
    write(&root, "list/zzz/inner.txt", "");
    symlink("/etc/passwd", root.join("list/outside")).expect("linked");
    symlink("zzz", root.join("list/inside")).expect("linked");
    let listing = filter(&site, "listing = true");
    let (status, page) = get(&*listing, "/list/");
    assert_eq!(status, 200);
    for expected in [
        "<h1>/list/</h1>",
        "href=\"./%3Cb%3E%26%22%27.txt\">&lt;b&gt;&amp;&quot;&#39;.txt</a>",
        "href=\"./x%3Ay.txt\"",
        "href=\"./zzz/\">zzz/</a>",
        "href=\"../\"",
        "href=\"./inside/\"",
        CHANGED_DATE,
        "<td>4</td>",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    assert!(!page.contains("hidden") && !page.contains("outside") && !page.contains("<b>"), "{page}");
    assert!(page.find("zzz/") < page.find("x:y"), "folders first");
    assert_eq!(get(&*listing, "/sub/").1, "sub", "an index comes before a listing");
    let (_, page) = get(&*filter(&site, "listing = true\nhidden = true"), "/list/");
    assert!(page.contains(".hidden"));
}

#[test]
fn hidden_files_if_asked_for() {
    let site = site();
    assert_eq!(get(&*filter(&site, "hidden = true"), "/.env").1, "SECRET=1");
}

#[test]
fn a_root_that_is_not_there_is_not_found_until_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("later");
    let late = build(&FACTORY, &format!("static_files = {root:?}"));
    assert_eq!(get(&*late, "/a").0, 404);
    write(&root, "a", "now");
    assert_eq!(get(&*late, "/a"), (200, "now".to_owned()));
}

#[test]
fn names_of_paths() {
    let cases = [
        ("/", "", false, Some(("", true))),
        ("/a/b", "", false, Some(("a/b", false))),
        ("/a%20b/", "", false, Some(("a b", true))),
        ("/a/b", "/a", false, Some(("b", false))),
        ("/a", "/a", false, Some(("", false))),
        ("/ab", "/a", false, None),
        ("/a/.git/config", "", false, None),
        ("/a/.git/config", "", true, Some(("a/.git/config", false))),
        ("/%2E%2E/a", "", true, None),
        ("/a%00b", "", true, None),
        ("/a%2Fb", "", true, None),
    ];
    for (path, prefix, hidden, expected) in cases {
        let name = lookup::name(path, prefix, hidden);
        let expected =
            expected.map(|(bytes, is_folder)| lookup::Name { bytes: bytes.as_bytes().to_vec(), is_folder });
        assert_eq!(name, expected, "{path}");
    }
}

#[test]
fn tags_are_weak_until_a_file_has_settled() {
    let site = site();
    let metadata = fs::metadata(site.path().join("www/a.css")).expect("there");
    let at = |after: Duration| -> SystemTime { UNIX_EPOCH + Duration::from_secs(CHANGED) + after };
    assert!(Version::of(&metadata, at(Duration::from_millis(1999))).etag.starts_with("W/\""));
    assert!(Version::of(&metadata, at(Duration::from_secs(2))).etag.starts_with('"'));
    let early = Version::of(&metadata, UNIX_EPOCH + Duration::from_secs(CHANGED - 5));
    assert_eq!(early.modified, Some(CHANGED - 5), "never later than now");
    let path = site.path().join("www/old");
    fs::write(&path, "x").expect("written");
    let file = File::options().write(true).open(&path).expect("there");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1)).expect("set");
    assert_eq!(Version::of(&fs::metadata(&path).expect("there"), SystemTime::now()), Version::default());
}
