//! A bill of materials, in the form of CycloneDX 1.6 as JSON. It has no time and no serial number: what it is about decides all of it.

use serde_json::{Value, json};

use super::{CRATE, Key, PROGRAM, Part, Parts};

/// The bill of a program.
pub fn bill(parts: &Parts, target: &str) -> Value {
    let (own, others): (Vec<_>, Vec<_>) = parts.iter().partition(|((name, _), _)| name == PROGRAM);
    let reference = |key: &Key| reference(parts, key);
    let component = |key: &Key, part: &Part| component(&reference(key), key, part);
    let mut program = own.first().map(|(key, part)| component(key, part)).unwrap_or_default();
    program["type"] = "application".into();
    program["properties"] = json!([{ "name": "loopbox:target", "value": target }]);
    let components: Vec<Value> = others.iter().map(|(key, part)| component(key, part)).collect();
    let dependencies: Vec<Value> = parts
        .iter()
        .map(|(key, part)| {
            json!({ "ref": reference(key), "dependsOn": part.uses.iter().map(&reference).collect::<Vec<_>>() })
        })
        .collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": program },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(reference: &str, (name, version): &Key, part: &Part) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        "licenses": [{ "expression": part.licence }],
    });
    if let Some(checksum) = &part.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// Its package URL. Of what a version may have, only a plus means something else there.
fn reference(parts: &Parts, key: &Key) -> String {
    let (scheme, (name, version)) = (parts.get(key).map_or(CRATE, |part| part.scheme), key);
    format!("{scheme}/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use crate::parts::tests::example;

    #[test]
    fn the_program_is_what_the_bill_is_about() {
        let bill = super::bill(&example(), "x86_64-unknown-linux-gnu");
        insta::assert_snapshot!(serde_json::to_string_pretty(&bill).unwrap(), @r#"
        {
          "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
          "bomFormat": "CycloneDX",
          "components": [
            {
              "bom-ref": "pkg:cargo/used@0.1.0",
              "hashes": [
                {
                  "alg": "SHA-256",
                  "content": "00ff"
                }
              ],
              "licenses": [
                {
                  "expression": "MIT OR Apache-2.0"
                }
              ],
              "name": "used",
              "purl": "pkg:cargo/used@0.1.0",
              "type": "library",
              "version": "0.1.0"
            },
            {
              "bom-ref": "pkg:cargo/used@0.2.0%2Bmore",
              "licenses": [
                {
                  "expression": "MIT"
                }
              ],
              "name": "used",
              "purl": "pkg:cargo/used@0.2.0%2Bmore",
              "type": "library",
              "version": "0.2.0+more"
            }
          ],
          "dependencies": [
            {
              "dependsOn": [
                "pkg:cargo/used@0.2.0%2Bmore"
              ],
              "ref": "pkg:cargo/loopbox@1.0.0"
            },
            {
              "dependsOn": [],
              "ref": "pkg:cargo/used@0.1.0"
            },
            {
              "dependsOn": [
                "pkg:cargo/used@0.1.0"
              ],
              "ref": "pkg:cargo/used@0.2.0%2Bmore"
            }
          ],
          "metadata": {
            "component": {
              "bom-ref": "pkg:cargo/loopbox@1.0.0",
              "licenses": [
                {
                  "expression": "MIT OR Apache-2.0"
                }
              ],
              "name": "loopbox",
              "properties": [
                {
                  "name": "loopbox:target",
                  "value": "x86_64-unknown-linux-gnu"
                }
              ],
              "purl": "pkg:cargo/loopbox@1.0.0",
              "type": "application",
              "version": "1.0.0"
            }
          },
          "specVersion": "1.6",
          "version": 1
        }
        "#);
    }
}
