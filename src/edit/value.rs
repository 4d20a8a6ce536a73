//! What a marked value becomes.

use super::{HeldBack, Owner, Part, ProblemReason, Site, Wanted};
use crate::api::{Downgrade, Pin};
use crate::image::{Digest, ImageName, ImageReference, Tag};
use crate::policy::Standing;

/// What is to be done with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds what is wanted; its spelling stays.
    Held,
    /// It becomes this.
    Write(String),
    /// A digest is to be written and none is known.
    NoDigest,
    /// It holds this tag, which is above the wanted one, and must not go down.
    Above(String),
    /// It holds this tag, which is of another kind than those that the policy chooses from, and nobody named the policy.
    Foreign(String),
    /// It holds something else than is wanted, which may not be written now.
    Withheld,
}

impl Verdict {
    /// Why what belongs to the value at this place must stay, where the value does although another tag is wanted. `also` is
    /// said of where that may be.
    pub(super) fn stays(&self, place: &str, also: &str) -> Option<HeldBack> {
        let stays = |reason, holds: &str, remedy| {
            let why = format!("{place} holds {holds}, and tag and digest move together{also}; {remedy}");
            Some(HeldBack { reason, why })
        };
        let allow = "set spec.downgrade to Allow to have both written";
        match self {
            Self::Above(held) => {
                stays(ProblemReason::Downgrade, &format!("{held}, which is above the chosen tag"), allow)
            }
            Self::Foreign(held) => stays(
                ProblemReason::ForeignTag,
                &format!("{held}, which is none of the policy's tags"),
                allow,
            ),
            Self::NoDigest => {
                let remedy =
                    "both are written once the digest of the chosen tag is known, which spec.pin asks for";
                stays(ProblemReason::NoDigest, "a digest", remedy)
            }
            Self::Held | Self::Write(_) | Self::Withheld => None,
        }
    }
}

/// [`judge`], but where only its image says that a value follows the policy, a tag of another kind stays: a person chose
/// that flavour, such as `main-3f2a91c` or `8.0.3-alpine`.
pub(super) fn judge_site(site: &Site, wanted: &Wanted<'_>) -> Verdict {
    let verdict = judge(site.part, &site.value, wanted);
    let is_named = match site.owner {
        Owner::Policy(_) | Owner::Rule(_) => true,
        Owner::Image(_) | Owner::Chart(_) => false,
    };
    match (&verdict, wanted.downgrade, held(site.part, &site.value).0) {
        (Verdict::Write(_), Downgrade::Never, Some(tag)) if !is_named && !(wanted.is_akin)(tag.as_str()) => {
            Verdict::Foreign(tag.to_string())
        }
        (Verdict::Write(_), ..) if wanted.withheld.is_some() => Verdict::Withheld,
        _ => verdict,
    }
}

/// The tag that a value holds, if it does, and whether a digest is in it or beside it.
pub(super) fn held(part: Part, value: &str) -> (Option<Tag>, bool) {
    let (_, value) = ImageReference::split_end(value);
    let tag = |text: &str| Tag::parse(text).ok();
    match part {
        Part::Image => match ImageReference::parse(value) {
            Some(reference) => (reference.tag, reference.digest.is_some()),
            None => (None, false),
        },
        Part::Tag | Part::TagBesideDigest | Part::TagAlone => {
            let (reference, digest) = split_digest(value);
            (tag(reference), digest.is_some() || part == Part::TagBesideDigest)
        }
        Part::Version => (tag(&value.replace('+', "_")), false),
        Part::Name => (None, false),
        Part::Digest => (None, true),
    }
}

/// Compares what Git holds with what the policy wants.
///
/// A policy without `pin` writes a known digest into a whole reference but into a tag only where there is one, and leaves out
/// none that Git holds. A tag field cannot hold a digest alone, so there `pin: Digest` means tag and digest.
///
/// What stands before the part and a `=` stays. A value in which only that stands never comes here.
pub(super) fn judge(part: Part, held: &str, wanted: &Wanted<'_>) -> Verdict {
    let (before, held) = ImageReference::split_end(held);
    match judge_part(part, held, wanted) {
        Verdict::Write(value) => Verdict::Write(format!("{before}{value}")),
        other @ (Verdict::Held
        | Verdict::NoDigest
        | Verdict::Above(_)
        | Verdict::Foreign(_)
        | Verdict::Withheld) => other,
    }
}

fn judge_part(part: Part, held: &str, wanted: &Wanted<'_>) -> Verdict {
    match part {
        Part::Image => judge_image(held, wanted),
        Part::Name => judge_name(held, wanted),
        Part::Tag | Part::TagBesideDigest | Part::TagAlone => judge_tag(part, held, wanted),
        Part::Version => judge_version(held, wanted),
        Part::Digest => match wanted.digest {
            None => Verdict::NoDigest,
            Some(digest) => held_or(held, as_spelled(held, digest)),
        },
    }
}

fn judge_name(held: &str, wanted: &Wanted<'_>) -> Verdict {
    if ImageName::parse(held).is_ok_and(|name| name == *wanted.image) {
        return Verdict::Held;
    }
    Verdict::Write(wanted.image.to_string())
}

/// A digest that stays behind a new tag, in the value or beside it, would go on running the old image; and one that is left
/// out would no longer say which is run, which only a policy that pins the tag alone may ask for.
fn judge_tag(part: Part, held: &str, wanted: &Wanted<'_>) -> Verdict {
    let (tag, held_digest) = if Digest::parse(held).is_ok() { ("", Some(held)) } else { split_digest(held) };
    let keeps_digest = held_digest.is_some() && wanted.pin != Some(Pin::Tag);
    let is_pinned = match wanted.pin {
        None | Some(Pin::Tag) => false,
        Some(Pin::TagAndDigest | Pin::Digest) => part == Part::Tag,
    };
    if is_pinned && wanted.digest.is_none() {
        return Verdict::NoDigest;
    }
    let needs_digest = keeps_digest || part == Part::TagBesideDigest;
    let digest = wanted.digest.filter(|_| is_pinned || keeps_digest).map(ToString::to_string);
    match compare(tag, wanted) {
        Comparison::Below => Verdict::Above(tag.to_owned()),
        Comparison::Same if digest.is_none() || digest.as_deref() == held_digest => Verdict::Held,
        Comparison::Other if needs_digest && wanted.digest.is_none() => Verdict::NoDigest,
        Comparison::Same | Comparison::Other => {
            held_or(held, with_digest(wanted.tag.as_str(), digest.as_deref()))
        }
    }
}

/// Helm writes the `+` of a version as `_` into the tag, since no tag can hold one (HIP 6).
fn judge_version(held: &str, wanted: &Wanted<'_>) -> Verdict {
    match judge_tag(Part::TagAlone, &held.replace('+', "_"), wanted) {
        Verdict::Write(tag) => held_or(held, tag.replace('_', "+")),
        other => other,
    }
}

/// The digest without its algorithm where the held one has none, as some charts want it.
fn as_spelled(held: &str, digest: &Digest) -> String {
    let digest = digest.to_string();
    match digest.split_once(':') {
        Some((_, hex)) if Digest::is_hex(held) => hex.to_owned(),
        Some(_) | None => digest,
    }
}

fn judge_image(held: &str, wanted: &Wanted<'_>) -> Verdict {
    let (writes_tag, wants_digest) = match wanted.pin {
        None => (true, wanted.digest.is_some()),
        Some(Pin::Tag) => (true, false),
        Some(Pin::TagAndDigest) => (true, true),
        Some(Pin::Digest) => (false, true),
    };
    if wants_digest && wanted.digest.is_none() {
        return Verdict::NoDigest;
    }
    let digest = wanted.digest.filter(|_| wants_digest).map(ToString::to_string);
    let (reference, held_digest) = split_digest(held);
    let (name, tag) = split_tag(reference);
    let is_same_image = ImageName::parse(name).is_ok_and(|name| name == *wanted.image);
    let name = if is_same_image { name } else { wanted.image.as_str() };
    match compare(tag, wanted) {
        Comparison::Below => Verdict::Above(tag.to_owned()),
        Comparison::Same if is_same_image && (digest.is_none() || digest.as_deref() == held_digest) => {
            Verdict::Held
        }
        // A digest that the policy does not know is not left out unless it pins the tag alone.
        Comparison::Same | Comparison::Other
            if wanted.pin.is_none() && held_digest.is_some() && digest.is_none() =>
        {
            Verdict::NoDigest
        }
        Comparison::Same | Comparison::Other => {
            let tag = if writes_tag { format!(":{}", wanted.tag) } else { String::new() };
            held_or(held, with_digest(&format!("{name}{tag}"), digest.as_deref()))
        }
    }
}

fn held_or(held: &str, value: String) -> Verdict {
    if held == value { Verdict::Held } else { Verdict::Write(value) }
}

fn with_digest(text: &str, digest: Option<&str>) -> String {
    digest.map_or_else(|| text.to_owned(), |digest| format!("{text}@{digest}"))
}

/// What the wanted tag is beside the held one.
enum Comparison {
    /// The same version.
    Same,
    /// Lower, and the policy must not go down.
    Below,
    /// To be written: higher, or not to be compared.
    Other,
}

fn compare(held: &str, wanted: &Wanted<'_>) -> Comparison {
    if held == wanted.tag.as_str() {
        return Comparison::Same;
    }
    if !Tag::is_valid(held) {
        return Comparison::Other;
    }
    match ((wanted.standing)(held, wanted.tag.as_str()), wanted.downgrade) {
        (Standing::Alias, Downgrade::Never | Downgrade::Allow) => Comparison::Same,
        (Standing::Lower, Downgrade::Never) => Comparison::Below,
        (Standing::Lower, Downgrade::Allow)
        | (Standing::Higher | Standing::Unranked, Downgrade::Never | Downgrade::Allow) => Comparison::Other,
    }
}

fn split_digest(text: &str) -> (&str, Option<&str>) {
    text.split_once('@').map_or((text, None), |(before, digest)| {
        (before, Some(digest).filter(|digest| Digest::parse(digest).is_ok()))
    })
}

/// Name and tag; the tag is empty where there is none. A colon before the last slash belongs to the host's port.
fn split_tag(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (reference, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// Ranks whole numbers; `x1` is an alias of `1`.
    fn standing(held: &str, wanted: &str) -> Standing {
        assert!(Tag::is_valid(held), "only tags are ranked, and {held:?} is none");
        let rank = |tag: &str| tag.trim_start_matches('x').parse::<u32>();
        match (rank(held), rank(wanted)) {
            (Ok(held), Ok(wanted)) if held == wanted => Standing::Alias,
            (Ok(held), Ok(wanted)) if held < wanted => Standing::Higher,
            (Ok(_), Ok(_)) => Standing::Lower,
            _ => Standing::Unranked,
        }
    }

    struct Policy {
        image: &'static str,
        digest: Option<&'static str>,
        pin: Option<Pin>,
        downgrade: Downgrade,
    }

    const PLAIN: Policy =
        Policy { image: "ghcr.io/acme/api", digest: None, pin: None, downgrade: Downgrade::Never };

    impl Policy {
        /// The verdict on `held` where tag 5 is wanted.
        fn judge(&self, part: Part, held: &str) -> Verdict {
            let image = ImageName::parse(self.image).unwrap();
            let tag = Tag::parse("5").unwrap();
            let digest = self.digest.map(|digest| Digest::parse(digest).unwrap());
            let wanted = Wanted {
                image: &image,
                tag: &tag,
                digest: digest.as_ref(),
                pin: self.pin,
                downgrade: self.downgrade,
                standing: Box::new(standing),
                is_akin: Box::new(|_| true),
                withheld: None,
            };
            judge(part, held, &wanted)
        }
    }

    fn write(value: impl Into<String>) -> Verdict {
        Verdict::Write(value.into())
    }

    #[test]
    fn an_image_keeps_its_spelling_and_takes_the_policys_where_it_is_another_image() {
        let hub = Policy { image: "docker.io/library/alpine", ..PLAIN };
        assert_eq!(hub.judge(Part::Image, "alpine:4"), write("alpine:5"));
        assert_eq!(
            hub.judge(Part::Image, "index.docker.io/library/alpine:4"),
            write("index.docker.io/library/alpine:5")
        );
        assert_eq!(hub.judge(Part::Image, "alpine"), write("alpine:5"));
        assert_eq!(hub.judge(Part::Image, "busybox:4"), write("docker.io/library/alpine:5"));
        assert_eq!(hub.judge(Part::Image, "busybox:5"), write("docker.io/library/alpine:5"));
        assert_eq!(hub.judge(Part::Image, "no image"), write("docker.io/library/alpine:5"));
        assert_eq!(hub.judge(Part::Name, "library/alpine"), Verdict::Held);
        assert_eq!(hub.judge(Part::Name, "busybox"), write("docker.io/library/alpine"));
        let port = Policy { image: "localhost:5000/api", ..PLAIN };
        assert_eq!(port.judge(Part::Image, "localhost:5000/api"), write("localhost:5000/api:5"));
    }

    #[test]
    fn what_stands_before_an_image_and_a_sign_of_equality_stays() {
        assert_eq!(PLAIN.judge(Part::Image, "web=ghcr.io/acme/api:4"), write("web=ghcr.io/acme/api:5"));
        assert_eq!(PLAIN.judge(Part::Image, "web=ghcr.io/acme/api"), write("web=ghcr.io/acme/api:5"));
        assert_eq!(PLAIN.judge(Part::Image, "web=busybox:4"), write("web=ghcr.io/acme/api:5"));
        assert_eq!(PLAIN.judge(Part::Image, "web=ghcr.io/acme/api:x5"), Verdict::Held);
        let pinned = Policy { pin: Some(Pin::Digest), digest: Some(NEW), ..PLAIN };
        let wanted = format!("--image=ghcr.io/acme/api@{NEW}");
        assert_eq!(pinned.judge(Part::Image, "--image=ghcr.io/acme/api:4"), write(&wanted));
        assert_eq!(pinned.judge(Part::Image, &wanted), Verdict::Held);
    }

    #[test]
    fn what_stands_before_any_other_part_stays_too() {
        assert_eq!(PLAIN.judge(Part::Tag, "--tag=4"), write("--tag=5"));
        assert_eq!(PLAIN.judge(Part::Tag, "A=B=x5"), Verdict::Held);
        assert_eq!(PLAIN.judge(Part::Tag, "VERSION=6"), Verdict::Above("6".to_owned()));
        assert_eq!(PLAIN.judge(Part::Name, "NAME=busybox"), write("NAME=ghcr.io/acme/api"));
        let pinned = Policy { pin: Some(Pin::TagAndDigest), digest: Some(NEW), ..PLAIN };
        assert_eq!(pinned.judge(Part::Tag, &format!("--tag=4@{OLD}")), write(format!("--tag=5@{NEW}")));
        assert_eq!(pinned.judge(Part::Digest, &format!("--digest={OLD}")), write(format!("--digest={NEW}")));
        assert_eq!(pinned.judge(Part::TagBesideDigest, "VERSION=4"), write("VERSION=5"));
    }

    #[test]
    fn an_alias_of_the_wanted_tag_is_held() {
        assert_eq!(PLAIN.judge(Part::Tag, "5"), Verdict::Held);
        assert_eq!(PLAIN.judge(Part::Tag, "x5"), Verdict::Held);
        assert_eq!(PLAIN.judge(Part::Image, "ghcr.io/acme/api:x5"), Verdict::Held);
    }

    #[test]
    fn a_digest_in_git_is_left_out_only_where_the_tag_alone_is_pinned() {
        let parts = [
            (Part::Tag, format!("4@{OLD}"), format!("5@{OLD}"), "5".to_owned(), format!("5@{NEW}")),
            (Part::TagAlone, format!("4@{OLD}"), format!("5@{OLD}"), "5".to_owned(), format!("5@{NEW}")),
            (
                Part::Image,
                format!("ghcr.io/acme/api:4@{OLD}"),
                format!("ghcr.io/acme/api:5@{OLD}"),
                "ghcr.io/acme/api:5".to_owned(),
                format!("ghcr.io/acme/api:5@{NEW}"),
            ),
        ];
        for (part, lower, same, bare, moved) in parts {
            let dropping = Policy { pin: Some(Pin::Tag), ..PLAIN };
            assert_eq!(dropping.judge(part, &same), Verdict::Held, "{part}");
            assert_eq!(dropping.judge(part, &lower), write(bare), "{part}");
            assert_eq!(PLAIN.judge(part, &same), Verdict::Held, "{part}");
            assert_eq!(PLAIN.judge(part, &lower), Verdict::NoDigest, "{part}");
            let knowing = Policy { digest: Some(NEW), ..PLAIN };
            assert_eq!(knowing.judge(part, &lower), write(&moved), "{part}");
            assert_eq!(knowing.judge(part, &same), write(&moved), "{part}");
            assert_eq!(knowing.judge(part, &moved), Verdict::Held, "{part}");
        }
        assert_eq!(PLAIN.judge(Part::Image, &format!("ghcr.io/acme/api@{OLD}")), Verdict::NoDigest);
        assert_eq!(PLAIN.judge(Part::Image, &format!("busybox:5@{OLD}")), Verdict::NoDigest);
        assert_eq!(PLAIN.judge(Part::Tag, OLD), Verdict::NoDigest);
        assert_eq!(PLAIN.judge(Part::Tag, "4@x"), write("5"));
    }

    #[test]
    fn a_tag_beside_a_digest_is_compared_without_the_digest_that_it_holds_itself() {
        let policy = Policy { pin: Some(Pin::TagAndDigest), digest: Some(NEW), ..PLAIN };
        let judge = |held: &str| policy.judge(Part::TagBesideDigest, held);
        assert_eq!(judge(&format!("6@{OLD}")), Verdict::Above("6".to_owned()));
        assert_eq!(judge(&format!("4@{OLD}")), write(format!("5@{NEW}")));
        assert_eq!(judge(&format!("5@{OLD}")), write(format!("5@{NEW}")));
        assert_eq!(judge(&format!("5@{NEW}")), Verdict::Held);
        assert_eq!((judge("4"), judge("x5")), (write("5"), Verdict::Held));
        assert_eq!(PLAIN.judge(Part::TagAlone, &format!("6@{OLD}")), Verdict::Above("6".to_owned()));
    }

    #[test]
    fn a_known_digest_goes_where_the_pin_says() {
        for (pin, image, tag) in [
            (None, format!("ghcr.io/acme/api:5@{NEW}"), "5".to_owned()),
            (Some(Pin::Tag), "ghcr.io/acme/api:5".to_owned(), "5".to_owned()),
            (Some(Pin::TagAndDigest), format!("ghcr.io/acme/api:5@{NEW}"), format!("5@{NEW}")),
            (Some(Pin::Digest), format!("ghcr.io/acme/api@{NEW}"), format!("5@{NEW}")),
        ] {
            let policy = Policy { pin, digest: Some(NEW), ..PLAIN };
            assert_eq!(policy.judge(Part::Image, "ghcr.io/acme/api:4"), write(&image), "{pin:?}");
            assert_eq!(policy.judge(Part::Image, &image), Verdict::Held, "{pin:?}");
            assert_eq!(policy.judge(Part::Tag, "4"), write(&tag), "{pin:?}");
            assert_eq!(policy.judge(Part::Tag, &tag), Verdict::Held, "{pin:?}");
            assert_eq!(policy.judge(Part::Digest, OLD), write(NEW), "{pin:?}");
            assert_eq!(policy.judge(Part::Digest, NEW), Verdict::Held, "{pin:?}");
        }
    }

    #[test]
    fn the_same_tag_with_another_digest_is_written_where_digests_are_pinned() {
        let policy = Policy { pin: Some(Pin::TagAndDigest), digest: Some(NEW), ..PLAIN };
        assert_eq!(policy.judge(Part::Tag, &format!("5@{OLD}")), write(format!("5@{NEW}")));
        assert_eq!(policy.judge(Part::Tag, &format!("x5@{NEW}")), Verdict::Held);
        assert_eq!(policy.judge(Part::Tag, "5"), write(format!("5@{NEW}")));
        assert_eq!(
            policy.judge(Part::Image, "ghcr.io/acme/api:5"),
            write(format!("ghcr.io/acme/api:5@{NEW}"))
        );
    }

    #[test]
    fn nothing_is_written_where_a_digest_is_wanted_and_unknown() {
        assert_eq!(PLAIN.judge(Part::Digest, OLD), Verdict::NoDigest);
        for pin in [Some(Pin::TagAndDigest), Some(Pin::Digest)] {
            let policy = Policy { pin, ..PLAIN };
            for (part, held) in [(Part::Tag, "4"), (Part::Image, "ghcr.io/acme/api:4"), (Part::Digest, OLD)] {
                assert_eq!(policy.judge(part, held), Verdict::NoDigest, "{pin:?} {part}");
            }
        }
    }

    #[test]
    fn a_higher_tag_in_git_stays_unless_the_policy_may_go_down() {
        let above = Verdict::Above("6".to_owned());
        assert_eq!(PLAIN.judge(Part::Tag, "6"), above);
        assert_eq!(PLAIN.judge(Part::Tag, &format!("6@{OLD}")), above);
        assert_eq!(PLAIN.judge(Part::Image, "ghcr.io/acme/api:6"), above);
        assert_eq!(PLAIN.judge(Part::Image, "docker.io/acme/api:6"), above);
        let policy = Policy { downgrade: Downgrade::Allow, ..PLAIN };
        assert_eq!(policy.judge(Part::Tag, "6"), write("5"));
    }

    #[test]
    fn a_tag_is_the_same_whatever_digest_it_holds_or_stands_beside() {
        let tag = Tag::parse("1.0").unwrap();
        for (part, value, has_digest) in [
            (Part::Tag, "1.0".to_owned(), false),
            (Part::Tag, format!("--tag=1.0@{OLD}"), true),
            (Part::TagAlone, format!("1.0@{OLD}"), true),
            (Part::TagBesideDigest, "1.0".to_owned(), true),
            (Part::TagBesideDigest, format!("1.0@{OLD}"), true),
            (Part::Image, format!("a=ghcr.io/acme/api:1.0@{OLD}"), true),
            (Part::Image, "ghcr.io/acme/api:1.0".to_owned(), false),
            (Part::Version, "1.0".to_owned(), false),
        ] {
            assert_eq!(held(part, &value), (Some(tag.clone()), has_digest), "{part} {value}");
        }
        assert_eq!(held(Part::Version, "1.0+7").0, Tag::parse("1.0_7").ok());
        assert_eq!(held(Part::Tag, OLD).0, None);
        assert_eq!((held(Part::Name, "acme/api"), held(Part::Digest, OLD)), ((None, false), (None, true)));
    }

    #[test]
    fn what_cannot_be_ranked_is_replaced() {
        for held in ["latest", "main-abc", "not a tag", "-"] {
            assert_eq!(PLAIN.judge(Part::Tag, held), write("5"), "{held}");
        }
    }
}
