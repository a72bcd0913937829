//! Attributes and resources in OTLP's form.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;

use crate::metric::snapshot::{Attribute, Resource, Value};

/// Attributes, in the order they have.
pub(crate) fn attributes(attributes: &[Attribute]) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| KeyValue {
            key: key.0.to_owned(),
            value: Some(AnyValue { value: Some(any_value(value)) }),
            ..KeyValue::default()
        })
        .collect()
}

/// A resource.
pub(crate) fn resource(resource: &Resource) -> OtlpResource {
    OtlpResource { attributes: attributes(&resource.attributes), ..OtlpResource::default() }
}

fn any_value(value: &Value) -> any_value::Value {
    match value {
        Value::Static(text) => any_value::Value::StringValue((*text).to_owned()),
        Value::Text(text) => any_value::Value::StringValue(text.as_ref().to_owned()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Bool(truth) => any_value::Value::BoolValue(*truth),
        Value::Seconds(nanos) => any_value::Value::DoubleValue(*nanos as f64 / 1e9),
        Value::List(texts) => {
            let values = texts
                .iter()
                .map(|text| AnyValue {
                    value: Some(any_value::Value::StringValue(text.as_ref().to_owned())),
                })
                .collect();
            any_value::Value::ArrayValue(ArrayValue { values })
        }
    }
}
