//! The folders of `tests/fixtures/edit`: each `in.yaml` must become its `out.yaml`, byte for byte.

use std::fs;
use std::path::Path;

use super::*;

#[test]
fn every_fixture_becomes_its_out_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/edit");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let before = fs::read(case.join("in.yaml")).unwrap();
        let after = fs::read(case.join("out.yaml")).unwrap();
        let plan = Policies::new().plan("in.yaml", &before);
        let planned = plan.text.clone().unwrap_or_else(|| before.clone());
        assert_eq!(
            String::from_utf8_lossy(&planned),
            String::from_utf8_lossy(&after),
            "{name}: {:?}",
            plan.problems
        );
        assert_eq!(planned, after, "{name}");
        let again = Policies::new().plan("in.yaml", &after);
        assert_eq!((&again.text, again.changes.len()), (&None, 0), "{name}: a second plan changes nothing");
        assert_eq!(problems(&again), problems(&plan), "{name}: problems stay until they are solved");
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} fixtures were found");
}
