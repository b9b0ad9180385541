//! The form that access reports are documented to have, and what loopbox prints.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::{command, quiet, text};
use crate::lab::{Lab, pypi};

/// Checks documents against JSON Schemas.
const CHECKER: &str = "fastjsonschema==2.21.2";
/// What it is told.
const SCRIPT: &str = "import json, sys, fastjsonschema
schema, document = (json.load(open(path)) for path in sys.argv[1:])
try:
    fastjsonschema.compile(schema)(document)
except fastjsonschema.JsonSchemaValueException as error:
    sys.exit(error.message)";
const SCHEMA: &str = include_str!("../../../../docs/report.schema.json");

/// What loopbox prints of the reports in a file has the documented form, and would not have it without any one of its fields.
pub fn check(lab: &Lab, loopbox: &Path, reports: &Path) -> Result<()> {
    let checker = lab.once("checkers/fastjsonschema", "bringing what checks JSON Schemas", |at| {
        pypi::unpack(lab, CHECKER, at)
    })?;
    let schema = reports.with_extension("schema.json");
    fs::write(&schema, SCHEMA).context("cannot write the schema")?;
    let has_form = |document: &Value| {
        let file = reports.with_extension("checked.json");
        fs::write(&file, document.to_string()).context("cannot write what is to be checked")?;
        let mut python = command("python3", ["-c", SCRIPT]);
        quiet(python.arg(&schema).arg(&file).env("PYTHONPATH", &checker))
    };
    let printed = text(command(loopbox, ["report", "--json"]).arg(reports))?;
    let document: Value = serde_json::from_str(&printed).context("what loopbox prints is no JSON")?;
    has_form(&document)?;
    let all = document["reports"].as_array().context("there are no reports")?;
    for (number, report) in all.iter().enumerate() {
        for field in report.as_object().context("a report is no object")?.keys() {
            let mut lacking = document.clone();
            lacking["reports"][number].as_object_mut().context("a report is no object")?.remove(field);
            ensure!(has_form(&lacking).is_err(), "a report without {field} passes, too");
        }
    }
    Ok(())
}
