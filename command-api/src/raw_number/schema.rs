//! The schemas of numbers, for the OpenAPI document.

use std::borrow::Cow;

use utoipa::openapi::schema::{OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A number, or its decimal text.
pub(crate) struct Decimal;

/// An amount of money.
#[derive(ToSchema)]
#[schema(example = json!({"amount": "25000.00", "currency": "EUR"}))]
#[expect(dead_code, reason = "amounts are read by quantity; this says what they look like")]
struct MoneyAmount {
    /// The amount.
    amount: Decimal,
    /// As ISO 4217 writes it.
    currency: String,
}

/// A decimal, or an amount of money.
pub(crate) struct MeasureValue;

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .pattern(Some(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"))
            .examples(["12.50"]);
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(SchemaType::new(Type::Number)))
            .item(text)
            .description(Some(
                "A decimal, as a number or as text, read exactly. Six decimal places are kept: in observations and \
                 statements, further ones are rounded half to even and counted in the answer's `rounded`; in a budget \
                 they are an error.",
            ))
            .into()
    }
}

impl ToSchema for Decimal {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Decimal")
    }
}

impl PartialSchema for MeasureValue {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(Decimal::name()))
            .item(Ref::from_schema_name(MoneyAmount::name()))
            .description(Some("A decimal; for money in the source's currency, or an amount that names its currency."))
            .into()
    }
}

/// What a statement says of a measure.
pub(crate) struct StatedValue;

impl PartialSchema for StatedValue {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(MeasureValue::name()))
            .item(ObjectBuilder::new().schema_type(SchemaType::new(Type::Null)))
            .description(Some("The total; null takes back what was stated."))
            .into()
    }
}

impl ToSchema for StatedValue {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("StatedValue")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((MeasureValue::name().into_owned(), MeasureValue::schema()));
        MeasureValue::schemas(schemas);
    }
}

impl ToSchema for MeasureValue {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("MeasureValue")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Decimal::name().into_owned(), Decimal::schema()));
        schemas.push((MoneyAmount::name().into_owned(), MoneyAmount::schema()));
        MoneyAmount::schemas(schemas);
    }
}
