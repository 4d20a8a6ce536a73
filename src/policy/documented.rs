//! The examples of docs/choosing.md, run.

use super::fixture::facts;
use super::{Choice, Policy, compile};

const PAGE: &str = include_str!("../../docs/choosing.md");

/// The cells of a table's row, without the quotes of code and the escapes of `|`.
fn cells(row: &str) -> Vec<String> {
    row.trim_start_matches("| ")
        .trim_end_matches(" |")
        .split(" | ")
        .map(|cell| {
            let code = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            code.unwrap_or(cell).replace("\\|", "|")
        })
        .collect()
}

/// What a policy chooses among tags of which some say what their images are: a time, or platforms with `+` between them.
fn choose(policy: &Policy, images: &[(&str, &str)]) -> Choice {
    let known = images.iter().map(|(tag, says)| {
        let platforms: Vec<&str> = says.split('+').filter(|part| part.contains('/')).collect();
        facts(&[(tag, says, &platforms)])
    });
    let mut chooser = policy.chooser(0);
    images.iter().for_each(|(tag, _)| chooser.offer_text(tag));
    chooser.finish().decide(&known.flatten().collect())
}

#[test]
fn every_example_chooses_what_the_page_says() {
    let rows = PAGE.lines().map(cells).filter(|cells| cells.len() == 4 && cells[0].contains("select:"));
    let mut examples = 0;
    for row in rows {
        let [spec, tags, chosen, reason] = row.try_into().unwrap();
        let spec = serde_saphyr::from_str(&format!("{{image: ghcr.io/acme/api, {spec}}}")).unwrap();
        let images: Vec<(&str, &str)> =
            tags.split(' ').map(|image| image.split_once('=').unwrap_or((image, ""))).collect();
        let choice = choose(&compile(&spec).unwrap(), &images);
        let winner = choice.winner.map_or("none".to_owned(), |winner| winner.tag.to_string());
        assert_eq!((winner, choice.reason), (chosen, reason), "{tags}");
        examples += 1;
    }
    assert!(examples > 30, "only {examples} examples were found");
}
