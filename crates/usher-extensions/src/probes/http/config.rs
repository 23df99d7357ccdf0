//! The options of the probe `http`.

use std::ops::RangeInclusive;
use std::str::FromStr;

use usher_config::schema::Schema;
use usher_config::{Context, Decode, Named, Node, OneOrMany, Spanned, ValueError};

usher_config::section! {
    /// Sends a request, over TLS and in the version of HTTP in which the cluster speaks to its endpoints, and looks at
    /// status and body of the answer.
    pub struct Http {
        /// The path, and perhaps a query, that is asked for.
        #[check(path)]
        pub path: String = "/".to_owned(),
        /// The method.
        pub method: Asking = Asking::Get,
        /// Further fields of the request.
        pub headers: Named<Spanned<String>> = Named::default(),
        /// The statuses that are well: `204`, `2xx`, `200-399`, or several of these.
        pub status: OneOrMany<Statuses> = OneOrMany(vec![Statuses(200..=399)]),
        /// A text that the first 64 KiB of the body must contain.
        #[check(not_empty)]
        pub body: Option<Spanned<String>>,
    }
}

usher_config::names! {
    /// A method that changes nothing.
    pub enum Asking {
        /// A page.
        Get = "GET",
        /// Only the head of its answer.
        Head = "HEAD",
    }
}

/// Statuses that are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub RangeInclusive<u16>);

impl FromStr for Statuses {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = |text: &str| {
            let number = text.parse().ok().filter(|_| text.len() == 3);
            number.filter(|status| (100..=599).contains(status))
        };
        let class = || {
            let class = text.strip_suffix("xx")?.parse::<u16>().ok().filter(|_| text.len() == 3)?;
            (1..=5).contains(&class).then_some(class * 100..=class * 100 + 99)
        };
        let range = || {
            let (low, high) = text.split_once('-')?;
            let (low, high) = (digits(low.trim())?, digits(high.trim())?);
            (low <= high).then_some(low..=high)
        };
        let found = digits(text).map(|status| status..=status).or_else(class).or_else(range);
        found.map(Self).ok_or_else(|| {
            ValueError::new(format!("`{text}` is not a status")).help("write `204`, `2xx` or `200-399`")
        })
    }
}

impl Decode for Statuses {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match node.as_integer() {
            Some(number) => cx.value(node.span, number.to_string().parse()),
            None => cx.parse(node, "a status such as `204`, `2xx` or `200-399`", str::parse),
        }
    }

    fn schema() -> Schema {
        let text = Schema::text("status").example("2xx").example("200-399");
        Schema::any_of(vec![u16::schema(), text])
    }

    fn encode(&self) -> usher_config::serde_json::Value {
        let (low, high) = (self.0.start(), self.0.end());
        if low == high { (*low).into() } else { format!("{low}-{high}").into() }
    }
}

/// In origin-form (RFC 9112 section 3.2.1).
fn path(path: &String) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("`{path}` does not begin with `/`"));
    }
    match path.chars().find(|char| !char.is_ascii_graphic() || matches!(char, '#' | '"' | '<' | '>')) {
        Some(char) => Err(format!("`{path}` holds {char:?}, which a path cannot: percent-encode it")),
        None => Ok(()),
    }
}

fn not_empty(text: &Option<Spanned<String>>) -> Result<(), &'static str> {
    match text {
        Some(text) if text.is_empty() => {
            Err("an empty text is in every body: write one, or leave `body` out")
        }
        _ => Ok(()),
    }
}
