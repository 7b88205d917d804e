//! What is to be known of each metric that is offered to engines.

use crate::catalog::metric::{Definition, Kind};

macro_rules! kind {
    (DurationGauge) => {
        Kind::Gauge
    };
    ($kind:ident) => {
        Kind::$kind
    };
}

macro_rules! table {
    ($(
        $method:ident: $kind:ident $name:literal $unit:literal { $($tag:ident),* }
        ( $($fixed:ident = $value:literal),* ) $(+ $team:ident)? $legacy:literal $description:literal;
    )*) => {
        /// A metric that engines report through the facade's `Metrics`, by the method of the same name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(non_camel_case_types, reason = "each is called as the method that reports it")]
        #[non_exhaustive]
        pub enum Offered {
            $(#[doc = concat!("`", $name, "`: ", $description)] $method,)*
        }

        impl Offered {
            /// Every one, in the order of declaration, which is the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$method),*];

            /// What is to be known of it. The tags that are fixed come last.
            pub const fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$method => &Definition {
                        name: $name,
                        kind: kind!($kind),
                        unit: $unit,
                        tags: &[$(stringify!($tag),)* $(stringify!($team),)? $(stringify!($fixed),)*],
                        description: $description,
                    },)*
                }
            }

            /// The method that reports it.
            pub const fn method(self) -> &'static str {
                match self {
                    $(Self::$method => stringify!($method),)*
                }
            }

            /// Its legacy name in Airflow, with `{tag}` where a tag's value stands.
            pub const fn legacy(self) -> Option<&'static str> {
                match self {
                    $(Self::$method => match $legacy.as_bytes() {
                        b"-" => None,
                        _ => Some($legacy),
                    },)*
                }
            }
        }
    };
}

crate::offered_metrics!(table);
