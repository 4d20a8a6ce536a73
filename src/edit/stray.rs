//! Comments that name a policy or an image in files whose names tell no format: nothing reads them, and whoever wrote one
//! waits in vain.

use memchr::memchr;

use super::{FileSites, ProblemReason, Targets, marker, renovate};

/// A file with a zero among so many bytes is none of text, as Git has it.
const TELLING_BYTES: usize = 8000;

/// What stands before a comment in any of the languages that people write.
const SIGNS: [&str; 7] = ["#", "//", "--", ";", "/*", "<!--", "%"];

/// The extensions of prose, in which a comment is an example.
const PROSE: [&str; 8] = ["md", "mdx", "markdown", "rst", "adoc", "asciidoc", "org", "html"];

/// Whether a comment in a file of this name would be an example.
pub(super) fn is_prose(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    PROSE.iter().any(|prose| prose.eq_ignore_ascii_case(extension))
}

/// The comments of a text as problems. Only what surely is one counts.
pub(super) fn find(text: &[u8], targets: &Targets) -> FileSites {
    let mut found = FileSites::default();
    let updates = &targets.updates;
    let may_be_in = (updates.markers && marker::may_be_in(text))
        || (updates.renovate_comments && renovate::may_be_in(text));
    if !may_be_in || is_binary(text) {
        return found;
    }
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        let what = if updates.markers && has_marker(text) {
            "a marker"
        } else if updates.renovate_comments && has_renovate_comment(text) {
            "a comment of Renovate's"
        } else {
            continue;
        };
        let message = format!(
            "{what} stands here that nothing follows, since the file's name tells no format that is read; keep the version in a file of a name such as versions.yaml or versions.env"
        );
        found.add_problem(line, ProblemReason::UnknownFormat, message);
    }
    found
}

fn is_binary(text: &[u8]) -> bool {
    memchr(0, text.get(..TELLING_BYTES).unwrap_or(text)).is_some()
}

fn has_marker(line: &str) -> bool {
    marker::object_in(line).is_some_and(|(before, marker)| is_comment(before) && marker.is_ok())
}

fn has_renovate_comment(line: &str) -> bool {
    let at = line.find("renovate:").and_then(|at| line.split_at_checked(at));
    at.is_some_and(|(before, comment)| is_comment(before) && renovate::image(comment).is_some())
}

fn is_comment(before: &str) -> bool {
    let before = before.trim_end();
    SIGNS.iter().any(|sign| before.ends_with(sign))
}

#[cfg(test)]
mod tests {
    use crate::api::Updates;
    use crate::edit::{Targets, find_sites};

    const MARKER: &str = r#"{"$imagepolicy": "shop:api"}"#;
    const RENOVATE: &str = "renovate: datasource=docker depName=ghcr.io/acme/api";

    fn lines(path: &str, text: &[u8], updates: Updates) -> Vec<u64> {
        let found = find_sites(path, text, &Targets::compile(&updates, "shop").unwrap());
        assert_eq!(found.sites, []);
        assert!(found.problems.iter().all(|problem| problem.reason.as_str() == "UnknownFormat"));
        found.problems.iter().map(|problem| problem.line).collect()
    }

    fn both() -> Updates {
        Updates { markers: true, renovate_comments: true, ..Updates::default() }
    }

    #[test]
    fn a_comment_in_a_file_of_no_known_format_is_told_with_its_line() {
        for (path, line) in [
            ("Jenkinsfile", format!("image 'ghcr.io/acme/api:1.0' // {MARKER}")),
            ("values.yaml.tpl", format!("image: ghcr.io/acme/api:1.0 # {MARKER}")),
            ("a.lua", format!("tag = '1.0' -- {MARKER}")),
            ("a.css", format!("/* {MARKER} */")),
            ("a.xml", format!("<!--{MARKER}-->")),
            ("justfile", format!("# {RENOVATE}")),
            ("a.gradle", format!("/* {RENOVATE} */")),
        ] {
            let text = format!("a\r\n{line}\r\n");
            assert_eq!(lines(path, text.as_bytes(), both()), [2], "{path}");
        }
    }

    #[test]
    fn what_is_prose_a_string_or_no_text_is_passed_over() {
        let comment = format!("# {MARKER}\n");
        let other_policy = "# {\"$imagepolicy\": \"shop\"}\n";
        let in_code = "write(\"# {\\\"$imagepolicy\\\": \\\"shop:api\\\"}\")\n";
        let updates = Updates { markers: false, ..Updates::default() };
        assert_eq!(lines("a", comment.as_bytes(), updates), [0; 0]);
        assert_eq!(lines("a", comment.as_bytes(), Updates { markers: true, ..Updates::default() }), [1]);
        for (path, text) in [
            ("README.md", comment.as_str()),
            ("docs/a.RST", &comment),
            ("a", &format!("write {MARKER} behind it\n")),
            ("a", &format!("{MARKER}\n")),
            ("a", other_policy),
            ("a.py", in_code),
            ("a", &format!("\0{comment}")),
            ("a", "# renovate: datasource=github-releases depName=acme/api\n"),
            ("a", &format!("about {RENOVATE}\n")),
        ] {
            assert_eq!(lines(path, text.as_bytes(), both()), [0; 0], "{path} {text}");
        }
        let broken = [b"# caf\xe9\n", comment.as_bytes()].concat();
        assert_eq!(lines("a", &broken, both()), [2]);
    }
}
