//! A database's configuration: JSON with us, `google.protobuf.Struct` on the wire (wire spec 4.1).
//!
//! The wire knows one sort of number, a double. Go turns whole ones into integers when it reads the
//! top level and prints them without a fraction at every other, so a port is `5432` and never
//! `5432.0` to whoever reads the JSON; the same happens here, at every level. What a double cannot
//! hold exactly (integers beyond 2^53) is rounded, as in Go. Left out: what the keys mean.

use boltwork_logical::Data;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number, Value as Json};

use crate::WireError;

/// Up to here every whole double is one integer, and no other rounds to it.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A configuration for the wire; no configuration is an empty one. Fails on numbers that no double
/// holds.
pub fn config_to_wire(config: &Data) -> Result<Struct, WireError> {
    let fields = config.fields().map_err(WireError::data("config_data"))?;
    Ok(struct_to_wire(fields))
}

fn struct_to_wire(fields: Map<String, Json>) -> Struct {
    Struct { fields: fields.into_iter().map(|(key, value)| (key, value_to_wire(value))).collect() }
}

fn value_to_wire(value: Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(yes) => Kind::BoolValue(yes),
        // Each JSON number that was read is finite as a double.
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(value_to_wire).collect() })
        }
        Json::Object(fields) => Kind::StructValue(struct_to_wire(fields)),
    };
    Value { kind: Some(kind) }
}

/// A configuration from the wire; none is an empty one.
pub fn config_from_wire(config: Option<Struct>) -> Result<Data, WireError> {
    let fields = struct_from_wire(config.unwrap_or_default())?;
    Ok(Data::json(&Json::Object(fields)))
}

fn struct_from_wire(config: Struct) -> Result<Map<String, Json>, WireError> {
    let field = |(key, value)| Ok((key, value_from_wire(value)?));
    config.fields.into_iter().map(field).collect()
}

fn value_from_wire(value: Value) -> Result<Json, WireError> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(yes)) => Json::Bool(yes),
        Some(Kind::NumberValue(number)) => Json::Number(number_from_wire(number)?),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => {
            Json::Array(list.values.into_iter().map(value_from_wire).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(inner)) => Json::Object(struct_from_wire(inner)?),
    })
}

fn number_from_wire(number: f64) -> Result<Number, WireError> {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
        return Ok(Number::from(number as i64));
    }
    let bad = || WireError::field("config_data", "a number is not finite");
    Number::from_f64(number).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn through(text: &str) -> String {
        let data = Data::parse(text.as_bytes().to_vec()).unwrap();
        let bytes = config_to_wire(&data).unwrap().encode_to_vec();
        config_from_wire(Some(Struct::decode(&*bytes).unwrap())).unwrap().as_str().to_owned()
    }

    #[test]
    fn a_configuration_crosses_as_it_was() {
        for text in [
            "{}",
            r#"{"a":null,"b":true,"c":"text","d":[],"e":{}}"#,
            r#"{"hosts":[{"name":"db","port":5432},[1,2.5,"x",null]],"ratio":0.25}"#,
        ] {
            assert_eq!(through(text), text);
        }
    }

    #[test]
    fn whole_numbers_stay_whole_at_every_level() {
        assert_eq!(through(r#"{"port":5432.0}"#), r#"{"port":5432}"#);
        assert_eq!(through(r#"{"a":[{"port":-1e3}]}"#), r#"{"a":[{"port":-1000}]}"#);
        assert_eq!(through(r#"{"n":9007199254740992}"#), r#"{"n":9007199254740992}"#);
        assert_eq!(through(r#"{"n":1e300}"#), r#"{"n":1e+300}"#);
        assert_eq!(through(r#"{"n":2.5}"#), r#"{"n":2.5}"#);
    }

    #[test]
    fn no_configuration_is_an_empty_one() {
        assert_eq!(config_to_wire(&Data::null()).unwrap(), Struct::default());
        assert_eq!(config_from_wire(None).unwrap().as_str(), "{}");
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Value { kind: Some(Kind::NumberValue(number)) };
            let fields = [("port".to_owned(), value)].into_iter().collect();
            let error = config_from_wire(Some(Struct { fields })).unwrap_err();
            assert!(error.to_string().contains("not finite"), "{error}");
        }
    }
}
