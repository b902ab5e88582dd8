//! Members and parameters with a fixed set of values, which the document lists.
//!
//! Sets that may grow within a version of the API, such as the codes of warnings and the channels, are not listed.

use std::collections::BTreeSet;

use domain::bucket::{Grain, Granularity, MONTHS, RetailWeeks, WEEKDAYS, month_name, weekday_name};
use domain::campaign::{BudgetPeriod, CampaignStatus};
use domain::freshness::{Finality, SourceStatus};
use domain::measure::Unit;
use domain::observation::{Dimension, ObservationType};
use domain::source::{SourceKind, SourceRole};
use queries::campaigns::{FIELDS as CAMPAIGN_FIELDS, orders as campaign_orders};
use queries::pacing::PaceSort;
use queries::report::calendar::NO_RETAIL_WEEKS;
use queries::report::query::{DataState, GroupKey};
use serde_json::Value;
use strum::VariantArray;
use utoipa::openapi::path::{Parameter, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ArrayItems, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{OpenApi, RefOr};

/// The values of a member with this name. `beside` is another member of the same object.
struct Member {
    name: &'static str,
    beside: Option<&'static str>,
    values: Vec<&'static str>,
}

/// The values of a parameter with this name: one of them, or several, separated by commas.
struct ParameterValues {
    name: &'static str,
    /// The one operation whose parameter it is; `None`: every one that has it.
    operation: Option<&'static str>,
    is_list: bool,
    values: Vec<String>,
}

const FILLS: [&str; 3] = ["none", "zero", "zero_if_complete"];
const RATIOS: [&str; 2] = ["printed", "covered"];
const ON_TIMEOUT: [&str; 2] = ["stale", "error"];
const WINDOWS: [&str; 2] = ["7d", "30d"];
/// The states of a projection's epoch.
const EPOCHS: [&str; 4] = ["live", "building", "standby", "missing"];

impl ParameterValues {
    fn is_of(&self, parameter: &str, operation: Option<&str>) -> bool {
        self.name == parameter && self.operation.is_none_or(|own| operation == Some(own))
    }
}

/// Adds the values to every matching member and parameter.
pub(super) fn describe(document: &mut OpenApi) {
    let (members, taken) = (members(), taken());
    let schemas = document.components.iter_mut().flat_map(|components| components.schemas.values_mut());
    for schema in schemas {
        of_schema(schema, &members);
    }
    let items = document.paths.paths.values_mut();
    for operation in items.flat_map(|item| [&mut item.get, &mut item.post]).flatten() {
        let id = operation.operation_id.clone();
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && parameter.parameter_in == ParameterIn::Query
                && let Some(taken) = taken.iter().find(|taken| taken.is_of(&parameter.name, id.as_deref()))
            {
                of_parameter(parameter, taken);
            }
        }
    }
}

/// The members; the first match counts.
fn members() -> Vec<Member> {
    let any = |name, values| Member { name, beside: None, values };
    let beside = |name, beside, values| Member { name, beside: Some(beside), values };
    vec![
        any("granularity", Granularity::ALL.map(Granularity::name).into()),
        any("week_start", WEEKDAYS.map(weekday_name).into()),
        any("year_start", MONTHS.map(month_name).into()),
        beside("retail_weeks", "granularity", retail_weeks().collect()),
        any("retail_weeks", RetailWeeks::ALL.map(RetailWeeks::name).into()),
        any("fill", FILLS.into()),
        any("ratios", RATIOS.into()),
        any("data_state", data_states().into()),
        any("group_by", groups().collect()),
        any("subtotals", ["bucket"].into_iter().chain(groups()).collect()),
        beside("status", "role", names(SourceStatus::name)),
        any("status", CampaignStatus::ALL.map(CampaignStatus::name).into()),
        beside("state", "projection", EPOCHS.into()),
        any("state", names(Finality::name)),
        any("role", names(SourceRole::name)),
        beside("kind", "role", names(SourceKind::name)),
        any("grain", Grain::ALL.map(Grain::name).into()),
        beside("per", "amount", BudgetPeriod::ALL.map(BudgetPeriod::name).into()),
        beside("type", "original_id", ObservationType::ALL.iter().map(|kind| kind.name()).collect()),
        beside("unit", "additive", names(Unit::name)),
    ]
}

fn taken() -> Vec<ParameterValues> {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let one = |name, values: &[&str]| ParameterValues { name, operation: None, is_list: false, values: texts(values) };
    let several =
        |name, values: &[&str]| ParameterValues { name, operation: None, is_list: true, values: texts(values) };
    let sort = |operation, values| ParameterValues { name: "sort", operation: Some(operation), is_list: false, values };
    // An answer about one campaign has no groups by campaign.
    let groups: Vec<_> = groups().filter(|name| *name != GroupKey::Campaign.name()).collect();
    vec![
        one("granularity", &Granularity::ALL.map(Granularity::name)),
        one("week_start", &WEEKDAYS.map(weekday_name)),
        one("year_start", &MONTHS.map(month_name)),
        one("retail_weeks", &retail_weeks().collect::<Vec<_>>()),
        one("fill", &FILLS),
        one("ratios", &RATIOS),
        one("data_state", &data_states()),
        one("on_timeout", &ON_TIMEOUT),
        one("window", &WINDOWS),
        sort("list_campaigns", campaign_orders()),
        sort("list_pacing", PaceSort::all()),
        several("status", &CampaignStatus::ALL.map(CampaignStatus::name)),
        several("fields", &CAMPAIGN_FIELDS),
        several("group_by", &groups),
    ]
}

fn groups() -> impl Iterator<Item = &'static str> {
    let dimensions = Dimension::ALL.iter().map(|dimension| GroupKey::Dimension(*dimension));
    [GroupKey::Channel, GroupKey::Source, GroupKey::Campaign].into_iter().chain(dimensions).map(GroupKey::name)
}

fn data_states() -> [&'static str; 2] {
    [DataState::All, DataState::Final].map(DataState::name)
}

/// The retail weeks that a query takes.
fn retail_weeks() -> impl Iterator<Item = &'static str> {
    RetailWeeks::ALL.into_iter().map(RetailWeeks::name).chain([NO_RETAIL_WEEKS])
}

/// The names of every variant.
fn names<T: VariantArray + Copy>(name: fn(T) -> &'static str) -> Vec<&'static str> {
    T::VARIANTS.iter().map(|variant| name(*variant)).collect()
}

/// Adds the values to a schema's members, recursively.
fn of_schema(schema: &mut RefOr<Schema>, members: &[Member]) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => of_object(object, members),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                of_schema(items, members);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| of_schema(item, members)),
        Schema::AllOf(all) => all.items.iter_mut().for_each(|item| of_schema(item, members)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| of_schema(item, members)),
        _ => {}
    }
}

fn of_object(object: &mut Object, members: &[Member]) {
    let names: BTreeSet<String> = object.properties.keys().cloned().collect();
    for (name, schema) in &mut object.properties {
        let fits = |member: &&Member| member.name == name && member.beside.is_none_or(|beside| names.contains(beside));
        match members.iter().find(fits) {
            Some(member) => list(schema, &member.values),
            None => of_schema(schema, members),
        }
    }
    if let Some(AdditionalProperties::RefOr(others)) = object.additional_properties.as_deref_mut() {
        of_schema(others, members);
    }
}

/// Adds the values to a text, or to a list of texts. Null is one of them if it is allowed.
fn list(schema: &mut RefOr<Schema>, values: &[&str]) {
    match schema {
        RefOr::T(Schema::Object(text)) => {
            let (is_text, is_nullable) = match &text.schema_type {
                SchemaType::Type(one) => (*one == Type::String, false),
                SchemaType::Array(types) => (types.contains(&Type::String), types.contains(&Type::Null)),
                SchemaType::AnyValue => (false, false),
            };
            if is_text {
                let null = is_nullable.then_some(Value::Null);
                text.enum_values = Some(values.iter().map(|value| Value::from(*value)).chain(null).collect());
            }
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                list(items, values);
            }
        }
        _ => {}
    }
}

fn of_parameter(parameter: &mut Parameter, ParameterValues { is_list, values, .. }: &ParameterValues) {
    let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.clone()));
    let schema: Schema = if *is_list {
        parameter.style = Some(ParameterStyle::Form);
        parameter.explode = Some(false);
        ArrayBuilder::new().items(text).min_items(Some(1)).into()
    } else {
        text.into()
    };
    parameter.schema = Some(RefOr::T(schema));
}
