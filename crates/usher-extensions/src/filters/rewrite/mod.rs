//! `rewrite`: changes the path, the query and the host of a request before it is forwarded.
//!
//! Whatever is written, the path is put into its one normal form again before anybody reads it, so a rewrite cannot
//! smuggle `..` or a second reading past the filters behind it. What has no normal form is answered with 400.

pub mod config;
mod query;
mod restore;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use usher_api::{BuildContext, Exchange, Filter, FilterFactory, Flow, Phase, Reply};
use usher_config::{Context, Decode, Diagnostic, Node, Spanned};
use usher_http::TargetForm;
use usher_http::host::Authority;
use usher_http::path::{Normal, normalize};

use self::restore::Restore;
use self::target::{Rule, Target};
use super::escape;
use super::text::{TemplateText, check_line};

/// The reason of a 400 for a path or host that came out unusable.
const INVALID: &str = "rewrite_invalid";

/// The filter `rewrite`.
pub const FACTORY: FilterFactory = FilterFactory {
    name: "rewrite",
    phase: Phase::Rewrite,
    summary: "change path, query and host of a request",
    schema: config::Rewrite::schema,
    build,
};

fn build(node: &Node, cx: &mut BuildContext<'_, '_>) -> Option<Arc<dyn Filter>> {
    let config = config::Rewrite::decode(node, cx.config)?;
    let cx = &mut *cx.config;
    if let Some(path) = &config.path {
        let others = [config.strip_prefix.is_some(), config.add_prefix.is_some(), !config.regex.is_empty()];
        if others.contains(&true) {
            let error = Diagnostic::error("`path` replaces the whole path, so nothing else can change it");
            cx.push(error.at(path.span, "").help("keep `path`, or `strip_prefix`, `regex` and `add_prefix`"));
        }
    }
    let prefix = |written: &Option<Spanned<String>>, cx: &mut Context<'_>| {
        written.as_ref().and_then(|written| prefix(written, cx))
    };
    let (strip_prefix, add_prefix) = (prefix(&config.strip_prefix, cx), prefix(&config.add_prefix, cx));
    if *config.restore_prefix && config.strip_prefix.is_none() && config.add_prefix.is_none() {
        cx.error_help(
            config.restore_prefix.span,
            "`restore_prefix` has nothing to restore",
            "add `strip_prefix`, or take it out",
        );
    }
    let restore = config.restore_prefix.value.then(|| Restore {
        stripped: strip_prefix.clone().unwrap_or_default(),
        added: add_prefix.clone().unwrap_or_default(),
    });
    let rewrite = Rewrite {
        strip_prefix,
        rules: config.regex.iter().filter_map(|rule| Rule::new(rule, cx)).collect(),
        path: config.path.as_ref().and_then(|path| Target::new(path, cx)),
        add_prefix,
        restore,
        query: config.query.map(|query| match query {
            config::Query::Whole(text) => Query::Whole(text),
            config::Query::Edits(edits) => Query::Edits(query::Edits::new(&edits)),
        }),
        host: config.host.and_then(|host| checked_host(host, cx)),
    };
    if rewrite.describe().is_empty() && !cx.has_errors() {
        cx.warn(node.span, "`rewrite` changes nothing");
    }
    Some(Arc::new(rewrite))
}

/// A prefix in normal form without its last slash; empty for `/`.
fn prefix(written: &Spanned<String>, cx: &mut Context<'_>) -> Option<Box<str>> {
    let text = written.value.as_str();
    if !text.starts_with('/') {
        let help = format!("write `/{text}`");
        cx.error_help(written.span, format!("the prefix `{text}` does not begin with `/`"), help);
        return None;
    }
    let plain =
        if text.contains(['?', '{', '*']) { Err("it holds `?`, `{` or `*`".to_owned()) } else { Ok(()) };
    let mut spare = Vec::new();
    let normal =
        plain.and_then(|()| normalize(text.as_bytes(), &mut spare).map_err(|error| error.to_string()));
    match normal {
        Ok(normal) => {
            let normal = String::from_utf8_lossy(normal.bytes()).into_owned();
            Some(normal.strip_suffix('/').unwrap_or(&normal).into())
        }
        Err(why) => {
            cx.error(written.span, format!("`{text}` is not a prefix of a path: {why}"));
            None
        }
    }
}

/// A host that is written without variables is checked once and for all.
fn checked_host(host: Spanned<TemplateText>, cx: &mut Context<'_>) -> Option<TemplateText> {
    if !check_line(&host.text, ("the host", host.span), cx) {
        return None;
    }
    if let Some(plain) = host.template.as_plain()
        && let Err(error) = Authority::parse(plain.as_bytes())
    {
        let help = "write a name and, if need be, a port: `app.internal:8080`";
        cx.error_help(host.span, format!("`{plain}` is not a host: {error}"), help);
        return None;
    }
    Some(host.value)
}

struct Rewrite {
    strip_prefix: Option<Box<str>>,
    rules: Vec<Rule>,
    path: Option<Target>,
    add_prefix: Option<Box<str>>,
    restore: Option<Restore>,
    query: Option<Query>,
    host: Option<TemplateText>,
}

enum Query {
    Whole(TemplateText),
    Edits(query::Edits),
}

/// What was asked for cannot be forwarded.
struct Invalid;

impl Filter for Rewrite {
    fn on_request(&self, exchange: &mut Exchange) -> Flow {
        match self.apply(exchange) {
            Ok(()) => Flow::Continue,
            Err(Invalid) => Flow::Respond(Box::new(Reply::new(400, INVALID))),
        }
    }

    fn on_response(&self, exchange: &mut Exchange) {
        if let Some(restore) = &self.restore {
            restore.apply(exchange);
        }
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.strip_prefix.as_ref().map(|prefix| format!("strip `{prefix}/`")));
        parts.extend(self.rules.iter().map(|rule| format!("replace `{}`", rule.pattern())));
        parts.extend(self.path.as_ref().map(|path| format!("path to `{}`", path.path.text)));
        parts.extend(self.add_prefix.as_ref().map(|prefix| format!("add `{prefix}`")));
        parts.extend(self.restore.as_ref().map(|_| "restore the prefix in responses".to_owned()));
        parts.extend(self.query.as_ref().map(|_| "query".to_owned()));
        parts.extend(self.host.as_ref().map(|host| format!("host to `{}`", host.text)));
        parts.join(", ")
    }
}

impl Rewrite {
    fn apply(&self, exchange: &mut Exchange) -> Result<(), Invalid> {
        // `OPTIONS *` has no path.
        if exchange.request.form != TargetForm::Asterisk {
            self.change_path(exchange)?;
        }
        match &self.query {
            Some(Query::Whole(text)) => set_query(&text.render(exchange), exchange),
            Some(Query::Edits(edits)) => exchange.request.query = edits.apply(exchange),
            None => {}
        }
        match &self.host {
            Some(host) => set_host(host.render(exchange), exchange),
            None => Ok(()),
        }
    }

    fn change_path(&self, exchange: &mut Exchange) -> Result<(), Invalid> {
        if let Some(prefix) = &self.strip_prefix {
            strip(prefix, &mut exchange.request.path);
        }
        for rule in &self.rules {
            if let Some((path, query)) = rule.apply(exchange) {
                set_path(path, exchange)?;
                query.iter().for_each(|query| set_query(query, exchange));
            }
        }
        if let Some(target) = &self.path {
            let query = target.query.as_ref().map(|query| query.render(exchange));
            set_path(target.path.render(exchange), exchange)?;
            query.iter().for_each(|query| set_query(query, exchange));
        }
        if let Some(prefix) = &self.add_prefix {
            exchange.request.path.insert_str(0, prefix);
        }
        Ok(())
    }
}

/// Takes a prefix of whole segments from a path. Both are in normal form, so what remains is too.
fn strip(prefix: &str, path: &mut String) {
    let Some(rest) = path.strip_prefix(prefix) else { return };
    if rest.is_empty() {
        path.clear();
        path.push('/');
    } else if rest.starts_with('/') {
        path.drain(..prefix.len());
    }
}

fn set_path(path: String, exchange: &mut Exchange) -> Result<(), Invalid> {
    let mut spare = Vec::new();
    let rewritten = match normalize(path.as_bytes(), &mut spare) {
        Ok(Normal::AsCame(_)) => None,
        Ok(Normal::Rewritten(bytes)) => Some(String::from_utf8(bytes.to_vec()).map_err(|_| Invalid)?),
        Err(_) => return Err(Invalid),
    };
    exchange.request.path = rewritten.unwrap_or(path);
    Ok(())
}

fn set_query(text: &str, exchange: &mut Exchange) {
    let mut query = String::with_capacity(text.len());
    escape::push_query(text, &mut query);
    exchange.request.query = (!query.is_empty()).then_some(query);
}

fn set_host(text: String, exchange: &mut Exchange) -> Result<(), Invalid> {
    let mut spare = String::new();
    let authority = Authority::parse(text.as_bytes()).map_err(|_| Invalid)?;
    let host = authority.lower_into(&mut spare);
    exchange.request.host.clear();
    exchange.request.host.push_str(host);
    exchange.request.authority = text;
    Ok(())
}
