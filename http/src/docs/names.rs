//! Members and parameters with a fixed set of values. Each set is a schema with a name of its own, so that a generated
//! client has one type for it, however many members use it.

use std::collections::BTreeSet;

use utoipa::openapi::path::{Parameter, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ArrayItems, Object, ObjectBuilder, OneOfBuilder, RefBuilder, Schema,
    SchemaType, Type,
};
use utoipa::openapi::{OpenApi, RefOr};

use super::operations;
use super::schemas::for_each;

/// A set of names, and what uses it.
#[derive(Debug, Clone)]
pub struct NameSet {
    schema: &'static str,
    about: &'static str,
    names: Vec<String>,
    members: Vec<Member>,
    parameters: Vec<QueryParameter>,
}

/// A member with this name. `beside` is another member of the same object; such a member comes before one without.
#[derive(Debug, Clone, Copy)]
struct Member {
    name: &'static str,
    beside: Option<&'static str>,
}

/// A query parameter with this name.
#[derive(Debug, Clone, Copy)]
struct QueryParameter {
    name: &'static str,
    /// The one operation whose parameter it is; `None`: every one that has it.
    operation: Option<&'static str>,
    /// Whether it takes several names, separated by commas.
    is_list: bool,
}

impl NameSet {
    /// The schema `schema` of these names.
    pub fn new<N: Into<String>>(schema: &'static str, about: &'static str, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { schema, about, names, members: Vec::new(), parameters: Vec::new() }
    }

    /// Every member `name` has one of the names; so has every item or value of a list or map.
    #[must_use]
    pub fn member(mut self, name: &'static str) -> Self {
        self.members.push(Member { name, beside: None });
        self
    }

    /// The same of a member in objects that have the member `beside`, too.
    #[must_use]
    pub fn member_beside(mut self, name: &'static str, beside: &'static str) -> Self {
        self.members.push(Member { name, beside: Some(beside) });
        self
    }

    /// Every query parameter `name` takes one of the names.
    #[must_use]
    pub fn parameter(self, name: &'static str) -> Self {
        self.takes(QueryParameter { name, operation: None, is_list: false })
    }

    /// The query parameter `name` of one operation takes one of the names.
    #[must_use]
    pub fn parameter_of(self, operation: &'static str, name: &'static str) -> Self {
        self.takes(QueryParameter { name, operation: Some(operation), is_list: false })
    }

    /// Every query parameter `name` takes several of the names.
    #[must_use]
    pub fn list_parameter(self, name: &'static str) -> Self {
        self.takes(QueryParameter { name, operation: None, is_list: true })
    }

    fn takes(mut self, parameter: QueryParameter) -> Self {
        self.parameters.push(parameter);
        self
    }
}

/// Adds the schemas of the sets, and refers to them wherever they are used.
pub fn describe(document: &mut OpenApi, sets: &[NameSet]) {
    for_each(document, &mut |schema| {
        if let RefOr::T(Schema::Object(object)) = schema {
            of_members(object, sets);
        }
    });
    let components = document.components.get_or_insert_default();
    for set in sets {
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(set.names.clone()));
        let described = schema.description(Some(set.about)).build();
        components.schemas.insert(set.schema.to_owned(), RefOr::T(Schema::Object(described)));
    }
    for operation in operations(document) {
        let id = operation.operation_id.clone();
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && parameter.parameter_in == ParameterIn::Query
            {
                of_parameter(parameter, id.as_deref(), sets);
            }
        }
    }
}

/// Refers to the sets from the members of an object.
fn of_members(object: &mut Object, sets: &[NameSet]) {
    let beside: BTreeSet<String> = object.properties.keys().cloned().collect();
    for (name, schema) in &mut object.properties {
        if let Some(set) = set_of_member(name, &beside, sets) {
            refer(schema, set);
        }
    }
}

fn set_of_member<'a>(name: &str, members: &BTreeSet<String>, sets: &'a [NameSet]) -> Option<&'a NameSet> {
    let find = |fits: &dyn Fn(&Member) -> bool| {
        sets.iter().find(|set| set.members.iter().any(|member| member.name == name && fits(member)))
    };
    find(&|member| member.beside.is_some_and(|beside| members.contains(beside)))
        .or_else(|| find(&|member| member.beside.is_none()))
}

/// Refers to the set from a text, or from the texts of a list or map. Null stays allowed where it is.
fn refer(schema: &mut RefOr<Schema>, set: &NameSet) {
    match schema {
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                refer(items, set);
            }
        }
        RefOr::T(Schema::Object(object)) => {
            let (is_text, is_nullable) = match &object.schema_type {
                SchemaType::Type(one) => (*one == Type::String, false),
                SchemaType::Array(types) => (types.contains(&Type::String), types.contains(&Type::Null)),
                SchemaType::AnyValue => (false, false),
            };
            if is_text {
                *schema = reference(object, is_nullable, set);
            } else if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
                refer(values, set);
            }
        }
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

/// The reference in place of a text, with what is said of the text.
fn reference(text: &Object, is_nullable: bool, set: &NameSet) -> RefOr<Schema> {
    let reference = RefBuilder::new().ref_location_from_schema_name(set.schema);
    let description = text.description.clone();
    if is_nullable {
        let null = ObjectBuilder::new().schema_type(Type::Null);
        OneOfBuilder::new().item(reference).item(null).description(description).into()
    } else {
        RefOr::Ref(reference.description(description).build())
    }
}

fn of_parameter(parameter: &mut Parameter, operation: Option<&str>, sets: &[NameSet]) {
    let named = sets.iter().flat_map(|set| set.parameters.iter().map(move |taken| (set, taken)));
    let of_operation = |taken: &QueryParameter| taken.operation.is_none_or(|own| operation == Some(own));
    let Some((set, taken)) = named.into_iter().find(|(_, taken)| taken.name == parameter.name && of_operation(taken))
    else {
        return;
    };
    let reference = RefBuilder::new().ref_location_from_schema_name(set.schema).build();
    parameter.schema = Some(if taken.is_list {
        parameter.style = Some(ParameterStyle::Form);
        parameter.explode = Some(false);
        RefOr::T(ArrayBuilder::new().items(reference).min_items(Some(1)).into())
    } else {
        RefOr::Ref(reference)
    });
}
