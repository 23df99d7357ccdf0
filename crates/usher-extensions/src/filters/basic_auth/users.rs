//! Who may come in: names and hashes from the config and from files.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use usher_config::{Context, Diagnostic, Span, ValueError};

use super::config::BasicAuth;
use super::hash::Hash;

/// The largest file of users (bytes).
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Mistakes of one file that are reported.
const MAX_REPORTED: usize = 10;

/// Names and hashes.
#[derive(Debug, Default)]
pub struct Users {
    by_name: HashMap<Box<str>, Hash>,
    /// For those who are not here: they shall wait as long as those who are.
    stand_ins: Vec<Hash>,
}

impl Users {
    /// Reads the section and its files; what is wrong goes to `cx`.
    pub fn read(config: &BasicAuth, cx: &mut Context<'_>) -> Self {
        let mut users = Self::default();
        for (name, secret) in &config.users {
            let hash =
                Hash::parse(secret.expose()).map_err(|error| refuse(&name.name, secret.span, error, cx)).ok();
            if !is_name(&name.name) {
                let error = ValueError::new("the name of a user is not empty and has no `:`");
                refuse(&name.name, name.span, error, cx);
            } else if let Some(hash) = hash {
                users.insert(&name.name, hash);
            }
        }
        for path in &config.file {
            users.read_file(path, path.span, cx);
        }
        users
    }

    fn insert(&mut self, name: &str, hash: Hash) {
        if self.stand_ins.len() < 16 {
            self.stand_ins.push(hash.clone());
        }
        self.by_name.insert(name.into(), hash);
    }

    fn read_file(&mut self, path: &Path, span: Span, cx: &mut Context<'_>) {
        cx.uses_file(path.to_path_buf());
        let mut text = String::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        if let Err(error) = read {
            cx.error(span, format!("cannot read `{}`: {error}", path.display()));
            return;
        }
        if text.len() as u64 > MAX_FILE {
            cx.error(span, format!("`{}` has more than 16 MiB", path.display()));
            return;
        }
        let mut reported = 0;
        for (number, line) in text.lines().enumerate() {
            if reported < MAX_REPORTED
                && let Err((message, help)) = self.read_line(line)
            {
                reported += 1;
                let message = format!("line {} of `{}`: {message}", number + 1, path.display());
                cx.error_help(span, message, help);
            }
        }
    }

    /// `name:hash`; empty lines and those that begin with `#` say nothing.
    fn read_line(&mut self, line: &str) -> Result<(), (String, String)> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let Some((name, hash)) = line.split_once(':').filter(|(name, _)| is_name(name)) else {
            return Err(("it is not `name:hash`".to_owned(), "make it by `htpasswd -nB NAME`".to_owned()));
        };
        let hash = Hash::parse(hash).map_err(|error| (error.message, error.help.unwrap_or_default()))?;
        if self.by_name.contains_key(name) {
            return Err((format!("the user `{name}` is there already"), "remove one of the two".to_owned()));
        }
        self.insert(name, hash);
        Ok(())
    }

    /// The hash of a user.
    pub fn get(&self, name: &str) -> Option<&Hash> {
        self.by_name.get(name)
    }

    /// A hash for a name that is not here, always the same for one name, so that asking for it takes as long as
    /// asking for somebody.
    pub fn stand_in(&self, name: &str) -> Option<&Hash> {
        let sum =
            name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.stand_ins.get(sum % self.stand_ins.len().max(1))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// Reports a hash that cannot be used by its place alone: the line would show it.
fn refuse(user: &str, span: Span, error: ValueError, cx: &mut Context<'_>) {
    let place = cx.sources().place(span).map_or_else(String::new, |place| format!(" ({place})"));
    let message = format!("the password of `{user}`{place}: {}", error.message);
    cx.push(Diagnostic::error(message).maybe_help(error.help));
}

/// A name has no colon (RFC 7617, section 2) and no control characters.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|char: char| char == ':' || char.is_control())
}
