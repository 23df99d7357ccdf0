//! Custom error pages.
//!
//! A page that is written in the config is a template, and a variable that does not exist is an error. A file is
//! somebody's HTML with braces of its own (styles, scripts): in it, what is not a variable stands for itself.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use usher_api::Template;
use usher_api::template::Variable;
use usher_config::config::{ErrorPage, PageContent, RouteSettings, StatusPattern};
use usher_config::{Diagnostic, Span, Spanned};
use usher_http::{fields, media};

use super::Building;
use crate::snapshot::Page;

/// The largest file with a page, in bytes.
const MAX_PAGE: u64 = 1 << 20;
/// The type of a page that is written in the config.
const HTML: &str = "text/html; charset=utf-8";

/// The pages that are read so far, by their place in the config; none for those with errors. Routes that inherit a page
/// share it.
#[derive(Default)]
pub(in crate::snapshot) struct Pages(HashMap<*const ErrorPage, Option<Arc<Page>>>);

impl<'a> Building<'a> {
    /// The pages of a route, in the order in which they are looked through: that of a status, then those of classes.
    pub(in crate::snapshot) fn pages(
        &mut self,
        settings: &RouteSettings<'a>,
        pages: &mut Pages,
    ) -> Vec<(StatusPattern, Arc<Page>)> {
        let (mut exact, mut classes) = (Vec::new(), Vec::new());
        for (pattern, page) in settings.error_pages() {
            let (list, page) = match pattern {
                // A class in a nearer place comes before the status in one further away.
                StatusPattern::Exact(status) => (&mut exact, settings.error_page(status).unwrap_or(page)),
                StatusPattern::Class(_) => (&mut classes, page),
            };
            if list.iter().all(|(other, _)| *other != pattern) {
                list.push((pattern, page));
            }
        }
        let all = exact.into_iter().chain(classes);
        all.filter_map(|(pattern, page)| Some((pattern, self.page(page, pages)?))).collect()
    }

    fn page(&mut self, page: &ErrorPage, pages: &mut Pages) -> Option<Arc<Page>> {
        let place = std::ptr::from_ref(page);
        pages.0.entry(place).or_insert_with(|| self.read_page(page).map(Arc::new)).clone()
    }

    fn read_page(&mut self, page: &ErrorPage) -> Option<Page> {
        let (content, implied, span) = match &page.content {
            PageContent::Text(text) => (self.template(text)?, HTML, text.span),
            PageContent::File(path) => {
                let text = self.file(path, path.span)?;
                let implied = media::for_file(path.as_os_str().as_encoded_bytes());
                (Template::parse_lenient(&text), implied, path.span)
            }
        };
        let content_type = page.content_type.clone().unwrap_or_else(|| implied.to_owned());
        if content_type.is_empty() || !fields::is_value(content_type.as_bytes()) {
            let error = Diagnostic::error(format!("`{content_type}` is not the type of a page"));
            self.push(error.at(span, "of this page").help("write it like `text/html; charset=utf-8`"));
            return None;
        }
        Some(Page { content_type, content })
    }

    fn template(&mut self, text: &Spanned<String>) -> Option<Template> {
        let error = match Template::parse(text) {
            Ok(template) => return Some(template),
            Err(error) => error,
        };
        let span = error.place(text).map_or(text.span, |part| self.within(text, part));
        let (message, help) = error.told::<Variable>();
        self.push(Diagnostic::error(message).at(span, "").help(help));
        None
    }

    /// The text of a file; bytes that are not UTF-8 are replaced.
    fn file(&mut self, path: &Path, span: Span) -> Option<String> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MAX_PAGE + 1).read_to_end(&mut bytes));
        let error = match read {
            Ok(_) if bytes.len() as u64 <= MAX_PAGE => {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
            Ok(_) => format!("`{}` has more than {} KiB", path.display(), MAX_PAGE >> 10),
            Err(error) => format!("cannot read `{}`: {error}", path.display()),
        };
        self.push(Diagnostic::error(error).at(span, ""));
        None
    }
}
