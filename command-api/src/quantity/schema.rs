//! How numbers may be written, for the OpenAPI document.

use std::borrow::Cow;

use utoipa::openapi::schema::{OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::routes::campaigns::MoneySent;

/// A number, or its decimal text.
pub(crate) struct Decimal;

/// A decimal, or an amount of money.
pub(crate) struct MeasureValue;

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$"))
            .examples(["12.50"]);
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(SchemaType::new(Type::Number)))
            .item(text)
            .description(Some(
                "A decimal with up to six places, read exactly: as a number without an exponent, or as text.",
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
            .item(Ref::from_schema_name(MoneySent::name()))
            .description(Some("A decimal; for money in the source's currency, or an amount that names its currency."))
            .into()
    }
}

impl ToSchema for MeasureValue {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("MeasureValue")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Decimal::name().into_owned(), Decimal::schema()));
        schemas.push((MoneySent::name().into_owned(), MoneySent::schema()));
        MoneySent::schemas(schemas);
    }
}
