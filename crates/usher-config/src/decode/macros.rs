//! `section!` and `names!`: one definition for the struct, its decoding, its defaults and its documentation.

/// Defines a section of the config.
///
/// ```
/// use std::time::Duration;
/// usher_config::section! {
///     /// How a door is opened.
///     pub default struct Door {
///         /// The code, four digits.
///         #[range(0..=9999)]
///         pub code: u16 = 1234,
///         /// How long it stays open.
///         pub open: Duration = Duration::from_secs(5),
///         /// A bell, if there is one.
///         pub bell: Option<String>,
///     }
/// }
/// assert_eq!(Door::default().code, 1234);
/// ```
///
/// - `pub default struct` also implements `Default`; every field needs a default then. `Option` fields have one.
/// - `name: Type` is a required key, `name: Type = expression` one with a default.
/// - `#[key("use")]`, `#[range(1..=9)]`, `#[check(function)]` may follow a field's doc comment, in this order. A check
///   is a `fn(&Type) -> Result<(), impl Display>`.
/// - `#[bare(field)]` after the struct's doc comment: anything but a table is short for `{ field = … }`.
/// - `..` and `/// comment` and `name` as the last lines keep every other key in `pub name: Vec<(Key, Node)>`.
#[macro_export]
macro_rules! section {
    (@key $field:ident) => { $crate::decode::key_name(stringify!($field)) };
    (@key $field:ident $key:literal) => { $key };
    (@default $ty:ty) => { <$ty as $crate::Decode>::absent() };
    (@default $ty:ty, $default:expr) => {{
        let value: $ty = $default;
        ::core::option::Option::Some(value)
    }};
    (@value $ty:ty) => { <$ty as ::core::default::Default>::default() };
    (@value $ty:ty, $default:expr) => {{
        let value: $ty = $default;
        value
    }};
    (@implement_default $name:ident {
        $( $(#[doc = $fdoc:literal])* $(#[key($key:literal)])? $(#[range($range:expr)])? $(#[check($check:path)])?
           pub $field:ident : $ty:ty $(= $default:expr)? , )*
        $( .. $(#[doc = $rdoc:literal])* $rest:ident $(,)? )?
    }) => {
        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $crate::section!(@value $ty $(, $default)?), )*
                    $( $rest: ::std::vec::Vec::new(), )?
                }
            }
        }
    };
    (
        $(#[doc = $doc:literal])* $(#[bare($bare:ident)])?
        $vis:vis default struct $name:ident { $($body:tt)* }
    ) => {
        $crate::section! { $(#[doc = $doc])* $(#[bare($bare)])? $vis struct $name { $($body)* } }
        $crate::section! { @implement_default $name { $($body)* } }
    };
    (
        $(#[doc = $doc:literal])* $(#[bare($bare:ident)])?
        $vis:vis struct $name:ident {
            $( $(#[doc = $fdoc:literal])* $(#[key($key:literal)])? $(#[range($range:expr)])? $(#[check($check:path)])?
               pub $field:ident : $ty:ty $(= $default:expr)? , )*
            $( .. $(#[doc = $rdoc:literal])* $rest:ident $(,)? )?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $( $(#[doc = $fdoc])* pub $field: $ty, )*
            $( $(#[doc = $rdoc])* pub $rest: ::std::vec::Vec<($crate::Key, $crate::Node)>, )?
        }

        impl $crate::Section for $name {
            const KEYS: &'static [&'static str] = &[ $( $crate::section!(@key $field $($key)?) ),* ];
        }

        #[allow(unused_mut, unused_variables, unused_assignments, clippy::too_many_lines, reason = "generated")]
        impl $crate::Decode for $name {
            fn decode(node: &$crate::Node, cx: &mut $crate::Context<'_>) -> ::core::option::Option<Self> {
                let mut bare: ::core::option::Option<&'static str> = ::core::option::Option::None;
                $( bare = ::core::option::Option::Some($crate::decode::key_name(stringify!($bare))); )?
                let table = $crate::decode::TableReader::open(node, bare, Self::schema, cx)?;
                $( let $field: ::core::option::Option<$ty> = $crate::decode::field(
                    &table,
                    $crate::section!(@key $field $($key)?),
                    cx,
                    $crate::decode::Rules {
                        default: || $crate::section!(@default $ty $(, $default)?),
                        range: || {
                            let mut range = (::core::option::Option::None, ::core::option::Option::None);
                            $( range = $crate::decode::range_of::<$ty>(&($range)); )?
                            range
                        },
                        check: |value: &$ty, span, cx: &mut $crate::Context<'_>| {
                            $( $crate::decode::check_range(value, &($range), span, cx); )?
                            $( $crate::decode::check_value(value, $check, span, cx); )?
                        },
                    },
                ); )*
                let mut open = false;
                $( open = true; let $rest = table.rest(<Self as $crate::Section>::KEYS); )?
                if !open {
                    table.refuse_unknown(<Self as $crate::Section>::KEYS, Self::schema, cx);
                }
                ::core::option::Option::Some(Self { $( $field: $field?, )* $( $rest, )? })
            }

            fn schema() -> $crate::Schema {
                let mut table = $crate::schema::Table::new(stringify!($name), concat!($($doc, "\n"),*));
                $( table.bare = ::core::option::Option::Some($crate::decode::key_name(stringify!($bare))); )?
                $( table.rest = ::core::option::Option::Some(
                    $crate::schema::doc_text(concat!($($rdoc, "\n"),*)));
                )?
                $( {
                    let default: ::core::option::Option<$ty> = $crate::section!(@default $ty $(, $default)?);
                    let mut range = (::core::option::Option::None, ::core::option::Option::None);
                    $( range = $crate::decode::range_of::<$ty>(&($range)); )?
                    table.push(
                        $crate::section!(@key $field $($key)?),
                        concat!($($fdoc, "\n"),*),
                        default,
                        range,
                    );
                } )*
                $crate::Schema::table(table)
            }

            fn encode(&self) -> $crate::serde_json::Value {
                let mut object = $crate::serde_json::Map::new();
                $( object.insert(
                    $crate::section!(@key $field $($key)?).to_owned(),
                    $crate::Decode::encode(&self.$field),
                ); )*
                $( for (key, node) in &self.$rest {
                    object.insert(key.name.clone(), $crate::Decode::encode(node));
                } )?
                object.retain(|_, value| !value.is_null());
                $crate::serde_json::Value::Object(object)
            }
        }
    };
}

/// Defines an enum whose values are written by name.
///
/// ```
/// usher_config::names! {
///     /// Which way a door opens.
///     pub enum Way {
///         /// To the inside.
///         Inward = "inward",
///         /// To the outside.
///         Outward = "outward",
///     }
/// }
/// assert_eq!(Way::Inward.name(), "inward");
/// ```
#[macro_export]
macro_rules! names {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident { $( $(#[doc = $vdoc:literal])* $variant:ident = $text:literal ),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $( $(#[doc = $vdoc])* $variant ),* }

        impl $name {
            /// The name as it is written.
            $vis fn name(self) -> &'static str {
                match self { $( Self::$variant => $text ),* }
            }
        }

        impl $crate::Decode for $name {
            fn decode(node: &$crate::Node, cx: &mut $crate::Context<'_>) -> ::core::option::Option<Self> {
                let all = [$( (Self::$variant, $text) ),*];
                $crate::decode::name(node, &all, cx)
            }

            fn schema() -> $crate::Schema {
                $crate::Schema::names(&[$( ($text, concat!($($vdoc, "\n"),*)) ),*])
            }

            fn encode(&self) -> $crate::serde_json::Value {
                $crate::serde_json::Value::from(self.name())
            }
        }
    };
}

use super::Context;
use crate::diagnostic::Diagnostic;
use crate::document::Node;

/// What `names!` generates calls: the value of a name, or an error with the nearest one.
#[doc(hidden)]
pub fn name<T: Copy>(node: &Node, all: &[(T, &str)], cx: &mut Context<'_>) -> Option<T> {
    let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
    let Some(text) = node.as_str() else {
        cx.wrong_type(node, &format!("one of `{}`", names.join("`, `")));
        return None;
    };
    let found = all.iter().find(|(_, name)| *name == text).map(|(value, _)| *value);
    if found.is_none() {
        let help = crate::suggest::help(text, &names);
        cx.push(Diagnostic::error(format!("unknown name `{text}`")).at(node.span, "").maybe_help(help));
    }
    found
}
