//! The report as SARIF 2.1.0, which code hosts show beside the lines of a change.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Finding, Report, Rule, Severity};

/// The schema that the document obeys.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name of our fingerprint; another number where it is made in another way.
const FINGERPRINT: &str = "tagtideLint/v1";

/// The root of paths that are not absolute, as code hosts name the folder of the checkout.
const ROOT: &str = "%SRCROOT%";

/// What stands encoded in the path of a URI (RFC 3986, section 3.3).
const IN_PATH: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The report as a SARIF log with one run. Columns count Unicode characters.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let mut seen = BTreeMap::new();
    let results: Vec<_> = report.findings.iter().map(|finding| result(finding, &mut seen)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tagtide",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Rule::all().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": true }],
            "results": results,
        }],
    })
}

fn rule(rule: Rule) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": { "text": rule.summary() },
        "help": { "text": sentence(rule.remedy()) },
        "defaultConfiguration": { "level": level(rule.severity()) },
    })
}

fn result(finding: &Finding, seen: &mut BTreeMap<String, u32>) -> Value {
    let index = Rule::all().position(|rule| rule == finding.rule);
    let mut region = json!({ "startLine": finding.line });
    if let (Some(start), Value::Object(region)) = (finding.column(), &mut region) {
        region.insert("startColumn".to_owned(), start.into());
        region.insert("endColumn".to_owned(), finding.columns.end.into());
    }
    let object = finding.object.as_ref().map(|object| json!([{ "fullyQualifiedName": object }]));
    let mut location = json!({
        "physicalLocation": { "artifactLocation": artifact(&finding.file), "region": region },
    });
    if let (Some(object), Value::Object(location)) = (object, &mut location) {
        location.insert("logicalLocations".to_owned(), object);
    }
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": format!("{} {}", sentence(&finding.message), sentence(&finding.hint)) },
        "locations": [location],
        "partialFingerprints": { FINGERPRINT: fingerprint(finding, seen) },
    })
}

/// A path that is not absolute is one below the checkout.
fn artifact(file: &str) -> Value {
    let encoded = utf8_percent_encode(file, &IN_PATH).to_string();
    if file.starts_with('/') {
        json!({ "uri": format!("file://{encoded}") })
    } else {
        json!({ "uri": encoded, "uriBaseId": ROOT })
    }
}

/// The same for the same finding when lines move above it: made of rule, file, object and line, but for its number. Equal
/// ones in one file are counted.
fn fingerprint(finding: &Finding, seen: &mut BTreeMap<String, u32>) -> String {
    let mut hash = Sha256::new();
    let line = finding.excerpt.as_deref().unwrap_or_default().trim();
    for part in [finding.rule.id(), &finding.file, finding.object.as_deref().unwrap_or_default(), line] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hash: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let count = seen.entry(hash.clone()).or_default();
    *count += 1;
    format!("{hash}:{count}")
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A fragment as a sentence. Names at its beginning stay as they are spelled.
fn sentence(fragment: &str) -> String {
    let end = if fragment.ends_with(['.', '?', '!']) { "" } else { "." };
    let mut chars = fragment.chars();
    let is_word =
        fragment.split([' ', ',']).next().is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    match chars.next() {
        Some(first) if is_word => format!("{}{}{end}", first.to_ascii_uppercase(), chars.as_str()),
        Some(_) | None => format!("{fragment}{end}"),
    }
}
