//! The direction of imports: core ← adapters ← engine ← drivers ← cli. And the shape of the files.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::support::workspace::checkout;

/// A part of the program and what it may not name.
struct Rule {
    /// Folders and files of `src`, without `.rs`.
    parts: &'static [&'static str],
    /// Modules of the program.
    modules: &'static [&'static str],
    /// Anything else, as the source writes it.
    words: &'static [&'static str],
}

const RULES: [Rule; 5] = [
    Rule {
        parts: &["api", "image", "policy", "gate", "edit", "unfit"],
        modules: &[
            "registry",
            "git",
            "net",
            "engine",
            "receiver",
            "controller",
            "operator",
            "standalone",
            "folder",
            "lint",
            "demo",
            "cli",
        ],
        words: &[
            "tokio",
            "reqwest",
            "axum",
            "git2",
            "oci_distribution",
            "kube::Client",
            "kube::client",
            "kube::Api",
            "kube::api",
            "kube::runtime",
            "std::fs",
            "std::process",
            "std::env",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "ToSocketAddrs",
            "SystemTime",
            "Instant",
            "Timestamp::now",
            "Zoned::now",
            "rand::",
        ],
    },
    Rule {
        parts: &["net", "registry", "git"],
        modules: &[
            "engine",
            "receiver",
            "controller",
            "operator",
            "standalone",
            "folder",
            "lint",
            "demo",
            "cli",
        ],
        words: &["kube::Client", "kube::Api", "kube::runtime"],
    },
    Rule {
        parts: &["engine"],
        modules: &["receiver", "controller", "operator", "standalone", "folder", "lint", "demo", "cli"],
        words: &["kube::Client", "kube::Api", "kube::runtime"],
    },
    Rule {
        parts: &["receiver"],
        modules: &["controller", "operator", "standalone", "folder", "lint", "demo", "cli"],
        words: &["kube::Client", "kube::Api", "kube::runtime"],
    },
    Rule {
        parts: &["controller", "operator", "standalone", "folder", "lint", "demo"],
        modules: &["cli"],
        words: &[],
    },
];

/// The most lines of code before a file's tests.
const MAX_LINES: usize = 400;

const NAMES_THAT_SAY_NOTHING: [&str; 5] = ["mod", "utils", "common", "helpers", "manager"];

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// All that is wrong with one file; `file` is its path below `src`.
fn check(file: &Path, text: &str) -> Vec<Breach> {
    let breach = |line: usize, what: String| Breach { file: file.to_owned(), line, what };
    let mut breaches = Vec::new();
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    if parts.iter().any(|part| NAMES_THAT_SAY_NOTHING.contains(&part.trim_end_matches(".rs"))) {
        breaches.push(breach(1, "the name says nothing of what is in it".to_owned()));
    }
    if parts.iter().any(|part| matches!(*part, "tests" | "tests.rs")) {
        return breaches;
    }
    let code = before_tests(text);
    if code.len() > MAX_LINES {
        breaches.push(breach(1, format!("{} lines of code; at most {MAX_LINES}", code.len())));
    }
    let top = parts.first().map(|part| part.trim_end_matches(".rs")).unwrap_or_default();
    for rule in RULES.iter().filter(|rule| rule.parts.contains(&top)) {
        for (number, line) in &flattened(&code) {
            let modules = rule.modules.iter().filter(|module| names_module(line, module));
            breaches.extend(modules.map(|module| breach(*number, format!("{top} may not use {module}"))));
            let words = rule.words.iter().filter(|word| names(line, word));
            breaches.extend(words.map(|word| breach(*number, format!("{top} may not use {word}"))));
        }
    }
    breaches
}

/// The lines before the tests that hold code, with their numbers and without comments.
fn before_tests(text: &str) -> Vec<(usize, &str)> {
    (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.split("//").next().unwrap_or_default().trim()))
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// The same with every import on a line of its own: `use crate::{api, git};` becomes `crate::api` and `crate::git`.
fn flattened(code: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut flat = Vec::new();
    let mut lines = code.iter();
    while let Some(&(number, line)) = lines.next() {
        let visibility = |text: &str| text.is_empty() || text.starts_with("pub");
        let import = line.split_once("use ").filter(|(before, _)| visibility(before));
        let Some((_, import)) = import else {
            flat.push((number, line.to_owned()));
            continue;
        };
        let mut import = import.to_owned();
        while !import.contains(';') {
            let Some((_, more)) = lines.next() else { break };
            import.push_str(more);
        }
        let (import, rest) = import.split_once(';').unwrap_or((&import, ""));
        flat.extend(paths(import).into_iter().map(|path| (number, path)));
        flat.push((number, rest.to_owned()));
    }
    flat
}

/// The paths of one import: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn paths(import: &str) -> Vec<String> {
    let Some((prefix, group)) = import.split_once('{') else { return vec![import.trim().to_owned()] };
    let group = group.trim_end().trim_end_matches('}');
    let (mut depth, mut start, mut all) = (0_i32, 0, Vec::new());
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth <= 0 => {
                all.extend(
                    paths(&group[start..at]).into_iter().map(|path| format!("{}{path}", prefix.trim())),
                );
                start = at + 1;
            }
            _ => {}
        }
    }
    all
}

/// Whether a line names a module of this program.
fn names_module(line: &str, module: &str) -> bool {
    ["crate::", "super::super::"].iter().any(|root| names(line, &format!("{root}{module}")))
}

/// Whether a line has a word, as a word.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !is_part(before) && (word.ends_with(':') || !is_part(after))
    })
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_source_keeps_its_direction_and_its_shape() {
    let src = checkout().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 50, "src was read: {files:?}");
    let breaches: Vec<String> = files
        .iter()
        .flat_map(|file| check(file.strip_prefix(&src).unwrap(), &std::fs::read_to_string(file).unwrap()))
        .map(|breach| breach.to_string())
        .collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn a_breach_of_the_direction_is_found_however_it_is_written() {
    let found = |file: &str, text: &str| check(Path::new(file), text).len();
    for (file, text) in [
        ("api/reason.rs", "use crate::git::Branch;"),
        ("policy.rs", "use crate::{api::Reason, net};"),
        ("policy/range.rs", "use crate::{\n    api::Reason,\n    registry::Client,\n};"),
        ("policy/range.rs", "fn now() -> jiff::Timestamp { jiff::Timestamp::now() }"),
        ("edit/plan.rs", "use std::{collections::BTreeMap, fs};"),
        ("edit/plan.rs", "let text = std::fs::read(path);"),
        ("image.rs", "pub use tokio::{sync::mpsc};"),
        ("image.rs", "use kube::{Api, Resource};"),
        ("registry/client.rs", "use crate::engine::World;"),
        ("git/http.rs", "pub(crate) fn x(s: &crate::engine::Settings) {}"),
        ("engine/desk.rs", "use crate::controller::FIELD_MANAGER;"),
        ("operator/run.rs", "use crate::cli::RunArgs;"),
    ] {
        assert_eq!(found(file, text), 1, "{file}: {text}");
    }
}

#[test]
fn what_is_allowed_is_no_breach() {
    for (file, text) in [
        ("api/object.rs", "use kube::{Resource, ResourceExt};\nuse crate::image::Tag;"),
        ("policy/range.rs", "// like crate::git\n#[cfg(test)]\nmod tests { use tokio::fs; }"),
        ("edit/tests/traps.rs", "use std::fs;"),
        ("edit/tests.rs", "use std::fs;"),
        ("edit/plan.rs", "let instantly = crate::edit::gitlike();"),
        ("engine/desk.rs", "use crate::{git, registry};\nuse tokio::time::Instant;"),
        ("cli/run.rs", "use crate::operator;"),
    ] {
        assert_eq!(check(Path::new(file), text), [], "{file}: {text}");
    }
}

#[test]
fn a_file_that_is_too_long_or_named_for_nothing_is_found() {
    let long = "let a = 1;\n".repeat(MAX_LINES + 1);
    assert_eq!(check(Path::new("engine/desk.rs"), &long).len(), 1);
    let tested = format!("{}#[cfg(test)]\n{long}", "let a = 1;\n".repeat(MAX_LINES));
    assert_eq!(check(Path::new("engine/desk.rs"), &tested), []);
    for file in ["net/utils.rs", "common/x.rs", "git/mod.rs", "registry/manager.rs"] {
        assert_eq!(check(Path::new(file), "").len(), 1, "{file}");
    }
}
