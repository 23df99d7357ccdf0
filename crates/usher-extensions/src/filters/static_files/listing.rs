//! The page that shows what is in a folder.

use std::fs::{File, Metadata};
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use usher_api::{Piece, Reply};
use usher_http::date;

use crate::filters::escape::{push_html, push_segment};

/// Entries of one page; a folder with more is cut.
const MAX_ENTRIES: usize = 2000;
/// Entries that are looked at, hidden ones included.
const MAX_READ: usize = 20_000;

/// One line of the page.
struct Entry {
    name: Vec<u8>,
    is_folder: bool,
    size: u64,
    modified: u64,
}

/// What a symbolic link in the folder leads to; none if it may not be followed.
pub(super) type Follow<'f> = &'f dyn Fn(&[u8]) -> Option<Metadata>;

/// The page for an open folder. `path` is the path of the request.
pub(super) fn page(folder: &File, path: &str, hidden: bool, follow: Follow<'_>) -> Option<Reply> {
    let (entries, cut) = read(folder, hidden, follow)?;
    let mut html = String::with_capacity(512 + entries.len() * 128);
    html.push_str("<!doctype html><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>");
    push_html(path, &mut html);
    html.push_str(
        "</title><style>body{font:1em system-ui;margin:2em}td{padding:.1em 1em .1em 0}</style><h1>",
    );
    push_html(path, &mut html);
    html.push_str("</h1><table>");
    if path != "/" {
        html.push_str("<tr><td><a href=\"../\">../</a></td></tr>");
    }
    for entry in &entries {
        row(entry, &mut html);
    }
    html.push_str("</table>");
    if cut {
        html.push_str("<p>There is more than is shown here.</p>");
    }
    let reply = Reply::new(200, super::send::REASON)
        .field("Content-Type", "text/html; charset=utf-8")
        .field("X-Content-Type-Options", "nosniff")
        .field("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        .field("Cache-Control", "no-cache");
    Some(reply.piece(Piece::Bytes(html.into_bytes().into())).finished())
}

/// The entries, folders first, by name; and whether some were left out.
fn read(folder: &File, hidden: bool, follow: Follow<'_>) -> Option<(Vec<Entry>, bool)> {
    let mut found = Vec::new();
    let mut cut = false;
    for (count, entry) in Dir::read_from(folder).ok()?.enumerate() {
        if count >= MAX_READ || found.len() >= MAX_ENTRIES {
            cut = true;
            break;
        }
        let Ok(entry) = entry else { break };
        let name = entry.file_name().to_bytes();
        // What has control characters in its name cannot be asked for.
        if name == b"."
            || name == b".."
            || (!hidden && name.starts_with(b"."))
            || name.iter().any(u8::is_ascii_control)
        {
            continue;
        }
        found.extend(describe(folder, name, follow));
    }
    found.sort_by(|a, b| b.is_folder.cmp(&a.is_folder).then_with(|| a.name.cmp(&b.name)));
    Some((found, cut))
}

/// A file or folder, or a link to one; nothing else is shown.
fn describe(folder: &File, name: &[u8], follow: Follow<'_>) -> Option<Entry> {
    let stat = statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let (is_folder, size, modified) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => (true, 0, number(stat.st_mtime)),
        FileType::RegularFile => (false, number(stat.st_size), number(stat.st_mtime)),
        FileType::Symlink => {
            let target = follow(name).filter(|target| target.is_dir() || target.is_file())?;
            let modified = target.modified().ok().and_then(date::seconds).unwrap_or(0);
            (target.is_dir(), target.len(), modified)
        }
        _ => return None,
    };
    Some(Entry { name: name.to_vec(), is_folder, size, modified })
}

fn row(entry: &Entry, html: &mut String) {
    let slash = if entry.is_folder { "/" } else { "" };
    // `./` keeps a colon in the name from ending a scheme.
    html.push_str("<tr><td><a href=\"./");
    push_segment(&entry.name, html);
    html.push_str(slash);
    html.push_str("\">");
    push_html(&String::from_utf8_lossy(&entry.name), html);
    html.push_str(slash);
    html.push_str("</a></td><td>");
    html.push_str(&String::from_utf8_lossy(&date::format(entry.modified)));
    html.push_str("</td><td>");
    if !entry.is_folder {
        html.push_str(&entry.size.to_string());
    }
    html.push_str("</td></tr>");
}
