//! `static_files`: serves files from a folder.
//!
//! The path is in normal form when it comes here; its segments are decoded one by one (`lookup.rs`) and opened by a
//! call that cannot leave the folder (`open.rs`). What is found is answered as RFC 9110 asks: conditions, ranges,
//! validators (`send.rs`, `validators.rs`). The body goes out as a range of the open file, which the connection's
//! driver reads as the client takes it.
//!
//! On a route that also sends requests to a cluster, only what is there is answered, and all else passes.

pub mod config;
mod listing;
mod lookup;
mod open;
mod send;
#[cfg(test)]
mod tests;
mod validators;

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use usher_api::{BuildContext, DryRun, Exchange, Filter, FilterFactory, Flow, Phase, Reply};
use usher_config::{Context, Decode, Diagnostic, Node, Spanned};
use usher_http::media::{self, Accepted, Coding};
use usher_http::path::normalize;
use usher_http::{Method, Request};

use self::config::extension;
use self::lookup::Name;
use self::open::{Folder, OpenError, Root, metadata};
use self::send::Found;
use self::validators::Version;
use super::escape;
use super::fields::{Direction, FieldText};

/// The filter `static_files`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "static_files",
    phase: Phase::Respond,
    summary: "serve files from a folder",
    schema: config::StaticFiles::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::StaticFiles::decode(node, cx.config)?;
    let passes_on = cx.route.forwards;
    let cx = &mut *cx.config;
    if !config.root.is_dir() {
        let message = format!("`{}` is not a folder now", config.root.display());
        let warning = Diagnostic::warning(message).at(config.root.span, "");
        cx.push(warning.help(if passes_on {
            "until it is, all requests go where the route sends them"
        } else {
            "until it is, requests are answered with 404"
        }));
    }
    let prefix = match &config.strip_prefix {
        Some(written) => prefix(written, cx)?,
        None => String::new(),
    };
    let index = config.index.iter().filter_map(|name| inside(name, false, cx)).collect();
    let fallback = match &config.fallback {
        Some(written) if passes_on => {
            let message = "`fallback` leaves nothing for where the route sends requests";
            let help = "keep `fallback`, or `to`, `cluster` or `split`: either answers what is not there";
            cx.error_help(written.span, message, help);
            return None;
        }
        Some(written) => Some(inside(written, true, cx)?),
        None => None,
    };
    let cache_control = match &config.cache_control {
        Some(value) => Some(FieldText::new(("Cache-Control", value.span), value, Direction::Response, cx)?),
        None => None,
    };
    let mut codings: Vec<Coding> = Vec::new();
    for coding in config.precompressed.iter().map(|kind| kind.coding()) {
        if !codings.contains(&coding) {
            codings.push(coding);
        }
    }
    // Last among equals: as it is.
    if !codings.is_empty() {
        codings.push(Coding::Identity);
    }
    let root = Root::new(config.root.value, config.symlinks);
    let (listing, hidden) = (config.listing, config.hidden);
    Some(Arc::new(StaticFiles {
        root,
        prefix,
        index,
        fallback,
        cache_control,
        codings,
        listing,
        hidden,
        passes_on,
    }))
}

/// `strip_prefix` in normal form, without its last slash.
fn prefix(written: &Spanned<String>, cx: &mut Context<'_>) -> Option<String> {
    let mut spare = Vec::new();
    match normalize(written.as_bytes(), &mut spare) {
        Ok(normal) => {
            let normal = String::from_utf8_lossy(normal.bytes()).into_owned();
            Some(normal.strip_suffix('/').map(str::to_owned).unwrap_or(normal))
        }
        Err(error) => {
            let help = "write it like `/assets`";
            cx.error_help(written.span, format!("`{}` is not a prefix: {error}", written.value), help);
            None
        }
    }
}

/// A name inside of the root: an index, without slashes, or the fallback, which may begin with one.
fn inside(written: &Spanned<String>, is_path: bool, cx: &mut Context<'_>) -> Option<String> {
    let text = if is_path { written.strip_prefix('/').unwrap_or(written) } else { written };
    let plain = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains('\0');
    if text.split('/').all(plain) && (is_path || !text.contains('/')) {
        return Some(text.to_owned());
    }
    let help = if is_path { "write it like `/index.html`" } else { "write it like `index.html`" };
    cx.error_help(written.span, format!("`{}` is not the name of a file in the folder", written.value), help);
    None
}

struct StaticFiles {
    root: Root,
    /// Empty, or in normal form without its last slash.
    prefix: String,
    index: Vec<String>,
    fallback: Option<String>,
    cache_control: Option<FieldText>,
    /// What may be offered, identity last; empty if there is nothing to choose from.
    codings: Vec<Coding>,
    listing: bool,
    hidden: bool,
    /// The route sends on what is not here.
    passes_on: bool,
}

impl Filter for StaticFiles {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        match self.reply(exchange) {
            Some(reply) => Flow::Respond(Box::new(reply)),
            None => Flow::Continue,
        }
    }

    fn passes_on(&self) -> bool {
        self.passes_on
    }

    fn describe(&self) -> String {
        let rest = if self.passes_on { "; what is not there goes on" } else { "" };
        format!("from {}{rest}", self.root.path().display())
    }

    fn dry_run(&self, exchange: &mut Exchange) -> Option<DryRun> {
        match self.reply(exchange) {
            // The real one, with its fields.
            Some(_) => None,
            None if is_read(exchange) => Some(DryRun::passes("there is no such file")),
            None => Some(DryRun::passes("files are for GET and HEAD")),
        }
    }
}

fn is_read(exchange: &Exchange) -> bool {
    matches!(exchange.request.method, Method::Get | Method::Head)
}

fn refusal(error: OpenError) -> Reply {
    match error {
        OpenError::NotFound => Reply::new(404, "not_found"),
        OpenError::Forbidden => Reply::new(403, "forbidden"),
        OpenError::TooMany => Reply::new(503, "too_many_open_files"),
        OpenError::Failed => Reply::new(500, "file_unreadable"),
    }
}

impl StaticFiles {
    /// The response; none for a request that passes.
    fn reply(&self, exchange: &Exchange) -> Option<Reply> {
        if !is_read(exchange) {
            let refusal = || Reply::new(405, "method_not_allowed").field("Allow", "GET, HEAD");
            return (!self.passes_on).then(refusal);
        }
        match self.answer(exchange) {
            Err(OpenError::NotFound) if self.passes_on => None,
            found => Some(found.unwrap_or_else(refusal)),
        }
    }

    fn answer(&self, exchange: &Exchange) -> Result<Reply, OpenError> {
        let folder = self.root.open()?;
        let found = match lookup::name(&exchange.request.path, &self.prefix, self.hidden) {
            Some(name) => self.named(&folder, &name, exchange),
            None => Err(OpenError::NotFound),
        };
        match (found, &self.fallback) {
            (Err(OpenError::NotFound), Some(fallback)) => self.file(&folder, fallback.as_bytes(), exchange),
            (found, _) => found,
        }
    }

    /// What the path names: a file, or a folder with or without the slash that it should have.
    fn named(&self, folder: &Folder<'_>, name: &Name, exchange: &Exchange) -> Result<Reply, OpenError> {
        let file = folder.read(&name.bytes)?;
        let kind = metadata(&file)?.file_type();
        match (kind.is_dir(), name.is_folder) {
            (true, false) => {
                // A folder that shows nothing may be named like something of the application.
                if self.passes_on && !self.listing {
                    self.folder(folder, name, &file, exchange)?;
                }
                Ok(with_slash(&exchange.request))
            }
            (true, true) => self.folder(folder, name, &file, exchange),
            (false, false) => self.opened(folder, &name.bytes, file, exchange),
            (false, true) => Err(OpenError::NotFound),
        }
    }

    /// The index of a folder, or the list of what it holds.
    fn folder(
        &self,
        folder: &Folder<'_>,
        name: &Name,
        file: &File,
        exchange: &Exchange,
    ) -> Result<Reply, OpenError> {
        for index in &self.index {
            match self.file(folder, &name.join(index.as_bytes()), exchange) {
                Err(OpenError::NotFound) => {}
                found => return found,
            }
        }
        if !self.listing {
            return Err(OpenError::NotFound);
        }
        let follow = |link: &[u8]| metadata(&folder.read(&name.join(link)).ok()?).ok();
        listing::page(file, &exchange.request.path, self.hidden, &follow).ok_or(OpenError::Failed)
    }

    fn file(&self, folder: &Folder<'_>, name: &[u8], exchange: &Exchange) -> Result<Reply, OpenError> {
        self.opened(folder, name, folder.read(name)?, exchange)
    }

    /// The response for an open file or its compressed sibling.
    fn opened(
        &self,
        folder: &Folder<'_>,
        name: &[u8],
        file: File,
        exchange: &Exchange,
    ) -> Result<Reply, OpenError> {
        let (file, coding) = match self.compressed(folder, name, &exchange.request) {
            Some((sibling, coding)) if metadata(&file)?.is_file() => (sibling, Some(coding.name())),
            _ => (file, None),
        };
        let metadata = metadata(&file)?;
        // A FIFO, a device or a folder named like an index.
        if !metadata.is_file() {
            return Err(OpenError::NotFound);
        }
        let mut spare = String::new();
        let cache_control = self.cache_control.as_ref().and_then(|field| field.value(exchange, &mut spare));
        let found = Found {
            length: metadata.len(),
            version: Version::of(&metadata, SystemTime::now()),
            media_type: media::for_file(name),
            coding,
            varies: !self.codings.is_empty(),
            cache_control: cache_control.map(str::to_owned),
            file: Arc::new(file),
        };
        Ok(send::send(&found, &exchange.request))
    }

    /// The compressed sibling that the client likes best; none if it likes the file itself better.
    fn compressed(&self, folder: &Folder<'_>, name: &[u8], request: &Request) -> Option<(File, Coding)> {
        if self.codings.is_empty() {
            return None;
        }
        let accepted = Accepted::parse(request.fields.all_named(b"Accept-Encoding"));
        for coding in accepted.ordered(&self.codings) {
            if coding == Coding::Identity {
                return None;
            }
            let sibling = [name, extension(coding)].concat();
            if let Ok(file) = folder.read(&sibling)
                && metadata(&file).is_ok_and(|metadata| metadata.is_file())
            {
                return Some((file, coding));
            }
        }
        None
    }
}

/// Sends the client from `/folder` to `/folder/`, by a relative reference, as a rewrite may hide the beginning of the
/// path that the client knows.
fn with_slash(request: &Request) -> Reply {
    let last = request.path.rsplit('/').next().unwrap_or_default();
    // `./` keeps a colon in the name from ending a scheme.
    let mut location = format!("./{last}/");
    if let Some(query) = &request.query {
        location.push('?');
        escape::push_query(query, &mut location);
    }
    Reply::new(301, "redirect").field("Location", location).finished()
}
