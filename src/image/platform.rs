//! The platform that an image runs on.

use std::fmt;

/// The longest operating system, architecture or variant that is read, in bytes.
const MOST_BYTES: usize = 32;

/// Operating system, architecture, and perhaps a variant of it, by the names of Go (OCI image specification, "Image Index").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: Box<str>,
    architecture: Box<str>,
    variant: Option<Box<str>>,
}

/// A text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is no platform: {problem}")]
pub struct InvalidPlatform {
    /// What was given, cut to a printable length.
    pub input: String,
    /// What is wrong, and what would be right.
    pub problem: &'static str,
}

impl Platform {
    /// Reads `linux/amd64` or `linux/arm/v7`.
    ///
    /// # Errors
    /// `InvalidPlatform` for another shape, and for names that other tools have for an architecture, since no image
    /// would ever match them.
    pub fn parse(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid =
            |problem: &'static str| InvalidPlatform { input: super::name::shortened(text), problem };
        let shape = "it should read os/architecture or os/architecture/variant, such as linux/arm64";
        let mut parts = text.split('/');
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid(shape));
        };
        match architecture {
            "x86_64" | "x86-64" => return Err(invalid("images call this architecture amd64")),
            "aarch64" => return Err(invalid("images call this architecture arm64")),
            "armhf" | "armv7" => return Err(invalid("images call this architecture arm/v7")),
            "i386" | "i686" | "x86" => return Err(invalid("images call this architecture 386")),
            _ => {}
        }
        Self::new(os, architecture, variant).ok_or_else(|| invalid(shape))
    }

    /// A platform from its parts; `None` where one of them has another character than `a-z 0-9 . _ -`, or too many.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Option<Self> {
        let is_word = |part: &str| {
            (1..=MOST_BYTES).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        let variant = variant.filter(|variant| !variant.is_empty());
        let is_valid = is_word(os) && is_word(architecture) && variant.is_none_or(is_word);
        is_valid.then(|| Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
        })
    }

    /// Whether an image of this platform is one of the `wanted`. Without a variant any is taken; an image without one
    /// is of the variant that builders leave out: arm64 v8, arm v7, amd64 v1.
    #[must_use]
    pub fn is(&self, wanted: &Self) -> bool {
        (&self.os, &self.architecture) == (&wanted.os, &wanted.architecture)
            && wanted.variant.as_deref().is_none_or(|variant| self.usual_variant() == Some(variant))
    }

    fn usual_variant(&self) -> Option<&str> {
        self.variant.as_deref().or(match &*self.architecture {
            "arm64" => Some("v8"),
            "arm" => Some("v7"),
            "amd64" => Some("v1"),
            _ => None,
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn an_image_is_of_a_platform_whose_variant_it_has_or_leaves_out() {
        for (image, wanted, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("windows/amd64", "linux/amd64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v9", "linux/arm64/v8", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm/v6", "linux/arm", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/amd64", "linux/amd64/v1", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/riscv64", "linux/riscv64/x", false),
        ] {
            assert_eq!(platform(image).is(&platform(wanted)), expected, "{image} for {wanted}");
        }
    }

    #[test]
    fn what_is_no_platform_is_refused_with_the_name_that_is_one() {
        for (text, problem) in [
            ("", "it should read"),
            ("linux", "it should read"),
            ("linux/", "it should read"),
            ("linux/arm/v7/x", "it should read"),
            ("Linux/amd64", "it should read"),
            ("linux/amd64\n", "it should read"),
            ("linux/x86_64", "images call this architecture amd64"),
            ("linux/aarch64", "images call this architecture arm64"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains('\n'), "{error}");
        }
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
    }
}
