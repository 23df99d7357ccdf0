//! Field names and values in sections of the config, and which fields are not a filter's to change.

use usher_api::{Exchange, Template};
use usher_config::{Context, Span, Spanned};
use usher_http::fields::{is_token, is_value};
use usher_http::{FieldId, Fields};

use super::text::{TemplateText, check_line};

/// The longest field name that can be written in a config (bytes).
const MAX_NAME: usize = 256;

/// Which head a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The request's, towards the endpoint.
    Request,
    /// The response's, towards the client.
    Response,
}

impl Direction {
    /// Takes a field away. In a request, also those that an endpoint may take for it: `X_User` for `X-User`.
    pub fn remove(self, exchange: &mut Exchange, name: &str) {
        match self {
            Self::Request => exchange.request.fields.remove_alike(name.as_bytes()),
            Self::Response => _ = exchange.response.fields.remove_named(name.as_bytes()),
        }
    }

    /// The fields of that head.
    pub fn fields(self, exchange: &mut Exchange) -> &mut Fields {
        match self {
            Self::Request => &mut exchange.request.fields,
            Self::Response => &mut exchange.response.fields,
        }
    }
}

/// What the values of a name become, all of them in order; none if `change` finds nothing to do.
pub fn changed(
    fields: &Fields,
    name: &[u8],
    mut change: impl FnMut(&str) -> Option<String>,
) -> Option<Vec<Vec<u8>>> {
    let mut any = false;
    let values = fields.all_named(name).map(|value| {
        let new = std::str::from_utf8(value).ok().and_then(&mut change);
        any |= new.is_some();
        new.map_or_else(|| value.to_vec(), |new| new.trim_matches([' ', '\t']).as_bytes().to_vec())
    });
    let values: Vec<Vec<u8>> = values.collect();
    any.then_some(values)
}

/// Writes values under a name. An empty one is left out, and so is one that cannot be written (a head past its limit).
pub fn add_all(fields: &mut Fields, name: &[u8], values: &[Vec<u8>]) {
    for value in values.iter().filter(|value| !value.is_empty()) {
        let _ = fields.add(name, value);
    }
}

/// A field to be written: its name and what its value is.
#[derive(Clone, Debug)]
pub struct FieldText {
    /// The name.
    pub name: Box<str>,
    value: FieldValue,
}

#[derive(Clone, Debug)]
enum FieldValue {
    Plain(Box<str>),
    Template(Template),
}

impl FieldText {
    /// Checks a name and a value; what is wrong goes to `cx`.
    pub fn new(
        name: (&str, Span),
        value: &Spanned<TemplateText>,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        let named = check_name(name.0, name.1, direction, cx);
        let value = match value.template.as_plain() {
            None => {
                let what = format!("the value of `{}`", name.0);
                if !check_line(&value.text.replace('\t', " "), (&what, value.span), cx) {
                    return None;
                }
                FieldValue::Template(value.template.clone())
            }
            Some("") => {
                let help = "to take a field away, name it in `remove`";
                cx.error_help(value.span, format!("the value of `{}` is empty", name.0), help);
                return None;
            }
            Some(plain) if is_value(plain.as_bytes()) => FieldValue::Plain(plain.into()),
            Some(_) => {
                let message = format!("the value of `{}` is not a field value", name.0);
                let help = "it has no control characters and no blanks at its ends";
                cx.error_help(value.span, message, help);
                return None;
            }
        };
        named.then(|| Self { name: name.0.into(), value })
    }

    /// The value for this exchange; none where it comes out empty. `spare` holds it if it has variables.
    pub fn value<'a>(&'a self, exchange: &Exchange, spare: &'a mut String) -> Option<&'a str> {
        let text = match &self.value {
            FieldValue::Plain(text) => text,
            FieldValue::Template(template) => {
                spare.clear();
                template.render(exchange, spare);
                spare.trim_matches([' ', '\t'])
            }
        };
        (!text.is_empty()).then_some(text)
    }
}

/// Checks a name: a token, and a field that a config may change.
pub fn check_name(name: &str, span: Span, direction: Direction, cx: &mut Context<'_>) -> bool {
    if !is_token(name.as_bytes()) || name.len() > MAX_NAME {
        let help = "a name is made of letters, digits and `-`";
        cx.error_help(span, format!("`{}` is not the name of a field", name.escape_debug()), help);
        return false;
    }
    if let Some(instead) = owned(name, direction) {
        cx.error_help(span, format!("`{name}` is set by the proxy itself"), instead);
        return false;
    }
    true
}

/// What to do instead of changing a field that decides how messages are framed, routed or connected (RFC 9110,
/// sections 7.6.1 and 8.6).
fn owned(name: &str, direction: Direction) -> Option<&'static str> {
    Some(match (FieldId::of(name.as_bytes()), direction) {
        (FieldId::Host, Direction::Request) => "use `rewrite.host`, or `host` on the cluster",
        (FieldId::Host, Direction::Response) => "responses have no such field",
        (FieldId::ContentLength | FieldId::TransferEncoding | FieldId::Trailer, _) => {
            "it says how the body is framed; remove this line"
        }
        (FieldId::Upgrade | FieldId::Http2Settings, _) => {
            "upgrades are passed on as they are; remove this line"
        }
        (FieldId::Connection | FieldId::KeepAlive | FieldId::ProxyConnection | FieldId::Te, _) => {
            "it is about one connection and never passed on; remove this line"
        }
        (FieldId::Expect, Direction::Request) => "the proxy answers it; remove this line",
        _ => return None,
    })
}
