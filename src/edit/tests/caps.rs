//! Files with more than is read.

use super::*;
use crate::api::Updates;
use crate::edit::{MAX_FILE_BYTES, MAX_SITES, ProblemReason};

/// A line with one value.
const SITE: &str = "- ghcr.io/acme/api:1.0 # {\"$imagepolicy\": \"shop:api\"}\n";

#[test]
fn files_and_markers_beyond_the_caps_are_reported() {
    let filler = |length: usize| format!("{SITE}{}\n", "#".repeat(length - SITE.len() - 1));
    let largest = find_sites("a.yaml", filler(MAX_FILE_BYTES).as_bytes(), &Targets::default());
    assert_eq!((largest.sites.len(), largest.problems.len()), (1, 0));
    let too_large = Policies::new().plan("a.yaml", filler(MAX_FILE_BYTES + 1).as_bytes());
    assert_eq!((problems(&too_large), too_large.text), (vec!["1 TooLarge".to_owned()], None));
    assert_eq!(
        find_sites("a.yaml", "#".repeat(MAX_FILE_BYTES + 1).as_bytes(), &Targets::default()).problems,
        []
    );

    let broken =
        find_sites("a.yaml", "---\n[ # $tagtide\n".repeat(MAX_SITES + 5).as_bytes(), &Targets::default());
    assert_eq!(broken.problems.len(), MAX_SITES + 1);
    assert_eq!(broken.problems.last().unwrap().reason, ProblemReason::TooLarge);

    let many = find_sites("a.yaml", SITE.repeat(MAX_SITES + 5).as_bytes(), &Targets::default());
    assert_eq!(many.sites.len(), MAX_SITES);
    let reasons: Vec<_> = many.problems.iter().map(|problem| (problem.line, problem.reason)).collect();
    assert_eq!(reasons, [(MAX_SITES as u64 + 1, ProblemReason::TooLarge)]);
}

#[test]
fn a_tag_at_the_cap_is_not_read_without_its_digest() {
    let updates = Updates { renovate_comments: true, helm_values: true, ..Updates::default() };
    let targets = Targets::compile(&updates, "shop").unwrap();
    let tag = format!("tag: 8.0.3\ndigest: {OLD_DIGEST}\n");
    let below_comment = format!("# renovate: datasource=docker depName=ghcr.io/acme/web\n{tag}");
    let siblings = format!("repository: ghcr.io/acme/web\n{tag}");
    let text = format!("kind: ConfigMap\ndata:\n  a.yaml: |\n    {}", siblings.replace('\n', "\n    "));
    for pair in [below_comment, siblings, text] {
        for (before, sites) in [(2, MAX_SITES), (1, MAX_SITES - 1), (0, MAX_SITES)] {
            let text = format!("{}---\n{pair}", SITE.repeat(MAX_SITES - before));
            let found = find_sites("a.yaml", text.as_bytes(), &targets);
            let reasons: Vec<_> = found.problems.iter().map(|problem| problem.reason).collect();
            let told = if before == 2 { vec![] } else { vec![ProblemReason::TooLarge] };
            assert_eq!((found.sites.len(), reasons), (sites, told), "{before} left for {pair}");
        }
    }
}
