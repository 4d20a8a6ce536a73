//! What a commit says: for people first, with one line for each policy that machines can read.

mod grammar;
mod plain;
mod template;
mod wording;

use std::fmt::Write as _;

use semver::Version;

pub(super) use plain::shown;
use plain::{one_word, plain};
pub use template::InvalidTemplate;
pub use wording::Wording;

/// The trailer by which a later run recognises what a commit did.
const TRAILER: &str = "Tagtide-Update";

/// The longest tag, in characters (OCI distribution-spec, "Pulling manifests").
const MAX_TAG: usize = 128;

/// The most places of one policy that are listed.
const MAX_PLACES: usize = 20;

/// What the usual body tells of in full, in bytes; the policies beyond it are counted, and have their trailers all the same.
/// A commit above 1 MiB would not be read again.
const MAX_ACCOUNT: usize = 64 << 10;

/// One policy's part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The policy, as namespace/name.
    pub policy: String,
    /// The image, as the policy spells it.
    pub image: String,
    /// The tag before, or the value where it was no tag.
    pub from: String,
    /// The digest before, where one was held.
    pub from_digest: Option<String>,
    /// The tag after.
    pub to: String,
    /// The digest, where one is written.
    pub digest: Option<String>,
    /// Why this tag.
    pub why: String,
    /// The places, as file and line.
    pub places: Vec<(String, u64)>,
}

/// The usual message for these moves in a namespace. Every text in it that came from outside is made plain, so that none
/// can begin a trailer of its own.
#[must_use]
pub fn compose(namespace: &str, moves: &[Move]) -> String {
    format!("{}\n\n{}\n{}", subject(namespace, moves), account(moves), trailers(moves))
}

/// The usual body: what moves where, and how to take it back.
fn account(moves: &[Move]) -> String {
    let mut text = String::new();
    for (n, one) in moves.iter().enumerate() {
        if text.len() > MAX_ACCOUNT {
            let _ = writeln!(text, "and {} more policies, which are named below\n", moves.len() - n);
            break;
        }
        paragraph(&mut text, one);
    }
    undo(&mut text, moves);
    text
}

/// The last paragraph, which is Tagtide's alone.
fn trailers(moves: &[Move]) -> String {
    let mut text = String::new();
    for one in moves {
        let digest = one.digest.as_deref().map(|digest| format!(" {}", plain(digest))).unwrap_or_default();
        let (policy, to) = (plain(&one.policy), one_word(&one.to));
        // A tag is not longer; a value that was no tag may be.
        let from: String = one_word(&one.from).chars().take(MAX_TAG).collect();
        let _ = writeln!(text, "{TRAILER}: {policy} {from} {to}{digest}");
    }
    text
}

impl Move {
    /// The digest before and after, where the tag is the same and names another image now.
    fn moved_digest(&self) -> Option<(&str, &str)> {
        let digests = (self.from_digest.as_deref()?, self.digest.as_deref()?);
        let is_same_tag = self.from == self.to || self.from.is_empty();
        (is_same_tag && digests.0 != digests.1).then_some(digests)
    }
}

fn undo(text: &mut String, moves: &[Move]) {
    let (digests, tags): (Vec<_>, Vec<_>) = moves.iter().partition(|one| one.moved_digest().is_some());
    let avoid: Vec<String> =
        tags.iter().map(|one| format!("{} of {}", plain(&one.to), plain(&one.policy))).collect();
    let suspend: Vec<String> = digests.iter().map(|one| plain(&one.policy)).collect();
    text.push_str("Undo: git revert this commit");
    if !avoid.is_empty() {
        let _ = write!(text, ", and put {} into spec.avoid of its policy", listed(&avoid, 3));
    }
    if !suspend.is_empty() {
        let _ = write!(text, ", and suspend {}", listed(&suspend, 3));
    }
    text.push_str(",\nor it is chosen again.\n");
}

/// A digest as people tell it apart: its first twelve digits.
fn short(digest: &str) -> String {
    plain(digest).chars().take("sha256:".len() + 12).collect()
}

fn subject(namespace: &str, moves: &[Move]) -> String {
    let mut bumps: Vec<String> = Vec::new();
    for one in moves {
        let bump = match one.moved_digest() {
            Some((_, digest)) => format!("{}:{} to {}", plain(&one.image), plain(&one.to), short(digest)),
            None => format!("{} to {}", plain(&one.image), plain(&one.to)),
        };
        if !bumps.contains(&bump) {
            bumps.push(bump);
        }
    }
    let whole = format!("Bump {} in {}", listed(&bumps, usize::MAX), plain(namespace));
    if whole.chars().count() <= 100 || bumps.len() == 1 {
        return whole;
    }
    format!("Bump {} images in {}", bumps.len(), plain(namespace))
}

fn paragraph(text: &mut String, one: &Move) {
    let distance = distance(&one.from, &one.to).map(|distance| format!(" ({distance})")).unwrap_or_default();
    let (policy, image, from, to) = (plain(&one.policy), plain(&one.image), plain(&one.from), plain(&one.to));
    let _ = match one.moved_digest() {
        Some((before, after)) => {
            writeln!(text, "{policy}  {image}  {to}\n  {} →\n  {}", plain(before), plain(after))
        }
        None => writeln!(text, "{policy}  {image}  {from} → {to}{distance}"),
    };
    for (file, line) in one.places.iter().take(MAX_PLACES) {
        let _ = writeln!(text, "  {}:{line}", plain(file));
    }
    if let Some(more @ 1..) = one.places.len().checked_sub(MAX_PLACES) {
        let _ = writeln!(text, "  and {more} more");
    }
    let _ = writeln!(text, "  why: {}\n", plain(&one.why));
}

/// How far apart two versions are by semver.
fn distance(from: &str, to: &str) -> Option<&'static str> {
    let read = |tag: &str| Version::parse(tag.trim_start_matches('v')).ok();
    let (from, to) = (read(from)?, read(to)?);
    if to < from {
        return Some("downgrade");
    }
    Some(match (from.major == to.major, from.minor == to.minor, from.patch == to.patch) {
        (false, _, _) => "major",
        (true, false, _) => "minor",
        (true, true, false) => "patch",
        (true, true, true) => "pre-release",
    })
}

/// `a`, `a and b`, `a, b and 3 more`.
fn listed(all: &[String], most: usize) -> String {
    match all {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] if all.len() <= most => format!("{} and {last}", head.join(", ")),
        _ => {
            let shown: Vec<&str> = all.iter().take(most).map(String::as_str).collect();
            format!("{} and {} more", shown.join(", "), all.len() - shown.len())
        }
    }
}

/// What a commit with this message wrote: the policies, each with its tag.
pub fn updates(message: &str) -> impl Iterator<Item = (&str, &str)> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines().filter_map(|line| {
        let mut words = line.strip_prefix(TRAILER)?.strip_prefix(": ")?.split(' ');
        Some((words.next()?, words.nth(1)?))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn one(policy: &str, image: &str, from: &str, to: &str) -> Move {
        Move {
            policy: policy.into(),
            image: image.into(),
            from: from.into(),
            to: to.into(),
            from_digest: None,
            digest: None,
            why: "highest of 42 tags in >=1.4.0 <2.0.0".into(),
            places: vec![("apps/api/deployment.yaml".into(), 21)],
        }
    }

    #[test]
    fn says_what_moved_and_why_and_how_to_undo_it() {
        let text = compose("shop", &[one("shop/api", "ghcr.io/acme/api", "1.9.3", "1.9.4")]);
        let wanted = "Bump ghcr.io/acme/api to 1.9.4 in shop\n\n\
            shop/api  ghcr.io/acme/api  1.9.3 → 1.9.4 (patch)\n  \
              apps/api/deployment.yaml:21\n  \
              why: highest of 42 tags in >=1.4.0 <2.0.0\n\n\
            Undo: git revert this commit, and put 1.9.4 of shop/api into spec.avoid of its policy,\nor it is chosen again.\n\n\
            Tagtide-Update: shop/api 1.9.3 1.9.4\n";
        assert_eq!(text, wanted);
        assert_eq!(updates(&text).collect::<Vec<_>>(), [("shop/api", "1.9.4")]);
    }

    #[test]
    fn a_digest_that_moved_under_its_tag_is_told_from_where_to_where() {
        let (before, after) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let mut moved = one("shop/api", "ghcr.io/acme/api", "stable", "stable");
        (moved.from_digest, moved.digest) = (Some(before.clone()), Some(after.clone()));
        let text = compose("shop", &[moved.clone(), one("shop/web", "acme/web", "1.0.0", "1.0.1")]);
        let wanted = format!("shop/api  ghcr.io/acme/api  stable\n  {before} →\n  {after}\n");
        assert!(text.contains(&wanted), "{text}");
        assert!(
            text.starts_with(
                "Bump ghcr.io/acme/api:stable to sha256:bbbbbbbbbbbb and acme/web to 1.0.1 in shop\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("put 1.0.1 of shop/web into spec.avoid of its policy, and suspend shop/api,\n")
        );
        assert!(text.contains(&format!("Tagtide-Update: shop/api stable stable {after}\n")), "{text}");
        moved.from_digest = moved.digest.clone();
        assert!(compose("shop", &[moved]).starts_with("Bump ghcr.io/acme/api to stable in shop\n"));
    }

    #[test]
    fn two_policies_make_one_subject_and_many_are_counted() {
        let two =
            [one("shop/api", "acme/api", "1.0.0", "1.1.0"), one("shop/web", "acme/web", "1.0.0", "2.0.0")];
        let text = compose("shop", &two);
        assert!(text.starts_with("Bump acme/api to 1.1.0 and acme/web to 2.0.0 in shop\n"), "{text}");
        assert!(text.contains("(minor)") && text.contains("(major)"));
        let many: Vec<Move> =
            (0..9).map(|n| one("shop/p", &format!("registry.example/acme/app-{n}"), "1", "2")).collect();
        assert!(compose("shop", &many).starts_with("Bump 9 images in shop\n"));
    }

    #[test]
    fn a_commit_of_any_number_of_policies_can_be_read_again() {
        let mut moves = Vec::new();
        for n in 0..1_000 {
            let mut one = one(&format!("shop/{n}"), "ghcr.io/acme/api", &"é".repeat(400), "1.0.1");
            one.places = vec![("é".repeat(400), 1); 20];
            moves.push(one);
        }
        let text = compose("shop", &moves);
        assert!(text.len() < 512 << 10, "{}", text.len());
        assert_eq!(updates(&text).count(), moves.len());
        assert!(text.contains("more policies, which are named below\n\nUndo: "));
    }

    #[test]
    fn foreign_text_can_begin_no_trailer() {
        let mut hostile = one("shop/api", "acme/api", "x\n\nSigned-off-by: a", "1.0.0");
        hostile.why = "a\r\nCo-authored-by: b\u{1b}[31m\u{202e}".into();
        hostile.places = vec![("a\nTagtide-Update: shop/web 1 9".into(), 1)];
        let text = compose("shop", &[hostile]);
        let trailers: Vec<&str> =
            text.lines().filter(|l| l.contains("-by: ") || l.starts_with(TRAILER)).collect();
        assert_eq!(trailers.len(), 3, "{text}");
        assert!(
            trailers.iter().all(|line| line.starts_with("shop/api  ")
                || line.starts_with("  why")
                || line.starts_with("Tagtide-Update: shop/api ")),
            "{trailers:?}"
        );
        assert!(updates(&text).all(|update| update == ("shop/api", "1.0.0")) && !text.contains('\u{1b}'));
    }
}
