//! From a spec to a policy, by the rules of the CRD and those that a schema cannot hold.

use crate::api::{ImagePolicySpec, Pin};
use crate::image::{ImageName, InvalidPlatform, Platform};

use super::Policy;
use super::avoid::Avoid;
use super::filter::Filter;
use super::scale::Scale;

/// The longest name of a Secret, in bytes: that of a DNS subdomain (RFC 1123).
const MOST_SECRET_NAME_BYTES: usize = 253;

/// The most platforms.
const MOST_PLATFORMS: usize = 16;

/// A spec that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidPolicy {
    /// Path of the field in the object, such as `spec.select.semver.range` or `spec.avoid[2]`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

impl InvalidPolicy {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Checks a spec and makes it ready to use. What the API server would refuse by the CRD is refused here too, because
/// a spec may come from a folder.
///
/// # Errors
/// `InvalidPolicy` names the first field, in the order of the spec, that breaks a rule.
pub fn compile(spec: &ImagePolicySpec) -> Result<Policy, InvalidPolicy> {
    let image =
        ImageName::parse(&spec.image).map_err(|error| InvalidPolicy::new("spec.image", error.to_string()))?;
    let interval =
        spec.interval.duration().map_err(|error| InvalidPolicy::new("spec.interval", error.to_string()))?;
    if let Some(secret) = spec.credentials.as_ref().and_then(|credentials| credentials.secret_ref.as_ref()) {
        check_secret_name(&secret.name)?;
    }
    let filter = Filter::compile(spec.tags.as_ref().unwrap_or(&Default::default()))?;
    let scale = Scale::compile(&spec.select)?;
    let avoid = Avoid::compile(&spec.avoid, &filter, &scale)?;
    let pin = match (&scale, spec.pin) {
        (Scale::Follow(_), pin) => Some(pin_of_follow(spec, pin)?),
        (_, pin) => pin,
    };
    let platforms = platforms(&spec.platforms)?;
    Ok(Policy { image, interval, pin, downgrade: spec.downgrade, filter, scale, avoid, platforms })
}

/// What is written for a tag that is followed: its digest is what moves.
fn pin_of_follow(spec: &ImagePolicySpec, pin: Option<Pin>) -> Result<Pin, InvalidPolicy> {
    if spec.tags.is_some() || !spec.avoid.is_empty() {
        let problem = "it names its tag; leave spec.tags and spec.avoid out";
        return Err(InvalidPolicy::new("spec.select.follow", problem));
    }
    match pin {
        Some(Pin::Tag) => {
            let problem = "the tag alone never changes with select.follow; write TagAndDigest or Digest";
            Err(InvalidPolicy::new("spec.pin", problem))
        }
        Some(pin @ (Pin::TagAndDigest | Pin::Digest)) => Ok(pin),
        None => Ok(Pin::TagAndDigest),
    }
}

fn platforms(texts: &[String]) -> Result<Vec<Platform>, InvalidPolicy> {
    if texts.len() > MOST_PLATFORMS {
        let problem = format!("it has more than {MOST_PLATFORMS} platforms");
        return Err(InvalidPolicy::new("spec.platforms", problem));
    }
    let read = |(index, text): (usize, &String)| {
        let invalid = |error: InvalidPlatform| {
            InvalidPolicy::new(format!("spec.platforms[{index}]"), error.to_string())
        };
        Platform::parse(text).map_err(invalid)
    };
    texts.iter().enumerate().map(read).collect()
}

fn check_secret_name(name: &str) -> Result<(), InvalidPolicy> {
    if name.is_empty() || name.len() > MOST_SECRET_NAME_BYTES {
        let problem =
            format!("it must have 1 to {MOST_SECRET_NAME_BYTES} characters; write the name of a Secret");
        return Err(InvalidPolicy::new("spec.credentials.secretRef.name", problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Alphabetical, Credentials, ImagePolicySpec, Interval, Order, SecretRef};
    use crate::policy::fixture::{
        alphabetical, avoiding, filtered, follow, newest_build, numerical, pinned, semver, spec,
    };

    fn changed(change: impl FnOnce(&mut ImagePolicySpec)) -> ImagePolicySpec {
        let mut spec = semver("1.x");
        change(&mut spec);
        spec
    }

    #[test]
    fn a_bad_spec_is_refused_with_the_field_and_what_would_be_right() {
        for (spec, message) in [
            (
                changed(|spec| spec.image = "https://ghcr.io/acme/api".to_owned()),
                "spec.image: \"https://ghcr.io/acme/api\" is not an image name: it has a scheme",
            ),
            (
                changed(|spec| spec.interval = Interval::new("5 minutes")),
                "spec.interval: \"5 minutes\" is not a length of time",
            ),
            (
                changed(|spec| {
                    let secret_ref = Some(SecretRef { name: String::new() });
                    spec.credentials = Some(Credentials { secret_ref, ..Credentials::default() });
                }),
                "spec.credentials.secretRef.name: it must have 1 to 253 characters",
            ),
            (
                spec(),
                "spec.select: it must have exactly one of semver, calver, numerical, alphabetical, newestBuild and follow",
            ),
            (
                changed(|spec| spec.select.alphabetical = Some(Alphabetical::default())),
                "spec.select: it must have exactly one of",
            ),
            (
                semver(">=1.0 <"),
                "spec.select.semver.range: \">=1.0 <\" is no range: nothing stands behind <; write a version",
            ),
            (
                filtered(semver("*"), "v(", &[]),
                "spec.tags.include: it is no regular expression: unclosed group; write one such as",
            ),
            (
                filtered(semver("*"), "", &["a", "[z-a]"]),
                "spec.tags.exclude[1]: it is no regular expression: invalid character class range",
            ),
            (
                filtered(semver("*"), "(a{1000}){1000}", &[]),
                "spec.tags.include: it needs more than 1048576 bytes when compiled; write a simpler pattern",
            ),
            (
                filtered(semver("*"), &"a".repeat(1025), &[]),
                "spec.tags.include: it is longer than 1024 bytes",
            ),
            (filtered(semver("*"), "", &[""]), "spec.tags.exclude[0]: it is empty; write a pattern"),
            (
                filtered(semver("*"), "", &["a"; 33]),
                "spec.tags.exclude: it has more than 32 patterns; join some with |",
            ),
            (avoiding(semver("*"), &["1.0.0", ""]), "spec.avoid[1]: it must have 1 to 256 bytes"),
            (
                avoiding(semver("*"), &["1.0.0", "latest", ">=1.0 <"]),
                "spec.avoid[2]: \">=1.0 <\" is neither a tag nor a range: nothing stands behind <",
            ),
            (
                avoiding(numerical(Order::Ascending), &["12", "<5"]),
                "spec.avoid[1]: \"<5\" is no tag; write tags, since ranges are for select.semver only",
            ),
            (avoiding(alphabetical(Order::Ascending), &["<b"]), "spec.avoid[0]: \"<b\" is no tag"),
            (
                changed(|spec| spec.platforms = vec!["linux/amd64".into(), "amd64".into()]),
                "spec.platforms[1]: \"amd64\" is no platform: it should read os/architecture",
            ),
            (
                changed(|spec| spec.platforms = vec!["linux/amd64".into(); 17]),
                "spec.platforms: it has more than 16 platforms",
            ),
            (follow("a b"), "spec.select.follow.tag: \"a b\" is not a tag"),
            (
                avoiding(follow("stable"), &["stable"]),
                "spec.select.follow: it names its tag; leave spec.tags",
            ),
            (filtered(follow("stable"), "^s", &[]), "spec.select.follow: it names its tag; leave spec.tags"),
            (
                pinned(follow("stable"), Pin::Tag),
                "spec.pin: the tag alone never changes with select.follow; write",
            ),
            (avoiding(newest_build(), &["<2"]), "spec.avoid[0]: \"<2\" is no tag; write tags, since ranges"),
            (avoiding(semver("*"), &["1.0.0"; 65]), "spec.avoid: it has more than 64 entries"),
        ] {
            let error = compile(&spec).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}\n  is not\n{message}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_good_spec_is_kept_as_it_is() {
        let policy = compile(&changed(|spec| spec.interval = Interval::new("90s"))).unwrap();
        assert_eq!(policy.interval(), std::time::Duration::from_secs(90));
        assert_eq!(policy.image().as_str(), "ghcr.io/acme/api");
        assert_eq!(policy.rule(), "1.x");
    }

    #[test]
    fn a_class_of_go_stays_small_enough() {
        assert!(compile(&filtered(semver("*"), r"^[\w.-]{1,128}$", &[r"^\d{8}T\d{6}$"])).is_ok());
    }
}
