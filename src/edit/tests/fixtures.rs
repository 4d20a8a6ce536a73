//! The folders of `tests/fixtures/edit`: each `in` file must become its `out` file, byte for byte.
//!
//! `in.yaml` is planned under that name, `in.kustomization.yaml` as `kustomization.yaml`. `updates.yaml` is the `spec.updates`
//! that counts, markers alone without it; `problems` lists what is reported, as `LINE REASON`; without it, nothing may be.

use std::fs;
use std::path::Path;

use super::*;

/// One folder.
struct Fixture {
    name: String,
    path: String,
    before: Vec<u8>,
    after: Vec<u8>,
    targets: Targets,
    problems: Vec<String>,
}

impl Fixture {
    fn read(folder: &Path) -> Self {
        let files =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let rest = files.filter_map(|name| name.strip_prefix("in.").map(str::to_owned)).next().unwrap();
        let path = if rest.contains('.') || rest.starts_with(|c: char| c.is_ascii_uppercase()) {
            rest.clone()
        } else {
            format!("in.{rest}")
        };
        let updates = fs::read_to_string(folder.join("updates.yaml"));
        let updates = updates.map(|text| serde_saphyr::from_str(&text).unwrap()).unwrap_or_default();
        let problems = fs::read_to_string(folder.join("problems")).unwrap_or_default();
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            path,
            before: fs::read(folder.join(format!("in.{rest}"))).unwrap(),
            after: fs::read(folder.join(format!("out.{rest}"))).unwrap(),
            targets: Targets::compile(&updates, "shop").unwrap(),
            problems: problems.lines().map(str::to_owned).collect(),
        }
    }

    fn plan(&self, text: &[u8]) -> FilePlan {
        let policies = Policies::new();
        let plan = policies.plan_for(&self.targets, &self.path, text);
        let narrowed = self.targets.clone().of_images(policies.by_image.keys());
        assert_eq!(
            policies.plan_for(&narrowed, &self.path, text),
            plan,
            "{}: for these images alone",
            self.name
        );
        plan
    }
}

#[test]
fn every_fixture_becomes_its_out_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/edit");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let fixture = Fixture::read(&case);
        let name = &fixture.name;
        let plan = fixture.plan(&fixture.before);
        let planned = plan.text.as_ref().unwrap_or(&fixture.before);
        assert_eq!(
            String::from_utf8_lossy(planned),
            String::from_utf8_lossy(&fixture.after),
            "{name}: {:#?}",
            plan.problems
        );
        assert_eq!(planned, &fixture.after, "{name}");
        assert_eq!(problems(&plan), fixture.problems, "{name}: {:#?}", plan.problems);
        let again = fixture.plan(&fixture.after);
        assert_eq!((&again.text, again.changes.len()), (&None, 0), "{name}: a second plan changes nothing");
        let reasons =
            |plan: &FilePlan| plan.problems.iter().map(|problem| problem.reason).collect::<Vec<_>>();
        assert_eq!(reasons(&again), reasons(&plan), "{name}: problems stay until they are solved");
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} fixtures were found");
}
