//! The dimensions with totals. An observation may name others, which are in the log only.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The value that stands for all values of a dimension without totals of their own.
pub const OTHER: &str = "(other)";

/// The error of a name that is not a dimension with totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a dimension by which totals are kept")]
pub struct DimensionError;

macro_rules! dimensions {
    ($($variant:ident $name:literal;)+) => {
        /// A dimension of observations with totals. Stored under its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Dimension {
            $(#[doc = concat!("`", $name, "`")] $variant),+
        }

        impl Dimension {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire and in the tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl FromStr for Dimension {
            type Err = DimensionError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(DimensionError),
                }
            }
        }
    };
}

dimensions! {
    Ad "ad";
    AdGroup "ad_group";
    Keyword "keyword";
    Creative "creative";
    Placement "placement";
    Country "country";
    Device "device";
    ConversionAction "conversion_action";
    UtmSource "utm_source";
    UtmMedium "utm_medium";
    UtmCampaign "utm_campaign";
    UtmTerm "utm_term";
    UtmContent "utm_content";
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|error| D::Error::custom(format!("`{name}` {error}")))
    }
}
