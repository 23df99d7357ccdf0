//! The section `rewrite`.

use usher_config::{Context, Decode, Named, Node, OneOrMany, Regex, Schema, Spanned};

use crate::filters::text::TemplateText;

usher_config::section! {
    /// Changes the path, the query and the host of a request before it goes to an endpoint. The path is changed in
    /// this order: `strip_prefix`, `regex`, `add_prefix`; or `path` replaces it.
    pub default struct Rewrite {
        /// Takes this from the beginning of the path, if it is there as whole segments: `/api` takes nothing from
        /// `/apis`. What remains is at least `/`.
        pub strip_prefix: Option<Spanned<String>>,
        /// Undoes `strip_prefix` and `add_prefix` in what an endpoint's response says of paths: in `Location`,
        /// `Content-Location` and `Refresh`, if they name this site or the endpoint, and in the `Path` of cookies.
        pub restore_prefix: Spanned<bool> = Spanned::nowhere(false),
        /// Puts this before the path.
        pub add_prefix: Option<Spanned<String>>,
        /// Replaces the path. A `?` begins a query that replaces the request's.
        pub path: Option<Spanned<TemplateText>>,
        /// Replaces what a regular expression finds in the path; several are applied one after the other.
        pub regex: OneOrMany<RegexRule> = OneOrMany::default(),
        /// Replaces the query, if it is a text; changes its parameters, if it is a table.
        pub query: Option<Query>,
        /// Replaces the host that the endpoint is asked for.
        pub host: Option<Spanned<TemplateText>>,
    }
}

usher_config::section! {
    /// A regular expression and what replaces its first match.
    pub struct RegexRule {
        /// The expression. It is searched anywhere in the path; `^` and `$` tie it to the ends.
        #[key("match")]
        pub pattern: Spanned<Regex>,
        /// What replaces it: text, groups (`$1`, `$name`; `$$` is a dollar sign) and variables (`{client.ip}`). A `?`
        /// begins a query that replaces the request's.
        pub to: Spanned<String>,
    }
}

usher_config::section! {
    /// Changes to the parameters of a query, in this order: remove, set, add.
    pub default struct QueryEdits {
        /// Names of parameters to take away.
        pub remove: OneOrMany<Spanned<String>> = OneOrMany::default(),
        /// Parameters to write in place of those of the same name.
        pub set: Named<Spanned<TemplateText>> = Named::default(),
        /// Parameters to write beside those of the same name.
        pub add: Named<Spanned<TemplateText>> = Named::default(),
    }
}

/// A new query, or changes to it.
#[derive(Debug, Clone)]
pub enum Query {
    /// The whole query.
    Whole(TemplateText),
    /// Changes to its parameters.
    Edits(QueryEdits),
}

impl Decode for Query {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if node.as_table().is_some() {
            return QueryEdits::decode(node, cx).map(Self::Edits);
        }
        TemplateText::decode(node, cx).map(Self::Whole)
    }

    fn schema() -> Schema {
        Schema::any_of(vec![TemplateText::schema(), QueryEdits::schema()])
    }
}
