//! The examples of `docs/updating.md`: each block that names its `updates` changes as its comments say.

use super::*;

/// A fenced block: what stands behind its language, and its text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some((info, String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((info, text))) => open = Some((info, text + line + "\n")),
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn every_documented_example_changes_as_it_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/updating.md")).unwrap();
    let mut seen = 0;
    for (info, text) in blocks(&page) {
        let Some((language, updates)) = info.split_once(" updates: ") else { continue };
        let (_, path) = language.split_once(" in ").unwrap_or((language, "example.yaml"));
        let updates = serde_saphyr::from_str(updates).unwrap();
        let targets = Targets::compile(&updates, "shop").unwrap();
        let plan = Policies::new().plan_for(&targets, path, text.as_bytes());
        let wanted =
            text.lines().filter_map(|line| Some(line.split_once("becomes ")?.1.trim_end_matches("\"}")));
        let wanted: Vec<&str> = wanted.collect();
        let changes: Vec<_> = plan.changes.iter().map(|change| change.to.as_str()).collect();
        assert_eq!(changes, wanted, "{text}: {:?}", plan.problems);
        assert!(!wanted.is_empty() && plan.problems.is_empty(), "{text}: {:?}", plan.problems);
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} examples were found");
}
