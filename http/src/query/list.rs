//! Lists in query strings: names separated by commas.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The separator while a list is encoded. No parameter holds it, because NUL is refused.
const SEPARATOR: &str = "\0";

/// Names separated by commas. A comma of a name is written `%2C`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommaList(Vec<String>);

impl CommaList {
    /// The names, any of which may hold a comma.
    pub fn names(&self) -> Vec<String> {
        self.0.clone()
    }

    /// The names, none of which holds a comma: many clients write the commas between them as `%2C`.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().flat_map(|name| name.split(',')).map(|word| word.trim().to_owned()).collect()
    }
}

impl<'de> Deserialize<'de> for CommaList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(Self(names.into_iter().map(|name| name.trim().to_owned()).collect()))
    }
}

impl Serialize for CommaList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.join(SEPARATOR))
    }
}

/// Parameters as a query string.
pub fn to_string(params: &impl Serialize) -> Result<String, serde_urlencoded::ser::Error> {
    serde_urlencoded::to_string(params).map(|query| query.replace("%00", ","))
}
