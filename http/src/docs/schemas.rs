//! Schemas as generated clients read them well.

use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, OneOf, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

/// Clears up every schema.
///
/// The description of a member that may be null stands beside the alternatives: in one of them, readers of the document
/// do not find it. No member has a default, which generators take for a member that must be there; its description says
/// what holds if it is left out.
pub(super) fn describe(document: &mut OpenApi) {
    for_each(document, &mut |schema| {
        clear_default(schema);
        if let RefOr::T(Schema::OneOf(one)) = schema {
            move_description(one);
        }
    });
}

/// Calls `change` with every schema of the components, and then with those inside of it.
pub(super) fn for_each(document: &mut OpenApi, change: &mut dyn FnMut(&mut RefOr<Schema>)) {
    for schema in document.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
        visit(schema, change);
    }
}

fn visit(schema: &mut RefOr<Schema>, change: &mut dyn FnMut(&mut RefOr<Schema>)) {
    change(schema);
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(|member| visit(member, change));
            if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
                visit(values, change);
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                visit(items, change);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| visit(item, change)),
        Schema::AllOf(all) => all.items.iter_mut().for_each(|item| visit(item, change)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| visit(item, change)),
        _ => {}
    }
}

fn clear_default(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::Ref(reference) => reference.default = None,
        RefOr::T(Schema::Object(object)) => object.default = None,
        RefOr::T(Schema::Array(array)) => array.default = None,
        RefOr::T(Schema::OneOf(one)) => one.default = None,
        RefOr::T(Schema::AllOf(all)) => all.default = None,
        RefOr::T(Schema::AnyOf(any)) => any.default = None,
        RefOr::T(_) => {}
    }
}

fn is_null(item: &RefOr<Schema>) -> bool {
    let null = SchemaType::Type(Type::Null);
    matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == null)
}

fn move_description(one: &mut OneOf) {
    if one.description.is_some() || !one.items.iter().any(is_null) {
        return;
    }
    let references = one.items.iter_mut().filter_map(|item| match item {
        RefOr::Ref(reference) => Some(reference),
        RefOr::T(_) => None,
    });
    let mut described = references.filter(|reference| !reference.description.is_empty());
    one.description = described.next().map(|reference| std::mem::take(&mut reference.description));
}
