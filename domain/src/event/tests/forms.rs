//! Schemas of what is written in a form of its own, which no derive sees.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::channel::Channel;
use crate::measure::Measure;
use crate::money::Currency;
use crate::observation::{Correction, Dimension, Observation, ObservationType};
use crate::source::Horizon;
use crate::zone::Zone;

macro_rules! form {
    ($type:ident, $generator:ident => $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

form!(Currency, _generator => json_schema!({
    "description": "A currency, as ISO 4217 writes it.",
    "type": "string",
    "pattern": "^[A-Z]{3}$"
}));

form!(Channel, _generator => json_schema!({
    "description": "A channel: one of the known ones, such as paid_search, or a custom one.",
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,39}$"
}));

form!(Zone, _generator => json_schema!({
    "description": "An IANA time zone, such as Europe/Berlin.",
    "type": "string"
}));

form!(Measure, _generator => json_schema!({
    "description": "A measure, by its name.",
    "type": "string",
    "enum": Measure::ALL.iter().map(|measure| measure.name()).collect::<Vec<_>>()
}));

form!(Dimension, _generator => json_schema!({
    "description": "A dimension by which totals are kept, by its name.",
    "type": "string",
    "enum": Dimension::ALL.iter().map(|dimension| dimension.name()).collect::<Vec<_>>()
}));

form!(Horizon, _generator => json_schema!({
    "description": "For how long after a bucket closes its numbers may change: seconds, or a rule such as month_end + 40d.",
    "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^month_end \\+ [0-9]+d$" }]
}));

form!(ObservationType, _generator => json_schema!({
    "description": "What kind of thing happened.",
    "type": "string",
    "enum": ObservationType::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>()
}));

form!(Observation, generator => {
    let kind = generator.subschema_for::<ObservationType>();
    let correction = generator.subschema_for::<Correction>();
    json_schema!({
        "description": "One observation: [id, campaign, type, occurred_at, count, value, dimensions, correction, \
                        sealed]. Parts at the end that say nothing are left out.",
        "type": "array",
        "prefixItems": [
            { "title": "id", "description": "The sender's id of it.", "type": "string" },
            { "title": "campaign", "description": "Its campaign's index among those of the batch.", "type": "integer", "minimum": 0 },
            kind,
            { "title": "occurred_at", "description": "When it happened: milliseconds since 1970 in UTC. Of a correction: when \
                                                       its original did.", "type": "integer" },
            { "title": "count", "description": "How many, of a conversion in millionths. One, if left out. Of a \
                                                correction: the difference.", "type": "integer" },
            { "title": "value", "description": "What it was worth or cost, in micros of the batch's currency; null: nothing was \
                                                said. Of a correction: the difference.", "type": ["integer", "null"] },
            { "title": "dimensions", "description": "What else is known of it, such as its ad or country.",
              "type": "object", "additionalProperties": { "type": "string" } },
            { "anyOf": [correction, { "type": "null" }] },
            { "title": "sealed", "description": "What of it only the key of the batch opens, in base64.", "type": "string" }
        ],
        "items": false,
        "minItems": 4
    })
});
