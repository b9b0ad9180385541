//! Structured attributes as a build gets them: `.attrs.json`, and `.attrs.sh` with those that a shell can hold.

use std::collections::BTreeMap;

use serde_json::Value;

use super::placeholders::placeholder;
use super::{PlanError, Request, graphs};
use crate::derivation::Attributes;

/// The attributes with placeholders for the outputs, and the reference graphs that they ask for.
pub(super) fn json(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
) -> Result<BTreeMap<String, Value>, PlanError> {
    let given = attributes.structured().into_iter().flatten();
    let mut json: BTreeMap<String, Value> =
        given.map(|(name, value)| (name.clone(), value.clone())).collect();
    let outputs = request.derivation.outputs.iter();
    let outputs = outputs.map(|(name, _)| (name.to_string(), placeholder(name).into()));
    json.insert("outputs".into(), Value::Object(outputs.collect()));
    for (name, paths) in graphs::asked(request, attributes)? {
        json.insert(name, graphs::json(request, &paths));
    }
    Ok(json)
}

/// The text of `.attrs.json`.
pub(super) fn print(json: &BTreeMap<String, Value>) -> String {
    serde_json::to_string(json).unwrap_or_default()
}

/// The text of `.attrs.sh`: variables, arrays and associative arrays of bash. What it cannot hold is left out.
pub(super) fn shell(json: &BTreeMap<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in json.iter().filter(|(name, _)| is_variable(name)) {
        if let Some(simple) = simple(value) {
            text.push_str(&format!("declare {name}={simple}\n"));
        } else if let Value::Array(items) = value {
            let items: Option<String> = items.iter().map(|item| Some(simple(item)? + " ")).collect();
            text.extend(items.map(|items| format!("declare -a {name}=({items})\n")));
        } else if let Value::Object(items) = value {
            let item =
                |(key, value): (&String, &Value)| Some(format!("[{}]={} ", quote(key), simple(value)?));
            let items: Option<String> = items.iter().map(item).collect();
            text.extend(items.map(|items| format!("declare -A {name}=({items})\n")));
        }
    }
    text
}

fn simple(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quote(text)),
        Value::Number(number) => whole(number).map(|number| number.to_string()),
        Value::Null => Some("''".into()),
        Value::Bool(flag) => Some(if *flag { "1" } else { "" }.into()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Nix asks a 32-bit float whether a number is whole, and then prints its lowest 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "it is what Nix does")]
fn whole(number: &serde_json::Number) -> Option<i32> {
    if let Some(number) = number.as_i64() {
        return Some(number as i32);
    }
    if let Some(number) = number.as_u64() {
        return Some(number as i32);
    }
    let float = number.as_f64()?;
    ((float as f32).ceil() == float as f32).then_some(float as i32)
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_what_it_can_hold() {
        let json = serde_json::json!({
            "array": ["a b", "c'd", 3, true, false, null],
            "big": 5_000_000_000_u64,
            "float": 1.5,
            "nested": [["a"]],
            "not-a-name": "x",
            "object": { "a b": "y", "c": 1.0 },
            "text": "x\ny",
        });
        let Value::Object(json) = json else { unreachable!("an object") };
        insta::assert_snapshot!(shell(&json.into_iter().collect()), @r"
        declare -a array=('a b' 'c'\''d' 3 1  '' )
        declare big=705032704
        declare -A object=(['a b']='y' ['c']=1 )
        declare text='x
        y'
        ");
    }
}
