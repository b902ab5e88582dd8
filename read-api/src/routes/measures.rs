//! The catalogue of measures, counted and derived.

use axum::response::Response;
use domain::measure::{DERIVED, Measure, NET, Side};
use http_edge::query::ApiQuery;
use serde::Serialize;
use utoipa::ToSchema;

use super::NoParams;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::format::require_json;
use crate::problems::CatalogueProblems;
use crate::response::constant;

/// A measure: its unit, and how it is counted or computed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasureEntry {
    /// Its name in queries and answers.
    #[schema(value_type = String, example = "cpc")]
    name: &'static str,
    /// `count`: whole things. `credit`: things, with up to six decimals. `money`: an amount and its currency. `ratio`:
    /// a quotient without a unit, with up to six decimals.
    #[schema(value_type = String, example = "money")]
    unit: &'static str,
    /// Whether its values add up. Otherwise it is a quotient of sums.
    additive: bool,
    /// The definition of a measure that adds up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    description: Option<&'static str>,
    /// The formula of a measure that is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "spend / clicks")]
    formula: Option<&'static str>,
    /// The measures that it is computed from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    inputs: Vec<&'static str>,
    /// Of a quotient, `efficiency`: of all that is asked for, or `rate`: of the places of which primary sources state
    /// both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "rate")]
    family: Option<&'static str>,
    /// The place where both sides of a quotient meet: one `source`, or one `cell` of campaign, channel and currency. An
    /// efficiency is computed over it with `ratios` `covered` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "cell")]
    meets_in: Option<&'static str>,
    /// The names by which a report returns what a quotient divides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, example = json!(["cpc.spend", "cpc.clicks"]))]
    operands: Vec<&'static str>,
}

/// The catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalogue {
    data: Vec<MeasureEntry>,
}

/// List all measures, additive and derived
#[utoipa::path(
    get,
    path = "/v1/measures",
    operation_id = "list_measures",
    tag = "workspace",
    responses(
        (status = 200, description = "The catalogue.", body = Catalogue),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CatalogueProblems,
    )
)]
pub(crate) async fn list(caller: ReadContext, ApiQuery(NoParams {}): ApiQuery<NoParams>) -> Result<Response, ApiError> {
    require_json(&caller.headers)?;
    Ok(constant("measures", &caller.headers, &catalogue())?)
}

fn catalogue() -> Catalogue {
    let additive = Measure::ALL.iter().map(|measure| MeasureEntry {
        name: measure.name(),
        unit: measure.unit().name(),
        additive: true,
        description: Some(measure.description()),
        formula: None,
        inputs: Vec::new(),
        family: None,
        meets_in: None,
        operands: Vec::new(),
    });
    let derived = DERIVED.iter().map(|derived| MeasureEntry {
        name: derived.name,
        unit: derived.unit.name(),
        additive: false,
        description: None,
        formula: Some(derived.formula),
        inputs: vec![derived.numerator.name(), derived.denominator.name()],
        family: Some(derived.family.name()),
        meets_in: Some(derived.family.place().name()),
        operands: Side::ALL.map(|side| derived.operand(side)).into(),
    });
    let net = NET.iter().map(|net| MeasureEntry {
        name: net.name,
        unit: net.gross.unit().name(),
        additive: true,
        description: Some(net.description),
        formula: Some(net.formula),
        inputs: net.terms().map(|(measure, _)| measure.name()).collect(),
        family: None,
        meets_in: None,
        operands: Vec::new(),
    });
    Catalogue { data: additive.chain(net).chain(derived).collect() }
}
